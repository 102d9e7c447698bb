"""The journal: what it promises, over restarts and over a database that fails."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from bot.core.domain import ChannelId, MessageId, QuestionId
from bot.core.ports import Journal, JournalEntry, Outcome, QuestionState
from bot.storage.database import Database, open_database
from bot.storage.journal import CHANNELS, DETAILS_BYTES, THINKING_BYTES, SqlJournal
from bot.storage.journal_sql import insert_entry, save_entries, save_notices
from bot.storage.tidying_sql import NOTICES
from tests.support.clock import FakeClock
from tests.unit.storage.questions import question
from tests.unit.storage.recovery import drain

ONE = QuestionId(1)


@pytest.fixture
async def journal(database: Database, clock: FakeClock) -> Journal:
    return await SqlJournal.open(database, clock, retention_days=30)


async def _entry(journal: Journal, number: int = 1) -> JournalEntry:
    entry = await journal.entry(QuestionId(number))
    assert entry is not None
    return entry


async def test_a_question_is_accepted_once(journal: Journal) -> None:
    assert await journal.accept(question(1))
    assert not await journal.accept(question(1))
    await journal.close(ONE, Outcome.DELIVERED)
    assert not await journal.accept(question(1))
    assert await journal.pending() == []


async def test_the_same_question_five_times_at_once_is_accepted_once(journal: Journal) -> None:
    answers = await asyncio.gather(*(journal.accept(question(1)) for _ in range(5)))
    assert sorted(answers) == [False] * 4 + [True]


async def test_a_commit_that_is_repeated_is_no_duplicate(
    database: Database, clock: FakeClock
) -> None:
    """A server may have committed, and vanished before it could say so."""
    entry = JournalEntry(question(1), QuestionState.ACCEPTED, updated_at=clock.now())
    for _ in range(2):
        assert await database.write(lambda c: insert_entry(c, entry))
    later = replace(entry, updated_at=clock.now() + timedelta(milliseconds=1))
    assert not await database.write(lambda c: insert_entry(c, later))
    started = replace(entry, state=QuestionState.RUNNING, attempts=1)
    await database.write(lambda c: save_entries(c, [started]))
    assert not await database.write(lambda c: insert_entry(c, entry))


async def test_a_row_as_recorded_is_read_and_written_under_the_same_key(
    journal: Journal, database: Database
) -> None:
    """Databases hold the bot's own lines under this key; another would lose them at an upgrade."""
    recorded = '{"texts": ["Paris."], "chrome": "-# Cut at the length limit."}'
    await journal.accept(question(1))
    await journal.answered(ONE, ["Paris."], own_lines="-# Cut at the length limit.")
    stored = await database.read(lambda c: c.execute(text("SELECT chunks FROM questions")).scalar())
    assert json.loads(str(stored)) == json.loads(recorded)
    await journal.close(ONE, Outcome.DELIVERED)
    update = text("UPDATE questions SET chunks = :chunks").bindparams(chunks=recorded)
    await database.write(lambda c: c.execute(update))
    entry = await _entry(journal)
    assert (entry.chunks, entry.own_lines) == (("Paris.",), "-# Cut at the length limit.")


async def test_everything_of_a_question_comes_back_after_a_restart(
    location: str | Path, clock: FakeClock
) -> None:
    asked = question(1, 'Odd: \x00 \ud800 \u202e 🎈 "quotes" ünïcode')
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        await journal.accept(asked)
        assert await journal.start(ONE) == 1
        await journal.posted(ONE, [MessageId(100), MessageId(101)])
        await journal.answered(ONE, ["a\x00", "b"], thinking="hm \ud800", details="fast")
    async with open_database(location, clock) as database:
        pending = await (await SqlJournal.open(database, clock, 30)).pending()
    assert pending == [
        JournalEntry(
            asked,
            QuestionState.ANSWERED,
            attempts=1,
            posted=(MessageId(100), MessageId(101)),
            chunks=("a\x00", "b"),
            thinking="hm \ud800",
            details="fast",
            updated_at=clock.now(),
        )
    ]


