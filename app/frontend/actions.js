// One tap each: share the place, open it in the phone's own maps, copy it. A desktop has no maps of its own.
export default function ({ parentElement: root, data }) {
  const find = (selector) => root.querySelector(selector);
  const { lat, lon, texts } = data, place = `${lat}, ${lon}`;
  const share = find(".share"), maps = find(".maps"), copy = find(".copy"), said = find(".said");
  share.textContent = texts.share_place;
  maps.textContent = texts.open_maps;
  copy.textContent = texts.copy_place;
  said.textContent = "";
  share.hidden = !navigator.share;
  share.onclick = () => navigator.share({ title: texts.app, text: place }).catch(() => {});
  maps.hidden = !matchMedia("(pointer: coarse)").matches;
  const apple = /iPhone|iPad|iPod/.test(navigator.userAgent);
  maps.href = apple ? `maps://?ll=${lat},${lon}&q=${lat},${lon}` : `geo:${lat},${lon}?q=${lat},${lon}`;
  copy.onclick = async () => {
    try {
      await navigator.clipboard.writeText(place);
    } catch {
      // Over plain http there is no clipboard; the old way still works.
      const field = document.createElement("textarea");
      field.value = place;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    said.textContent = texts.copied;
  };
}
