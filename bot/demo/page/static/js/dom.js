// Elements from values. Text always becomes text nodes; no HTML string is ever parsed.

const SVG = "http://www.w3.org/2000/svg";

function setAll(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * Make an element.
 * @param {string} tag - With classes behind dots: "button.quiet".
 * @param {object} attributes - Attributes; `onclick` and the like are listeners; null, undefined
 *   and false are left out.
 * @param {...(Node|string|null|Array)} children
 */
export function el(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(" ");
  setAll(node, attributes);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Make an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  setAll(node, attributes);
  node.append(...children);
  return node;
}

/** A button that shows an icon only; its name is for tooltips and screen readers. */
export function iconButton(name, label, onclick, attributes = {}) {
  return el("button.icon-button", { type: "button", "aria-label": label, title: label, onclick, ...attributes }, icon(name));
}

let numbered = 0;

/** An id that no other element has. */
export const freshId = (prefix) => `${prefix}-${++numbered}`;

/** Paths on a 24 × 24 grid, drawn as lines. */
const PATHS = {
  attach: "M12 5v14M5 12h14",
  bolt: "M13 3 5 14h6l-1 7 8-11h-6z",
  bubble: "M4 5h16v11H10l-5 4v-4H4z",
  check: "m5 12 5 5 9-10",
  close: "M6 6l12 12M18 6 6 18",
  down: "M6 9l6 6 6-6",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  eye: "M3 12s3-6 9-6 9 6 9 6-3 6-9 6-9-6-9-6zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5",
  face: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M9 10v.01M15 10v.01M9 14c1.500 2 4.500 2 6 0",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  forum: "M4 4h12v8H9l-3 3v-3H4zM10 15v2h5l3 3v-3h2V9h-1",
  hash: "M10 4 8 20M16 4l-2 16M5 9h15M4 15h15",
  menu: "M4 7h16M4 12h16M4 17h16",
  moon: "M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10z",
  more: "M4.500 12h1M11.500 12h1M18.500 12h1",
  panel: "M4 5h16v14H4zM15 5v14",
  plus: "M12 6v12M6 12h12",
  reply: "M10 6 4 12l6 6M4 12h9c4 0 6 2 7 6",
  send: "M4 12 20 4l-5 16-4-7z",
  slash: "M15 5 9 19",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500 19 19M19 5l-1.500 1.500M6.500 17.500 5 19",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  thread: "M5 6h14M5 11h9M9 16h10M5 11v5h2",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
};

/** A drawn icon, hidden from screen readers. */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}

/** The name of a channel's icon. */
export const markOf = (channel) => ({ dm: "bubble", forum: "forum", thread: "thread" }[channel.kind] ?? "hash");

// Faces are drawn from an account's colour and first letter: nothing is loaded for them.

/** A round picture. The bot has a face with a claw's marks, people their initial. */
export function avatar(user, status = null) {
  const node = el("span.avatar", { "aria-hidden": "true" });
  const picture = svg("svg", { viewBox: "0 0 40 40" }, svg("circle", { cx: 20, cy: 20, r: 20, fill: user.color }));
  if (user.bot) picture.append(svg("path", { d: "M13 11 11 28M20.500 10 19.500 30M28 11l1 17", class: "claws" }));
  else picture.append(letter(user.name));
  node.append(picture);
  if (status) node.append(el(`span.status.status-${status}`));
  return node;
}

function letter(name) {
  const first = [...name.trim()][0] ?? "?";
  const node = svg("text", { x: 20, y: 20, class: "letter", "text-anchor": "middle", "dominant-baseline": "central" });
  node.textContent = first.toLocaleUpperCase();
  return node;
}
