// The names on the map. Its style places each whole or not at all; how one looks is drawn here with the letters of the
// browser, since the letters of a style come from a server. Streamlit gives no one its map, so it is asked for.
const LINE_PX = 14, HALO_PX = 3, FONT = "700 12px system-ui, sans-serif";
let watching;

function mapOnPage() {
  const node = document.querySelector("[data-testid=stDeckGlJsonChart] :is(.mapboxgl-map, .maplibregl-map)");
  const name = node && Object.keys(node).find((key) => key.startsWith("__reactFiber$"));
  for (let fiber = name && node[name]; fiber; fiber = fiber.return) {
    for (let hook = fiber.memoizedState; hook?.next !== undefined; hook = hook.next) {
      if (hook.memoizedState?.addImage) return hook.memoizedState;
    }
  }
}

// An image is called by its colour, a space, and the lines of its text.
function picture(image, halo, ratio) {
  const ink = image.slice(0, image.indexOf(" ")), lines = image.slice(ink.length + 1).split("\n");
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = FONT;
  const wide = Math.max(...lines.map((line) => pen.measureText(line).width)) + 2 * HALO_PX;
  pen.canvas.width = Math.ceil(wide * ratio);
  pen.canvas.height = Math.ceil((lines.length * LINE_PX + 2 * HALO_PX) * ratio);
  pen.scale(ratio, ratio);
  Object.assign(pen, { font: FONT, textAlign: "center", textBaseline: "middle", lineJoin: "round", lineWidth: HALO_PX });
  Object.assign(pen, { strokeStyle: halo, fillStyle: ink });
  lines.forEach((line, row) => {
    const at = ["\u202d" + line, wide / 2, HALO_PX + (row + 0.5) * LINE_PX]; // its letters stand as they are drawn
    pen.strokeText(...at);
    pen.fillText(...at);
  });
  return pen.getImageData(0, 0, pen.canvas.width, pen.canvas.height);
}

export default function ({ data }) {
  const ratio = Math.min(2, Math.max(1, devicePixelRatio));
  const draw = () => {
    const map = mapOnPage();
    if (!map?.style) return;
    if (map.loaded()) document.documentElement.classList.add("campus-map-drawn"); // the still picture under it may go
    for (const image of data.names) {
      if (!map.hasImage(image)) map.addImage(image, picture(image, data.halo, ratio), { pixelRatio: ratio });
    }
  };
  clearInterval(watching);
  watching = setInterval(draw, 150); // the map comes late, and a new style has no pictures
  draw();
}
