// Collect: where next, four photos turning, each stored on the phone first and sent when the server can be reached. A bad GPS
// never stands in the way: a tap on the map places the next photos, and any photo can be placed later.
// `page.js` and what else the page names stand before this file.
const { stop_photos: STOP, near_m: NEAR_M } = words, WIDE_M = 30, HOLD_MS = 60000, RETRY_MS = 15000, TURN_DEG = 45;

let plan = null, map = null, records = [], placing = null, held = null, stream = null, chosen = null;
let planTrouble = "", loading = null, opening = false;
let byHand = null; // { at: where the map was tapped, fix: where the GPS was then }
let stop = { count: 0, at: null, headings: [] }; // of the place where one stands
let former = { stop, byHand }; // before the last photo
const senses = new Senses(() => { leave(); schedule(); });
const queue = new Queue(() => refresh());

const metres = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);
const bearing = ([e, n], [toE, toN]) => (Math.atan2(toE - e, toN - n) * 180) / Math.PI;
const direction = (degrees) => words.directions[((Math.round(degrees / 45) % 8) + 8) % 8];
const apart = (one, other) => Math.abs(((one - other + 540) % 360) - 180);

// Where the next photo is: a tap comes before the GPS.
function here() {
  if (byHand && map) {
    const [lat, lon] = map.toLatLon(byHand.at);
    return { lat, lon, error_m: null, source: "tap" };
  }
  const fix = senses.fix();
  return fix ? { lat: fix.lat, lon: fix.lon, error_m: fix.error_m, source: "gps" } : { lat: null, lon: null, error_m: null, source: "none" };
}

