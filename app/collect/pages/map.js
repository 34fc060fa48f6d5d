// The campus's map as an SVG in local metres. Two fingers or the mouse move it, two fingers or the wheel zoom, a tap tells
// where; on a keyboard arrows, plus and minus, and Enter for the middle. One finger scrolls the page, unless the style of the
// map's place says `touch-action: none`: there it moves the map. It needs no library and asks the network for nothing.
// `labels.js` stands before this file.
const NAME_FONT = "700 11px system-ui, sans-serif", NAME_LINE_PX = 13, NAME_HALO_PX = 1.5, HINT_MS = 3000;

class CampusMap {
  constructor(place, plan, { dark = false, label = "", twoFingers = "", onTap = () => {} } = {}) {
    const [west, south, east, north] = plan.box;
    this.plan = plan;
    this.onTap = onTap;
    this.svg = CampusMap.element("svg", { class: "campus-map", tabindex: 0, role: "application", "aria-label": label });
    this.svg.style.cssText = "width:100%;height:100%;display:block;touch-action:inherit;user-select:none;-webkit-user-select:none";
    this.world = CampusMap.element("g");
    this.marks = CampusMap.element("g");
    this.cross = CampusMap.element("g", { visibility: "hidden", style: "pointer-events:none" }); // where Enter taps
    this.svg.append(this.world, this.marks, this.cross);
    this.thanks = document.createElement("small"); // whom the map's licence asks to name
    this.thanks.textContent = plan.thanks;
    this.thanks.style.cssText = "position:absolute;inset-inline-end:0;bottom:0;padding:0 6px;font:11px system-ui;pointer-events:none";
    this.thanks.hidden = !plan.thanks;
    this.hint = document.createElement("p"); // what a finger that moves nothing is told
    this.hint.textContent = twoFingers;
    this.hint.dir = "auto";
    this.hint.style.cssText = "position:absolute;inset:auto 0 50%;width:fit-content;max-width:90%;margin:0 auto;padding:8px 14px;"
      + "border-radius:12px;font:600 16px system-ui;text-align:center;transform:translateY(50%);pointer-events:none";
    this.hint.hidden = true;
    place.style.position = "relative";
    place.replaceChildren(this.svg, this.thanks, this.hint);
    this.middle = [(west + east) / 2, -(south + north) / 2];
    this.span = [east - west, north - south];
    this.zoom = 1; // times the scale at which the span fits
    this.zooms = [0.5, 40];
    this.paint(dark);
    this.listen();
    this.watcher = new ResizeObserver(() => this.look());
    this.watcher.observe(this.svg);
    this.look();
  }

