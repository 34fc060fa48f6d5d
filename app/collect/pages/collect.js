// Collect: where next, four photos turning, each stored on the phone first and sent when the server can be reached. A bad GPS
// never stands in the way: a tap on the map places the next photos, and any photo can be placed later.
const words = JSON.parse(document.getElementById("words").textContent);
const find = (id) => document.getElementById(id);
const say = (key, blanks = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => blanks[name]);
const STOP = 4, NEAR_M = 15, WIDE_M = 30, MAX_SIDE_PX = 1600, QUALITY = 0.9, HOLD_MS = 60000, RETRY_MS = 15000, TURN_DEG = 45;

let plan = null, map = null, records = [], byHand = null, placing = null, held = null, stream = null, chosen = null;
let stop = { count: 0, at: null, headings: [] }; // of the place where one stands
const senses = new Senses(() => schedule());
const queue = new Queue(() => refresh());

const metres = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);
const bearing = ([e, n], [toE, toN]) => (Math.atan2(toE - e, toN - n) * 180) / Math.PI;
const direction = (degrees) => words.directions[((Math.round(degrees / 45) % 8) + 8) % 8];
const apart = (one, other) => Math.abs(((one - other + 540) % 360) - 180);

// Where the next photo is: a tap comes before the GPS.
function here() {
  if (byHand && map) {
    const [lat, lon] = map.toLatLon(byHand);
    return { lat, lon, error_m: null, source: "tap" };
  }
  const fix = senses.fix();
  return fix ? { lat: fix.lat, lon: fix.lon, error_m: fix.error_m, source: "gps" } : { lat: null, lon: null, error_m: null, source: "none" };
}

function hereLocal() {
  const { lat, lon } = here();
  return lat == null || !map ? null : map.toLocal(lat, lon);
}

// Drawn at most a few times a second: the compass tells sixty.
let due = 0;
function schedule() {
  due ||= setTimeout(() => { due = 0; draw(); }, 200);
}

function placedNear(at) {
  return records.filter(({ about }) => about.lat != null && metres(map.toLocal(about.lat, about.lon), at) <= NEAR_M).length;
}

function draw() {
  const at = hereLocal(), fix = senses.fix();
  find("gps").textContent = byHand ? words.by_hand
    : fix ? say(fix.error_m > WIDE_M ? "gps_bad" : "gps", { metres: Math.round(fix.error_m) })
    : senses.refused ? words.gps_none : words.gps_wait;
  find("use-gps").hidden = !byHand;
  const facing = senses.heading == null ? "" : `, ${say("facing", { direction: direction(senses.heading) })}`;
  find("turn").textContent = stop.count >= STOP ? words.stop_done : say("turn", { count: stop.count }) + facing;
  if (!map) return;
  const open = plan.targets.map((target, index) => ({ ...target, index })).filter((target) => placedNear(target.at) < STOP);
  const next = open.find(({ index }) => index === chosen)
    ?? (at ? open.reduce((best, one) => (!best || metres(one.at, at) < metres(best.at, at) ? one : best), null) : open[0]);
  const called = ({ place, light }) => (light ? say(`by_${light}`, { place: place[words.lang] }) : place[words.lang]);
  find("next").textContent = !next ? words.next_none
    : at ? say("next", { place: called(next), distance: say("distance", { value: Math.round(metres(next.at, at)) }), direction: direction(bearing(at, next.at)) })
    : say("next_first", { place: called(next) });
  map.show([
    ...open.map(({ at: place, index }) => ({
      at: place, text: String(index + 1), colour: index === next?.index ? "#b3261e" : "#8a5a00", label: called(plan.targets[index]),
      onTap: placing ? null : () => { chosen = index; draw(); }, // a photo is placed where the tap is, not at a sign beside it
    })),
    ...records.filter(({ about }) => about.lat != null).map(({ about, state }) => ({
      at: map.toLocal(about.lat, about.lon), colour: state === "sent" ? "#1b7a3d" : "#5f6771",
    })),
    ...(at ? [{ at, radius_m: byHand ? 0 : fix.error_m, text: byHand ? "✓" : "", big: !!byHand }] : []),
  ]);
}

