// Discord's Markdown as a tree of tokens: marked's lexer, with Discord's rules in the place of
// those of CommonMark that Discord lacks or reads in another way. Nothing here makes HTML.
// Format: Discord, reference "Message formatting" and help article "Markdown Text 101"; where these
// are silent, the rules of simple-markdown, which Discord's clients are built on.

import { Lexer, Marked, Tokenizer } from "../vendor/marked/marked.esm.js";

const FENCE = /^```(?:([a-z0-9_+\-.#]+)\n)?\n*([^\n][^]*?)\n*```(?:[ \t]*\n)?/i;
const HEADING = /^ *(#{1,3})[ \t]+([^\n]+?)[ \t]*#*[ \t]*(?:\n|$)/;
const SUBTEXT = /^ *-#[ \t]+([^\n]+)(?:\n|$)/;
const QUOTE_REST = /^ *>>> ([^]*)$/;
const QUOTE_LINE = /^ *> ([^\n]*)(?:\n|$)/;
const ITEM = /^ *(?:[*-]|\d{1,9}\.)[ \t]+\S/;
const INDENTED = /^ +\S/;
const ADDRESS = /^https?:\/\/[^\s<>]+[^\s<>.,:;"'\]]/;
const IN_BRACKETS = /^<(https?:\/\/[^\s<>/][^\s<>]*)>/i;
const MASKED =
  /^\[((?:\\.|[^[\]\\]|\[[^[\]]*\])+)\]\(\s*<?(https?:\/\/[^\s<>/][^\s<>]*?)>?(?:\s+"[^"]*")?\s*\)/i;
const CODE = /^(`+)([^]*?[^`])\1(?!`)/;
const ESCAPED = /^\\([^0-9A-Za-z\s])/;
const STRONG = /^\*\*((?:\\[^]|[^\\])+?)\*\*(?!\*)/;
const UNDERLINED = /^__((?:\\[^]|[^\\])+?)__(?!_)/;
const SLANTED = /^_((?:__|\\[^]|[^\\_])+?)_(?![0-9A-Za-z_])/;
const STARRED = /^\*(?=\S)((?:\*\*|\s+(?:[^*\s]|\*\*)|[^\s*])+?)\*(?!\*)/;
const MAY_BEGIN = /[\\`*_~|<[]|https?:\/\//g;

/** Deeper than this, signs are text: a message of asterisks alone would nest a thousand times. */
const MOST_LEVELS = 16;

function within(found, lexer) {
  const depth = lexer.state.depth ?? 0;
  if (depth >= MOST_LEVELS) return { tokens: [{ type: "text", raw: found[1], text: found[1] }] };
  lexer.state.depth = depth + 1;
  const tokens = lexer.inlineTokens(found[1]);
  lexer.state.depth = depth;
  return { tokens };
}

/** Inline rules: the token's type, its pattern, and what else the token holds. */
const INLINE = [
  ["code", FENCE, (found) => ({ lang: found[1], text: found[2] })],
  ["spoiler", /^\|\|([^]+?)\|\|/, within],
  ["struck", /^~~([^]+?)~~/, within],
  ["user", /^<@!?(\d{1,20})>/, (found) => ({ id: found[1] })],
  ["role", /^<@&(\d{1,20})>/, (found) => ({ id: found[1] })],
  ["channel", /^<#(\d{1,20})>/, (found) => ({ id: found[1] })],
  ["command", /^<\/([\p{L}\p{N}_\- ]{1,98}):\d{1,20}>/u, (found) => ({ name: found[1] })],
  ["emoji", /^<a?:(\w{2,32}):\d{1,20}>/, (found) => ({ name: found[1] })],
  [
    "moment",
    /^<t:(-?\d{1,13})(?::([tTdDfFsSR]))?>/,
    (found) => ({ unix: Number(found[1]), style: found[2] ?? "f" }),
  ],
  ["escape", ESCAPED, (found) => ({ text: found[1] })],
  ["codespan", CODE, (found) => ({ text: found[2].replace(/^ (?=`)|(?<=`) $/g, "") })],
  ["link", IN_BRACKETS, (found) => address(found[1])],
];

function address(text) {
  return { href: text, masked: false, tokens: [{ type: "text", raw: text, text }] };
}

/** Emphasis: of the patterns that fit, the one that takes most, and the narrower of equals. */
function emphasised(source, lexer) {
  const fits = [["em", SLANTED], ["em", STARRED], ["strong", STRONG], ["underline", UNDERLINED]]
    .map(([type, pattern]) => ({ type, found: pattern.exec(source) }))
    .filter((each) => each.found);
  if (!fits.length) return undefined;
  const { type, found } = fits.reduce((a, b) => (b.found[0].length > a.found[0].length ? b : a));
  return { type, raw: found[0], ...within(found, lexer) };
}

const firstLine = (source, from = 0) => source.indexOf("\n", from) + 1 || source.length;

function beginsBlock(line) {
  return [HEADING, SUBTEXT, QUOTE_LINE, QUOTE_REST, ITEM].some((pattern) => pattern.test(line));
}

/** Text up to the next line that begins a block, or the next code block, which begins anywhere. */
function plainText(source) {
  let end = firstLine(source);
  while (end < source.length && !beginsBlock(source.slice(end, firstLine(source, end)))) {
    end = firstLine(source, end);
  }
  for (let at = source.indexOf("```", 1); at > 0 && at < end; at = source.indexOf("```", at + 3)) {
    if (source[at - 1] !== "`" && FENCE.test(source.slice(at))) return source.slice(0, at);
  }
  return source.slice(0, end);
}

/** The lines of one list: items, and what is indented below them. */
function listLines(source) {
  let end = 0;
  while (end < source.length) {
    const next = firstLine(source, end);
    const line = source.slice(end, next);
    if (!ITEM.test(line) && !(end > 0 && INDENTED.test(line))) break;
    end = next;
  }
  return source.slice(0, end);
}

function quoted(source) {
  const all = QUOTE_REST.exec(source);
  if (all) return { raw: all[0], text: all[1] };
  const lines = [];
  let rest = source;
  for (let found = QUOTE_LINE.exec(rest); found?.[0]; found = QUOTE_LINE.exec(rest)) {
    lines.push(found[1]);
    rest = rest.slice(found[0].length);
  }
  return { raw: source.slice(0, source.length - rest.length), text: lines.join("\n") };
}

class DiscordTokenizer extends Tokenizer {
  fences(source) {
    const found = FENCE.exec(source);
    return found ? { type: "code", raw: found[0], lang: found[1], text: found[2] } : undefined;
  }

  heading(source) {
    const found = HEADING.exec(source);
    if (!found) return undefined;
    const tokens = this.lexer.inline(found[2]);
    return { type: "heading", raw: found[0], depth: found[1].length, tokens };
  }

  blockquote(source) {
    const quote = this.lexer.state.inQuote ? { raw: "" } : quoted(source); // Discord nests none
    if (!quote.raw) return undefined;
    this.lexer.state.inQuote = true;
    this.lexer.state.top = true;
    const tokens = this.lexer.blockTokens(quote.text, []);
    this.lexer.state.inQuote = false;
    return { type: "blockquote", ...quote, tokens };
  }

  list(source) {
    const { state } = this.lexer;
    const depth = state.listDepth ?? 0;
    const lines = depth < MOST_LEVELS ? listLines(source) : "";
    state.listDepth = depth + 1;
    const list = lines ? super.list(lines) : undefined;
    state.listDepth = depth;
    if (list && lines[list.raw.length] === "\n") list.raw += "\n";
    return list;
  }

  paragraph(source) {
    const raw = plainText(source);
    return { type: "paragraph", raw, text: raw, tokens: this.lexer.inline(raw) };
  }

  text(source) {
    return this.paragraph(source);
  }

  link(source) {
    const found = MASKED.exec(source);
    if (!found || /https?:\/\//i.test(found[1])) return undefined;
    return { ...address(found[2]), type: "link", raw: found[0], masked: true, ...within(found, this.lexer) };
  }

  url(source) {
    let text = ADDRESS.exec(source)?.[0] ?? "";
    while (text.endsWith(")") && text.split(")").length > text.split("(").length) {
      text = text.slice(0, -1);
    }
    return /^https?:\/\/[^/]/.test(text) ? { ...address(text), type: "link", raw: text } : undefined;
  }

  inlineText(source) {
    MAY_BEGIN.lastIndex = 1;
    const next = MAY_BEGIN.exec(source);
    const raw = next ? source.slice(0, next.index) : source;
    return { type: "text", raw, text: raw };
  }
}

const SWITCHED_OFF = [
  "space", "code", "hr", "html", "def", "table", "lheading",
  "escape", "tag", "reflink", "emStrong", "codespan", "br", "del", "autolink",
];
for (const rule of SWITCHED_OFF) DiscordTokenizer.prototype[rule] = () => undefined;

function extension(level, name, tokenizer) {
  return { name, level, tokenizer(source) { return tokenizer(source, this.lexer); } };
}

function byPattern([type, pattern, more]) {
  return extension("inline", type, (source, lexer) => {
    const found = pattern.exec(source);
    return found ? { type, raw: found[0], ...more(found, lexer) } : undefined;
  });
}

const subtext = extension("block", "subtext", (source, lexer) => {
  const found = SUBTEXT.exec(source);
  return found ? { type: "subtext", raw: found[0], tokens: lexer.inline(found[1]) } : undefined;
});

const { defaults } = new Marked({
  gfm: false,
  extensions: [subtext, ...INLINE.map(byPattern), extension("inline", "emphasis", emphasised)],
});

const lexer = () => new Lexer({ ...defaults, tokenizer: new DiscordTokenizer() });

/** Return the tokens of a message: blocks, each with its inline tokens. */
export function parse(text) {
  return lexer().lex(text);
}

/** Return the tokens of text in which no blocks count, such as an embed's title. */
export function parseInline(text) {
  return lexer().inlineTokens(text);
}
