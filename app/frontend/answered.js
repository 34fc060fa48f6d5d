// Tells the page's camera, at the end of a run, which of its photos has been answered.
export default function ({ data }) {
  document.documentElement.dataset.campusAnswered = data.number;
}
