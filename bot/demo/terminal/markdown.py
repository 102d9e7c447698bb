"""Discord's Markdown as styled text for a terminal, wrapped between words.

Reference: "Markdown Text 101" and "Message formatting". It is CommonMark's inline markup in a grammar of
its own for lines: no paragraphs, no lazy continuation, ``__`` underlines, ``-#`` makes small print.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import takewhile
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.styles.pygments import pygments_token_to_classname
from prompt_toolkit.utils import get_cwidth
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from bot.ops.logs import escape

Names = Callable[[str, int], str | None]
"""The name of a user (``@``), role (``@&``) or channel (``#``) by its id; ``None`` for an unknown one."""

_MARKED: Final = re.compile(r"(?:(?P<level>#{1,3}|-#) |(?P<item> {0,8}(?:[-*]|\d{1,4}\.)) )")
_NAMED: Final = re.compile(
    r"<(?P<kind>@!?|@&|#)(?P<id>\d{1,20})>|<t:(?P<time>-?\d{1,12})(?::(?P<form>[tTdDfFR]))?>"
    r"|</(?P<command>[^:<>]{1,98}):\d{1,20}>|<a?(?P<emoji>:\w{2,32}:)\d{1,20}>"
)
_LANGUAGE: Final = re.compile(r"[\w+#.-]{0,32}")
_INDENT: Final = re.compile(r"^ ++")
"""CommonMark would drop it."""
_FORMS: Final = {
    "t": "%H:%M",
    "T": "%H:%M:%S",
    "d": "%Y-%m-%d",
    "D": "%d %B %Y",
    "f": "%d %B %Y %H:%M",
    "F": "%A, %d %B %Y %H:%M",
}
_UNITS: Final = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_STYLES: Final = {"em": "italic", "__": "underline", "**": "bold", "s": "strike", "a": "underline"}
_LEVELS: Final = {"#": "bold underline", "##": "bold", "###": "bold italic", "-#": "class:small"}
_INLINE: Final = (
    MarkdownIt("commonmark")
    .enable("strikethrough")
    .disable(["html_inline", "entity", "image", "text_join"])
)
_LETTER_A, _FLAG_A, _FLAG_Z = ord("A"), 0x1F1E6, 0x1F1FF
_JOINERS: Final = frozenset((*range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400), 0x20E3))


@dataclass(frozen=True, slots=True)
class Line:
    """A line before it is wrapped.

    Attributes:
        text: Styled text without a line break.
        first: What its first row begins with.
        rest: What its other rows begin with.
    """

    text: StyleAndTextTuples
    first: str = ""
    rest: str = ""

    def behind(self, first: str, rest: str | None = None) -> Line:
        """Return the line with something before its first row and, unless it is the same, the others."""
        rest = first if rest is None else rest
        return replace(self, first=first + self.first, rest=rest + self.rest)

    def styled(self, style: str) -> Line:
        """Return the line with a style beneath its own."""
        return replace(self, text=[(f"{style} {own}", text) for own, text, *_ in self.text])


def safe(text: str) -> str:
    """Return text that can't steer a terminal, and whose width all terminals agree on.

    Control characters become visible. Joined emoji become single ones, flags their two letters: terminals
    differ in the width of these, and then repeat rows or leave parts of them behind.
    """
    return "".join(map(_safe, text.replace("\r\n", "\n").expandtabs(4)))


@lru_cache(4096)
def _safe(ch: str) -> str:
    category = unicodedata.category(ch)
    if ch == "\n":
        return ch
    if category == "Zs":
        return " "
    if category == "Cf" or ord(ch) in _JOINERS:
        return ""
    if _FLAG_A <= ord(ch) <= _FLAG_Z:
        return chr(ord(ch) - _FLAG_A + _LETTER_A)
    return escape(ch)


def drawn(source: str, names: Names, now_unix_s: float) -> list[Line]:
    """Return a message's content as lines.

    Args:
        source: As it was sent (2,000 characters from people and bots).
        names: Gives mentions their names.
        now_unix_s: For times such as "3 minutes ago".
    """
    return list(_Page(names, now_unix_s).blocks(safe(source).split("\n")))


