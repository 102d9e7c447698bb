"""A connection that hears what other processes with the same database tell (PostgreSQL: LISTEN)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from bot.core.errors import StoreError
from bot.storage import engine as engines
from bot.storage.postgres import CHANNEL, News, plain_problem

_LOOK_S: Final = 0.5
"""Seconds between looks whether the listening is to end."""

Hear = Callable[[News, str], None]
"""Told of each piece of news, and whom it is about, in the listener's thread."""


class Listener:
    """Hears for as long as its connection lasts.

    Args:
        location: The database's URL.
    """

    def __init__(self, location: str) -> None:
        self._engine = engines.build_engine(engines.parse_location(location))
        self._is_over = threading.Event()

    def close(self) -> None:
        """End the listening, soon."""
        self._is_over.set()

    def run(self, begun: Callable[[], None], hear: Hear) -> None:
        """Listen in this thread until the connection breaks or is closed.

        Args:
            begun: Called once nothing will be missed any more.
            hear: Told of the news.

        Raises:
            StoreError: The connection broke, or can't be made.
        """
        try:
            self._run(begun, hear)
        except SQLAlchemyError as exc:
            raise StoreError(plain_problem(exc)) from exc
        except Exception as exc:
            if not exc.__class__.__module__.startswith("psycopg"):
                raise
            raise StoreError(engines.cause(exc)) from exc
        finally:
            self._engine.dispose()

    def _run(self, begun: Callable[[], None], hear: Hear) -> None:
        at_once = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        connection = at_once.connect()
        driver: Any = connection.connection.driver_connection
        try:
            connection.exec_driver_sql(f"LISTEN {CHANNEL}")
            begun()
            while not self._is_over.is_set():
                for told in driver.notifies(timeout=_LOOK_S):
                    news, _, about = told.payload.partition(":")
                    with suppress(ValueError):  # of a newer version
                        hear(News(news), about)
        finally:
            connection.invalidate()
