// What waits in this browser's queue, corrections and photos of *Collect*, is sent while any page of the app is open, and the
// log is told of each correction that the server has. `queue.js` stands before this file.
const RETRY_MS = 15000;
let queue, reasons = {}, end = () => {};
const reasonOf = (said) => reasons[said.kind] ?? said.detail;

export default function ({ parentElement: root, setStateValue, data }) {
  end(); // Streamlit ends what it takes off the page, not what it draws anew in its place
  const line = root.querySelector(".waiting");
  reasons = data.reasons;
  queue ??= new Queue();

  async function look() {
    const records = await queue.all();
    const waiting = records.filter(({ state, placeDue }) => state === "waiting" || placeDue);
    const words = data.texts[waiting.length ? queue.trouble : ""];
    line.hidden = !words;
    line.textContent = words ? `${data.texts.waiting.replace("{count}", waiting.length)}. ${words.replace("{reason}", queue.reason)}` : "";
    const answered = records.filter(({ corrects, state, placeDue }) => corrects && state !== "waiting" && !placeDue);
    const known = answered.filter(({ corrects }) => data.noted.includes(corrects));
    if (known.length) return known.forEach(({ id }) => queue.change(id, (record) => ({ ...record, corrects: null })));
    const told = answered.filter(({ id }) => data.keys.includes(id));
    // A state, which each run of the page sees: a trigger is lost where another tap ends the run that was to read it.
    if (told.length) setStateValue("told", told.map(({ id, corrects, about: { lat, lon }, state, reviewed, kind, reason }) => (
      { key: id, corrects, lat, lon, state: reviewed ? "reviewed" : state, reason: reasons[kind] ?? reason ?? "" })));
  }

  queue.changed = look;
  const again = () => queue.send().then(look).catch(() => {}); // a browser that keeps nothing has no queue
  const shown = () => document.hidden || again();
  const timer = setInterval(again, RETRY_MS);
  for (const name of ["online", "campus-queued"]) addEventListener(name, again);
  document.addEventListener("visibilitychange", shown);
  end = () => {
    clearInterval(timer);
    for (const name of ["online", "campus-queued"]) removeEventListener(name, again);
    document.removeEventListener("visibilitychange", shown);
  };
  again();
  return end;
}
