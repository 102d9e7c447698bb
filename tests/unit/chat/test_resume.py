"""What becomes of each question that an earlier run left open."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.chat.reply import Ending
from bot.chat.resume import (
    FIRST_AGAIN_S,
    LAST_AGAIN_S,
    LEFTOVERS_FOR,
    MOST_ATTEMPTS,
    MOST_DELIVERIES,
    SET_ASIDE,
    TOO_OLD,
    Resumer,
    Review,
    WayBack,
    give_up,
)
from bot.core.domain import IncomingMessage, MessageId, Question, QuestionId, TextDelta
from bot.core.errors import DeliveryError, DeliveryForbiddenError, DeliveryUnavailableError
from bot.core.notices import notice
from bot.core.ports import JournalEntry, Outcome, QuestionState
from bot.core.tasks import end_tasks
from tests.support.builders import BOT_ID, question
from tests.support.chat import Chat, FakeJournal
from tests.support.clock import FakeClock
from tests.support.conversation import BOB, CLAW

STALE_AFTER = timedelta(hours=1)
BLOCKED = "You may not use me."
NEW_WORDS = "why is it red"
HALF, WHOLE, ANSWER = "Half an", "Half an answer.", "Because of the light."
ACCEPTED, RUNNING, ANSWERED = (
    QuestionState.ACCEPTED,
    QuestionState.RUNNING,
    QuestionState.ANSWERED,
)


def reworded(asked: Question) -> Question:
    """Return a question in its new words."""
    assert asked.message is not None
    return replace(asked, text=NEW_WORDS, message=replace(asked.message, text=NEW_WORDS))


class ResumeHarness:
    """Stored questions, what became of them, and the resumer that looks at them.

    Attributes:
        fates: What became of a question; it is still there where nothing is said.
        replied_to: The message that the newest way back replies to.
        standing: The words that a command's response has already.
        meanwhile: Awaited while the way back is looked for.
    """

    def __init__(self, clock: FakeClock, journal: FakeJournal | None = None) -> None:
        self.chat = Chat(clock, journal)
        self.fates: dict[QuestionId, str] = {}
        self.standing: tuple[MessageId, ...] = ()
        self.replied_to: IncomingMessage | None = None
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self.resumer = Resumer(
            self.chat.journal, self.chat.service, clock, self, self.chat.sources, STALE_AFTER
        )

    async def way_back(self, entry: JournalEntry) -> WayBack | None:
        """Return the one sink, unless the place is gone."""
        fate = self.fates.get(entry.question.id)
        self.replied_to = entry.question.message
        if fate == "forbidden":
            self.chat.sink.failures.extend([DeliveryForbiddenError(50013)] * 20)
        self.chat.sink.barred = fate == "barred"
        if self.meanwhile is not None:
            await self.meanwhile()
        if fate == "poison":
            await asyncio.Event().wait()
        return None if fate == "place gone" else WayBack(self.chat.sink, self.standing)

    def is_barred(self, question: Question) -> bool:
        """Return whether the bot may not write there."""
        return self.fates.get(question.id) in {"place gone", "barred"}

    async def review(self, question: Question) -> Review:
        """Return what became of a question."""
        fate = self.fates.get(question.id)
        if fate == "deleted":
            return Review(None)
        if fate == "last deleted":
            return Review(replace(question, message=question.joined[0], joined=()))
        if fate == "edited":
            return Review(reworded(question))
        return Review(question, BLOCKED if fate == "blocked" else "")

    def store(self, asked: Question, state: QuestionState, attempts: int = 0) -> None:
        """Keep a question as an earlier run left it; with words where it had begun to answer."""
        posted = () if state is ACCEPTED else (self.chat.sink.adopt(70 + asked.id, HALF),)
        chunks = (WHOLE,) if state is ANSWERED else ()
        entry = JournalEntry(asked, state, attempts, posted=posted, chunks=chunks)
        self.chat.journal.entries[asked.id] = entry

    async def run(self) -> int:
        """Take up what is open, and see it through."""
        count = await self.resumer.run(BOT_ID)
        await self.chat.pass_time()
        return count

    @property
    def asked(self) -> list[str]:
        """What the model was asked."""
        return [request.turns[-1].text for request in self.chat.backend.requests]


@pytest.fixture
def harness(clock: FakeClock) -> ResumeHarness:
    return ResumeHarness(clock)


@pytest.mark.parametrize(
    ("state", "fate", "attempts", "outcome", "shown", "is_asked"),
    [
        (ACCEPTED, "there", 0, Outcome.DELIVERED, ANSWER, True),
        (RUNNING, "there", 1, Outcome.DELIVERED, ANSWER, True),
        (RUNNING, "there", 2, Outcome.DELIVERED, ANSWER, True),
        (ANSWERED, "there", 1, Outcome.DELIVERED, WHOLE, False),
        (ANSWERED, "there", 2, Outcome.DELIVERED, WHOLE, False),
        (RUNNING, "there", MOST_ATTEMPTS, Outcome.NOTIFIED, SET_ASIDE, False),
        (ANSWERED, "there", MOST_ATTEMPTS, Outcome.DELIVERED, WHOLE, False),
        (ANSWERED, "there", MOST_DELIVERIES - 1, Outcome.DELIVERED, WHOLE, False),
        (ANSWERED, "there", MOST_DELIVERIES, Outcome.NOTIFIED, SET_ASIDE, False),
        (ANSWERED, "edited", MOST_ATTEMPTS, Outcome.NOTIFIED, SET_ASIDE, False),
        (ACCEPTED, "edited", 0, Outcome.DELIVERED, ANSWER, True),
        (RUNNING, "edited", 1, Outcome.DELIVERED, ANSWER, True),
        (ANSWERED, "edited", 1, Outcome.DELIVERED, ANSWER, True),
        (RUNNING, "edited", MOST_ATTEMPTS, Outcome.NOTIFIED, SET_ASIDE, False),
        (ACCEPTED, "deleted", 0, Outcome.DROPPED, "", False),
        (RUNNING, "deleted", 1, Outcome.DROPPED, "", False),
        (ANSWERED, "deleted", 1, Outcome.DROPPED, "", False),
        (RUNNING, "deleted", MOST_ATTEMPTS, Outcome.DROPPED, "", False),
        (ACCEPTED, "place gone", 0, None, "", False),
        (RUNNING, "place gone", MOST_ATTEMPTS, None, HALF, False),
        (ANSWERED, "place gone", 1, None, HALF, False),
        (ACCEPTED, "barred", 0, None, "", False),
        (RUNNING, "barred", MOST_ATTEMPTS, None, HALF, False),
        (ANSWERED, "barred", 1, None, HALF, False),
        (ACCEPTED, "blocked", 0, Outcome.NOTIFIED, BLOCKED, False),
        (RUNNING, "blocked", 1, Outcome.NOTIFIED, BLOCKED, False),
        (ANSWERED, "blocked", 1, Outcome.NOTIFIED, BLOCKED, False),
        (RUNNING, "blocked", MOST_ATTEMPTS, Outcome.NOTIFIED, BLOCKED, False),
        (ANSWERED, "forbidden", 1, None, HALF, False),
        (RUNNING, "forbidden", MOST_ATTEMPTS, None, HALF, False),
    ],
)
async def test_a_question_left_open_ends_as_its_state_and_its_fate_say(
    harness: ResumeHarness,
    state: QuestionState,
    fate: str,
    attempts: int,
    outcome: Outcome | None,
    shown: str,
    is_asked: bool,
) -> None:
    harness.store(question(1, "why is it blue"), state, attempts)
    harness.fates[QuestionId(1)] = fate
    assert await harness.run() == (fate not in {"place gone", "barred"})
    assert harness.chat.outcome(1) is outcome
    assert len(harness.asked) == is_asked
    words = NEW_WORDS if fate == "edited" else "why is it blue"
    assert all(words in each for each in harness.asked)
    assert [shown in each for each in harness.chat.sink.contents] == [True] * bool(shown)
    if state is not ACCEPTED and shown:
        assert list(harness.chat.sink.messages) == [71]


@pytest.mark.parametrize("failure", [DeliveryForbiddenError(50013), DeliveryUnavailableError()])
@pytest.mark.parametrize("ending", [None, Ending.GONE, Ending.MERGED, Ending.SUPERSEDED])
async def test_what_discord_lets_stand_of_an_answer_is_taken_away_as_soon_as_it_can_be(
    harness: ResumeHarness, failure: DeliveryError, ending: Ending | None
) -> None:
    chat = harness.chat
    looking = asyncio.create_task(harness.resumer.keep_looking(lambda: harness.resumer.run(BOT_ID)))
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    chat.sink.failures.extend([failure] * 3)
    if ending is None:
        harness.fates[QuestionId(1)] = "blocked"  # nothing is answered to whom nobody may write
        chat.service._replies[QuestionId(1)]._delivery._set_gone(DeliveryForbiddenError(50013))
    else:
        chat.service._replies[QuestionId(1)].end(ending)
    await chat.pass_time(1)
    assert len(chat.sink.contents) == 1
    assert chat.outcome(1) is None
    await chat.pass_time(8 * FIRST_AGAIN_S)
    looking.cancel()
    assert chat.sink.contents == []
    assert chat.outcome(1) is Outcome.DROPPED
    assert len(chat.backend.requests) == 1


async def test_a_look_that_is_cut_off_while_it_is_counted_is_no_attempt(clock: FakeClock) -> None:
    class SlowJournal(FakeJournal):
        async def start(self, question_id: QuestionId) -> int:
            attempts = await super().start(question_id)
            counted.set()
            await asyncio.sleep(0)
            return attempts

    counted = asyncio.Event()
    harness = ResumeHarness(clock, SlowJournal())
    harness.store(question(1), RUNNING, attempts=1)
    looking = asyncio.create_task(harness.resumer.run(BOT_ID))
    await counted.wait()
    await end_tasks(looking)
    assert harness.chat.journal.entries[QuestionId(1)].attempts == 1


@pytest.mark.parametrize("fate", ["place gone", "barred"])
async def test_where_the_bot_may_not_write_a_question_is_kept_until_it_may_and_for_a_day_at_most(
    harness: ResumeHarness, fate: str
) -> None:
    harness.store(question(1, "why is it blue"), RUNNING)
    harness.fates[QuestionId(1)] = fate
    await harness.run()
    assert harness.chat.outcome(1) is None
    assert harness.chat.sink.kinds() == []
    harness.fates.clear()
    await harness.run()
    assert harness.chat.outcome(1) is Outcome.DELIVERED
    old = question(2, asked_at=harness.chat.clock.now() - LEFTOVERS_FOR - timedelta(seconds=1))
    harness.store(old, RUNNING)
    harness.fates[QuestionId(2)] = fate
    harness.chat.sink.is_marked = True
    await harness.run()
    assert harness.chat.outcome(2) is Outcome.DROPPED
    assert harness.chat.sink.is_marked is (fate == "place gone")


async def test_what_discord_never_lets_be_taken_away_is_let_be_after_a_day(
    harness: ResumeHarness,
) -> None:
    asked = question(1, asked_at=harness.chat.clock.now() - LEFTOVERS_FOR - timedelta(seconds=1))
    harness.store(asked, RUNNING)
    await harness.chat.journal.answered(asked.id, ())
    await harness.run()
    assert harness.chat.outcome(1) is Outcome.DROPPED
    assert "delete" not in harness.chat.sink.kinds()


async def test_a_stop_is_not_forgotten_when_the_process_dies_before_it_is_said(
    harness: ResumeHarness,
) -> None:
    harness.chat.backend.scripts.append([asyncio.Event()])
    await harness.chat.service.submit(question(1), harness.chat.sink)
    await harness.chat.pass_time(1)
    harness.chat.sink.before = asyncio.Event().wait
    harness.chat.service.stop(QuestionId(1))
    later = ResumeHarness(harness.chat.clock, await died(harness))
    await later.run()
    assert later.chat.sink.contents == [notice("Stopped.")]
    assert later.asked == []


@pytest.mark.parametrize(
    ("state", "age", "shown"),
    [
        (RUNNING, STALE_AFTER, ANSWER),
        (RUNNING, STALE_AFTER + timedelta(seconds=1), TOO_OLD),
        (ACCEPTED, STALE_AFTER + timedelta(seconds=1), TOO_OLD),
        (ANSWERED, STALE_AFTER + timedelta(days=1), WHOLE),
    ],
)
async def test_only_what_was_never_answered_grows_too_old(
    harness: ResumeHarness, state: QuestionState, age: timedelta, shown: str
) -> None:
    asked_at = harness.chat.clock.now() - age
    harness.store(question(1, asked_at=asked_at), state)
    await harness.run()
    assert [shown in each for each in harness.chat.sink.contents] == [True]


async def test_of_a_message_changed_right_before_the_end_only_the_newest_words_are_answered(
    harness: ResumeHarness,
) -> None:
    asked = question(1, "why is it blue")
    harness.store(asked, RUNNING)
    harness.store(replace(reworded(asked), id=QuestionId(2)), ACCEPTED)
    assert await harness.run() == 2
    assert (harness.chat.outcome(1), harness.chat.outcome(2)) == (Outcome.MERGED, Outcome.DELIVERED)
    assert len(harness.asked) == 1
    assert NEW_WORDS in harness.asked[0]
    assert harness.chat.sink.contents == [ANSWER]


async def test_a_message_that_was_answered_with_the_next_one_is_not_answered_again(
    harness: ResumeHarness,
) -> None:
    first = question(1, "why")
    harness.store(first, RUNNING)
    both = question(2, "is it blue").merge(first)
    harness.store(both, RUNNING)
    await harness.chat.journal.close(both.id, Outcome.DELIVERED)
    assert await harness.run() == 1
    assert harness.chat.outcome(1) is Outcome.MERGED
    assert harness.asked == []
    assert list(harness.chat.sink.messages) == [72]


async def test_an_answer_that_belongs_to_another_question_is_left_where_it_is(
    harness: ResumeHarness,
) -> None:
    sources = harness.chat.sources
    asked = sources.say(BOB, "why is it blue")
    answer = sources.say(CLAW, WHOLE, to=asked)
    before = replace(question(1), message=asked)
    harness.chat.journal.entries[before.id] = JournalEntry(before, RUNNING, 1)
    harness.store(replace(before, id=QuestionId(2)), RUNNING)
    await harness.chat.journal.posted(QuestionId(2), [answer.id])
    await harness.chat.journal.close(QuestionId(2), Outcome.DELIVERED)
    harness.chat.sink.adopt(answer.id, WHOLE)
    await harness.run()
    assert harness.chat.outcome(1) is Outcome.MERGED
    assert answer.id in harness.chat.sink.messages


@pytest.mark.parametrize("attempts", [0, 1])
async def test_an_answer_that_was_posted_and_not_noted_is_gone_on_with(
    harness: ResumeHarness, attempts: int
) -> None:
    sources = harness.chat.sources
    asked = sources.say(BOB, "why is it blue")
    sources.say(BOB, "not the answer", to=asked)
    sources.say(CLAW, "of something else")
    orphan = sources.say(CLAW, HALF, to=asked)
    harness.chat.sink.adopt(orphan.id, HALF)
    open_question = replace(question(1), message=asked)
    harness.chat.journal.entries[QuestionId(1)] = JournalEntry(open_question, RUNNING, attempts)
    await harness.run()
    assert {i: m.content for i, m in harness.chat.sink.messages.items()} == {orphan.id: ANSWER}


async def test_no_answer_is_looked_for_where_no_work_had_begun(harness: ResumeHarness) -> None:
    harness.store(question(1), ACCEPTED)
    before = harness.chat.sources.requests
    await harness.resumer.run(BOT_ID)
    assert harness.chat.sources.requests == before


async def test_words_that_the_response_of_a_command_has_already_are_replaced(
    harness: ResumeHarness,
) -> None:
    harness.standing = (harness.chat.sink.adopt(77, HALF),)
    harness.store(question(1), ACCEPTED)
    await harness.run()
    assert {i: m.content for i, m in harness.chat.sink.messages.items()} == {77: ANSWER}


async def test_what_is_worked_on_already_is_left_alone(harness: ResumeHarness) -> None:
    harness.store(question(1), ACCEPTED)
    assert await harness.resumer.run(BOT_ID) == 1
    assert await harness.resumer.run(BOT_ID) == 0
    await harness.chat.pass_time()
    assert len(harness.asked) == 1


async def test_a_question_that_ends_while_others_are_looked_at_is_not_asked_again(
    harness: ResumeHarness,
) -> None:
    for number in (1, 2):
        harness.store(question(number), ACCEPTED)

    harness.meanwhile = lambda: harness.chat.journal.close(QuestionId(2), Outcome.STOPPED)
    assert await harness.run() == 1
    assert harness.chat.outcome(2) is Outcome.STOPPED
    assert len(harness.asked) == 1


@pytest.mark.parametrize("attempts", [0, 1, MOST_ATTEMPTS, MOST_ATTEMPTS + 1])
async def test_a_question_known_to_have_held_the_process_up_is_set_aside(
    harness: ResumeHarness, attempts: int
) -> None:
    harness.store(question(1), RUNNING, attempts)
    await give_up(harness.chat.journal, QuestionId(1))
    await give_up(harness.chat.journal, QuestionId(404))
    assert harness.chat.journal.entries[QuestionId(1)].attempts == max(attempts, MOST_ATTEMPTS)
    await harness.run()
    assert SET_ASIDE in harness.chat.sink.contents[-1]


async def test_a_question_that_ended_is_not_given_up(harness: ResumeHarness) -> None:
    harness.store(question(1), RUNNING, 1)
    await harness.chat.journal.close(QuestionId(1), Outcome.DELIVERED)
    await give_up(harness.chat.journal, QuestionId(1))
    assert harness.chat.journal.entries[QuestionId(1)].attempts == 1


async def died(harness: ResumeHarness) -> FakeJournal:
    """Live until nothing goes on by itself and die there; return what is stored."""
    running = asyncio.create_task(harness.resumer.run(BOT_ID))
    await harness.chat.pass_time(5)
    kept = FakeJournal()
    kept.entries.update(harness.chat.journal.entries)
    running.cancel()
    await asyncio.wait({running})
    await harness.chat.service.cancel()
    return kept


async def test_a_question_whose_look_ends_the_process_is_set_aside_and_nobody_elses(
    clock: FakeClock,
) -> None:
    harness = ResumeHarness(clock)
    for number in (1, 2, 3):
        harness.store(question(number, f"what is {number}"), ACCEPTED)
        harness.chat.backend.scripts.append([asyncio.Event()])
    lives = 0
    while harness.chat.outcome(2) is None and lives < 2 * MOST_ATTEMPTS:
        harness.fates[QuestionId(2)] = "poison" if lives <= MOST_ATTEMPTS else "there"
        journal = await died(harness)
        lives += 1
        harness = ResumeHarness(clock, journal)
    assert harness.chat.outcome(2) is Outcome.NOTIFIED
    assert lives == MOST_ATTEMPTS + 2
    # Worked on in the first life and in the last, which ended like all before.
    assert [harness.chat.journal.entries[QuestionId(i)].attempts for i in (1, 3)] == [2, 1]


async def test_a_look_that_is_cut_off_in_order_uses_up_no_attempt(harness: ResumeHarness) -> None:
    harness.store(question(1), RUNNING, 1)
    harness.fates[QuestionId(1)] = "poison"
    running = asyncio.create_task(harness.resumer.run(BOT_ID))
    await harness.chat.pass_time(1)
    assert harness.chat.journal.entries[QuestionId(1)].attempts == 2
    running.cancel()
    await asyncio.wait({running})
    assert harness.chat.journal.entries[QuestionId(1)].attempts == 1


async def test_a_question_that_was_stopped_while_it_was_looked_at_is_not_answered(
    harness: ResumeHarness,
) -> None:
    harness.store(question(1), ACCEPTED)
    harness.meanwhile = lambda: harness.chat.journal.close(QuestionId(1), Outcome.STOPPED)
    await harness.run()
    assert harness.chat.outcome(1) is Outcome.STOPPED
    assert harness.asked == []


async def test_a_question_that_is_asked_anew_while_it_is_looked_at_is_answered_once(
    harness: ResumeHarness,
) -> None:
    asked = question(1, "why is it blue")
    harness.store(asked, RUNNING)
    anew = replace(reworded(asked), id=QuestionId(2))
    harness.meanwhile = lambda: harness.chat.service.submit(anew, harness.chat.sink)
    await harness.run()
    assert (harness.chat.outcome(1), harness.chat.outcome(2)) == (Outcome.MERGED, Outcome.DELIVERED)
    assert len(harness.asked) == 1


async def test_an_answer_that_was_not_noted_is_gone_on_with_in_new_words_too(
    harness: ResumeHarness,
) -> None:
    harness.standing = (harness.chat.sink.adopt(77, HALF),)
    asked = question(1)
    harness.chat.journal.entries[asked.id] = JournalEntry(asked, RUNNING, 1)
    harness.fates[asked.id] = "edited"
    await harness.run()
    assert {i: m.content for i, m in harness.chat.sink.messages.items()} == {77: ANSWER}


async def test_the_answer_to_a_burst_replies_to_the_message_that_is_left_of_it(
    harness: ResumeHarness,
) -> None:
    first = question(1, "why")
    harness.store(question(2, "is it blue").merge(first), RUNNING)
    harness.fates[QuestionId(2)] = "last deleted"
    await harness.run()
    assert harness.replied_to == first.message
    assert harness.chat.outcome(2) is Outcome.DELIVERED


async def test_a_question_that_is_asked_anew_in_the_place_of_its_answer_keeps_that_place(
    harness: ResumeHarness,
) -> None:
    asked = question(1, "why is it blue")
    harness.store(asked, RUNNING)
    anew = replace(reworded(asked), id=QuestionId(2))
    await harness.chat.service.submit(anew, harness.chat.sink, replaces=(MessageId(71),))
    await harness.run()
    assert (harness.chat.outcome(1), harness.chat.outcome(2)) == (Outcome.MERGED, Outcome.DELIVERED)
    assert {i: m.content for i, m in harness.chat.sink.messages.items()} == {71: ANSWER}


async def test_what_is_out_of_reach_is_left_as_it_is(harness: ResumeHarness) -> None:
    for number in (1, 2):
        harness.store(question(number), ACCEPTED)
    resumer = Resumer(
        harness.chat.journal,
        harness.chat.service,
        harness.chat.clock,
        harness,
        harness.chat.sources,
        STALE_AFTER,
        lambda asked: asked.id == 2,
    )
    assert await resumer.run(BOT_ID) == 1
    await harness.chat.pass_time()
    assert (harness.chat.outcome(1), harness.chat.outcome(2)) == (None, Outcome.DELIVERED)


async def test_what_stays_open_is_looked_at_ever_less_often_until_nothing_does(
    harness: ResumeHarness, clock: FakeClock
) -> None:
    looks_s: list[float] = []
    left = iter([1, 2, 0, 1, *[1] * 20])

    async def look() -> int:
        looks_s.append(clock.monotonic())
        return next(left)

    looking = asyncio.create_task(harness.resumer.keep_looking(look))
    await clock.advance(20 * LAST_AGAIN_S)
    looking.cancel()
    gaps = [b - a for a, b in itertools.pairwise([1000.0, *looks_s])]
    first = FIRST_AGAIN_S
    assert gaps[:6] == [first, 2 * first, 4 * first, first, 2 * first, 4 * first]
    assert max(gaps) == gaps[-1] == LAST_AGAIN_S


async def test_what_others_ended_while_it_was_looked_at_is_not_counted(
    harness: ResumeHarness,
) -> None:
    harness.store(question(1), ACCEPTED)

    async def end() -> None:
        await harness.chat.journal.close(QuestionId(1), Outcome.STOPPED)

    harness.meanwhile = end
    assert await harness.run() == 0
    assert harness.chat.outcome(1) is Outcome.STOPPED


async def test_an_edit_that_is_taken_while_a_question_is_stored_anew_is_answered_alone(
    harness: ResumeHarness,
) -> None:
    asked = question(1)
    harness.store(asked, ACCEPTED)
    harness.fates[asked.id] = "edited"
    changed = replace(reworded(asked), id=QuestionId(2))

    async def take_the_edit() -> None:
        assert asked.message is not None
        await harness.chat.service.submit(
            changed, harness.chat.sink, changed_id=asked.message.id, is_counted=True
        )

    harness.chat.journal.before_revise = take_the_edit
    await harness.run()
    assert harness.asked == [NEW_WORDS]
    assert harness.chat.outcome(1) is Outcome.MERGED
    assert harness.chat.outcome(2) is Outcome.DELIVERED
