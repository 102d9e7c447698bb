// The line one types in: messages, replies, files, mentions, and the way to slash commands.

import { avatar, el, icon, iconButton } from "./dom.js";
import { userOf } from "./message.js";
import { SlashForm, commandOf, leaves, valuesOf } from "./slash.js";
import { Suggestions } from "./suggestions.js";
import { Uploads } from "./uploads.js";

const TYPING_EVERY_MS = 8000;
const COUNT_FROM = 200;
const MOST_SUGGESTED = 12;

export class Composer {
  #replying = null;
  #ping = true;
  #slash = null;
  #typedAt = 0;
  #isSending = false;

  constructor(place, app) {
    this.app = app;
    this.uploads = new Uploads(app);
    this.note = el("p.note", { role: "alert", hidden: true });
    this.reply = el("div.reply-bar", { hidden: true });
    this.field = el("textarea", { rows: 1, "aria-autocomplete": "list", autocomplete: "off", spellcheck: "true", enterkeyhint: "send" });
    this.count = el("span.count", { role: "status" });
    this.picker = el("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files" });
    this.button = iconButton("send", "Send", () => this.#send());
    this.attach = iconButton("attach", "Attach files", () => this.picker.click());
    this.line = el("div.line", {}, this.attach, this.field, this.count, this.button);
    this.node = el("div.composer", {}, this.note, this.reply, this.uploads.node, this.line, this.picker);
    place.append(this.node);
    this.suggestions = new Suggestions(this.node);
    this.#listen();
  }

