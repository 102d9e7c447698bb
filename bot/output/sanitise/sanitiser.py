"""The sanitiser: characters, secrets, layout, markup and size, one after the other.

Secrets are the values that we know of, and the shapes of others' tokens. A secret is replaced by its first characters and ``[hidden]``, so that nothing shown while the text
is arriving ever has to be taken back.
"""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from bot.core.fences import fence_end
from bot.output.layout import DiscordLayout
from bot.output.markup import prefixes
from bot.output.sanitise.markdown import MarkdownGuard
from bot.output.sanitise.policy import OutputPolicy

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


DENIED_CLASS: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e"
    "\u200f\u202a-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe"
    "\uffff\ue000-\uf8ff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e001f"
    "\U000e0080-\U000e00ff\U000e01f0-\U0010ffff"
)
"""Never let through: controls but newline and tab, bidi controls, invisible and private characters."""

TAGS: Final = "\U000e0020-\U000e007f"
EMOJI: Final = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25aa-\u25ff\u2600-\u27bf"
    "\u2934\u2935\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_COUNTED: Final = "\u2600-\u27bf\U0001f000-\U0001faff"
_LATIN_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
_OTHER_MARKS: Final = (
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u0900-\u0902\u093a\u093c\u0941-\u0948"
    "\u094d\u0951-\u0957\u0962\u0963\u0981\u09bc\u09c1-\u09c4\u09cd\u0b82\u0bc0\u0bcd\u0e31\u0e34-\u0e3a"
    "\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f71-\u0f7e\u0f80-\u0f84\u302a-\u302f\u3099\u309a"
)
_MARKS: Final = _LATIN_MARKS + _OTHER_MARKS
_JOINING: Final = (
    "\u0600-\u0604\u0606-\u061b\u061d-\u06dc\u06de-\u070e\u0710-\u08e1\u08e3-\u0dff\u1000-\u109f"
    "\u1780-\u17b3\u17b6-\u18af\ua8e0-\ua8ff\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc"
)
_VIRAMA: Final = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u1039\u17d2"
_VARIANT_BASE: Final = f"#*0-9{EMOJI}"
_IDEOGRAPHS: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


_ESCAPE: Final = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]{0,32}[ -/]{0,8}[@-~]|\x1b\\][^\x07\x1b\n]{0,256}(?:\x07|\x1b\\\\)"
)
"""Terminal control: CSI sequences (colours) and OSC strings (ECMA-48)."""
_PARTIAL: Final = re.compile(
    "(?:\r|\x1b|(?:\x1b\\[|\x9b)[0-?]{0,32}[ -/]{0,8}|\x1b\\][^\x07\x1b\n]{0,256}\x1b?)\\Z"
)
_LINE_ENDS: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_DENIED: Final = re.compile(f"[{DENIED_CLASS}]")
_HIGH_SURROGATE: Final = re.compile("[\ud800-\udbff]\\Z")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_EMOJI_BASE: Final = re.compile(f"[{_COUNTED}]")
_FLAG: Final = "\U0001f3f4"
_REGIONS: Final = "|".join(
    "".join(chr(0xE0000 + ord(char)) for char in region) for region in ("gbeng", "gbsct", "gbwls")
)
_TAG: Final = re.compile(f"(?P<good>(?<={_FLAG})(?:{_REGIONS})\U000e007f)|[{TAGS}]")
_VARIANT: Final = re.compile(
    f"(?P<good>(?<=[{_VARIANT_BASE}])[\ufe0e\ufe0f]|(?<=[{_IDEOGRAPHS}])[\U000e0100-\U000e01ef]"
    "|(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f])|[\ufe0e\ufe0f\u180b-\u180d\u180f\U000e0100-\U000e01ef]"
)
_JOINER: Final = re.compile(
    f"(?P<good>(?<=[{EMOJI}\ufe0f])\u200d(?=[{EMOJI}])|(?<=[{_JOINING}])[\u200c\u200d](?=[{_JOINING}])"
    f"|(?<=[{_VIRAMA}])\u200d)|[\u200c\u200d]"
)
_ANY_RUN: Final = re.compile(f"([{_MARKS}]{{5}})[{_MARKS}]+")
_LATIN_RUN: Final = re.compile(f"([{_LATIN_MARKS}]{{2}})[{_LATIN_MARKS}]+")
_CONTEXT: Final = re.compile(
    f"[\u200c\u200d\ufe0e\ufe0f\u180b-\u180d\u180f\U000e0020-\U000e007f\U000e0100-\U000e01ef{_MARKS}]"
)
_HELD_JOINERS: Final = 2
_HELD_TAGS: Final = re.compile(f"(?<={_FLAG})[{TAGS}]{{1,5}}\\Z")
_TRAILING: Final = f"{_MARKS}{TAGS}\u200c\u200d\ufe0e\ufe0f\u180b-\u180d\u180f\U000e0100-\U000e01ef"
_LAST_CHARS: Final = 16
_LAST: Final = re.compile(f"[^{_TRAILING}]?[{_TRAILING}]{{0,{_LAST_CHARS}}}\\Z")


