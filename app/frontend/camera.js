// `pictures.js` stands before this file.
//
// Photos that are not answered yet, what sends them, and those chosen meanwhile, which go in turn; each by its button.
// They outlive the page's drawing it anew, however long the connection is away.
const unanswered = {}, senders = {}, chosenMeanwhile = {}, ends = {};

// The phone's rear camera. A file input with `capture` opens the camera app itself, also on plain http; the photo is
// turned upright and made smaller here, and the EXIF, which a canvas loses, travels beside it.
export default function ({ parentElement: root, setTriggerValue, data }) {
  ends[data.another]?.(); // Streamlit ends what it takes off the page, not what it draws anew in its place
  const find = (selector) => root.querySelector(selector);
  const file = find(".file"), video = find("video"), live = find(".live"), snap = find(".snap");
  const take = find(".take"), say = find(".say"), follow = find(".follow input");
  const texts = data.texts;
  const classes = find(".camera").classList;
  classes.toggle("another", data.another);
  let stream = null, opening = false, closed = false, busy = false, following = null, onItsWay = null;

  find(".take-text").textContent = texts.take_photo;
  file.setAttribute("aria-label", texts.take_photo);
  find(".live-text").textContent = texts.live_view;
  snap.textContent = texts.snap;
  find(".follow-text").textContent = texts.follow;
  const hasLive = window.isSecureContext && !!navigator.mediaDevices?.getUserMedia;
  live.hidden = !hasLive || data.another;

  function working(text) {
    busy = !!text;
    take.classList.toggle("busy", busy);
    say.textContent = text || "";
  }

  function position() {
    if (!data.share_location || !navigator.geolocation || !window.isSecureContext) return Promise.resolve(null);
    return new Promise((resolve) =>
      navigator.geolocation.getCurrentPosition(
        ({ coords }) => resolve({ lat: coords.latitude, lon: coords.longitude, error_m: coords.accuracy }),
        () => resolve(null),
        { timeout: 3000, maximumAge: 10000, enableHighAccuracy: true },
      ),
    );
  }

  function asUrl(picture, width, height, most_px) {
    return shrunk(picture, width, height, most_px).toDataURL("image/jpeg", JPEG_QUALITY);
  }

  async function send(bitmap, exif, name) {
    deliver(asUrl(bitmap, bitmap.width, bitmap.height, MAX_SIDE_PX), exif, name);
  }

  async function deliver(url, exif, name) {
    say.textContent = texts.sending;
    const phone = await position();
    const shot = { url, exif, phone, name, number: Date.now() };
    unanswered[data.another] = { shot };
    senders[data.another]?.(shot); // this button, the one in its place, or the next that is drawn
  }

  const page = document.documentElement.dataset;
  const answered = (number) => (page.campusAnswered ?? "").split(" ").includes(String(number));
  const lost = () => document.documentElement.classList.contains("campus-lost");

  // A photo is said to be on its way until it is answered, and goes again once a lost connection is back.
  function untilAnswered(shot) {
    let idle = 0, again = false;
    working(texts.sending);
    clearInterval(unanswered[data.another]?.timer);
    setTriggerValue("photo", shot);
    onItsWay = setInterval(() => {
      if (answered(shot.number)) return arrived();
      const { testScriptState: state } = document.querySelector('[data-testid="stApp"]')?.dataset ?? {};
      say.textContent = state === "running" ? "" : texts.sending;
      idle = lost() || state !== "notRunning" ? 0 : idle + 1;
      if (idle > 50 || (again && !lost())) {
        idle = 0;
        setTriggerValue("photo", shot);
      }
      again = lost();
    }, 100);
    unanswered[data.another] = { shot, timer: onItsWay };
  }

  function arrived() {
    clearInterval(onItsWay);
    delete unanswered[data.another];
    working("");
    readNext();
  }

  function asDataUrl(photo) {
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(photo);
    });
  }

  function chosen() {
    const photo = file.files[0];
    file.value = "";
    if (!photo) return;
    if (photo.size > data.max_bytes) return void (say.textContent = texts.too_large);
    (chosenMeanwhile[data.another] ??= []).push(photo);
    if (!busy) readNext();
  }

  function readNext() {
    const next = chosenMeanwhile[data.another]?.shift();
    if (next) read(next);
  }

  async function read(photo) {
    working(texts.reading);
    try {
      const exif = await exifOf(photo);
      let bitmap = null;
      try {
        bitmap = await decoded(photo);
      } catch {
        // HEIC in a browser that cannot decode it: the server can.
      }
      if (bitmap) await send(bitmap, exif, photo.name);
      else await deliver(await asDataUrl(photo), null, photo.name);
    } catch {
      working("");
      say.textContent = texts.unreadable;
      readNext();
    }
  }

  // Live fixes: the next frame goes once the last one is answered, at most one a second. One that is not answered at all,
  // since another tap came between, is followed by another.
  function stepAlong() {
    const silent_ms = performance.now() - following.sent_ms;
    const next = answered(following.number);
    say.textContent = next || silent_ms < 2000 ? "" : texts.waiting;
    const due = silent_ms >= (next ? 1000 : 8000);
    if (!due || !video.videoWidth || lost()) return;
    following.number += 1;
    following.sent_ms = performance.now();
    const url = asUrl(video, video.videoWidth, video.videoHeight, data.frame_px);
    setTriggerValue("frame", { url, number: following.number });
  }

  function followOrNot() {
    clearInterval(following?.timer);
    following = null;
    say.textContent = "";
    classes.toggle("following", follow.checked);
    if (!follow.checked) return;
    following = { number: Date.now(), sent_ms: -Infinity, timer: setInterval(stepAlong, 100) };
  }

  function hidden() {
    if (document.hidden && following) stop();
  }

  function stop() {
    follow.checked = false;
    followOrNot();
    find(".follow").hidden = true;
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    video.hidden = snap.hidden = true;
    find(".live-text").textContent = texts.live_view;
  }

  async function toggleLive() {
    if (opening) return;
    if (stream) return stop();
    say.textContent = "";
    opening = true;
    try {
      const opened = await rearCamera();
      if (closed) return void opened.getTracks().forEach((track) => track.stop());
      stream = opened;
      video.srcObject = stream;
      video.hidden = snap.hidden = find(".follow").hidden = false;
      find(".live-text").textContent = texts.live_stop;
    } catch {
      say.textContent = texts.camera_refused;
    } finally {
      opening = false;
    }
  }

  async function capture() {
    if (!stream || busy) return;
    working(texts.reading);
    try {
      const bitmap = await frameOf(stream, video);
      stop();
      await send(bitmap, null, "");
    } catch {
      working("");
      say.textContent = texts.unreadable;
    }
  }

  file.onchange = chosen;
  live.onclick = toggleLive;
  snap.onclick = capture;
  follow.onchange = followOrNot;
  document.addEventListener("visibilitychange", hidden);
  take.onkeydown = (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      file.click();
    }
  };
  const sent = unanswered[data.another]?.shot;
  if (sent && !answered(sent.number)) untilAnswered(sent);
  else readNext();
  senders[data.another] = untilAnswered;
  const end = () => {
    closed = true;
    if (ends[data.another] === end) delete ends[data.another];
    if (senders[data.another] === untilAnswered) delete senders[data.another];
    clearInterval(onItsWay);
    document.removeEventListener("visibilitychange", hidden);
    stop();
  };
  ends[data.another] = end;
  return end;
}
