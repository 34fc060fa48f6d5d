// `gallery.js` stands before this file.
//
// What only the document's head and root can carry: language, direction, home-screen manifest and icon.
// Streamlit marks an upload that failed only by a colour, and then waits; here it becomes a sentence under the
// uploader, and the failed file is taken out so that the next one counts. The page may be drawn anew in between, so what
// was said is kept until a file is taken.
const troubles = {};

function sayWhyNot(data) {
  for (const [key, megabytes] of Object.entries(data.most_mb)) {
    const place = document.querySelector(`.st-key-${key}`);
    const chip = place?.querySelector('[data-testid="stFileChip"]');
    const failed = place?.querySelector('[data-testid="stFileChip"][aria-invalid="true"]');
    if (failed) {
      const why = failed.querySelector('[role="alert"]')?.textContent ?? "";
      const kind = /or smaller/.test(why) ? "upload_too_large" : /not allowed/.test(why) ? "upload_wrong_kind" : "upload_lost";
      troubles[key] = data.texts[kind].replace("{megabytes}", megabytes);
      failed.querySelector('[data-testid="stFileChipDeleteBtn"] button')?.click();
    } else if (chip) {
      delete troubles[key];
    }
    say(place, troubles[key]);
  }
}

function say(place, text) {
  let sentence = place?.querySelector(":scope > .upload-trouble");
  if (!text) sentence?.remove();
  if (!place || !text) return;
  if (!sentence) {
    sentence = document.createElement("p");
    sentence.className = "upload-trouble";
    sentence.setAttribute("role", "alert");
    place.append(sentence);
  }
  if (sentence.textContent !== text) sentence.textContent = text;
}

// A tap that reaches no server must not look like one that did.
function watchConnection(data) {
  let bar = document.querySelector(".campus-offline");
  if (!bar) {
    bar = document.createElement("div");
    bar.className = "campus-offline";
    bar.setAttribute("role", "alert");
    document.body.append(bar);
  }
  const status = document.querySelector('[data-testid="stApp"]')?.dataset.testConnectionState;
  const lost = !navigator.onLine || (status !== undefined && !["CONNECTED", "INITIAL", "CONNECTING"].includes(status));
  document.documentElement.classList.toggle("campus-lost", lost);
  const text = lost ? data.texts.offline : "";
  if (bar.textContent !== text) bar.textContent = text;
}

// What the page waits for, in words. The style shows it once the wait is longer than one notices.
function sayWhatFor(data) {
  const text = document.documentElement.classList.contains("campus-lost") ? "" : waitedFor(data.texts);
  let sign = document.querySelector(".campus-waiting");
  if (!text) return sign?.remove();
  if (!sign) {
    sign = document.createElement("div");
    sign.className = "campus-waiting";
    sign.setAttribute("role", "status");
    document.body.append(sign);
  }
  if (sign.textContent !== text) sign.textContent = text;
}

// How much of each file was sent, {loaded, total} in bytes; Streamlit shows a wheel only. A file stays until all arrived.
const uploads = new Map();

function countUploads(told) {
  const { send } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.send = function (body) {
    if (body instanceof FormData) this.upload.addEventListener("progress", (sent) => (uploads.set(this, sent), told()));
    return send.call(this, body);
  };
}

function sending(texts) {
  const sum = (part) => [...uploads.values()].reduce((all, sent) => all + sent[part], 0);
  const percent = Math.floor((100 * sum("loaded")) / sum("total"));
  return percent ? texts.sending_share.replace("{percent}", percent) : texts.sending;
}

function waitedFor(texts) {
  if (document.querySelector('[data-testid="stFileChipIconSpinner"]')) return sending(texts);
  uploads.clear();
  if (document.querySelector(".reading")) return ""; // it says itself what is waited for
  const state = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState;
  if (["running", "rerunRequested"].includes(state)) return texts.waiting;
  const stage = document.querySelector(".st-key-stage");
  return webgl && stage && !stage.querySelector("canvas") ? texts.loading_map : "";
}

function hasWebgl() {
  try {
    const context = document.createElement("canvas").getContext("webgl2");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return !!context;
  } catch {
    return false;
  }
}

// The keyboard's first stop, which Streamlit has in English only.
function nameSkipLink(data) {
  const link = document.querySelector('[data-testid="stSkipToContent"]'), text = data.texts.skip_to_content;
  if (link && link.textContent !== text) link.textContent = text;
}

// What of the map the page's head and the map's controls leave free; undefined until all of them are there.
const PARTS = [".st-key-stage", ".st-key-top .campus-head", ".st-key-controls"];
function roomOnMap() {
  const [stage, head, controls] = PARTS.map((part) => document.querySelector(part)?.getBoundingClientRect());
  if (!stage?.height || !head?.height || !controls?.height) return undefined;
  const top = head.left < stage.right && head.right > stage.left ? Math.max(0, Math.round(head.bottom - stage.top)) : 0;
  const right = Math.round(stage.right - controls.left);
  return { width_px: Math.round(stage.width) - right, height_px: Math.round(stage.height) - top, top_px: top, right_px: right };
}

// Whether a view made for one room does for another: it is no smaller, not much larger, and covered as much.
function does(room, made) {
  const sides = ["width_px", "height_px"].every((side) => room[side] > 0.95 * made[side] && room[side] < 1.25 * made[side]);
  return sides && ["top_px", "right_px"].every((side) => Math.abs(room[side] - made[side]) < 30);
}

let webgl, told, page_shown;
let stopWatching = () => {}, lookAgain = () => {};
countUploads(() => lookAgain());

export default function ({ data, setStateValue }) {
  webgl ??= hasWebgl();
  if (!webgl && !document.documentElement.classList.contains("no-webgl")) {
    document.documentElement.classList.add("no-webgl");
    setStateValue("no_webgl", true);
  }
  if (page_shown !== data.page) document.querySelector('[data-testid="stMain"]')?.scrollTo(0, 0); // as on another page
  page_shown = data.page;
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
  document.querySelector(".campus-loading")?.remove();
  stopWatching(); // two of them, in two languages, would correct each other for ever
  const tellRoom = () => {
    const room = roomOnMap();
    if (!room || does(room, (told ??= data.room))) return;
    told = room;
    setStateValue("room", room);
  };
  // The browser measures when it lays the page out; asked at every change, it would lay it out for each.
  const sizes = new ResizeObserver(tellRoom), measured = new Set();
  const measure = () => {
    for (const part of document.querySelectorAll(PARTS)) if (!measured.has(part)) measured.add(part), sizes.observe(part);
  };
  const look = () => (measure(), sayWhyNot(data), watchConnection(data), sayWhatFor(data), nameSkipLink(data), giveNext());
  let next = 0;
  const lookSoon = () => (next ||= requestAnimationFrame(() => ((next = 0), look()))); // once for a frame's many changes
  const watcher = new MutationObserver(lookSoon);
  lookAgain = lookSoon;
  const attributeFilter = ["aria-invalid", "data-test-connection-state", "data-test-script-state"];
  watcher.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter });
  for (const name of ["online", "offline"]) window.addEventListener(name, look);
  stopWatching = () => {
    watcher.disconnect();
    sizes.disconnect();
    cancelAnimationFrame(next);
    for (const name of ["online", "offline"]) window.removeEventListener(name, look);
  };
  look();
}
