// The open channel's messages: rows for those in sight and a good way beyond, whatever their number;
// kept at the bottom while one is there, left where one reads otherwise.

import { el, icon, markOf } from "./dom.js";
import { MessageView } from "./message.js";

const ROWS_FIRST = 25;
const MOST_ROWS = 50; // beside those in sight
const MOST_IN_SLICE = 8;
const SLICE_MS = 4; // of one frame, for drawing rows
const AHEAD_PX = 1200;
const BEHIND_PX = 2400;
const AT_BOTTOM_PX = 60;
const ANCHORS = CSS.supports("overflow-anchor", "auto"); // the browser keeps what is in sight

export class MessageList {
  #isAtBottom = true;
  #isFilling = false;
  #fetching = null;
  #missed = 0;

  /** @param {Element} place @param {object} app - What the page's parts share. */
  constructor(place, app) {
    this.app = app;
    this.views = new Map();
    this.edited = new Map(); // views whose text is being changed, with a row or not
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
    const observer = new ResizeObserver(() => { this.#keepBottom(); this.#fill(); });
    for (const each of [this.list, this.scroller]) observer.observe(each);
    this.list.addEventListener("keydown", (event) => this.#key(event));
    store.on("me", () => this.edited.clear());
    store.on("snapshot open me", () => this.showAll());
    store.on("message", (change) => change.message.channel_id === store.channelId && this.#changed(change));
    store.on("gone", (gone) => gone.channelId === store.channelId && this.#gone(gone.ids));
    store.on("channels", () => this.#drawTop());
  }

  get #all() {
    return this.app.store.visibleMessages(this.app.store.channelId);
  }

  /** Draw the open channel from its newest messages on. */
  showAll() {
    this.#draw(this.#all.slice(-ROWS_FIRST));
    this.toBottom();
  }

  #draw(messages) {
    this.views.clear();
    this.list.setAttribute("aria-label", `Messages in ${this.app.store.channel?.name ?? ""}`);
    this.list.replaceChildren(...messages.map((message) => this.#make(message).node));
    this.#fit();
    this.#drawTop();
  }

  #make(message) {
    const view = this.edited.get(message.id) ?? new MessageView(message.id, this.app);
    view.update(message);
    this.views.set(message.id, view);
    return view;
  }

  /**
   * Set days, groups and the one stop of the Tab key. What counts is the message before, with a row
   * or not: a row whose margin changes while others come before it is no anchor for browsers.
   */
  #fit(rows = this.list.children) {
    const all = this.#all;
    for (const row of rows) row.view.follow(all[all.findLastIndex((each) => each.id === row.view.message.id) - 1]);
    if (!this.list.querySelector(":scope > [tabindex='0']")) this.list.lastElementChild?.setAttribute("tabindex", "0");
  }

  #changed({ message, isNew }) {
    const view = this.views.get(message.id);
    if (view) view.update(message);
    else if (isNew && this.app.store.sees(message)) this.#insert(message);
    this.#keepBottom();
  }

  /** Put a new message between its neighbours, where one of them has a row. */
  #insert(message) {
    const all = this.#all;
    const at = all.findLastIndex((each) => each.id === message.id);
    const [before, after] = [this.views.get(all[at - 1]?.id)?.node, this.views.get(all[at + 1]?.id)?.node];
    if (before || after || !this.list.childElementCount) {
      const { node } = this.#make(message);
      this.list.insertBefore(node, after ?? null);
      this.#fit([node, after].filter(Boolean));
    }
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
      this.edited.delete(id);
      if (next) this.#fit([next]);
    }
    for (const view of this.views.values()) if (ids.includes(view.message.message_reference?.message_id)) view.update(view.message);
    this.#fit([]);
    if (!this.list.childElementCount) this.showAll();
  }

  #drawTop() {
    const { channel } = this.app.store;
    if (channel) this.top.replaceChildren(this.#hasOlder() ? el("p.hint", { role: "status" }, "Older messages…") : welcome(channel));
  }

  #hasOlder() {
    const { store } = this.app;
    return this.list.firstElementChild?.view.message.id !== this.#all[0]?.id || Boolean(store.messages.get(store.channelId)?.hasOlder);
  }

