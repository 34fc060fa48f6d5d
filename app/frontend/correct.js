// "No, I am here": a tap on the map, and a button that stores it. `CampusMap` and `Queue` stand before this file.
// The true place is mostly near the answer, so that fills the map, its 95 % circle with much room about it.
const ROOM = 2.5, LEAST_ROOM_M = 40;
let queue;

export default function ({ parentElement: root, setTriggerValue, data }) {
  const store = root.querySelector(".store"), ground = root.querySelector(".ground");
  const how = data.texts[matchMedia("(pointer: fine)").matches ? "correct_wheel" : "correct_fingers"];
  root.querySelector(".how").textContent = how;
  store.textContent = data.texts.correct_store;
  store.disabled = true;
  let here = null;
  const map = new CampusMap(ground, data.plan, {
    dark: data.dark,
    label: how,
    twoFingers: data.texts.two_fingers,
    onTap: (at) => {
      here = map.toLatLon(at);
      store.disabled = false;
      root.querySelector(".kept").textContent = "";
      draw(at);
    },
  });
  const fix = data.answer ? map.toLocal(data.answer.lat, data.answer.lon) : null;
  if (fix) map.openAt(fix, Math.max(ROOM * data.answer.error_m, data.answer.error_m + LEAST_ROOM_M));
  const draw = (at) => map.show([
    ...(fix ? [{ at: fix, colour: "#5f6771", text: "?" }] : []),
    ...(at ? [{ at, text: "✓", big: true }] : []),
  ]);
  draw(null);

  // Onto the disk first, as the photos of *Collect*: from there it goes up by itself, whatever becomes of the server.
  async function keep([lat, lon], { key, photo, thumb, about }) {
    const blob = new Blob([Uint8Array.from(atob(photo), (letter) => letter.charCodeAt(0))]);
    queue ??= new Queue();
    await queue.add({
      id: key, taken: Date.now(), blob, thumb, about: { ...about, lat, lon }, state: "waiting", hold: 0, server: null,
      placeDue: false, reason: "", corrects: crypto.randomUUID(),
    });
    root.querySelector(".kept").textContent = data.texts.correct_kept;
    dispatchEvent(new Event("campus-queued"));
  }

  store.onclick = async () => {
    store.disabled = true;
    const [lat, lon] = here;
    try {
      if (data.kept) return await keep(here, data.kept);
    } catch {
      queue = undefined; // a full disk, a private window: then the session has it alone
    }
    setTriggerValue("place", { lat, lon });
  };
  return () => map.watcher.disconnect();
}
