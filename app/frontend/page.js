// What only the document's head and root can carry: language, direction, home-screen manifest and icon.
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
}
