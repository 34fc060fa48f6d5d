// Review: what the inbox holds, on the map and as pictures; accept, move, reject. Each decision is the server's before it is shown.
const STATES = { "": "to_review", accepted: "accepted", rejected: "rejected" };
const CLICK_MS = 500; // a finger that was lifted so long ago clicks nothing any more
let map = null, photos = [], state = "", moving = null, chosen = null, accepting = false;

// Answers are shown between two taps: a photo that leaves the list would put another one's button under a finger.
let lift = () => {}, lifted = Promise.resolve();
addEventListener("pointerdown", () => {
  lift();
  lifted = new Promise((resolve) => { lift = resolve; });
});
for (const end of ["click", "pointercancel"]) addEventListener(end, () => lift());
addEventListener("pointerup", () => setTimeout(lift, CLICK_MS));

async function noFinger() {
  for (let seen = null; seen !== lifted; ) await (seen = lifted);
}

async function ask(path, body = null) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  let answer = null, said = {};
  try {
    answer = await fetch(path, options);
    said = await answer.json();
  } catch {
    // not reached, or the lock's page
  }
  await noFinger();
  notice(answer?.ok ? "" : reasonOf(said) ?? words.unreachable);
  return answer?.ok ? said : null;
}

async function tell(id, body) {
  const changed = await ask(`/v1/inbox/${id}`, body);
  if (changed) photos = photos.map((one) => (one.id === id ? changed : one));
  return changed;
}

async function decide(id, body) {
  await tell(id, body);
  draw();
}

// One that is decided meanwhile stays as it was decided.
async function acceptAll() {
  if (accepting) return;
  markAccepting(true);
  for (const { id } of photos.filter(({ review, lat }) => review === "" && lat != null)) {
    const open = photos.some((one) => one.id === id && one.review === "");
    if (open && !(await tell(id, { review: "accepted" }))) break;
  }
  markAccepting(false);
  draw();
}

// A button that is `disabled` would lose the keyboard.
function markAccepting(on) {
  accepting = on;
  find("all").setAttribute("aria-disabled", String(on));
}

function draw() {
  for (const made of find("tabs").children) {
    made.textContent = `${words[STATES[made.value]]} ${photos.filter(({ review }) => review === made.value).length}`;
    made.setAttribute("aria-pressed", String(made.value === state));
  }
  const shown = photos.filter(({ review }) => review === state), placed = shown.filter(({ lat }) => lat != null);
  const keyboard = document.activeElement?.closest("main");
  list(shown);
  find("nothing").hidden = !!shown.length;
  find("all").textContent = say("accept_all", { count: placed.length });
  find("all").hidden = state !== "" || placed.length < 2;
  find("placing").hidden = !moving;
  if (keyboard && lost(document.activeElement)) find("tabs").querySelector("[aria-pressed=true]").focus({ preventScroll: true });
  map?.show(shown.map((one, index) => ({ ...one, text: String(index + 1) })).filter(({ lat }) => lat != null).map((one) => ({
    at: map.toLocal(one.lat, one.lon), text: one.text, radius_m: one.id === chosen ? one.error_m ?? 0 : 0,
    colour: one.id === chosen ? "#b3261e" : undefined, big: one.id === chosen, label: say("number", { number: one.text }),
    onTap: moving ? null : () => choose(one.id), // a photo is placed where the tap is, not at a sign beside it
  })));
}

function lost(active) {
  return active === document.body || !active.getClientRects().length;
}

// Photos that stay keep their buttons, on which a finger or the keyboard may be. The keyboard goes from one that leaves to the
// same button of the photo that takes its place.
function list(shown) {
  const place = find("photos"), active = document.activeElement, at = [...place.children].indexOf(active?.closest("#photos > li"));
  const part = at < 0 ? -1 : buttonsOf(place.children[at]).indexOf(active);
  const before = new Map([...place.children].map((item) => [item.dataset.id, item]).filter(([, item]) => item.dataset.state === state));
  const items = shown.map((one) => before.get(one.id) ?? entry(one));
  for (const item of [...place.children]) if (!items.includes(item)) item.remove();
  items.forEach((item, index) => {
    if (place.children[index] !== item) place.insertBefore(item, place.children[index] ?? null);
    tellOf(item, shown[index], index + 1);
  });
  if (at < 0 || !items.length || items.includes(active.closest("li"))) return;
  const next = buttonsOf(items[Math.min(at, items.length - 1)]);
  (next[part]?.disabled === false ? next[part] : next.find(({ disabled }) => !disabled)).focus({ preventScroll: true });
}

