"""What a turn tells others while it goes on: the person, the line, and what is learned."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.chat.reply import CUT_BY_LENGTH, LEAST_ANSWER_TOKENS, Ending
from bot.core.domain import (
    Completed,
    FinishReason,
    PromptCount,
    QuestionId,
    Stage,
    StageKind,
    TextDelta,
    Usage,
)
from bot.core.ports import Controls, Outcome
from bot.queue.scheduler import Job
from tests.support.builders import ADA, BOB, HOME, NOON, message, question
from tests.support.chat import DONE, Chat, Step
from tests.support.clock import FakeClock
from tests.support.sink import FakeSink

READING, RETRYING = Stage(StageKind.READING), Stage(StageKind.RETRYING)


@pytest.fixture
def chat(clock: FakeClock) -> Chat:
    """A chat service whose model answers one question at a time."""
    return Chat(clock, slots=1)


async def asked_after(chat: Chat, number: int) -> FakeSink:
    """Ask a question of Bob's that is in nobody's burst; return where its answer goes."""
    sink = FakeSink(chat.clock)
    asked_at = NOON + timedelta(minutes=number)
    words = message(number, author=BOB, created_at=asked_at)
    await chat.service.submit(question(number, asker=BOB, asked_at=asked_at, message=words), sink)
    return sink


async def shown(chat: Chat, *script: Step) -> str:
    """Return what stands a while after the model has done this."""
    chat.backend.scripts.append([*script, asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    text = "\n".join(chat.sink.contents)
    await chat.service.cancel()
    return text


async def test_who_waits_is_shown_their_place_and_then_answered(chat: Chat) -> None:
    going_on = asyncio.Event()
    chat.backend.scripts.append([going_on, TextDelta("Yes."), DONE])
    await chat.service.submit(question(1), chat.sink)
    second, third = await asked_after(chat, 2), await asked_after(chat, 3)
    await chat.pass_time(10)
    [next_in_line], [last_in_line] = second.contents, third.contents
    assert next_in_line.startswith("-# ⏳ Next in line, about ")
    assert last_in_line.startswith("-# ⏳ In line (2nd), about ")
    going_on.set()
    await chat.pass_time()
    assert second.contents == third.contents == ["Because of the light."]


async def test_who_is_held_is_told_for_how_long(clock: FakeClock) -> None:
    chat = Chat(clock, hold_s=300)
    chat.backend.is_up = False
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(10)
    assert "(for up to 5 min)" in chat.sink.contents[0]
    assert chat.journal.entries[QuestionId(1)].attempts == 0
    chat.backend.is_up = True
    await chat.pass_time()
    assert chat.sink.contents == ["Because of the light."]


@pytest.mark.parametrize(
    ("loads", "waking", "words"),
    [
        (True, None, "Loading the model"),
        (False, Stage(StageKind.WAKING), "Waking the model"),
        (True, Stage(StageKind.WAKING), "Loading the model"),
    ],
)
async def test_who_is_held_is_told_what_is_done_to_have_the_model_back(
    chat: Chat, *, loads: bool, waking: Stage | None, words: str
) -> None:
    chat.backend.is_up, chat.backend.loads, chat.backend.waking = False, loads, waking
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(10)
    assert words in chat.sink.contents[0]
    await chat.service.cancel()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([], ""),
        ([Stage(StageKind.LOADING)], "Loading the model"),
        ([Stage(StageKind.READING, tokens=900)], "Reading 900 tokens"),
        ([RETRYING], "Asking the model again"),
        ([READING, TextDelta(reasoning="Hm.")], "Thinking"),
        ([READING, TextDelta("It is ")], "It"),
    ],
    ids=["nothing yet", "loading", "reading", "retrying", "thinking", "writing"],
)
async def test_what_the_model_does_is_shown(chat: Chat, script: Sequence[Step], words: str) -> None:
    text = await shown(chat, *script)
    assert words in text
    assert "In line" not in text


async def test_a_growing_answer_can_be_stopped_by_its_asker(chat: Chat) -> None:
    await shown(chat, TextDelta("It is "))
    [standing] = chat.sink.messages.values()
    assert standing.controls == Controls(QuestionId(1), ADA.id, stop=True)


async def test_a_stopped_answer_can_be_had_again(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    assert chat.service.stop(QuestionId(1))
    await chat.pass_time()
    [standing] = chat.sink.messages.values()
    assert standing.controls == Controls(QuestionId(1), ADA.id, regenerate=True, details=True)


@pytest.mark.parametrize(
    ("first", "then", "outcome"),
    [
        (Ending.STOPPED, Ending.GONE, Outcome.DROPPED),
        (Ending.STOPPED, Ending.RESTART, Outcome.STOPPED),
        (Ending.RESTART, Ending.SUPERSEDED, Outcome.MERGED),
        (Ending.GONE, Ending.STOPPED, Outcome.DROPPED),
        (Ending.MERGED, Ending.GONE, Outcome.MERGED),
    ],
)
async def test_of_two_ends_the_first_counts_unless_the_question_is_taken_back(
    chat: Chat, first: Ending, then: Ending, outcome: Outcome
) -> None:
    chat.backend.scripts.append([asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    reply = chat.service._replies[QuestionId(1)]
    assert reply.end(first)
    assert reply.end(then)
    await chat.pass_time()
    assert chat.outcome(1) is outcome
    assert not reply.end(Ending.STOPPED), "it has ended"


async def test_the_last_words_of_a_stopped_question_keep_no_slot(chat: Chat) -> None:
    taken = asyncio.Event()
    chat.backend.scripts.append([asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(1)
    behind = await asked_after(chat, 2)
    chat.sink.before = taken.wait
    assert chat.service.stop(QuestionId(1))
    await chat.pass_time(10)
    assert behind.contents == ["Because of the light."]
    taken.set()
    await chat.pass_time()
    assert chat.outcome(1) is Outcome.STOPPED


async def test_a_question_that_waits_between_two_tries_lends_its_slot(chat: Chat) -> None:
    asks_again, going_on = asyncio.Event(), asyncio.Event()
    resumes = Stage(StageKind.CONNECTING)
    chat.backend.scripts.append([RETRYING, asks_again, resumes, going_on, TextDelta("Yes."), DONE])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(1)
    between = await asked_after(chat, 2)
    await chat.pass_time(10)
    assert between.contents == ["Because of the light."]
    asks_again.set()
    await chat.pass_time(1)
    behind = await asked_after(chat, 3)
    await chat.pass_time(10)
    assert "Next in line" in behind.contents[0]
    going_on.set()
    await chat.pass_time()
    assert chat.sink.contents == ["Yes."]
    assert behind.contents == ["Because of the light."]


@pytest.mark.parametrize("max_tokens", [512, 4 * LEAST_ANSWER_TOKENS])
async def test_the_line_is_told_what_a_question_may_cost(chat: Chat, max_tokens: int) -> None:
    chat.overrides.chat = replace(chat.overrides.chat, max_tokens=max_tokens, model="a/b")
    chat.backend.scripts.append([asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await asked_after(chat, 2)
    await chat.pass_time(1)
    [request] = chat.backend.requests
    [waiting] = chat.parts.scheduler.close()
    prompt_tokens = request.prompt_tokens
    assert request.sampling.max_tokens == max_tokens
    assert waiting == Job(
        QuestionId(2),
        BOB.id,
        HOME.channel_id,
        HOME.guild_id,
        prompt_tokens=prompt_tokens,
        cost_tokens=prompt_tokens + max_tokens,
        least_tokens=prompt_tokens + min(max_tokens, LEAST_ANSWER_TOKENS),
        model="a/b",
    )
    await chat.service.cancel()


async def test_what_a_model_does_to_its_tags_is_learned_of_the_person_it_answered(
    chat: Chat,
) -> None:
    chat.backend.scripts.append([TextDelta("Hm.</think>Yes."), DONE])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    memory = chat.parts.memory
    assert memory.expects_missing_opening("tiny", ADA.id)
    assert not memory.expects_missing_opening("tiny", BOB.id)


async def test_counts_are_learned_of_the_turns_that_were_sent(chat: Chat) -> None:
    """A server that got only the last turns has counted only these."""
    chat.backend.scripts.append([TextDelta("Yes."), DONE])
    long = "a long story " * 300
    await chat.service.submit(question(1, long), chat.sink)
    await chat.pass_time()
    [request] = chat.backend.requests
    before = chat.parts.estimator.estimate(long, "tiny")
    sent = (replace(request.turns[-1], text="short"),)
    usage = Usage(chat.parts.estimator.estimate_turns(sent, "tiny"), 4, 0)
    done = Completed(FinishReason.STOP, "tiny", usage, first_token_s=0.1, total_s=1.0, sent=sent)
    chat.backend.scripts.append([TextDelta("Yes."), done])
    other = FakeSink(chat.clock)
    await chat.service.submit(question(2, long, asked_at=NOON + timedelta(minutes=5)), other)
    await chat.pass_time()
    assert chat.parts.estimator.estimate(long, "tiny") == pytest.approx(before, rel=0.2)


async def test_what_stands_of_an_answer_is_recorded_with_the_lines_that_are_the_bots_own(
    chat: Chat,
) -> None:
    chat.backend.scripts.append([TextDelta("It is"), Completed(FinishReason.LENGTH, "tiny")])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    entry = chat.journal.entries[QuestionId(1)]
    assert entry.posted == tuple(chat.sink.messages)
    assert entry.own_lines == f"-# {CUT_BY_LENGTH}"


async def count_after(chat: Chat, usage: Usage | None) -> PromptCount | None:
    """Return what is kept with an answer that the server counted so."""
    done = replace(DONE, usage=usage, first_token_s=0.1, total_s=0.2)
    chat.backend.scripts.append([TextDelta("Because of the light."), done])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    return chat.journal.entries[QuestionId(1)].count


async def test_what_the_server_counted_is_kept_with_the_answer(chat: Chat) -> None:
    count = await count_after(chat, Usage(70, 6))
    assert count is not None
    assert (count.first_id, count.prompt_tokens, count.answer_tokens) == (1, 70, 6)
    assert chat.parts.estimator.dump()


async def test_counts_of_an_answer_in_two_parts_are_not_kept_as_the_servers(chat: Chat) -> None:
    broken = Completed(FinishReason.INTERRUPTED, "tiny", Usage(70, 3), may_go_on=True)
    chat.backend.scripts.append([TextDelta("Because of "), broken])
    count = await count_after(chat, Usage(90, 6))
    assert count is not None
    assert (count.prompt_tokens, count.answer_tokens) == (0, 0)


async def test_the_details_tell_the_speed_by_how_long_it_took_where_the_server_does_not(
    chat: Chat,
) -> None:
    going_on = asyncio.Event()
    done = replace(DONE, usage=Usage(70, 40))
    chat.backend.scripts.append([TextDelta("Because of "), going_on, TextDelta("light."), done])
    await chat.clock.advance(500)
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(10)
    going_on.set()
    await chat.pass_time(10)
    assert " · 4 tokens/s · " in chat.journal.entries[QuestionId(1)].details


@pytest.mark.parametrize("tokens", [0, 1, 8193, 1_000_000])
async def test_a_count_that_cant_be_true_is_neither_kept_nor_learned_nor_reported(
    chat: Chat, tokens: int
) -> None:
    count = await count_after(chat, Usage(tokens, 6))
    assert count is not None
    assert count.prompt_tokens == 0
    assert not chat.parts.estimator.dump()
    assert "about 59 tokens of prompt" in chat.journal.entries[QuestionId(1)].details