  #listen() {
    const { field } = this;
    field.addEventListener("input", () => this.#typed());
    field.addEventListener("keydown", (event) => this.#key(event));
    field.addEventListener("click", () => this.#suggest());
    field.addEventListener("blur", () => this.suggestions.hide());
    field.addEventListener("paste", (event) => this.#pasted(event));
    this.picker.addEventListener("change", () => { this.uploads.add([...this.picker.files]); this.picker.value = ""; this.focus(); });
    const { store } = this.app;
    store.on("snapshot open me", () => this.#newPlace());
    store.on("gone", ({ ids }) => ids.includes(this.#replying?.id) && this.replyTo(null));
    store.on("channels bot", () => this.refresh());
  }

  #newPlace() {
    this.replyTo(null);
    this.#closeSlash();
    this.say("");
    this.field.value = sessionStorage.getItem(this.#draftKey()) ?? "";
    this.refresh();
  }

  #draftKey() {
    return `draft ${this.app.store.run} ${this.app.store.channelId}`;
  }

  focus() {
    if (this.#slash) this.#slash.focus();
    else this.field.focus();
  }

  /** Show a sentence above the line; an empty one takes it away. */
  say(sentence) {
    this.note.hidden = !sentence;
    this.note.replaceChildren(...(sentence ? [el("span", {}, sentence), iconButton("close", "Dismiss", () => this.say(""))] : []));
  }

  /** Answer a message, or none. */
  replyTo(message) {
    this.#replying = message;
    this.#ping = true;
    this.reply.hidden = !message;
    if (!message) return;
    const user = userOf(message, this.app.store);
    const ping = el("button.as-link", { type: "button", "aria-pressed": "true", title: "Whether they are told of the reply" }, "@ on");
    ping.addEventListener("click", () => {
      this.#ping = !this.#ping;
      ping.textContent = this.#ping ? "@ on" : "@ off";
      ping.setAttribute("aria-pressed", String(this.#ping));
    });
    this.reply.replaceChildren(el("span", {}, "Replying to ", el("b", {}, user.name)), ping, iconButton("close", "Don't reply", () => { this.replyTo(null); this.focus(); }));
    this.focus();
  }

  /** Put an account's name where one types. */
  mention(id) {
    this.field.setRangeText(`@${this.app.store.user(id).name} `, this.field.selectionStart, this.field.selectionEnd, "end");
    this.focus();
    this.#typed();
  }

  /** Fit the line to its text, and to where one may write. */
  refresh() {
    const { store } = this.app;
    const channel = store.channel;
    if (!channel) return;
    const may = store.mayPost(channel) && channel.kind !== "forum" && !channel.locked;
    this.node.hidden = channel.kind === "forum";
    this.field.disabled = !may;
    this.attach.disabled = !may;
    const target = channel.kind === "dm" ? `@${channel.name}` : channel.kind === "text" ? `#${channel.name}` : channel.name;
    this.field.placeholder = may ? `Message ${target}` : "You can't write here";
    this.field.setAttribute("aria-label", `Message ${target}`);
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, innerHeight * 0.4)}px`;
    const left = store.limits.message_chars - this.app.toSent(this.field.value).length;
    this.count.textContent = left <= COUNT_FROM ? String(left) : "";
    this.count.classList.toggle("problem", left < 0);
    this.button.disabled = !may || left < 0 || (!this.field.value.trim() && !this.uploads.count) || !this.uploads.isReady;
  }

  #typed() {
    this.say("");
    sessionStorage.setItem(this.#draftKey(), this.field.value);
    this.refresh();
    const { store } = this.app;
    if (this.field.value.startsWith("/") && this.#openSlash(/\s/)) return;
    this.#suggest();
    if (!this.field.value.startsWith("/") && this.field.value && Date.now() - this.#typedAt > TYPING_EVERY_MS) {
      this.#typedAt = Date.now();
      this.app.connection.act("typing", { person: store.me, channel: store.channelId }).catch(() => {});
    }
  }

  #commands() {
    return leaves(this.app.store.offered(1, this.app.store.channel));
  }

  /** Turn a typed command into its form, where the line is one and goes on after its name. */
  #openSlash(after) {
    const found = commandOf(this.field.value, this.#commands());
    if (!found || !after.test(this.field.value.slice(found.command.path.length + 1))) return false;
    this.#showSlash(found.command, valuesOf(found.rest, found.command.options));
    return true;
  }

  #showSlash(command, values) {
    this.suggestions.hide();
    this.field.value = "";
    sessionStorage.removeItem(this.#draftKey());
    this.#slash = new SlashForm(command, values, {
      app: this.app, suggestions: this.suggestions,
      send: (path, options) => this.#use(path, options),
      cancel: () => { this.#closeSlash(); this.focus(); },
    });
    this.line.classList.add("with-slash");
    this.field.after(this.#slash.node);
    this.button.disabled = false;
    this.#slash.focus();
  }

  #closeSlash() {
    this.#slash?.node.remove();
    this.#slash = null;
    this.line.classList.remove("with-slash");
    this.suggestions.hide();
    this.refresh();
  }

  async #use(path, options) {
    const { store } = this.app;
    this.#closeSlash();
    this.focus();
    await this.app.interact("slash", { channel: store.channelId, command: path, options });
  }

  #suggest() {
    const { field } = this;
    const before = field.value.slice(0, field.selectionStart);
    if (/^\/[^\n]*$/u.test(before) && before === field.value) return this.#suggestCommands(before.slice(1).toLowerCase());
    const found = /(?:^|\s)([@#])([^\s@#]{0,32})$/u.exec(before);
    if (!found) return this.suggestions.hide();
    const items = found[1] === "@" ? this.#people() : this.#channels();
    const fits = items.filter((item) => item.label.toLowerCase().startsWith(found[2].toLowerCase())).slice(0, MOST_SUGGESTED);
    this.suggestions.show(field, fits, (item) => {
      field.setRangeText(`${found[1]}${item.label} `, before.length - found[2].length - 1, before.length, "end");
      this.#typed();
    });
  }

  #suggestCommands(typed) {
    const fits = this.#commands().filter(({ path }) => path.includes(typed.trim()));
    if (!fits.length) this.say(`There is no command /${typed.split(" ")[0]} here. Enter sends this as a message.`);
    const rank = ({ path }) => (path.startsWith(typed) ? 0 : 1);
    const items = fits.sort((a, b) => rank(a) - rank(b) || a.path.localeCompare(b.path)).map((command) => ({
      label: `/${command.path}`, detail: command.description, command, more: optionNames(command),
    }));
    this.suggestions.show(this.field, items, ({ command }) => this.#showSlash(command, {}));
  }

  #people() {
    const { store } = this.app;
    const users = Object.entries(store.users).map(([, user]) => ({ label: user.name, detail: user.bot ? "Bot" : user.username, mark: avatar(user), first: user.bot }));
    const names = new Set(users.map((user) => user.label)); // a bot's own role has its name
    const roles = store.roles.filter((role) => role.id !== store.guild.id && !names.has(role.name)).map((role) => ({ label: role.name, detail: "Role" }));
    return [...users.sort((a, b) => b.first - a.first || a.label.localeCompare(b.label)), ...roles];
  }

  #channels() {
    return this.app.store.visibleChannels().filter((each) => each.kind !== "dm").map((each) => ({ label: each.name, mark: icon("hash") }));
  }

  #key(event) {
    if (this.suggestions.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !matchMedia("(pointer: coarse)").matches) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "Escape") this.#replying ? this.replyTo(null) : this.app.list.toBottom();
    else if (event.key === "ArrowUp" && !this.field.value) {
      event.preventDefault();
      this.app.editLast();
    }
  }

  #pasted(event) {
    const { files } = event.clipboardData;
    const text = event.clipboardData.getData("text/plain");
    if (files.length && !text) {
      event.preventDefault();
      this.uploads.add([...files]);
    } else if (text.length > this.app.store.limits.message_chars) {
      event.preventDefault();
      this.uploads.add([new File([text], "message.txt", { type: "text/plain" })]);
    }
  }

  async #send() {
    if (this.#slash) return this.#slash.submit();
    if (this.field.value.startsWith("/") && this.#openSlash(/^/)) return;
    const typed = this.field.value;
    if (this.button.disabled || this.#isSending) return;
    this.#isSending = true;
    const replying = this.#replying;
    const fields = { text: this.app.toSent(typed.trim()), files: this.uploads.ids };
    this.field.value = "";
    this.say("");
    this.replyTo(null);
    const sent = replying
      ? await this.app.act("reply", { ...fields, message: replying.id, ping: this.#ping })
      : await this.app.act("say", { ...fields, channel: this.app.store.channelId });
    this.#isSending = false;
    if (sent) this.uploads.clear();
    else this.field.value ||= typed;
    sessionStorage.setItem(this.#draftKey(), this.field.value);
    this.#typedAt = 0;
    this.refresh();
  }
}

function optionNames(command) {
  const names = [...command.options].sort((a, b) => Number(b.required ?? false) - Number(a.required ?? false));
  return el("span.option-names", {}, names.map((option) => el(option.required ? "span.needed" : "span", {}, option.name, option.required ? el("span.required", { "aria-label": "required" }, "*") : null)));
}
