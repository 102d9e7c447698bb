"""What is kept of one person or server: found, deleted whole, and who isn't to be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.core.concerns import Subject, holds_words_of
from bot.core.domain import GuildId, MessageId, Person, Question, QuestionId, UserId
from bot.core.ports import JournalEntry, Outcome
from bot.storage.database import Database
from bot.storage.journal import SqlJournal
from bot.storage.kept import KeptData
from bot.storage.setting_types import Scope
from bot.storage.settings_store import NOBODY, SettingsStore
from config.settings import LiveSettings, Settings
from tests.support.builders import ADA, BOB, NOON, message, question
from tests.support.clock import FakeClock

HERE, THERE = GuildId(40), GuildId(41)


@pytest.fixture
async def journal(database: Database, clock: FakeClock) -> SqlJournal:
    return await SqlJournal.open(database, clock, retention_days=30)


@pytest.fixture
async def kept(database: Database, journal: SqlJournal, clock: FakeClock) -> KeptData:
    return await KeptData.open(database, journal, clock)


async def _answered(journal: SqlJournal, asked: Question) -> None:
    await journal.accept(asked)
    await journal.answered(asked.id, ["An answer."], thinking="Hm.")
    await journal.posted(asked.id, [MessageId(asked.id + 500_000)])
    await journal.close(asked.id, Outcome.DELIVERED)


def _bobs(number: int, **fields: object) -> Question:
    said = message(number, "Bob says", author=BOB, names={ADA.id: "Ada", 5: "general"})
    return replace(question(number, "Bob says", asker=BOB, message=said), **fields)  # type: ignore[arg-type]


async def _of(kept: KeptData, person: Person) -> list[JournalEntry]:
    return [entry async for some in kept.of(Subject(person.id)) for entry in some]


async def _rows(database: Database, table: str) -> int:
    query = text(f"SELECT count(*) FROM {table}")  # noqa: S608 - a table of ours
    return int(await database.read(lambda c: c.execute(query).scalar()) or 0)


async def test_what_holds_a_persons_words_is_theirs_whoever_asked_it(
    journal: SqlJournal, kept: KeptData
) -> None:
    await _answered(journal, question(1, "by Ada"))
    await _answered(journal, question(2, "again", pressed_by=BOB.id))
    await _answered(journal, _bobs(3))
    await _answered(journal, _bobs(4, rests_on=(message(1, "by Ada"),)))
    await journal.accept(question(5, "waits"))
    assert [entry.question.id for entry in await _of(kept, ADA)] == [1, 2, 4, 5]
    assert [entry.question.id for entry in await _of(kept, BOB)] == [3, 4]


async def test_a_persons_questions_are_deleted_and_their_name_from_the_others(
    database: Database, journal: SqlJournal, kept: KeptData
) -> None:
    await _answered(journal, question(1, "by Ada"))
    await _answered(journal, _bobs(3))
    await _answered(journal, replace(_bobs(6), pressed_by=ADA.id))
    await journal.accept(question(5, "waits"))
    assert await kept.forget(Subject(ADA.id)) == 2
    assert await _of(kept, ADA) == []
    assert await journal.pending() == []
    for number in (3, 6):
        left = await journal.entry(QuestionId(number))
        assert left is not None
        assert left.question.message is not None
        assert left.question.message.names == {5: "general"}
        assert left.question.counts_for == BOB.id
    assert await _rows(database, "questions") == 2
    assert await _rows(database, "posted_messages") == 2
    assert await _rows(database, "asking_messages") == 2


async def test_work_that_ends_later_brings_nothing_back(
    database: Database, journal: SqlJournal, kept: KeptData
) -> None:
    await journal.accept(question(1, "by Ada"))
    await kept.forget(Subject(ADA.id))
    await journal.answered(QuestionId(1), ["An answer."])
    await journal.close(QuestionId(1), Outcome.STOPPED)
    assert await _rows(database, "questions") == 0


async def test_more_questions_than_one_statement_looks_at(
    database: Database, journal: SqlJournal, kept: KeptData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.storage.kept_sql.STEP", 3)
    for number in range(1, 9):
        await _answered(journal, question(number) if number % 2 else _bobs(number))
    assert len(await _of(kept, BOB)) == 4
    assert await kept.forget(Subject(ADA.id)) == 4
    assert await _rows(database, "questions") == 4


async def test_a_question_that_cant_be_read_goes_with_the_person_that_it_names(
    database: Database, journal: SqlJournal, kept: KeptData
) -> None:
    await _answered(journal, question(1))
    broken = text(f"""UPDATE questions SET question = '{{"asker": {ADA.id}}}'""")  # noqa: S608
    await database.write(lambda c: c.execute(broken))
    assert await kept.forget(Subject(ADA.id)) == 1
    assert await _rows(database, "questions") == 0


async def test_a_servers_data_goes_and_no_other_servers(
    database: Database, journal: SqlJournal, kept: KeptData, clock: FakeClock
) -> None:
    settings = await SettingsStore.open(database, LiveSettings(Settings()))
    elsewhere = replace(question(2).place, guild_id=THERE)
    await _answered(journal, question(1))
    await _answered(journal, question(2, place=elsewhere))
    for guild in (HERE, THERE):
        await settings.set(Scope.in_guild(guild), "temperature", "0.5", ADA.id, clock.now())
    assert await kept.guilds() == {HERE, THERE}
    assert await kept.forget(Subject(guild_id=HERE)) == 1
    await settings.forget_guild(HERE)
    assert await kept.guilds() == {THERE}
    assert settings.set_in(HERE) == []
    assert len(await settings.history()) == 1


async def test_a_server_keeps_its_settings_without_the_name_of_who_is_deleted(
    database: Database, clock: FakeClock
) -> None:
    settings = await SettingsStore.open(database, LiveSettings(Settings()))
    scope = Scope.in_guild(HERE)
    await settings.set(scope, "temperature", "0.5", ADA.id, clock.now())
    assert [each.key for each in settings.set_by(ADA.id)] == ["temperature"]
    assert len(await settings.changes_by(ADA.id)) == 1
    await settings.forget_author(ADA.id)
    assert settings.set_by(ADA.id) == []
    stored = settings.stored(scope, "temperature")
    assert stored is not None
    assert (stored.value, stored.changed_by) == (0.5, NOBODY)
    again = await SettingsStore.open(database, LiveSettings(Settings()))
    assert again.stored(scope, "temperature") == stored
    assert [change.changed_by for change in await again.history()] == [NOBODY]


async def test_wishes_and_departures_outlive_a_restart(
    database: Database, journal: SqlJournal, kept: KeptData, clock: FakeClock
) -> None:
    await kept.opt_out(ADA.id)
    await kept.left(HERE)
    since = clock.now()
    await clock.advance(3600)
    await kept.opt_out(ADA.id)
    await kept.left(HERE)
    again = await KeptData.open(database, journal, clock)
    assert again.opted_out_at(ADA.id) == since
    assert again.is_withheld(ADA.id)
    assert not again.is_withheld(BOB.id)
    assert again.left_before(since) == [HERE]
    assert again.left_before(since - timedelta(seconds=1)) == []
    await again.opt_in(ADA.id)
    await again.stays(HERE)
    assert not again.is_withheld(ADA.id)
    last = await KeptData.open(database, journal, clock)
    assert not last.is_withheld(ADA.id)
    assert last.left_before(clock.now()) == []


def test_whose_words_a_question_holds() -> None:
    forwarded = message(7, "look", author=BOB, forwarded_texts=("Ada said",), created_at=NOON)
    asked = question(7, asker=BOB, message=forwarded)
    assert holds_words_of(asked, BOB.id)
    assert not holds_words_of(asked, ADA.id)
    assert not holds_words_of(asked, UserId(BOB.id * 10))
