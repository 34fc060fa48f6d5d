// Lets the page be installed. Nothing is stored: only when the server cannot be reached does a page come from here.
const PAGES = $offline_pages;
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.mode !== "navigate") return;
  const asked = new URL(event.request.url).searchParams.get("lang") ?? self.navigator.language;
  const page = () => new Response(asked.startsWith("he") ? PAGES.he : PAGES.en, {
    headers: { "Content-Type": "text/html; charset=utf-8" },
  });
  event.respondWith(fetch(event.request).catch(page));
});
