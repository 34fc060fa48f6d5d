"""What tests ask an open page in its own language, and what they put into it before it loads."""

from __future__ import annotations

from tests import REPOSITORY

POOR_CONTRAST = """() => {
  const channels = (text) => text.match(/[0-9.]+/g).map(Number);
  const over = (top, under) => {
    const alpha = top[3] ?? 1;
    return [0, 1, 2].map((at) => alpha * top[at] + (1 - alpha) * under[at]);
  };
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const colour = channels(getComputedStyle(element).backgroundColor);
    const behind = element.parentElement ?? element.getRootNode().host;
    return (colour[3] ?? 1) === 1 ? colour : over(colour, ground(behind));
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (top, behind) => {
    const [light, dim] = [top, behind].map(luminance).sort((a, b) => b - a);
    return (light + 0.05) / (dim + 0.05);
  };
  const poor = [];
  // Words stand in an element itself and in what the style puts before and after it, each on a ground of its own.
  const worded = (element) => {
    const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join("").trim();
    const put = ["::before", "::after"].map((part) => {
      const style = getComputedStyle(element, part), content = style.content.match(/^"(.*)"$/)?.[1] ?? "";
      const shown = style.display !== "none" && style.visibility === "visible" && Number(style.opacity) > 0;
      return { text: shown ? content : "", style, behind: over(channels(style.backgroundColor), ground(element)) };
    });
    const itself = { text: own, style: getComputedStyle(element), behind: ground(element) };
    return [itself, ...put].filter(({ text }) => text);
  };
  const look = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) look(element.shadowRoot);
      const box = element.getBoundingClientRect(), clipped = getComputedStyle(element).clipPath !== "none";
      if (!box.width || !box.height || element.closest("style, script") || clipped) continue;
      if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
      for (const { text, style, behind } of worded(element)) {
        const stands = ratio(over(channels(style.color), behind), behind);
        const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
        const large = size >= 24 || (size >= 18.66 && bold);
        if (stands < (large ? 3 : 4.5)) poor.push(`${text.slice(0, 40)}: ${stands.toFixed(2)}`);
      }
    }
  };
  look(document.body);
  for (const rail of document.querySelectorAll('[data-testid="stCheckbox"] label > span + div')) {
    const behind = ground(rail.parentElement), edge = getComputedStyle(rail).boxShadow;
    const edged = edge === "none" ? 1 : ratio(channels(edge).slice(0, 3), behind);
    const stands = Math.max(ratio(ground(rail), behind), edged);
    if (stands < 3) poor.push(`a switch's edge: ${stands.toFixed(2)}`);
  }
  return poor;
}"""

# `mapOnPage` and `deckOnPage`; and where deck.gl looks, asked as the scale bar does.
KEPT_SCRIPT = (REPOSITORY / "app/frontend/kept.js").read_text("utf-8")
VIEWPORT = f"{KEPT_SCRIPT} const viewport = () => deckOnPage()?.getViewports()[0];"
# Counts the runs that the page asks its server for (`rerun_script`, the field 11 of a message) and notes how many were
# asked for as one begins (`new_session`, the field 4, after the fields 1 and 2): the page itself says that it runs only
# once the server has said so, which on a busy machine is long after a tap.
WATCH_RUNS = """{
  window.asked = window.begun = 0;
  const { send } = WebSocket.prototype, watched = new WeakSet();
  const heard = ({ data }) => {
    const bytes = new Uint8Array(data);
    let at = 0;
    while (bytes[at] === 0x0a || bytes[at] === 0x12) {
      let length = 0, shift = 0;
      do length |= (bytes[++at] & 127) << shift, (shift += 7); while (bytes[at] & 128);
      at += 1 + length;
    }
    if (bytes[at] === 0x22) begun = asked;
  };
  WebSocket.prototype.send = function (message) {
    if (!watched.has(this)) watched.add(this), this.addEventListener("message", heard);
    if (new Uint8Array(message.buffer ?? message)[message.byteOffset ?? 0] === 0x5a) asked++;
    return send.call(this, message);
  };
}"""
# The app gives a phone's place three seconds; no test asks how fast it is told.
PATIENT = """if (window.Geolocation) {
  const { getCurrentPosition } = Geolocation.prototype;
  Geolocation.prototype.getCurrentPosition = function (told, refused, options) {
    return getCurrentPosition.call(this, told, refused, { ...options, timeout: Infinity });
  };
}"""
# The page tells that it runs a frame or two after the message that is counted here, and draws what it was told last in
# some more. Frames of the screen are counted, and no time: a busy machine may draw none for a second.
RESTS = """(looks) => {
  const app = document.querySelector("[data-testid=stApp]")?.dataset;
  const ran = app?.testScriptState === "notRunning" && app.testConnectionState === "CONNECTED";
  const late = ".campus-loading, [data-testid=stSkeleton]:not(.st-key-stage *)";
  const whole = !document.querySelector(late) && document.fonts.status === "loaded";
  looks.frames = ran && asked && begun === asked && whole ? looks.frames + 1 : 0;
  return looks.frames > 4;
}"""
SOME_FRAMES = "async () => { for (let one = 0; one < 3; one++) await new Promise(requestAnimationFrame); }"
# Colours and places that change by and by are at their end; what turns for ever is left to turn.
COME_TO_REST = f"""async () => {{
  await ({SOME_FRAMES})();
  const ends = (one) => one.playState === "running" && one.effect.getComputedTiming().endTime < Infinity;
  await Promise.allSettled(document.getAnimations().filter(ends).map((one) => one.finished));
}}"""
STILL = f"""(looks) => {{
  {VIEWPORT}
  const {{ longitude, latitude, zoom, width, height }} = viewport() ?? {{}};
  const at = [longitude, latitude, zoom, width, height].join();
  looks.frames = zoom !== undefined && at === looks.at && mapOnPage()?.loaded() ? looks.frames + 1 : 0;
  looks.at = at;
  return looks.frames > 40;
}}"""
