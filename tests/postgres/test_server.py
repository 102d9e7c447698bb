"""A server that goes away, hangs or refuses."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import text

from bot.core.domain import ChannelId, GuildId, Place, PlaceKind, QuestionId, UserId
from bot.core.errors import ConfigurationError, DependencyError, StoreError
from bot.core.ports import Outcome
from bot.storage.database import Database, open_database
from bot.storage.journal import SqlJournal
from bot.storage.setting_types import Scope
from bot.storage.settings_store import SettingsStore
from config.settings import LiveSettings, Settings
from tests.postgres.server import PostgresServer
from tests.support.clock import FakeClock
from tests.unit.storage.questions import question
from tests.unit.storage.recovery import until_recovered
from tests.unit.storage.test_faults import (  # noqa: F401 - they hold here too
    test_a_fault_in_our_own_work_is_not_hidden,
    test_work_that_fails_does_not_take_others_with_it,
)

GUILD = Scope.in_guild(GuildId(7))
HERE = Place(PlaceKind.GUILD_TEXT, ChannelId(70), GuildId(7))


async def _settings(database: Database) -> SettingsStore:
    return await SettingsStore.open(database, LiveSettings(Settings()))


async def _refusal(url: str, clock: FakeClock) -> str:
    """Return why a database can't be opened."""
    with pytest.raises((ConfigurationError, DependencyError)) as caught:
        async with open_database(url, clock):
            pass
    return f"{type(caught.value).__name__}: {caught.value}"


