"""One server for all tests of this folder, an empty database for each.

Where there is no server's program or no driver, the folder holds no tests; ``.ci/run`` installs both,
and the pooler of one file.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from bot.storage.database import Database, open_database
from tests.postgres.server import PostgresServer, find_pooler, find_programs, run_server
from tests.support.clock import FakeClock

PROGRAMS = find_programs()
HAS_DRIVER = importlib.util.find_spec("psycopg") is not None
collect_ignore_glob = [] if PROGRAMS and HAS_DRIVER else ["test_*.py"]
collect_ignore = [] if find_pooler() else ["test_pooler.py"]


@pytest.fixture(scope="session")
def running_server() -> Iterator[PostgresServer]:
    """A server that lasts as long as the tests."""
    with run_server(PROGRAMS or Path()) as running:
        yield running


@pytest.fixture
def server(running_server: PostgresServer) -> Iterator[PostgresServer]:
    """The server, started again if the test before has stopped it."""
    running_server.start()
    yield running_server
    running_server.drop_databases()


@pytest.fixture
def location(server: PostgresServer) -> str:
    """The URL of an empty database."""
    return server.new_database()


@pytest.fixture
async def database(location: str, clock: FakeClock) -> AsyncGenerator[Database, None]:
    async with open_database(location, clock) as opened:
        yield opened
