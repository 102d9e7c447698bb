"""Looks at a database's file, before a start, that change nothing."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import Executable, select, text
from sqlalchemy.exc import SQLAlchemyError

from bot.storage import engine as engines
from bot.storage import postgres
from bot.storage.open_file import KEPT, set_aside_files
from bot.storage.schema import HEAD, state


def damage_of(path: Path) -> str:
    """Return what is damaged about an SQLite file; empty when nothing is.

    Also beside a running bot: nothing is locked for longer than a read.

    Raises:
        OSError: It can't be looked at.
    """
    if path.stat().st_size == 0:
        return ""
    for engine in engines.build_readers(path, is_shared=True):
        try:
            if engines.looks_damaged(engine):
                return "SQLite's own check fails"
        except SQLAlchemyError as exc:
            if engines.is_corrupt(exc):
                return engines.cause(exc)
            continue
        finally:
            engine.dispose()
        return ""
    return ""


def is_newer(path: Path) -> bool:
    """Return whether a later version of the program wrote an SQLite file.

    Revisions are numbers of four digits, so their order is that of their text.
    """
    return str(_read(path, text("SELECT version_num FROM alembic_version")) or "") > HEAD


def state_of(path: Path, key: str) -> object:
    """Return a value that a bot keeps in an SQLite file; ``None`` where it can't be read."""
    try:
        is_empty = not path.is_file() or path.stat().st_size == 0
    except OSError:
        return None
    stored = None if is_empty else _read(path, select(state.c.value).where(state.c.key == key))
    try:
        return json.loads(str(stored)) if stored else None
    except ValueError:
        return None


def _read(path: Path, query: Executable) -> object:
    """Return the one value that a query finds in a file; ``None`` for none, and where it can't be read."""
    try:
        return engines.read_anyhow(path, lambda c: c.execute(query).scalar(), is_shared=True)
    except SQLAlchemyError:
        return None


def server_problem(location: str) -> str:
    """Try to reach a database server; return why it can't be used, empty when it can.

    Nothing is changed or held there. Takes as long as the connection may (``postgres``).

    Raises:
        ConfigurationError: The URL can't be read, or the driver isn't installed.
    """
    engine = engines.build_engine(engines.parse_location(location))
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as exc:
        return postgres.plain_problem(exc)
    finally:
        engine.dispose()
    return ""


def leftovers_of(path: Path) -> list[str]:
    """Return a sentence on each file that was set aside and waits for a person."""
    return [KEPT.format(name=file.name) for file in set_aside_files(path)]
