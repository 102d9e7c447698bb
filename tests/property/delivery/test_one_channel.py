"""Six answers in one channel whose bucket holds five requests in five seconds."""

from __future__ import annotations

import asyncio
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sink import Bucket
from tests.unit.delivery.helpers import DONE, STOP, DeliveryRig

_ANSWERS = 6
_BAR_S = 3.0

_GAPS = st.lists(st.floats(1.5, 4.0), min_size=_ANSWERS, max_size=_ANSWERS)
"""Between the ends of two answers: closer than that, four writes in five seconds can't serve them."""
_LENGTHS = st.lists(st.floats(3.0, 15.0), min_size=_ANSWERS, max_size=_ANSWERS)


class _Room:
    """A channel with Discord's bucket, and six models that write into it."""

    def __init__(self) -> None:
        self.rig = DeliveryRig()
        self.bucket = Bucket(limit=5, window_s=5.0)
        self.rig.sink.before = self._count
        self.waits_s: list[float] = []

    async def _count(self) -> None:
        self.bucket.take(self.rig.clock.monotonic())

    async def answer(self, number: int, starts_s: float, ends_s: float) -> None:
        """Write an answer of 12 words a second from its start to its end."""
        clock = self.rig.clock
        async with self.rig.delivery(number, live_controls=STOP) as delivery:
            await clock.sleep(starts_s)
            text = ""
            for word in range(int((ends_s - starts_s) * 12)):
                text += f"word{word} "
                delivery.show(partial(str, text))
                await clock.sleep(1 / 12)
            ended_s = clock.monotonic()
            await delivery.finish(text + "end", controls=DONE)
            self.waits_s.append(clock.monotonic() - ended_s)


@settings(max_examples=15)
@given(_GAPS, _LENGTHS)
async def test_no_429_and_every_final_within_three_seconds(
    gaps_s: list[float], lengths_s: list[float]
) -> None:
    room = _Room()
    end_s = 1.0
    tasks: list[asyncio.Task[None]] = []
    for number, (gap_s, length_s) in enumerate(zip(gaps_s, lengths_s, strict=True)):
        end_s += gap_s
        answer = room.answer(number + 1, max(0.0, end_s - length_s), end_s)
        tasks.append(asyncio.create_task(answer))
    while not all(task.done() for task in tasks):
        assert room.rig.clock.monotonic() < 1100.0
        await room.rig.clock.advance(0.25)
    for task in tasks:
        task.result()
    assert room.bucket.refused == 0
    assert len(room.waits_s) == _ANSWERS
    assert max(room.waits_s) <= _BAR_S
    assert all(content.endswith("end") for content in room.rig.sink.contents)
