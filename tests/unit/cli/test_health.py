"""What the health routes say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from bot.core.ports import ServerState
from bot.ops.health import LAG_S, STUCK_S, health, readiness, standing_by
from bot.ops.watchdog import LoopLag, Patience
from bot.storage.postgres import CONNECT_TIMEOUT_S, STATEMENT_TIMEOUT_MS
from tests.support.clock import FakeClock

UP, DOWN, UNKNOWN = (ServerState(is_up, "closed") for is_up in (True, False, None))


def test_a_late_loop_or_a_lost_thread_is_ill() -> None:
    assert all(found.is_ok for found in health(lag_s=LAG_S, stuck_s=STUCK_S))
    assert [f.is_ok for f in health(lag_s=LAG_S + 0.1, stuck_s=0.0)] == [False, True]
    assert [f.is_ok for f in health(lag_s=0.0, stuck_s=STUCK_S + 1)] == [True, False]


def test_a_database_server_that_vanished_is_given_up_before_the_bot_counts_as_ill() -> None:
    connecting_s = 2 * 2 * CONNECT_TIMEOUT_S  # each twice: a commit is tried again; IPv6 and IPv4
    assert STATEMENT_TIMEOUT_MS / 1000 + connecting_s < STUCK_S


def test_the_mark_is_the_watchdogs_first() -> None:
    assert Patience().log_s == LAG_S


@pytest.mark.parametrize(("is_online", "is_failing"), [(False, False), (True, True)])
def test_discord_and_the_database_are_needed(*, is_online: bool, is_failing: bool) -> None:
    found = readiness(is_online=is_online, is_store_failing=is_failing, servers=[UP])
    assert [finding.is_ok for finding in found] == [is_online, not is_failing, True]


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ([UP, DOWN], "answers on 1 of 2 addresses"),
        ([UNKNOWN], "not asked yet"),
        ([DOWN], "away; questions are held until it is back"),
        ([ServerState(True, "open")], "away; questions are held until it is back"),
    ],
)
def test_a_model_that_is_away_is_said_and_keeps_nothing_from_being_asked(
    servers: list[ServerState], words: str
) -> None:
    model = readiness(is_online=True, is_store_failing=False, servers=servers)[-1]
    assert (model.is_ok, model.says) == (True, words)


@dataclass
class Part:
    """A process's part among several, as far as the routes look at it."""

    is_sure: bool
    waiting: int

    @property
    def remark(self) -> str:
        """How many wait."""
        return f"{self.waiting} wait"

    async def may_post(self) -> None:
        """Never waits."""

    def doubt(self) -> None:
        """Nothing comes of it."""

    def guard(self, *_: object) -> None:
        """Everything may be written."""


@pytest.mark.parametrize("is_sure", [True, False])
def test_a_process_that_another_may_answer_for_is_not_ready(*, is_sure: bool) -> None:
    part = Part(is_sure, 2)
    found = readiness(is_online=True, is_store_failing=False, servers=[UP], lead=part)[0]
    assert found.is_ok == is_sure
    assert ("2 wait" in found.says) == is_sure


def test_one_that_waits_to_take_over_is_ready() -> None:
    assert all(found.is_ok for found in standing_by())


def test_one_that_waits_for_a_shard_needs_no_session_with_discord() -> None:
    found = readiness(is_online=False, is_store_failing=False, servers=[UP], is_standing_by=True)
    assert all(each.is_ok for each in found)


async def test_the_lag_is_what_the_loop_was_late_or_is_overdue(clock: FakeClock) -> None:
    noted: list[float] = []
    lag = LoopLag(clock)
    lag.listen(noted.append)
    measuring = asyncio.create_task(lag.measure())
    await clock.advance(1.0)
    assert noted == [pytest.approx(0.0)]
    assert lag.present_s == pytest.approx(0.0)
    measuring.cancel()
    await clock.advance(4.0)
    assert lag.present_s == pytest.approx(3.0)
