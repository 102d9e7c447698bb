"""Asking the process to end."""

from __future__ import annotations

import asyncio
import signal

import pytest

from bot.ops.signals import stop_on_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_asks_to_stop(number: signal.Signals) -> None:
    stop = asyncio.Event()
    with stop_on_signal(stop):
        signal.raise_signal(number)
        await stop.wait()
    assert stop.is_set()


async def test_the_second_signal_ends_at_once() -> None:
    async def insist() -> None:
        stop = asyncio.Event()
        with stop_on_signal(stop):
            signal.raise_signal(signal.SIGTERM)
            await stop.wait()
            signal.raise_signal(signal.SIGTERM)
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await insist()


async def test_the_handlers_before_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop_on_signal(asyncio.Event()):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_loop_without_signal_handlers_is_no_obstacle() -> None:
    class WindowsLoop(asyncio.SelectorEventLoop):
        """A loop that has no signal handlers, as on Windows."""

        add_signal_handler = asyncio.AbstractEventLoop.add_signal_handler
        remove_signal_handler = asyncio.AbstractEventLoop.remove_signal_handler

    async def wait() -> bool:
        stop = asyncio.Event()
        with stop_on_signal(stop):
            signal.raise_signal(signal.SIGTERM)
            await stop.wait()
        return stop.is_set()

    with asyncio.Runner(loop_factory=WindowsLoop) as runner:
        assert runner.run(wait())
