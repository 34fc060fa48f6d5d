// Photos that were tapped away, by their keys, which no other photo ever has.
const gone = new Set();
const AGAIN_MS = 1000;
let again = 0;

// The photos in play, each with a button that takes it out. The taps are this component's state, which each run of the page
// sees, and no trigger: that is lost where another tap interrupts the run that was to answer it. Photos that stay keep their
// button, since a finger may be on it while the row is drawn anew.
export default function ({ parentElement: root, setStateValue, data }) {
  const row = root.querySelector(".play");
  row.setAttribute("aria-label", data.label);
  let told = 0;
  const tell = () => setStateValue("gone", [...gone, String((told += 1))]); // what is the same as before is not sent
  const keys = data.photos.map(({ key }) => key);
  for (const place of [...row.children]) if (!keys.includes(place.dataset.key)) place.remove();
  data.photos.forEach(({ key, url, remove, outlier }, index) => {
    if (row.children[index]?.dataset.key !== key) row.append(blank(key));
    const place = row.children[index], [picture, button] = place.children;
    place.classList.toggle("going", gone.has(key));
    picture.className = outlier ? "played outlier" : "played";
    if (picture.src !== url) picture.src = url;
    picture.alt = String(index + 1);
    button.setAttribute("aria-label", remove);
    button.onclick = () => {
      gone.add(key);
      place.classList.add("going");
      tell();
    };
  });
  // One that is still drawn while the page rests was not taken out: its tap met a lost connection or a busy server.
  clearInterval(again);
  again = setInterval(() => {
    const state = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState;
    const lost = document.documentElement.classList.contains("campus-lost");
    if (keys.some((key) => gone.has(key)) && root.isConnected && state === "notRunning" && !lost) tell();
  }, AGAIN_MS);
  return () => clearInterval(again);
}

function blank(key) {
  const place = document.createElement("div"), button = document.createElement("button");
  place.dataset.key = key;
  button.type = "button";
  button.textContent = "✕";
  place.append(document.createElement("img"), button);
  return place;
}
