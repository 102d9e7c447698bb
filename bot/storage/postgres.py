"""PostgreSQL: how it is connected to, and what its errors mean."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

CONNECT_TIMEOUT_S: Final = 5
"""Seconds to reach the server; libpq counts them for each address of its host name."""

STATEMENT_TIMEOUT_MS: Final = 10_000
"""Milliseconds one statement may take."""

LOCK_TIMEOUT_MS: Final = 3_000
"""Milliseconds to wait for a lock: only a backup or a person's shell ever holds one, and a bot that was
killed or cut off for a moment longer."""

_CONNECTION: Final = {
    "application_name": "clawbot",
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 4_000,
}
"""libpq parameters; those of the URL come first. Without them a server that vanishes (a cable, a
power cut) would block the thread for a quarter of an hour (libpq: connection control functions)."""

_SESSION: Final = {
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "lock_timeout": LOCK_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": 4_000,
    "tcp_keepalives_idle": 2,
    "tcp_keepalives_interval": 1,
    "tcp_keepalives_count": 2,
}
"""Server parameters of each session: they also end the sessions of a bot that vanished or stands still, and
with them its hold of the database and its open transaction, within 4 s; none of ours waits for anything
while it is open. The URL's ``options`` override them."""

CHANNEL: Final = "clawbot"
"""On which processes with the same database tell each other of changes (PostgreSQL: NOTIFY)."""


class News(StrEnum):
    """What has changed."""

    SETTINGS = "settings"
    """Settings that are set by command."""
    PEOPLE = "people"
    """Who isn't read, and which servers were left."""
    STATE = "state"
    """Small things, such as which models servers may use."""
    SLOTS = "slots"
    """Who has slots of the model, or wants some."""
    FORGET = "forget"
    """Somebody's data is deleted; with whose."""


def announce(connection: Connection, news: News, about: str = "") -> None:
    """Tell other processes of a change once it is committed; with SQLite there are none."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY, {"channel": CHANNEL, "news": f"{news.value}:{about}"})


_NOTIFY: Final = text("SELECT pg_notify(:channel, :news)")

TOO_MANY: Final = "it has too many connections"
"""Why a server can't be used that, or whose user or database, has reached its limit."""

_UNDEFINED_TABLE: Final = "42P01"
"""PostgreSQL: error codes."""

_CODES: Final = {
    "28P01": "its user or password is wrong",
    "28000": "it doesn't allow this user or machine in (pg_hba.conf)",
    "3D000": "it has no such database",
    "53300": TOO_MANY,
}
_PROBLEMS: Final = (
    (
        "startup parameter",
        "a pooler in between refuses a session's settings; use PostgreSQL itself",
    ),
    ("authentication failed", "its user or password is wrong"),
    ("does not exist", "it has no such database or user"),
    ("resolve host", "its name can't be resolved"),
    ("translate host", "its name can't be resolved"),
    ("refused", "nothing listens at that address and port"),
    ("timeout", "it doesn't answer"),
    ("timed out", "it doesn't answer"),
    ("no pg_hba.conf entry", "it doesn't allow this machine in (pg_hba.conf)"),
    ("too many", TOO_MANY),
)
"""Words of libpq's and the server's messages; they hold addresses, so they are never shown. libpq
keeps no error code of a connection that fails, and a server may speak another language."""


def plain_problem(exc: BaseException) -> str:
    """Return in a few words why a server can't be used."""
    origin = exc.orig if isinstance(exc, DBAPIError) else exc
    if (by_code := _CODES.get(_code(exc) or "")) is not None:
        return by_code
    said = str(origin).lower()
    if (by_words := next((words for sign, words in _PROBLEMS if sign in said), None)) is not None:
        return by_words
    connection = getattr(origin, "pgconn", None)
    if getattr(connection, "needs_password", False):
        return "it wants a password, and none is configured"
    if getattr(connection, "used_password", False):
        return "it refuses the user, the password or the database's name"
    return "it refuses the connection"


def build_engine(url: URL) -> Engine:
    """Return an engine of one connection, which isn't tried before each use: that would be a round trip.

    Whoever finds it broken makes it again (``Worker``).

    Args:
        url: With a driver.

    Raises:
        ImportError: The driver isn't installed.
    """
    parameters: dict[str, Any] = {
        name: value for name, value in _CONNECTION.items() if name not in url.query
    }
    own = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    theirs = url.query.get("options", "")
    parameters["options"] = f"{own} {theirs if isinstance(theirs, str) else ' '.join(theirs)}"
    return create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
        connect_args=parameters,
    )


def is_empty(exc: BaseException) -> bool:
    """Return whether the tables are gone: the server came back with another disk, or none."""
    return _code(exc) == _UNDEFINED_TABLE


def _code(exc: BaseException) -> str | None:
    origin = exc.orig if isinstance(exc, DBAPIError) else exc
    code = getattr(origin, "sqlstate", None)
    return code if isinstance(code, str) else None