async function refresh() {
  records = await queue.all();
  const waiting = records.filter(({ state }) => state === "waiting").length;
  const sent = records.filter(({ state }) => state === "sent").length;
  const unplaced = records.filter(({ about }) => about.lat == null).length;
  find("counts").textContent = [say("waiting", { count: waiting }), say("sent", { count: sent }), ...(unplaced ? [say("unplaced", { count: unplaced })] : [])].join(" · ");
  notice(queue.trouble && records.some((one) => one.state === "waiting" || one.placeDue) ? words[queue.trouble] : "");
  const shown = records.filter((one) => one.state !== "sent" || one.about.lat == null || one.placeDue).reverse();
  list(shown);
  schedule();
}

// Photos that look as before keep their buttons: a finger or the keyboard may be on one as another photo is sent.
function list(shown) {
  const place = find("photos"), before = new Map([...place.children].map((item) => [item.dataset.looks, item]));
  const items = shown.map((record) => before.get(looks(record)) ?? entry(record));
  for (const [, item] of before) if (!items.includes(item)) item.remove();
  items.forEach((item, index) => place.children[index] !== item && place.insertBefore(item, place.children[index] ?? null));
}

function looks({ id, state, reason, about }) {
  return JSON.stringify([id, state, reason, about.source, id === placing]);
}

function notice(text) {
  find("notice").textContent = text;
  find("notice").hidden = !text;
}

function entry(record) {
  const item = document.createElement("li"), picture = new Image(), told = document.createElement("p"), row = document.createElement("div");
  item.className = record.id === placing ? "chosen" : "";
  item.dataset.looks = looks(record);
  picture.src = record.thumb;
  picture.alt = new Date(record.taken).toLocaleTimeString(words.lang);
  told.textContent = record.state === "refused" ? say("refused", { reason: record.reason })
    : [picture.alt, words[`source_${record.about.source}`]].join(" · ");
  row.className = "row";
  row.append(button(words.place, () => beginPlacing(record.id)));
  if (record.state !== "sent") row.append(button(words.delete, () => queue.remove(record.id)));
  item.append(picture, told, row);
  return item;
}

function button(text, work) {
  const made = document.createElement("button");
  made.textContent = text;
  made.onclick = work;
  return made;
}

function beginPlacing(id) {
  placing = id;
  find("placing").hidden = !id;
  find("map").scrollIntoView({ block: "start" });
  refresh();
}

async function tapped(at) {
  if (!placing) {
    byHand = at;
    return draw();
  }
  const [lat, lon] = map.toLatLon(at), id = placing;
  beginPlacing(null);
  await queue.place(id, lat, lon);
  queue.send();
}

// A picture becomes a JPEG of a bounded size, is judged, and is on the phone's disk before anything else happens.
async function take(picture, width, height, original = null) {
  const at = hereLocal(), heading = senses.heading;
  if (stop.count >= STOP || (stop.at && at && metres(stop.at, at) > NEAR_M)) stop = { count: 0, at: null, headings: [] };
  const faults = picture ? senses.faultsOf(picture, width, height) : [];
  const again = heading != null && stop.headings.some((other) => apart(other, heading) < TURN_DEG);
  const record = {
    id: crypto.randomUUID(),
    taken: Date.now(),
    blob: original ?? (await shrunk(picture, width, height, MAX_SIDE_PX, QUALITY)),
    thumb: picture ? await asUrl(await shrunk(picture, width, height, 240, 0.7)) : "",
    about: { ...here(), time_utc: new Date().toISOString(), heading_deg: heading, who: find("who").value.trim() },
    state: "waiting",
    hold: faults.length ? Date.now() + HOLD_MS : 0,
    server: null,
    placeDue: false,
    reason: "",
  };
  try {
    await queue.add(record);
  } catch {
    return warn(words.no_store); // a full disk, a private window
  }
  navigator.storage?.persist?.();
  stop = { count: stop.count + 1, at: stop.at ?? at, headings: heading == null ? stop.headings : [...stop.headings, heading] };
  held = faults.length ? record.id : null;
  warn(faults.length ? faults.map((fault) => words[fault]).join(" · ") : again ? words.turn_more : "");
  find("choose").hidden = !held;
  if (stop.count >= STOP) byHand = null; // the next place is another
  draw();
  queue.send();
}

