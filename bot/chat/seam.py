"""Where an answer broke off and goes on: what was said, and how the rest is joined to it.

A model that is asked to go on doesn't always do just that. It may think again first, open the code
block anew, repeat the line or the word that it broke off in, or begin from the start. The seam reads
the first characters of the rest and leaves out what stands there already.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from bot.core.domain import ChatTurn, FinishReason, Role, TextDelta
from bot.output.participants import Labels
from bot.output.reasoning.filter import LEAD_CHARS, ReasoningFilter
from bot.output.reasoning.hidden import KeptThinking

GO_ON: Final = "Continue exactly where your last answer stopped. Don't repeat any of it."

_TAIL_CHARS: Final = 400
"""How far back a repetition may reach into what was said, unless it begins from the start."""

_SURE_CHARS: Final = 12
"""A repetition of so many characters is no coincidence."""

_LEAST_CHARS: Final = 3
"""So short a repetition counts only where it is the whole last word or line."""

_FENCE: Final = re.compile(r"(?:```|~~~)\w[^\n]{0,40}\n")
"""A code block opened with its language; a bare one closes."""

_FENCE_CHARS: Final = 64

_NEW_LINE: Final = re.compile(r"(?:#{1,6}|>) \S|```|~~~")
"""What begins a line behind a sentence. Behind a word it may belong there: ``C`` and ``# is``."""

_MARK: Final = re.compile(r"(?:\w{1,20}[.):]|[-*+\u2022|>]|#{1,6})\s")
"""What stands at a line's beginning and is written again with the rest of the line."""

_MARK_BEGUN: Final = re.compile(r"(?:\d{1,3}[.)]?|[-*+\u2022>]|#{1,6}|`{1,2}|~{1,2})\Z")

_ITEM: Final = re.compile(r"[ \t]{0,20}(?:(\d{1,3})[.)] |([-*+\u2022|])[ |])")
"""What begins a further line of a list or a table."""

_WORD: Final = re.compile(
    r"""(?:["'“„«‘(*]{0,4}([^\W_]+(?:['’-][^\W_]+){0,4})[)"'”»’*]{0,4}|`[^`]+`)([,;!?.:]?)"""
)
"""A word with its sign; no part of an address, a path, a formula or code."""

_BEGUN: Final = re.compile(r"\w+")
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u3040-\u9fff]")
"""Scripts without blanks between words."""


