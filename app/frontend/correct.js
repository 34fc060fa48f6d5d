// "No, I am here": a tap on the map, and a button that stores it. `CampusMap` stands before this file.
export default function ({ parentElement: root, setTriggerValue, data }) {
  const store = root.querySelector(".store"), ground = root.querySelector(".ground");
  root.querySelector(".how").textContent = data.texts.correct_tap;
  store.textContent = data.texts.correct_store;
  store.disabled = true;
  let here = null;
  const map = new CampusMap(ground, data.plan, {
    dark: data.dark,
    label: data.texts.correct_tap,
    onTap: (at) => {
      here = map.toLatLon(at);
      store.disabled = false;
      draw(at);
    },
  });
  const fix = data.fix ? map.toLocal(...data.fix) : null;
  const draw = (at) => map.show([
    ...(fix ? [{ at: fix, colour: "#5f6771", text: "?" }] : []),
    ...(at ? [{ at, text: "✓", big: true }] : []),
  ]);
  draw(null);
  store.onclick = () => here && setTriggerValue("place", { lat: here[0], lon: here[1] });
  return () => map.watcher.disconnect();
}
