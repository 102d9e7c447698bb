"""Why a database server can't be used, also where it speaks another language than English."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bot.storage.postgres import plain_problem

GERMAN = "connection failed: FATAL:  Passwort-Authentifizierung fehlgeschlagen"


class _RefusedError(Exception):
    """A failure with what psycopg's carry."""

    def __init__(
        self, text: str, sqlstate: str | None = None, *, used: bool = False, needs: bool = False
    ) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.pgconn = SimpleNamespace(used_password=used, needs_password=needs)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (_RefusedError(GERMAN, "28P01"), "user or password is wrong"),
        (_RefusedError("FATAL:  Datenbank existiert nicht", "3D000"), "no such database"),
        (_RefusedError(GERMAN, used=True), "the user, the password or the database's name"),
        (_RefusedError("fe_sendauth: no password supplied", needs=True), "none is configured"),
        (_RefusedError("FATAL: password authentication failed", used=True), "password is wrong"),
        (_RefusedError("Connection refused"), "nothing listens"),
        (_RefusedError("something"), "refuses the connection"),
    ],
    ids=str,
)
def test_a_code_counts_before_words_and_what_was_asked_for_after_them(
    failure: Exception, said: str
) -> None:
    assert said in plain_problem(failure)
