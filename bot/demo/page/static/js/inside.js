// The panel that shows what goes on inside: the last answer's clock, the queue, what the model was
// given, and what the bot sent to Discord.

import { el } from "./dom.js";
import { duration } from "./time.js";

const OUTCOMES = {
  delivered: "Answered", notified: "Ended with a notice", stopped: "Stopped", merged: "Merged into another question", dropped: "Dropped",
};
const STATES = {
  waiting: "waiting", loading: "being loaded", reading: "reading the prompt", thinking: "thinking", writing: "writing", done: "done", stopped: "stopped", failed: "failed",
};

/** Draw the four parts, and keep them true while they can be seen. */
export function showInside(place, app) {
  const { store } = app;
  const parts = [
    ["Last answer", "clock", clocks],
    ["Queue", "queue", queue],
    ["What the model was given", "prompt", prompts],
    ["What the bot sent", "request", requests],
  ].map(([title, event, draw]) => ({ title, event, draw, body: el("div.inside-part"), about: el("p.hint") }));
  place.append(...parts.map(({ title, body, about }) => el("details", { open: true }, el("summary", {}, el("h3", {}, title)), about, body)));
  for (const part of parts) {
    let isWaiting = false;
    const redraw = () => {
      if (isWaiting) return;
      isWaiting = true;
      requestAnimationFrame(() => { isWaiting = false; if (store.inside) { part.about.textContent = store.inside.about[part.event]; part.draw(part.body, store, app); } });
    };
    store.on(`snapshot ${part.event}`, redraw);
    place.addEventListener("shown", redraw);
  }
}

function clocks(place, store) {
  const clock = store.inside.clocks.at(-1);
  if (!clock) return place.replaceChildren(empty("Nothing has been answered yet."));
  const rowOf = (name) => clock.spans.find((span) => span.name === name);
  const spans = clock.spans.filter((span) => span.s > 0);
  const total = spans.reduce((sum, span) => sum + span.s, 0) || 1;
  const bar = el("div.clock-bar", { "aria-hidden": "true" }, spans.map((span) => {
    const part = el(`span.span-${span.name}`);
    part.style.flexGrow = String(Math.max(span.s / total, 0.01));
    return part;
  }));
  const rows = clock.spans.map((span) => el("li", { class: span.name === clock.now ? "now" : span.s > 0 ? null : "none" }, el(`i.span-${span.name}`, { "aria-hidden": "true" }), el("span", {}, span.label), el("b", {}, duration(span.s))));
  const first = clock.first_word_s === null || clock.first_word_s === undefined ? "" : `, first words after ${duration(clock.first_word_s)}`;
  const tokens = [[clock.prompt_tokens, "in the prompt"], [clock.read_tokens, "read"], [clock.reread_tokens, "read again without need"], [clock.written_tokens, "written"]].filter(([count]) => Number.isFinite(count));
  place.replaceChildren(
    el("p", {}, el("b", {}, clock.now ? `Being answered: ${rowOf(clock.now).label}` : OUTCOMES[clock.outcome] ?? "Goes on"), `${clock.now ? ", for" : " after"} ${duration(clock.total_s)}${first}.`),
    clock.failure ? el("p.problem", {}, clock.failure) : "",
    bar, el("ul.clock-rows", {}, rows),
    tokens.length ? el("p.hint", {}, `Tokens: ${tokens.map(([count, what]) => `${count.toLocaleString()} ${what}`).join(", ")}.`) : "",
    clock.retries?.length ? el("p.hint", {}, `Tried again: ${clock.retries.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join(", ")}`) : "",
  );
}

function queue(place, store) {
  const { slots, running, waiting } = store.inside.queue ?? { slots: 0, running: [], waiting: [] };
  const who = (each) => `${store.user(each.person_id).name} in ${store.channels.get(each.channel_id)?.name ?? "another channel"}`;
  place.replaceChildren(
    el("p", {}, `${running.length} running, ${waiting.length} waiting; ${slots} at once.`),
    el("ol.queue", {},
      running.map((each) => el("li.running", {}, el("span", {}, who(each)), el("b", {}, "running"))),
      waiting.map((each) => el("li", {}, el("span", {}, who(each)), el("b", {}, each.expected_s ? `place ${each.place}, about ${duration(each.expected_s)}` : `place ${each.place}`)))),
  );
}

