"""What is recorded of a question: where its time went, how it ended and who is told of that."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.chat.account import Account
from bot.chat.reply import BURST_SETTLES_S, EXPLAINED_S, Ending, job_of
from bot.chat.service import ChatService
from bot.core.domain import (
    ChatTurn,
    Completed,
    FinishReason,
    MessageId,
    Question,
    QuestionId,
    Role,
    Stage,
    StageKind,
    TextDelta,
    Usage,
)
from bot.core.errors import DeliveryForbiddenError, DeliveryRejectedError
from bot.core.ports import JournalEntry, Outcome, QuestionState
from bot.core.record import QuestionRecord, Span
from bot.lmstudio.errors import BackendUnavailableError, LoadFailedError, ModelCrashedError
from bot.prompt.builder import Prompt
from bot.queue.rate_limit import RateLimiter
from tests.support.builders import ADA, NOON, question
from tests.support.chat import DONE, Chat, Step
from tests.support.clock import FakeClock
from tests.support.sink import FakeSink


class Recorded:
    """A chat service and what it tells of its questions.

    Attributes:
        records: How each question went.
        accounts: The accounts of the questions whose work began.
        answered: Each question whose answer was delivered, and its answer's last message.
        asked: The models that advice was asked about.
    """

    def __init__(self, clock: FakeClock, **queue: Any) -> None:
        self.chat = chat = Chat(clock, **queue)
        self.records: list[QuestionRecord] = []
        self.accounts: list[Account] = []
        self.answered: list[tuple[QuestionId, str, MessageId]] = []
        self.asked: list[tuple[QuestionId, str | None]] = []
        chat.parts = replace(
            chat.parts,
            records=(self.records.append,),
            accounts=(self.accounts.append,),
            answered=lambda asked, key, last: self.answered.append((asked.id, key, last)),
            advice=self._advice,
        )
        chat.service = ChatService(chat.parts, RateLimiter(chat.parts.settings.queue, clock))

    async def _advice(self, asked: Question, model: str | None) -> str:
        self.asked.append((asked.id, model))
        return "Load a smaller one."

    async def go(self, *script: Step, seconds: float = 60) -> QuestionRecord:
        """Ask one question of a model that does this, and return how it went."""
        self.chat.backend.scripts.append(script)
        await self.chat.service.submit(question(1), self.chat.sink)
        await self.chat.pass_time(seconds)
        [record] = self.records
        return record


@pytest.fixture
def recorded(clock: FakeClock) -> Recorded:
    return Recorded(clock)


async def after(chat: Chat, *events: asyncio.Event) -> None:
    """Set these one after the other, ten seconds apart."""
    for event in events:
        await chat.pass_time(10)
        event.set()
    await chat.pass_time(60)


async def test_each_moment_of_an_answer_is_spent_on_one_thing(recorded: Recorded) -> None:
    chat, gates = recorded.chat, [asyncio.Event() for _ in range(4)]
    chat.backend.scripts.append(
        [
            Stage(StageKind.LOADING),
            gates[0],
            Stage(StageKind.READING),
            gates[1],
            TextDelta(reasoning="Hm."),
            gates[2],
            TextDelta("Once upon"),
            gates[3],
            Completed(FinishReason.STOP, "tiny", Usage(40, 9), first_token_s=20.0, total_s=40.0),
        ]
    )
    await chat.service.submit(question(1), chat.sink)
    await after(chat, *gates)
    assert [account.question_id for account in recorded.accounts] == [1]
    [record] = recorded.records
    assert (record.outcome, record.model, record.failure) == (Outcome.DELIVERED, "tiny", "")
    assert {span: record.spans.get(span) for span in (Span.LOAD, Span.READ, Span.THINK)} == {
        Span.LOAD: pytest.approx(10, abs=0.6),
        Span.READ: pytest.approx(10, abs=0.6),
        Span.THINK: pytest.approx(10, abs=0.6),
    }
    assert record.spans[Span.WRITE] == pytest.approx(10, abs=0.6)
    assert record.total_s == pytest.approx(sum(record.spans.values()))
    assert (record.prompt_tokens, record.written_tokens) == (40, 9)


async def test_who_waits_for_a_slot_waits_in_the_queue(clock: FakeClock) -> None:
    recorded = Recorded(clock, slots=1)
    chat, going_on = recorded.chat, asyncio.Event()
    chat.backend.scripts.append([TextDelta("Once"), going_on, DONE])
    for number in (1, 2):
        asked_at = NOON + timedelta(minutes=number)
        await chat.service.submit(question(number, asked_at=asked_at), FakeSink(clock))
    await after(chat, going_on)
    spans = {record.question_id: record.spans for record in recorded.records}
    assert spans[QuestionId(2)][Span.QUEUE] == pytest.approx(10, abs=0.6)


async def test_the_moment_in_which_a_burst_may_go_on_is_its_preparation(
    recorded: Recorded,
) -> None:
    both = question(2, "is it blue").merge(question(1, "why"))
    await recorded.chat.service.submit(both, recorded.chat.sink)
    await recorded.chat.pass_time()
    [record] = recorded.records
    assert record.spans[Span.PREPARE] == pytest.approx(BURST_SETTLES_S)


@pytest.mark.parametrize(
    ("failure", "asked"),
    [(LoadFailedError(), [(QuestionId(1), "a/b")]), (ModelCrashedError(), [])],
    ids=["load", "crash"],
)
async def test_who_cant_have_a_model_loaded_hears_what_to_do(
    recorded: Recorded, failure: Exception, asked: list[tuple[QuestionId, str | None]]
) -> None:
    overrides = recorded.chat.overrides
    overrides.chat = replace(overrides.chat, model="a/b")
    record = await recorded.go(failure)
    assert (record.outcome, record.model) == (Outcome.NOTIFIED, "a/b")
    assert record.failure
    assert list(record.spans)[-1] is Span.DELIVER
    assert recorded.asked == asked
    [text] = recorded.chat.sink.contents
    assert text.endswith("Load a smaller one.") is bool(asked)
    assert recorded.answered == []


async def test_an_answer_that_stands_is_told_with_its_conversation(recorded: Recorded) -> None:
    await recorded.go(TextDelta("Once."), DONE)
    [(asked, key, last)] = recorded.answered
    assert (asked, [last]) == (1, list(recorded.chat.sink.messages))
    assert key == recorded.chat.backend.requests[0].conversation_key


async def test_nothing_is_told_for_idle_time_that_is_switched_off(recorded: Recorded) -> None:
    settings = recorded.chat.parts.settings
    off = settings.context.model_copy(update={"warm_ahead": False})
    parts = replace(recorded.chat.parts, settings=settings.model_copy(update={"context": off}))
    recorded.chat.service = ChatService(parts, RateLimiter(settings.queue, recorded.chat.clock))
    record = await recorded.go(TextDelta("Once."), DONE)
    assert record.outcome is Outcome.DELIVERED
    assert recorded.answered == []


async def test_what_is_left_to_the_next_start_is_recorded_as_open(recorded: Recorded) -> None:
    chat = recorded.chat
    chat.backend.scripts.append([TextDelta("Once"), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    chat.service._replies[QuestionId(1)].end(Ending.RESTART)
    await chat.pass_time(10)
    [record] = recorded.records
    assert (record.outcome, record.taken_up_s) == (None, None)
    assert chat.journal.entries[QuestionId(1)].attempts == 0


async def test_what_an_earlier_run_took_is_recorded_with_the_time_since(
    recorded: Recorded, clock: FakeClock
) -> None:
    asked = question(1, asked_at=clock.now())
    await clock.advance(100)
    entry = JournalEntry(asked, QuestionState.ACCEPTED)
    recorded.chat.journal.entries[asked.id] = entry
    recorded.chat.service.resume(entry, recorded.chat.sink)
    await recorded.chat.pass_time()
    [record] = recorded.records
    assert record.taken_up_s == pytest.approx(100)


async def test_a_model_that_was_away_is_among_the_reasons_for_asking_again(
    recorded: Recorded,
) -> None:
    recorded.chat.backend.scripts.append([BackendUnavailableError("away")])
    record = await recorded.go(TextDelta("Once."), DONE)
    assert record.retries == ("backend_unavailable",)
    assert record.spans[Span.QUEUE] >= 1


async def test_what_discord_does_not_take_is_recorded_as_its_failure(recorded: Recorded) -> None:
    recorded.chat.sink.failures.extend([DeliveryRejectedError(50035)] * 50)
    record = await recorded.go(TextDelta("Once."), DONE)
    assert (record.outcome, record.failure) == (Outcome.DROPPED, "delivery_rejected")


@pytest.mark.parametrize(
    ("is_explained", "is_barred", "outcome"),
    [(True, False, None), (False, True, None), (False, False, Outcome.DROPPED)],
)
async def test_a_refusal_that_is_explained_keeps_the_question(
    recorded: Recorded, *, is_explained: bool, is_barred: bool, outcome: Outcome | None
) -> None:
    refusal = DeliveryForbiddenError(50013)
    refusal.is_explained = is_explained
    recorded.chat.sink.barred = is_barred
    recorded.chat.sink.failures.extend([refusal] * 50)
    record = await recorded.go(TextDelta("Once."), DONE)
    assert record.outcome is outcome
    assert (record.total_s >= EXPLAINED_S) is (outcome is Outcome.DROPPED)


def test_the_queue_knows_no_size_of_a_prompt_that_is_not_built() -> None:
    chat = Chat(FakeClock()).overrides.chat
    asked = question(1, pressed_by=ADA.id)
    job = job_of(asked, chat)
    assert (job.prompt_tokens, job.cost_tokens, job.least_tokens) == (0, 512, 512)
    assert (job.is_prepared, job.model) == (False, None)
    prompt = Prompt((ChatTurn(Role.USER, "?"),), 1000, "here")
    job = job_of(asked, replace(chat, max_tokens=4096, model="a/b"), prompt)
    assert (job.prompt_tokens, job.cost_tokens, job.least_tokens) == (1000, 5096, 2024)
    assert (job.is_prepared, job.model) == (True, "a/b")
    assert (job.question_id, job.person_id) == (asked.id, ADA.id)
    assert (job.channel_id, job.guild_id) == (asked.place.channel_id, asked.place.guild_id)


async def test_what_a_copy_of_a_model_did_is_learned_of_the_model(recorded: Recorded) -> None:
    chat = recorded.chat
    chat.backend.keys["tiny:2"] = "tiny"
    turns = (ChatTurn(Role.USER, "word " * 400),)
    before = chat.parts.estimator.estimate_turns(turns, "tiny")
    end = Completed(FinishReason.STOP, "tiny:2", Usage(300, 9), first_token_s=1.0, total_s=2.0)
    record = await recorded.go(TextDelta("Hm.</think>Once."), replace(end, sent=turns))
    assert record.model == "tiny"
    assert chat.parts.estimator.estimate_turns(turns, "tiny") < before
    assert chat.parts.memory.expects_missing_opening("tiny", ADA.id)
