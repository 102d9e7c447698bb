"""How a summary is made while nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

import pytest

from bot.core.domain import (
    ChatEvent,
    ChatRequest,
    ChatTurn,
    Completed,
    FinishReason,
    Reasoning,
    Role,
    Summary,
    TextDelta,
)
from bot.core.ports import ChatSettings
from bot.idle.summaries import MOST_TRIES, Summaries
from bot.output.sanitise.sanitiser import SecretGuard
from bot.prompt.cut import ToSummarise

CHAT = ChatSettings("a/b", 0.7, 0.95, 512, "You are kind.", Reasoning.AUTO)
MADE_OF = Summary(40, 50, ((1, "aa"),), frozenset({11}))
TEXT = "Ada asked for bread, and Clawbot gave her a recipe."


class World:
    """A model, what may be summed up, and where summaries are kept.

    Attributes:
        text: What the model writes.
        reason: How its answer ends.
    """

    def __init__(self) -> None:
        self.text = f"<think>What was said?</think>{TEXT}"
        self.reason = FinishReason.STOP
        self.is_stuck = False
        self.moment = 0
        self.asked: list[ChatRequest] = []
        self.stored: list[Summary] = []
        self.summaries = Summaries(self, self, self, SecretGuard(), lambda _: False)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        self.asked.append(request)
        if self.is_stuck:
            await asyncio.Event().wait()
        yield TextDelta(self.text)
        yield Completed(self.reason)

    def to_summarise(self) -> Iterator[tuple[ToSummarise, ChatSettings, str]]:
        if not self.stored:
            turns = (ChatTurn(Role.USER, "Bread?"), ChatTurn(Role.ASSISTANT, "Yes."))
            yield ToSummarise((*turns, ChatTurn(Role.USER, "Sum up.")), 40, MADE_OF, 100), CHAT, "c"

    def summed_up(self) -> None:
        assert self.stored

    async def keep(self, summary: Summary, moment: int) -> bool:
        if moment != self.moment:
            return False
        self.stored.append(summary)
        return True


async def test_only_the_models_words_are_kept_and_no_model_is_loaded() -> None:
    world = World()
    assert await world.summaries.step()
    assert [each.text for each in world.stored] == [TEXT]
    assert world.stored[0].covers == MADE_OF.covers
    assert not world.asked[0].may_load
    assert not await world.summaries.step()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", FinishReason.STOP),
        ("<think>What was said, and what", FinishReason.LENGTH),
        (TEXT, FinishReason.INTERRUPTED),
        ("Ada asked for bread. " * 12, FinishReason.STOP),
        ("I apologise, however I cannot assist with this request.", FinishReason.STOP),
    ],
)
async def test_what_is_no_summary_isnt_kept_and_is_tried_seldom(
    text: str, reason: FinishReason
) -> None:
    world = World()
    world.text, world.reason = text, reason
    while await world.summaries.step():
        pass
    assert not world.stored
    assert len(world.asked) == MOST_TRIES


async def test_none_is_kept_of_what_was_forgotten_after_it_was_read() -> None:
    world = World()
    world.moment = 1
    while await world.summaries.step():
        pass
    assert not world.stored
    assert len(world.asked) == MOST_TRIES


async def test_a_question_ends_it_and_leaves_nothing_half_done() -> None:
    world = World()
    for _ in range(MOST_TRIES + 1):
        world.is_stuck = True
        step = asyncio.get_running_loop().create_task(world.summaries.step())
        await asyncio.sleep(0)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
    assert not world.stored
    world.is_stuck = False
    assert await world.summaries.step()
    assert world.stored
