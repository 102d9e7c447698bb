// A forum: its posts, and the form for a new one.

import { askFor } from "./dialogs.js";
import { avatar, el, icon } from "./dom.js";
import { asPlain } from "./markup.js";
import { userOf } from "./message.js";
import { byId } from "./store.js";

/** Draw the open forum's posts; hidden in channels of other kinds. */
export function showForum(place, app) {
  const { store } = app;
  const draw = () => {
    const forum = store.channel;
    place.hidden = forum?.kind !== "forum";
    if (place.hidden) return;
    const posts = store.visibleChannels().filter((each) => each.parent === forum.id).sort((a, b) => byId(b.id, a.id));
    const button = store.mayPost(forum) ? el("button.primary", { type: "button", onclick: () => write(app) }, icon("plus"), "New post") : null;
    place.replaceChildren(
      el("header", {}, el("div", {}, el("h2", {}, forum.name), el("p.hint", {}, forum.topic || "Each post is a conversation of its own.")), button),
      el("ul", {}, posts.map((post) => el("li", {}, card(post, app)))),
    );
  };
  store.on("snapshot open me channels message", draw);
}

function card(post, app) {
  const { store } = app;
  const messages = store.visibleMessages(post.id);
  const first = messages[0];
  const user = first ? userOf(first, store) : null;
  return el("a.post", { href: `#${post.id}` },
    el("b", {}, post.name),
    first ? el("span.post-line", {}, avatar(user), el("span", {}, `${user.name}: ${asPlain(first.content.slice(0, 240), app.names)}`)) : null,
    el("span.hint", {}, messages.length === 1 ? "1 message" : `${messages.length} messages`));
}

async function write(app) {
  const values = await askFor("New post", [{ label: "Title", most: 100 }, { label: "Message", long: true, most: app.store.limits.message_chars }], "Post");
  if (!values) return;
  const made = await app.act("post", { channel: app.store.channelId, title: values[0], text: app.toSent(values[1]), files: [] });
  if (made) app.openChannel(made.channel);
}
