"""Makes Discord's markup harmless while the text is still arriving.

Outside code: mentions are broken, masked links shown as what they are, invites and foreign schemes
taken out, imitated small print stripped. Code stays as it is, unless somebody may read it as text.
Code is what Discord takes for code: any three backticks toggle a fence, and inline code ends at the
next run of the same length.
Sources: Discord "Reference: message formatting", "Markdown text 101".
"""

from __future__ import annotations

import re
import string
from enum import Enum, auto
from functools import cached_property
from typing import Final

from bot.core.fences import FENCE_SIGNS, INLINE_CHARS, RUNS, TICKS, inline_end
from bot.output.markup import prefixes
from bot.output.sanitise.code import BREAK, CodeDoubt, LiveBreaker
from bot.output.sanitise.links import (
    ANGLE,
    ANGLE_CHARS,
    ANGLE_STARTS,
    BRACKET_CHARS,
    INVITE_REMOVED,
    PLAIN_SCHEMES,
    REMOVED,
    URL_CHARS,
    angle_text,
    has_invite,
    is_path,
    link_text,
    may_become_angle,
    may_become_bracket,
    may_begin_bracket,
    may_begin_invite,
    read_bracket,
)
from bot.output.sanitise.policy import OutputPolicy

_ALIKE: Final = (
    "\u2044\u2215\u24b6-\u24e9\uff0e\uff0f\uff21-\uff3a\uff41-\uff5a\uff61\U0001d400-\U0001d7ff"
)
"""Characters that browsers read as the letters, dots and slashes of an address."""

_CLINGING: Final = "\u0300-\u036f\u20d0-\u20ff\u200d\ufe0e\ufe0f"
_SPECIAL: Final = re.compile(rf"[`@<\[\]!/\\%\n{_ALIKE}]|(?<![A-Za-z])(?i:https?:/)")
_HTTP: Final = re.compile(r"https?:/", re.IGNORECASE)
_HTTP_BEGUN: Final = re.compile(r"(?<![A-Za-z])h(?:t(?:t(?:ps?:?)?)?)?\Z", re.IGNORECASE)
_SMALL_PRINT: Final = re.compile(r"(?:[ \t>]{0,80}+-#(?=[ \t])){1,40}+[ \t]{0,80}+")
_SMALL_PRINT_SIGN: Final = re.compile(r"-#[ \t]*")
_SMALL_PRINT_PARTIAL: Final = re.compile(
    r"(?:[ \t>]{0,80}+-#(?=[ \t])){0,40}+[ \t>]{0,80}+(?:-#?+)?+\Z"
)
_MASS: Final = re.compile(r"@(?=everyone|here)", re.IGNORECASE)
_MASS_PARTIALS: Final = prefixes(["@everyone", "@here"])
_SCHEME_CHARS: Final = "+-." + string.ascii_letters + string.digits
_URL: Final = re.compile(r"//(?:[^\s<>\"`\[\]()]++|\([^\s<>\"`\[\]()]*+\)?+)*+")
_WORD: Final = re.compile(rf"[!-;=?-Z\\^_a-~{_ALIKE}{_CLINGING}]{{0,200}}")
_LAST_WORD: Final = re.compile(rf"[!-;=?-Z\\^_a-~{_ALIKE}]{{0,64}}\Z")
_PERCENT: Final = re.compile(r"%(?:[0-9A-Fa-f]{2}|[0-9A-Fa-f]?\Z)")
_WORD_CHARS: Final = 200
_COVERED_CHARS: Final = 100
"""How much of a longer word one look at it settles: no invite is longer, however it is spelt."""
_LEAST_INVITE_CHARS: Final = 5
_NO_SPACE_AFTER: Final = "([{<\"'*_|~"
_LIVELY: Final = frozenset("<@-!&/%\\:" + string.ascii_letters + string.digits)
"""What may make what follows live, together with what stands before it."""

_COMMAND: Final = re.compile(r"</[\w\- ]{0,100}\Z")
"""The beginning of a mention of a command, whose name may hold blanks."""

_TAIL_CHARS: Final = 104
_ANSI: Final = re.compile(r"ansi(?![\w+.#\-])", re.IGNORECASE)
_ANSI_PARTIALS: Final = prefixes(["ansi."])
_NAME_LINE: Final = re.compile(r"[\w+\-.#]{1,80}+\n")
_CLOSING: Final = "*_|~)].,:;!?"
"""What may close emphasis, a spoiler or a sentence right behind an address."""

_ADDRESS_END: Final = re.compile(r"[\s<]")


