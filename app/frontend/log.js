// The session's log in this browser's own storage, a line an entry: it outlives reloads, connections and servers.
const PREFIX = "campus-gps-log-1/";
const AGAIN_MS = 1500;
let known = new Set(), again = 0, begunEmpty;

export default function ({ data, setTriggerValue, setStateValue }) {
  // Storage that is full or forbidden: the log lives while the page is open, and the page says so.
  const tellMissing = (keys) => String(keys) !== String(data.missing) && setStateValue("missing", keys);
  try {
    clearInterval(again);
    const stored = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
    // What is stored later in a session that began with nothing is its own log, of which lines may have gone since.
    if (!stored.length && !known.size) begunEmpty = data.session;
    if (!data.restored && begunEmpty !== data.session && stored.length) {
      const tell = () => setTriggerValue("kept", stored.map((name) => localStorage.getItem(name)));
      tell();
      // What is told while the page is being drawn anew may not arrive.
      again = setInterval(tell, AGAIN_MS);
      return;
    }
    // Another tab's lines are not this page's to remove, so only those go that this page has had.
    for (const key of known) if (!data.keys.includes(key)) localStorage.removeItem(PREFIX + key);
    known = new Set(data.keys);
    for (const [key, line] of Object.entries(data.lines)) {
      try {
        localStorage.setItem(PREFIX + key, line);
      } catch {
        break; // no room
      }
    }
    tellMissing(data.keys.filter((key) => localStorage.getItem(PREFIX + key) === null));
  } catch {
    tellMissing(data.keys);
  }
}
