"""A pooler between the bot and PostgreSQL (PgBouncer, where it is installed)."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.core.errors import ConfigurationError, StoreError
from bot.diagnostics.storage import probe_database
from bot.diagnostics.values import Status
from bot.storage.lease import LeaseSession
from tests.postgres.server import USER, PostgresServer, find_pooler, free_port, owner


@contextmanager
def pooler(server: PostgresServer, mode: str, *lines: str) -> Iterator[int]:
    """Run a pooler in front of the server, and give its port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="clawbot-pooler-") as folder:
        Path(folder).chmod(0o755)
        settings = Path(folder) / "pgbouncer.ini"
        where = f"host=127.0.0.1 port={server.port} user={USER} password={server.password}"
        text = ["[databases]", f"* = {where}", "[pgbouncer]", "listen_addr = 127.0.0.1"]
        text += [
            f"listen_port = {port}",
            "auth_type = any",
            "unix_socket_dir =",
            f"pool_mode = {mode}",
        ]
        settings.write_text("\n".join([*text, *lines, ""]))
        process = subprocess.Popen(  # noqa: S603 - the pooler's own program, our arguments
            [str(find_pooler()), str(settings)], user=owner(), stderr=subprocess.PIPE
        )
        try:
            assert process.stderr is not None
            assert any(b"process up" in line for line in process.stderr)
            yield port
        finally:
            process.terminate()
            process.communicate(timeout=20)


def opened(location: str, server: PostgresServer, port: int) -> LeaseSession:
    """Return a session by way of the pooler."""
    session = LeaseSession(location.replace(f":{server.port}/", f":{port}/"))
    session.open()
    return session


def test_a_pooler_that_lends_sessions_between_transactions_is_refused(
    server: PostgresServer, location: str
) -> None:
    with (
        pooler(server, "transaction", "ignore_startup_parameters = options") as port,
        pytest.raises(ConfigurationError, match="A pooler stands between"),
    ):
        opened(location, server, port)


async def test_the_check_says_that_a_pooler_is_refused_before_a_start_does(
    server: PostgresServer, location: str
) -> None:
    with pooler(server, "transaction", "ignore_startup_parameters = options") as port:
        found = await probe_database(location.replace(f":{server.port}/", f":{port}/"))
    assert found.status is Status.FAILED
    assert "have it pool by session" in found.advice


def test_a_pooler_that_pools_by_session_is_as_good_as_the_server(
    server: PostgresServer, location: str
) -> None:
    with pooler(server, "session", "ignore_startup_parameters = options") as port:
        session = opened(location, server, port)
        assert session.take()
        session.close()


def test_a_pooler_that_refuses_a_session_s_settings_is_named(
    server: PostgresServer, location: str
) -> None:
    with (
        pooler(server, "session") as port,
        pytest.raises(StoreError, match="a pooler in between refuses"),
    ):
        opened(location, server, port)
