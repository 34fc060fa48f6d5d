// The names on a map, the app's and the small ones: how large one is, and whether what lies at its place would cut it.
// [width, height] in pixels of a name's lines, which the browser's own letters draw, with a halo around them.
function sizeOfName(lines, font, line_px, halo_px) {
  const pen = (sizeOfName.pen ??= document.createElement("canvas").getContext("2d"));
  pen.font = font;
  return [Math.max(...lines.map((line) => pen.measureText(line).width)) + 2 * halo_px, lines.length * line_px + 2 * halo_px];
}

function rectangleAbout([x, y], [wide, high]) {
  return { left: x - wide / 2, right: x + wide / 2, top: y - high / 2, bottom: y + high / 2 };
}

// Whether a name leaves the screen, or meets one of the rectangles over it. A name that is cut is not seen at all.
function isCut({ left, right, top, bottom }, screen, over) {
  return left < screen.left || right > screen.right || top < screen.top || bottom > screen.bottom
    || over.some((part) => right > part.left && left < part.right && bottom > part.top && top < part.bottom);
}
