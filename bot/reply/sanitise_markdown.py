"""Makes Discord's markup harmless while the text is still arriving.

Outside code: mentions are broken, masked links shown as what they are, invites and foreign schemes
taken out, imitated small print stripped. Code stays as it is. Code is what Discord takes for code:
any three backticks toggle a fence, and inline code ends at the next run of the same length.
Sources: Discord "Reference: message formatting", "Markdown text 101".
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import Final

from bot.reply.markup import prefixes
from bot.reply.sanitise_brackets import BRACKET_CHARS, may_become_bracket, read_bracket
from bot.reply.sanitise_links import (
    INVITE_REMOVED,
    REMOVED,
    URL_CHARS,
    has_invite,
    link_text,
    may_begin_invite,
)
from bot.reply.sanitise_policy import OutputPolicy

BREAK: Final = "\u200b"
"""The zero-width space behind the sign of a mention that must not be one."""

_ALIKE: Final = (
    "\u2044\u2215\u24b6-\u24e9\uff0e\uff0f\uff21-\uff3a\uff41-\uff5a\uff61\U0001d400-\U0001d7ff"
)
"""Characters that browsers read as the letters, dots and slashes of an address."""

_CLINGING: Final = "\u0300-\u036f\u20d0-\u20ff\u200d\ufe0e\ufe0f"
_SPECIAL: Final = re.compile(rf"[`@<\[\]!/\\%\n{_ALIKE}]")
_TICKS: Final = re.compile("`+")
_FENCE: Final = re.compile("`{3,}")
_FENCE_OR_ESCAPE: Final = re.compile(r"\\[`\\]|`{3,}")
_CHROME: Final = re.compile(r"(?:[ \t>]{0,80}+-#(?=[ \t])){1,40}+[ \t]{0,80}+")
_CHROME_SIGN: Final = re.compile(r"-#[ \t]*")
_CHROME_PARTIAL: Final = re.compile(r"(?:[ \t>]{0,80}+-#(?=[ \t])){0,40}+[ \t>]{0,80}+(?:-#?+)?+\Z")
_MASS: Final = re.compile(r"@(?=everyone|here)", re.IGNORECASE)
_MASS_PARTIALS: Final = prefixes(["@everyone", "@here"])
_SCHEME_CHARS: Final = "+-." + string.ascii_letters + string.digits
_URL: Final = re.compile(r"//(?:[^\s<>\"`\[\]()]++|\([^\s<>\"`\[\]()]*+\)?+)*+")
_WORD: Final = re.compile(rf"[!-;=?-Z\\^_a-~{_ALIKE}{_CLINGING}]{{0,200}}")
_LAST_WORD: Final = re.compile(rf"[!-;=?-Z\\^_a-~{_ALIKE}]{{0,64}}\Z")
_PERCENT: Final = re.compile(r"%(?:[0-9A-Fa-f]{2}|[0-9A-Fa-f]?\Z)")
_ANSI: Final = re.compile(r"ansi(?![\w+.#\-])", re.IGNORECASE)
_ANSI_PARTIALS: Final = prefixes(["ansi."])
_LIVELY: Final = frozenset("<@-!&/%\\")
_TAIL_CHARS: Final = 64
_INLINE_CHARS: Final = 600

_ANGLE: Final = re.compile(
    r"<(?:(?P<sigil>@[!&]?|#)(?=\d)|/(?P<command>[\w\- ]{1,100}):\d+>|id:(?P<place>[\w\-]+)>"
    r"|(?:tel|mailto|sms|callto|facetime):(?P<contact>[^<>\s]*)>"
    r"|(?P<emoji>a?:\w{1,32}:\d{1,22}>)|img\b(?P<image>[^<>]{0,600})>)",
    re.IGNORECASE,
)
_ANGLE_PARTIAL: Final = re.compile(
    r"<(?:@[!&]?|#|/[\w\- ]{0,100}(?::\d*)?|id:[\w\-]*|(?:tel|mailto|sms|callto|facetime):[^<>\s]{0,400}"
    r"|a?:\w{0,32}(?::\d{0,22})?|img\b[^<>]{0,600})?\Z",
    re.IGNORECASE,
)
_ANGLE_WORDS: Final = prefixes(
    f"<{word}:" for word in ("id", "tel", "mailto", "sms", "callto", "facetime", "a", "img")
)
_ATTRIBUTE: Final = re.compile(r"\b(src|alt)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|(\S+))", re.IGNORECASE)


def fence_end(text: str) -> str:
    """Return what closes a fence that is still open at the end of guarded text; else nothing."""
    is_open = False
    position = 0
    while found := (_FENCE if is_open else _FENCE_OR_ESCAPE).search(text, position):
        is_open ^= found[0][0] == "`"
        position = found.end()
    if not is_open:
        return ""
    return "\n```" if text[position:].strip("\n") else " ```"


class MarkdownGuard:
    """Reads cleaned text that arrives in pieces; what it has given out stays as it is."""

    def __init__(self, policy: OutputPolicy) -> None:
        self._policy = policy
        self._emoji_left = policy.max_emoji
        self._buf = ""
        self._pos = 0
        self._ended = False
        self._out: list[str] = []
        self._tail = ""
        self._line_start = True
        self._mode: Callable[[], bool] = self._text
        self._inline = 0
        self._inline_left = 0
        self._takes_inline = True
        self._has_body = False

    @property
    def is_plain(self) -> bool:
        """Whether text without any special character would pass unchanged."""
        return not (self._buf or self._line_start or self._inline) and self._tail[-1:] != "]"

    def passed(self, text: str) -> None:
        """Take note of text that the caller let pass while ``is_plain`` was true."""
        self._tail = (self._tail + text)[-_TAIL_CHARS:]
        self._has_body = True

    def feed(self, text: str, *, ended: bool = False) -> str:
        """Return what can be given out now."""
        self._buf += text
        self._ended = ended
        while self._pos < len(self._buf) and self._mode():
            pass
        self._buf = self._buf[self._pos :]
        self._pos = 0
        out = "".join(self._out)
        self._out.clear()
        return out

    def _emit(self, text: str) -> bool:
        self._out.append(text)
        self._tail = (self._tail + text)[-_TAIL_CHARS:]
        return True

    def _literal(self, chars: int) -> bool:
        end = self._pos + chars
        self._emit(self._buf[self._pos : end])
        self._pos = end
        return True

    def _replace(self, chars: int, text: str) -> bool:
        self._pos += chars
        return self._emit(text)

    # Each step reads on from ``_pos`` and returns whether it got anywhere.

    def _text(self) -> bool:
        if self._inline:
            decided = self._inline_code()
            if decided is not None:
                return decided
        if self._line_start:
            return self._small_print()
        buf, pos = self._buf, self._pos
        if pos >= len(buf):
            return False
        if buf[pos] == "(" and self._tail[-1:] == "]":
            self._emit(" ")
            return self._literal(1)
        found = _SPECIAL.search(buf, pos)
        end = found.start() if found else len(buf)
        return self._literal(end - pos) if end > pos else self._special(buf[pos])

    def _special(self, char: str) -> bool:
        if char == "\n":
            self._line_start = True
            return self._literal(1)
        if char == "`":
            return self._ticks()
        if char == "@":
            return self._mass_mention()
        if char == "<":
            return self._angle()
        if char in "[!":
            return self._bracket(char)
        if char == "]":
            return self._literal(1)
        return self._slash() if char == "/" else self._disguise(char)

    def _small_print(self) -> bool:
        rest = self._buf[self._pos : self._pos + 80]
        if not self._ended and len(rest) < 80 and _CHROME_PARTIAL.match(rest):
            return False
        found = _CHROME.match(rest)
        if found:
            return self._replace(found.end(), _CHROME_SIGN.sub("", found[0]))
        self._line_start = False
        return True

    # --- code

    def _ticks(self) -> bool:
        run = _TICKS.match(self._buf, self._pos)
        end = run.end() if run else self._pos + 1
        if end == len(self._buf) and not self._ended:
            return False
        count = end - self._pos
        if count >= 3:
            self._mode = self._fence_name
            self._has_body = False
            return self._replace(count, "```")
        if self._takes_inline:
            self._inline = count
            self._inline_left = _INLINE_CHARS
        return self._literal(count)

    def _fence_name(self) -> bool:
        rest = self._buf[self._pos : self._pos + 5]
        if rest.lower() in _ANSI_PARTIALS and not self._ended:
            return False
        if _ANSI.match(rest):
            self._replace(4, "text")
            self._has_body = True
        self._mode = self._fence
        return True

    def _fence(self) -> bool:
        found = _FENCE.search(self._buf, self._pos)
        end = found.start() if found else len(self._buf)
        if found is None and not self._ended:
            end = len(self._buf.rstrip("`"))
        if end > self._pos:
            self._has_body |= self._buf[self._pos : end].strip("\n") != ""
            return self._literal(end - self._pos)
        if found is None or (found.end() == len(self._buf) and not self._ended):
            return False
        if not self._has_body:
            self._emit(" ")
        self._mode = self._text
        self._line_start = False
        return self._replace(found.end() - found.start(), "```")

    def _inline_code(self) -> bool | None:
        """Read on inside inline code; ``None`` when it turned out to be none, or has ended."""
        buf, pos = self._buf, self._pos
        limit = pos + self._inline_left
        close = next(
            (run for run in _TICKS.finditer(buf, pos, limit) if len(run[0]) == self._inline), None
        )
        if close is not None and (close.end() < len(buf) or self._ended):
            self._inline = 0
            self._line_start = False
            return self._literal(close.end() - pos)
        special = _SPECIAL.search(buf, pos)
        plain = special.start() if special else len(buf)
        if plain >= limit or len(buf) >= limit or self._ended:
            self._inline = 0
            self._takes_inline = False
            return None
        self._inline_left -= plain - pos
        self._literal(plain - pos)
        return False

    # --- mentions

    def _mass_mention(self) -> bool:
        rest = self._buf[self._pos : self._pos + 9]
        if _MASS.match(rest):
            return self._replace(1, f"@{BREAK}")
        if rest.lower() in _MASS_PARTIALS and not self._ended:
            return False
        return self._literal(1)

    def _angle(self) -> bool:
        rest = self._buf[self._pos : self._pos + 700]
        found = _ANGLE.match(rest)
        if found is None:
            grows = _ANGLE_PARTIAL.match(rest) or rest.lower() in _ANGLE_WORDS
            return False if grows and not self._ended else self._literal(1)
        chars = found.end()
        if found["sigil"]:
            return self._replace(chars, f"{found[0]}{BREAK}")
        if found["emoji"]:
            self._emoji_left -= 1
            spare = " " if self._tail[-1:] in _LIVELY else ""
            return self._replace(chars, found[0] if self._emoji_left >= 0 else spare)
        if found["image"] is not None:
            return self._again(chars, self._image(found["image"]))
        command, place = found["command"], found["place"]
        return self._again(
            chars, f"/{command}" if command else f"id:{place}" if place else found["contact"]
        )

    def _image(self, attributes: str) -> str:
        found = {m[1].lower(): m[2] or m[3] or m[4] or "" for m in _ATTRIBUTE.finditer(attributes)}
        invites = self._policy.allow_invites
        return link_text(found.get("alt", ""), found.get("src", ""), allow_invites=invites)

    def _again(self, chars: int, text: str) -> bool:
        """Put text in place of the next characters, and read it like any other.

        It must not become live together with what stands before it.
        """
        text = text or REMOVED
        if self._tail[-1:] in _LIVELY:
            text = f" {text}"
        self._buf = text + self._buf[self._pos + chars :]
        self._pos = 0
        return True

    # --- links

    def _bracket(self, char: str) -> bool:
        buf, pos = self._buf, self._pos
        if char == "!" and buf[pos + 1 : pos + 2] != "[":
            return False if pos + 1 == len(buf) and not self._ended else self._literal(1)
        rest = buf[pos : pos + BRACKET_CHARS]
        found = read_bracket(rest)
        if found is None:
            grows = not self._ended and len(rest) < BRACKET_CHARS and may_become_bracket(rest)
            return False if grows else self._literal(1)
        if found.address is not None:
            invites = self._policy.allow_invites
            text = link_text(found.label, found.address, allow_invites=invites)
            return self._again(found.end, text)
        if found.name is not None:
            return self._reference(found.label, found.name, found.end, is_image=char == "!")
        if self._tail.rpartition("\n")[2].strip(" \t>"):
            return self._literal(1)
        return self._replace(found.end, f"[{found.label}] ")

    def _reference(self, label: str, name: str, chars: int, *, is_image: bool) -> bool:
        is_text = len(label) > 1 and any(char.isalpha() for char in label)
        if not is_text or (self._tail[-1:].isalnum() and not is_image):
            return self._literal(1)
        return self._again(chars, f"{label} [{name}]" if name else f"{label} ")

    def _slash(self) -> bool:
        buf, pos = self._buf, self._pos
        if self._tail[-1:] == ":":
            if pos + 1 == len(buf) and not self._ended:
                return False
            scheme = self._scheme() if buf[pos + 1 : pos + 2] == "/" else ""
            if scheme:
                if scheme in {"http", "https"}:
                    return self._url()
                return self._replace(2, " //")
        if not self._policy.allow_invites and may_begin_invite(self._tail + "/"):
            return self._disguise("/")
        return self._literal(1)

    def _scheme(self) -> str:
        """Return the scheme before the colon that was given out last; empty when it is none."""
        before = self._tail[:-1]
        word = before[len(before.rstrip(_SCHEME_CHARS)) :]
        return word.lstrip("+-." + string.digits).lower()

    def _url(self) -> bool:
        found = _URL.match(self._buf, self._pos, self._pos + URL_CHARS)
        end = found.end() if found else self._pos + 2
        if end == len(self._buf) and end - self._pos < URL_CHARS and not self._ended:
            return False
        url = self._buf[self._pos : end]
        if not self._policy.allow_invites and has_invite(url):
            return self._replace(len(url), f" {INVITE_REMOVED}")
        return self._replace(len(url), _MASS.sub(f"@{BREAK}", url))

    def _disguise(self, char: str) -> bool:
        """Read a word with an escape in it: it may be an invite in disguise."""
        buf, pos = self._buf, self._pos
        pair = buf[pos : pos + 2]
        if char == "\\" and pair in {"\\\\", "\\`"}:
            return self._literal(2)
        if char == "%" and not _PERCENT.match(buf, pos):
            return self._literal(1)
        word = _WORD.match(buf, pos)
        end = word.end() if word else pos + 1
        if end == len(buf) and end - pos < 200 and not self._ended:
            return False
        before = _LAST_WORD.search(self._tail)
        known = self._tail if char == "/" else (before[0] if before else "")
        if not self._policy.allow_invites and has_invite(known + buf[pos:end]):
            return self._replace(end - pos, f" {INVITE_REMOVED}")
        return self._literal(1)