async def test_without_the_server_work_goes_on_and_is_written_when_it_is_back(
    server: PostgresServer, location: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        store = await _settings(database)
        assert await journal.accept(question(1))
        await store.set(GUILD, "temperature", "0.2", UserId(1), clock.now())
        server.stop()
        for number in (2, 3):
            assert await journal.accept(question(number))
        assert not await journal.accept(question(2))
        assert database.is_degraded
        assert await journal.start(QuestionId(1)) == 1
        await journal.close(QuestionId(2), Outcome.DELIVERED)
        with pytest.raises(StoreError):
            await store.set(GUILD, "temperature", "0.9", UserId(1), clock.now())
        assert store.effective(HERE).temperature == 0.2
        server.start()
        await until_recovered(database, clock)
        assert await journal.accept(question(4))
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        pending = await journal.pending()
        assert [(e.question.id, e.attempts) for e in pending] == [(1, 1), (3, 0), (4, 0)]
        ended = await journal.entry(QuestionId(2))
        assert ended is not None
        assert ended.outcome is Outcome.DELIVERED
        assert (await _settings(database)).effective(HERE).temperature == 0.2
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1


async def test_a_restart_between_two_questions_is_not_even_noticed(
    server: PostgresServer, location: str, clock: FakeClock
) -> None:
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.accept(question(1))
        server.stop("fast")
        server.start()
        assert await journal.accept(question(2))
        assert not database.is_degraded


async def test_a_server_that_is_gone_for_good_does_not_hold_up_the_end(
    server: PostgresServer, location: str, clock: FakeClock
) -> None:
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        server.stop()
        assert await journal.accept(question(1))
    assert database.is_degraded


async def test_a_statement_that_hangs_does_not_hold_up_the_answers(
    server: PostgresServer, location: str, clock: FakeClock
) -> None:
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        with server.connection(location) as other:
            other.exec_driver_sql("BEGIN")
            other.exec_driver_sql("LOCK TABLE questions")
            database._limit_s = 0
            assert await journal.accept(question(1))
            assert await journal.start(QuestionId(1)) == 1
            assert database.is_degraded
        database._limit_s = 10
        await until_recovered(database, clock)
    async with open_database(location, clock) as database:
        entry = await (await SqlJournal.open(database, clock, 30)).entry(QuestionId(1))
        assert entry is not None
        assert entry.attempts == 1


async def test_the_server_ends_a_statement_that_hangs_and_the_next_one_works(
    location: str, clock: FakeClock
) -> None:
    url = f"{location}?options=-c%20statement_timeout%3D200"
    async with open_database(url, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        with pytest.raises(StoreError):
            await database.write(lambda c: c.execute(text("SELECT pg_sleep(60)")))
        assert database.stuck_s == 0
        assert await journal.accept(question(1))
        if database.is_degraded:
            await until_recovered(database, clock)
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert [entry.question.id for entry in await journal.pending()] == [1]


async def test_a_server_that_comes_back_empty_is_given_what_memory_holds(
    server: PostgresServer, location: str, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        store = await _settings(database)
        await journal.accept(question(1))
        await store.set(GUILD, "temperature", "0.2", UserId(1), clock.now())
        with server.connection(location) as other:
            other.exec_driver_sql("DROP SCHEMA public CASCADE")
            other.exec_driver_sql("CREATE SCHEMA public")
        assert await journal.accept(question(2))
        await until_recovered(database, clock)
        assert "made anew" in caplog.text
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert [entry.question.id for entry in await journal.pending()] == [1, 2]
        assert (await _settings(database)).effective(HERE).temperature == 0.2


async def test_tables_of_a_newer_program_are_not_written_while_running(
    server: PostgresServer, location: str, clock: FakeClock
) -> None:
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        server.stop()
        assert await journal.accept(question(1))
        server.start()
        with server.connection(location) as other:
            other.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(StoreError, match="newer version"):
            await database.write(lambda c: c.execute(text("DELETE FROM state")))
        assert await journal.accept(question(2))
        assert database.is_degraded


async def test_a_read_only_database_still_gives_its_settings(
    location: str, clock: FakeClock
) -> None:
    async with open_database(location, clock) as database:
        store = await _settings(database)
        await store.set(GUILD, "temperature", "0.2", UserId(1), clock.now())
    url = f"{location}?options=-c%20default_transaction_read_only%3Don"
    async with open_database(url, clock) as database:
        store = await _settings(database)
        journal = await SqlJournal.open(database, clock, 30)
        with pytest.raises(StoreError):
            await store.set(GUILD, "temperature", "0.9", UserId(1), clock.now())
        assert store.effective(HERE).temperature == 0.2
        assert database.is_degraded
        assert await journal.accept(question(1))


async def test_a_value_that_does_not_fit_is_no_fault_of_the_server(database: Database) -> None:
    row = {"key": "x" * 65, "value": "1", "updated_at_ms": 0}
    statement = text("INSERT INTO state VALUES (:key, :value, :updated_at_ms)")
    with pytest.raises(StoreError):
        await database.write(lambda c: c.execute(statement, row))
    assert not database.is_degraded


async def test_both_ends_notice_when_the_other_vanishes(database: Database) -> None:
    names = ("statement_timeout", "lock_timeout", "tcp_keepalives_idle", "application_name")
    query = text(f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}")
    shown = await database.read(lambda c: tuple(c.execute(query).one()))
    assert shown == ("10s", "3s", "2", "clawbot")


async def test_what_is_wrong_is_one_sentence_without_the_password(
    server: PostgresServer, location: str, clock: FakeClock
) -> None:
    wrong = await _refusal(server.url("postgres", password="planted-secret"), clock)
    assert "DependencyError" in wrong
    assert "password authentication failed" in wrong
    missing = await _refusal(server.url("nowhere"), clock)
    assert 'database "nowhere" does not exist' in missing
    unknown = await _refusal(f"{location}?sslmod=require", clock)
    assert "ConfigurationError" in unknown
    assert "sslmod" in unknown
    server.stop()
    down = await _refusal(location, clock)
    assert "DependencyError: I can't reach the database" in down
    for sentence in (wrong, missing, unknown, down):
        assert "planted-secret" not in sentence
        assert server.password not in sentence
        assert "\n" not in sentence


async def test_a_user_who_may_not_create_tables_is_told_so(
    server: PostgresServer, location: str, clock: FakeClock
) -> None:
    with server.connection(location) as other:
        other.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        other.exec_driver_sql("DROP ROLE IF EXISTS guest")
        other.exec_driver_sql("CREATE ROLE guest LOGIN PASSWORD 'planted-secret'")
    database = location.rpartition("/")[2]
    url = server.url(database, user="guest", password="planted-secret")
    refusal = await _refusal(url, clock)
    assert "ConfigurationError" in refusal
    assert "permission denied for schema public" in refusal
    assert "owner" in refusal


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "newer version"),
        ("DROP TABLE alembic_version", "other software"),
    ],
)
async def test_a_database_that_is_not_ours_is_left_alone(
    server: PostgresServer, location: str, clock: FakeClock, statement: str, reason: str
) -> None:
    async with open_database(location, clock):
        pass
    with server.connection(location) as other:
        other.exec_driver_sql(statement)
    assert reason in await _refusal(location, clock)
