"""What the bot asks of a model, as those who look on are told."""

from __future__ import annotations

from contextlib import aclosing
from itertools import pairwise

import pytest

from bot.core.domain import (
    ChatRequest,
    ChatTurn,
    Completed,
    FinishReason,
    QuestionId,
    Role,
    Sampling,
    Stage,
    StageKind,
    TextDelta,
    Usage,
)
from bot.demo.asked import Asked, HeardBackend
from bot.demo.page.prompts import asked_prompt
from bot.lmstudio import BackendUnavailableError
from tests.support.chat import FakeBackend, Step

TURNS = (ChatTurn(Role.SYSTEM, "Be brief. " * 30), ChatTurn(Role.USER, "What does it keep?"))
REQUEST = ChatRequest(QuestionId(1), "key", None, TURNS, Sampling(1.0, 1.0, 100), prompt_tokens=200)
WHOLE: tuple[Step, ...] = (
    Stage(StageKind.LOADING),
    Stage(StageKind.READING, tokens=50),
    TextDelta(reasoning="Hm. "),
    TextDelta("Keys."),
    Completed(FinishReason.STOP, "tiny", Usage(220, 9, 3)),
)


async def heard(*steps: Step, most: int = 100) -> tuple[Asked, list[str]]:
    """Return what was told of a scripted answer, and the states that it went through."""
    backend, told, states = FakeBackend(), list[Asked](), list[str]()
    backend.scripts.append(steps)
    async with aclosing(HeardBackend(backend, told.append).stream(REQUEST)) as events:
        async for _ in events:
            states.append(told[0].state)
            if len(states) == most:
                break
    return told[0], states


async def test_an_answer_is_followed_to_its_end() -> None:
    asked, states = await heard(*WHOLE)
    assert states == ["loading", "reading", "thinking", "writing", "done"]
    assert asked.model == "tiny"
    drawn = asked_prompt(1, asked, 5.0).drawn()
    assert (drawn["prompt_tokens"], drawn["written_tokens"]) == (220, 9)
    # The server says nothing of its cache: the bot's own expectation counts, a quarter.
    assert (drawn["read_tokens"], drawn["kept_tokens"], drawn["is_estimate"]) == (55, 165, True)
    assert [each["role"] for each in drawn["turns"]] == ["system", "user"]
    assert sum(each["tokens"] for each in drawn["turns"]) == 220
    assert sum(each["kept_tokens"] for each in drawn["turns"]) == 165


async def test_what_the_server_counts_goes_before_what_the_bot_expects() -> None:
    usage = Usage(220, 9, cached_tokens=200)
    asked, _ = await heard(*WHOLE[:-1], Completed(FinishReason.STOP, "tiny", usage))
    drawn = asked_prompt(1, asked, 5.0).drawn()
    assert (drawn["read_tokens"], drawn["kept_tokens"], drawn["is_estimate"]) == (20, 200, False)


async def test_an_answer_that_is_left_is_stopped_and_one_that_fails_failed() -> None:
    asked, _ = await heard(*WHOLE, most=3)
    assert asked.state == "stopped"
    broken = Completed(FinishReason.INTERRUPTED, "tiny")
    asked, _ = await heard(TextDelta("Ke"), broken)
    assert asked.state == "failed"
    backend, told = FakeBackend(), list[Asked]()
    backend.scripts.append((BackendUnavailableError(),))
    with pytest.raises(BackendUnavailableError):
        _ = [event async for event in HeardBackend(backend, told.append).stream(REQUEST)]
    assert told[0].state == "failed"


async def test_turns_are_told_once_and_again_only_as_they_change() -> None:
    asked, _ = await heard(*WHOLE)
    prompt = asked_prompt(1, asked, 5.0)
    updates = [prompt.update(), prompt.update()]
    assert ["turns" in each for each in updates] == [True, False]
    assert all(a["n"] == b["n"] for a, b in pairwise(updates))
