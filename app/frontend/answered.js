// Tells the page's camera, at the end of a run, which of its photos have been answered: the last ones, since each button looks
// for its own.
export default function ({ data }) {
  const page = document.documentElement.dataset, known = page.campusAnswered?.split(" ") ?? [];
  page.campusAnswered = [...new Set([...known, data.number])].slice(-50).join(" ");
}
