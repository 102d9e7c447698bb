// The messages of the open channel: as many as were asked for, kept at the bottom while one is
// there, left where one reads otherwise.

import { el } from "./dom.js";
import { MessageView } from "./message.js";
import { byId } from "./store.js";

const SHOWN_FIRST = 60;
const SHOWN_MORE = 20; // in one frame
const AT_BOTTOM_PX = 60;
const ANCHORS = CSS.supports("overflow-anchor", "auto"); // the browser keeps what is in sight
const NEAR_TOP_PX = 800;

export class MessageList {
  #isAtBottom = true;
  #isLoading = false;
  #missed = 0;

  /** @param {Element} place @param {object} app - What the page's parts share. */
  constructor(place, app) {
    this.app = app;
    this.views = new Map();
    this.top = el("div.list-top");
    this.list = el("ol.messages", { "aria-label": "Messages" });
    this.scroller = el("div.scroller", { tabindex: -1 }, this.top, this.list);
    this.jump = el("button.jump", { type: "button", hidden: true, onclick: () => this.toBottom() });
    place.append(this.scroller, this.jump);
    this.#listen();
  }

  #listen() {
    const { store } = this.app;
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#keepBottom()).observe(this.list);
    new ResizeObserver(() => this.#keepBottom()).observe(this.scroller);
    new IntersectionObserver((seen) => seen.at(-1).isIntersecting && this.#more(), { root: this.scroller, rootMargin: `${NEAR_TOP_PX}px` }).observe(this.top);
    this.list.addEventListener("keydown", (event) => this.#key(event));
    store.on("snapshot open me", () => this.showAll());
    store.on("message", (change) => change.message.channel_id === store.channelId && this.#changed(change));
    store.on("gone", (gone) => gone.channelId === store.channelId && this.#gone(gone.ids));
    store.on("channels", () => this.#drawTop());
  }

  /** Draw the open channel from its newest messages on. */
  showAll() {
    this.views.clear();
    const { store } = this.app;
    const messages = store.visibleMessages(store.channelId);
    this.list.setAttribute("aria-label", `Messages in ${store.channel?.name ?? ""}`);
    const shown = messages.slice(-SHOWN_FIRST);
    this.list.replaceChildren(...shown.map((message) => this.#make(message).node));
    this.#fit();
    this.#drawTop();
    this.toBottom();
  }

  #make(message) {
    const view = new MessageView(message, this.app);
    this.views.set(message.id, view);
    return view;
  }

  /** Set days, groups and the one stop of the Tab key. */
  #fit(rows = this.list.children) {
    for (const row of rows) row.view.follow(row.previousElementSibling?.view);
    if (!this.list.querySelector(":scope > [tabindex='0']")) this.list.lastElementChild?.setAttribute("tabindex", "0");
  }

  #changed({ message, isNew }) {
    const view = this.views.get(message.id);
    if (view) view.update(message);
    else if (isNew && this.app.store.sees(message)) this.#insert(message);
    this.#keepBottom();
  }

  #insert(message) {
    const view = this.#make(message);
    let next = null;
    for (let row = this.list.lastElementChild; row && byId(row.view.message.id, message.id) > 0; row = row.previousElementSibling) next = row;
    this.list.insertBefore(view.node, next);
    this.#fit([view.node, next].filter(Boolean));
    if (message.author.id === this.app.store.me) this.toBottom();
    else if (!this.#isAtBottom) this.#showMissed(this.#missed + 1);
  }

  #gone(ids) {
    for (const id of ids) {
      const row = this.views.get(id)?.node;
      const next = row?.nextElementSibling;
      if (row?.contains(document.activeElement)) (next ?? row.previousElementSibling)?.focus();
      row?.remove();
      this.views.delete(id);
      if (next) this.#fit([next]);
    }
    for (const view of this.views.values()) if (ids.includes(view.message.message_reference?.message_id)) view.update(view.message);
    this.#fit([]);
  }

  #drawTop() {
    const { store } = this.app;
    const channel = store.channel;
    if (!channel) return;
    this.top.replaceChildren(!this.#hasMore() ? welcome(channel) : el("p.hint", { role: "status" }, "Older messages…"));
  }

  /** The messages that the page has and the list doesn't show yet. */
  #older() {
    const first = this.list.firstElementChild?.view.message.id;
    const all = this.app.store.visibleMessages(this.app.store.channelId);
    return first ? all.slice(0, all.findIndex((message) => message.id === first)) : [];
  }

  /**
   * Show older messages, those the page has, else those it asks for, until the top is out of sight.
   * Returns whether there were any.
   */
  async #more() {
    if (this.#isLoading || !this.list.childElementCount) return false;
    this.#isLoading = true;
    const isThere = this.#older().length > 0 || (await this.#fetch());
    const grew = isThere && this.#prepend(this.#older().slice(-SHOWN_MORE));
    this.#isLoading = false;
    if (grew) requestAnimationFrame(() => this.#moreIfNear());
    return grew;
  }

  #moreIfNear() {
    if (this.scroller.scrollTop < NEAR_TOP_PX && this.#hasMore()) this.#more();
  }

  /** Ask for the page of messages before those that are known; returns whether it came. */
  async #fetch() {
    const { store } = this.app;
    const channelId = store.channelId;
    const known = store.messages.get(channelId);
    if (!known?.hasOlder) return false;
    const page = await this.app.act("history", { channel: channelId, before: known.items[0].id, limit: store.limits.history_page });
    if (!page || known !== store.messages.get(channelId)) return false;
    store.addOlder(channelId, page);
    return channelId === store.channelId;
  }

  #hasMore() {
    return this.#older().length > 0 || Boolean(this.app.store.messages.get(this.app.store.channelId)?.hasOlder);
  }

  #prepend(messages) {
    if (!messages.length) {
      this.#drawTop();
      return false;
    }
    const first = this.list.firstElementChild;
    const above = ANCHORS ? 0 : first.offsetTop;
    this.scroller.scrollTop ||= 1; // browsers anchor what is in sight everywhere but at the very top
    first.before(...messages.map((message) => this.#make(message).node));
    const added = [];
    for (let row = first; row; row = row.previousElementSibling) added.push(row);
    this.#fit(added);
    this.#drawTop();
    if (!ANCHORS) this.scroller.scrollTop += first.offsetTop - above;
    return true;
  }

  /** Bring a message of the open channel into view; asks for older ones until it is there. */
  async reveal(id) {
    while (!this.views.has(id) && (await this.#more())) { /* one page more */ }
    const node = this.views.get(id)?.node;
    if (!node) return;
    node.scrollIntoView({ block: "center" });
    this.#focus(node);
    node.classList.add("found");
    setTimeout(() => node.classList.remove("found"), 1600);
  }

  /** Go to the newest message. */
  toBottom() {
    this.#isAtBottom = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#showMissed(0);
  }

  #keepBottom() {
    if (this.#isAtBottom) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #scrolled() {
    const left = this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight;
    this.#isAtBottom = left < AT_BOTTOM_PX;
    this.#showMissed(this.#isAtBottom ? 0 : this.#missed);
    this.#moreIfNear();
  }

  #showMissed(count) {
    this.#missed = count;
    this.jump.hidden = this.#isAtBottom;
    this.jump.textContent = count ? `${count} new ${count === 1 ? "message" : "messages"} ↓` : "To the newest ↓";
  }

  #focus(node) {
    this.list.querySelector(":scope > [tabindex='0']")?.setAttribute("tabindex", "-1");
    node.setAttribute("tabindex", "0");
    node.focus({ preventScroll: true });
  }

  #key(event) {
    const row = event.target.closest(".message");
    if (event.target !== row) return;
    const to = { ArrowUp: row.previousElementSibling, ArrowDown: row.nextElementSibling, Home: this.list.firstElementChild, End: this.list.lastElementChild }[event.key];
    if (to) {
      this.#focus(to);
      to.scrollIntoView({ block: "nearest" });
    } else if (event.key === "ArrowDown" || event.key === "Escape") this.app.focusComposer();
    else return;
    event.preventDefault();
  }
}

function welcome(channel) {
  const names = { dm: `This is the beginning of your direct messages with ${channel.name}.`, thread: `This is the beginning of the thread ${channel.name}.` };
  return el("div.welcome", {}, el("h2", {}, channel.kind === "text" ? `Welcome to #${channel.name}` : channel.name), el("p", {}, names[channel.kind] ?? channel.topic ?? "", channel.kind === "text" && !channel.topic ? "This is the beginning of the channel." : ""));
}
