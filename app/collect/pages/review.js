// Review: what the inbox holds, on the map and as pictures; accept, move, reject. Each decision is the server's before it is shown.
const STATES = { "": "to_review", accepted: "accepted", rejected: "rejected" };
let map = null, photos = [], state = "", moving = null, chosen = null;

async function ask(path, body = null) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  let answer = null, said = {};
  try {
    answer = await fetch(path, options);
    said = await answer.json();
  } catch {
    // not reached, or the lock's page
  }
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
async function acceptAll(ids) {
  find("all").disabled = true;
  for (const id of ids) {
    const open = photos.some((one) => one.id === id && one.review === "");
    if (open && !(await tell(id, { review: "accepted" }))) break;
  }
  find("all").disabled = false;
  draw();
}

function draw() {
  find("tabs").replaceChildren(...Object.entries(STATES).map(([value, name]) => {
    const count = photos.filter(({ review }) => review === value).length;
    const made = button(`${words[name]} ${count}`, () => { state = value; chosen = null; draw(); });
    made.setAttribute("aria-pressed", String(value === state));
    return made;
  }));
  const shown = photos.filter(({ review }) => review === state), placed = shown.filter(({ lat }) => lat != null);
  find("all").hidden = state !== "" || placed.length < 2;
  find("all").textContent = say("accept_all", { count: placed.length });
  find("all").onclick = () => acceptAll(placed.map(({ id }) => id));
  // The keyboard stays where it was: on the photo that takes the decided one's place.
  const list = find("photos"), active = document.activeElement, at = [...list.children].indexOf(active?.closest("#photos > li"));
  const part = active?.matches(".picture") ? ".picture" : ".row button:enabled";
  list.replaceChildren(...shown.map((one, index) => entry(one, index + 1)));
  if (at >= 0 && shown.length) list.children[Math.min(at, shown.length - 1)].querySelector(part).focus({ preventScroll: true });
  if (!shown.length) list.append(Object.assign(document.createElement("p"), { textContent: words.nothing }));
  find("placing").hidden = !moving;
  map?.show(shown.map((one, index) => ({ ...one, text: String(index + 1) })).filter(({ lat }) => lat != null).map((one) => ({
    at: map.toLocal(one.lat, one.lon), text: one.text, radius_m: one.id === chosen ? one.error_m ?? 0 : 0,
    colour: one.id === chosen ? "#b3261e" : undefined, big: one.id === chosen, label: say("number", { number: one.text }),
    onTap: moving ? null : () => choose(one.id), // a photo is placed where the tap is, not at a sign beside it
  })));
}

function choose(id) {
  chosen = id;
  draw();
  document.querySelector(".photos .chosen")?.scrollIntoView({ block: "nearest" });
}

function entry(one, number) {
  const item = document.createElement("li"), picture = new Image(), told = document.createElement("p"), row = document.createElement("div");
  item.className = one.id === chosen ? "chosen" : "";
  item.dataset.id = one.id;
  picture.src = `/v1/inbox/${one.id}/thumbnail`;
  picture.alt = say("number", { number });
  picture.loading = "lazy";
  const look = button("", () => choose(one.id));
  look.className = "picture";
  look.append(picture);
  told.textContent = [
    `${number}`, one.who || words.someone, one.time_utc ? new Date(one.time_utc).toLocaleString(words.lang, { dateStyle: "short", timeStyle: "short" }) : "",
    words[`source_${one.source}`] + (one.error_m >= 0.5 ? ` ± ${say("distance", { value: Math.round(one.error_m) })}` : ""), corrected(one),
  ].filter(Boolean).join(" · ");
  row.className = "row";
  if (state === "") row.append(button(words.accept, () => decide(one.id, { review: "accepted" }), one.lat == null));
  row.append(button(words.move, () => { moving = chosen = one.id; draw(); find("map").scrollIntoView({ block: "start" }); }));
  if (state === "") row.append(button(words.reject, () => decide(one.id, { review: "rejected" })));
  else row.append(button(words.undo, () => decide(one.id, { review: "" })));
  item.append(look, told, row);
  return item;
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
  draw();
}

find("stop-placing").onclick = () => { moving = null; draw(); };
open();