async def test_a_question_without_its_message_comes_back_too(
    location: str | Path, clock: FakeClock
) -> None:
    asked = replace(question(1), message=None, about_id=None, fresh=True)
    async with open_database(location, clock) as database:
        await (await SqlJournal.open(database, clock, 30)).accept(asked)
    async with open_database(location, clock) as database:
        assert (await _entry(await SqlJournal.open(database, clock, 30))).question == asked


async def test_attempts_are_counted_over_restarts(location: str | Path, clock: FakeClock) -> None:
    attempts = []
    for _ in range(4):
        async with open_database(location, clock) as database:
            journal = await SqlJournal.open(database, clock, 30)
            await journal.accept(question(1))
            attempts.append(await journal.start(ONE))
    assert attempts == [1, 2, 3, 4]


async def test_pending_is_oldest_first_and_without_what_ended(journal: Journal) -> None:
    for number in (30, 10, 20, 40):
        await journal.accept(question(number))
    await journal.close(QuestionId(20), Outcome.STOPPED)
    assert [entry.question.id for entry in await journal.pending()] == [10, 30, 40]


async def test_the_first_outcome_stays(journal: Journal) -> None:
    await journal.accept(question(1))
    await journal.close(ONE, Outcome.STOPPED)
    await journal.close(ONE, Outcome.DELIVERED)
    await journal.start(ONE)
    await journal.answered(ONE, ["late"])
    entry = await _entry(journal)
    assert (entry.outcome, entry.state) == (Outcome.STOPPED, QuestionState.CLOSED)
    assert (entry.attempts, entry.chunks) == (0, ())


async def test_a_second_start_after_the_answer_keeps_the_answer(journal: Journal) -> None:
    await journal.accept(question(1))
    await journal.answered(ONE, ["text"])
    assert await journal.start(ONE) == 1
    assert (await _entry(journal)).state is QuestionState.ANSWERED


async def test_a_posted_message_leads_to_its_question(journal: Journal) -> None:
    await journal.accept(question(1))
    await journal.posted(ONE, [MessageId(100), MessageId(101)])
    for when in ("open", "closed"):
        entry = await journal.entry_of_message(MessageId(101))
        assert entry is not None, when
        assert entry.question.id == 1
        await journal.close(ONE, Outcome.DELIVERED)
    assert await journal.entry_of_message(MessageId(999)) is None


async def test_which_words_of_an_answer_are_the_bots_own_is_kept(
    database: Database, clock: FakeClock
) -> None:
    journal = await SqlJournal.open(database, clock, retention_days=30)
    for number in (1, 2, 3):
        await journal.accept(question(number))
        await journal.posted(QuestionId(number), [MessageId(100 + number)])
    await journal.answered(ONE, ("⚠️ Careful.\n-# a",), own_lines="-# a")
    await journal.own_lines(QuestionId(2), "⚠️ It failed.")
    ids = [MessageId(number) for number in (101, 102, 103, 999)]
    wanted = {101: "-# a", 102: "⚠️ It failed.", 103: None}
    assert await journal.own_lines_of(ids) == wanted
    for number in (1, 2, 3):
        await journal.close(QuestionId(number), Outcome.DELIVERED)
    assert await journal.own_lines_of(ids) == wanted
    later = await SqlJournal.open(database, clock, retention_days=30)
    assert await later.own_lines_of(ids) == wanted
    assert (await _entry(later)).own_lines == "-# a"


