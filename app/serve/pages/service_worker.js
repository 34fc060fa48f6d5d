// Lets the page be installed. When the server cannot be reached, a page that says so comes from here; of all others only those
// on which photos are collected are kept, with what they are made of, so that they open where there is no connection.
const PAGES = $offline_pages, KEPT = "campus-collect", PATIENCE_MS = 3000;
const isKept = ({ pathname }) => pathname === "/collect" || pathname.startsWith("/collect/") || pathname === "/v1/inbox-plan";
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// From the server where it answers soon, else as it was last; in the other language rather than not at all.
async function freshOrKept(event) {
  const { request } = event, cache = await caches.open(KEPT);
  const fresh = fetch(request).then(async (answer) => {
    if (answer.ok && !answer.redirected) await cache.put(request, answer.clone());
    return answer;
  });
  event.waitUntil(fresh.catch(() => {})); // what comes late is there the next time
  const kept = (await cache.match(request)) ?? (await cache.match(request, { ignoreSearch: true }));
  if (!kept) return fresh;
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, kept));
  return Promise.race([fresh, late]).catch(() => kept);
}

self.addEventListener("fetch", (event) => {
  const { request } = event, url = new URL(request.url), navigates = request.mode === "navigate";
  const kept = request.method === "GET" && url.origin === self.location.origin && isKept(url);
  if (!kept && !navigates) return;
  const asked = url.searchParams.get("lang") ?? self.navigator.language;
  const page = () => new Response(asked.startsWith("he") ? PAGES.he : PAGES.en, {
    headers: { "Content-Type": "text/html; charset=utf-8" },
  });
  const answer = kept ? freshOrKept(event) : fetch(request);
  event.respondWith(navigates ? answer.catch(page) : answer);
});
