"""A database in the test's own folder. ``tests/postgres`` has the same fixtures for PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bot.storage.database import Database, open_database
from tests.support.clock import FakeClock

# Where a file that is open keeps its name, none can be lost.
collect_ignore = ["test_lost_file.py"] if sys.platform == "win32" else []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clawbot.db"


@pytest.fixture
def location(path: Path) -> str | Path:
    """What ``open_database`` is given."""
    return path


@pytest.fixture
async def database(location: str | Path, clock: FakeClock) -> AsyncGenerator[Database, None]:
    async with open_database(location, clock) as opened:
        yield opened
