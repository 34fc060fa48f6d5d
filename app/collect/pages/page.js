// What the pages that collect and review have in common: their words, a line of trouble, and buttons.
const words = JSON.parse(document.getElementById("words").textContent);
const find = (id) => document.getElementById(id);
const say = (key, blanks = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => blanks[name]);
const PLAN = `/v1/inbox-plan?lang=${words.lang}`;

// What the server says went wrong, in the page's language where that has words for it.
const reasonOf = (said) => words.reasons[said.kind] ?? said.detail;

function notice(text) {
  find("notice").textContent = text;
  find("notice").hidden = !text;
}

function button(text, work, off = false) {
  const made = document.createElement("button");
  made.textContent = text;
  made.onclick = work;
  made.disabled = off;
  return made;
}
