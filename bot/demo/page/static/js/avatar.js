// Faces, drawn from an account's colour and first letter: nothing is loaded for them.

import { el, svg } from "./dom.js";

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
