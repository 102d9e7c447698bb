"""Which file goes on after the open one was lost: none of those that are there is deleted."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from bot.core.errors import ConfigurationError
from bot.storage import engine as engines
from bot.storage.migrate import ensure_schema
from bot.storage.notices import BEGUN_ANEW, REPLACED, WRITTEN_AGAIN
from bot.storage.open_file import Loss, move_aside, set_aside_name


def take_over(url: URL, path: Path, loss: Loss, rescued: Path | None, now: datetime) -> str:
    """Put the right file in place, and return what to tell the operator.

    Args:
        url: Opens what is at ``path``.
        path: Where the lost file was.
        loss: What happened to it.
        rescued: What the open connection still saw, in a file of its own, if it saw anything.
        now: For the names of files that are set aside.

    Raises:
        OSError: Files can't be made or renamed there.
    """
    if loss is Loss.REPLACED and _is_ours(url, path):
        if rescued is None:
            return REPLACED
        kept = set_aside_name(path, "replaced", now)
        rescued.replace(kept)
        return f"{REPLACED} What the one before held is kept as {kept.name}."
    if loss is Loss.REPLACED and path.exists() and path.stat().st_size > 0:
        move_aside(path, now, "lost")
    if rescued is None:
        engines.create_private_file(path)
        return BEGUN_ANEW
    rescued.replace(path)
    return WRITTEN_AGAIN


def _is_ours(url: URL, path: Path) -> bool:
    """Return whether a file is a sound database of this program, and not an empty one."""
    engine = engines.build_engine(url)
    try:
        if path.stat().st_size == 0 or engines.looks_damaged(engine):
            return False
        with engine.begin() as connection:
            return not ensure_schema(connection)
    except (SQLAlchemyError, ConfigurationError):
        return False
    finally:
        engine.dispose()
