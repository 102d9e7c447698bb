"""How many tokens a text is, learned per model from what the server reports.

No tokenizer is shipped: each model has its own, and LM Studio has no route that counts. A text is
split into kinds of characters, each kind has a weight in tokens per character, and the weights of a
model move towards what ``usage.prompt_tokens`` says (normalised least mean squares). English, code
and Chinese thus find their own rates, and the first guess leans to the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import add
from typing import Final

from pydantic import TypeAdapter, ValidationError

from bot.core.domain import ChatTurn
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


def longest_within(text: str, most_tokens: int) -> int:
    """Return how many characters of a text's beginning are at most so many static tokens.

    Each character is counted a few times at most, however long the text is.
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
