"""Questions from acceptance to their one end, on fakes of everything outside."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.chat.reply import BROKE, REPEATED, RESTARTING_TEXT, Ending
from bot.chat.service import ChatService, RateLimitedError
from bot.core.domain import (
    ChannelId,
    Completed,
    FinishReason,
    GuildId,
    MessageId,
    Origin,
    Person,
    PlaceKind,
    QuestionId,
    TextDelta,
    Usage,
    UserId,
)
from bot.core.errors import DeliveryUnavailableError, MovedError, QueueError
from bot.core.ports import JournalEntry, Outcome, QuestionState
from bot.lmstudio.errors import BackendUnavailableError
from bot.lmstudio.run import CUT_BY_SERVER
from bot.queue.scheduler import AHEAD
from tests.support.builders import ADA, BOB, HOME, NOON, message, question
from tests.support.chat import ANSWER, Chat
from tests.support.clock import FakeClock
from tests.support.sink import FakeSink


@pytest.fixture
def chat(clock: FakeClock) -> Chat:
    """A chat service on fakes."""
    return Chat(clock)


def last(sink: FakeSink) -> str:
    """Return the last text that stands."""
    return sink.contents[-1]


async def test_an_answer_is_delivered_and_its_question_closed(chat: Chat) -> None:
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    assert chat.outcome(1) is Outcome.DELIVERED
    assert last(chat.sink) == "Because of the light."
    assert chat.service.running == 0
    assert chat.journal.entries[QuestionId(1)].chunks == ("Because of the light.",)


async def test_a_question_that_comes_twice_is_answered_once(chat: Chat) -> None:
    await chat.service.submit(question(1), chat.sink)
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    assert len(chat.backend.requests) == 1


async def test_whoever_asks_too_often_is_refused_and_nothing_is_kept(clock: FakeClock) -> None:
    chat = Chat(clock, per_person_per_minute=1)
    await chat.service.submit(question(1), chat.sink)
    with pytest.raises(RateLimitedError):
        await chat.service.submit(question(2), chat.sink)
    await chat.service.submit(question(3), chat.sink, is_counted=True)
    await chat.pass_time()
    assert set(chat.journal.entries) == {1, 3}


async def test_a_question_that_comes_again_is_asked_no_second_time(clock: FakeClock) -> None:
    chat = Chat(clock, per_person_per_minute=1)
    for _ in range(2):
        await chat.service.submit(question(1), chat.sink)
        await chat.pass_time(5)
    assert len(chat.backend.requests) == 1


async def test_a_server_that_asks_too_often_is_refused_and_no_other(clock: FakeClock) -> None:
    chat = Chat(clock, per_guild_per_minute=1)
    await chat.service.submit(question(1), chat.sink)
    with pytest.raises(RateLimitedError, match="This server"):
        await chat.service.submit(question(2, asker=BOB), FakeSink(clock))
    elsewhere = question(3, asker=BOB, place=replace(HOME, guild_id=GuildId(41)))
    await chat.service.submit(elsewhere, FakeSink(clock))
    assert set(chat.journal.entries) == {1, 3}
    await chat.service.cancel()


async def test_a_model_server_that_left_out_part_of_the_prompt_is_named(chat: Chat) -> None:
    cut = Completed(
        FinishReason.STOP,
        "tiny",
        Usage(1, 4, 0),
        remarks=(CUT_BY_SERVER,),
        first_token_s=0.1,
        total_s=1.0,
        prompt_was_cut=True,
    )
    chat.backend.scripts.append([TextDelta("Yes."), cut])
    await chat.service.submit(question(1, "a long story " * 100), chat.sink)
    await chat.pass_time()
    assert chat.outcome(1) is Outcome.DELIVERED
    assert CUT_BY_SERVER in last(chat.sink)


async def test_an_interrupted_answer_offers_its_continuation(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("Once upon"), Completed(FinishReason.INTERRUPTED)])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    message = next(iter(chat.sink.messages.values()))
    assert BROKE in message.content
    assert message.controls is not None
    assert message.controls.continue_


async def test_a_burst_becomes_one_question(chat: Chat) -> None:
    chat.backend.scripts.append([asyncio.Event()])
    other = FakeSink(chat.clock)
    await chat.service.submit(question(1, "why"), chat.sink)
    await chat.clock.advance(0.1)
    await chat.service.submit(question(2, "is the sky blue"), other)
    await chat.pass_time()
    assert (chat.outcome(1), chat.outcome(2)) == (Outcome.MERGED, Outcome.DELIVERED)
    assert chat.journal.entries[QuestionId(2)].question.text == "why\nis the sky blue"
    assert chat.sink.contents == []


async def test_an_answer_that_can_be_seen_is_never_taken_into_a_burst(chat: Chat) -> None:
    going_on = asyncio.Event()
    chat.backend.scripts.append([TextDelta("It is the "), going_on, TextDelta("light.")])
    await chat.service.submit(question(1, "why"), chat.sink)
    await chat.clock.advance(0.1)
    other = FakeSink(chat.clock)
    await chat.service.submit(question(2, "is the sky blue"), other)
    going_on.set()
    await chat.pass_time()
    assert (chat.outcome(1), chat.outcome(2)) == (Outcome.DELIVERED, Outcome.DELIVERED)
    assert last(chat.sink).startswith("It is the light.")
    assert chat.journal.entries[QuestionId(2)].question.text == "is the sky blue"


async def test_a_later_message_is_a_question_of_its_own(chat: Chat) -> None:
    chat.backend.scripts.append([asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    later = question(2, asked_at=NOON + timedelta(minutes=1))
    await chat.service.submit(later, FakeSink(chat.clock))
    await chat.pass_time()
    assert (chat.outcome(1), chat.outcome(2)) == (None, Outcome.DELIVERED)
    await chat.service.cancel()


async def test_stop_ends_an_answer_and_the_models_work(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    assert chat.service.stop(QuestionId(1))
    await chat.pass_time()
    assert chat.outcome(1) is Outcome.STOPPED
    assert "Stopped." in last(chat.sink)
    assert chat.backend.closed == 1
    assert not chat.service.stop(QuestionId(1))
    assert chat.journal.entries[QuestionId(1)].details.startswith("tiny · first word after ")


async def test_an_answer_that_the_bot_ends_itself_has_details_too(chat: Chat) -> None:
    chat.backend.scripts.append([*[TextDelta("The same again and again. ")] * 400])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    assert REPEATED in last(chat.sink)
    details = chat.journal.entries[QuestionId(1)].details
    assert details.startswith("tiny · first word after ")
    assert "tokens of prompt" in details


async def test_all_of_a_persons_questions_stop_together(chat: Chat) -> None:
    chat.backend.scripts.append([asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.clock.advance(0.1)
    assert chat.service.stop_person(ADA.id, HOME.channel_id, QuestionId(2)) == 1
    await chat.pass_time()
    assert chat.outcome(1) is Outcome.STOPPED


@pytest.mark.parametrize("is_counted", [False, True])
async def test_a_question_that_is_being_taken_in_stops_with_its_persons_others(
    chat: Chat, *, is_counted: bool
) -> None:
    stopped: list[int] = []

    async def stop() -> None:
        stopped.append(chat.service.stop_person(ADA.id, HOME.channel_id, QuestionId(2)))

    chat.journal.before_accept = stop
    await chat.service.submit(question(1), chat.sink, is_counted=is_counted)
    await chat.pass_time()
    assert stopped == [1]
    assert chat.outcome(1) is Outcome.STOPPED
    assert chat.backend.requests == []


async def test_stopping_questions_of_a_kind_waits_for_those_that_are_being_taken_in(
    chat: Chat,
) -> None:
    stopping: list[asyncio.Task[int]] = []
    was_done: list[bool] = []

    async def stop() -> None:
        stopping.append(asyncio.create_task(chat.service.stop_all(lambda _: True, 3600)))
        await chat.pass_time(1)
        was_done.append(stopping[0].done())

    chat.journal.before_accept = stop
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    assert was_done == [False]
    assert await stopping[0] == 1
    assert chat.outcome(1) is Outcome.STOPPED


async def test_a_question_that_is_acknowledged_late_is_left_to_the_process_that_has_taken_over(
    chat: Chat,
) -> None:
    async def hand_over() -> None:
        chat.service.only(lambda _: False)

    await chat.service.submit(question(1), chat.sink, acknowledge=hand_over)
    await chat.pass_time()
    assert chat.backend.requests == []
    assert chat.journal.entries[QuestionId(1)].state is QuestionState.ACCEPTED


async def test_all_questions_of_a_kind_are_stopped_and_waited_for(chat: Chat) -> None:
    for _ in range(2):
        chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    later = NOON + timedelta(minutes=1)
    elsewhere = question(2, place=replace(HOME, guild_id=GuildId(41)), asked_at=later)
    await chat.service.submit(elsewhere, FakeSink(chat.clock))
    await chat.pass_time(3)
    stopping: list[asyncio.Task[int]] = []

    async def stop() -> None:
        stopping.append(
            asyncio.create_task(
                chat.service.stop_all(lambda q: q.place.guild_id == HOME.guild_id, 3600)
            )
        )
        await chat.pass_time(1)

    chat.journal.before_accept = stop
    held = asyncio.Event()
    chat.sink.before = held.wait
    coming = question(3, asked_at=later + timedelta(minutes=1))
    await chat.service.submit(coming, FakeSink(chat.clock))
    assert not stopping[0].done(), "the last edit of the first one isn't through"
    held.set()
    await chat.pass_time()
    assert await stopping[0] == 2
    assert [chat.outcome(n) for n in (1, 2, 3)] == [Outcome.STOPPED, None, Outcome.STOPPED]
    assert len(chat.backend.requests) == 2
    await chat.service.cancel()


async def test_where_nothing_is_asked_there_is_nothing_to_stop(chat: Chat) -> None:
    assert await chat.service.stop_all(lambda _: True, 3600) == 0


async def test_a_question_that_does_not_end_is_waited_for_no_longer_than_said(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    chat.sink.before = asyncio.Event().wait
    assert await chat.service.stop_all(lambda _: True, 0) == 1
    assert chat.outcome(1) is None
    await chat.service.cancel()


async def test_a_question_whose_answer_stands_is_waited_for_until_it_is_closed(chat: Chat) -> None:
    closing = asyncio.Event()
    chat.journal.before_close = closing.wait
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    assert last(chat.sink) == "Because of the light."
    assert not await chat.service.closed(QuestionId(1), 0)
    waiting = asyncio.create_task(chat.service.closed(QuestionId(1), 3600))
    await chat.pass_time(1)
    assert not waiting.done()
    closing.set()
    assert await waiting
    assert await chat.service.closed(QuestionId(2), 3600)


async def test_a_question_whose_message_is_deleted_leaves_nothing_behind(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    assert chat.service.message_gone(MessageId(1))
    await chat.pass_time()
    assert chat.outcome(1) is Outcome.DROPPED
    assert chat.sink.contents == []


async def test_a_changed_question_takes_the_place_of_its_earlier_words(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    changed = question(2, "why is it red", message=question(1).message)
    other = FakeSink(chat.clock)
    await chat.service.submit(changed, other, changed_id=MessageId(1), is_counted=True)
    await chat.pass_time()
    assert (chat.outcome(1), chat.outcome(2)) == (Outcome.MERGED, Outcome.DELIVERED)
    assert chat.sink.contents == []
    assert other.contents == ["Because of the light."]


async def test_a_question_is_stored_with_the_messages_it_takes_the_place_of(chat: Chat) -> None:
    posted = (chat.sink.adopt(77, "An earlier answer"),)
    seen: list[JournalEntry | None] = []

    async def note() -> None:
        seen.append(await chat.journal.entry(QuestionId(2)))

    await chat.service.submit(question(2), chat.sink, replaces=posted, acknowledge=note)
    assert [entry.posted for entry in seen if entry] == [posted]
    await chat.service.cancel()


async def test_a_changed_question_takes_the_place_of_an_answer_that_ends_meanwhile(
    chat: Chat,
) -> None:
    going_on = asyncio.Event()
    chat.backend.scripts.append([TextDelta("It is "), going_on, TextDelta("light.")])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)

    async def end_first() -> None:
        going_on.set()
        await chat.pass_time()

    chat.journal.before_accept = end_first
    changed = question(2, "why is it red", message=question(1).message)
    await chat.service.submit(changed, chat.sink, changed_id=MessageId(1), is_counted=True)
    await chat.pass_time()
    assert (chat.outcome(1), chat.outcome(2)) == (Outcome.DELIVERED, Outcome.DELIVERED)
    assert chat.sink.contents == ["Because of the light."]


async def test_a_changed_question_takes_the_place_of_one_that_is_taken_up_meanwhile(
    chat: Chat,
) -> None:
    first = question(1)
    shown = (chat.sink.adopt(71, "It is"),)
    entry = JournalEntry(first, QuestionState.RUNNING, posted=shown)
    chat.journal.entries[first.id] = entry
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])

    async def take_up() -> None:
        chat.service.resume(entry, chat.sink)
        await chat.pass_time(3)

    chat.journal.before_accept = take_up
    changed = question(2, "why is it red", message=first.message)
    await chat.service.submit(
        changed, chat.sink, replaces=shown, changed_id=MessageId(1), is_counted=True
    )
    await chat.pass_time()
    assert (chat.outcome(1), chat.outcome(2)) == (Outcome.MERGED, Outcome.DELIVERED)
    assert chat.sink.contents == ["Because of the light."]


async def test_what_is_left_of_a_burst_is_not_ended_with_one_of_its_messages(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    both = question(2, "is it blue").merge(question(1, "why"))
    await chat.service.submit(both, chat.sink)
    await chat.pass_time(3)
    assert chat.service.message_gone(MessageId(1))
    assert chat.service.burst_with(MessageId(1)) == both
    assert chat.service.burst_with(MessageId(3)) is None
    left = question(3, "is it blue", message=both.message)
    other = FakeSink(chat.clock)
    await chat.service.submit(left, other, changed_id=MessageId(1), is_counted=True)
    await chat.pass_time()
    assert (chat.outcome(2), chat.outcome(3)) == (Outcome.MERGED, Outcome.DELIVERED)
    assert chat.sink.contents == []


async def test_the_newest_words_of_a_burst_are_known_while_the_earlier_ones_are_ending(
    chat: Chat,
) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    both = question(2, "is it blue").merge(question(1, "why"))
    await chat.service.submit(both, chat.sink)
    await chat.pass_time(3)
    held = asyncio.Event()
    chat.sink.before = held.wait
    changed = replace(both, id=QuestionId(3), text="why\nis it red")
    await chat.service.submit(changed, chat.sink, changed_id=MessageId(2), is_counted=True)
    newest = chat.service.burst_with(MessageId(1))
    held.set()
    await chat.service.cancel()
    assert newest == changed


@pytest.mark.parametrize("gone", [1, 77])
async def test_a_continuation_ends_with_the_question_or_the_answer_it_goes_on_with(
    chat: Chat, gone: int
) -> None:
    chat.backend.scripts.append([TextDelta("and so "), asyncio.Event()])
    more = question(
        2,
        message=None,
        origin=Origin.CONTINUE,
        about_id=MessageId(77),
        continues=QuestionId(1),
        rests_on=question(1).messages,
    )
    await chat.service.submit(more, chat.sink)
    await chat.pass_time(3)
    chat.service.message_gone(MessageId(gone))
    await chat.pass_time()
    assert chat.outcome(2) is Outcome.DROPPED
    assert chat.sink.contents == []


async def test_a_failure_is_said_in_a_sentence(chat: Chat) -> None:
    chat.backend.scripts.append([ValueError("surprise")])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    assert chat.outcome(1) is Outcome.NOTIFIED
    assert len(chat.sink.contents) == 1
    assert "surprise" not in last(chat.sink)


async def test_a_question_waits_for_a_model_that_is_away_and_is_answered(chat: Chat) -> None:
    chat.backend.scripts.append([BackendUnavailableError("away")])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(60)
    assert chat.outcome(1) is Outcome.DELIVERED
    assert len(chat.backend.requests) == 2


async def test_a_question_waits_no_longer_than_it_is_held(clock: FakeClock) -> None:
    chat = Chat(clock, hold_s=20)
    chat.backend.scripts.extend([BackendUnavailableError("away")] for _ in range(1000))
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(120)
    assert chat.outcome(1) is Outcome.NOTIFIED


async def test_a_restart_leaves_a_running_question_to_the_next_start(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    closing = asyncio.create_task(chat.service.close(10))
    await chat.clock.advance(0.1)
    await chat.service.submit(question(2), chat.sink)
    await chat.service.cancel()
    closing.cancel()
    assert chat.outcome(1) is None
    assert chat.journal.entries[QuestionId(1)].attempts == 0
    assert chat.outcome(2) is None
    assert chat.journal.entries[QuestionId(2)].attempts == 0


async def test_questions_that_are_left_to_another_process_end_here_and_stay_open(
    chat: Chat,
) -> None:
    for _ in range(2):
        chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    later = NOON + timedelta(minutes=1)
    elsewhere = question(2, place=replace(HOME, guild_id=GuildId(99)), asked_at=later)
    await chat.service.submit(question(1), chat.sink)
    await chat.service.submit(elsewhere, other := FakeSink(chat.clock))
    await chat.pass_time(3)
    leaving = asyncio.create_task(
        chat.service.leave(lambda each: each.place.guild_id == GuildId(99))
    )
    await chat.pass_time(3)
    await leaving
    assert not chat.service.knows(QuestionId(2))
    assert chat.service.knows(QuestionId(1))
    assert chat.outcome(2) is None
    assert RESTARTING_TEXT in last(other)


async def test_a_question_that_is_being_taken_in_is_left_to_another_process_too(chat: Chat) -> None:
    leaving: list[asyncio.Task[None]] = []

    async def leave() -> None:
        leaving.append(asyncio.create_task(chat.service.leave(lambda each: each.id == 1)))
        await chat.pass_time(1)
        assert not leaving[0].done()

    chat.journal.before_accept = leave
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(2)
    await leaving[0]
    assert not chat.service.knows(QuestionId(1))
    assert (chat.outcome(1), chat.journal.entries[QuestionId(1)].attempts) == (None, 0)


async def test_a_question_that_comes_late_where_another_process_answers_is_refused_and_not_kept(
    chat: Chat,
) -> None:
    chat.service.only(lambda each: each.place.guild_id != HOME.guild_id)
    with pytest.raises(MovedError):
        await chat.service.submit(question(1), chat.sink)
    assert not chat.journal.entries


async def test_a_restart_lets_a_running_answer_end_and_tells_who_waits(clock: FakeClock) -> None:
    chat = Chat(clock)
    going_on = asyncio.Event()
    chat.backend.scripts.append([TextDelta("It is "), going_on, TextDelta("light.")])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    joined = question(2, asked_at=NOON + timedelta(minutes=1), joined=(question(3).message,))
    waiting = FakeSink(clock)
    await chat.service.submit(joined, waiting)
    closing = asyncio.create_task(chat.service.close(60))
    await chat.pass_time(2)
    going_on.set()
    await chat.pass_time()
    await closing
    assert (chat.outcome(1), chat.outcome(2)) == (Outcome.DELIVERED, None)
    assert RESTARTING_TEXT in last(waiting)


async def resumed(chat: Chat, entry: JournalEntry, service: ChatService | None = None) -> None:
    """Take up a stored question."""
    chat.journal.entries[entry.question.id] = entry
    (service or chat.service).resume(entry, chat.sink)
    await chat.pass_time()


async def test_what_an_earlier_run_accepted_has_its_place_in_a_full_queue(clock: FakeClock) -> None:
    chat = Chat(clock, slots=1, max_waiting=1, max_waiting_person=1)
    going_on = asyncio.Event()
    chat.backend.scripts.append([going_on, *ANSWER])
    for number in (1, 2, 3):
        entry = JournalEntry(question(number), QuestionState.ACCEPTED)
        chat.journal.entries[QuestionId(number)] = entry
        chat.service.resume(entry, FakeSink(clock))
    await chat.pass_time(3)
    going_on.set()
    await chat.pass_time()
    assert [chat.outcome(number) for number in (1, 2, 3)] == [Outcome.DELIVERED] * 3


async def test_a_stored_answer_is_delivered_without_the_model(chat: Chat) -> None:
    posted = (chat.sink.adopt(77, "Half an"),)
    entry = JournalEntry(
        question(1), QuestionState.ANSWERED, 1, posted=posted, chunks=("Half an answer.",)
    )
    await resumed(chat, entry)
    assert chat.outcome(1) is Outcome.DELIVERED
    assert chat.sink.contents == ["Half an answer."]
    assert chat.backend.requests == []


async def test_a_declined_question_is_told_why_where_its_answer_began(chat: Chat) -> None:
    posted = (chat.sink.adopt(77, "Half an"),)
    entry = JournalEntry(question(1), QuestionState.RUNNING, 3, posted=posted)
    chat.journal.entries[QuestionId(1)] = entry
    chat.service.decline(entry, chat.sink, "It is too late.")
    await chat.pass_time()
    assert chat.outcome(1) is Outcome.NOTIFIED
    assert "It is too late." in last(chat.sink)
    assert list(chat.sink.messages) == [77]


OTHER_PLACE = replace(HOME, channel_id=ChannelId(51))


@pytest.mark.parametrize(
    ("fields", "goes_on"),
    [
        ({}, True),
        ({"message_id": 999}, False),
        ({"author": BOB}, False),
        ({"place": OTHER_PLACE}, False),
        ({"created_at": NOON + timedelta(seconds=2)}, True),
        ({"created_at": NOON + timedelta(seconds=2.1)}, False),
        ({"created_at": NOON - timedelta(seconds=0.1)}, False),
        ({"reference_id": MessageId(1000)}, True),
        ({"reference_id": MessageId(7)}, False),
    ],
    ids=str,
)
async def test_a_message_goes_on_with_its_authors_question_of_a_moment_ago(
    clock: FakeClock, fields: dict[str, Any], goes_on: bool
) -> None:
    chat = Chat(clock, burst_window_s=2.0)
    chat.backend.scripts.append([asyncio.Event()])
    await chat.service.submit(question(1000), chat.sink)
    await clock.advance(0.1)
    assert chat.service.continues_burst(message(**{"message_id": 1001, **fields})) is goes_on
    await chat.service.cancel()


@pytest.mark.parametrize(
    ("reference_id", "goes_on"), [(None, True), (99, True), (1, True), (2, True), (98, False)]
)
async def test_a_reply_goes_on_with_the_burst_that_is_about_the_same_or_that_it_replies_to(
    clock: FakeClock, reference_id: int | None, *, goes_on: bool
) -> None:
    chat = Chat(clock, burst_window_s=2.0)
    first = question(1, about_id=MessageId(99), asked_at=NOON - timedelta(seconds=1.5))
    await chat.service.submit(question(2).merge(first), chat.sink)
    await clock.advance(0.1)
    later = message(3, reference_id=reference_id, created_at=NOON + timedelta(seconds=1.5))
    assert chat.service.continues_burst(later) is goes_on
    await chat.service.cancel()


async def test_without_a_window_nothing_goes_on(clock: FakeClock) -> None:
    chat = Chat(clock, burst_window_s=0.0)
    await chat.service.submit(question(1), chat.sink)
    assert not chat.service.continues_burst(message(2))
    await chat.service.cancel()


async def test_what_was_asked_anew_is_still_part_of_its_burst(clock: FakeClock) -> None:
    chat = Chat(clock, burst_window_s=2.0)
    await chat.service.submit(question(1, "why"), chat.sink)
    changed = replace(question(1, "when"), id=QuestionId(7), origin=Origin.REGENERATE)
    await chat.service.submit(changed, FakeSink(clock), changed_id=MessageId(1), is_counted=True)
    after = question(2, "is it blue", asked_at=NOON + timedelta(seconds=1))
    await chat.service.submit(after, FakeSink(clock))
    assert chat.journal.entries[QuestionId(2)].question.text == "when\nis it blue"
    await chat.service.cancel()


@pytest.mark.parametrize(
    ("after_s", "may_come_before", "is_found"),
    [
        (1, False, True),
        (1, True, True),
        (2, False, True),
        (-2, True, True),
        (-1, True, True),
        (-1, False, False),
        (-2.1, True, False),
        (2.1, True, False),
    ],
)
async def test_a_burst_is_found_around_what_belongs_to_it(
    clock: FakeClock, after_s: float, *, may_come_before: bool, is_found: bool
) -> None:
    chat = Chat(clock, burst_window_s=2.0)
    await chat.service.submit(question(1), chat.sink)
    said = message(3, created_at=NOON + timedelta(seconds=after_s))
    found = chat.service.burst_around(said, may_come_before=may_come_before)
    assert (found is not None) is is_found
    await chat.service.cancel()


async def test_nothing_goes_on_with_a_question_whose_answer_can_be_seen(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1000), chat.sink)
    await chat.pass_time(3)
    assert not chat.service.continues_burst(message(1001))
    await chat.service.cancel()


@pytest.mark.parametrize(
    ("gone", "ends"),
    [
        ({"channel_id": ChannelId(50), "guild_id": None}, True),
        ({"channel_id": ChannelId(49), "guild_id": None}, True),
        ({"channel_id": ChannelId(51), "guild_id": None}, False),
        ({"channel_id": None, "guild_id": GuildId(40)}, True),
        ({"channel_id": None, "guild_id": GuildId(41)}, False),
    ],
    ids=["channel", "parent", "another channel", "guild", "another guild"],
)
async def test_work_ends_with_the_place_it_is_for(
    chat: Chat, gone: dict[str, Any], ends: bool
) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    thread = replace(HOME, kind=PlaceKind.THREAD, parent_id=ChannelId(49))
    await chat.service.submit(question(1, place=thread), chat.sink)
    await chat.pass_time(3)
    chat.service.place_gone(**gone)
    await chat.pass_time()
    assert chat.outcome(1) is (Outcome.DROPPED if ends else None)
    await chat.service.cancel()


@pytest.mark.parametrize(
    ("gone", "outcome"),
    [
        ({"channel_id": ChannelId(50), "guild_id": None}, Outcome.DROPPED),
        ({"channel_id": None, "guild_id": GuildId(40)}, None),
    ],
    ids=["channel", "guild"],
)
async def test_what_is_asked_in_a_server_that_bars_the_bot_for_now_is_kept(
    chat: Chat, gone: dict[str, Any], outcome: Outcome | None
) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    chat.sink.barred = True
    chat.service.place_gone(**gone)
    await chat.pass_time()
    assert chat.outcome(1) is outcome
    assert chat.service.running == 0


@pytest.mark.parametrize(
    ("asker", "channel_id", "count"), [(ADA, 50, 1), (BOB, 50, 0), (ADA, 51, 0)]
)
async def test_stopping_is_for_ones_own_questions_here(
    chat: Chat, asker: Person, channel_id: int, count: int
) -> None:
    chat.backend.scripts.append([asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    assert chat.service.stop_person(asker.id, ChannelId(channel_id), QuestionId(2)) == count
    await chat.service.cancel()


async def test_an_answer_that_is_deleted_ends_its_work_but_was_no_open_question(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    [answer_id] = chat.sink.messages
    assert not chat.service.message_gone(MessageId(404))
    assert not chat.service.message_gone(answer_id)
    await chat.pass_time()
    assert chat.outcome(1) is Outcome.DROPPED
    assert not chat.service.message_gone(MessageId(1)), "it has ended"


async def test_an_answer_takes_the_place_of_the_one_that_it_replaces(chat: Chat) -> None:
    old = chat.sink.adopt(77, "An older answer.")
    await chat.service.submit(question(1), chat.sink, replaces=(old,))
    await chat.pass_time()
    assert {i: m.content for i, m in chat.sink.messages.items()} == {77: "Because of the light."}
    assert chat.journal.entries[QuestionId(1)].posted == (old,)


async def test_who_asks_is_told_that_a_question_is_taken_before_work_on_it_begins(
    chat: Chat,
) -> None:
    seen: list[tuple[bool, int]] = []

    async def acknowledge() -> None:
        seen.append((QuestionId(1) in chat.journal.entries, len(chat.backend.requests)))

    for _ in range(2):
        await chat.service.submit(question(1), chat.sink, acknowledge=acknowledge)
        await chat.pass_time()
    assert seen == [(True, 0)]


async def test_what_was_ever_taken_is_known(chat: Chat) -> None:
    assert not await chat.service.has_taken(QuestionId(1))
    await chat.service.submit(question(1), chat.sink)
    assert chat.service.knows(QuestionId(1))
    await chat.pass_time()
    assert not chat.service.knows(QuestionId(1))
    assert await chat.service.has_taken(QuestionId(1))


@pytest.mark.parametrize("state", [QuestionState.RUNNING, QuestionState.ANSWERED])
@pytest.mark.parametrize(
    ("ending", "outcome"),
    [(Ending.GONE, Outcome.DROPPED), (Ending.SUPERSEDED, Outcome.MERGED)],
)
async def test_a_withdrawn_question_takes_back_what_was_posted_and_is_worked_on_no_more(
    chat: Chat, ending: Ending, outcome: Outcome, state: QuestionState
) -> None:
    posted = (chat.sink.adopt(77, "Half an"), chat.sink.adopt(78, "answer"))
    chunks = ("Half an answer.",) if state is QuestionState.ANSWERED else ()
    entry = JournalEntry(question(1), state, 1, posted=posted, chunks=chunks)
    chat.journal.entries[QuestionId(1)] = entry
    chat.service.withdraw(entry, chat.sink, ending)
    assert chat.service.knows(QuestionId(1))
    await chat.pass_time()
    assert chat.outcome(1) is outcome
    assert chat.sink.contents == []
    assert chat.backend.requests == []
    assert chat.journal.entries[QuestionId(1)].attempts == 1
    assert not chat.service.knows(QuestionId(1))


async def test_a_reply_knows_which_messages_are_its_answers(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    other = question(2, asked_at=NOON + timedelta(minutes=1))
    await chat.service.submit(other, FakeSink(chat.clock))
    await chat.pass_time(3)
    [answer_id] = chat.sink.messages
    reply = chat.service._replies[QuestionId(1)]
    assert not reply.lost(MessageId(404))
    assert reply.lost(answer_id)
    assert not reply.lost(answer_id), "it is none of the answer's any more"
    await chat.service.cancel()


async def test_a_message_deleted_while_its_question_is_taken_in_is_not_answered(chat: Chat) -> None:
    seen: list[bool] = []

    async def acknowledge() -> None:
        seen.extend(
            (chat.service.message_gone(MessageId(404)), chat.service.message_gone(MessageId(1)))
        )

    await chat.service.submit(question(1), chat.sink, acknowledge=acknowledge)
    await chat.pass_time()
    assert seen == [False, True]
    assert chat.outcome(1) is Outcome.DROPPED
    assert chat.backend.requests == []


async def test_a_changed_message_ends_no_other_question(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1, asker=BOB), chat.sink)
    await chat.pass_time(3)
    old = FakeSink(chat.clock)
    kept = (old.adopt(77, "An older answer."),)
    changed = question(3, "why is it red", message=question(2).message)
    await chat.service.submit(changed, old, changed_id=MessageId(2), replaces=kept, is_counted=True)
    await chat.pass_time()
    assert (chat.outcome(1), chat.outcome(3)) == (None, Outcome.DELIVERED)
    assert {i: m.content for i, m in old.messages.items()} == {77: "Because of the light."}
    await chat.service.cancel()


async def test_what_is_asked_during_a_restart_is_kept_and_told_so(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    closing = asyncio.create_task(chat.service.close(60))
    await chat.pass_time(1)
    late = FakeSink(chat.clock)
    await chat.service.submit(question(2, asked_at=NOON + timedelta(minutes=1)), late)
    await chat.pass_time(5)
    assert RESTARTING_TEXT in last(late)
    assert (chat.outcome(1), chat.outcome(2)) == (None, None)
    assert len(chat.backend.requests) == 1
    assert not closing.done(), "the running answer has its time"
    await chat.service.cancel()
    await closing


async def test_a_running_answer_is_told_when_a_restart_waits_no_longer(chat: Chat) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    closing = asyncio.create_task(chat.service.close(0))
    while not closing.done():
        await chat.pass_time(1)
    assert chat.outcome(1) is None
    assert RESTARTING_TEXT in last(chat.sink)
    assert chat.journal.entries[QuestionId(1)].attempts == 0


async def test_a_stored_answer_that_is_being_delivered_is_let_finish_by_a_restart(
    chat: Chat,
) -> None:
    held = asyncio.Event()
    chat.sink.before = held.wait
    entry = JournalEntry(question(1), QuestionState.ANSWERED, 1, chunks=("An answer.",))
    chat.journal.entries[QuestionId(1)] = entry
    chat.service.resume(entry, chat.sink)
    await chat.pass_time(1)
    closing = asyncio.create_task(chat.service.close(60))
    await chat.pass_time(1)
    held.set()
    await chat.pass_time(5)
    await closing
    assert chat.outcome(1) is Outcome.DELIVERED
    assert chat.sink.contents == ["An answer."]


async def test_what_a_full_line_refuses_is_neither_stored_nor_built(clock: FakeClock) -> None:
    chat = Chat(clock, max_waiting=16)
    hold = asyncio.Event()
    chat.backend.scripts.extend([(hold, *ANSWER)] * 200)
    refused = 0
    submits = [
        chat.service.submit(
            question(n, asker=Person(UserId(n), f"P{n}"), message=None), FakeSink(clock)
        )
        for n in range(1, 101)
    ]
    for ended in await asyncio.gather(*submits, return_exceptions=True):
        refused += isinstance(ended, QueueError)
    assert len(chat.journal.entries) == 100 - refused
    await chat.pass_time(2)
    assert len(chat.journal.entries) <= 16 + 4
    begun = [
        entry
        for entry in chat.journal.entries.values()
        if entry.state is not QuestionState.ACCEPTED
    ]
    assert len(begun) <= 4 + 4 + AHEAD
    hold.set()
    await chat.pass_time(60)
    assert {entry.outcome for entry in chat.journal.entries.values()} == {Outcome.DELIVERED}
    assert chat.parts.scheduler.waiting == chat.parts.scheduler.running == 0


async def test_a_question_that_the_line_refuses_does_not_count_as_asked(clock: FakeClock) -> None:
    chat = Chat(clock, max_waiting_person=1, slots=1, per_person_per_minute=3)
    chat.backend.scripts.append([asyncio.Event()])
    for number in (1, 2):
        await chat.service.submit(question(number, message=None), chat.sink)
        await chat.pass_time(1)
    for number in range(3, 9):
        with pytest.raises(QueueError):
            await chat.service.submit(question(number, message=None), chat.sink)
    chat.service.stop(QuestionId(2))
    await chat.pass_time(1)
    await chat.service.submit(question(10, message=None), chat.sink)
    await chat.service.cancel()


async def test_a_burst_needs_no_second_place_in_a_full_line(clock: FakeClock) -> None:
    chat = Chat(clock, max_waiting_person=1, slots=1)
    hold = asyncio.Event()
    chat.backend.scripts.append((hold, *ANSWER))
    await chat.service.submit(question(1, asker=BOB, message=message(1, author=BOB)), chat.sink)
    await chat.pass_time(5)
    for number in (2, 3):
        asked = message(number, created_at=NOON)
        await chat.service.submit(question(number, message=asked, asked_at=NOON), FakeSink(clock))
    with pytest.raises(QueueError):
        await chat.service.submit(question(4, message=None), FakeSink(clock))
    hold.set()
    await chat.pass_time()
    assert [chat.outcome(number) for number in (2, 3)] == [Outcome.MERGED, Outcome.DELIVERED]


async def test_a_question_that_is_taken_back_before_work_begins_leaves_its_place(
    chat: Chat,
) -> None:
    chat.service.message_gone(MessageId(1))
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(2)
    assert chat.outcome(1) is Outcome.DROPPED
    assert chat.parts.scheduler.waiting == chat.parts.scheduler.running == 0


async def test_a_question_whose_taking_could_not_be_told_leaves_its_place(chat: Chat) -> None:
    async def fail() -> None:
        raise DeliveryUnavailableError

    with pytest.raises(DeliveryUnavailableError):
        await chat.service.submit(question(1), chat.sink, acknowledge=fail)
    assert chat.parts.scheduler.waiting == chat.parts.scheduler.running == 0


async def test_what_is_asked_after_everything_was_cut_off_is_kept_for_the_next_start(
    chat: Chat,
) -> None:
    await chat.service.cancel()
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time()
    assert chat.outcome(1) is None
    assert chat.service.running == 0
    assert chat.backend.requests == []
    assert chat.sink.contents == []
