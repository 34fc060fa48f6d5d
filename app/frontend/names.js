// The names on the map. Its style places each whole or not at all; how one looks is drawn here with the letters of the
// browser, since the letters of a style come from a server. `kept.js` and `labels.js` stand before this file.
const LINE_PX = 14, HALO_PX = 3, FONT = "700 12px system-ui, sans-serif";
let watching, looked, numbered = [], number_px = 0;

// An image is called by its colour, a space, and the lines of its text.
function picture(image, halo, ratio) {
  const ink = image.slice(0, image.indexOf(" ")), lines = image.slice(ink.length + 1).split("\n");
  const pen = document.createElement("canvas").getContext("2d"), [wide, high] = sizeOfName(lines, FONT, LINE_PX, HALO_PX);
  pen.canvas.width = Math.ceil(wide * ratio);
  pen.canvas.height = Math.ceil(high * ratio);
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

// A name that the map's edge, the page's head, a button over the map, the scale or an answer's numbered place would cut is
// not seen at all.
const OVER_MAP = ".st-key-top .campus-head, .st-key-top button, .st-key-controls :is(button, .north), .st-key-scale_place, .mapboxgl-ctrl-group, .maplibregl-ctrl-group";
function hideCut(map) {
  if (!map.getLayer("names")) return;
  const screen = map.getCanvas().getBoundingClientRect();
  const over = [...document.querySelectorAll(OVER_MAP)].map((part) => part.getBoundingClientRect());
  for (const place of numbered) {
    const at = map.project(place);
    over.push(rectangleAbout([screen.left + at.x, screen.top + at.y], [number_px, number_px]));
  }
  for (const { id, properties, geometry } of map.queryRenderedFeatures({ layers: ["names"] })) {
    const { data, pixelRatio } = map.style.getImage(properties.image), at = map.project(geometry.coordinates);
    const size = [data.width / pixelRatio, data.height / pixelRatio];
    const cut = isCut(rectangleAbout([screen.left + at.x, screen.top + at.y], size), screen, over);
    const name = { source: "names", id };
    if ((map.getFeatureState(name).cut ?? false) !== cut) map.setFeatureState(name, { cut });
  }
}

export default function ({ data }) {
  ({ numbered, number_px } = data);
  if (looked?.style) looked.triggerRepaint(); // it may lie still under another answer
  const ratio = Math.min(2, Math.max(1, devicePixelRatio));
  const draw = () => {
    const map = mapOnPage();
    if (!map?.style) return;
    if (looked !== map) (looked = map).on("idle", () => hideCut(map));
    if (map.loaded()) document.documentElement.classList.add("campus-map-drawn"); // the still picture under it may go
    for (const image of data.names) {
      if (!map.hasImage(image)) map.addImage(image, picture(image, data.halo, ratio), { pixelRatio: ratio });
    }
  };
  clearInterval(watching);
  watching = setInterval(draw, 150); // the map comes late, and a new style has no pictures
  draw();
}
