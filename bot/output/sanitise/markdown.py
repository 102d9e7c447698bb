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
from typing import Final

from bot.output.markup import prefixes
from bot.output.sanitise.angles import (
    ANGLE,
    ANGLE_CHARS,
    ANGLE_STARTS,
    angle_text,
    may_become_angle,
)
from bot.output.sanitise.brackets import (
    BRACKET_CHARS,
    may_become_bracket,
    may_begin_bracket,
    read_bracket,
)
from bot.output.sanitise.code import BREAK
from bot.output.sanitise.links import (
    INVITE_REMOVED,
    URL_CHARS,
    has_invite,
    link_text,
    may_begin_invite,
)
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.reader import LIVELY, CodeReader

_ALIKE: Final = (
    "\u2044\u2215\u24b6-\u24e9\uff0e\uff0f\uff21-\uff3a\uff41-\uff5a\uff61\U0001d400-\U0001d7ff"
)
"""Characters that browsers read as the letters, dots and slashes of an address."""

_CLINGING: Final = "\u0300-\u036f\u20d0-\u20ff\u200d\ufe0e\ufe0f"
_SPECIAL: Final = re.compile(rf"[`@<\[\]!/\\%\n{_ALIKE}]|(?<![A-Za-z])(?i:https?:/)")
_HTTP: Final = re.compile(r"https?:/", re.IGNORECASE)
_HTTP_PARTIALS: Final = prefixes(["http:/", "https:/"])
_HTTP_CHARS: Final = frozenset("hHtTpPsS:/")
_FENCE: Final = re.compile("`{3,}")
_NAME: Final = re.compile(r"[\w+\-.#]{1,80}+")
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
_WORD_CHARS: Final = 200
_COVERED_CHARS: Final = 100
"""How much of a longer word one look at it settles: no invite is longer, however it is spelt."""
_LEAST_INVITE_CHARS: Final = 5
_NO_SPACE_AFTER: Final = "([{<\"'"


def fence_end(text: str) -> str:
    """Return what closes a fence that is still open at the end of guarded text; else nothing."""
    is_open = False
    position = 0
    while found := (_FENCE if is_open else _FENCE_OR_ESCAPE).search(text, position):
        is_open ^= found[0][0] == "`"
        position = found.end()
    if not is_open:
        return ""
    content = text[position:].strip("\n")
    if not content:
        return " ```"
    return "\n ```" if _NAME.fullmatch(content) else "\n```"


class MarkdownGuard(CodeReader):
    """Reads cleaned text that arrives in pieces; what it has given out stays as it is."""

    def __init__(self, policy: OutputPolicy) -> None:
        super().__init__(policy)
        self._emoji_left = policy.max_emoji

    # Each step reads on from ``_pos`` and returns whether it got anywhere.

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
        buf, pos = self._buf, self._pos
        if buf[-1] not in _HTTP_CHARS:
            return len(buf)
        for size in range(0 if self._ended else min(6, len(buf) - pos), 0, -1):
            start = len(buf) - size
            before = buf[start - 1] if start > pos else self._tail[-1:]
            is_word = before.isascii() and before.isalpha()
            if buf[start:].lower() in _HTTP_PARTIALS and not is_word:
                return start
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
        if not self._ended and len(rest) < 80 and _CHROME_PARTIAL.match(rest):
            return False
        found = _CHROME.match(rest)
        if found:
            return self._replace(found.end(), _CHROME_SIGN.sub("", found[0]))
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
            spare = " " if self._tail[-1:] in LIVELY else ""
            return self._replace(chars, found[0] if self._emoji_left >= 0 else spare)
        return self._again(chars, angle_text(found, allow_invites=self._policy.allow_invites))

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
                    return self._url(0)
                return self._replace(2, " //")
        if not self._policy.allow_invites and may_begin_invite(self._tail + "/"):
            return self._disguise("/")
        return self._literal(1)

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
            return self._replace(len(url), INVITE_REMOVED if is_apart else f" {INVITE_REMOVED}")
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
            return self._replace(end - pos, f" {INVITE_REMOVED}")
        self._checked = end - pos if end - pos < _WORD_CHARS else _COVERED_CHARS
        return self._literal(1)
