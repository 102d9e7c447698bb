"""What is remembered of each model."""

from __future__ import annotations

import pytest

from bot.core.domain import FinishReason, TextDelta
from bot.output.pipeline import ModelMemory
from tests.unit.output.helpers import pipeline, versions


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("deepseek-r1-distill-qwen-7b", True),
        ("qwen/qwq-32b", True),
        ("qwen3-30b-a3b-thinking-2507", True),
        ("qwen3-next-80b-a3b-thinking", True),
        ("nvidia/nemotron-3-nano", True),
        ("qwen3-next-80b-a3b-instruct", False),
        ("llama-3.3-70b", False),
        (None, False),
    ],
)
def test_the_name_is_a_first_guess(model: str | None, expected: bool) -> None:
    assert ModelMemory().expects_missing_opening(model) is expected


def test_experience_beats_the_name() -> None:
    memory = ModelMemory()
    orphan, whole = pipeline(), pipeline()
    versions(orphan, ["hm\n</think>\nFour."])
    versions(whole, ["<think>hm</think>Four."])
    memory.learn("unknown-model", orphan)
    memory.learn("qwq-32b", whole)
    assert memory.expects_missing_opening("unknown-model")
    assert not memory.expects_missing_opening("qwq-32b")


def test_an_answer_without_thinking_teaches_nothing() -> None:
    memory = ModelMemory()
    plain = pipeline()
    versions(plain, ["Four."])
    memory.learn("qwq-32b", plain)
    assert memory.expects_missing_opening("qwq-32b")


@pytest.mark.parametrize("reason", [FinishReason.STOP, FinishReason.LENGTH])
def test_a_suspicion_ends_with_an_answer_without_thinking(reason: FinishReason) -> None:
    memory = ModelMemory()
    memory.suspect("a", is_suspected=True)
    assert memory.expects_missing_opening("a", 7)
    plain = pipeline(expect=True)
    plain.feed(TextDelta("Well, the number"))
    plain.close(reason)
    memory.learn("a", plain)
    assert not memory.expects_missing_opening("a", 7)


def test_a_suspicion_yields_to_what_is_known() -> None:
    memory = ModelMemory()
    memory.teach("a", is_missing=False)
    memory.suspect("a", is_suspected=True)
    assert not memory.expects_missing_opening("a")
    memory.forget("a")
    assert not memory.expects_missing_opening("a")


def test_it_forgets_the_oldest() -> None:
    memory = ModelMemory(limit=2)
    orphan = pipeline()
    versions(orphan, ["hm\n</think>\nFour."])
    for model in ("a", "b", "c"):
        memory.learn(model, orphan)
    assert [memory.expects_missing_opening(m) for m in "abc"] == [False, True, True]


@pytest.mark.parametrize("saved", [None, [], "models", 7])
def test_what_was_saved_wrongly_is_ignored(saved: object) -> None:
    assert ModelMemory(saved=saved).dump() == {}


def test_what_was_learnt_outlives_a_restart() -> None:
    memory = ModelMemory()
    orphan = pipeline()
    versions(orphan, ["hm\n</think>\nFour."])
    memory.learn("unknown-model", orphan)
    assert ModelMemory(saved=memory.dump()).expects_missing_opening("unknown-model")


def test_what_one_person_has_a_model_write_changes_nothing_for_the_others() -> None:
    memory = ModelMemory()
    orphan, whole = pipeline(), pipeline()
    versions(orphan, ["hm\n</think>\nFour."])
    versions(whole, ["<think>hm</think>Four."])
    for _ in range(5):
        memory.learn("plain-model", orphan, person_id=1)
        memory.learn("qwq-32b", whole, person_id=1)
    assert memory.expects_missing_opening("plain-model", 1)
    assert not memory.expects_missing_opening("plain-model", 2)
    assert memory.expects_missing_opening("qwq-32b", 2)
    memory.learn("plain-model", orphan, person_id=2)
    assert memory.expects_missing_opening("plain-model", 3)