def _good(found: re.Match[str]) -> str:
    return found["good"] or ""


class CharCleaner:
    """Removes characters that mislead or break, in pieces; what it has given out stays as it is.

    Those are controls, invisible ones, stacked marks and lone surrogates. Emoji sequences, flags,
    joiners of Arabic and Indic scripts and ideographic variants keep what they need. Ranges: Unicode
    15 (DerivedCoreProperties: Default_Ignorable_Code_Point; emoji-zwj-sequences).

    Args:
        max_emoji: Most emoji let through.
    """

    def __init__(self, max_emoji: int) -> None:
        self._emoji_left = max_emoji
        self._buf = ""
        self._hold = ""
        self._before = ""

    def feed(self, text: str, *, ended: bool = False) -> str:
        """Return what can be given out now."""
        if not (self._buf or self._hold) and text.isascii() and not _DENIED.search(text):
            self._before = text[-1:] or self._before
            return text
        buf = self._buf + text
        self._buf = ""
        if not ended:
            for pattern in (_HIGH_SURROGATE, _PARTIAL):
                held = pattern.search(buf, max(0, len(buf) - 300))
                if held:
                    self._buf = buf[held.start() :]
                    buf = buf[: held.start()]
                    break
        return self._in_context(self._remove(buf), ended=ended)

    def _remove(self, text: str) -> str:
        if _SURROGATE.search(text):
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = _ESCAPE.sub("", text)
        text = _DENIED.sub("", _LINE_ENDS.sub("\n", text))
        if _EMOJI_BASE.search(text):
            text = _EMOJI_BASE.sub(self._count, text)
        return text

    def _count(self, found: re.Match[str]) -> str:
        self._emoji_left -= 1
        return found[0] if self._emoji_left >= 0 else ""

    def _in_context(self, text: str, *, ended: bool) -> str:
        text = self._before + self._hold + text
        start = len(self._before)
        self._hold = ""
        if _CONTEXT.search(text, start):
            if not ended:
                text = self._held_back(text, start)
            for pattern in (_VARIANT, _TAG, _JOINER):
                text = pattern.sub(_good, text)
            text = _LATIN_RUN.sub(r"\1", _ANY_RUN.sub(r"\1", text))
        last = _LAST.search(text, max(0, len(text) - _LAST_CHARS))
        self._before = last[0] if last else ""
        return text[start:]

    def _held_back(self, text: str, start: int) -> str:
        """Hold joiners and flag tags at the end of a text, and return what stands before them."""
        end = max(start, len(text.rstrip("\u200c\u200d")))
        if end < len(text):
            self._hold = text[end : end + _HELD_JOINERS]
        elif tags := _HELD_TAGS.search(text, max(start, len(text) - 6)):
            end = tags.start()
            self._hold = tags[0]
        return text[:end]


