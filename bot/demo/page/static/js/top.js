// The top line: which model answers, how to use one's own, whether the demo is there; dark or light.

import { el, icon, iconButton } from "./dom.js";
import { markedInline } from "./markup.js";

const BANNERS = {
  lost: "The page has lost the demo. Trying again…",
  ended: "The demo has ended. Start it again with: clawbot demo. This page then goes on by itself.",
};

/** Draw the top line; returns what tells it about the connection. */
export function showTop(modelPlace, endPlace, banner, app) {
  const { store } = app;
  let state = "open";
  const drawBanner = () => {
    const text = BANNERS[state] ?? (store.bot && !store.bot.ready ? "Clawbot is starting…" : "");
    banner.hidden = !text;
    banner.textContent = text;
    document.body.classList.toggle("away", state !== "open");
  };
  const drawModel = () => {
    const { kind, sentence, next } = store.model;
    modelPlace.replaceChildren(
      el(`span.model-mark.model-${kind}`, {}, kind === "stand_in" ? "Stand-in" : "Your model"),
      el("span.model-sentence", { title: sentence }, sentence),
      next?.length ? el("button.as-link", { type: "button", onclick: () => showNext(store.model, app.names) }, "Use your own") : "",
    );
  };
  store.on("snapshot", drawModel);
  store.on("snapshot bot", drawBanner);
  endPlace.append(themeButton());
  return { connection(now) { if (now !== "lost" || state !== "ended") state = now; drawBanner(); } }; // what has ended isn't lost
}

function showNext({ next, address, sentence }, names) {
  const dialog = el("dialog", { "aria-label": "Use your own model" },
    el("header", {}, el("h2", {}, "Use your own model"), iconButton("close", "Close", () => dialog.close())),
    el("p.lead", {}, `The demo looked for LM Studio at ${address}. ${sentence}`),
    el("ol.steps.prose", {}, next.map((step) => el("li", {}, markedInline(step, names)))));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

const ORDER = ["system", "dark", "light"];
const ICONS = { system: "system", dark: "moon", light: "sun" };
const NAMES = { system: "as the system", dark: "dark", light: "light" };

function themeButton() {
  const button = iconButton("system", "", () => {
    const next = ORDER[(ORDER.indexOf(current()) + 1) % ORDER.length];
    if (next === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", next);
    window.dispatchEvent(new Event("theme"));
    draw();
  });
  const current = () => localStorage.getItem("theme") ?? "system";
  const draw = () => {
    button.replaceChildren(icon(ICONS[current()]));
    button.title = `Colours: ${NAMES[current()]}`;
    button.setAttribute("aria-label", button.title);
  };
  window.addEventListener("storage", draw);
  draw();
  return button;
}
