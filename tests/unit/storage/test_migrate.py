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

from bot.storage import migrations
from bot.storage.engine import build_engine, parse_location
from bot.storage.migrate import create_at_head, ensure_schema, upgrade
from bot.storage.schema import HEAD, insert_new, metadata, state, upsert

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
