// Moments as Discord writes them, in the reader's language and time zone.

const STYLES = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
  s: { dateStyle: "short", timeStyle: "short" },
  S: { dateStyle: "short", timeStyle: "medium" },
};
const UNITS = [
  ["year", 31_556_952], ["month", 2_629_746], ["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1],
];

const formats = new Map();
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

function format(style) {
  if (!formats.has(style)) formats.set(style, new Intl.DateTimeFormat(undefined, STYLES[style]));
  return formats.get(style);
}

/** Say a moment. @param {number} unix - Seconds. @param {string} style - Discord's letter. */
export function say(unix, style) {
  if (style === "R") return ago(unix - Date.now() / 1000);
  const date = new Date(unix * 1000);
  return Number.isNaN(date.getTime()) ? String(unix) : format(style).format(date);
}

function ago(seconds) {
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? UNITS.at(-1);
  return relative.format(Math.trunc(seconds / size), unit);
}

/** A moment within a text; one that is relative stays true by `tick`. */
export function timeElement(unix, style) {
  const node = document.createElement("time");
  node.className = "moment";
  node.textContent = say(unix, style);
  node.title = say(unix, "F");
  if (style === "R") node.dataset.unix = unix;
  return node;
}

function tick() {
  for (const node of document.querySelectorAll("time[data-unix]")) {
    const text = say(Number(node.dataset.unix), "R");
    if (node.textContent !== text) node.textContent = text;
  }
}

/** Keep relative moments true, once a second while the page can be seen. */
export function keepTime() {
  setInterval(() => document.hidden || tick(), 1000);
}

/** A message's moment as its head shows it: the time today, else day and time. */
export function stamp(date) {
  return sameDay(date, new Date()) ? format("t").format(date) : format("s").format(date);
}

/** Whether two dates are the same day here. */
export function sameDay(a, b) {
  return a.toDateString() === b.toDateString();
}

/** A duration for people: "0.4 s", "12 s", "2 min". @param {number} seconds */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)}\u00a0s`;
  return seconds < 120 ? `${Math.round(seconds)}\u00a0s` : `${Math.round(seconds / 60)}\u00a0min`;
}
