"""Waking a machine that sleeps: Wake-on-LAN, sent again until its server answers."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Callable
from typing import Final

from bot.core.clock import Clock
from bot.core.tasks import end_tasks
from bot.core.wording import plain_reason
from config.addresses import WakeTarget

_log = logging.getLogger(__name__)

OFTEN_S: Final = 5.0
"""Seconds between two packets at first: broadcasts get lost, and a machine that is just going to
sleep misses them."""
OFTEN_FOR_S: Final = 180.0
"""How long that goes on, in seconds; most machines are up within a minute."""
SELDOM_S: Final = 60.0
"""Seconds between two packets from then on."""
GIVE_UP_S: Final = 1800.0
"""Seconds after the last question that wanted the machine, at which it is left alone."""


def magic_packet(mac: str) -> bytes:
    """Return what wakes a network card: six bytes of ones, then its address sixteen times (AMD, Magic Packet).

    Args:
        mac: Six bytes in hexadecimal, with colons between.
    """
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


def send_packet(target: WakeTarget) -> None:
    """Send one packet into the machine's network.

    Raises:
        OSError: The system doesn't allow it, or there is no way to that network.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.setblocking(False)
        sender.sendto(magic_packet(target.mac), (target.broadcast, target.port))


LONG_LINE_S: Final = 60.0
"""Seconds that a newcomer would wait from which another machine is woken: it is up before that."""
LINE_LOOK_S: Final = 5.0
"""Seconds between two looks at the line."""


async def wake_for_line(
    clock: Clock,
    newcomer_wait_s: Callable[[], float],
    wake: Callable[[], object],
    can_wake: asyncio.Event,
) -> None:
    """Have machines woken that sleep while others answer, for as long as the line is long; for ever.

    Args:
        clock: Time.
        newcomer_wait_s: Returns how long a question that is asked now would wait, in seconds.
        wake: Wakes those that don't answer.
        can_wake: Set while there is a machine that can be woken.
    """
    while True:
        await can_wake.wait()
        await clock.sleep(LINE_LOOK_S)
        if newcomer_wait_s() > LONG_LINE_S:
            wake()


class Waker:
    """Wakes one machine, and learns how long that takes.

    Args:
        target: Its network card, and where the packet goes.
        clock: Time.
        is_up: Whether its server answers.
        look: Has the server looked at soon.
        send: Sends one packet.

    Attributes:
        target: As given.
        usual_s: Seconds from the first packet until the server answered, the last time; ``None``
            before.
    """

    def __init__(
        self,
        target: WakeTarget,
        clock: Clock,
        is_up: Callable[[], bool],
        look: Callable[[], None],
        send: Callable[[WakeTarget], None] = send_packet,
    ) -> None:
        self.usual_s: float | None = None
        self.target = target
        self._clock = clock
        self._is_up = is_up
        self._look = look
        self._send = send
        self._wanted_s = -math.inf
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Have the machine woken, because somebody waits for it; returns at once."""
        self._wanted_s = self._clock.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_waking(), name="wake")

    async def close(self) -> None:
        """Leave the machine alone."""
        if self._task is not None:
            await end_tasks(self._task)

    async def _keep_waking(self) -> None:
        began_s = now_s = self._clock.monotonic()
        _log.info("waking the model's machine")
        while not self._is_up():
            if now_s - self._wanted_s > GIVE_UP_S:
                _log.warning("the model's machine didn't wake up, and nobody asks for it any more")
                return
            try:
                self._send(self.target)
            except OSError as exc:
                _log.warning(
                    "the packet that wakes the machine can't be sent (%s)", plain_reason(exc)
                )
            self._look()
            await self._clock.sleep(OFTEN_S if now_s - began_s < OFTEN_FOR_S else SELDOM_S)
            now_s = self._clock.monotonic()
        self.usual_s = now_s - began_s
        _log.info("the model's machine is awake after %.0f s", self.usual_s)
