"""A database in the test's own folder."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bot.store.database import Database, open_database
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clawbot.db"


@pytest.fixture
async def database(path: Path, clock: FakeClock) -> AsyncGenerator[Database, None]:
    async with open_database(path, clock) as opened:
        yield opened
