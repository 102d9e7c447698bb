"""Brings a database to the program's schema: creates, upgrades, or refuses one that is newer."""

from __future__ import annotations

import importlib
import logging
from typing import Final

from sqlalchemy import Connection, String, column, inspect, select, table

from bot.core.errors import ConfigurationError
from bot.storage.schema import HEAD, metadata

_log = logging.getLogger(__name__)

_VERSION_TABLE: Final = table("alembic_version", column("version_num", String(32)))
"""Alembic's own bookkeeping, read directly: importing Alembic costs 9 MiB and a third of a second."""

IDLE_MS: Final = 60_000
"""The longest pause between two statements of an upgrade, on PostgreSQL, in ms."""


def ensure_schema(connection: Connection) -> bool:
    """Make the database match ``HEAD``; call inside a transaction, which then covers all steps.

    Returns:
        Whether the database was empty.

    Raises:
        ConfigurationError: The database was written by a newer version of the program.
    """
    names = set(inspect(connection).get_table_names())
    if "alembic_version" not in names:
        if metadata.tables.keys() & names:
            raise ConfigurationError(
                "The database has tables of other software under the names this program uses; "
                "point CLAWBOT_DATABASE_URL at a database of its own."
            )
        create_at_head(connection)
        return True
    current = connection.execute(select(_VERSION_TABLE.c.version_num)).scalar()
    if not current:
        raise ConfigurationError(
            "The database doesn't say any more which version of this program wrote it: "
            f"bring back a backup, or start with {_empty(connection)}."
        )
    if current != HEAD:
        upgrade(connection)
    elif metadata.tables.keys() - names:
        metadata.create_all(connection)
    return False


def create_at_head(connection: Connection) -> None:
    """Create all tables at once and note the revision, without Alembic."""
    metadata.create_all(connection)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(_VERSION_TABLE.insert().values(version_num=HEAD))


def upgrade(connection: Connection, target: str = "head") -> None:
    """Apply the revisions between the database's own and ``target``, oldest first.

    Raises:
        ConfigurationError: The database is at a revision this program doesn't know.
    """
    if connection.dialect.name == "postgresql":
        # A session's own limits are short, which suits neither a large table nor a busy machine.
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {IDLE_MS}")
    from alembic.migration import MigrationContext  # noqa: PLC0415 - heavy, and rarely needed
    from alembic.operations import Operations  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from alembic.script.revision import RevisionError  # noqa: PLC0415

    context = MigrationContext.configure(connection)
    scripts = ScriptDirectory(_script_folder())
    current = context.get_current_revision()
    try:
        steps = list(scripts.iterate_revisions(target, current))
    except RevisionError as exc:
        raise ConfigurationError(
            "The database was written by a newer version of this program: "
            f"install that version again, or start with {_empty(connection)}."
        ) from exc
    for step in reversed(steps):
        with Operations.context(context):
            step.module.upgrade()
        context.stamp(scripts, step.revision)
        _log.info("Database brought to schema %s", step.revision)


def _empty(connection: Connection) -> str:
    return (
        "an empty data folder" if connection.dialect.name == "sqlite" else "another, empty database"
    )


def _script_folder() -> str:
    package = importlib.import_module("bot.storage.migrations")
    return str(next(iter(package.__path__)))
