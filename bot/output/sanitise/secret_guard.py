"""Secrets that an answer must not show: the values we know of, and the shapes of others' tokens.

A secret is replaced by its first characters and ``[hidden]``, so that nothing shown while the text
is arriving ever has to be taken back.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from bot.output.markup import prefixes

HIDDEN: Final = "[hidden]"
MIN_VALUE_CHARS: Final = 6
"""Shorter values would hide ordinary words."""
SHOWN_CHARS: Final = 3
"""How much of a secret is shown, in characters, so that it can be told which one it was."""

_KEY_CHARS: Final = 20
_WINDOW: Final = 8
_HEAD_CHARS: Final = 4
_CONTEXT_CHARS: Final = 12
_QUAD: Final = "[MNO][DTjz][AEIMQUYcgk][w-z0-5]"
_SHAPES: Final = (
    rf"(?<![\w-]){_QUAD}[\w-]{{15,30}}\.[\w-]{{5,8}}\.[\w-]{{20,100}}",
    r"discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/\d{15,22}/[\w-]{20,100}",
    r"(?<![\w-])sk-lm-[\w-]{4,64}(?::[\w-]{4,100})?",
)
"""A bot token begins with the bot's id in Base64, hence the first four characters; a webhook's
address ends in its token; LM Studio's keys look like ``sk-lm-…:…``."""
_SHAPE_PARTIALS: Final = (
    rf"(?<![\w-]){_QUAD}[\w-]{{0,30}}(?:\.[\w-]{{0,8}}(?:\.[\w-]{{0,100}})?)?\Z",
    r"discord(?:app)?\.com/api/(?:v\d{0,2}/?)?(?:webhooks/(?:\d{0,22}(?:/[\w-]{0,100})?)?)?\Z",
    r"(?<![\w-])sk-lm-[\w-]{0,64}(?::[\w-]{0,100})?\Z",
)
_CUT_OFF: Final = re.compile(
    rf"(?<![\w-]){_QUAD}[\w-]{{15,30}}\.[\w-]{{0,8}}(?:\.[\w-]{{0,100}})?\Z"
    r"|discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/\d{15,22}/[\w-]{1,100}\Z"
)
"""The beginning of a stranger's token that the end of the text has cut off."""
_SHAPE_STARTS: Final = prefixes(
    f"discord{app}.com/api/{version}webhooks/" for app in ("", "app") for version in ("", "v10/")
) | prefixes(["sk-lm-"])
_SHAPE_HEADS: Final = ("disc", "sk-l")