class _Page:
    def __init__(self, names: Names, now_unix_s: float) -> None:
        self._names = names
        self._now = now_unix_s

    def blocks(self, rows: list[str], *, is_quote: bool = False) -> Iterator[Line]:
        """Yield the lines of source lines, which are used up; there are no quotes in quotes."""
        while rows:
            if not is_quote and (quoted := _quoted(rows)):
                del rows[: len(quoted)]
                yield from (line.behind("▎ ") for line in self.blocks(quoted, is_quote=True))
            elif code := _fenced(rows):
                before, language, body, after = code
                yield from self.blocks([before]) if before.strip() else ()
                yield from _code(language, body)
                rows = after.split("\n") if after.strip() else []
            elif marked := _MARKED.match(rows[0]):
                yield self._marked(rows.pop(0), marked)
            else:
                plain = [rows[0], *takewhile(_is_plain, rows[1:])]
                del rows[: len(plain)]
                indented = (_INDENT.sub(lambda found: "\xa0" * len(found[0]), row) for row in plain)
                yield from _split(self._inline("\n".join(indented)))

    def _marked(self, row: str, marked: re.Match[str]) -> Line:
        text = self._inline(row[marked.end() :], _LEVELS.get(marked["level"] or "", ""))
        if marked["level"]:
            return Line(text)
        item = marked["item"]
        first = item[:-1] + "•" if item[-1] in "-*" else item
        return Line(text, f"{first} ", " " * (len(first) + 1))

    def _inline(self, text: str, style: str = "") -> StyleAndTextTuples:
        tokens = _INLINE.parseInline(text)[0].children or []
        bars = sum(each.content.count("||") for each in tokens if each.type == "text") // 2 * 2
        out: StyleAndTextTuples = []
        styles, links, spoiler = [style], [""], ""
        for token in tokens:
            if token.nesting == 1:
                styles.append(f"{styles[-1]} {_STYLES.get(token.markup) or _STYLES[token.tag]}")
                links.append(str(token.attrGet("href") or ""))
            elif token.nesting == -1:
                styles.pop()
                out += _target(links.pop(), out)
            elif token.type == "text":
                first, *parts = token.content.split("||", bars)
                bars -= len(parts)
                out.append((styles[-1] + spoiler, self._named(first)))
                for part in parts:
                    spoiler = "" if spoiler else " class:spoiler"
                    out.append((styles[-1] + spoiler, self._named(part)))
            else:
                out.append(_leaf(token, styles[-1] + spoiler))
        return out

    def _named(self, text: str) -> str:
        return _NAMED.sub(self._name, text.replace("\xa0", " "))

    def _name(self, found: re.Match[str]) -> str:
        if found["time"]:
            return self._time(int(found["time"]), found["form"] or "f")
        if found["kind"]:
            kind = found["kind"].removesuffix("!")
            name = self._names(kind, int(found["id"]))
            return kind[0] + (safe(name).replace("\n", " ") if name else "unknown")
        return f"/{found['command']}" if found["command"] else found["emoji"]

    def _time(self, unix_s: int, form: str) -> str:
        if form == "R":
            return _ago(round(unix_s - self._now))
        try:
            return datetime.fromtimestamp(unix_s, UTC).astimezone().strftime(_FORMS[form])
        except (OverflowError, ValueError, OSError):
            return "a time out of range"


def _leaf(token: Token, style: str) -> tuple[str, str]:
    if token.type == "code_inline":
        return f"{style} class:code", token.content
    return style, "\n" if token.type in {"softbreak", "hardbreak"} else token.content


def _target(address: str, before: StyleAndTextTuples) -> StyleAndTextTuples:
    """Return a link's address, unless it is what the link shows."""
    shown = before[-1][1] if before else ""
    return [] if not address or address == shown else [("class:small", f" ({address})")]


def _ago(seconds: int) -> str:
    name, size = next((unit for unit in _UNITS if abs(seconds) >= unit[1]), _UNITS[-1])
    count = abs(seconds) // size
    span = f"{count} {name}{'' if count == 1 else 's'}"
    return f"in {span}" if seconds > 0 else f"{span} ago"


def _is_plain(row: str) -> bool:
    return not (row.startswith((">", "#", "-#")) or "```" in row or _MARKED.match(row))


def _quoted(rows: list[str]) -> list[str]:
    """Return the quote that source lines begin with, without its marks."""
    if rows[0].startswith(">>> "):
        return [rows[0][4:], *rows[1:]]
    return [row[2:] for row in takewhile(lambda row: row == ">" or row.startswith("> "), rows)]


def _fenced(rows: list[str]) -> tuple[str, str, str, str] | None:
    """Return what is before a code block of the first line, its language, its code and the rest."""
    if "```" not in rows[0]:
        return None
    before, _, inside = "\n".join(rows).partition("```")
    code, end, after = inside.partition("```")
    if not end or not code.strip():
        return None
    language, broken, body = code.partition("\n")
    if not broken or not body.strip() or not _LANGUAGE.fullmatch(language):
        language, body = "", code
    return before, language, body.strip("\n"), after.removeprefix("\n")


def _code(language: str, body: str) -> Iterable[Line]:
    text: StyleAndTextTuples = [("", body)]
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
        text = [
            (f"class:{pygments_token_to_classname(kind)}", part)
            for kind, part in lexer.get_tokens(body)
        ]
    except ClassNotFound:
        pass
    return (Line(line.text, "    ", "    ") for line in _split(text))


def _split(text: StyleAndTextTuples) -> Iterator[Line]:
    """Yield the lines of styled text."""
    line: StyleAndTextTuples = []
    for style, part, *_ in text:
        head, *others = part.split("\n")
        line.append((style, head))
        for other in others:
            yield Line(line)
            line = [(style, other)]
    yield Line(line)


def wrapped(line: Line, width: int | None) -> list[StyleAndTextTuples]:
    """Return a line's rows: words stay whole where they fit in a row.

    Args:
        line: One line.
        width: Columns; ``None`` for no limit.
    """
    room = max(2, width - get_cwidth(line.first)) if width else sys.maxsize
    rows: list[StyleAndTextTuples] = [[]]
    used = 0
    for word in _words(line):
        size = sum(get_cwidth(each[1]) for each in word)
        is_space = word[0][1] == " "
        if used + size > room and used and not is_space:
            rows.append([])
            used = 0
        for each in word:
            cells = get_cwidth(each[1])
            if used + cells > room:
                if is_space:
                    break
                rows.append([])
                used = 0
            rows[-1].append(each)
            used += cells
    return [[("class:small", line.rest if at else line.first), *row] for at, row in enumerate(rows)]


def _words(line: Line) -> Iterator[StyleAndTextTuples]:
    """Yield what a row may not be broken in: a word, spaces, or one wide character."""
    word: StyleAndTextTuples = []
    before = ""
    for each in explode_text_fragments(line.text):
        cells = get_cwidth(each[1])
        kind = "space" if each[1] == " " else "wide" if cells == 2 else "word"
        if word and cells and (kind != before or kind == "wide"):
            yield word
            word = []
        word.append(each)
        before = kind if cells else before
    if word:
        yield word
