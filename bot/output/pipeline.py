"""One answer's way from model text to what a person reads: filter, sanitiser, verdict.

``ModelMemory`` remembers of each model whether its answers lack the opening tag of their thinking.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Final

from bot.core.domain import FinishReason, TextDelta
from bot.core.fences import fence_end
from bot.core.recent import Recent
from bot.output.layout import FirstLines
from bot.output.participants import Labels
from bot.output.reasoning.filter import ReasoningFilter
from bot.output.reasoning.hidden import KeptThinking
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.sanitiser import STEP_CHARS, Sanitiser, SecretGuard, make_harmless

PREFILLED_MODELS: Final = re.compile(
    r"(?:^|[/\-_.])(?:deepseek-r1|r1-distill|r1-0528|qwq)"
    r"|(?:^|[/\-_.])(?:thinking|reasoner)(?:$|[\-_.@:])|nemotron.{0,80}nano|minimax-m2",
    re.IGNORECASE,
)
"""Families whose chat template writes the opening tag into the prompt, so only the closing tag is
generated (SGLang docs, "separate reasoning"; the models' own chat templates)."""


class ModelMemory:
    """Remembers, per model, whether the opening tag is missing; bounded.

    Anybody can have a model write a tag. So what one person's answer says holds for that person at
    once, and for the others when a second person's answer says it too.

    Args:
        limit: How many models to remember; the least recently learnt one is forgotten.
        saved: What ``dump`` returned earlier; anything else is ignored.
    """

    def __init__(self, limit: int = 256, saved: object = None) -> None:
        self._known: Recent[str, bool] = Recent(limit)
        self._doubts: Recent[str, tuple[int, bool]] = Recent(limit)
        self._suspected: set[str] = set()
        for model, stored in saved.items() if isinstance(saved, dict) else ():
            if isinstance(stored, bool):
                self._known[str(model)] = stored
            elif isinstance(stored, list) and list(map(type, stored)) == [int, bool]:
                self._doubts[str(model)] = stored[0], stored[1]

    def dump(self) -> dict[str, object]:
        """Return what was learnt, to be given as ``saved`` after a restart."""
        doubts = {model: list(doubt) for model, doubt in self._doubts.items()}
        return {**doubts, **self._known}

    def expects_missing_opening(self, model: str | None, person_id: int = 0) -> bool:
        """Return whether to hold text until a closing tag; guessed by name until learnt.

        Args:
            model: Which one answers.
            person_id: Whom its answer is for.
        """
        if model is None:
            return False
        doubter_id, doubt = self._doubts.get(model, (None, False))
        return doubt if doubter_id == person_id else self._belief(model)

    def learn(self, model: str | None, pipeline: ReplyPipeline, person_id: int = 0) -> None:
        """Take note of how an answer of this model went; one without thinking ends a suspicion only.

        Args:
            model: Which one answered.
            pipeline: Its answer.
            person_id: Whom the answer was for.
        """
        if model is None:
            return
        if not (pipeline.saw_orphan_close or pipeline.saw_open):
            self._suspected.discard(model)
            return
        says = pipeline.saw_orphan_close
        doubter_id, doubt = self._doubts.pop(model, (person_id, says))
        if says == self._belief(model) or (doubt == says and doubter_id != person_id):
            self._known[model] = says
        else:
            self._doubts[model] = person_id, says

    def teach(self, model: str, *, is_missing: bool) -> None:
        """Note what a question of the bot's own has shown: it holds for everybody at once."""
        self.forget(model)
        self._known[model] = is_missing

    def suspect(self, model: str, *, is_suspected: bool) -> None:
        """Note whether a model wrote on and on where one word was asked for, without an end as yet.

        Until an answer has ended without thinking, it counts as one without the tag if nothing is known.
        """
        self._suspected.discard(model)
        if is_suspected:
            self._suspected.add(model)

    def forget(self, model: str) -> None:
        """Forget a model, whose template may be another from now on."""
        self._doubts.pop(model, None)
        self._known.pop(model, None)
        self._suspected.discard(model)

    def _belief(self, model: str) -> bool:
        known = self._known.get(model)
        if known is not None:
            return known
        return model in self._suspected or bool(PREFILLED_MODELS.search(model))


__all__ = [
    "ModelMemory",
    "OutputPolicy",
    "ReplyPipeline",
    "SecretGuard",
    "Verdict",
    "make_harmless",
]

_CHECK_CHARS: Final = 512


class Verdict(StrEnum):
    """What an answer turned out to be."""

    ANSWER = "answer"
    ONLY_THINKING = "only_thinking"
    EMPTY = "empty"
    CUT = "cut"
    """The answer reached the size cap."""
    CONTINUED = "continued"
    """The model went on with somebody else's turn, which is left out."""
    REPEATED = "repeated"
    """The model repeated itself without end, in its answer or in its thinking."""


class ReplyPipeline:
    """Turns the deltas of one answer into text that may be shown at any moment.

    Args:
        policy: Limits of the answer.
        secrets: Values that must never be shown.
        participants: Names of the people in the conversation; a line with the header that our
            prompt gives to one's messages is the model inventing their next message.
        bot_names: The bot's own names, stripped as a prefix of the answer.
        expect_missing_opening: Hold all text until a closing tag or the end.

    Attributes:
        must_stop: The caller should close the stream: nothing more will be shown.
    """

    def __init__(
        self,
        *,
        policy: OutputPolicy,
        secrets: SecretGuard,
        participants: Collection[str] = (),
        bot_names: Collection[str] = (),
        expect_missing_opening: bool = False,
    ) -> None:
        self._policy = policy
        self._guard = secrets
        self._labels = Labels(participants, bot_names)
        self._expecting = expect_missing_opening
        self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        self._kept = KeptThinking(self._policy.max_thinking_chars)
        self._filter = ReasoningFilter(
            self._labels, self._kept, expect_missing_opening=self._expecting
        )
        self._verdict: Verdict | None = None
        self._shown_thinking = (0, "")
        self._replaced = ""
        self._is_repeated = False
        self._in_field = False
        self._check_kept_at = _CHECK_CHARS
        self.must_stop = False
        self._begin_text()

    def _begin_text(self, *, holds_first_line: bool = False) -> None:
        self._sanitiser = Sanitiser(self._policy, self._guard, holds_first_line=holds_first_line)
        self._first_lines = None if holds_first_line else FirstLines()
        self._parts: list[str] = []
        self._size = 0
        self._check_at = _CHECK_CHARS

    def feed(self, delta: TextDelta) -> None:
        """Take what arrived; after ``must_stop`` or ``close`` it is ignored."""
        if self._is_closed or self.must_stop:
            return
        if delta.reasoning:
            if not self._in_field:
                self._kept.begin_block()
            self._in_field = True
            self._kept.add(delta.reasoning)
            self._filter.separate_field()
        if delta.content:
            self._in_field = False
            for _ in self._taking(self._filter.feed(delta.content)):
                pass
        self._look_for_repetition()

    def restart(self) -> None:
        """Forget everything: the request was sent again."""
        self._is_closed = False
        self._begin()

    def close(self, reason: FinishReason) -> None:
        """End the stream: show what may be shown and settle the verdict; once is enough."""
        for _ in self.closing(reason):
            pass

    def closing(self, reason: FinishReason) -> Iterator[None]:
        """Do what ``close`` does, pausing after each bounded amount of work."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self._is_repeated:
            for text in self._filter.closing(reason):
                yield from self._taking(text)
                yield
            yield from self._taking("", ended=True)
        if not self.text and self._replaced and self._filter.may_restore:
            self._show(self._replaced)
        self._show(fence_end(self.text))
        self._verdict = self._judge()
        yield from self._cleaning_thinking()

    @property
    def text(self) -> str:
        """Everything that may be shown so far; replaced where it has turned out to be thinking."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def has_text(self) -> bool:
        """Whether anything may be shown so far; costs nothing, unlike ``text``."""
        return bool(self._parts) or self._sanitiser.has_rows

    @property
    def text_so_far(self) -> str:
        """What may be shown now: the text, and the rows that have come of a table at its end."""
        return self.text + self._sanitiser.rows_so_far()

    @property
    def thinking(self) -> str:
        """What the model thought, bounded, fit to be shown to the asker."""
        for _ in self._cleaning_thinking():
            pass
        return self._shown_thinking[1]

    @property
    def is_thinking(self) -> bool:
        """Whether the model is inside its thinking right now."""
        return not self._is_closed and (self._in_field or self._filter.is_thinking)

    @property
    def verdict(self) -> Verdict:
        """What the answer turned out to be; before ``close`` what it looks like so far."""
        return self._verdict or self._judge()

    @property
    def has_ended(self) -> bool:
        """Whether the model wrote the end of its answer itself: nothing of it is missing."""
        return self._filter.has_ended

    @property
    def saw_orphan_close(self) -> bool:
        """Whether a closing tag came without its opening one."""
        return self._filter.saw_orphan_close

    @property
    def saw_open(self) -> bool:
        """Whether thinking was opened in the text, or came in a field of its own."""
        return self._filter.saw_open

    def _cleaning_thinking(self) -> Iterator[None]:
        total_chars = self._kept.total_chars
        if self._shown_thinking[0] == total_chars:
            return
        limits = replace(self._policy, max_chars=self._policy.max_thinking_chars)
        out: list[str] = []
        for part in Sanitiser(limits, self._guard).steps(self._kept.text, ended=True):
            out.append(part)
            yield
        shown = "".join(out)
        self._shown_thinking = (total_chars, shown + fence_end(shown))

    def _taking(self, text: str, *, ended: bool = False) -> Iterator[None]:
        if self._filter.was_reset:
            self._filter.was_reset = False
            self._replaced = self.text
            self._kept.begin_block()
            self._kept.add(self._replaced)
            self._begin_text()
        if self._first_lines is not None:
            text = self._first_lines.add(text, ended=ended)
            if self._first_lines.are_table:
                self._begin_text(holds_first_line=True)
        if text and not ended and len(text) <= STEP_CHARS:
            self._show(self._sanitiser.feed(text))
        elif text or ended:
            yield from self._sanitising(text, ended=ended)
        self.must_stop = self.must_stop or self._sanitiser.is_full or self._filter.is_over

    def _sanitising(self, text: str, *, ended: bool) -> Iterator[None]:
        for part in self._sanitiser.steps(text, ended=ended):
            self._show(part)
            yield

    def _show(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._size += len(text)

    def _look_for_repetition(self) -> None:
        if self._size >= self._check_at:
            self._check_at = self._size + _CHECK_CHARS
            self._is_repeated |= repeats_itself(self.text[-LOOK_BACK_CHARS:])
        if self._kept.total_chars >= self._check_kept_at:
            self._check_kept_at = self._kept.total_chars + _CHECK_CHARS
            self._is_repeated |= repeats_itself(self._kept.tail(LOOK_BACK_CHARS))
        self.must_stop = self.must_stop or self._is_repeated

    def _judge(self) -> Verdict:
        if self._is_repeated:
            return Verdict.REPEATED
        if self._sanitiser.is_full:
            return Verdict.CUT
        if self.text:
            return Verdict.CONTINUED if self._filter.was_cut else Verdict.ANSWER
        return Verdict.ONLY_THINKING if self._kept.total_chars else Verdict.EMPTY


LOOK_BACK_CHARS: Final = 2400
"""How much of the end is looked at, in characters."""

_PROBE_CHARS: Final = 24
_MIN_REPEATED_CHARS: Final = 900
_MIN_TIMES: Final = 6


def repeats_itself(text: str) -> bool:
    """Return whether a text ends in one passage repeated without end.

    That is: the last 900 characters or more consist of at least six copies of the same passage, of
    up to 400 characters. Rules, tables and refrains stay below that.

    Args:
        text: The end of a text, at most ``LOOK_BACK_CHARS`` characters of it.
    """
    probe = text[-_PROBE_CHARS:]
    if len(text) < _MIN_REPEATED_CHARS:
        return False
    earlier = text.rfind(probe, 0, len(text) - 1)
    if earlier < 0:
        return False
    period = len(text) - _PROBE_CHARS - earlier
    needed = max(_MIN_REPEATED_CHARS, _MIN_TIMES * period)
    if needed > len(text):
        return False
    tail = text[-needed:]
    return tail[period:] == tail[:-period]