_EDGE_CHARS: Final = 16
STEP_CHARS: Final = 512
"""How much is read at once: what a stage rewrites in its buffer costs no more than this, and a
reader of adversarial text can let others have their turn after some ten milliseconds of work."""

_CLINGS: Final = re.compile(
    "[\u0300-\u036f\u200c\u200d\u20d0-\u20ff\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
"""Characters that belong to the one before them."""


class Sanitiser:
    """Makes text harmless while it arrives; what has been given out stays as it is.

    Args:
        policy: What an answer may contain.
        secrets: Values that must never be shown.
        holds_first_line: Hold the first line until it is known whether it begins a table.

    Attributes:
        is_full: The size cap is reached; nothing more is given out.
    """

    def __init__(
        self, policy: OutputPolicy, secrets: SecretGuard, *, holds_first_line: bool = True
    ) -> None:
        self._chars = CharCleaner(policy.max_emoji)
        self._secrets = SecretStream(secrets)
        self._layout = DiscordLayout(holds_first_line=holds_first_line)
        self._markdown = MarkdownGuard(policy)
        self._room = policy.max_chars
        self._edge = ""
        self._space: list[str] = []
        self._started = False
        self.is_full = False

    @property
    def has_rows(self) -> bool:
        """Whether rows have come of a table that goes on."""
        return self._layout.has_rows

    def rows_so_far(self) -> str:
        """Return the rows of a table that goes on, made harmless; they may change with the next."""
        rows = self._layout.rows_so_far()
        if not rows:
            return ""
        shown = copy.deepcopy(self._markdown).feed(rows, ended=True)
        shown = "".join(self._space) + shown if self._started else shown.lstrip()
        return shown if len(shown) + len(self._edge) <= self._room else ""

    def feed(self, text: str, *, ended: bool = False) -> str:
        """Return what can be given out now; with ``ended``, all that ever will be."""
        if self.is_full:
            return ""
        if len(text) <= STEP_CHARS:
            return self._feed(text, ended=ended)
        return "".join(self.steps(text, ended=ended))

    def steps(self, text: str, *, ended: bool = False) -> Iterator[str]:
        """Yield what ``feed`` returns, each time after a bounded amount of work."""
        for start in range(0, max(1, len(text)), STEP_CHARS):
            if self.is_full:
                break
            piece = text[start : start + STEP_CHARS]
            is_last = ended and start + STEP_CHARS >= len(text)
            yield self._feed(piece, ended=is_last)

    def _feed(self, text: str, *, ended: bool) -> str:
        text = self._chars.feed(text, ended=ended)
        text = self._secrets.feed(text, ended=ended)
        text = self._layout.feed(text, ended=ended)
        text = self._markdown.feed(text, ended=ended)
        return self._fit(self._trimmed(text), ended=ended)

    def _trimmed(self, text: str) -> str:
        shown = text.rstrip()
        if not shown:
            if text and self._started:
                self._space.append(text)
            return ""
        before = "".join(self._space) if self._started else ""
        self._space = [text[len(shown) :]] if len(shown) < len(text) else []
        shown = before + shown if self._started else shown.lstrip()
        self._started = True
        return shown

    def _fit(self, text: str, *, ended: bool) -> str:
        if self.is_full:
            return ""
        text = self._edge + text
        self._edge = ""
        if len(text) > self._room:
            self.is_full = True
            end = self._room
            while end > 0 and (_CLINGS.match(text[end]) or text[end - 1] == "\u200d"):
                end -= 1
            return text[:end].rstrip()
        if not ended and len(text) > self._room - _EDGE_CHARS:
            end = max(0, self._room - _EDGE_CHARS)
            self._edge = text[end:]
            text = text[:end]
        self._room -= len(text)
        return text


def make_harmless(text: str, *, policy: OutputPolicy, secrets: SecretGuard) -> str:
    """Return a whole text made harmless, with every fence closed."""
    clean = Sanitiser(policy, secrets).feed(text, ended=True)
    return clean + fence_end(clean)