class _State(Enum):
    """What is being read."""

    TEXT = auto()
    FENCE_NAME = auto()
    FENCE = auto()


class MarkdownGuard:
    """Reads cleaned text that arrives in pieces; what it has given out stays as it is.

    Args:
        policy: What an answer may contain.
    """

    def __init__(self, policy: OutputPolicy) -> None:
        self._policy = policy
        self._emoji_left = policy.max_emoji
        self._buf = ""
        self._pos = 0
        self._ended = False
        self._out: list[str] = []
        self._tail = ""
        self._line_start = True
        self._state = _State.TEXT
        self._unread: list[str] = []
        self._breaker: LiveBreaker | None = None
        self._fenced: list[str] = []
        self._in_address = False
        self._checked = 0

    @cached_property
    def _doubt(self) -> CodeDoubt:
        """What is open around the code, from the first code on."""
        return CodeDoubt()

    def feed(self, text: str, *, ended: bool = False) -> str:
        """Return what can be given out now."""
        self._buf += text
        self._ended = ended
        while self._pos < len(self._buf) and self._step():
            pass
        if ended and self._breaker is not None:
            self._emit_code(self._breaker.feed("", ended=True))
        self._buf = self._buf[self._pos :]
        self._pos = 0
        out = "".join(self._out)
        self._out.clear()
        return out

    def _emit(self, text: str) -> bool:
        self._unread.append(text)
        if self._in_address:
            self._in_address = _ADDRESS_END.search(text) is None
        return self._emit_code(text)

    def _emit_code(self, text: str) -> bool:
        self._out.append(text)
        self._tail = (self._tail + text)[-_TAIL_CHARS:]
        return True

    def _literal(self, chars: int) -> bool:
        end = self._pos + chars
        self._emit(self._buf[self._pos : end])
        self._pos = end
        self._checked = max(0, self._checked - chars)
        return True

    def _replace(self, chars: int, text: str) -> bool:
        self._pos += chars
        self._checked = 0
        return self._emit(text)

    def _again(self, chars: int, text: str) -> bool:
        """Put text in place of the next characters, and read it like any other.

        It must not become live together with what stands before it.
        """
        self._buf = self._gap() + (text or REMOVED) + self._buf[self._pos + chars :]
        self._pos = 0
        self._checked = 0
        return True

    def _gap(self) -> str:
        """Return what keeps something from becoming live together with what stands before it."""
        if _COMMAND.search(self._tail):
            return "/"  # no name of a command holds it
        return " " if self._tail[-1:] in _LIVELY else ""

    # Each step reads on from ``_pos`` and returns whether it got anywhere.

    def _step(self) -> bool:
        if self._state is _State.TEXT:
            return self._text()
        return self._fence() if self._state is _State.FENCE else self._fence_name()

    def _text(self) -> bool:
        if self._line_start:
            return self._small_print()
        buf, pos = self._buf, self._pos
        if pos >= len(buf):
            return False
        if buf[pos] == "(" and self._tail[-1:] == "]":
            self._emit(" ")
            return self._literal(1)
        found = _SPECIAL.search(buf, pos)
        end = found.start() if found else self._plain_end()
        if end > pos:
            return self._literal(end - pos)
        return self._special(buf[pos]) if found else False

    def _plain_end(self) -> int:
        """Return where plain text up to the end of the buffer ends, the start of an address held."""
        buf = self._buf
        if not self._ended:
            begun = _HTTP_BEGUN.search(buf, max(self._pos, len(buf) - len("https:")))
            if begun and (
                begun.start() or not (self._tail[-1:].isascii() and self._tail[-1:].isalpha())
            ):
                return begun.start()
        return len(buf)

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
        if char in "hH":
            return self._address()
        return self._slash() if char == "/" else self._disguise(char)

    def _small_print(self) -> bool:
        rest = self._buf[self._pos : self._pos + 80]
        if not self._ended and len(rest) < 80 and _SMALL_PRINT_PARTIAL.match(rest):
            return False
        found = _SMALL_PRINT.match(rest)
        if found:
            return self._replace(found.end(), _SMALL_PRINT_SIGN.sub("", found[0]))
        self._line_start = False
        return True

    # --- mentions

    def _mass_mention(self) -> bool:
        rest = self._buf[self._pos : self._pos + 9]
        if _MASS.match(rest):
            return self._replace(1, f"@{BREAK}")
        if rest.lower() in _MASS_PARTIALS and not self._ended:
            return False
        return self._literal(1)

    def _angle(self) -> bool:
        if self._buf[self._pos + 1 : self._pos + 2] not in ANGLE_STARTS:
            return self._literal(1)
        rest = self._buf[self._pos : self._pos + ANGLE_CHARS]
        found = ANGLE.match(rest)
        if found is None:
            return False if not self._ended and may_become_angle(rest) else self._literal(1)
        chars = found.end()
        if found["sigil"]:
            return self._replace(chars, f"{found[0]}{BREAK}")
        if found["emoji"]:
            self._emoji_left -= 1
            return self._replace(chars, found[0] if self._emoji_left >= 0 else self._gap())
        text = angle_text(found, allow_invites=self._policy.allow_invites)
        return self._again(chars, text) if text else self._literal(1)

    # --- links

    def _bracket(self, char: str) -> bool:
        buf, pos = self._buf, self._pos
        if char == "!" and buf[pos + 1 : pos + 2] != "[":
            return False if pos + 1 == len(buf) and not self._ended else self._literal(1)
        if not may_begin_bracket(buf, pos):
            return self._literal(1)
        rest = buf[pos : pos + BRACKET_CHARS]
        found = read_bracket(rest)
        if found is None:
            grows = not self._ended and len(rest) < BRACKET_CHARS and may_become_bracket(rest)
            return False if grows else self._literal(1)
        if found.address is not None:
            if char == "[" and is_path(found.address) and self._tail[-1:].isalnum():
                return self._literal(1)  # a program: ``handlers[name](event.value)``
            invites = self._policy.allow_invites
            text = link_text(found.label, found.address, allow_invites=invites)
            return self._again(found.end, text)
        if found.name is not None:
            return self._reference(found.label, found.name, found.end, is_image=char == "!")
        if self._tail.rpartition("\n")[2].strip(" \t>"):
            return self._literal(1)
        return self._replace(found.end, f"[{found.label}] ")

    def _reference(self, label: str, name: str, chars: int, *, is_image: bool) -> bool:
        is_text = len(label) > 1 and any(char.isalpha() for char in label) and not label.isupper()
        is_text = is_text and (not name or name[0].isalnum())
        if not is_text or (self._tail[-1:].isalnum() and not is_image):
            return self._literal(1)
        if name:
            return self._again(chars, f"{label} [{name}]")
        end = self._pos + chars
        if end == len(self._buf) and not self._ended:
            return False
        return self._again(chars, f"{label} " if self._buf[end : end + 1].isalnum() else label)

    def _slash(self) -> bool:
        buf, pos = self._buf, self._pos
        if self._tail[-1:] == ":":
            if pos + 1 == len(buf) and not self._ended:
                return False
            scheme = self._scheme() if buf[pos + 1 : pos + 2] == "/" else ""
            if scheme:
                if scheme in {"http", "https"}:
                    return self._url(0)
                is_plain = scheme.partition("+")[0] in PLAIN_SCHEMES and not self._is_in_angles()
                return self._literal(2) if is_plain else self._replace(2, " //")
        if not self._policy.allow_invites and may_begin_invite(self._tail + "/"):
            return self._disguise("/")
        return self._literal(1)

    def _is_in_angles(self) -> bool:
        """Return whether the scheme that was given out last stands right behind ``<``, as a link does."""
        return self._tail[:-1].rstrip(_SCHEME_CHARS)[-1:] == "<"

    def _scheme(self) -> str:
        """Return the scheme before the colon that was given out last; empty when it is none."""
        before = self._tail[:-1]
        word = before[len(before.rstrip(_SCHEME_CHARS)) :]
        return word.lstrip("+-." + string.digits).lower()

    def _address(self) -> bool:
        """Read an address from its scheme on, so that nothing of it is left of an invite."""
        found = _HTTP.match(self._buf, self._pos)
        end = found.end() if found else self._pos + 1
        if end == len(self._buf) and not self._ended:
            return False
        chars = end - 1 - self._pos
        return self._url(chars) if self._buf.startswith("/", end) else self._literal(max(1, chars))

    def _url(self, chars: int) -> bool:
        """Read an address whose slashes stand so many characters ahead."""
        start = self._pos + chars
        found = _URL.match(self._buf, start, start + URL_CHARS)
        end = found.end() if found else start + 2
        if end == len(self._buf) and end - start < URL_CHARS and not self._ended:
            return False
        url = self._buf[self._pos : end]
        if not self._policy.allow_invites and has_invite(url):
            before = self._tail[-1:]
            is_apart = not before or before.isspace() or before in _NO_SPACE_AFTER
            chars = _length_of_address(url)
            return self._replace(chars, INVITE_REMOVED if is_apart else f" {INVITE_REMOVED}")
        self._replace(len(url), _MASS.sub(f"@{BREAK}", url))
        self._in_address = True
        return True

    def _disguise(self, char: str) -> bool:
        """Read a word with an escape in it: it may be an invite in disguise."""
        buf, pos = self._buf, self._pos
        pair = buf[pos : pos + 2]
        if char == "\\" and pair in {"\\\\", "\\`"}:
            return self._literal(2)
        if char != "/" and (self._checked or (char == "%" and not _PERCENT.match(buf, pos))):
            return self._literal(1)
        word = _WORD.match(buf, pos)
        end = word.end() if word else pos + 1
        if end == len(buf) and end - pos < _WORD_CHARS and not self._ended:
            return False
        before = _LAST_WORD.search(self._tail)
        known = self._tail if char == "/" else (before[0] if before else "")
        shown = known + buf[pos:end]
        is_long = len(shown) >= _LEAST_INVITE_CHARS
        if is_long and not self._policy.allow_invites and has_invite(shown):
            return self._replace(_length_of_address(buf[pos:end]), f" {INVITE_REMOVED}")
        self._checked = end - pos if end - pos < _WORD_CHARS else _COVERED_CHARS
        return self._literal(1)

    # --- code

    def _ticks(self) -> bool:
        run = RUNS.match(self._buf, self._pos)
        end = run.end() if run else self._pos + 1
        if end == len(self._buf) and not self._ended:
            return False
        count = end - self._pos
        self._doubt.read("".join(self._unread))
        self._unread.clear()
        if self._in_address:
            self._doubt.is_unsettled = True
        if count < FENCE_SIGNS:
            return self._inline_code(count, end)
        self._state = _State.FENCE_NAME
        closers = () if self._doubt.doubts_fence() else self._doubt.closers()
        if closers or self._doubt.doubts_fence():
            invites = self._policy.allow_invites
            self._breaker = LiveBreaker(allow_invites=invites, closers=closers)
        self._pos = end
        return self._emit_code("```")

    def _inline_code(self, count: int, start: int) -> bool:
        """Read a whole piece of inline code, or backticks that open none."""
        buf = self._buf
        limit = start + INLINE_CHARS + count
        blank = buf.find("\n\n", start, limit)
        limit = blank if blank >= 0 else limit
        close = inline_end(buf, start, count, limit)
        is_whole = self._ended or len(buf) > (close.end() if close else limit)
        if not is_whole:
            return False
        if close is None:
            self._doubt.is_unsettled = True
            return self._literal(count)
        content = buf[start : close.start()]
        # Behind an escaped backtick others see a longer run, that opens something else.
        if self._doubt.doubts_inline(content) or self._tail[-1:] == "`":
            breaker = LiveBreaker(allow_invites=self._policy.allow_invites)
            content = breaker.feed(content, ended=True)
        self._pos = close.end()
        self._line_start = False
        return self._emit_code(f"{close[0]}{content}{close[0]}")

    def _fence_name(self) -> bool:
        rest = self._buf[self._pos : self._pos + 5]
        if rest.lower() in _ANSI_PARTIALS and not self._ended:
            return False
        if _ANSI.match(rest):
            self._pos += 4
            self._emit_code("text")
            self._fenced.append("text")
        self._state = _State.FENCE
        return True

    def _fence(self) -> bool:
        found = TICKS.search(self._buf, self._pos)
        end = found.start() if found else len(self._buf)
        if found is None and not self._ended:
            end = len(self._buf.rstrip("`"))
        if end > self._pos:
            return self._fence_body(end)
        if found is None or (found.end() == len(self._buf) and not self._ended):
            return False
        return self._fence_close(found.end())

    def _fence_body(self, end: int) -> bool:
        text = self._buf[self._pos : end]
        self._pos = end
        self._fenced.append(text)
        return self._emit_code(self._breaker.feed(text) if self._breaker else text)

    def _fence_close(self, end: int) -> bool:
        if self._breaker is not None:
            self._emit_code(self._breaker.feed("", ended=True))
        content = "".join(self._fenced)
        name = _NAME_LINE.match(content)
        if not content[name.end() if name else 0 :].strip("\n"):
            self._emit_code(" ")  # or the closing backticks would be the content
        self._doubt.end_fence(content)
        self._fenced.clear()
        self._breaker = None
        self._state = _State.TEXT
        self._line_start = False
        self._pos = end
        return self._emit_code("```")


def _length_of_address(text: str) -> int:
    """Return how much of a text is an address, without the signs that close something behind it."""
    return len(text.rstrip(_CLOSING)) or len(text)