// A tap holds while one stands there: a GPS that moves on by more than its own error says that one walked away.
function leave() {
  const fix = senses.fix();
  if (!byHand || !fix) return;
  byHand.fix ??= fix;
  const [now, then] = [fix, byHand.fix].map(({ lat, lon }) => map.toLocal(lat, lon));
  if (metres(now, then) > Math.max(NEAR_M, fix.error_m + byHand.fix.error_m)) byHand = null;
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

function lightOf({ time_utc }) {
  const time = Date.parse(time_utc);
  return plan.nights.some(([begin, end]) => time >= begin && time < end) ? "night" : "day";
}

// Photos of the light that is wanted; of any where none is.
function placedNear({ at, light }) {
  return records.filter(({ about }) => about.lat != null && (!light || lightOf(about) === light)
    && metres(map.toLocal(about.lat, about.lon), at) <= NEAR_M).length;
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
  const open = plan.targets.map((target, index) => ({ ...target, index })).filter((target) => placedNear(target) < STOP);
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
  const waits = queue.trouble && records.some((one) => one.state === "waiting" || one.placeDue);
  notice(waits ? say(queue.trouble, { reason: queue.reason }) : planTrouble);
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

function entry(record) {
  const item = document.createElement("li"), picture = new Image(), told = document.createElement("p"), row = document.createElement("div");
  item.className = record.id === placing ? "chosen" : "";
  item.dataset.looks = looks(record);
  picture.src = record.thumb;
  picture.alt = new Date(record.taken).toLocaleTimeString(words.lang);
  told.textContent = record.state === "refused" ? say("refused", { reason: words.reasons[record.kind] ?? record.reason })
    : [picture.alt, words[`source_${record.about.source}`]].join(" · ");
  row.className = "row";
  row.append(button(words.place, () => beginPlacing(record.id)));
  if (record.state !== "sent") row.append(button(words.delete, () => queue.remove(record.id)));
  item.append(picture, told, row);
  return item;
}

function beginPlacing(id) {
  placing = id;
  find("placing").hidden = !id;
  find("map").scrollIntoView({ block: "start" });
  refresh();
}

async function tapped(at) {
  if (!placing) {
    byHand = { at, fix: senses.fix() };
    return draw();
  }
  const [lat, lon] = map.toLatLon(at), id = placing;
  beginPlacing(null);
  await queue.place(id, lat, lon);
  queue.send();
}

// A picture becomes a JPEG of a bounded size, is judged, and is on the phone's disk before anything else happens.
// `exif` is what the camera wrote, which the new JPEG loses: the server knows by it an older photo, and where that was taken.
async function take(picture, width, height, { original = null, exif = null } = {}) {
  const at = hereLocal(), heading = senses.heading, before = stop;
  if (stop.count >= STOP || (stop.at && at && metres(stop.at, at) > NEAR_M)) stop = { count: 0, at: null, headings: [] };
  const faults = picture ? senses.faultsOf(picture, width, height) : [];
  const again = heading != null && stop.headings.some((other) => apart(other, heading) < TURN_DEG);
  const record = {
    id: crypto.randomUUID(),
    taken: Date.now(),
    blob: original ?? (await asJpeg(shrunk(picture, width, height, MAX_SIDE_PX))),
    thumb: picture ? shrunk(picture, width, height, 240).toDataURL("image/jpeg", 0.7) : "",
    about: {
      ...here(), time_utc: new Date().toISOString(), utc_offset_min: -new Date().getTimezoneOffset(), heading_deg: heading,
      who: find("who").value.trim(), exif,
    },
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
  former = { stop: before, byHand: null };
  stop = { count: stop.count + 1, at: stop.at ?? at, headings: heading == null ? stop.headings : [...stop.headings, heading] };
  held = faults.length ? record.id : null;
  warn(faults.length ? faults.map((fault) => words[fault]).join(" · ") : again ? words.turn_more : "");
  find("choose").hidden = !held;
  if (stop.count >= STOP) [former.byHand, byHand] = [byHand, null]; // the next place is another
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

function asJpeg(canvas) {
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
}

async function fromFile() {
  const photo = find("file").files[0];
  find("file").value = "";
  if (!photo) return;
  let bitmap = null;
  try {
    bitmap = await decoded(photo);
  } catch {
    // HEIC in a browser that cannot decode it: the server can.
  }
  if (bitmap) await take(bitmap, bitmap.width, bitmap.height, { exif: await exifOf(photo) });
  else if (/hei[cf]$/i.test(photo.type) || /\.hei[cf]$/i.test(photo.name)) await take(null, 0, 0, { original: photo });
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
  if (opening) return;
  if (stream) return closeLive();
  opening = true;
  try {
    stream = await rearCamera();
    video.srcObject = stream;
    await video.play();
    shownLive(true);
  } catch {
    closeLive();
    warn(words.camera_refused);
  } finally {
    opening = false;
  }
}

async function snap() {
  const bitmap = await frameOf(stream, video);
  await take(bitmap, bitmap.width, bitmap.height);
}

// One photo after another, however fast the taps are.
let busy = Promise.resolve();
const inTurn = (work) => () => (busy = busy.then(work).catch(() => warn(words.unreadable)));

async function loadPlan() {
  const answer = await fetch(PLAN, { signal: AbortSignal.timeout?.(PATIENCE_MS) }).catch(() => null);
  plan = answer?.ok ? await answer.json().catch(() => null) : null;
  planTrouble = plan ? "" : words.unreachable;
  if (!plan) return;
  find("campus").textContent = plan.name;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  map = new CampusMap(find("map"), plan, { dark: dark.matches, label: words.map, twoFingers: words.two_fingers, onTap: tapped });
  dark.onchange = () => map.paint(dark.matches);
  draw();
}

// Whatever a lost connection left undone: the map where it never came, and photos that wait.
async function again() {
  if (!plan) await (loading ??= loadPlan().finally(() => { loading = null; }));
  try {
    await refresh();
    await queue.send();
  } catch {
    notice(words.no_store);
  }
}

async function takeAgain() {
  const id = held;
  if (!id) return;
  decided();
  stop = former.stop;
  byHand ??= former.byHand;
  await queue.remove(id);
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
  await Promise.all([location.pathname + location.search, ...files, "/collect/page.css", PLAN].map((one) => fetch(one)));
  document.documentElement.dataset.kept = "yes";
}

find("file").onchange = inTurn(fromFile);
find("snap").onclick = inTurn(snap);
find("live").onclick = openLive;
find("live").hidden = !navigator.mediaDevices?.getUserMedia;
find("use-gps").onclick = () => { byHand = null; draw(); };
find("stop-placing").onclick = () => beginPlacing(null);
find("again").onclick = takeAgain;
find("keep").onclick = async () => { await queue.change(held, (record) => ({ ...record, hold: 0 })); decided(); queue.send(); };
find("who").value = localStorage.getItem("campus-collect-who") ?? "";
find("who").onchange = () => localStorage.setItem("campus-collect-who", find("who").value.trim());
addEventListener("click", () => Senses.ask(), { once: true });
addEventListener("click", readySound);
addEventListener("online", again);
document.addEventListener("visibilitychange", () => document.hidden || again());
setInterval(again, RETRY_MS);
again();
if (navigator.serviceWorker) keepPage().catch(() => {});