async def test_the_newest_notices_are_known_to_whoever_opens_the_journal(
    database: Database, clock: FakeClock
) -> None:
    ours = await SqlJournal.open(database, clock, retention_days=1)
    theirs = await SqlJournal.open(database, clock, retention_days=1)
    await ours.note_notice(MessageId(101))
    await theirs.note_notice(MessageId(102))
    await clock.advance(2 * 24 * 3600)
    ids = [MessageId(number) for number in (101, 102, 103)]
    for journal in (ours, theirs, await SqlJournal.open(database, clock, retention_days=1)):
        assert await journal.notices_of(ids) == {101, 102}
    later = [MessageId(1000 + number) for number in range(NOTICES - 1)]
    await database.write(lambda c: save_notices(c, later))
    await theirs.accept(question(1))
    await drain(database)
    assert await (await SqlJournal.open(database, clock, 1)).notices_of(ids) == {102}


async def test_posts_that_were_replaced_lead_nowhere(journal: Journal) -> None:
    await journal.accept(question(1))
    await journal.posted(ONE, [MessageId(100)])
    await journal.posted(ONE, [MessageId(200), MessageId(201)])
    await journal.close(ONE, Outcome.DELIVERED)
    assert await journal.entry_of_message(MessageId(100)) is None
    assert (await _entry(journal)).posted == (200, 201)


async def test_unknown_questions_are_no_error(journal: Journal) -> None:
    assert await journal.start(ONE) == 1
    await journal.posted(ONE, [MessageId(5)])
    await journal.answered(ONE, ["x"])
    await journal.close(ONE, Outcome.DELIVERED)
    assert await journal.entry(ONE) is None


async def test_endless_thinking_is_cut(journal: Journal) -> None:
    await journal.accept(question(1))
    thinking = "a" + "ü" * 100_000 + "z"
    await journal.answered(ONE, ["x"], thinking=thinking, details="d" * 100_000)
    entry = await _entry(journal)
    assert THINKING_BYTES - 4 <= len(entry.thinking.encode()) <= THINKING_BYTES
    assert (entry.thinking[0], entry.thinking[-1]) == ("a", "z")
    assert len(entry.details.encode()) <= DETAILS_BYTES


async def test_an_ended_question_keeps_no_copy_of_what_discord_shows(journal: Journal) -> None:
    await journal.accept(question(1))
    await journal.answered(ONE, ["x"], thinking="hm", details="fast")
    await journal.close(ONE, Outcome.DELIVERED)
    entry = await _entry(journal)
    assert (entry.chunks, entry.thinking, entry.details) == ((), "hm", "fast")


async def test_what_ended_is_kept_for_the_retention_time_only(
    database: Database, clock: FakeClock
) -> None:
    journal = await SqlJournal.open(database, clock, retention_days=30)
    for number in (1, 2):
        await journal.accept(question(number))
        await journal.posted(QuestionId(number), [MessageId(100 + number)])
    await journal.close(ONE, Outcome.DELIVERED)
    await clock.advance(timedelta(days=31).total_seconds())
    await journal.accept(question(3))
    await drain(database)
    assert await journal.entry(ONE) is None
    assert await journal.entry_of_message(MessageId(101)) is None
    assert [entry.question.id for entry in await journal.pending()] == [2, 3]


async def test_the_newest_message_of_each_channel_is_kept(
    location: str | Path, clock: FakeClock
) -> None:
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        for channel, message in ((1, 10), (2, 20), (1, 12), (1, 11)):
            await journal.seen(ChannelId(channel), MessageId(message))
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.last_seen() == {1: 12, 2: 20}


async def test_seen_is_written_while_running_too(
    journal: Journal, database: Database, clock: FakeClock
) -> None:
    await journal.seen(ChannelId(1), MessageId(10))
    await clock.advance(6)
    await journal.seen(ChannelId(1), MessageId(11))
    stored = await database.read(lambda c: c.execute(text("SELECT message_id FROM channels")).all())
    assert [tuple(row) for row in stored] == [(11,)]


async def test_a_flood_of_channels_does_not_grow_the_memory(journal: Journal) -> None:
    for number in range(1, CHANNELS + 500):
        await journal.seen(ChannelId(number), MessageId(number))
    newest = await journal.last_seen()
    assert len(newest) == CHANNELS
    assert ChannelId(CHANNELS + 499) in newest


