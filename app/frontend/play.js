// Photos that were tapped away and are still drawn, by their keys: they outlive the page's drawing the row anew.
const gone = new Set();

// The photos in play, each with a button that takes it out. The taps are this component's state, which each run of the page
// sees, and no trigger: that is lost where another tap interrupts the run that was to answer it.
export default function ({ parentElement: root, setStateValue, data }) {
  const row = root.querySelector(".play");
  row.setAttribute("aria-label", data.label);
  const shown = data.photos.map(({ key }) => key);
  for (const key of gone) if (!shown.includes(key)) gone.delete(key);
  row.replaceChildren(
    ...data.photos.map(({ key, url, remove, outlier }, index) => {
      const place = document.createElement("div"), picture = document.createElement("img");
      const button = document.createElement("button");
      place.classList.toggle("going", gone.has(key));
      picture.className = outlier ? "played outlier" : "played";
      picture.src = url;
      picture.alt = String(index + 1);
      button.type = "button";
      button.setAttribute("aria-label", remove);
      button.textContent = "✕";
      button.onclick = () => {
        gone.add(key);
        place.classList.add("going");
        setStateValue("gone", [...gone]);
      };
      place.append(picture, button);
      return place;
    }),
  );
}
