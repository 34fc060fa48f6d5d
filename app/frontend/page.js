// What only the document's head and root can carry: language, direction, home-screen manifest and icon.
// Streamlit marks an upload that failed only by a colour, and then waits; here it becomes a sentence under the
// uploader, and the failed file is taken out so that the next one counts.
function sayWhyNot(data) {
  for (const [key, megabytes] of Object.entries(data.most_mb)) {
    const place = document.querySelector(`.st-key-${key}`);
    const chip = place?.querySelector('[data-testid="stFileChip"]');
    let sentence = place?.querySelector(":scope > .upload-trouble");
    if (!chip) continue;
    const failed = place.querySelector('[data-testid="stFileChip"][aria-invalid="true"]');
    if (!failed) {
      sentence?.remove();
      continue;
    }
    const why = failed.querySelector('[role="alert"]')?.textContent ?? "";
    const kind = /or smaller/.test(why) ? "upload_too_large" : /not allowed/.test(why) ? "upload_wrong_kind" : "upload_lost";
    if (!sentence) {
      sentence = document.createElement("p");
      sentence.className = "upload-trouble";
      sentence.setAttribute("role", "alert");
      place.append(sentence);
    }
    sentence.textContent = data.texts[kind].replace("{megabytes}", megabytes);
    failed.querySelector('[data-testid="stFileChipDeleteBtn"] button')?.click();
  }
}

export default function ({ data }) {
  const page = document.documentElement;
  page.lang = data.lang;
  page.dir = data.dir;
  const links = [["manifest", "manifest.webmanifest"], ["apple-touch-icon", "icon-180.png"]];
  for (const [rel, file] of links) {
    if (document.head.querySelector(`link[rel="${rel}"][data-campus]`)) continue;
    const link = document.createElement("link");
    link.rel = rel;
    link.href = new URL(`app/static/${file}`, document.baseURI).href;
    link.dataset.campus = "";
    document.head.append(link);
  }
  for (const [name, content] of [["apple-mobile-web-app-title", data.title], ["theme-color", "#0b57d0"]]) {
    let meta = document.head.querySelector(`meta[name="${name}"]`);
    if (!meta) {
      meta = document.createElement("meta");
      meta.name = name;
      document.head.append(meta);
    }
    meta.content = content;
  }
  const watcher = new MutationObserver(() => sayWhyNot(data));
  watcher.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-invalid"] });
  return () => watcher.disconnect();
}