  #isNewest() {
    return this.list.lastElementChild?.view.message.id === this.#all.at(-1)?.id;
  }

  /** Draw rows ahead of what is in sight, a slice in each frame, and drop those far behind. */
  #fill() {
    if (this.#isFilling) return;
    this.#isFilling = true;
    requestAnimationFrame(async () => {
      const hasGrown = await this.#grow();
      this.#isFilling = false;
      if (hasGrown) this.#fill();
    });
  }

  async #grow() {
    const { scrollTop } = this.scroller;
    const kept = ANCHORS ? null : [...this.list.children].find((row) => row.offsetTop + row.offsetHeight > scrollTop);
    const above = kept?.offsetTop;
    const hasGrown = this.#slide();
    if (kept) this.scroller.scrollTop += kept.offsetTop - above;
    return hasGrown || (this.scroller.scrollTop < AHEAD_PX && this.#fetch());
  }

  /** Drop rows far out of sight, and draw a slice where an end is near; returns whether it did. */
  #slide() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    for (const row of [...this.#far(true), ...this.#far(false)]) this.#drop(row);
    const { firstElementChild: first, lastElementChild: last } = this.list;
    if (!first) return false;
    const all = this.#all;
    const older = scrollTop < AHEAD_PX ? all.slice(0, all.findIndex((each) => each.id === first.view.message.id)) : [];
    const isLow = scrollHeight - scrollTop - clientHeight < AHEAD_PX;
    const newer = isLow ? all.slice(all.findLastIndex((each) => each.id === last.view.message.id) + 1) : [];
    const added = this.#slice(older.length ? older.reverse() : newer);
    if (older.length) {
      this.scroller.scrollTop ||= 1; // browsers anchor what is in sight everywhere but at the very top
      first.before(...added.reverse());
      if (!this.#hasOlder()) this.#drawTop();
    } else this.list.append(...added);
    this.#fit(added);
    return added.length > 0;
  }

  /** Rows of the first of some messages, as many as fit into one frame. */
  #slice(messages) {
    const begun = performance.now();
    const rows = [];
    for (const message of messages.slice(0, MOST_IN_SLICE)) {
      rows.push(this.#make(message).node);
      if (performance.now() - begun > SLICE_MS) break;
    }
    return rows;
  }

  /** The rows beyond the most that stand far out of sight at the end, or at the beginning. */
  #far(atEnd) {
    const { scrollTop, clientHeight } = this.scroller;
    const rows = [...this.list.children];
    if (atEnd) rows.reverse();
    const isFar = (row) => !row.view.isEdited
      && (atEnd ? row.offsetTop > scrollTop + clientHeight + BEHIND_PX : row.offsetTop + row.offsetHeight < scrollTop - BEHIND_PX);
    const surplus = rows.slice(0, Math.max(0, rows.length - MOST_ROWS));
    const near = surplus.findIndex((row) => !isFar(row));
    return near < 0 ? surplus : surplus.slice(0, near);
  }

  #drop(row) {
    if (row.contains(document.activeElement)) this.scroller.focus({ preventScroll: true });
    row.remove();
    this.views.delete(row.view.message.id);
  }

  /** Ask for the page of messages before those that are known; returns whether it came. */
  #fetch() {
    this.#fetching ??= this.#askForOlder().finally(() => { this.#fetching = null; });
    return this.#fetching;
  }

  async #askForOlder() {
    const { store } = this.app;
    const channelId = store.channelId;
    const known = store.messages.get(channelId);
    if (!known?.hasOlder) return false;
    const page = await this.app.act("history", { channel: channelId, before: known.items[0].id, limit: store.limits.history_page });
    if (!page || known !== store.messages.get(channelId)) return false;
    store.addOlder(channelId, page);
    if (channelId !== store.channelId) return false;
    this.#fit([this.list.firstElementChild].filter(Boolean));
    return true;
  }

  /** Bring a message of the open channel into view; asks for older ones until it is there. */
  async reveal(id) {
    const { store } = this.app;
    while (!store.find(store.channelId, id) && (await this.#fetch())) { /* one page more */ }
    const all = this.#all;
    const at = all.findIndex((message) => message.id === id);
    if (at < 0) return;
    this.#isAtBottom = false;
    if (!this.views.has(id)) this.#draw(all.slice(Math.max(0, at - ROWS_FIRST), at + ROWS_FIRST));
    const { node } = this.views.get(id);
    node.scrollIntoView({ block: "center" });
    this.#focus(node);
    node.classList.add("found");
    setTimeout(() => node.classList.remove("found"), 1600);
  }

  /** Go to the newest message. */
  toBottom() {
    if (!this.#isNewest()) return this.showAll();
    this.#isAtBottom = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#showMissed(0);
  }

  #keepBottom() {
    if (this.#isAtBottom) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #scrolled() {
    const left = this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight;
    this.#isAtBottom = left < AT_BOTTOM_PX && this.#isNewest();
    this.#showMissed(this.#isAtBottom ? 0 : this.#missed);
    this.#fill();
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
    if (event.key === "End") this.toBottom();
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
  return el("div.welcome", {}, icon(markOf(channel)), el("h2", {}, channel.kind === "text" ? `Welcome to #${channel.name}` : channel.name), el("p", {}, names[channel.kind] ?? channel.topic ?? "", channel.kind === "text" && !channel.topic ? "This is the beginning of the channel." : ""));
}
