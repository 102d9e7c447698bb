// One message. Its parts are drawn anew only where they changed, so that an answer that grows
// moves nothing else, and a button keeps the focus.

import { components } from "./components.js";
import { avatar, el, icon } from "./dom.js";
import { attachments, embeds } from "./embed.js";
import { asPlain, marked } from "./markup.js";
import { sameDay, stamp, say } from "./time.js";

const GROUP_S = 420;
const THINKING = 128;
const STARTER = 21;
const SYSTEM = {
  6: () => "pinned a message to this channel.",
  18: (message) => `started a thread: ${message.content}`,
};
const PLAIN_TYPES = new Set([0, 19, 20, 21, 23]);

/** Each part of a message, in order: what it is drawn from, and how. */
const PARTS = {
  reply: [(m) => [m.type, m.referenced_message?.id, m.referenced_message?.content, m.referenced_message === null], replyLine],
  command: [(m) => [m.demo.command, m.interaction_metadata?.user?.id], commandLine],
  head: [(m) => [m.author, m.timestamp], head],
  text: [(m) => [m.content, m.flags, m.edited_timestamp, m.type], text],
  files: [(m) => [m.attachments, m.embeds], (m) => attachments(m)],
  embeds: [(m) => [m.embeds, m.flags], (m, app) => embeds(m, app.names)],
  components: [(m) => [m.components, m.flags], components],
  reactions: [(m) => [m.demo.reactions, m.reactions], reactions],
  thread: [(m) => [m.demo.thread], threadLink],
  only: [(m) => [m.demo.seen_by], onlyYou],
};
const BEFORE_BODY = new Set(["reply", "command"]);

/** A message in the list. `node` is its element; `message` is what it shows. */
export class MessageView {
  #drawn = {};
  #slots = {};
  #day;

  constructor(id, app) {
    this.app = app;
    this.picture = el("div.picture-slot");
    this.body = el("div.body");
    this.node = el("li.message", { id: `m-${id}`, tabindex: -1 }, this.picture, this.body);
    this.node.view = this;
  }

  update(message) {
    this.message = message;
    const { store } = this.app;
    const shown = shownIn(message);
    this.node.classList.toggle("ephemeral", store.isEphemeral(message));
    this.node.classList.toggle("for-me", mentionsMe(message, store));
    for (const [name, [from, draw]] of Object.entries(PARTS)) this.#draw(name, JSON.stringify(from(shown)), () => draw(shown, this.app));
  }

  #draw(name, state, draw) {
    if (this.#drawn[name] === state || (name === "text" && this.isEdited)) return;
    this.#drawn[name] = state;
    const nodes = [draw()].flat().filter(Boolean);
    const slot = this.#slots[name] ?? (nodes.length ? this.#open(name) : null);
    if (!slot) return;
    const focused = slot.contains(document.activeElement) ? document.activeElement.dataset.custom : undefined;
    slot.replaceChildren(...nodes);
    if (name === "head") this.picture.replaceChildren(avatar(userOf(shownIn(this.message), this.app.store)));
    if (focused === undefined) return;
    const again = [...slot.querySelectorAll("[data-custom]")].find((node) => node.dataset.custom === focused);
    (again ?? this.node).focus();
  }

