"""Waiting for a database to recover, and what it said meanwhile."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot.storage.database import Database
from tests.support.clock import FakeClock, settle


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged for the operator as an error, oldest first."""
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


async def drain(database: Database) -> None:
    """Let the write-backs that recovery began come to their end."""
    while database._tasks:
        await asyncio.wait(set(database._tasks))


async def until_recovered(database: Database, clock: FakeClock) -> None:
    """Move the clock from try to try until one succeeds."""
    while database.is_degraded:
        commit = database._commit
        if commit is None:
            await clock.advance(60)
        else:
            await asyncio.wait((commit,))
            await settle()
    await drain(database)
