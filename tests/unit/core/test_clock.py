"""The machine's clock, put right by Discord's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.clock import SystemClock

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("behind", [timedelta(hours=2), timedelta(days=-1), timedelta(days=400)])
def test_a_clock_that_is_clearly_wrong_goes_by_discords_until_it_is_right(
    behind: timedelta,
) -> None:
    clock = SystemClock()
    assert abs(clock.told(datetime.now(UTC) + behind) - behind) < MINUTE
    assert abs(clock.now() - datetime.now(UTC) - behind) < MINUTE
    assert abs(clock.told(datetime.now(UTC))) < MINUTE
    assert abs(clock.now() - datetime.now(UTC)) < MINUTE


def test_a_clock_that_is_off_by_the_way_of_an_answer_is_left() -> None:
    clock, far = SystemClock(), SystemClock()
    clock.told(datetime.now(UTC) - timedelta(seconds=20))
    far.told(datetime.now(UTC) - timedelta(seconds=40))
    before = datetime.now(UTC)
    assert far.now() < before <= clock.now()
