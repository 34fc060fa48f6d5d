const AWAKE_MS = 2000, RESTING_MS = 200;
const STIRS = ["pointerdown", "pointermove", "wheel", "touchstart", "touchmove", "keydown", "resize", "visibilitychange"];
let resting, stir;

// For as long as there is a map deck.gl asks at every frame of the screen whether to draw it, which keeps a phone's
// processor from its sleep. While no finger moves and the page does not change it asks five times a second.
function restWhileStill(deck) {
  if (resting === deck) return;
  resting = deck;
  let stirred = performance.now(), late;
  const drawIn = (ms) => {
    late.timer = setTimeout(() => late.frame(performance.now()), ms);
  };
  const wake = () => {
    stirred = performance.now();
    if (!late) return;
    clearTimeout(late.timer);
    drawIn(0);
  };
  const animationFrameProvider = {
    requestAnimationFrame(frame) {
      late = performance.now() - stirred < AWAKE_MS ? undefined : { frame };
      if (!late) return requestAnimationFrame(frame);
      drawIn(RESTING_MS);
      return late;
    },
    cancelAnimationFrame(asked) {
      if (asked === late) clearTimeout(late.timer);
      else cancelAnimationFrame(asked);
    },
  };
  if (!stir) {
    for (const kind of STIRS) addEventListener(kind, () => stir(), { capture: true, passive: true });
    const attributeFilter = ["data-test-script-state"]; // a run of the page may bring the map something new
    new MutationObserver(() => stir()).observe(document.body, { subtree: true, childList: true, attributeFilter });
  }
  stir = wake;
  deck.animationLoop?.setProps({ animationFrameProvider });
}
