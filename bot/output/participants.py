"""What a model copies from its prompt: names in front of its answer, and the frames of messages.

A later line that begins with a name and a colon says nothing: lists, dialogues and settings look
like that. Only the header that our prompt puts before a message begins a turn (``Echoes``).

A header of somebody else's (``bot.core.frames``) is the beginning of their next message, made up by
the model. Every other frame is only taken out. Models turn the marks into ordinary brackets now and
then; those are ours where the words can hardly be anybody else's, and the rest of the line is blank or
the answer begins.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from bot.core import frames
from bot.output.markup import ROLE_LABELS, prefixes
from bot.output.reasoning.place import SAYS

FRAME_CHARS: Final = 480
"""No frame is longer, in characters; what might still become one is held no longer."""

_QUOTE: Final = "in reply to "
_NOTES: Final = (
    *(frames.FORWARD, frames.EMBED, frames.POLL, frames.TRANSCRIPT, frames.SUMMARY),
    *(note[1:-1] for note in (frames.MISSING_START, frames.EMPTY_MESSAGE, frames.ONLY_MENTION)),
    frames.WITHHELD[1:-1],
)
_LABELS: Final = (_QUOTE, "end of the ", "file ", "picture ", "sticker ", "… ")
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_STAMP_BEGINS: Final = 4
_SAID_CHARS: Final = 12
_HEADERS: Final = ("from ", *(f"{day} " for day in _DAYS))
_PLAIN_NOTES: Final = (
    *(frames.FORWARD, frames.TRANSCRIPT),
    *(f"end of the {label}" for label in (frames.FORWARD, frames.TRANSCRIPT, "messages")),
)
_STARTS: Final = {
    frames.OPEN: (*_LABELS, *_HEADERS, *_NOTES),
    "[": (_QUOTE, *_HEADERS, *_PLAIN_NOTES),
}
_PARTIAL: Final = {mark: prefixes(starts) for mark, starts in _STARTS.items()}
_PLAIN_HEADER: Final = re.compile(
    rf"(?:(?:{'|'.join(_DAYS)}) \d{{4}}-\d\d-\d\d(?: \d\d:\d\d(?: UTC)?)?+(?:, )?+)?+"
    r"(?:from (?P<name>[^\[\]\n]{1,48}))?+"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One of our own frames in a model's text.

    Attributes:
        chars: How long it is; 0 for none.
        is_turn: It begins a message of somebody who isn't the bot.
    """

    chars: int
    is_turn: bool = False


NO_FRAME: Final = Frame(0)


class Echoes:
    """Recognises frames.

    Args:
        participants: Display names of the people in the conversation.
        bot_names: The bot's own names.
    """

    def __init__(self, participants: Collection[str], bot_names: Collection[str]) -> None:
        self._own = {name.casefold() for name in bot_names}
        self._people = {name.casefold() for name in participants} - self._own

    def read(self, text: str, *, ended: bool, is_first: bool) -> Frame | None:
        """Read the frame that a line begins with; ``None`` until it is certain.

        Args:
            text: What the line begins with, at most ``FRAME_CHARS`` characters.
            ended: Nothing more will come.
            is_first: Nothing of the answer stands before it.
        """
        mark = text[:1]
        if mark not in _STARTS:
            return NO_FRAME
        is_open = not ended and len(text) < FRAME_CHARS
        end = _end(text, mark)
        if end == 0:
            words = text[1:]
            may_be = words in _PARTIAL[mark] or words.startswith(_STARTS[mark]) or not words
            return None if is_open and may_be and not _is_broken(words, mark) else NO_FRAME
        words = text[1 : end - 1]
        frame = (
            self._marked(words) if mark == frames.OPEN else self._plain(words, is_first=is_first)
        )
        if frame.chars == 0:
            return NO_FRAME
        if mark == "[" and is_first and words.startswith(_DAYS) and "from " not in words:
            is_log = _goes_on_so(text[end:], is_open=is_open)
            if is_log is not False:
                return NO_FRAME if is_log else None
        if is_first or not frame.is_turn:
            says = _is_told_of(text[end:], is_open=is_open)
            if says is not False:
                return NO_FRAME if says else None
        is_alone = mark == "[" and not words.startswith(_HEADERS)
        is_alone = is_alone and (not is_first or words in _PLAIN_NOTES)
        return _with_blanks(text, end, frame, is_open=is_open, is_alone=is_alone)

    def _marked(self, words: str) -> Frame:
        header = frames.HEADER.fullmatch(f"{frames.OPEN}{words}{frames.CLOSE}")
        if header is not None and words:
            name = (header["name"] or "").casefold()
            return Frame(len(words), is_turn=name != "" and name not in self._own)
        is_note = words in _NOTES or words.startswith(_LABELS)
        return Frame(len(words)) if is_note else NO_FRAME

    def _plain(self, words: str, *, is_first: bool) -> Frame:
        header = _PLAIN_HEADER.fullmatch(words)
        if header is not None and words:
            name = (header["name"] or "").casefold()
            if name in self._people:
                return Frame(len(words), is_turn=True)
            is_ours = name in self._own or (is_first and ":" in words)
            return Frame(len(words)) if is_ours else NO_FRAME
        named = words.removeprefix(_QUOTE).casefold()
        is_quote = words.startswith(_QUOTE) and (
            words.endswith('"') or (is_first and named in self._people | self._own)
        )
        return Frame(len(words)) if is_quote or words in _PLAIN_NOTES else NO_FRAME


