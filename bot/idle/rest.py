"""What is done once nobody has asked for long: the model leaves the memory, its machine goes to sleep.

Both are off by default. The operator's command is a list of arguments, which no shell reads, and nothing
of any question, person or place is in it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bot.core import child_process
from bot.core.clock import Clock, every, within
from bot.core.wording import plain_reason

_log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""Seconds between two looks at how long nobody has asked."""

COMMAND_S: Final = 60.0
"""Seconds after which a command is killed."""

_OWN: Final = ("CLAWBOT_", "DISCORD_", "LMSTUDIO_")
"""How our own settings begin, which hold tokens; no command gets them."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Something to do when nobody has asked for a time.

    Attributes:
        after_s: That time, in seconds.
        begin: Does it.
    """

    after_s: float
    begin: Callable[[], Awaitable[object]]


class Resting:
    """Does each thing once in each idle time.

    Args:
        rests: What is to be done.
    """

    def __init__(self, clock: Clock, rests: Sequence[Rest]) -> None:
        self._clock = clock
        self._rests = tuple(rests)
        self._due = list(self._rests)
        self._since_s: float | None = clock.monotonic()

    def set_idle(self, is_idle: bool) -> None:
        """Take note that nobody waits any more, or that somebody does."""
        self._since_s = self._clock.monotonic() if is_idle else None
        self._due = list(self._rests)

    async def run(self) -> None:
        """Look for ever how long nobody has asked."""
        await every(self._clock, LOOK_S, self._look)

    async def _look(self) -> None:
        for rest in tuple(self._due):
            if self._idle_s() >= rest.after_s:
                self._due.remove(rest)
                await rest.begin()

    def _idle_s(self) -> float:
        return -1.0 if self._since_s is None else self._clock.monotonic() - self._since_s


async def run_command(arguments: Sequence[str], clock: Clock) -> None:
    """Run a command of the operator's; how it ended is logged.

    Args:
        arguments: The program and its arguments.
        clock: Time.
    """
    environment = {name: text for name, text in os.environ.items() if not name.startswith(_OWN)}
    _log.info("nobody has asked for long: running the command that suspends the model's machine")
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except (OSError, ValueError) as exc:
        _log.warning("the command that suspends can't be run (%s)", plain_reason(exc))
        return
    try:
        code = await within(clock, process.wait(), COMMAND_S)
    except TimeoutError:
        _log.warning("the command that suspends took more than %.0f s, and was ended", COMMAND_S)
    else:
        if code:
            _log.warning("the command that suspends ended with code %d", code)
    finally:
        await child_process.end(process)
