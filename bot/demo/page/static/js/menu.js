// Menus that open at a message, a name or a select: by mouse, by keys, by touch.

import { el, icon } from "./dom.js";

const EDGE_PX = 8;

let opened = null;

/**
 * Open a menu.
 * @param {{x: number, y: number} | Element} at - A point of the window, or what it belongs to.
 * @param {string} label - Its name.
 * @param {(object | null)[]} items - `{label, icon, kind, checked, pick}`; null draws a line.
 *   A `node` is put in as it is.
 * @param {{many?: boolean, done?: function}} options - many: picking doesn't close it; done: it was closed.
 */
export function openMenu(at, label, items, { many = false, done = null } = {}) {
  closeMenu();
  const returnTo = document.activeElement;
  const menu = el("div.menu", { role: "menu", "aria-label": label, popover: "auto" }, lined(items).map((item) => row(item, many, () => menu.hidePopover())));
  menu.addEventListener("keydown", (event) => moveIn(menu, event));
  menu.addEventListener("focusout", ({ relatedTarget }) => relatedTarget && !menu.contains(relatedTarget) && menu.hidePopover());
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    menu.remove();
    opened = null;
    if (document.activeElement === document.body || menu.contains(document.activeElement)) returnTo?.focus();
    done?.();
  });
  (document.querySelector("dialog[open]") ?? document.body).append(menu);
  menu.showPopover();
  place(menu, at);
  opened = menu;
  focusable(menu)[0]?.focus();
}

/** Close the menu that is open, if one is. */
export function closeMenu() {
  opened?.hidePopover();
}

/** Without lines at the ends or beside each other. */
const lined = (items) => items.filter((item, at) => item !== null || (at > 0 && at < items.length - 1 && items[at - 1] !== null));

const focusable = (menu) => [...menu.querySelectorAll("[role^=menuitem]:not([aria-disabled])")];

function row(item, many, close) {
  if (item === null) return el("hr", { role: "separator" });
  if (item.node) return item.node;
  const checkable = item.checked !== undefined;
  const node = el(
    item.kind ? `button.${item.kind}` : "button",
    { type: "button", role: checkable ? "menuitemcheckbox" : "menuitem", tabindex: -1, "aria-checked": checkable ? String(item.checked) : null },
    el("span.label", {}, item.label, item.detail ? el("span.detail", {}, item.detail) : null), item.icon ? icon(item.icon) : null,
  );
  node.addEventListener("click", () => {
    if (!many) close();
    item.pick(node);
  });
  return node;
}

function moveIn(menu, event) {
  const rows = focusable(menu);
  const at = rows.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (event.key === "Tab") menu.hidePopover();
  if (to === undefined) return;
  event.preventDefault();
  rows[(to + rows.length) % rows.length]?.focus();
}

function place(menu, at) {
  const { width, height } = menu.getBoundingClientRect();
  const box = at instanceof Element ? at.getBoundingClientRect() : { left: at.x, bottom: at.y, top: at.y };
  const below = box.bottom + height + EDGE_PX <= innerHeight;
  menu.style.left = `${Math.max(EDGE_PX, Math.min(box.left, innerWidth - width - EDGE_PX))}px`;
  menu.style.top = `${Math.max(EDGE_PX, below ? box.bottom : box.top - height)}px`;
}
