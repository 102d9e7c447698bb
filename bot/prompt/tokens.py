"""How many tokens a text and a turn are: counted by the server where it has read them, else estimated.

No tokenizer is shipped: each model has its own, and LM Studio has no route that counts. A text is
split into kinds of characters, each kind has a weight in tokens per character, and the weights of a
model move towards what ``usage.prompt_tokens`` says (normalised least mean squares). English, code
and Chinese thus find their own rates, and the first guess leans to the safe side.

``usage`` of an answer says exactly how many tokens the turns before it have, and how many the answer.
Both are kept with the answer (``PromptCount``). A prompt that begins with the same turns has the same
tokens there, so only what was said since is estimated. The tokens of single turns follow from the
differences between the counts of one conversation.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import add
from typing import Final

from pydantic import TypeAdapter, ValidationError

from bot.core.domain import ChatTurn, ModelInfo, PromptCount, Role, Usage
from bot.core.recent import Recent

Features = tuple[float, ...]
"""Counts by kind: letters, digits, other ASCII, blanks, CJK, other scripts, turns, images."""

_DEFAULTS: Final[Features] = (0.215, 0.75, 0.55, 0.06, 1.0, 0.55, 6.0, 1100.0)
"""Tokens per character of each kind, per turn of the template, and per image of 1024 pixels.

English measures about 4.3 characters a token and source code about 3 with the vocabularies of
100,000 to 200,000 entries that current models have; Chinese 0.6 to 1.1 tokens a character.
"""

_LOWEST: Final[Features] = (0.08, 0.1, 0.1, 0.0, 0.25, 0.1, 0.0, 16.0)
_HIGHEST: Final[Features] = (0.8, 1.5, 2.0, 0.6, 3.5, 3.0, 40.0, 6000.0)

_TURNS: Final = 6
_IMAGES: Final = 7
_TEMPLATE_TOKENS = 1024
"""What a template may say of its own accord, once in a prompt."""

_RATE = 0.3
"""Share of an error that one report corrects: a few reports settle a model."""

_MAX_MODELS = 32
_MAX_NAME_CHARS = 200
_TOLERANCE = 0.2
"""How far a model's scale may be off before it moves: it decides where history is cut."""

_SETTLED = 5
_LOOK_CHARS = 4096
_LETTERS = bytes([*range(0x41, 0x5B), *range(0x61, 0x7B)])
_DIGITS = bytes(range(0x30, 0x3A))
_BLANKS = b" \t\n\r\v\f"
_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef"
    "\U00020000-\U0003ffff]+"
)


def features(text: str) -> Features:
    """Count a text's characters by kind; linear, a few microseconds a kilobyte."""
    if text.isascii():
        plain, cjk, other = text.encode("ascii"), 0, 0
    else:
        plain = text.encode("ascii", "ignore")
        wide = len(text) - len(plain)
        cjk = len("".join(_CJK.findall(text)))
        other = wide - cjk
    letters = len(plain) - len(plain.translate(None, _LETTERS))
    digits = len(plain) - len(plain.translate(None, _DIGITS))
    blanks = len(plain) - len(plain.translate(None, _BLANKS))
    marks = len(plain) - letters - digits - blanks
    return (letters, digits, marks, blanks, cjk, other, 0.0, 0.0)


def static_tokens(text: str) -> int:
    """Estimate a text's tokens without anything learned: the same number for ever.

    Where history is cut is measured with this, so that learning never moves a cut.
    """
    return round(_dot(_DEFAULTS, features(text)))


def static_tokens_within(text: str, most_tokens: int) -> int:
    """Return ``static_tokens``, or one more than so many where there are more: the rest isn't looked at."""
    counted: Features = (0.0,) * len(_DEFAULTS)
    for start in range(0, len(text), _LOOK_CHARS):
        counted = tuple(map(add, counted, features(text[start : start + _LOOK_CHARS])))
        if round(_dot(_DEFAULTS, counted)) > most_tokens:
            return most_tokens + 1
    return round(_dot(_DEFAULTS, counted))


