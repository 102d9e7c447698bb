// Discord's Markdown as nodes. Whatever a message holds, the result is text, and elements of the
// kinds that stand here; nothing is loaded from the addresses in it.

import { highlighted } from "./code.js";
import { askToLeave } from "./dialogs.js";
import { el } from "./dom.js";
import { parse, parseInline } from "./markdown.js";
import { timeElement } from "./time.js";

const PICTURES_ONLY = /^(?:\p{Extended_Pictographic}[\u{1F3FB}-\u{1F3FF}\uFE0F]?(?:\u200D\p{Extended_Pictographic}\uFE0F?)*\s*){1,27}$/u;

/** Return a message's text as nodes. @param {string} text @param {Names} names - Who is who. */
export function marked(text, names) {
  if (PICTURES_ONLY.test(text)) return [el("p.jumbo", {}, text)];
  return many(parse(text), names);
}

/** Return text without blocks as nodes, such as an embed's title. */
export function markedInline(text, names) {
  return many(parseInline(text), names);
}

/** Return a text as one plain line, such as the first line of the message that a reply is to. */
export function asPlain(text, names) {
  return marked(text, names).map((node) => node.textContent).join(" ").replace(/\s+/g, " ").trim();
}

const many = (tokens, names) => tokens.map((token) => one(token, names));

function one(token, names) {
  const make = MAKERS[token.type];
  return make ? make(token, names) : document.createTextNode(token.text ?? token.raw);
}

const around = (tag) => (token, names) => el(tag, {}, many(token.tokens, names));

const MAKERS = {
  paragraph: around("p"),
  heading: (token, names) => el(`h${token.depth + 2}`, {}, many(token.tokens, names)),
  subtext: around("small.subtext"),
  blockquote: around("blockquote"),
  list: (token, names) =>
    el(token.ordered ? "ol" : "ul", { start: token.ordered ? token.start : null }, token.items.map((item) => el("li", {}, many(item.tokens, names)))),
  code: (token) => el("pre", {}, el("code", {}, highlighted(token.text, token.lang))),
  codespan: (token) => el("code", {}, token.text),
  strong: around("strong"),
  em: around("em"),
  underline: around("u"),
  struck: around("s"),
  spoiler: (token, names) => spoiler(many(token.tokens, names)),
  user: (token, names) => mention(`@${names.user(token.id)}`, names.isMe(token.id)),
  role: (token, names) => mention(`@${names.role(token.id)}`),
  channel: (token, names) => mention(`#${names.channel(token.id)}`),
  command: (token) => mention(`/${token.name}`),
  emoji: (token) => el("span.custom-emoji", { title: `:${token.name}:` }, `:${token.name}:`),
  moment: (token) => timeElement(token.unix, token.style),
  link: (token, names) => link(token.href, many(token.tokens, names), token.masked),
};

function mention(text, isMe = false) {
  return el(isMe ? "span.mention.mention-me" : "span.mention", {}, text);
}

/** A link out of the demo. It says where it leads before anything is opened. */
export function link(href, children, masked = false) {
  return el("a", {
    href, target: "_blank", rel: "noopener noreferrer nofollow", title: masked ? href : null,
    onclick: (event) => { event.preventDefault(); askToLeave(href); },
  }, children);
}

function spoiler(children) {
  const inside = el("span", { "aria-hidden": "true", inert: true }, children);
  const node = el("span.spoiler", { role: "button", tabindex: 0, "aria-label": "Hidden text. Show it." }, inside);
  const show = () => {
    node.classList.add("shown");
    for (const name of ["role", "tabindex", "aria-label"]) node.removeAttribute(name);
    for (const name of ["aria-hidden", "inert"]) inside.removeAttribute(name);
  };
  node.addEventListener("click", show, { once: true });
  node.addEventListener("keydown", (event) => {
    if (event.target !== node || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    show();
  });
  return node;
}
