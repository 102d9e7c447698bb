// The page: what its parts share, and how they hang together.

import { editor, followMessages, openUserMenu } from "./actions.js";
import { announceMessages } from "./announce.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { askForm } from "./dialogs.js";
import { el, icon, iconButton, markOf } from "./dom.js";
import { showFaults } from "./faults.js";
import { showForum } from "./forum.js";
import { showInside } from "./inside.js";
import { MessageList } from "./list.js";
import { closeMenu } from "./menu.js";
import { dots } from "./message.js";
import { showTabs } from "./panel.js";
import { showMembers, showPersonSwitch, showPlaces } from "./places.js";
import { Store, byId } from "./store.js";
import { keepTime } from "./time.js";
import { showTop } from "./top.js";
import { Typed } from "./typed.js";

const place = (id) => document.getElementById(id);
const store = new Store();
const typed = new Typed(store);
const connection = new Connection({
  snapshot: (frame) => {
    store.me ||= sessionStorage.getItem("me") ?? "";
    store.take(frame);
    openFromAddress();
  },
  event: (name, data) => store.event(name, data),
  state: (state) => top.connection(state),
});

/** What the parts of the page ask of each other. */
const app = {
  store,
  connection,
  names: {
    user: (id) => store.user(id).name,
    role: (id) => store.roles.find((role) => role.id === id)?.name ?? "deleted-role",
    channel: (id) => store.channels.get(id)?.name ?? "unknown",
    isMe: (id) => id === store.me,
  },
  toSent: (text) => typed.toSent(text),
  toTyped: (text) => typed.toTyped(text),
  note: (sentence) => app.composer.say(sentence),
  openUserMenu: (id, at) => openUserMenu(id, at, app),
  focusComposer: () => app.composer.focus(),

  /** Do something as this tab's person; a refusal is shown, and null is returned. */
  async act(what, fields) {
    try {
      return await connection.act(what, { person: store.me, ...fields });
    } catch (error) {
      app.note(error.message);
      return null;
    }
  },

  /** Use a button, a menu or a command, and fill in the form that may come of it. */
  async interact(what, fields) {
    const done = await app.act(what, fields);
    if (done?.response !== "modal") return;
    const values = await askForm(done.modal, store);
    if (values) await app.interact("submit", { interaction: done.interaction, fields: values });
  },

  openChannel(id) {
    if (`#${id}` === location.hash) openFromAddress();
    else location.hash = id;
  },

  /** Show a message, in whichever channel it is. */
  async goTo(channelId, messageId) {
    if (channelId !== store.channelId) {
      history.pushState(null, "", `#${channelId}`);
      openFromAddress();
    }
    await app.list.reveal(messageId);
  },

  become(id) {
    sessionStorage.setItem("me", id);
    store.become(id);
    if (!store.visibleChannels().some((channel) => channel.id === store.channelId)) openFromAddress();
  },

  /** Change a message's text in its place. */
  async edit(id) {
    if (!app.list.views.has(id)) await app.list.reveal(id);
    const view = app.list.views.get(id);
    if (!view || store.isEphemeral(view.message)) return;
    if (!view.isEdited) {
      view.edit(editor(view.message, app, () => { view.edit(null); app.list.edited.delete(id); app.focusComposer(); }));
      app.list.edited.set(id, view);
    }
    const field = view.node.querySelector("textarea");
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
    view.node.scrollIntoView({ block: "nearest" });
  },

  editLast() {
    const mine = store.visibleMessages(store.channelId).filter((message) => message.author.id === store.me);
    if (mine.length) app.edit(mine.at(-1).id);
  },

  closeDrawers() {
    document.body.classList.remove("left-open", "panel-open");
  },
};

/** A channel that the address named before the demo had told of it. */
let awaited = "";