def longest_within(text: str, most_tokens: int) -> int:
    """Return how many characters of a text's beginning are at most so many static tokens.

    Each character of these is counted a few times at most, and hardly any behind them.
    """
    counted: Features = (0.0,) * len(_DEFAULTS)
    start, step = 0, _LOOK_CHARS
    while step:
        more = tuple(map(add, counted, features(text[start : start + step])))
        if round(_dot(_DEFAULTS, more)) > most_tokens:
            step //= 2
        elif start + step >= len(text):
            return len(text)
        else:
            counted, start = more, start + step
    return start


@lru_cache(maxsize=1024)
def message_tokens(text: str) -> int:
    """Return ``static_tokens`` of a message's text, remembered: a conversation is sized often."""
    return static_tokens(text)


def is_possible(turns: Iterable[ChatTurn], prompt_tokens: int) -> bool:
    """Return whether any tokenizer could make so many tokens of a prompt."""
    counts = _sum(turns)
    most = _dot(_HIGHEST, counts) + _TEMPLATE_TOKENS
    return max(1.0, _dot(_LOWEST, counts)) <= prompt_tokens <= most


def static_size(turn: ChatTurn) -> float:
    """Return the tokens of one turn, template and images included, without anything learned."""
    return _dot(_DEFAULTS, _sum((turn,)))


class TokenEstimator:
    """Estimates the tokens of texts and prompts, per model; remembers at most 32 models."""

    def __init__(self) -> None:
        self._models: Recent[str, _Weights] = Recent(_MAX_MODELS)

    @classmethod
    def from_dict(cls, saved: object) -> TokenEstimator:
        """Return an estimator that knows what ``dump`` returned; whatever else is ignored."""
        estimator = cls()
        for key, entry in saved.items() if isinstance(saved, Mapping) else ():
            weights = _Weights.load(entry)
            if weights is not None:
                estimator._models[str(key)] = weights
        return estimator

    def estimate(self, text: str, model: str | None) -> int:
        """Return the estimated tokens of a text, without any template around it.

        Args:
            text: Any text.
            model: Model key; ``None`` when unknown.
        """
        return round(_dot(self._of(model).values, features(text)))

    def estimate_turns(self, turns: Iterable[ChatTurn], model: str | None) -> int:
        """Return the estimated tokens of a prompt, its template and images included."""
        return round(_dot(self._of(model).values, _sum(turns)))

    def turn_sizes(self, turns: Iterable[ChatTurn], model: str | None) -> list[float]:
        """Return the estimated tokens of each turn of a prompt, its share of the template included."""
        values = self._of(model).values
        return [_dot(values, _sum((turn,))) for turn in turns]

    def template_tokens(self, model: str | None) -> float:
        """Return what a template puts around one turn, as far as that is known."""
        return self._of(model).values[_TURNS]

    def scale(self, model: str | None) -> float:
        """Return how many real tokens a static token is; moves only when it is far off."""
        return self._of(model).scale

    def learn(self, model: str | None, turns: Sequence[ChatTurn], prompt_tokens: int) -> bool:
        """Take in what the server counted for a prompt.

        Args:
            model: Model key that answered; ``None`` teaches nothing.
            turns: The prompt that was sent.
            prompt_tokens: ``usage.prompt_tokens`` of its answer.

        Returns:
            False when the count can't be of this prompt, or not of all of it; nothing is learned then.
        """
        counts = _sum(turns)
        if not any(counts):
            return True
        if not is_possible(turns, prompt_tokens):
            return False
        weights = self._of(model)
        guess = _dot(weights.values, counts)
        least = 0.7 if weights.samples >= _SETTLED else 0.4
        if prompt_tokens < guess * least:
            return False
        if model is not None and len(model) <= _MAX_NAME_CHARS:
            self._models[model] = weights.moved(counts, float(prompt_tokens))
        return True

    def learn_limit(self, model: str, turns: Sequence[ChatTurn], prompt_tokens: int) -> None:
        """Take in the exact size of a prompt that was refused as too long.

        It counts in full and at once, so that the same prompt isn't thought to fit again.

        Args:
            model: Model key.
            turns: The prompt that was sent.
            prompt_tokens: What the server counted.
        """
        counts = _sum(turns)
        weights = self._of(model)
        is_longer = prompt_tokens > _dot(weights.values, counts) > 0
        if is_longer and is_possible(turns, prompt_tokens) and len(model) <= _MAX_NAME_CHARS:
            self._models[model] = weights.moved(counts, float(prompt_tokens), rate=1.0)

    def dump(self) -> dict[str, object]:
        """Return all that was learned as plain JSON values, a few hundred bytes a model."""
        return {key: weights.dump() for key, weights in self._models.items()}

    def _of(self, model: str | None) -> _Weights:
        if model is None and self._models:
            return next(reversed(self._models.values()))
        return self._models.get(model or "") or _Weights()