  /** Make a part's place, behind those of the parts before it: most messages have few parts. */
  #open(name) {
    const isAbove = BEFORE_BODY.has(name);
    const names = Object.keys(PARTS);
    const next = names.slice(names.indexOf(name) + 1).find((each) => this.#slots[each] && BEFORE_BODY.has(each) === isAbove);
    this.#slots[name] = el(`div.slot-${name}`);
    (isAbove ? this.node : this.body).insertBefore(this.#slots[name], this.#slots[next] ?? (isAbove ? this.picture : null));
    return this.#slots[name];
  }

  /** Fit it below the message before it: whose head it shares, and where a day begins. */
  follow(previous) {
    const date = new Date(this.message.timestamp);
    const before = previous ? new Date(previous.timestamp) : null;
    const isNewDay = !before || !sameDay(before, date);
    if (isNewDay && !this.#day) this.node.prepend(this.#day = el("div.day", { role: "separator" }, say(date.getTime() / 1000, "D")));
    else if (!isNewDay) this.#day = this.#day?.remove();
    const isGrouped = !isNewDay && continues(previous, this.message, (date - before) / 1000);
    this.node.classList.toggle("grouped", isGrouped);
  }

  /** Put an editor in the place of the text, or the text back. */
  edit(editor) {
    this.isEdited = Boolean(editor);
    this.node.classList.toggle("editing", this.isEdited);
    if (editor) (this.#slots.text ?? this.#open("text")).replaceChildren(editor);
    else { delete this.#drawn.text; this.update(this.message); }
  }
}

function continues(before, message, seconds) {
  return before.author.id === message.author.id && before.author.username === message.author.username && seconds < GROUP_S
    && message.type === 0 && PLAIN_TYPES.has(before.type) && !message.demo.command && before.demo.seen_by === message.demo.seen_by;
}

function mentionsMe(message, store) {
  const isNamed = (message.mentions ?? []).some((user) => user.id === store.me);
  return (isNamed || message.mention_everyone) && message.author.id !== store.me;
}

/** A message as it is shown: a thread's first one is the message that the thread was started on. */
function shownIn(message) {
  return message.type === STARTER && message.referenced_message ? { ...message.referenced_message, demo: { reactions: {} } } : message;
}

/** Who wrote a message: the account, or the name that a webhook wrote under. */
export function userOf(message, store) {
  const user = store.user(message.author.id, message.author);
  return message.webhook_id ? { ...user, name: message.author.username, bot: true } : user;
}

function head(message, app) {
  const user = userOf(message, app.store);
  const date = new Date(message.timestamp);
  const name = el("button.author", { type: "button", "aria-haspopup": "menu", onclick: (event) => app.openUserMenu(message.author.id, event.currentTarget) }, user.name);
  name.style.setProperty("--who", user.color);
  return [
    el("div.head", {}, name, user.bot ? el("span.tag", {}, "APP") : null, el("time.stamp", { datetime: message.timestamp, title: say(date.getTime() / 1000, "F") }, stamp(date))),
    el("time.stamp.side-stamp", { datetime: message.timestamp, "aria-hidden": "true" }, say(date.getTime() / 1000, "t")),
  ];
}

function text(message, app) {
  if (message.flags & THINKING) return el("p.thinking", {}, dots(), `${userOf(message, app.store).name} is thinking…`);
  if (!PLAIN_TYPES.has(message.type)) return el("p.system", {}, SYSTEM[message.type]?.(message) ?? message.content);
  if (!message.content) return null;
  const edited = message.edited_timestamp ? el("span.edited", { title: say(Date.parse(message.edited_timestamp) / 1000, "F") }, "(edited)") : null;
  const nodes = marked(message.content, app.names);
  const last = nodes.at(-1);
  if (edited && last?.tagName === "P") last.append(" ", edited);
  else if (edited) nodes.push(edited);
  return el("div.prose", {}, nodes);
}

/** Three dots that move, where movement is wanted. */
export function dots() {
  return el("span.dots", { "aria-hidden": "true" }, el("i"), el("i"), el("i"));
}

function replyLine(message, app) {
  if (message.type !== 19) return null;
  const original = message.referenced_message;
  if (!original) return el("p.context", {}, icon("reply"), el("em", {}, "Original message was deleted"));
  const user = userOf(original, app.store);
  const line = asPlain(original.content.slice(0, 300), app.names) || (original.attachments?.length ? "A file" : "A message");
  return el("p.context", {}, icon("reply"), avatar(user),
    el("button.context-line", { type: "button", title: "Go to the message", onclick: () => app.goTo(original.channel_id ?? message.channel_id, original.id) }, el("b", {}, user.name), " ", line));
}

function commandLine(message, app) {
  const asker = message.interaction_metadata?.user;
  if (!asker || !message.demo.command) return null;
  const user = app.store.user(asker.id, asker);
  return el("p.context", {}, icon("reply"), avatar(user), el("span", {}, el("b", {}, user.name), " used ", el("span.mention", {}, message.demo.command)));
}

function reactions(message, app) {
  const found = Object.entries(message.demo.reactions ?? {}).filter(([, who]) => who.length);
  if (!found.length) return null;
  return el("div.reactions", {}, found.map(([emoji, who]) => {
    const mine = who.includes(app.store.me);
    const names = who.map((id) => app.store.user(id).name).join(", ");
    return el("button.reaction", { type: "button", "aria-pressed": String(mine), title: names, "data-custom": emoji, "aria-label": `${emoji}, ${who.length}: ${names}`, onclick: () => app.act("react", { message: message.id, emoji, add: !mine }) }, emoji, el("b", {}, String(who.length)));
  }));
}

function threadLink(message, app) {
  const thread = app.store.channels.get(message.demo.thread);
  return thread && message.channel_id !== thread.id
    ? el("button.thread-link", { type: "button", onclick: () => app.openChannel(thread.id) }, icon("thread"), el("b", {}, thread.name), " Open the thread")
    : null;
}

function onlyYou(message, app) {
  if (!message.demo.seen_by) return null;
  return el("p.only-you", {}, icon("eye"), "Only you can see this · ",
    el("button.as-link", { type: "button", onclick: () => app.act("delete", { message: message.id }) }, "Dismiss message"));
}
