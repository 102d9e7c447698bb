// Buttons, select menus, and the parts of messages that are made of components.

import { optionsOf } from "./dialogs.js";
import { el, icon } from "./dom.js";
import { fileOf } from "./embed.js";
import { link, marked } from "./markup.js";
import { openMenu } from "./menu.js";

const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger" };

/** A message's components as nodes. */
export function components(message, app) {
  return (message.components ?? []).map((part) => one(part, message, app));
}

function one(part, message, app) {
  const make = MAKERS[part.type] ?? (part.type >= 3 && part.type <= 8 ? select : null);
  return make ? make(part, message, app) : null;
}

const inside = (part, message, app) => part.components.map((each) => one(each, message, app));

const MAKERS = {
  1: (part, message, app) => el("div.buttons", {}, inside(part, message, app)),
  2: button,
  9: (part, message, app) => el("div.section", {}, el("div", {}, inside(part, message, app)), part.accessory ? one(part.accessory, message, app) : null),
  10: (part, message, app) => el("div.prose", {}, marked(part.content, app.names)),
  11: (part, message) => fileOf(part.media?.url, message),
  12: (part, message) => el("div.gallery", {}, part.items.map((item) => fileOf(item.media?.url, message))),
  13: (part, message) => fileOf(part.file?.url, message),
  14: () => el("hr"),
  17: container,
};

function container(part, message, app) {
  const node = el("div.embed", {}, inside(part, message, app));
  if (part.accent_color) node.style.setProperty("--edge", `#${part.accent_color.toString(16).padStart(6, "0").slice(-6)}`);
  return node;
}

function caption(part) {
  const emoji = part.emoji?.name ? (part.emoji.id ? `:${part.emoji.name}:` : part.emoji.name) : "";
  return [emoji, part.label].filter(Boolean).join(" ");
}

function button(part, message, app) {
  if (part.style === 5) return link(part.url, caption(part), true);
  const node = el(`button.${STYLES[part.style] ?? "secondary"}`, { type: "button", disabled: part.disabled, "data-custom": part.custom_id }, caption(part));
  node.addEventListener("click", () => busyWhile(node, app.interact("press", { message: message.id, custom_id: part.custom_id })));
  return node;
}

async function busyWhile(node, work) {
  node.setAttribute("aria-busy", "true");
  await work;
  node.removeAttribute("aria-busy");
}

function select(part, message, app) {
  const options = optionsOf(part, app.store);
  const chosen = new Set(options.filter((option) => option.default).map((option) => option.value));
  const text = options.filter((option) => chosen.has(option.value)).map((option) => option.label).join(", ") || part.placeholder || "Make a selection";
  const node = el("button.select", { type: "button", disabled: part.disabled, "aria-haspopup": "menu", "data-custom": part.custom_id }, el("span", {}, text), icon("down"));
  const send = (values) => app.interact("choose", { message: message.id, custom_id: part.custom_id, values });
  node.addEventListener("click", () => (part.max_values ?? 1) > 1 ? chooseMany(node, part, options, chosen, send) : chooseOne(node, part, options, chosen, send));
  return node;
}

function chooseOne(node, part, options, chosen, send) {
  const items = options.map((option) => ({ label: option.label, detail: option.description, checked: chosen.has(option.value), pick: () => send([option.value]) }));
  openMenu(node, part.placeholder ?? "Options", items);
}

function chooseMany(node, part, options, before, send) {
  const chosen = new Set(before);
  const toggle = (option) => (row) => {
    if (!chosen.delete(option.value) && chosen.size < part.max_values) chosen.add(option.value);
    row.setAttribute("aria-checked", String(chosen.has(option.value)));
  };
  const items = options.map((option) => ({ label: option.label, detail: option.description, checked: chosen.has(option.value), pick: toggle(option) }));
  const done = () => {
    const isChanged = chosen.size !== before.size || [...chosen].some((value) => !before.has(value));
    if (isChanged && chosen.size >= (part.min_values ?? 1)) send([...chosen]);
  };
  openMenu(node, part.placeholder ?? "Options", items, { many: true, done });
}
