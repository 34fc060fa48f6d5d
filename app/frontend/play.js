// Photos that were tapped away and are still drawn, by their keys: they outlive the page's drawing the row anew.
const gone = new Set();

// The photos in play, each with a button that takes it out. The taps are this component's state, which each run of the page
// sees, and no trigger: that is lost where another tap interrupts the run that was to answer it. Photos that stay keep their
// button, since a finger may be on it while the row is drawn anew.
export default function ({ parentElement: root, setStateValue, data }) {
  const row = root.querySelector(".play");
  row.setAttribute("aria-label", data.label);
  const keys = data.photos.map(({ key }) => key);
  for (const place of [...row.children]) if (!keys.includes(place.dataset.key)) place.remove();
  for (const key of gone) if (!keys.includes(key)) gone.delete(key);
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
      setStateValue("gone", [...gone]);
    };
  });
}

function blank(key) {
  const place = document.createElement("div"), button = document.createElement("button");
  place.dataset.key = key;
  button.type = "button";
  button.textContent = "✕";
  place.append(document.createElement("img"), button);
  return place;
}
