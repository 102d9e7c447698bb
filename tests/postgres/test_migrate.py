"""The same promises as on SQLite: these are its tests, on this folder's ``location``."""

from sqlalchemy import Connection, Engine

from bot.storage.migrate import IDLE_MS, upgrade
from tests.unit.storage.test_migrate import *  # noqa: F403 - whatever tests there are


def _limits_ms(connection: Connection) -> list[int]:
    query = (
        "SELECT setting::int FROM pg_settings WHERE name IN "
        "('statement_timeout', 'idle_in_transaction_session_timeout') ORDER BY name"
    )
    return [row[0] for row in connection.exec_driver_sql(query)]


def test_an_upgrade_has_time_for_a_large_table_and_for_a_busy_machine(engine: Engine) -> None:
    with engine.begin() as connection:
        before = _limits_ms(connection)
        upgrade(connection)
        assert _limits_ms(connection) == [IDLE_MS, 0]
    with engine.begin() as connection:
        assert _limits_ms(connection) == before == [4_000, 10_000]
