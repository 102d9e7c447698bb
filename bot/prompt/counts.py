"""How long the turns of a prompt are: counted by the server where it has read them, else estimated.

``usage`` of an answer says exactly how many tokens the turns before it have, and how many the answer.
Both are kept with the answer (``PromptCount``). A prompt that begins with the same turns has the same
tokens there, so only what was said since is estimated. The tokens of single turns follow from the
differences between the counts of one conversation.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bot.core.domain import ChatTurn, ModelInfo, PromptCount, Role, Usage
from bot.prompt.tokens import TokenEstimator, is_possible, static_size

_DIGEST_BYTES: Final = 12
_LEAST_SHARE: Final = 0.4
"""A count below this share of what was expected is of a part of the prompt, or of none."""

_SAME_TEXT: Final = 0.5
"""An answer that came back with less than this share of its characters, or so much more, isn't it."""


def prefixes(turns: Iterable[ChatTurn]) -> list[str]:
    """Return for each turn a digest of all turns up to it."""
    total = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    found = []
    for turn in turns:
        for part in (turn.role.value, turn.text, *turn.images):
            raw = part.encode("utf-8", "surrogatepass")
            total.update(len(raw).to_bytes(8, "big") + raw)
        total.update(b"\xff" * 8)
        found.append(total.copy().hexdigest())
    return found


def is_credible(
    usage: Usage, turns: Sequence[ChatTurn], expected_tokens: int, context_tokens: int | None
) -> bool:
    """Return whether what a server counted can be of this prompt.

    Args:
        usage: What it said.
        turns: What was sent.
        expected_tokens: How long that was thought to be.
        context_tokens: The context length of the model, where known.
    """
    tokens = usage.prompt_tokens
    if context_tokens is not None and tokens > context_tokens:
        return False
    has_images = any(turn.images for turn in turns)
    least = 0.0 if has_images else expected_tokens * _LEAST_SHARE
    return tokens >= least and is_possible(turns, tokens)


def count_of(
    usage: Usage | None,
    turns: Sequence[ChatTurn],
    answer: str,
    *,
    model: ModelInfo,
    first_id: int | None,
    has_thought: bool,
) -> PromptCount:
    """Return what to keep with an answer.

    Args:
        usage: What the server counted; ``None`` where it didn't, or not of this alone.
        turns: What was sent.
        answer: The model's text without its thinking.
        model: Who answered.
        first_id: The message that the history began with.
        has_thought: There was thinking before the text.
    """
    count = PromptCount(model.load, first_id, prefixes(turns)[-1])
    if usage is None:
        return count
    spoken = usage.completion_tokens - usage.reasoning_tokens
    is_apart = usage.reasoning_tokens > 0 or not has_thought
    is_of_text = is_apart and is_possible((ChatTurn(Role.ASSISTANT, answer),), spoken)
    return PromptCount(
        count.load,
        first_id,
        count.prefix,
        usage.prompt_tokens,
        spoken if is_of_text and answer else 0,
        len(answer),
    )


class Sizes:
    """How many tokens each turn of a prompt has.

    Args:
        turns: The prompt.
        counts: What is known of prompts of this conversation, by their digest; of one load.
        estimator: For what isn't counted.
        model: The model's key.
        answered_tokens: Tokens of all turns up to the last answer, where those are known otherwise.

    Attributes:
        turns: Tokens of each.
        counted: How many of the turns, from the first, are counted; 0 where none is.
        answered: How many turns there are up to the last answer.
    """

    def __init__(
        self,
        turns: Sequence[ChatTurn],
        counts: Mapping[str, PromptCount],
        estimator: TokenEstimator,
        model: str | None,
        *,
        answered_tokens: float | None = None,
    ) -> None:
        self.turns = estimator.turn_sizes(turns, model)
        self.answered = max(
            (i for i, t in enumerate(turns, 1) if t.role is Role.ASSISTANT), default=0
        )
        self._estimate = estimator.estimate_turns(turns, model)
        marks = _marks(turns, counts, estimator.template_tokens(model))
        if answered_tokens is not None and self.answered:
            marks = [
                mark for mark in marks if mark[0] < self.answered and mark[1] < answered_tokens
            ]
            marks.append((self.answered, answered_tokens))
        self.counted = marks[-1][0] if marks else 0
        if marks:
            self._share_out(marks, [static_size(turn) for turn in turns])

    def _share_out(self, marks: Sequence[tuple[int, float]], static: Sequence[float]) -> None:
        """Size turns by what is counted, up to the last answer.

        What isn't counted turn by turn is shared out by static sizes, not by learned ones: where a
        cut lies then rests on counts alone.
        """
        for (start, before), (end, upto) in itertools.pairwise([(0, 0.0), *marks]):
            rate = (upto - before) / sum(static[start:end])
            self.turns[start:end] = [size * rate for size in static[start:end]]
        rate = marks[-1][1] / sum(static[: self.counted])
        for index in range(self.counted, self.answered):
            self.turns[index] = static[index] * rate

    @property
    def total(self) -> int:
        """All tokens of the prompt."""
        return round(sum(self.turns)) if self.counted else self._estimate


def _marks(
    turns: Sequence[ChatTurn], counts: Mapping[str, PromptCount], template_tokens: float
) -> list[tuple[int, float]]:
    """Return how many tokens the prompt has up to some of its turns, in order.

    Counts that contradict a later one are left out.
    """
    marks: list[tuple[int, float]] = []
    for number, digest in reversed(list(enumerate(prefixes(turns), 1))):
        count = counts.get(digest)
        if count is None or not count.prompt_tokens:
            continue
        if not marks and (answer := _answer_tokens(turns, number, count)):
            marks.append((number + 1, count.prompt_tokens + answer + template_tokens))
        if not marks or count.prompt_tokens < marks[-1][1]:
            marks.append((number, float(count.prompt_tokens)))
    return marks[::-1]


def _answer_tokens(turns: Sequence[ChatTurn], number: int, count: PromptCount) -> float:
    """Return the tokens of the answer that follows a counted prompt; 0 where they aren't known.

    Discord's text may differ by a few characters from the model's.
    """
    if not count.answer_tokens or not count.answer_chars or number >= len(turns):
        return 0.0
    share = len(turns[number].text) / count.answer_chars
    is_same = _SAME_TEXT <= share <= 1 / _SAME_TEXT
    return count.answer_tokens * share if is_same else 0.0