const buttonsOf = (item) => [...item.querySelectorAll("button")];

function choose(id) {
  chosen = id;
  draw();
  document.querySelector(".photos .chosen")?.scrollIntoView({ block: "nearest" });
}

function entry(one) {
  const item = document.createElement("li"), picture = new Image(), row = document.createElement("div"), look = button("", () => choose(one.id));
  Object.assign(item.dataset, { id: one.id, state });
  picture.src = `/v1/inbox/${one.id}/thumbnail`;
  picture.loading = "lazy";
  look.className = "picture";
  look.append(picture);
  row.className = "row";
  if (state === "") row.append(button(words.accept, () => decide(one.id, { review: "accepted" })));
  row.append(button(words.move, () => { moving = chosen = one.id; draw(); find("map").scrollIntoView({ block: "start" }); }));
  if (state === "") row.append(button(words.reject, () => decide(one.id, { review: "rejected" })));
  else row.append(button(words.undo, () => decide(one.id, { review: "" })));
  item.append(look, document.createElement("p"), row);
  return item;
}

// What may be another with each drawing: a photo's number, its place, and whether it is chosen.
function tellOf(item, one, number) {
  item.className = one.id === chosen ? "chosen" : "";
  item.querySelector("img").alt = say("number", { number });
  item.querySelector("p").textContent = [
    `${number}`, one.who || words.someone, one.time_utc ? new Date(one.time_utc).toLocaleString(words.lang, { dateStyle: "short", timeStyle: "short" }) : "",
    words[`source_${one.source}`] + (one.error_m >= 0.5 ? ` ± ${say("distance", { value: Math.round(one.error_m) })}` : ""), corrected(one),
  ].filter(Boolean).join(" · ");
  if (state === "") item.querySelector(".row button").disabled = one.lat == null;
}

function corrected({ fix, lat, lon }) {
  if (!fix || lat == null) return "";
  if (fix.radius68_m == null) return words.corrected_refused;
  const [one, other] = [map.toLocal(fix.lat, fix.lon), map.toLocal(lat, lon)];
  return say("corrected", { metres: Math.round(Math.hypot(one[0] - other[0], one[1] - other[1])) });
}

async function move(at) {
  if (!moving) return;
  const [lat, lon] = map.toLatLon(at), id = moving;
  moving = null;
  await decide(id, { lat, lon });
}

async function open() {
  const plan = await ask(PLAN), inbox = plan && (await ask("/v1/inbox"));
  if (!inbox) return;
  photos = inbox.photos;
  find("campus").textContent = plan.name;
  const gigabytes = (bytes) => (bytes / 1e9).toFixed(bytes < 1e8 ? 2 : 1);
  const held = say("held", { held: gigabytes(inbox.held_bytes), most: gigabytes(inbox.most_bytes) });
  find("held").textContent = [held, ...(inbox.damaged ? [say("unreadable_held", { count: inbox.damaged })] : [])].join(" · ");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  map = new CampusMap(find("map"), plan, { dark: dark.matches, label: words.map, twoFingers: words.two_fingers, onTap: move });
  dark.onchange = () => map.paint(dark.matches);
  find("tabs").replaceChildren(...Object.keys(STATES).map(tab));
  draw();
}

function tab(value) {
  const made = button("", () => { state = value; chosen = null; draw(); });
  made.value = value;
  return made;
}

find("all").onclick = acceptAll;
find("stop-placing").onclick = () => { moving = null; draw(); };
open();
