// A scale bar that is true at each zoom. Streamlit tells no one where its map looks, so the deck.gl instance is asked; a
// browser without WebGL has the still picture, whose scale the server knows. Where neither is known there is no bar.
// `kept.js` and `rest.js` stand before this file.
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
const EQUATOR_M = 40075016.686, TILE_PX = 512, MOST_PX = 110;
let watching;

export default function ({ parentElement: root, data }) {
  const bar = root.querySelector(".scale"), line = bar.querySelector("span");
  const draw = () => {
    const deck = data.webgl ? deckOnPage() : undefined, view = deck?.getViewports()[0];
    if (deck) restWhileStill(deck);
    const live = view && (EQUATOR_M * Math.cos((view.latitude * Math.PI) / 180)) / (TILE_PX * 2 ** view.zoom);
    const metresPerPx = data.webgl ? live : data.metres_per_px;
    bar.hidden = !metresPerPx;
    if (!metresPerPx) return;
    const metres = STEPS.findLast((step) => step / metresPerPx <= MOST_PX) ?? STEPS[0];
    const text = metres < 1000 ? data.texts.metres.replace("{value}", metres) : data.texts.kilometres.replace("{value}", metres / 1000);
    if (line.textContent !== text) line.textContent = text;
    line.style.width = `${metres / metresPerPx}px`;
  };
  clearInterval(watching);
  watching = setInterval(draw, 150);
  draw();
}
