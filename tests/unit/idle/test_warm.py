"""Which conversations are kept warm, and what that may cost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import (
    ChannelId,
    ChatRequest,
    ChatTurn,
    MessageId,
    ModelInfo,
    Place,
    Question,
    Reasoning,
    Role,
    Summary,
    UserId,
)
from bot.core.ports import Capacity, ChatSettings
from bot.idle.warm import KEEP_S, PAUSE_S, WarmAhead
from bot.lmstudio.ahead import Piece
from bot.prompt.builder import NextPrompt
from bot.prompt.cut import ToSummarise
from tests.support.builders import question as a_question
from tests.support.clock import FakeClock

CHAT = ChatSettings("a/b", 0.7, 0.95, 512, "You are kind.", Reasoning.AUTO)
PIECE = Piece(tokens=400, took_s=1.0, expected_s=1.0)
LOADED = ModelInfo("a/b", is_loaded=True, context_tokens=8192)


class World:
    """A back end that reads four hundred tokens at a time, and the prompts that there will be.

    Attributes:
        cold: Tokens to be read of each conversation.
        size: Tokens of each conversation.
    """

    def __init__(self, slots: int = 4, pool_tokens: int | None = None, size: int = 2000) -> None:
        self.clock = FakeClock()
        self.cap = Capacity(slots, pool_tokens)
        self.chat = CHAT
        self.info: ModelInfo | None = LOADED
        self.size = size
        self.cold: dict[str, int] = {}
        self.asked: list[ChatRequest] = []
        self.made = 0
        self.wanted: ToSummarise | None = None
        self.piece = PIECE
        self.is_stuck = False
        self.woken = 0
        self.warm = WarmAhead(self, self, self, self.clock, self.wake)

    def wake(self) -> None:
        self.woken += 1

    async def read_ahead(self, request: ChatRequest) -> Piece | None:
        if self.is_stuck:
            await asyncio.Event().wait()
        left = self.cold.get(request.conversation_key, 0)
        if left <= 0:
            return None
        self.asked.append(request)
        self.cold[request.conversation_key] = left - self.piece.tokens
        return self.piece

    def model(self, key: str | None) -> ModelInfo | None:
        del key
        return self.info

    def capacity(self) -> Capacity:
        return self.cap

    def effective(self, place: Place) -> ChatSettings:
        del place
        return self.chat

    async def next_prompt(
        self, question: Question, answer_id: MessageId, chat: ChatSettings, model: ModelInfo | None
    ) -> NextPrompt:
        del answer_id, model
        self.made += 1
        persona = ChatTurn(Role.SYSTEM, chat.system_prompt)
        return NextPrompt(
            turns=(persona,),
            prompt_tokens=self.size,
            conversation_key=key_of(question),
            to_summarise=self.wanted,
        )

    def opening(
        self, place: Place, chat: ChatSettings, model: ModelInfo | None
    ) -> tuple[ChatTurn, ...]:
        del place, model
        return (ChatTurn(Role.SYSTEM, chat.system_prompt),)

    def answer(self, question: Question, cold: int = 0) -> None:
        """Have a question answered, whose next prompt isn't in the cache by so much."""
        self.cold[key_of(question)] = cold
        self.warm.answered(question, key_of(question), MessageId(9))

    async def until_done(self) -> list[str]:
        """Step until there is nothing to do; return whose pieces were read."""
        before = len(self.asked)
        while await self.warm.step():
            pass
        return [request.conversation_key for request in self.asked[before:]]


def key_of(question: Question) -> str:
    return f"c{question.place.channel_id}"


def asked_in(channel: int, by: int = 1) -> Question:
    """Return a question in a channel."""
    question = a_question()
    place = replace(question.place, channel_id=ChannelId(channel))
    return replace(question, place=place, asker=replace(question.asker, id=UserId(by)))


async def test_the_next_prompt_is_read_once_the_answer_is_delivered() -> None:
    world = World()
    world.answer(asked_in(1), cold=1000)
    assert world.woken
    assert await world.until_done() == ["c1"] * 3
    assert world.made == 1
    assert world.warm.cost.tokens == 1200


async def test_what_is_in_the_cache_costs_nothing() -> None:
    world = World()
    world.answer(asked_in(1))
    assert not await world.until_done()


