// Photos that are not answered yet, what sends them, and those chosen meanwhile, which go in turn; each by its button.
// They outlive the page's drawing it anew.
const unanswered = {}, senders = {}, chosenMeanwhile = {}, ends = {};
const OLD_MS = 120000;

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
  let stream = null, closed = false, busy = false, following = null, onItsWay = null;

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

  function shrunk(picture, width, height, most_px) {
    const scale = Math.min(1, most_px / Math.max(width, height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const paper = canvas.getContext("2d");
    paper.imageSmoothingQuality = "high";
    paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/jpeg", data.quality);
  }

  async function send(bitmap, exif, name) {
    deliver(shrunk(bitmap, bitmap.width, bitmap.height, data.max_side_px), exif, name);
  }

  async function deliver(url, exif, name) {
    say.textContent = texts.sending;
    const phone = await position();
    const shot = { url, exif, phone, name, number: Date.now() };
    unanswered[data.another] = { shot };
    senders[data.another]?.(shot); // this button, the one in its place, or the next that is drawn
  }

  const page = document.documentElement.dataset;
  const answered = (number) => page.campusAnswered === String(number);
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

  // The EXIF segment of a JPEG, in base64, or null: segments are 0xFF, a marker, and a length of two bytes.
  async function exifOf(photo) {
    const head = new Uint8Array(await photo.slice(0, 262144).arrayBuffer());
    if (head[0] !== 0xff || head[1] !== 0xd8) return null;
    for (let at = 2; at + 10 < head.length && head[at] === 0xff && head[at + 1] !== 0xda; ) {
      const length = head[at + 2] * 256 + head[at + 3];
      const part = head.subarray(at + 4, at + 2 + length);
      if (head[at + 1] === 0xe1 && String.fromCharCode(...part.subarray(0, 4)) === "Exif") {
        let text = "";
        for (const byte of part) text += String.fromCharCode(byte);
        return btoa(text);
      }
      at += 2 + Math.max(length, 2);
    }
    return null;
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
    (chosenMeanwhile[data.another] ??= []).push({ photo, number: Date.now() });
    if (!busy) readNext();
  }

  function readNext() {
    const queue = chosenMeanwhile[data.another] ?? [];
    const [next, ...others] = queue.filter(({ number }) => Date.now() - number < OLD_MS);
    chosenMeanwhile[data.another] = others;
    if (next) read(next.photo);
  }

  async function read(photo) {
    working(texts.reading);
    try {
      const exif = await exifOf(photo);
      let bitmap = null;
      try {
        bitmap = await createImageBitmap(photo, { imageOrientation: "from-image" });
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
    const url = shrunk(video, video.videoWidth, video.videoHeight, data.frame_px);
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
    if (stream) return stop();
    say.textContent = "";
    try {
      const opened = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: { ideal: "environment" }, width: { ideal: 4096 }, height: { ideal: 3072 } },
      });
      if (closed) return void opened.getTracks().forEach((track) => track.stop());
      stream = opened;
      video.srcObject = stream;
      video.hidden = snap.hidden = find(".follow").hidden = false;
      find(".live-text").textContent = texts.live_stop;
    } catch {
      say.textContent = texts.camera_refused;
    }
  }

  async function capture() {
    if (!stream || busy) return;
    working(texts.reading);
    try {
      let bitmap = null;
      try {
        // The sensor's full resolution, where the browser has it; the video frame otherwise.
        const blob = await new ImageCapture(stream.getVideoTracks()[0]).takePhoto();
        bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
      } catch {
        bitmap = await createImageBitmap(video);
      }
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
  if (sent && !answered(sent.number) && Date.now() - sent.number < OLD_MS) untilAnswered(sent);
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
