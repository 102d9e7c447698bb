"""Estimates: safe at first, right after a few answers, small to keep."""

from __future__ import annotations

import json
from typing import SupportsIndex

import pytest

from bot.core.domain import ChatTurn, Role
from bot.prompt.render import fit
from bot.prompt.tokens import (
    TokenEstimator,
    features,
    longest_within,
    static_tokens,
    static_tokens_within,
)
from sandbox.lmstudio.tokens import tokenize

ENGLISH = "The quick brown fox jumps over the lazy dog while nobody is looking at it. " * 20
CODE = "def f(x: int) -> dict[str, int]:\n    return {'a': x + 1, \"b\": x ** 2}  # ok\n" * 20
CHINESE = "人工智能正在改变我们的生活方式，也带来了新的问题。" * 20
RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей чаю. " * 20


def turns(text: str) -> tuple[ChatTurn, ...]:
    return (ChatTurn(Role.USER, text),)


@pytest.mark.parametrize("text", [ENGLISH, CODE, CHINESE, RUSSIAN])
def test_a_few_answers_teach_the_right_size(text: str) -> None:
    estimator = TokenEstimator()
    actual = len(tokenize(text))
    for _ in range(12):
        estimator.learn("m", turns(text), actual)
    assert estimator.estimate_turns(turns(text), "m") == pytest.approx(actual, rel=0.05)


def test_kinds_of_text_are_learned_side_by_side() -> None:
    estimator = TokenEstimator()
    for _ in range(30):
        for text in (ENGLISH, CODE, CHINESE, RUSSIAN):
            estimator.learn("m", turns(text), len(tokenize(text)))
    for text in (ENGLISH, CODE, CHINESE, RUSSIAN):
        assert estimator.estimate_turns(turns(text), "m") == pytest.approx(
            len(tokenize(text)), rel=0.1
        )


@pytest.mark.parametrize("text", [ENGLISH, CODE, CHINESE, RUSSIAN])
def test_the_first_guess_is_within_reach(text: str) -> None:
    assert static_tokens(text) == pytest.approx(len(tokenize(text)), rel=0.5)


def test_a_count_far_too_low_is_reported_and_teaches_nothing() -> None:
    estimator = TokenEstimator()
    for _ in range(6):
        assert estimator.learn("m", turns(ENGLISH), static_tokens(ENGLISH))
    before = estimator.dump()
    assert not estimator.learn("m", turns(ENGLISH), static_tokens(ENGLISH) // 2)
    assert estimator.dump() == before


def test_models_learn_apart_and_are_bounded() -> None:
    estimator = TokenEstimator()
    for number in range(100):
        estimator.learn(f"m{number}", turns(ENGLISH), 1000)
    assert len(estimator.dump()) == 32


def test_what_was_learned_is_kept_over_a_restart() -> None:
    estimator = TokenEstimator()
    for _ in range(10):
        estimator.learn("m", turns(CHINESE), len(CHINESE) * 2)
    loaded = TokenEstimator.from_dict(json.loads(json.dumps(estimator.dump())))
    assert loaded.estimate(CHINESE, "m") == pytest.approx(
        estimator.estimate(CHINESE, "m"), rel=0.01
    )
    assert loaded.scale("m") == pytest.approx(estimator.scale("m"), rel=0.01)


@pytest.mark.parametrize(
    "damaged",
    [None, [], {"m": None}, {"m": {"values": [1], "samples": 1, "ratio": 1, "scale": 1}}, {"m": 3}],
)
def test_damaged_memory_is_ignored(damaged: object) -> None:
    assert TokenEstimator.from_dict(damaged).dump() == {}


def test_small_drifts_do_not_move_the_scale() -> None:
    estimator = TokenEstimator()
    for share in (1.1, 0.95, 1.15, 1.05):
        estimator.learn("m", turns(ENGLISH), int(static_tokens(ENGLISH) * share))
    assert estimator.scale("m") == 1.0


def test_every_character_is_counted_once() -> None:
    text = "aZ 9!\n人é🙂"
    assert sum(features(text)) == len(text)


@pytest.mark.parametrize("text", [ENGLISH, CODE, CHINESE, "a中" * 9000, "<|" * 9000, " " * 9000])
@pytest.mark.parametrize("most", [0, 1, 100, 1500, 10**6])
def test_a_beginning_of_so_many_tokens_is_the_longest_there_is(text: str, most: int) -> None:
    length = longest_within(text, most)
    assert static_tokens(text[:length]) <= most
    assert length == len(text) or static_tokens(text[: length + 1]) > most
    assert static_tokens_within(text, most) == min(static_tokens(text), most + 1)


class Watched(str):
    """A text that notes how far it was looked at."""

    __slots__ = ("seen",)
    seen: int

    def __getitem__(self, index: SupportsIndex | slice) -> str:
        assert isinstance(index, slice)
        self.seen = max(getattr(self, "seen", 0), index.indices(len(self))[1])
        return super().__getitem__(index)


def test_of_a_long_text_no_more_is_counted_than_there_is_room_for() -> None:
    text = Watched("a中" * 100_000)
    assert static_tokens_within(text, 1000) == 1001
    assert fit(text, 1000)[1] > 190_000
    assert text.seen < 10_000
