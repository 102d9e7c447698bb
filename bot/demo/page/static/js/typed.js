// Names as people type them, ids as Discord's client sends them.

const CODE = /(```[^]*?```|`[^`\n]+`)/;

export class Typed {
  constructor(store) {
    this.store = store;
  }

  /** `@Name` and `#channel` as Discord's mentions; code is left as it is. */
  toSent(text) {
    return text.split(CODE).map((part, index) => (index % 2 ? part : this.#named(part))).join("");
  }

  /** A message's source with names in place of ids, for the field that it is edited in. */
  toTyped(text) {
    const { users, roles, channels } = this.store;
    return text
      .replace(/<@!?(\d{1,20})>/g, (all, id) => (users[id] ? `@${users[id].name}` : all))
      .replace(/<@&(\d{1,20})>/g, (all, id) => this.#prefixed("@", roles.find((role) => role.id === id)) ?? all)
      .replace(/<#(\d{1,20})>/g, (all, id) => this.#prefixed("#", channels.get(id)) ?? all);
  }

  #prefixed(sign, named) {
    return named ? `${sign}${named.name}` : null;
  }

  #named(text) {
    const { users, roles, guild } = this.store;
    const people = Object.entries(users).map(([id, user]) => [`@${user.name}`, `<@${id}>`]);
    const groups = roles.filter((role) => role.id !== guild.id).map((role) => [`@${role.name}`, `<@&${role.id}>`]);
    const channels = this.store.visibleChannels().filter((each) => each.kind !== "dm").map((each) => [`#${each.name}`, `<#${each.id}>`]);
    const known = [...people, ...groups, ...channels].sort((a, b) => b[0].length - a[0].length);
    return known.reduce((done, [name, mention]) => replaceNames(done, name, mention), text);
  }
}

/** Replace a name where it stands alone: "@Ada" isn't in "@Adams", nor in "me@Ada". */
function replaceNames(text, name, mention) {
  let at = text.indexOf(name);
  let done = "";
  while (at >= 0) {
    const isAlone = !/[\p{L}\p{N}_<]/u.test(text[at - 1] ?? " ") && !/[\p{L}\p{N}_]/u.test(text[at + name.length] ?? " ");
    done += text.slice(0, at) + (isAlone ? mention : name);
    text = text.slice(at + name.length);
    at = text.indexOf(name);
  }
  return done + text;
}
