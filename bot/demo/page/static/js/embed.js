// Files, embeds and previews below a message's text. Pictures come from the demo itself only.

import { el, icon } from "./dom.js";
import { link, marked, markedInline } from "./markup.js";

const OWN_FILE = /^\/files\/\d+\/\d+\/[^/]+$/;

/** The files of a message. */
export function attachments(message) {
  const files = message.attachments ?? [];
  const shown = new Set((message.embeds ?? []).flatMap((embed) => [embed.image, embed.thumbnail]).map((each) => each?.url));
  return files.filter((file) => !shown.has(`attachment://${file.filename}`)).map(attachment);
}

const isPicture = (file) => /^image\/(png|jpeg|gif|webp)$/.test(file.content_type ?? "") && OWN_FILE.test(file.url);

function attachment(file) {
  if (!isPicture(file)) return named(file);
  const picture = el("img", { src: file.url, alt: file.description ?? file.filename, width: file.width, height: file.height, loading: "lazy", decoding: "async" });
  const node = el("a.picture", { href: file.url, target: "_blank", rel: "noopener" }, picture);
  // Its name says that it is one, its content may be anything.
  picture.addEventListener("error", () => node.replaceWith(named(file)));
  return node;
}

function named(file) {
  return el("div.file", {}, icon("file"), el("span.file-name", {}, fileLink(file), el("span.hint", {}, size(file.size))));
}

function fileLink(file) {
  return OWN_FILE.test(file.url) ? el("a", { href: file.url, download: file.filename }, file.filename) : file.filename;
}

/** A file's size for people. @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1_048_576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1_048_576).toFixed(1)} MB`;
}

/** A message's embeds. */
export function embeds(message, names) {
  if (message.flags & 4) return [];
  return (message.embeds ?? []).map((embed) => embedNode(embed, message, names));
}

const isAddress = (text) => /^https?:\/\/[^\s/]/i.test(text ?? "");

function linked(children, url) {
  return isAddress(url) ? link(url, children, true) : children;
}

function embedNode(embed, message, names) {
  const node = el(
    "article.embed", {},
    embed.provider?.name ? el("p.embed-small", {}, embed.provider.name) : null,
    embed.author?.name ? el("p.embed-author", {}, linked(embed.author.name, embed.author.url)) : null,
    embed.title ? el("p.embed-title", {}, linked(markedInline(embed.title, names), embed.url)) : null,
    embed.description ? el("div.prose", {}, marked(embed.description, names)) : null,
    embed.fields?.length ? el("div.embed-fields", {}, embed.fields.map((field) => fieldNode(field, names))) : null,
    picture(embed.image ?? embed.thumbnail, message),
    embed.footer?.text ? el("p.embed-small", {}, embed.footer.text) : null,
  );
  if (embed.color) node.style.setProperty("--edge", `#${embed.color.toString(16).padStart(6, "0").slice(-6)}`);
  return node;
}

function fieldNode(field, names) {
  return el(field.inline ? "div.embed-field.inline" : "div.embed-field", {},
    el("p.embed-field-name", {}, markedInline(field.name, names)), el("div.prose", {}, marked(field.value, names)));
}

function picture(image, message) {
  const name = /^attachment:\/\/(.+)$/.exec(image?.url ?? "")?.[1];
  const file = message.attachments?.find((each) => each.filename === name);
  return file && isPicture(file) ? attachment(file) : null;
}

/** Files that a components message shows: its gallery or a single file, by attachment address. */
export function fileOf(url, message) {
  const name = /^attachment:\/\/(.+)$/.exec(url ?? "")?.[1];
  const file = message.attachments?.find((each) => each.filename === name);
  return file ? attachment(file) : null;
}