function prompts(place, store) {
  const prompt = store.inside.prompts.at(-1);
  if (!prompt) return place.replaceChildren(empty("The model hasn't been asked yet."));
  const openTurns = new Set([...place.querySelectorAll("details[open]")].map((node) => node.dataset.turn));
  const kept = prompt.kept_tokens ?? 0;
  place.replaceChildren(
    el("p", {}, el("b", {}, prompt.model), ` · ${STATES[prompt.state] ?? prompt.state}`),
    el("p.hint", {}, `${prompt.is_estimate ? "About " : ""}${prompt.prompt_tokens.toLocaleString()} tokens: ${kept.toLocaleString()} kept from before, ${(prompt.read_tokens ?? prompt.prompt_tokens - kept).toLocaleString()} read. ${prompt.written_tokens.toLocaleString()} written.`),
    prompt.has_shares ? el("p.hint", {}, "The server counts the prompt as a whole; the counts of its turns are estimates.") : "",
    tokenBar(kept, prompt.prompt_tokens),
    el("ol.turns", {}, prompt.turns.map((turn, index) => turnRow(turn, String(index), openTurns))),
  );
}

function tokenBar(kept, all) {
  const bar = el("span.token-bar", { "aria-hidden": "true" }, el("i"));
  bar.firstChild.style.width = `${all ? Math.round((kept / all) * 100) : 0}%`;
  return bar;
}

function turnRow(turn, key, openTurns) {
  const reading = turn.kept_tokens >= turn.tokens ? "kept" : turn.kept_tokens > 0 ? `${turn.tokens - turn.kept_tokens} of ${turn.tokens} read` : "read";
  return el("li", {}, el("details", { "data-turn": key, open: openTurns.has(key) },
    el("summary", {}, el(`span.role.role-${turn.role}`, {}, turn.role), el("span.turn-line", {}, turn.text.slice(0, 80)), el("span.hint", {}, `${turn.tokens} · ${reading}`), tokenBar(turn.kept_tokens, turn.tokens)),
    el("pre", { tabindex: 0, role: "group", "aria-label": `The ${turn.role} turn` }, turn.text, turn.cut ? "\n… (the rest isn't shown)" : ""),
    turn.images ? el("p.hint", {}, turn.images === 1 ? "1 picture" : `${turn.images} pictures`) : null));
}

function requests(place, store) {
  const list = place.querySelector("ol") ?? el("ol.requests", { reversed: true });
  if (!list.isConnected) place.replaceChildren(list);
  const known = new Map([...list.children].map((row) => [row.dataset.n, row]));
  const wanted = store.inside.requests;
  const oldest = wanted[0]?.n ?? 0;
  for (const [n, row] of known) if (Number(n) < oldest) row.remove();
  if (list.childElementCount > wanted.length) list.replaceChildren();
  for (const request of wanted) {
    const row = known.get(String(request.n));
    if (row?.isConnected && row.dataset.status === String(request.status)) continue;
    const made = requestRow(request, row?.firstChild.open ?? false);
    if (row?.isConnected) row.replaceWith(made);
    else list.prepend(made);
  }
}

function requestRow(request, isOpen) {
  const { status } = request;
  const state = status === 0 ? "waiting" : status < 400 ? "ok" : "refused";
  const row = el("li", { "data-n": request.n, "data-status": status }, el("details", { open: isOpen },
    el("summary", {}, el(`span.method.method-${request.method.toLowerCase()}`, {}, request.method), el("span.path", {}, request.does),
      el(`span.status-code.${state}`, {}, status || "…"), el("span.hint", {}, request.took_s === null ? "" : `${Math.round(request.took_s * 1000)} ms`))));
  const details = row.firstChild;
  const fill = () => details.childElementCount < 2 && details.append(
    el("p.hint", {}, request.path),
    request.fault ? el("p.problem", {}, `Broken on purpose: ${request.fault}`) : "",
    el("pre", { tabindex: 0, role: "group", "aria-label": "Body of the request" }, pretty(request.body) || "No body."));
  if (isOpen) fill();
  details.addEventListener("toggle", fill, { once: true });
  return row;
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

const empty = (sentence) => el("p.hint", {}, sentence);
