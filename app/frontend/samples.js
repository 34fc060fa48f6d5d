// A strip of sample photos to swipe through; a tap chooses one.
export default function ({ parentElement: root, setTriggerValue, data }) {
  const strip = root.querySelector(".strip");
  strip.setAttribute("aria-label", data.label);
  strip.replaceChildren(
    ...data.items.map((item, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", item.label);
      button.setAttribute("aria-pressed", String(item.name === data.chosen));
      const picture = document.createElement("img");
      picture.src = item.url;
      picture.alt = "";
      const number = document.createElement("span");
      number.textContent = String(index + 1);
      number.setAttribute("aria-hidden", "true");
      button.append(picture, number);
      button.onclick = () => {
        for (const other of strip.children) other.setAttribute("aria-pressed", String(other === button));
        setTriggerValue("pick", item.name);
      };
      return button;
    }),
  );
}
