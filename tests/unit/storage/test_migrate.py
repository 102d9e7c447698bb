"""The schema: created at once, or built step by step, with the same result."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from bot.core.domain import ChannelId, GuildId, MessageId, Place, PlaceKind, QuestionId, UserId
from bot.core.errors import ConfigurationError
from bot.core.ports import Outcome
from bot.storage import migrations
from bot.storage.database import open_database
from bot.storage.engine import build_engine, parse_location
from bot.storage.journal import SqlJournal
from bot.storage.migrate import create_at_head, ensure_schema, upgrade
from bot.storage.question_codec import encode
from bot.storage.schema import HEAD, insert_new, metadata, state, to_ms, upsert
from bot.storage.setting_types import Scope
from bot.storage.settings_store import SettingsStore
from bot.storage.state import StateStore
from config.settings import LiveSettings, Settings
from tests.support.clock import FakeClock
from tests.unit.storage.questions import question

SCRIPTS = ScriptDirectory(str(next(iter(migrations.__path__))))
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()]


@pytest.fixture
def engine(location: str | Path) -> Iterator[Engine]:
    built = build_engine(parse_location(location))
    yield built
    built.dispose()


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def _shape(connection: Connection) -> dict[str, object]:
    """Return columns, keys and indexes of every table."""
    inspector = inspect(connection)
    return {
        name: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)],
            inspector.get_pk_constraint(name),
            inspector.get_foreign_keys(name),
            sorted((i["name"], tuple(i["column_names"])) for i in inspector.get_indexes(name)),
        )
        for name in sorted(inspector.get_table_names())
    }


def test_the_program_expects_the_newest_revision() -> None:
    assert SCRIPTS.get_current_head() == HEAD


@pytest.mark.parametrize("revision", [None, *REVISIONS])
def test_from_every_revision_the_steps_lead_to_the_tables(
    engine: Engine, revision: str | None
) -> None:
    with engine.begin() as connection:
        if revision is not None:
            upgrade(connection, revision)
        upgrade(connection)
        assert _differences(connection) == []
        versions = connection.execute(text("SELECT version_num FROM alembic_version")).all()
        assert [tuple(row) for row in versions] == [(HEAD,)]


def test_questions_of_the_first_schema_learn_whose_they_are_and_their_size(engine: Engine) -> None:
    asked = {"asker": {"id": 2**63 - 1}, "place": {"guild_id": 7}, "text": "NUL \x00 \ud800"}
    direct = {"asker": {"id": 9}, "place": {"guild_id": None}}
    insert = text(
        "INSERT INTO questions VALUES (:id, 1, 'closed', 'delivered', 1, :question, '[]', '\"\"', "
        "'\"\"', 0)"
    )
    with engine.begin() as connection:
        upgrade(connection, "0001")
        for number, stored in enumerate((json.dumps(asked), json.dumps(direct), "damaged"), 1):
            connection.execute(insert, {"id": number, "question": stored})
        upgrade(connection)
        query = text("SELECT asker_id, guild_id, size_bytes FROM questions ORDER BY id")
        rows = [tuple(row) for row in connection.execute(query)]
    assert [row[:2] for row in rows] == [(2**63 - 1, 7), (9, 0), (0, 0)]
    assert all(row[2] > 10 for row in rows)


def test_messages_of_the_second_schema_lead_to_the_question_that_was_asked_last_in_them(
    engine: Engine,
) -> None:
    alone = {"message": {"id": 2**63 - 2}, "joined": []}
    both = {"message": {"id": 5}, "joined": [{"id": 2**63 - 2}]}
    insert = text(
        "INSERT INTO questions VALUES (:id, 1, 'closed', 'delivered', 1, :question, '[]', '\"\"', "
        "'\"\"', 0, 9, 7, 100)"
    )
    with engine.begin() as connection:
        upgrade(connection, "0002")
        for number, stored in enumerate(
            (json.dumps(alone), json.dumps(both), json.dumps({"message": None}), "damaged"), 1
        ):
            connection.execute(insert, {"id": number, "question": stored})
        upgrade(connection)
        query = text("SELECT message_id, question_id FROM asking_messages ORDER BY message_id")
        assert [tuple(row) for row in connection.execute(query)] == [(5, 2), (2**63 - 2, 2)]


@pytest.mark.parametrize("stored", ["[5, 6]", "[]", "null", "damaged", '{"a": 1}'])
def test_notices_of_the_sixth_schema_become_rows(engine: Engine, stored: str) -> None:
    with engine.begin() as connection:
        upgrade(connection, "0006")
        row = {"value": stored}
        connection.execute(text("INSERT INTO state VALUES ('notices', :value, 0)"), row)
        upgrade(connection)
        ids = connection.execute(text("SELECT message_id FROM notices ORDER BY 1")).scalars().all()
        assert ids == ([5, 6] if stored == "[5, 6]" else [])
        assert connection.execute(text("SELECT count(*) FROM state")).scalar() == 0


@pytest.mark.parametrize("revision", REVISIONS)
async def test_all_that_an_earlier_version_kept_is_there_after_the_upgrade(
    engine: Engine, location: str | Path, clock: FakeClock, revision: str
) -> None:
    with engine.begin() as connection:
        upgrade(connection, revision)
        for table, rows in _kept_before(to_ms(clock.now())).items():
            for row in rows:
                values = ", ".join(f":{name}" for name in row)
                insert = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})"  # noqa: S608 - the test's own names
                connection.execute(text(insert), row)
    engine.dispose()
    async with open_database(location, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert [entry.question.text for entry in await journal.pending()] == ["Open?"]
        done = await journal.entry(QuestionId(1))
        assert done is not None
        assert (done.question.asker.name, done.posted) == ("Ann", (MessageId(11), MessageId(12)))
        assert (done.outcome, done.thinking, done.details) == (Outcome.DELIVERED, "Hm.", "tiny")
        assert await journal.last_seen() == {ChannelId(50): MessageId(12)}
        assert not await journal.accept(question(1))
        assert await journal.accept(question(3))
        settings = await SettingsStore.open(database, LiveSettings(Settings()))
        here = Place(PlaceKind.GUILD_TEXT, ChannelId(50), GuildId(7))
        assert settings.effective(here).temperature == pytest.approx(0.2)
        in_guild = Scope.in_guild(GuildId(7))
        await settings.undo(in_guild, UserId(9), clock.now())
        assert settings.effective(here).temperature == pytest.approx(0.5)
        assert (await StateStore.open(database, clock)).get("alive_at") == 1.5


def _kept_before(now_ms: int) -> dict[str, list[dict[str, object]]]:
    """Return rows of every table, with the columns that the first version had."""

    def asked(number: int, words: str, status: str, outcome: str | None) -> dict[str, object]:
        return {
            "id": number,
            "channel_id": 50,
            "state": status,
            "outcome": outcome,
            "attempts": 1,
            "question": json.dumps(encode(question(number, words))),
            "chunks": json.dumps([]),
            "thinking": json.dumps("Hm."),
            "details": json.dumps("tiny"),
            "updated_at_ms": now_ms,
        }

    where = {"layer": "guild", "scope_id": 7, "key": "temperature", "guild_id": 7}
    when = {"changed_by": 9, "changed_at_ms": now_ms}
    return {
        "questions": [asked(1, "Done?", "closed", "delivered"), asked(2, "Open?", "running", None)],
        "posted_messages": [
            {"message_id": 11 + ordinal, "question_id": 1, "ordinal": ordinal} for ordinal in (0, 1)
        ],
        "channels": [{"channel_id": 50, "message_id": 12, "updated_at_ms": now_ms}],
        "settings": [{**where, "value": "0.2", **when}],
        "setting_changes": [
            {**where, "old_value": None, "new_value": "0.5", **when},
            {**where, "old_value": "0.5", "new_value": "0.2", **when},
        ],
        "state": [{"key": "alive_at", "value": "1.5", "updated_at_ms": now_ms}],
    }


def test_created_at_once_is_the_same_as_step_by_step(engine: Engine) -> None:
    with engine.begin() as connection:
        create_at_head(connection)
        at_once = _shape(connection)
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        upgrade(connection)
        assert _shape(connection) == at_once


def test_a_step_that_fails_leaves_nothing_behind(engine: Engine) -> None:
    def fail(connection: Connection) -> None:
        create_at_head(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), engine.begin() as connection:
        fail(connection)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == []


def test_ensuring_twice_changes_nothing(engine: Engine) -> None:
    for _ in range(2):
        with engine.begin() as connection:
            ensure_schema(connection)
            assert _differences(connection) == []


def test_downgrades_lead_back_to_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        upgrade(connection)
        with Operations.context(MigrationContext.configure(connection)):
            for script in SCRIPTS.walk_revisions():
                script.module.downgrade()
        assert inspect(connection).get_table_names() == ["alembic_version"]


def test_postgresql_takes_the_same_tables() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    script = io.StringIO()
    for table in metadata.sorted_tables:
        script.write(str(CreateTable(table).compile(dialect=dialect)))
    ddl = script.getvalue()
    assert "id BIGINT NOT NULL" in ddl
    assert "id SERIAL NOT NULL" in ddl
    assert parse_location("postgresql://u:p@h/db").drivername == "postgresql+psycopg"


def test_rows_are_inserted_once_and_replaced_when_asked(engine: Engine) -> None:
    row = {"key": "a", "value": "1", "updated_at_ms": 0}
    with engine.begin() as connection:
        create_at_head(connection)
        assert insert_new(connection, state, row)
        assert not insert_new(connection, state, {**row, "value": "2"})
        upsert(connection, state, [{**row, "value": "3"}, {**row, "key": "b"}])
        rows = connection.execute(text("SELECT key, value FROM state ORDER BY key")).all()
    assert [tuple(r) for r in rows] == [("a", "3"), ("b", "1")]


def test_a_table_that_was_dropped_is_made_again(engine: Engine) -> None:
    with engine.begin() as connection:
        ensure_schema(connection)
        connection.execute(text("DROP TABLE state"))
    with engine.begin() as connection:
        assert not ensure_schema(connection)
        assert _differences(connection) == []


@pytest.mark.parametrize(
    "harm", ["DELETE FROM alembic_version", "UPDATE alembic_version SET version_num = ''"]
)
def test_a_database_that_doesnt_know_its_version_is_one_sentence(engine: Engine, harm: str) -> None:
    with engine.begin() as connection:
        ensure_schema(connection)
        connection.execute(text(harm))
    with pytest.raises(ConfigurationError, match="which version"), engine.begin() as connection:
        ensure_schema(connection)


def test_the_database_of_a_newer_program_is_refused_with_what_to_do(engine: Engine) -> None:
    with engine.begin() as connection:
        ensure_schema(connection)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    afresh = "data folder" if engine.dialect.name == "sqlite" else "another, empty database"
    with pytest.raises(ConfigurationError, match=afresh), engine.begin() as connection:
        ensure_schema(connection)