/** Open the channel of the address, else the first that this person sees. */
function openFromAddress() {
  const channels = store.visibleChannels();
  const wanted = decodeURIComponent(location.hash.slice(1));
  awaited = store.channels.has(wanted) ? "" : wanted;
  const isDm = store.channel?.kind === "dm";
  const channel = channels.find((each) => each.id === wanted)
    ?? channels.find((each) => isDm && each.kind === "dm")
    ?? channels.find((each) => each.kind === "text");
  if (!channel) return;
  if (location.hash !== `#${channel.id}`) history.replaceState(null, "", `#${channel.id}`);
  closeMenu();
  store.open(channel.id);
}

function showHead() {
  const { channel } = store;
  if (!channel) return;
  place("channel-name").replaceChildren(icon(markOf(channel)), el("span", {}, channel.name));
  place("channel-topic").textContent = channel.topic ?? "";
  place("stage").hidden = channel.kind === "forum";
  document.title = `${channel.kind === "text" ? "#" : ""}${channel.name} · Clawbot demo`;
}

function showTyping() {
  const node = place("typing");
  const draw = () => {
    const names = store.typingIn(store.channelId, Date.now() / 1000).map((each) => store.user(each.user_id).name);
    const text = names.length === 1 ? `${names[0]} is typing…` : `${names.join(" and ")} are typing…`;
    if (node.dataset.text === (names.length ? text : "")) return;
    node.dataset.text = names.length ? text : "";
    node.replaceChildren(...(names.length ? [dots(), text] : []));
  };
  store.on("snapshot open typing me", draw);
  setInterval(draw, 1000);
}

function dropFiles() {
  const chat = place("chat");
  const show = (isOver) => { place("drop").hidden = !isOver; };
  chat.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    show(true);
  });
  chat.addEventListener("dragleave", (event) => chat.contains(event.relatedTarget) || show(false));
  chat.addEventListener("drop", (event) => {
    event.preventDefault();
    show(false);
    app.composer.uploads.add([...event.dataTransfer.files]);
  });
}

function drawers() {
  const toggle = (name) => () => document.body.classList.toggle(name);
  const head = place("channel-head");
  head.prepend(iconButton("menu", "Channels", toggle("left-open"), { class: "icon-button left-button" }));
  head.append(iconButton("panel", "Panel: people, faults, inside", () => {
    document.body.classList.toggle("panel-open");
    document.body.classList.toggle("panel-closed");
  }, { class: "icon-button panel-button" }));
  place("shade").addEventListener("click", app.closeDrawers);
}

function pageKeys(event) {
  if (event.key === "Escape" && document.body.matches(".left-open, .panel-open")) app.closeDrawers();
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    nextChannel(event.key === "ArrowDown" ? 1 : -1);
  }
  const isText = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (isText && document.activeElement === document.body) app.focusComposer();
}

function nextChannel(step) {
  const channels = store.visibleChannels().filter((each) => (each.kind === "dm") === (store.channel?.kind === "dm"));
  const at = channels.findIndex((each) => each.id === store.channelId);
  app.openChannel(channels[(at + step + channels.length) % channels.length].id);
}

const top = showTop(place("model"), place("top-end"), place("banner"), app);
app.list = new MessageList(place("stage"), app);
app.composer = new Composer(place("composer"), app);
followMessages(app.list.list, app);
showPlaces(place("rail"), place("sidebar"), app);
showPersonSwitch(place("people"), app);
showTabs(place("panel"), [
  ["members", "People", (part) => showMembers(part, app)],
  ["faults", "Break it", (part) => showFaults(part, app)],
  ["inside", "Look inside", (part) => showInside(part, app)],
]);
showForum(place("forum"), app);
announceMessages(place("announce"), app);
showTyping();
dropFiles();
drawers();
store.on("open channels", showHead);
store.on("channels", () => {
  if (awaited && store.channels.has(awaited)) app.openChannel(awaited);
  else if (!store.channel) openFromAddress();
});
keepTime();
window.addEventListener("hashchange", openFromAddress);
document.addEventListener("keydown", pageKeys);
place("skip").addEventListener("click", (event) => { event.preventDefault(); app.focusComposer(); });
store.addEventListener("open", () => app.focusComposer());
connection.open();