  static element(name, attributes = {}, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  paint(dark) {
    const colours = this.plan.colours[dark ? "dark" : "light"], still = "vector-effect:non-scaling-stroke";
    this.svg.style.background = colours.ground;
    this.halo = dark ? "#10141a" : "#ffffff";
    this.ink = dark ? "#eef0f4" : "#26211b";
    Object.assign(this.thanks.style, { color: this.ink, background: this.halo });
    Object.assign(this.hint.style, { color: this.halo, background: this.ink });
    this.cross.replaceChildren(...[[this.halo, 6], [this.ink, 2]].map(([stroke, width]) =>
      CampusMap.element("path", { d: "M-14 0H14M0-14V14", stroke, "stroke-width": width })));
    this.blue = dark ? "#78b4ff" : "#0b57d0";
    this.world.replaceChildren(...this.plan.shapes.map(([kind, d, closed]) => {
      const colour = colours[kind] ?? colours.path;
      if (closed) {
        const edge = kind === "building" || kind === "tower" ? colours.building_edge : "none";
        return CampusMap.element("path", { d, fill: colour, "fill-rule": "evenodd", stroke: edge, style: still });
      }
      const width = { road: 5, photo: 2.4, tree: 4, scale: 0.8, walked: 1.6 }[kind] ?? 2.2; // metres
      return CampusMap.element("path", {
        d, fill: "none", stroke: colour, "stroke-width": width,
        "stroke-linecap": "round", "stroke-linejoin": "round", opacity: kind === "photo" ? 0.75 : 1,
      });
    }));
    // The letters come as they stand from left to right, so the browser must not turn them again.
    this.names = this.plan.labels.map(([east, north, lines]) => this.dot(east, north, ...lines.map((line, row) =>
      CampusMap.element("text", {
        y: NAME_LINE_PX * (row - (lines.length - 1) / 2) + 4, "text-anchor": "middle", fill: this.ink, stroke: this.halo,
        "stroke-width": 2 * NAME_HALO_PX, "paint-order": "stroke",
        style: `font:${NAME_FONT};direction:ltr;unicode-bidi:bidi-override`,
      }, line))));
    this.sizes = this.plan.labels.map(([, , lines]) => sizeOfName(lines, NAME_FONT, NAME_LINE_PX, NAME_HALO_PX));
    this.world.append(...this.names);
    this.look();
  }

  // A group that keeps its size in pixels, whatever the zoom.
  dot(east, north, ...children) {
    const made = CampusMap.element("g", { class: "dot" }, ...children);
    made.dataset.at = `${east} ${-north}`;
    return made;
  }

  // marks: [{ at: [east, north], colour, text, radius_m, label, big, onTap }]; circles lie below all signs.
  show(marks) {
    const circles = marks.filter(({ radius_m }) => radius_m > 0).map(({ at: [east, north], radius_m, colour = this.blue }) =>
      CampusMap.element("circle", {
        cx: east, cy: -north, r: radius_m, fill: colour, "fill-opacity": 0.15, stroke: colour, "stroke-width": 2,
        style: "vector-effect:non-scaling-stroke;pointer-events:none",
      }));
    const signs = marks.map(({ at: [east, north], colour, text = "", label = "", big, onTap }) => {
      const round = CampusMap.element("circle", { r: big ? 13 : 9, fill: colour ?? this.blue, stroke: this.halo, "stroke-width": 3 });
      const said = CampusMap.element("text", {
        y: 4.5, "text-anchor": "middle", "font-size": 13, "font-weight": 700, fill: colour ? "#ffffff" : this.halo,
        style: "pointer-events:none",
      }, text);
      const mark = this.dot(east, north, CampusMap.element("title", {}, label), round, said);
      mark.setAttribute("class", "dot mark");
      mark.size_px = big ? 29 : 21;
      mark.tapped = onTap;
      return mark;
    });
    this.marks.replaceChildren(...circles, ...signs);
    this.look();
  }

  look() {
    const { width, height } = this.svg.getBoundingClientRect();
    if (!width || !height) return;
    const fit = Math.min(width / this.span[0], height / this.span[1]);
    this.scale = fit * this.zoom; // pixels a metre
    const [wide, high] = [width / this.scale, height / this.scale];
    this.svg.setAttribute("viewBox", `${this.middle[0] - wide / 2} ${this.middle[1] - high / 2} ${wide} ${high}`);
    this.cross.setAttribute("transform", `translate(${this.middle.join(" ")}) scale(${1 / this.scale})`);
    for (const dot of this.svg.querySelectorAll(".dot")) {
      dot.setAttribute("transform", `translate(${dot.dataset.at}) scale(${1 / this.scale})`);
    }
    this.thin();
  }

  // Names that would cover one another are left out, the less telling first; nearer by, more of them have room. So are
  // those that the map's edge, its thanks or a mark would cut.
  thin() {
    const screen = this.svg.getBoundingClientRect(), taken = this.thanks.hidden ? [] : [this.thanks.getBoundingClientRect()];
    const middle = [screen.left + screen.width / 2, screen.top + screen.height / 2];
    const onScreen = (at) => at.map((metres, axis) => middle[axis] + (metres - this.middle[axis]) * this.scale);
    for (const { dataset, size_px } of this.marks.querySelectorAll(".mark")) {
      taken.push(rectangleAbout(onScreen(dataset.at.split(" ").map(Number)), [size_px, size_px]));
    }
    this.plan.labels.forEach(([east, north], index) => {
      const name = rectangleAbout(onScreen([east, -north]), this.sizes[index]), seen = !isCut(name, screen, taken);
      this.names[index].setAttribute("visibility", seen ? "visible" : "hidden");
      if (seen) taken.push(name);
    });
  }

  at(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [point.x, point.y];
  }

  zoomBy(factor, round = this.middle) {
    const before = this.zoom;
    const [least, most] = this.zooms;
    this.zoom = Math.min(most, Math.max(least, this.zoom * factor));
    const kept = before / this.zoom;
    this.middle = [0, 1].map((axis) => round[axis] + (this.middle[axis] - round[axis]) * kept);
    this.look();
  }

  // Begin with this many metres about a place, whatever the map's size becomes; the whole campus is not a zoom farther
  // than before. Where that is more than the campus, the map stays on the campus.
  openAt([east, north], reach_m) {
    const share = Math.min(...this.span.map((metres) => (2 * reach_m) / metres));
    if (share >= 1) return;
    this.span = [2 * reach_m, 2 * reach_m];
    this.zooms = this.zooms.map((zoom) => zoom * share);
    this.centre([east, north]);
  }

  // Bring a place into the middle, near enough to tell one side of a path from the other.
  centre([east, north], zoom = this.zoom) {
    this.middle = [east, -north];
    this.zoom = zoom;
    this.look();
  }

  // Whether a finger by itself is the page's.
  scrollsPage({ pointerType }) {
    return pointerType !== "mouse" && getComputedStyle(this.svg).touchAction !== "none";
  }

  askForTwoFingers() {
    clearTimeout(this.hinting);
    this.hint.hidden = false;
    this.hinting = setTimeout(() => { this.hint.hidden = true; }, HINT_MS);
  }

  listen() {
    this.listenToPointers();
    this.svg.onwheel = (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 400), this.at(event));
    };
    this.listenToKeys();
  }

  listenToPointers() {
    const down = new Map();
    let moved = false, two = false, apart = 0;
    const svg = this.svg;
    svg.onpointerdown = (event) => {
      svg.setPointerCapture(event.pointerId);
      if (!down.size) moved = two = false;
      down.set(event.pointerId, event);
      two ||= down.size > 1;
      apart = 0;
    };
    svg.onpointermove = (event) => {
      const last = down.get(event.pointerId);
      if (!last) return;
      const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
      if (!moved && Math.hypot(dx, dy) < 8 && down.size === 1) return;
      moved = true;
      down.set(event.pointerId, event);
      if (down.size === 1 && this.scrollsPage(event)) return two || this.askForTwoFingers();
      this.middle = [this.middle[0] - dx / this.scale / down.size, this.middle[1] - dy / this.scale / down.size];
      if (down.size === 2) {
        const [one, other] = [...down.values()];
        const now = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        if (apart) this.zoomBy(now / apart);
        apart = now;
      }
      this.look();
    };
    svg.onpointerup = (event) => {
      if (!down.delete(event.pointerId) || moved || two || down.size) return;
      const mark = svg.getRootNode().elementFromPoint(event.clientX, event.clientY)?.closest(".mark");
      if (mark?.tapped) return mark.tapped();
      const [x, y] = this.at(event);
      this.onTap([x, -y]);
    };
    svg.onpointercancel = (event) => down.delete(event.pointerId);
    // With two fingers the browser would scroll as with one.
    const keep = (event) => event.targetTouches.length > 1 && event.cancelable && event.preventDefault();
    svg.addEventListener("touchmove", keep, { passive: false });
  }

  listenToKeys() {
    const svg = this.svg;
    const aim = () => this.cross.setAttribute("visibility", svg.matches(":focus-visible") ? "visible" : "hidden");
    svg.onfocus = svg.onblur = aim;
    svg.onkeydown = (event) => {
      aim();
      const step = 40 / this.scale;
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      if (moves[event.key]) this.middle = this.middle.map((value, axis) => value + moves[event.key][axis]);
      else if (event.key === "+" || event.key === "=") return this.zoomBy(1.5);
      else if (event.key === "-") return this.zoomBy(1 / 1.5);
      else if (event.key === "Enter") return this.onTap([this.middle[0], -this.middle[1]]);
      else return;
      event.preventDefault();
      this.look();
    };
  }

  toLatLon([east, north]) {
    return this.plan.to_latlon.map(([constant, byEast, byNorth]) => constant + byEast * east + byNorth * north);
  }

  toLocal(lat, lon) {
    const [[a, b, c], [d, e, f]] = this.plan.to_latlon, whole = b * f - c * e;
    return [(f * (lat - a) - c * (lon - d)) / whole, (b * (lon - d) - e * (lat - a)) / whole];
  }
}
