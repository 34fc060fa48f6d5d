// A strip of sample photos to swipe through; a tap chooses one. A place in it keeps its button, since a finger or the keyboard
// may be on it while the strip is drawn anew.
export default function ({ parentElement: root, setTriggerValue, data }) {
  const strip = root.querySelector(".strip");
  strip.setAttribute("aria-label", data.label);
  while (strip.children.length > data.items.length) strip.lastChild.remove();
  data.items.forEach((item, index) => {
    if (!strip.children[index]) strip.append(blank(index + 1));
    const button = strip.children[index], [picture] = button.children;
    button.setAttribute("aria-label", item.label);
    button.setAttribute("aria-pressed", String(item.name === data.chosen));
    if (picture.src !== item.url) picture.src = item.url;
    button.onclick = () => {
      for (const other of strip.children) other.setAttribute("aria-pressed", String(other === button));
      setTriggerValue("pick", item.name);
    };
  });
}

function blank(place) {
  const button = document.createElement("button"), number = document.createElement("span");
  button.type = "button";
  number.textContent = String(place);
  number.setAttribute("aria-hidden", "true");
  button.append(Object.assign(new Image(), { alt: "" }), number);
  return button;
}