def _end(text: str, mark: str) -> int:
    """Return where the frame ends, its closing mark included; 0 when it isn't there."""
    if mark == frames.OPEN:
        return text.find(frames.CLOSE) + 1
    line = text.partition("\n")[0]
    is_quote = text.startswith(_QUOTE, 1) and '"' in line.partition("]")[0]
    closing = '"]' if is_quote else "]"
    end = line.find(closing)
    return end + len(closing) if end >= 0 else 0


def _goes_on_so(rest: str, *, is_open: bool) -> bool | None:
    """Return whether the next line begins with a stamp, too, as in a log; ``None`` if not yet known."""
    following = rest.partition("\n")[2].lstrip(" \t\n")
    if len(following) < _STAMP_BEGINS and is_open:
        return None
    return following[:1] == "[" and following[1:].startswith(tuple(day[:3] for day in _DAYS))


def _is_told_of(rest: str, *, is_open: bool) -> bool | None:
    """Return whether a sentence about a frame begins with it; ``None`` if not yet known."""
    if is_open and len(rest) < _SAID_CHARS and rest[:1] in {"", " "} and "\n" not in rest:
        return None
    return SAYS.match(rest) is not None


def _is_broken(words: str, mark: str) -> bool:
    """Return whether no frame can come of it any more."""
    return frames.OPEN in words or (mark == "[" and "\n" in words)


def _with_blanks(
    text: str, end: int, frame: Frame, *, is_open: bool, is_alone: bool
) -> Frame | None:
    """Return a frame together with the blanks and the line break behind it."""
    if text.startswith(_HEADERS, 1) and text[end : end + 1] in {":", "："}:
        end += 1  # as behind a name
    rest = text[end:]
    blanks = len(rest) - len(rest.lstrip(" \t"))
    following = rest[blanks : blanks + 1]
    if not following and is_open and not frame.is_turn:
        return None
    if is_alone and following not in {"", "\n"}:
        return NO_FRAME
    return Frame(end + blanks + (following == "\n"), frame.is_turn)


_MAX_NAMES: Final = 200
_LABELLED_CHARS: Final = 200
_AFTER: Final = re.compile(r"[ \t]{0,40}+\n{0,9}+[ \t]{0,40}+")
_TIME: Final = re.compile(
    r"[\[(](?:[A-Z][a-z]{5,8} )?+\d[\d\-/.: T]{2,24}(?:[AaPp][Mm])?[\])]\s{0,9}+"
)
_TIME_PARTIAL: Final = re.compile(
    r"[\[(](?:[A-Z][a-z]{0,8} ?+)?+(?:\d[\d\-/.: TAaPpMm]{0,26}+[\])]?+\s{0,9}+)?+\Z"
)
_DEFINED: Final = re.compile(r"[a-zà-ÿа-яё]|(?i:artificial\b)")
_DEFINED_CHARS: Final = 12
_TELLS: Final = re.compile(
    r"(?:is|are|was|were|has|means|stands|comes|refers|works|does|can|an?|command not|not found|no such"
    r"|ist|sind|war|heißt|bedeutet|steht|eine?|est|était|signifie|une?|es|era|significa|una|é|um|uma"
    r"|это|значит|означает)[ ,]|是"
)
"""What is said of somebody, and begins no answer of theirs."""
_SPOKEN_CHARS: Final = 80
"""Longest first line of a dialogue of which the bot's own name is kept; so much is held, to know."""
_SPOKEN_END: Final = frozenset(".!?…。！？\"'”»」)*_")
_SPEAKER: Final = re.compile(
    r"\n\s{0,9}+(?:[>\-•][ \t]{1,4}+)?[*_`\[<]{0,3}[^\W\d_][^\n:：=]{0,32}[:：][*_\]>]{0,3}[ \t]{0,3}+"
    r"(?:[\"'“„«「¿¡(*…]|(?![a-zà-ÿа-яё\d])\w)"
)
"""Another speaker's name, and what begins a sentence: no value of a setting."""
_MAYBE_SPEAKER: Final = re.compile(r"\n\s{0,9}+[^\n:：=]{0,40}(?:[:：][*_\]>]{0,3}[ \t]{0,3}+)?\Z")
_KEYED: Final = re.compile(
    r"\n\s{0,9}+(?:(?:[-*+•]|\d{1,3}[.)])[ \t]{1,4}+)?[*_`]{0,3}[^\W\d_][^\n:：=]{0,32}[:：=]"
)
_MAYBE_KEYED: Final = re.compile(r"\n[^\n:：=]{0,48}\Z")


