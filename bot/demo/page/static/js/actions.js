// What one can do with a message: the bar that appears beside it, its menu, and its keys.

import { askFor, askToDelete } from "./dialogs.js";
import { el, iconButton } from "./dom.js";
import { asPlain } from "./markup.js";
import { openMenu } from "./menu.js";

const QUICK = ["👍", "❤️", "😂", "🎉", "🤔", "👀", "✅", "❌"];
const MORE = [...QUICK, "🙂", "😍", "😎", "😢", "😮", "😡", "🙏", "👏", "🔥", "🚀", "💡", "🐛", "⭐", "☕", "🍕", "🌙", "👋", "💯", "❓", "⏳"];

/** Let the bar follow the pointer and the focus, and messages open their menu. */
export function followMessages(list, app) {
  const bar = el("div.bar", { role: "group", "aria-label": "Message actions" });
  let active = null;
  const show = (row) => {
    if (!row || row === active || row.view.isEdited) return;
    active?.classList.remove("active");
    active = row;
    row.classList.add("active");
    bar.replaceChildren(...barButtons(row.view.message, app));
    row.append(bar);
  };
  const rowOf = (event) => event.target.closest?.(".message");
  list.addEventListener("pointerover", (event) => show(rowOf(event)));
  list.addEventListener("focusin", (event) => show(rowOf(event)));
  list.addEventListener("contextmenu", (event) => {
    if (event.target.closest("a, img, input, textarea") || !rowOf(event)) return;
    event.preventDefault();
    const isByKey = event.button !== 2;
    openMessageMenu(rowOf(event).view.message, isByKey ? rowOf(event) : { x: event.clientX, y: event.clientY }, app);
  });
  list.addEventListener("keydown", (event) => event.target === rowOf(event) && rowKey(event, app));
}

function rowKey(event, app) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const message = event.target.view.message;
  const isMine = message.author.id === app.store.me;
  const does = {
    Enter: () => openMessageMenu(message, event.target, app),
    r: () => app.composer.replyTo(message),
    e: () => isMine && app.edit(message.id),
    Delete: () => isMine && remove(message, app),
  }[event.key];
  if (!does) return;
  event.preventDefault();
  event.stopPropagation();
  does();
}

function barButtons(message, app) {
  const isMine = message.author.id === app.store.me;
  if (app.store.isEphemeral(message)) return [iconButton("more", "More", (event) => openMessageMenu(message, event.currentTarget, app))];
  return [
    iconButton("face", "Add a reaction", (event) => openReactions(message, event.currentTarget, app)),
    isMine ? iconButton("edit", "Edit", () => app.edit(message.id)) : iconButton("reply", "Reply", () => app.composer.replyTo(message)),
    iconButton("more", "More", (event) => openMessageMenu(message, event.currentTarget, app)),
  ];
}

function emojiRow(emojis, message, app, close) {
  const buttons = emojis.map((emoji) => el("button", {
    type: "button", role: "menuitem", tabindex: -1, "aria-label": `React with ${emoji}`,
    onclick: () => { close(); app.act("react", { message: message.id, emoji, add: true }); },
  }, emoji));
  return { node: el("div.emojis", { role: "none" }, buttons) };
}

const closeOpen = () => document.querySelector(".menu")?.hidePopover();

function openReactions(message, at, app) {
  openMenu(at, "Reactions", [emojiRow(MORE, message, app, closeOpen)]);
}

async function remove(message, app) {
  const preview = asPlain(message.content.slice(0, 300), app.names) || "A message without text";
  if (await askToDelete(preview)) app.act("delete", { message: message.id });
}

async function startThread(message, app) {
  const name = asPlain(message.content.slice(0, 200), app.names).slice(0, 40);
  const values = await askFor("Create a thread", [{ label: `Name of the thread${name ? ` (such as “${name}”)` : ""}`, most: 100 }], "Create");
  if (!values) return;
  const made = await app.act("thread", { message: message.id, name: values[0] });
  if (made) app.openChannel(made.channel);
}

/** Open a message's menu. */
export function openMessageMenu(message, at, app) {
  const { store } = app;
  const isMine = message.author.id === store.me;
  const isEphemeral = store.isEphemeral(message);
  const apps = isEphemeral ? [] : store.offered(3, store.channel).map((command) => ({
    label: command.name, icon: "bolt", pick: () => app.interact("menu", { command: command.name, message: message.id }),
  }));
  const mayThread = store.channel.kind === "text" && !message.demo.thread;
  openMenu(at, "Message", [
    ...(isEphemeral ? [] : [emojiRow(QUICK, message, app, closeOpen), { label: "Reply", icon: "reply", pick: () => app.composer.replyTo(message) }]),
    ...(isMine ? [{ label: "Edit message", icon: "edit", pick: () => app.edit(message.id) }] : []),
    ...(mayThread && !isEphemeral ? [{ label: "Create thread", icon: "thread", pick: () => startThread(message, app) }] : []),
    { label: "Copy text", icon: "file", pick: () => navigator.clipboard?.writeText(message.content) },
    ...(apps.length ? [null, ...apps, null] : []),
    ...(isMine || isEphemeral ? [{ label: isEphemeral ? "Dismiss message" : "Delete message", icon: "trash", kind: "danger", pick: () => isEphemeral ? app.act("delete", { message: message.id }) : remove(message, app) }] : []),
  ]);
}

/** Open an account's menu: what the bot offers about people, and a mention. */
export function openUserMenu(id, at, app) {
  const { store } = app;
  const commands = store.offered(2, store.channel).map((command) => ({
    label: command.name, icon: "bolt", pick: () => app.interact("menu", { command: command.name, user: id, channel: store.channelId }),
  }));
  openMenu(at, store.user(id).name, [{ label: `Mention @${store.user(id).name}`, pick: () => app.composer.mention(id) }, ...(commands.length ? [null, ...commands] : [])]);
}

/** The field in which a message's text is changed. */
export function editor(message, app, done) {
  const field = el("textarea", { rows: 1, "aria-label": "Edit message", maxlength: app.store.limits.message_chars, value: app.toTyped(message.content) });
  const save = async () => {
    const text = app.toSent(field.value.trim());
    if (!text) remove(message, app);
    else if (text !== message.content) await app.act("edit", { message: message.id, text });
    done();
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") done();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); save(); }
  });
  return el("div.editor", {}, field, el("p.hint", {}, "Esc to ", el("button.as-link", { type: "button", onclick: done }, "cancel"), " · Enter to ", el("button.as-link", { type: "button", onclick: save }, "save")));
}
