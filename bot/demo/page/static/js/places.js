// The left side: the server and direct messages, their channels, and who one is.

import { avatar, el, icon, markOf } from "./dom.js";

/** Draw servers and channels into their places. */
export function showPlaces(rail, sidebar, app) {
  const { store } = app;
  const draw = () => {
    const isDm = store.channel?.kind === "dm";
    rail.replaceChildren(...railButtons(isDm, app));
    sidebar.replaceChildren(
      el("h1.server-name", {}, isDm ? "Direct messages" : store.guild.name),
      el("div.channel-list", {}, isDm ? dmList(app) : sections(app)),
      bottom(app),
    );
  };
  store.on("snapshot channels me open unread bot", draw);
}

function railButtons(isDm, app) {
  const { store } = app;
  const first = (kind) => () => {
    const channel = store.visibleChannels().find((each) => (each.kind === "dm") === kind);
    if (channel) app.openChannel(channel.id);
  };
  const unreadDm = store.visibleChannels().some((each) => each.kind === "dm" && store.unread.has(each.id));
  const unread = store.visibleChannels().some((each) => each.kind !== "dm" && store.unread.has(each.id));
  const button = (label, isOn, isUnread, mark, go) => el(
    "button.place", { type: "button", "aria-label": isUnread ? `${label}, unread` : label, title: label, "aria-current": isOn ? "true" : null, "data-unread": isUnread, onclick: go }, mark);
  return [
    button("Direct messages", isDm, unreadDm, icon("bubble"), first(true)),
    el("hr"),
    button(store.guild.name, !isDm, unread, [...store.guild.name][0] ?? "?", first(false)),
  ];
}

function sections(app) {
  const channels = app.store.visibleChannels().filter((each) => each.kind !== "dm");
  const tops = channels.filter((each) => !each.parent);
  const names = [...new Set(tops.map((each) => each.section ?? "Channels"))];
  return names.map((name) => el("section", {},
    el("h2", {}, name),
    el("ul", {}, tops.filter((each) => (each.section ?? "Channels") === name).map((each) => channelRow(each, channels, app)))));
}

function channelRow(channel, channels, app) {
  const threads = channels.filter((each) => each.parent === channel.id && !each.archived);
  return el("li", {}, channelButton(channel, app, icon(markOf(channel))),
    threads.length ? el("ul.threads", {}, threads.map((thread) => el("li", {}, channelButton(thread, app, icon("thread"))))) : null);
}

function channelButton(channel, app, mark) {
  const { store } = app;
  const isUnread = store.unread.has(channel.id);
  const isOpen = channel.id === store.channelId;
  return el("a.channel", {
    href: `#${channel.id}`, "aria-current": isOpen ? "page" : null, "data-unread": isUnread,
    onclick: () => app.closeDrawers(),
  }, mark, el("span.channel-name", {}, channel.name), isUnread ? el("span.unread", {}, "new") : null);
}

function dmList(app) {
  const { store } = app;
  return el("ul", {}, store.visibleChannels().filter((each) => each.kind === "dm").map((channel) => el("li", {}, channelButton(channel, app, avatar(store.user(store.bot.id), store.bot.status)))));
}

function bottom(app) {
  const { store } = app;
  const user = store.user(store.me);
  return el("div.me", {}, avatar(user, "online"), el("span", {}, el("b", {}, user.name), el("span.hint", {}, store.person.role)));
}

/** The row of people to be: one click changes who one is. */
export function showPersonSwitch(place, app) {
  const { store } = app;
  const draw = () => {
    const focused = place.contains(document.activeElement);
    place.replaceChildren(...store.people.map((person) => el(
      "button.person", {
        type: "button", role: "radio", "aria-checked": String(person.id === store.me), tabindex: person.id === store.me ? 0 : -1,
        title: `Be ${person.name}, ${person.role}: ${person.about}`, "aria-label": `${person.name}, ${person.role}`,
        onclick: () => app.become(person.id),
      }, avatar(store.user(person.id)), el("span.person-name", {}, person.name, el("span.hint", {}, person.role)))));
    if (focused) place.querySelector("[aria-checked=true]").focus();
  };
  place.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = store.people.findIndex((person) => person.id === store.me);
    app.become(store.people[(at + step + store.people.length) % store.people.length].id);
  });
  store.on("snapshot me", draw);
}

/** Everybody who is here, with the bot's state. */
export function showMembers(place, app) {
  const { store } = app;
  const draw = () => {
    const { bot } = store;
    place.replaceChildren(
      el("h3", {}, "Bot"),
      member(bot.id, bot.status, bot.ready ? bot.activity : "Starting…", app),
      el("h3", {}, `People — ${store.people.length}`),
      ...store.people.map((person) => member(person.id, "online", `${person.role} · ${person.about}`, app)),
    );
  };
  store.on("snapshot bot me", draw);
}

function member(id, status, detail, app) {
  const user = app.store.user(id);
  return el("button.member", { type: "button", "aria-haspopup": "menu", onclick: (event) => app.openUserMenu(id, event.currentTarget) },
    avatar(user, status),
    el("span", {}, el("b", {}, user.name), user.bot ? el("span.tag", {}, "APP") : null, id === app.store.me ? el("span.tag.you", {}, "YOU") : null,
      el("span.hint", {}, el("span.sr-only", {}, `${status}. `), detail)));
}