class Labels:
    """Recognises names in front of a text in the spellings that models use.

    Args:
        participants: Display names of the people in the conversation.
        bot_names: The bot's own names.
    """

    def __init__(self, participants: Collection[str], bot_names: Collection[str]) -> None:
        own = _usable(bot_names)
        self._own = _Spellings(name for name in own if name.lower() not in ROLE_LABELS)
        self._roles = _Spellings(ROLE_LABELS)
        self._echoes = Echoes(_usable(participants), own)

    def frame(self, text: str, *, ended: bool, is_first: bool) -> Frame | None:
        """Read one of our own frames at the beginning of a line; ``None`` until it is certain.

        Args:
            text: What the line begins with, at most ``FRAME_CHARS`` characters.
            ended: Nothing more will come.
            is_first: Nothing of the answer stands before it.
        """
        return self._echoes.read(text, ended=ended, is_first=is_first)

    def own_prefix(self, text: str, *, ended: bool) -> int | None:
        """Return how many characters of a label begin the answer; ``None`` until it is certain."""
        time = _TIME.match(text)
        start = time.end() if time else 0
        end = self._own.match(text, start)
        if end is not None:
            return _own_chars(text, end, ended=ended)
        end = self._roles.match(text, start)
        if end is not None:
            return _label_chars(text, end, ended=ended)
        if ended:
            return 0
        rest = text[start:]
        if rest == "" or self._own.may_match(rest) or self._roles.may_match(rest):
            return None
        return None if _TIME_PARTIAL.match(text) else 0


def _own_chars(text: str, end: int, *, ended: bool) -> int | None:
    """Return how much of a text is the bot's own name; none where it is told of, or speaks in a dialogue."""
    after = _AFTER.match(text, end)
    start = after.end() if after else end
    following = text[start : start + _DEFINED_CHARS]
    if "\n" in text[end:start]:
        # What is indented below it belongs to it, as in YAML.
        is_key = text[start - 1] in " \t"
        return None if start == len(text) and not ended else 0 if is_key else start
    if _TELLS.match(following):
        return 0
    may_tell = len(following) < _DEFINED_CHARS and (not following or following[0].islower())
    if may_tell and not ended:
        return None
    speaks = _begins_dialogue(text, start, ended=ended)
    return None if speaks is None else 0 if speaks else start


def _begins_dialogue(text: str, start: int, *, ended: bool) -> bool | None:
    """Return whether a short line is followed by one with a speaker's name; ``None`` until that is known."""
    is_open = not ended and len(text) - start < _SPOKEN_CHARS
    line_end = text.find("\n", start)
    if line_end < 0:
        return None if is_open else False
    if line_end - start > _SPOKEN_CHARS or text[line_end - 1] not in _SPOKEN_END:
        return False
    if _SPEAKER.match(text, line_end):
        return True
    return None if not ended and _MAYBE_SPEAKER.match(text, line_end) else False


def _label_chars(text: str, end: int, *, ended: bool) -> int | None:
    """Return how much of a text is a role's label; none of it where it is the first of several."""
    is_open = not ended and len(text) < _LABELLED_CHARS
    after = _AFTER.match(text, end)
    start = after.end() if after else end
    if start == len(text):
        return None if is_open else start
    if _DEFINED.match(text[start : start + 12]):
        return 0
    line_end = text.find("\n", start)
    if line_end < 0:
        return None if is_open else start
    if _KEYED.match(text, line_end):
        return 0
    return None if is_open and _MAYBE_KEYED.match(text, line_end) else start


class _Spellings:
    """All spellings of some names before a colon."""

    def __init__(self, names: Iterable[str]) -> None:
        known = sorted(set(names), key=lambda name: (-len(name), name))
        forms = [form for name in known for form in _forms(name)]
        self._pattern = re.compile("|".join(re.escape(form) for form in forms), re.IGNORECASE)
        self._lowered = [form.lower() for form in forms]

    def match(self, text: str, start: int) -> int | None:
        found = self._pattern.match(text, start) if self._lowered else None
        return found.end() if found else None

    def may_match(self, text: str) -> bool:
        begun = text.lower()
        return any(form.startswith(begun) and form != begun for form in self._lowered)


def _forms(name: str) -> tuple[str, ...]:
    forms = (f"{name}:", f"{name}：", f"{name} :", f"[{name}]:", f"[{name}] :", f"<{name}>:")
    return (*forms, f"**{name}:**", f"**{name}**:", f"### {name}:", f"@{name}:")


def _usable(names: Collection[str]) -> list[str]:
    stripped = [name.strip()[:48] for name in list(names)[:_MAX_NAMES]]
    return [name for name in stripped if any(char.isalpha() for char in name)]
