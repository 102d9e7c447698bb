"""Prompts are read ahead in pieces, where that serves somebody and is in nobody's way."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import ChatRequest, ChatTurn, Role
from bot.lmstudio import LMStudioBackend
from bot.lmstudio.ahead import LEAST_PIECE, MOST_MISSES, cut
from bot.lmstudio.learned import Experience, weight
from sandbox.lmstudio import Answer, LMStudioSandbox, Model, Options
from tests.support.clock import FakeClock, settle
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import a_request, ask, connected, nodes, passing

PERSONA = ChatTurn(Role.SYSTEM, "You are a kind bot. " * 20)
ASKED = ChatTurn(Role.USER, "And of France?")


def said(turns: int, words: int = 60, topic: str = "x") -> tuple[ChatTurn, ...]:
    """Return a conversation that ends with an answer; each of its turns has so many words."""
    pairs = [
        ChatTurn(role, f"{topic}{name}{number} " * words)
        for number in range(turns)
        for role, name in ((Role.USER, "ask"), (Role.ASSISTANT, "say"))
    ]
    return (PERSONA, *pairs)


def beginning(*turns: ChatTurn, model: str | None = None) -> ChatRequest:
    """Return what is to be read ahead."""
    size = sum(len(turn.text) for turn in turns) // 2
    return a_request(*turns, model=model, prompt_tokens=size)


async def read_all(clock: FakeClock, backend: LMStudioBackend, request: ChatRequest) -> list[int]:
    """Read ahead until there is nothing left; return the tokens of each piece."""
    pieces: list[int] = []
    while (piece := await passing(clock, backend.read_ahead(request))) is not None:
        pieces.append(piece.tokens)
        assert len(pieces) < 300
    return pieces


async def test_a_prompt_is_read_in_pieces_and_then_a_question_finds_all_of_it(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    turns = said(10)
    pieces = await read_all(clock, backend, beginning(*turns))
    assert len(pieces) > 5
    records = sandbox.completions
    assert [record.tokens_sent for record in records] == [1] * len(pieces)
    assert max(record.reread_tokens for record in records) <= 2 * LEAST_PIECE
    outcome = await ask(clock, backend, a_request(*turns, ASKED, prompt_tokens=2000))
    assert outcome.text == PARIS
    assert sandbox.completions[-1].reread_tokens < LEAST_PIECE
    assert (
        await passing(
            clock, backend.read_ahead(beginning(*turns, ASKED, ChatTurn(Role.ASSISTANT, PARIS)))
        )
        is None
    )


async def test_a_long_message_is_read_in_pieces_too(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    turns = (PERSONA, ChatTurn(Role.USER, "word and " * 1500), ChatTurn(Role.ASSISTANT, PARIS))
    await read_all(clock, backend, beginning(*turns))
    assert max(record.reread_tokens for record in sandbox.completions) < 3 * LEAST_PIECE


async def test_a_model_that_is_not_in_memory_is_never_loaded_for_that(clock: FakeClock) -> None:
    models = [Model("a/loaded"), Model("a/b", loaded=False)]
    async with (
        LMStudioSandbox(models) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        assert not await read_all(clock, backend, beginning(*said(10), model="a/b"))
        sandbox.engine.unload("a/loaded")  # the bot's list is old by now
        await clock.advance(5)
        assert not await read_all(clock, backend, beginning(*said(10), model="a/loaded"))
        assert not sandbox.completions
        assert not sandbox.options.counters.loads


async def test_nothing_is_read_where_only_names_are_listed(clock: FakeClock) -> None:
    """Such a list may hold what a request would load."""
    async with (
        LMStudioSandbox([Model("a/b", loaded=False)], options=Options(era="0.3")) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        assert not await read_all(clock, backend, beginning(*said(10), model="a/b"))
        assert not sandbox.completions


async def test_a_server_that_works_for_somebody_else_is_left_alone(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("local.gguf")], options=Options(flavour="llama.cpp")) as sandbox,
        connected(clock, sandbox.base_url) as backend,
        connected(clock, sandbox.base_url) as other,
    ):
        sandbox.answer(Answer(PARIS, pause_after=1))
        asking = asyncio.create_task(ask(clock, other))
        await sandbox.wait_until(lambda: sandbox.completions and sandbox.completions[0].tokens_sent)
        assert await backend.read_ahead(beginning(*said(10))) is None
        sandbox.resume()
        await asking
        assert await read_all(clock, backend, beginning(*said(10)))


async def test_a_server_without_a_cache_is_tried_a_few_times_only(clock: FakeClock) -> None:
    options = Options(flavour="llama.cpp", cache_prompt=False)
    async with (
        LMStudioSandbox([Model("local.gguf")], options=options) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        pieces = await read_all(clock, backend, beginning(*said(20)))
        assert MOST_MISSES < len(pieces) <= MOST_MISSES + 3


async def test_while_an_answer_is_written_nothing_is_read(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.answer(Answer(PARIS, pause_after=1))
    asking = asyncio.create_task(ask(clock, backend))
    await sandbox.wait_until(lambda: sandbox.completions and sandbox.completions[0].tokens_sent)
    assert await backend.read_ahead(beginning(*said(10))) is None
    sandbox.resume()
    assert (await asking).text == PARIS


async def test_a_piece_that_is_given_up_closes_its_connection(
    sandbox: LMStudioSandbox, backend: LMStudioBackend
) -> None:
    sandbox.answer(Answer(PARIS, pause_after=0))
    reading = asyncio.create_task(backend.read_ahead(beginning(*said(10))))
    await sandbox.wait_until(lambda: sandbox.completions)
    reading.cancel()
    await settle()
    await sandbox.wait_until(lambda: sandbox.completions[0].cancelled_at)
    assert nodes(backend)[0].in_flight == 0
    assert backend.servers()[0].circuit == "closed"


WORDS = st.lists(st.integers(0, 50).map("b".__mul__), min_size=1, max_size=4).map(" ".join)
TEXTS = st.text("ab ", min_size=1, max_size=60) | WORDS.filter(bool)
TURNS = st.lists(st.builds(ChatTurn, st.sampled_from(Role), TEXTS), min_size=1)


@given(TURNS, st.floats(0, 2000))
def test_a_cut_is_a_beginning_and_no_longer_than_allowed(
    turns: list[ChatTurn], most: float
) -> None:
    read = cut(turns, most)
    assert list(read.turns) == turns[: len(read.turns)]
    size = sum(map(weight, read.turns))
    if read.part is not None:
        assert turns[len(read.turns)].text.startswith(read.part.text)
        assert read.part.text
    assert size <= most or not read.turns
    assert read.turns or read.part is not None


@given(TURNS, st.integers(20, 60))
def test_each_cut_goes_further_than_the_one_before(turns: list[ChatTurn], step: int) -> None:
    """Whatever stands in a text: one without blanks was asked for again and again, to no end."""
    whole, known, count = sum(map(weight, turns)), 0, 0
    while known < whole:
        read = cut(turns, known + step, known)
        reached = sum(map(weight, read.turns)) + len(read.part.text if read.part else "")
        assert reached > known
        known, count = reached, count + 1
    assert count <= whole / (step - 16) + 2 * len(turns)


@pytest.mark.parametrize("most", [10, 100, 1000])
def test_a_picture_is_read_whole(most: float) -> None:
    seen = ChatTurn(Role.USER, "Look", images=("data:image/png;base64,AAAA",))
    assert cut([seen, ASKED], most).part is None
    assert cut([seen, ASKED], most).turns[0] == seen


async def test_reading_one_conversation_ahead_takes_no_other_conversations_slot(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    """Both begin with the same persona, and a slot is chosen by what it holds of a prompt."""
    backend.restore(sandbox.models[0].key, Experience(reads=20_000.0))
    other, mine = said(6, words=50), said(8, words=70, topic="y")
    await ask(clock, backend, a_request(*other, ASKED, prompt_tokens=3000, conversation="other"))
    await read_all(clock, backend, beginning(*mine))
    for turns, conversation in ((other, "other"), (mine, "c1")):
        await ask(clock, backend, a_request(*turns, ASKED, conversation=conversation))
        assert sandbox.completions[-1].reread_tokens < LEAST_PIECE


async def test_what_takes_no_other_conversations_slot_only_if_a_question_would_wait_is_not_read_ahead(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    backend.restore(sandbox.models[0].key, Experience(reads=400.0))
    other, mine = said(6, words=50), said(8, words=70, topic="y")
    await ask(clock, backend, a_request(*other, ASKED, prompt_tokens=3000, conversation="other"))
    assert not await read_all(clock, backend, beginning(*mine))
    assert len(sandbox.completions) == 1


async def test_a_short_conversation_that_would_take_anothers_slot_is_not_read_ahead(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    other = said(12)
    await ask(clock, backend, a_request(*other, ASKED, prompt_tokens=3000, conversation="other"))
    assert not await read_all(clock, backend, beginning(PERSONA, *said(1, words=80, topic="y")[1:]))
    assert len(sandbox.completions) == 1