class Seam:
    """Joins the rest of an answer to its beginning.

    Args:
        raw: Everything that came of the answer's content, as it came.
        bot_names: The bot's names, which may stand in front of the rest.
        expect_missing_opening: The model's thinking has no opening tag.

    Attributes:
        said: The part of ``raw`` that belongs to the answer.
        is_anew: The rest has turned out to be another whole answer.
        has_come: There was something beside thinking.
    """

    def __init__(
        self, raw: str, bot_names: Collection[str], *, expect_missing_opening: bool
    ) -> None:
        self._labels = Labels((), bot_names)
        self._expecting = expect_missing_opening
        reader = ReasoningFilter(
            Labels((), ()), KeptThinking(0), expect_missing_opening=expect_missing_opening
        )
        self.said = reader.feed(raw) + reader.close(FinishReason.LENGTH)
        self._is_in_code = reader.is_in_fence
        self.restart()

    def restart(self) -> None:
        """Begin again with the rest."""
        self._filter: ReasoningFilter | None = self._new_filter()
        self._same = 0
        self._lead = ""
        self._held = ""
        self._is_repeating = True
        self._is_joined = False
        self.is_anew = False
        self.has_come = False

    def turns(self, turns: tuple[ChatTurn, ...]) -> tuple[ChatTurn, ...]:
        """Return the conversation with what was said, and the wish to go on."""
        return (*turns, ChatTurn(Role.ASSISTANT, self.said), ChatTurn(Role.USER, GO_ON))

    def take(self, delta: TextDelta) -> TextDelta:
        """Return what a delta of the rest adds to the answer."""
        content = delta.content
        if self._filter is not None:
            if delta.reasoning:
                self._filter.separate_field()
            content = self._unthought(self._filter, content)
        return TextDelta(self._join(content), delta.reasoning)

    def finish(self) -> str:
        """Return what was held back when the rest has ended."""
        content = ""
        if self._filter is not None:
            content = self._with_lead(self._filter, self._filter.close(FinishReason.STOP))
        self._filter = None
        text = self._join(content)
        if self._is_joined or (self._is_repeating and self._same):
            return text
        return text + self._overlap_cut(ended=True)

    def _new_filter(self) -> ReasoningFilter:
        kept = KeptThinking(0)
        return ReasoningFilter(self._labels, kept, expect_missing_opening=self._expecting)

    def _unthought(self, reader: ReasoningFilter, content: str) -> str:
        """Return content without the thinking in front of it; after that nothing is touched."""
        shown = reader.feed(content)
        if not shown.strip() or reader.is_thinking:
            return shown
        shown += reader.close(FinishReason.LENGTH)
        self._filter = None
        return self._with_lead(reader, shown)

    def _with_lead(self, reader: ReasoningFilter, text: str) -> str:
        """Return a text with the blanks in front of it that belong to the answer.

        Templates end thinking with line breaks. In the middle of a sentence they aren't the answer's.
        """
        is_inside = self.said[-1:].isalpha() and text[:1].islower()
        has_thought = reader.saw_open or reader.saw_orphan_close
        is_templates = has_thought and is_inside and "\n" in reader.lead
        return text if is_templates or not text.strip() else reader.lead + text

    def _join(self, text: str) -> str:
        self.has_come = self.has_come or bool(text.strip())
        if self._is_joined or not text:
            return text
        if self._is_repeating:
            return self._compare_start(text)
        self._held += text
        return self._overlap_cut(ended=False)

    def _compare_start(self, text: str) -> str:
        """Follow the rest as long as it repeats the answer from its start."""
        if not self._same:
            self._lead += text
            text = self._lead.lstrip()
        begun = self.said.lstrip()
        room = begun[self._same : self._same + len(text)]
        count = _common(room, text)
        same = self._same + count
        if same == len(begun):
            self._is_joined = True
            return text[count:]
        if count == len(text):
            self._same = same
            return ""
        self._is_repeating = False
        if same >= _SURE_CHARS:
            self._is_joined = self.is_anew = True
            return begun[: self._same] + text
        blanks = self._lead[: len(self._lead) - len(self._lead.lstrip())]
        self._held = blanks + begun[: self._same] + text
        return self._overlap_cut(ended=False)

    def _overlap_cut(self, *, ended: bool) -> str:
        """Return the held beginning of the rest without what the answer ends with already."""
        held, tail = self._held, self.said[-_TAIL_CHARS:]
        if self._is_in_code:
            fence = _FENCE.match(held.lstrip())
            if fence is not None:
                held = held.lstrip()[fence.end() :]
            elif not ended and _may_be_fence(held):
                return ""
        bare = held.lstrip()
        if not ended and (bare in tail or _MARK_BEGUN.match(bare)):
            if not bare:
                self._held = self._held[: len(self._held) - len(held) + LEAD_CHARS]
            return ""
        self._is_joined = True
        for candidate in (held, bare):
            count = self._overlap(candidate, tail)
            if count:
                return candidate[count:]
        return self._gap(held) + held

    def _gap(self, rest: str) -> str:
        """Return the blank or line break that a rest lacks: templates strip what an answer begins with."""
        last, first = self.said[-1:], rest[:1]
        if self._is_in_code or not last or not first or last.isspace() or first.isspace():
            return ""
        line = self.said.rpartition("\n")[2]
        if last in ".:!?…。：！？" and _NEW_LINE.match(rest):
            return "\n"
        if _is_next_item(line, rest):
            return "\n"
        return " " if line.count("`") % 2 == 0 and _is_apart(line, rest, self.said) else ""

    @staticmethod
    def _overlap(text: str, tail: str) -> int:
        """Return how many characters of the text's beginning end the tail, beyond coincidence."""
        for count in range(min(len(text), len(tail)), 0, -1):
            if tail.endswith(text[:count]):
                if count >= _SURE_CHARS:
                    return count
                line = tail.rpartition("\n")[2].lstrip()
                wholes = {_last_word(tail), *tail.split()[-1:], line}
                is_mark = text[:count] == line and _MARK.match(text) is not None
                is_whole = is_mark or (count >= _LEAST_CHARS and text[:count] in wholes)
                return count if is_whole else 0
        return 0


def _is_next_item(line: str, rest: str) -> bool:
    """Return whether a rest begins the next line of a list or a table, and not what its line lacks."""
    item, following = _ITEM.match(line), _ITEM.match(rest)
    if item is None or following is None or line[-1].isdigit():
        return False
    if following[1]:
        return item[1] is not None and int(following[1]) == int(item[1]) + 1
    return item[2] == following[2] and (item[2] != "|" or line[-1] == "|")


def _is_apart(line: str, rest: str, said: str) -> bool:
    """Return whether a rest begins with another word than the one that a line ends with."""
    found, first = _WORD.fullmatch(line.rsplit(None, 1)[-1]), rest[0]
    if found is None or not first.isalpha() or _UNSPACED.search(found[0] + first):
        return False
    word, sign = found[1] or "", found[2]
    if sign in {".", ":"}:
        is_short = word[-1:].isupper() or (len(word) == 1 and word.isalpha())  # "U.S.", "z.B."
        return first.isupper() and not is_short
    if sign:
        return True
    is_whole = word == "a" or word[1:].islower()  # not "kWh" or "iPhone"
    begun = _BEGUN.match(rest)
    is_known = begun is not None and word + begun[0] in said  # "JavaScript"
    return is_whole and first.isupper() and not is_known


def _last_word(text: str) -> str:
    """Return the letters and digits that a text ends with."""
    start = len(text)
    while start and text[start - 1].isalnum():
        start -= 1
    return text[start:]


def _common(one: str, other: str) -> int:
    """Return the length of the common beginning."""
    if one == other:
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _may_be_fence(text: str) -> bool:
    """Whether a text may still turn out to open a code block."""
    begun = text.lstrip()
    if not begun:
        return len(text) < _FENCE_CHARS
    marks = ("```", "~~~")
    is_begun = any(mark.startswith(begun[:3]) for mark in marks)
    return is_begun and "\n" not in begun and len(begun) < _FENCE_CHARS
