// Pictures from a phone: its rear camera, and pictures of a bounded size. The app's camera and *Collect* use them.
const MAX_SIDE_PX = 1600, JPEG_QUALITY = 0.9; // far more than any network here wants, and 12 megapixels become 0.4 MB

function rearCamera() {
  return navigator.mediaDevices.getUserMedia({
    audio: false, video: { facingMode: { ideal: "environment" }, width: { ideal: 4096 }, height: { ideal: 3072 } },
  });
}

// The sensor's full resolution, where the browser has it; the video's frame otherwise.
async function frameOf(stream, video) {
  try {
    return await decoded(await new ImageCapture(stream.getVideoTracks()[0]).takePhoto());
  } catch {
    return createImageBitmap(video);
  }
}

// A picture file, upright. Rejects where the browser cannot decode it, as most cannot HEIC: the server can.
function decoded(file) {
  return createImageBitmap(file, { imageOrientation: "from-image" });
}

// A canvas with the picture, no side of it longer than most_px.
function shrunk(picture, width, height, most_px) {
  const scale = Math.min(1, most_px / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const paper = canvas.getContext("2d");
  paper.imageSmoothingQuality = "high";
  paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
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