async def test_a_row_that_cannot_be_read_does_not_stop_the_others(
    location: str | Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        for number in (1, 2):
            await journal.accept(question(number))
        await database.write(
            lambda c: c.execute(text("UPDATE questions SET question = '{}' WHERE id = 1"))
        )
        pending = await (await SqlJournal.open(database, clock, 30)).pending()
    assert [entry.question.id for entry in pending] == [2]
    assert "Stored question 1 can't be read" in caplog.text


async def test_questions_that_come_together_share_commits(
    journal: Journal, database: Database
) -> None:
    await asyncio.gather(*(journal.accept(question(number)) for number in range(1, 201)))
    assert len(await journal.pending()) == 200
    count = await database.read(
        lambda c: c.execute(text("SELECT count(*) FROM questions")).scalar()
    )
    assert count == 200


async def test_a_new_question_is_told_from_a_known_one_without_a_look_at_the_database(
    clock: FakeClock, tmp_path: Path
) -> None:
    async with open_database(tmp_path / "db", clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        await journal.accept(question(5))
        await journal.close(QuestionId(5), Outcome.DELIVERED)
    statements: list[object] = []
    event.listen(Engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    async with open_database(tmp_path / "db", clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.entry(QuestionId(5)) is not None
        statements.clear()
        for number in range(6, 1000):
            assert await journal.entry(QuestionId(number)) is None
        assert statements == []


async def test_a_question_is_stored_with_the_messages_it_takes_over(
    location: str | Path, clock: FakeClock
) -> None:
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        await journal.accept(question(1))
        await journal.posted(QuestionId(1), [MessageId(101), MessageId(102)])
        await journal.close(QuestionId(1), Outcome.DELIVERED)
        await journal.accept(question(2), [MessageId(101), MessageId(102)])
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        entry = await journal.entry_of_message(MessageId(101))
    assert entry is not None
    assert (entry.question.id, entry.posted) == (2, (101, 102))


async def test_a_message_leads_to_the_question_that_was_asked_last_in_it(
    location: str | Path, clock: FakeClock
) -> None:
    first, second = question(1), question(2)
    both = second.merge(first)
    anew = replace(both, id=QuestionId(3))
    more = replace(
        second,
        id=QuestionId(4),
        message=None,
        about_id=MessageId(101),
        continues=QuestionId(3),
        rests_on=both.messages,
    )
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        found = []
        for asked in (first, both, anew, more):
            await journal.accept(asked)
            newest = await journal.newest_asked_in(MessageId(1))
            found.append(newest.question.id if newest else None)
        assert found == [1, 2, 3, 3]
        await journal.close(QuestionId(3), Outcome.DELIVERED)
        await journal.close(QuestionId(4), Outcome.DELIVERED)
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        stored = [await journal.newest_asked_in(MessageId(each)) for each in (1, 2, 101, 9)]
    assert [entry and entry.question.id for entry in stored] == [3, 3, 4, None]


async def test_a_message_leads_to_a_question_that_could_not_be_stored_at_first(
    location: str | Path, clock: FakeClock
) -> None:
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        await journal.accept(question(1))
        await database.write(lambda c: c.exec_driver_sql("DELETE FROM asking_messages"))
        await journal._write_back(is_fresh=True)
        found = await journal.newest_asked_in(MessageId(1))
    assert found is not None
    assert found.question.id == 1


async def test_a_message_leads_to_its_newest_question_when_a_write_of_the_earlier_was_cut_off(
    journal: Journal,
) -> None:
    await journal.accept(question(1))
    writing = asyncio.create_task(journal.start(QuestionId(1)))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await journal.accept(question(2).merge(question(1)))
    found = await journal.newest_asked_in(MessageId(1))
    assert found is not None
    assert found.question.id == 2
