// Files that are chosen while the gallery's field holds others on their way to an answer. Streamlit puts another field in
// its place once they are read, and loses what the former one took meanwhile. They go into the next one, each choice by
// itself.
const FIELD = ".st-key-gallery input[type=file]";
const choices = [];
let taken, arrived; // the field that was given files last, and whether it shows them yet

function onItsWay() {
  if (document.documentElement.classList.contains("campus-lost")) taken = undefined;
  if (!taken?.isConnected) return false;
  const shown = !!taken.closest('[data-testid="stFileUploader"]')?.querySelector('[data-testid="stFileChip"]');
  arrived ||= shown;
  if (arrived && !shown) return false; // they were refused and taken out
  const state = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState;
  return state !== "notRunning" || !document.querySelector(".st-key-gallery_kept"); // the server was too busy to read them
}

document.addEventListener("change", (event) => {
  const field = event.target;
  if (!field.matches?.(FIELD)) return;
  if (!onItsWay()) return void ((taken = field), (arrived = false));
  event.stopImmediatePropagation();
  choices.push([...field.files]);
  field.value = "";
}, true);

function giveNext() {
  const field = onItsWay() || !choices.length ? null : document.querySelector(FIELD);
  if (!field) return;
  const files = new DataTransfer();
  for (const file of choices.shift()) files.items.add(file);
  field.files = files.files;
  field.dispatchEvent(new Event("change", { bubbles: true }));
}
