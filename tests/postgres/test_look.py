"""A look at a real server before a start: what is wrong is told apart."""

from __future__ import annotations

from bot.storage.inspection import server_problem
from tests.postgres.server import PostgresServer


def test_a_server_that_can_be_used_has_no_problem(location: str) -> None:
    assert server_problem(location) == ""


def test_what_is_wrong_is_told_apart(server: PostgresServer, location: str) -> None:
    database = location.rsplit("/", 1)[1]
    assert "password" in server_problem(server.url(database, password="wrong"))
    assert "no such database" in server_problem(server.url("nowhere"))


def test_a_server_that_is_off_is_named(server: PostgresServer, location: str) -> None:
    server.stop()
    assert "nothing listens" in server_problem(location)
