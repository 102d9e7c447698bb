// What the page knows: the server's snapshot, kept true by its events. It draws nothing.

/** Order of ids, which sort by time: shorter is older, then by their digits. */
export const byId = (a, b) => a.length - b.length || (a < b ? -1 : Number(a > b));

const EPHEMERAL = 64;

export class Store extends EventTarget {
  /** Nothing is known yet; `me` is the id of the person this tab is. */
  constructor() {
    super();
    Object.assign(this, {
      run: "", bot: null, model: null, people: [], users: {}, roles: [], guild: { id: "", name: "" },
      channels: new Map(), messages: new Map(), typing: new Map(), commands: [], faults: [],
      inside: null, limits: {}, me: "", channelId: "", unread: new Set(),
    });
  }

  /** Tell those who listen; `what` is the part that changed. */
  tell(what, detail = null) {
    this.dispatchEvent(new CustomEvent(what, { detail }));
  }

  /** Call back whenever one of several parts changes. */
  on(parts, listener) {
    for (const part of parts.split(" ")) this.addEventListener(part, (event) => listener(event.detail));
  }

  /** Replace everything by a snapshot. */
  take(snapshot) {
    const { channels, messages, typing, ...rest } = snapshot;
    Object.assign(this, rest);
    this.channels = new Map(channels.map((channel) => [channel.id, channel]));
    this.messages = new Map(Object.entries(messages).map(([id, page]) => [id, { items: page.items, hasOlder: page.has_older }]));
    this.typing = new Map(typing.map((each) => [`${each.channel_id} ${each.user_id}`, each]));
    if (!this.people.some((person) => person.id === this.me)) this.me = this.people[0].id;
    this.tell("snapshot");
  }

  /** Take one event of the server. */
  event(name, data) {
    const handler = HANDLERS[name];
    if (handler) handler(this, data);
  }

  get person() {
    return this.people.find((person) => person.id === this.me);
  }

  get channel() {
    return this.channels.get(this.channelId);
  }

  /** Become another person. */
  become(id) {
    this.me = id;
    this.tell("me");
  }

  /** Look at another channel. */
  open(channelId) {
    this.channelId = channelId;
    this.unread.delete(channelId);
    this.tell("open");
  }

  /** Channels that this person sees, in order. */
  visibleChannels() {
    return [...this.channels.values()].filter((channel) =>
      channel.kind === "dm" ? channel.recipient === this.me : channel.seen_by.includes(this.me));
  }

  /** The messages of a channel that this person sees, oldest first. */
  visibleMessages(channelId) {
    return (this.messages.get(channelId)?.items ?? []).filter((message) => this.sees(message));
  }

  sees(message) {
    const only = message.demo.seen_by;
    return !only || only === this.me;
  }

  find(channelId, messageId) {
    return this.messages.get(channelId)?.items.find((message) => message.id === messageId);
  }

  mayPost(channel) {
    return channel.kind === "dm" ? channel.recipient === this.me : channel.post_by.includes(this.me);
  }

  isEphemeral(message) {
    return (message.flags & EPHEMERAL) !== 0;
  }

  /** The commands of a kind that this person is offered in a channel. */
  offered(kind, channel) {
    const where = channel.kind === "dm" ? "dm" : "guild";
    return this.commands.filter((command) => command.type === kind && command.demo[where].includes(this.me));
  }

  /** An account by id, with a colour for those who left. */
  user(id, author = null) {
    return this.users[id] ?? { name: author?.global_name ?? author?.username ?? "Unknown user", bot: author?.bot ?? false, color: "#6d7482" };
  }

  /** Add a page of older messages in front. */
  addOlder(channelId, page) {
    const known = this.messages.get(channelId);
    known.items = [...page.items, ...known.items];
    known.hasOlder = page.has_older;
    this.tell("older", channelId);
  }

  /** Those who type in a channel at a moment, in UNIX seconds, without oneself. */
  typingIn(channelId, now) {
    return [...this.typing.values()].filter((each) => each.channel_id === channelId && each.until > now && each.user_id !== this.me);
  }
}

function put(page, message) {
  const items = page.items;
  let at = items.length;
  while (at > 0 && byId(items[at - 1].id, message.id) > 0) at -= 1;
  if (items[at - 1]?.id === message.id) items[at - 1] = message;
  else if (at > 0 || !page.hasOlder) items.splice(at, 0, message);
  else return "unknown";
  return items[at]?.id === message.id ? "new" : "changed";
}

function onMessage(store, { message }) {
  const channelId = message.channel_id;
  if (!store.messages.has(channelId)) store.messages.set(channelId, { items: [], hasOlder: false });
  const kind = put(store.messages.get(channelId), message);
  if (kind === "unknown") return;
  if (kind === "new" && store.typing.delete(`${channelId} ${message.author.id}`)) store.tell("typing");
  if (kind === "new" && channelId !== store.channelId && store.sees(message) && message.author.id !== store.me) {
    store.unread.add(channelId);
    store.tell("unread");
  }
  store.tell("message", { message, isNew: kind === "new" });
}

function onGone(store, { channel_id: channelId, ids }) {
  const page = store.messages.get(channelId);
  if (page) page.items = page.items.filter((message) => !ids.includes(message.id));
  for (const message of page?.items ?? []) {
    if (ids.includes(message.referenced_message?.id)) message.referenced_message = null;
  }
  store.tell("gone", { channelId, ids });
}

function keepNewest(list, item, key, most) {
  const at = list.findIndex((each) => each[key] === item[key]);
  if (at >= 0) list[at] = item;
  else list.push(item);
  if (list.length > most) list.splice(0, list.length - most);
}

const HANDLERS = {
  message: onMessage,
  message_gone: onGone,
  typing(store, data) {
    store.typing.set(`${data.channel_id} ${data.user_id}`, data);
    store.tell("typing");
  },
  channel(store, { channel }) {
    store.channels.set(channel.id, channel);
    store.tell("channels");
  },
  channel_gone(store, { id }) {
    store.channels.delete(id);
    store.messages.delete(id);
    store.tell("channels");
  },
  bot(store, data) {
    store.bot = data;
    store.tell("bot");
  },
  commands(store, data) {
    store.commands = data.commands;
    store.tell("commands");
  },
  faults(store, data) {
    store.faults = data.faults;
    store.tell("faults");
  },
  request(store, { request }) {
    keepNewest(store.inside.requests, request, "n", 200);
    store.tell("request", request);
  },
  prompt(store, { prompt }) {
    const before = store.inside.prompts.find((each) => each.n === prompt.n);
    keepNewest(store.inside.prompts, { ...before, ...prompt }, "n", 10);
    store.tell("prompt", prompt);
  },
  queue(store, data) {
    store.inside.queue = data;
    store.tell("queue");
  },
  clock(store, { clock }) {
    keepNewest(store.inside.clocks, clock, "question", 20);
    store.tell("clock");
  },
};