@dataclass(frozen=True, slots=True)
class _Weights:
    """What is known of one model.

    Attributes:
        values: Tokens of each feature.
        ratio: Real tokens of a static token, as last seen.
        scale: The same, moved only when it is far off.
        samples: Reports taken in.
    """

    values: Features = _DEFAULTS
    ratio: float = 1.0
    scale: float = 1.0
    samples: int = 0

    def moved(self, counts: Features, actual: float, rate: float = _RATE) -> _Weights:
        """Return the weights after one report, of whose error a share is corrected."""
        guess = _dot(self.values, counts)
        # Each kind answers for the error by its share of the estimate, so that a prompt of plain
        # English says nothing about Chinese.
        parts = [w * n for w, n in zip(self.values, counts, strict=True)]
        norm = sum(part * part for part in parts) or 1.0
        step = rate * (actual - guess) / norm
        values = tuple(w * (1 + step * part) for w, part in zip(self.values, parts, strict=True))
        plain = _dot(_DEFAULTS, counts)
        ratio = _bounded_ratio(self.ratio + rate * (actual / plain - self.ratio))
        is_off = abs(ratio / self.scale - 1) > _TOLERANCE
        return _Weights(_bounded(values), ratio, ratio if is_off else self.scale, self.samples + 1)

    def dump(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "values": [round(value, 5) for value in self.values],
            "ratio": round(self.ratio, 4),
            "scale": round(self.scale, 4),
            "samples": self.samples,
        }

    @classmethod
    def load(cls, entry: object) -> _Weights | None:
        """Read what ``dump`` wrote; ``None`` for anything else."""
        try:
            saved = _SAVED.validate_python(entry)
        except ValidationError:
            return None
        if len(saved.values) != len(_DEFAULTS):
            return None
        ratio, scale = _bounded_ratio(saved.ratio), _bounded_ratio(saved.scale)
        return cls(_bounded(saved.values), ratio, scale, max(0, saved.samples))


_SAVED: Final = TypeAdapter(_Weights)


def _bounded(values: Features) -> Features:
    bounds = zip(values, _LOWEST, _HIGHEST, strict=True)
    return tuple(min(high, max(low, value)) for value, low, high in bounds)


def _bounded_ratio(value: float) -> float:
    return min(4.0, max(0.25, value))


def _sum(turns: Iterable[ChatTurn]) -> Features:
    total = [0.0] * len(_DEFAULTS)
    for turn in turns:
        for index, count in enumerate(features(turn.text)):
            total[index] += count
        total[_TURNS] += 1
        total[_IMAGES] += len(turn.images)
    return tuple(total)


def _dot(weights: Features, counts: Features) -> float:
    return sum(w * n for w, n in zip(weights, counts, strict=True))


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
