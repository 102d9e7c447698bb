"""Further copies of a loaded model, while the line is long and the stated memory has room for them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import ModelInfo
from bot.core.errors import BackendError
from bot.core.wording import plain_reason
from bot.lmstudio import loading
from bot.lmstudio.memory import needed_bytes
from bot.lmstudio.nodes import Fleet, Node
from bot.lmstudio.wake import LONG_LINE_S

_log = logging.getLogger(__name__)

UNUSED_S: Final = 300.0
"""Seconds after which a further copy that answers nobody is unloaded."""
FAILED_S: Final = 600.0
"""Seconds without another try after a copy couldn't be loaded."""

COPIES: Final = "extra_copies"
"""State: the copies that were loaded here."""

Made = tuple[str, str]
"""A copy that was loaded here: its server's address, and its name there."""


class Copies:
    """Loads further copies and unloads them, one at a time.

    Args:
        fleet: The servers.
        clock: Time.
        most: Further copies of one model on one server at most.
        memory_bytes: Returns what a machine has for models; ``None`` allows no copy.
    """

    def __init__(
        self, fleet: Fleet, clock: Clock, most: int, memory_bytes: Callable[[], int | None]
    ) -> None:
        self._fleet = fleet
        self._clock = clock
        self._most = most
        self._memory_bytes = memory_bytes
        self._used_s: dict[Made, float] = {}
        self._paused_until_s = -math.inf

    def made(self) -> list[list[str]]:
        """Return the copies that were loaded here, to be kept over a restart."""
        return [list(one) for one in self._used_s]

    def restore(self, stored: object) -> None:
        """Take what an earlier run loaded; anything else is ignored."""
        for one in stored if isinstance(stored, list) else ():
            if (
                isinstance(one, list)
                and len(one) == 2
                and all(isinstance(part, str) for part in one)
            ):
                self._used_s[one[0], one[1]] = self._clock.monotonic()

    async def look(self, wait_s: float) -> bool:
        """Load a copy, or unload one, where that is due.

        Args:
            wait_s: How long a question that is asked now would wait, in seconds.

        Returns:
            Whether there are more or fewer copies.
        """
        now_s = self._clock.monotonic()
        try:
            if await self._unload_unused(now_s):
                return True
            if wait_s <= LONG_LINE_S or now_s < self._paused_until_s:
                return False
            found = min(self._candidates(), key=lambda one: one[0], default=None)
            if found is None:
                return False
            _, node, info = found
            _log.info("the line is long: loading another copy of %s", info.key)
            name = await loading.load_copy(node, info, self._clock)
        except BackendError as exc:
            _log.warning("a further copy can't be loaded or unloaded (%s)", plain_reason(exc))
            self._paused_until_s = now_s + FAILED_S
            return False
        if name:
            self._used_s[node.transport.endpoint.origin, name] = self._clock.monotonic()
        return True

    async def _unload_unused(self, now_s: float) -> bool:
        nodes = {
            node.transport.endpoint.origin: node for node in self._fleet.nodes if node.is_usable
        }
        for origin, name in tuple(self._used_s):
            node = nodes.get(origin)
            if node is None or node.catalogue is None:
                continue
            if all(one.id != name for one in node.instances):
                del self._used_s[origin, name]  # somebody else unloaded it
            elif node.runs(name):
                self._used_s[origin, name] = now_s
            elif now_s - self._used_s[origin, name] >= UNUSED_S:
                self._used_s[origin, name] = now_s  # where it fails, it is tried again as late
                _log.info("unloading %s again, which nobody needs", name)
                await loading.unload_copy(node, name)
                del self._used_s[origin, name]
                return True
        return False

    def _candidates(self) -> Iterator[tuple[int, Node, ModelInfo]]:
        """Yield what there may be one more of, with the memory that takes, in bytes."""
        memory = self._memory_bytes()
        for node in self._fleet.nodes:
            if memory is None or not (node.is_usable and node.can_load):
                continue
            taken = sum((needed_bytes(one) or 0) * len(one.instance_ids) for one in node.loaded)
            for info in node.loaded:
                needed = needed_bytes(info)
                if needed is None or taken + needed > memory:
                    continue
                is_full = all(
                    node.runs(one.id) >= one.parallel
                    for one in node.instances
                    if one.key == info.key
                )
                if is_full and len(info.instance_ids) <= self._most:
                    yield needed, node, info
