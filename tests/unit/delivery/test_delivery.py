"""One answer from first word to last, on a fake clock."""

from __future__ import annotations

import asyncio

from tests.support.clock import settle
from tests.unit.delivery.helpers import DONE, STOP, Desk


async def test_first_words_go_out_at_once_without_any_timer() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        await settle()
        delivery.show("Hel")
        await settle()
        assert desk.sink.contents == ["Hel"]
        assert desk.sink.writes_at() == [1000.0]


async def test_four_seconds_of_text_take_five_requests_at_most() -> None:
    desk = Desk()
    async with desk.delivery(live_controls=STOP) as delivery:
        words = ""
        for number in range(120):
            words += f"word{number} "
            delivery.show(words)
            await desk.clock.advance(4.0 / 120)
        result = await delivery.finish(words, controls=DONE)
    assert desk.sink.contents == [words.strip()]
    assert result.rest_calls == len(desk.sink.calls) <= 5
    assert desk.sink.writes_at()[-1] == desk.clock.monotonic()


async def test_finish_waits_for_a_request_under_way() -> None:
    desk = Desk()
    release = asyncio.Event()

    async def hold() -> None:
        await release.wait()

    desk.sink.before = hold
    async with desk.delivery() as delivery:
        delivery.show("One")
        await settle()
        ending = asyncio.create_task(delivery.finish("One two."))
        await settle()
        assert not ending.done()
        release.set()
        await ending
    assert desk.sink.contents == ["One two."]
