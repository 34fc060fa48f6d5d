// "No, I am here": a tap on the map, and a button that stores it. `CampusMap` stands before this file.
// The true place is mostly near the answer, so that fills the map, its 95 % circle with much room about it.
const ROOM = 2.5, LEAST_ROOM_M = 40;

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
    onTap: (at) => {
      here = map.toLatLon(at);
      store.disabled = false;
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
  store.onclick = () => here && setTriggerValue("place", { lat: here[0], lon: here[1] });
  return () => map.watcher.disconnect();
}