function warn(text) {
  find("warn").textContent = text;
  find("warn").hidden = !text;
  if (text) alarm();
}

function decided() {
  held = null;
  find("choose").hidden = true;
  warn("");
}

async function shrunk(picture, width, height, side, quality) {
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const paper = canvas.getContext("2d");
  paper.imageSmoothingQuality = "high";
  paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
}

function asUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

async function fromFile() {
  const photo = find("file").files[0];
  find("file").value = "";
  if (!photo) return;
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(photo, { imageOrientation: "from-image" });
  } catch {
    // HEIC in a browser that cannot decode it: the server can.
  }
  if (bitmap) await take(bitmap, bitmap.width, bitmap.height);
  else if (/hei[cf]$/i.test(photo.type) || /\.hei[cf]$/i.test(photo.name)) await take(null, 0, 0, photo);
  else warn(words.unreadable);
}

const video = document.querySelector("video");
function closeLive() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = video.srcObject = null;
  shownLive(false);
}

function shownLive(on) {
  video.hidden = find("snap").hidden = !on;
  document.querySelector(".file").hidden = on;
  find("live").textContent = on ? words.live_stop : words.live;
}

async function openLive() {
  if (stream) return closeLive();
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false, video: { facingMode: { ideal: "environment" }, width: { ideal: 4096 }, height: { ideal: 3072 } },
    });
    video.srcObject = stream;
    await video.play();
    shownLive(true);
  } catch {
    closeLive();
    warn(words.camera_refused);
  }
}

async function snap() {
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(await new ImageCapture(stream.getVideoTracks()[0]).takePhoto());
  } catch {
    bitmap = await createImageBitmap(video);
  }
  await take(bitmap, bitmap.width, bitmap.height);
}

// One photo after another, however fast the taps are.
let busy = Promise.resolve();
const inTurn = (work) => () => (busy = busy.then(work).catch(() => warn(words.unreadable)));

async function loadPlan() {
  const answer = await fetch("/v1/inbox-plan").catch(() => null);
  if (!answer?.ok) return notice(words.unreachable);
  plan = await answer.json();
  find("campus").textContent = plan.name;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  map = new CampusMap(find("map"), plan, { dark: dark.matches, label: words.map, onTap: tapped });
  dark.onchange = () => map.paint(dark.matches);
  draw();
}

// Keep what this page is made of, so that it opens without the server; the service worker stores what it fetches.
async function keepPage() {
  await navigator.serviceWorker.register("/service-worker.js");
  await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  }
  const files = [...document.scripts].map((one) => one.src).filter(Boolean);
  await Promise.all([location.pathname + location.search, ...files, "/collect/page.css", "/v1/inbox-plan"].map((one) => fetch(one)));
  document.documentElement.dataset.kept = "yes";
}

find("file").onchange = inTurn(fromFile);
find("snap").onclick = inTurn(snap);
find("live").onclick = openLive;
find("live").hidden = !navigator.mediaDevices?.getUserMedia;
find("use-gps").onclick = () => { byHand = null; draw(); };
find("stop-placing").onclick = () => beginPlacing(null);
find("again").onclick = async () => { await queue.remove(held); stop.count -= 1; stop.headings.pop(); decided(); draw(); };
find("keep").onclick = async () => { await queue.change(held, (record) => ({ ...record, hold: 0 })); decided(); queue.send(); };
find("who").value = localStorage.getItem("campus-collect-who") ?? "";
find("who").onchange = () => localStorage.setItem("campus-collect-who", find("who").value.trim());
addEventListener("click", () => Senses.ask(), { once: true });
addEventListener("online", () => queue.send());
document.addEventListener("visibilitychange", () => document.hidden || queue.send());
setInterval(() => queue.send(), RETRY_MS);
loadPlan().then(() => refresh()).then(() => queue.send()).catch(() => notice(words.no_store));
if (navigator.serviceWorker) keepPage().catch(() => {});
