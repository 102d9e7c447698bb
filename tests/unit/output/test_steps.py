"""What a large answer costs is done in steps, between which others can have their turn."""

from __future__ import annotations

import itertools

import pytest

from bot.core.domain import FinishReason, TextDelta
from bot.output.pipeline import OutputPolicy
from bot.output.sanitise.sanitiser import STEP_CHARS
from tests.unit.output.helpers import pipeline

WORDS = "".join(f"word {number}, " for number in range(4000))
LIMITS = OutputPolicy(max_chars=100_000, max_thinking_chars=100_000)


@pytest.mark.parametrize(
    "opening", ["", "<think>", "<tool_call>", "<|channel|>analysis<|message|>"]
)
@pytest.mark.parametrize("expect", [True, False])
@pytest.mark.parametrize("limits", [LIMITS, OutputPolicy()])
def test_an_answer_that_was_held_is_shown_step_by_step(
    opening: str, expect: bool, limits: OutputPolicy
) -> None:
    reply, same = (pipeline(expect=expect, policy=limits) for _ in range(2))
    for each in (reply, same):
        each.feed(TextDelta(opening + WORDS))
    sizes = [len(reply.text)]
    sizes += [len(reply.text) for _ in reply.closing(FinishReason.STOP)]
    same.close(FinishReason.STOP)
    assert (reply.text, reply.thinking, reply.verdict) == (same.text, same.thinking, same.verdict)
    steps = [after - before for before, after in itertools.pairwise(sizes)]
    assert max(steps) <= 2 * STEP_CHARS


def test_thinking_is_made_harmless_step_by_step() -> None:
    reply = pipeline(policy=LIMITS)
    reply.feed(TextDelta(reasoning=WORDS))
    steps = sum(1 for _ in reply.closing(FinishReason.STOP))
    assert steps >= len(WORDS) // STEP_CHARS
    assert reply.thinking == WORDS.strip()
