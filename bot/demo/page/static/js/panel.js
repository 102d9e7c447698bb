// The right side: who is here, what can be broken, what goes on inside.

import { el, freshId } from "./dom.js";

/**
 * Tabs over parts of the panel.
 * @param {Element} place
 * @param {[string, string, function(Element)][]} tabs - Key, name, and what fills the part.
 */
export function showTabs(place, tabs) {
  const bar = el("div.tabs", { role: "tablist", "aria-label": "Panel" });
  const parts = tabs.map(([key, name, fill]) => {
    const part = el("div.tab-part", { role: "tabpanel", id: freshId("part"), tabindex: 0 });
    const tab = el("button", { type: "button", role: "tab", id: freshId("tab"), "aria-controls": part.id }, name);
    part.setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => show(key));
    bar.append(tab);
    fill(part);
    return { key, tab, part };
  });
  const show = (key) => {
    const chosen = parts.find((each) => each.key === key) ?? parts[0];
    for (const each of parts) {
      const isOn = each === chosen;
      each.tab.setAttribute("aria-selected", String(isOn));
      each.tab.tabIndex = isOn ? 0 : -1;
      each.part.hidden = !isOn;
    }
    sessionStorage.setItem("tab", chosen.key);
    chosen.part.dispatchEvent(new Event("shown"));
  };
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = parts.findIndex((each) => each.tab === document.activeElement);
    const next = parts[(at + step + parts.length) % parts.length];
    show(next.key);
    next.tab.focus();
  });
  place.append(bar, ...parts.map((each) => each.part));
  show(sessionStorage.getItem("tab"));
}
