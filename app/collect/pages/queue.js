// The phone's own queue of photos, in IndexedDB: what is in it outlives a reload, a closed page and a lost connection, and
// leaves it only once the server said that it has the photo. The server knows a photo by its hash, so none comes twice.
//
// A record: { id, taken, blob, thumb, about, state: "waiting" | "sent" | "refused", hold, server, placeDue, reason, kind }.
// That of a correction has `corrects` too, a name for the tap, until the app's log has noted what became of it; its id is the
// key of the log's line, so a second tap takes the place of the first.
const PATIENCE_MS = 60000, LEAST_BYTES_PER_MS = 5; // a network that takes a photo more slowly is as good as none
const OF_THE_PHOTO = [400, 413, 415, 422];

class Queue {
  constructor(changed = () => {}) {
    this.changed = changed;
    this.trouble = ""; // "", "offline", "locked", "full" or "failing"
    this.reason = ""; // the server's own word for it
    this.failures = new Map(); // how often the server failed at a record, by its id
    this.opened = new Promise((resolve, reject) => {
      const asked = indexedDB.open("campus-collect", 1);
      asked.onupgradeneeded = () => asked.result.createObjectStore("photos", { keyPath: "id" });
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
    this.opened.catch(() => {}); // whoever asks the queue is told
  }

  // One transaction; resolves once it is on the disk.
  async run(mode, work) {
    const database = await this.opened;
    return new Promise((resolve, reject) => {
      const transaction = database.transaction("photos", mode, { durability: "strict" });
      const asked = work(transaction.objectStore("photos"));
      transaction.oncomplete = () => resolve(asked?.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  }

  async all() {
    const records = await this.run("readonly", (store) => store.getAll());
    return records.sort((one, other) => one.taken - other.taken);
  }

  // A change read and written in one transaction, so that a tap during an upload is not lost.
  async change(id, how) {
    await this.run("readwrite", (store) => {
      const asked = store.get(id);
      asked.onsuccess = () => asked.result && store.put(how(asked.result));
      return asked;
    });
    await this.changed();
  }

  async add(record) {
    await this.run("readwrite", (store) => store.put(record));
    await this.changed();
  }

  async remove(id) {
    await this.run("readwrite", (store) => store.delete(id));
    await this.changed();
  }

  async place(id, lat, lon) {
    await this.change(id, (record) => ({
      ...record,
      about: { ...record.about, lat, lon, error_m: null, source: "tap" },
      placeDue: record.state === "sent",
    }));
  }

  // Send what waits; two open pages take turns.
  async send() {
    if (!navigator.locks) return this.sendAll();
    return navigator.locks.request("campus-collect", { ifAvailable: true }, (lock) => lock && this.sendAll());
  }

  async sendAll() {
    const now = Date.now(), failures = ({ id }) => this.failures.get(id) ?? 0;
    // What the server failed at goes last, so that one photo alone holds up no other.
    for (const record of (await this.all()).sort((one, other) => failures(one) - failures(other))) {
      const due = record.state === "waiting" && !(record.hold > now);
      if (!due && !record.placeDue) continue;
      if (!(await this.tell(record))) break;
      const moved = (await this.all()).find(({ id, placeDue }) => id === record.id && placeDue);
      if (moved && moved.state === "sent" && !(await this.tell(moved))) break;
    }
    await this.forget();
    await this.changed();
  }

  // Tell the server of one record; false where it is of no use to go on now.
  async tell(record) {
    let answer, said = {};
    try {
      const signal = AbortSignal.timeout?.(PATIENCE_MS + (record.blob?.size ?? 0) / LEAST_BYTES_PER_MS);
      answer = await fetch(record.state === "waiting" ? "/v1/inbox" : `/v1/inbox/${record.server}`, { ...this.asked(record), signal });
      said = await answer.json().catch((cut) => (answer.ok ? Promise.reject(cut) : {})); // without its id the photo is not sent
    } catch {
      this.trouble = "offline";
      return false;
    }
    if (answer.status === 401 || answer.status === 403) {
      this.trouble = "locked";
      return false;
    }
    // Only what is wrong with the photo itself stays so: a server without an inbox may have one again.
    const refused = !answer.ok && (record.state !== "waiting" || OF_THE_PHOTO.includes(answer.status));
    if (answer.status >= 500 || answer.status === 429 || answer.status === 408 || (!answer.ok && !refused)) {
      this.trouble = answer.status === 507 ? "full" : answer.status >= 500 || answer.status === 429 ? "failing" : "offline";
      this.reason = reasonOf(said) ?? String(answer.status);
      this.failures.set(record.id, (this.failures.get(record.id) ?? 0) + 1);
      return false;
    }
    this.trouble = "";
    await this.change(record.id, (kept) => {
      if (!answer.ok) return record.state === "sent" ? { ...kept, placeDue: false } : { ...kept, state: "refused", reason: said.detail ?? "", kind: said.kind };
      // By what the server holds, not by what was sent: of a photo that it has already it keeps the former place.
      // What was reviewed stays so.
      const moved = !said.review && kept.about.source === "tap" && (kept.about.lat !== said.lat || kept.about.lon !== said.lon);
      // The photo's own EXIF may know its place, or that it is an older photo, taken elsewhere.
      const { lat, lon, error_m, source } = kept.about.source === "tap" ? kept.about : said, time_utc = said.time_utc ?? kept.about.time_utc;
      return { ...kept, about: { ...kept.about, lat, lon, error_m, source, time_utc, exif: null }, state: "sent", blob: null, server: said.id, placeDue: moved, reviewed: !!said.review };
    });
    return true;
  }

  asked(record) {
    if (record.state !== "waiting") {
      const { lat, lon } = record.about;
      return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ lat, lon }) };
    }
    const body = new FormData();
    body.append("photo", record.blob, "photo.jpg");
    body.append("about", JSON.stringify(record.about));
    return { method: "POST", body };
  }

  // The last hundred sent ones stay as small pictures; those without a place stay until they have one.
  async forget() {
    const done = (await this.all()).filter((one) => one.state === "sent" && !one.placeDue && one.about.lat != null);
    const old = done.slice(0, Math.max(0, done.length - 100));
    if (old.length) await this.run("readwrite", (store) => old.forEach(({ id }) => store.delete(id)));
  }
}
