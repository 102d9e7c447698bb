// The list above the line one types in: people, channels, commands, an option's values.

import { el, freshId } from "./dom.js";

export class Suggestions {
  #items = [];
  #active = -1;
  #pick = null;
  #input = null;

  /** @param {Element} place - Where the list is put. */
  constructor(place) {
    this.list = el("ul.suggestions", { role: "listbox", tabindex: "0", id: freshId("suggestions"), "aria-label": "Suggestions", hidden: true });
    place.append(this.list);
  }

  get isOpen() {
    return !this.list.hidden;
  }

  /**
   * Show what fits.
   * @param {HTMLElement} input - The field that is typed in; it keeps the focus.
   * @param {{label: string, detail?: string, mark?: Node, more?: Node}[]} items
   * @param {function(object)} pick - Called with the item that was chosen.
   * @param {{choose?: boolean}} options - choose: the first is marked at once, so Enter takes it.
   */
  show(input, items, pick, { choose = true } = {}) {
    if (!items.length) return this.hide();
    this.hide();
    this.#items = items;
    this.#pick = pick;
    this.#input = input;
    this.list.replaceChildren(...items.map((item, index) => this.#row(item, index)));
    this.list.hidden = false;
    input.setAttribute("aria-controls", this.list.id);
    if (input.getAttribute("role") === "combobox") input.setAttribute("aria-expanded", "true");
    this.#mark(choose ? 0 : -1);
  }

  hide() {
    this.list.hidden = true;
    this.list.replaceChildren();
    this.#input?.removeAttribute("aria-activedescendant");
    this.#input?.removeAttribute("aria-controls");
    if (this.#input?.getAttribute("role") === "combobox") this.#input.setAttribute("aria-expanded", "false");
    this.#items = [];
    this.#input = null;
  }

  /** Take a key of the field's; returns whether it was for the list. */
  key(event) {
    if (!this.isOpen || event.isComposing) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#mark((this.#active + step + this.#items.length) % this.#items.length);
    else if (event.key === "Escape") this.hide();
    else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey && this.#active >= 0) this.#choose(this.#active);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #row(item, index) {
    return el(
      "li", {
        role: "option", id: `${this.list.id}-${index}`, "aria-selected": "false",
        onmousedown: (event) => event.preventDefault(),
        onclick: () => this.#choose(index),
        onmousemove: () => this.#active !== index && this.#mark(index),
      },
      item.mark ?? null, el("span.label", {}, item.label), item.more ?? null,
      item.detail ? el("span.detail", {}, item.detail) : null,
    );
  }

  #mark(index) {
    this.#active = index;
    for (const [at, row] of [...this.list.children].entries()) row.setAttribute("aria-selected", String(at === index));
    const row = this.list.children[index];
    row?.scrollIntoView({ block: "nearest" });
    if (row) this.#input.setAttribute("aria-activedescendant", row.id);
  }

  #choose(index) {
    const [pick, item] = [this.#pick, this.#items[index]];
    this.hide();
    pick(item);
  }
}
