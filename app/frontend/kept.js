// What Streamlit keeps for itself in the hooks of React, at a part of the page or a part around it, and gives no one: the
// first that `of`, asked about a hook's state, finds.
function keptAt(selector, of) {
  const node = document.querySelector(selector);
  const name = node && Object.keys(node).find((key) => key.startsWith("__reactFiber$"));
  for (let fiber = name && node[name]; fiber; fiber = fiber.return) {
    for (let hook = fiber.memoizedState; hook?.next !== undefined; hook = hook.next) {
      const kept = of(hook.memoizedState);
      if (kept) return kept;
    }
  }
}

function mapOnPage() {
  const maps = "[data-testid=stDeckGlJsonChart] :is(.mapboxgl-map, .maplibregl-map)";
  return keptAt(maps, (state) => state?.addImage && state);
}

function deckOnPage() {
  const deck = keptAt("[data-testid=stDeckGlJsonChart] #deckgl-wrapper", (state) => {
    const one = state?.current?.deck;
    return one?.getViewports && one;
  });
  return deck?.isInitialized ? deck : undefined;
}