class SecretGuard:
    """Values that must never be shown: tokens, keys, the servers' hosts and addresses.

    Args:
        values: As they stand in the settings; those shorter than 6 characters are left out.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values: tuple[str, ...] = ()
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """Hide these, too, from here on."""
        usable = {*self.values, *(value.strip() for value in values)}
        self.values = tuple(sorted(v for v in usable if len(v) >= MIN_VALUE_CHARS))
        forms = {form for value in self.values for form in _forms(value)}
        self._windows = frozenset(
            form[i : i + _WINDOW]
            for value in self.values
            if len(value) >= _KEY_CHARS
            for form in _forms(value)
            for i in range(len(form) - _WINDOW + 1)
        )
        self._grams = frozenset(w[i : i + _HEAD_CHARS] for w in self._windows for i in range(5))
        lowered = {form.lower() for form in forms}
        self._partials = prefixes(lowered) | _SHAPE_STARTS
        self._partial_chars = max(map(len, self._partials))
        literals = [re.escape(form) for form in sorted(lowered, key=lambda f: (-len(f), f))]
        self._whole = re.compile("|".join([*_SHAPES, *(f"(?i:{form})" for form in literals)]))
        heads = sorted({form[:_HEAD_CHARS] for form in lowered} | set(_SHAPE_HEADS))
        self._heads = re.compile(
            "|".join([rf"(?<![\w-]){_QUAD}", *(f"(?i:{re.escape(head)})" for head in heads)])
        )
        self._growing = re.compile("|".join(_SHAPE_PARTIALS))

    def may_hold_piece(self, window: str) -> bool:
        """Return whether eight characters of a key may stand in a stretch of text.

        Any eight characters hold one of the four-character groups that begin at every fifth place.
        """
        grams = self._grams
        if grams:
            for i in range(0, len(window) - _HEAD_CHARS + 1, _WINDOW - _HEAD_CHARS + 1):
                if window[i : i + _HEAD_CHARS] in grams:
                    return True
        return False

    def next_head(self, text: str, start: int) -> int:
        """Return where the first four characters of a secret stand; the length if nowhere."""
        found = self._heads.search(text, start)
        return len(text) if found is None else found.start()

    def held_from(self, text: str, begin: int) -> int:
        """Return where a secret that is still incomplete may begin, from a head on; else the length."""
        while begin < len(text):
            is_short = len(text) - begin <= self._partial_chars
            if is_short and text[begin:].lower() in self._partials:
                return begin
            if self._growing.match(text, begin):
                return begin
            begin = self.next_head(text, begin + 1)
        return begin

    def find(self, text: str, start: int) -> Iterator[re.Match[str]]:
        """Yield the whole secrets from ``start`` on."""
        return self._whole.finditer(text, start)

    def is_piece(self, text: str) -> bool:
        """Return whether eight characters are a piece of a key."""
        return text in self._windows


class SecretStream:
    """Hides secrets in text that arrives in pieces; what it has given out stays as it is."""

    def __init__(self, guard: SecretGuard) -> None:
        self._guard = guard
        self._buf = ""
        self._sent = 0
        self._recent = ""
        self._is_hiding = False

    def feed(self, text: str, *, ended: bool = False) -> str:
        """Return what can be given out now."""
        buf = self._buf + text
        guard = self._guard
        start = guard.next_head(buf, max(0, self._sent - SHOWN_CHARS))
        hold = len(buf) if ended else guard.held_from(buf, start)
        out: list[str] = []
        sent = self._sent
        floor = 0
        for found in guard.find(buf, start) if start < len(buf) else ():
            if found.start() >= hold or (found.end() == len(buf) and not ended):
                hold = min(hold, found.start())
                break
            shown = found.start() + SHOWN_CHARS
            out += (buf[sent:shown], HIDDEN)
            sent = floor = found.end()
        upto = max(sent, min(len(buf), hold + SHOWN_CHARS if hold < len(buf) else hold))
        out.append(buf[sent:upto])
        if ended and (cut := _CUT_OFF.search(buf, max(start, floor))):
            out = [*out[:-1], buf[sent : cut.start() + SHOWN_CHARS], HIDDEN]
        keep = max(floor, min(hold, max(0, upto - _CONTEXT_CHARS)))
        self._buf = buf[keep:]
        self._sent = upto - keep
        return self._without_pieces("".join(out))

    def _without_pieces(self, text: str) -> str:
        guard = self._guard
        window = self._recent + text
        first = len(self._recent)
        self._recent = window[1 - _WINDOW :]
        if not self._is_hiding and not guard.may_hold_piece(window):
            return text
        out: list[str] = []
        for index in range(first, len(window)):
            if index >= _WINDOW - 1 and guard.is_piece(window[index - _WINDOW + 1 : index + 1]):
                if not self._is_hiding:
                    out.append(HIDDEN)
                self._is_hiding = True
            else:
                self._is_hiding = False
                out.append(window[index])
        return "".join(out)


def _forms(value: str) -> Iterator[str]:
    """Yield a value as a model might spell it: plain, reversed, in hexadecimal, Base64, percent."""
    data = value.encode("utf-8", "replace")
    yield value
    yield value[::-1]
    yield data.hex()
    yield "".join(f"%{byte:02x}" for byte in data)
    if (quoted := quote(value, safe="")) != value:
        yield quoted
    for skip in range(3):
        encoded = base64.b64encode(b"\0" * skip + data).decode()
        first, last = (0, 2, 3)[skip], len(encoded) - (0, 3, 2)[(skip + len(data)) % 3]
        core = encoded[first:last]
        yield core
        if "+" in core or "/" in core:
            yield core.replace("+", "-").replace("/", "_")