async def test_the_newest_conversation_goes_first_and_an_old_one_is_given_up() -> None:
    world = World()
    world.answer(asked_in(1, by=1), cold=400)
    await world.clock.advance(60)
    world.answer(asked_in(2, by=2), cold=400)
    assert await world.until_done() == ["c2", "c1"]
    assert world.warm.kept() == 2
    world.cold["c1"] = 400  # somebody else's prompt took its slot
    assert await world.until_done() == ["c1"]
    await world.clock.advance(KEEP_S + 1)
    world.cold["c1"] = 400
    assert not await world.until_done()
    assert world.warm.cost.in_vain == 1200
    assert world.warm.kept() == 0


async def test_a_conversation_that_goes_on_was_not_read_in_vain() -> None:
    world = World()
    world.answer(asked_in(1), cold=400)
    await world.until_done()
    world.answer(asked_in(1))
    await world.clock.advance(KEEP_S + 1)
    await world.until_done()
    assert not world.warm.cost.in_vain


async def test_one_person_gets_half_of_the_slots_at_most() -> None:
    world = World(slots=4)
    world.answer(asked_in(1, by=2), cold=400)
    for channel in range(2, 9):
        world.answer(asked_in(channel, by=1), cold=400)
    assert sorted(await world.until_done()) == ["c1", "c7", "c8"]


async def test_no_more_is_kept_warm_than_the_shared_context_holds() -> None:
    world = World(slots=4, pool_tokens=8192, size=5000)
    for channel in (1, 2):
        world.answer(asked_in(channel, by=channel))
    await world.until_done()
    world.cold = {"c1": 400, "c2": 400}
    assert await world.until_done() == ["c2"]
    assert world.warm.kept() == 1


@pytest.mark.parametrize(("took_s", "pieces"), [(9.0, 1), (3.5, 3)])
async def test_a_machine_that_works_for_somebody_else_is_left_alone_for_a_while(
    took_s: float, pieces: int
) -> None:
    world = World()
    world.answer(asked_in(1), cold=4000)
    world.piece = replace(PIECE, took_s=took_s)
    assert len(await world.until_done()) == pieces
    world.piece = PIECE
    assert not await world.until_done()
    await world.clock.advance(PAUSE_S)
    assert await world.until_done()


async def test_a_new_persona_is_read_before_anybody_asks_there() -> None:
    world = World()
    world.answer(asked_in(1))
    await world.clock.advance(KEEP_S + 1)
    world.chat = replace(CHAT, system_prompt="You are a pirate.")
    world.cold[""] = 400
    assert await world.until_done() == [""]
    assert world.asked[-1].turns[0].text == "You are a pirate."
    world.cold[""] = 400
    assert not await world.until_done()


async def test_what_may_be_summed_up_names_the_model_that_the_server_chose() -> None:
    world = World()
    world.chat = replace(CHAT, model=None)
    world.wanted = ToSummarise((), 40, Summary(40, 50, ((1, "aa"),), frozenset()), 100)
    world.answer(asked_in(1))
    await world.until_done()
    [(wanted, chat, key)] = world.warm.to_summarise()
    assert (wanted, chat.model, key) == (world.wanted, LOADED.key, "c1")


async def test_a_piece_that_a_question_ends_is_counted() -> None:
    world = World()
    world.answer(asked_in(1), cold=400)
    world.is_stuck = True
    step = asyncio.get_running_loop().create_task(world.warm.step())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert world.warm.cost.cancelled == 1


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4), st.floats(0, 400)), max_size=20),
    st.integers(1, 6),
    st.none() | st.integers(1000, 20_000),
)
async def test_never_more_is_kept_warm_than_slots_context_and_fairness_allow(
    answers: list[tuple[int, int, float]], slots: int, pool: int | None
) -> None:
    world = World(slots, pool, size=3000)
    for channel, person, later_s in answers:
        world.answer(asked_in(channel, by=person))
        await world.clock.advance(later_s)
    await world.until_done()
    world.cold = {f"c{channel}": 400 for channel in range(1, 10)}
    people = {key_of(asked_in(c, by=p)): p for c, p, _ in answers}
    read = await world.until_done()
    assert len(read) <= slots
    assert pool is None or len(read) <= pool // 3000
    owners = [people[key] for key in read]
    assert all(owners.count(person) <= max(1, slots // 2) for person in owners)
