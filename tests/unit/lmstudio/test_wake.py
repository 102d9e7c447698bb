"""A machine that sleeps is woken while somebody waits for it, and left alone afterwards."""

from __future__ import annotations

import asyncio

import pytest

from bot.core.tasks import end_tasks
from bot.lmstudio.wake import (
    GIVE_UP_S,
    LINE_LOOK_S,
    LONG_LINE_S,
    OFTEN_FOR_S,
    OFTEN_S,
    SELDOM_S,
    Waker,
    magic_packet,
    wake_for_line,
)
from config.addresses import WakeTarget, wake_target
from tests.support.clock import FakeClock

MAC = "00:11:22:aa:bb:cc"


class Machine:
    """A machine that is up after so many packets."""

    def __init__(self, clock: FakeClock, packets: int, *, refuses: bool = False) -> None:
        self.sent: list[float] = []
        self.looks = 0
        self._clock = clock
        self._packets = packets
        self._refuses = refuses

    def is_up(self) -> bool:
        return len(self.sent) >= self._packets

    def look(self) -> None:
        self.looks += 1

    def send(self, _: WakeTarget) -> None:
        self.sent.append(self._clock.monotonic())
        if self._refuses:
            raise PermissionError(13, "Permission denied")


def waker_of(machine: Machine, clock: FakeClock) -> Waker:
    return Waker(WakeTarget(MAC), clock, machine.is_up, machine.look, machine.send)


def test_the_packet_is_the_cards_address_sixteen_times_behind_six_bytes_of_ones() -> None:
    packet = magic_packet(MAC)
    assert len(packet) == 102
    assert packet == bytes.fromhex("ff" * 6 + "001122aabbcc" * 16)


async def test_a_machine_is_woken_until_its_server_answers_and_the_time_is_learned() -> None:
    clock = FakeClock()
    machine = Machine(clock, packets=9)
    waker = waker_of(machine, clock)
    for _ in range(20):
        waker.wake()
    await clock.advance(9 * OFTEN_S + 1)
    assert len(machine.sent) == machine.looks == 9
    assert waker.usual_s == pytest.approx(9 * OFTEN_S, abs=OFTEN_S)
    await clock.advance(1000)
    assert len(machine.sent) == 9
    await waker.close()


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_machine_that_never_wakes_is_asked_seldom_and_then_left_alone(
    *, refuses: bool
) -> None:
    clock = FakeClock()
    machine = Machine(clock, packets=10_000, refuses=refuses)
    waker = waker_of(machine, clock)
    waker.wake()
    await clock.advance(GIVE_UP_S * 2)
    often, seldom = OFTEN_FOR_S / OFTEN_S, (GIVE_UP_S - OFTEN_FOR_S) / SELDOM_S
    assert len(machine.sent) == pytest.approx(often + seldom, abs=2)
    assert waker.usual_s is None
    waker.wake()
    await clock.advance(1)
    assert machine.sent[-1] > GIVE_UP_S
    await waker.close()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("00:11:22:AA:BB:CC", WakeTarget(MAC)),
        ("00-11-22-aa-bb-cc", WakeTarget(MAC)),
        ("0011.22aa.bbcc", WakeTarget(MAC)),
        (" 001122aabbcc ", WakeTarget(MAC)),
        ("00:11:22:aa:bb:cc@192.168.1.255", WakeTarget(MAC, "192.168.1.255")),
        ("00:11:22:aa:bb:cc@192.168.1.255:7", WakeTarget(MAC, "192.168.1.255", 7)),
        ("none", WakeTarget("")),
        ("-", WakeTarget("")),
    ],
)
def test_a_card_is_read_as_people_write_it(typed: str, kept: WakeTarget) -> None:
    assert wake_target(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "", "00:11:22:aa:bb", "00:11:22:aa:bb:cc:dd", "0:11:22:aa:bb:cc", "gg:11:22:aa:bb:cc",
        "00:11-22:aa:bb:cc", "00:11:22:aa:bb:cc@", "00:11:22:aa:bb:cc@nas", "none@192.168.1.255",
        "00:11:22:aa:bb:cc@192.168.1.255:0", "00:11:22:aa:bb:cc@192.168.1.255:x",
        "00:11:22:aa:bb:cc@192.168.1.255:70000", "192.168.1.20",
    ],
)  # fmt: skip
def test_anything_else_is_no_card(typed: str) -> None:
    with pytest.raises(ValueError, match="must "):
        wake_target(typed)


async def test_a_sleeping_machine_is_woken_only_while_the_line_is_long(clock: FakeClock) -> None:
    wait_s, can_wake = 0.0, asyncio.Event()
    can_wake.set()
    woken: list[int] = []
    waking = wake_for_line(clock, lambda: wait_s, lambda: woken.append(1), can_wake)
    watching = asyncio.create_task(waking)
    await clock.advance(30)
    assert not woken
    wait_s = LONG_LINE_S + 1
    await clock.advance(LINE_LOOK_S * 2)
    assert woken
    wait_s, count = 5.0, len(woken)
    await clock.advance(30)
    assert len(woken) == count
    await end_tasks(watching)


async def test_nobody_looks_at_the_line_while_no_machine_can_be_woken(clock: FakeClock) -> None:
    can_wake = asyncio.Event()
    woken: list[int] = []
    waking = wake_for_line(clock, lambda: LONG_LINE_S + 1, lambda: woken.append(1), can_wake)
    watching = asyncio.create_task(waking)
    await clock.advance(LINE_LOOK_S * 2)
    assert not woken
    can_wake.set()  # the settings' file names one now
    await clock.advance(LINE_LOOK_S * 2)
    assert woken
    can_wake.clear()
    await clock.advance(LINE_LOOK_S)
    count = len(woken)
    await clock.advance(LINE_LOOK_S * 4)
    assert len(woken) == count
    await end_tasks(watching)
