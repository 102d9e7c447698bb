"""The bot's status dot: what people see before they ask."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.core.clock import Clock
from bot.core.wording import plain_reason

_log = logging.getLogger(__name__)

SPACING_S = 15.0
"""Seconds between updates; the gateway takes 120 events a minute for everything (Discord)."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What to show.

    Attributes:
        is_away: The idle dot rather than the green one.
        text: The line beside the name.
    """

    is_away: bool
    text: str


def presence_for(*, is_available: bool, waiting: int) -> Presence:
    """Return what the status should say.

    Args:
        is_available: The model's machine answers.
        waiting: Questions in the queue.
    """
    if not is_available:
        return Presence(is_away=True, text="the model's machine doesn't answer")
    if waiting:
        return Presence(is_away=False, text=f"{waiting} in line")
    return Presence(is_away=False, text="mention me")


async def keep_presence(
    clock: Clock,
    current: Callable[[], Presence],
    show: Callable[[Presence], Awaitable[None]],
    session: Callable[[], object] = lambda: None,
) -> None:
    """Show changes of the status, sparingly, until cancelled.

    Args:
        clock: Spaces the updates.
        current: What to show now.
        show: Shows it; whatever it raises, it is tried again later.
        session: Names the gateway session: a fresh one has forgotten what was shown.
    """
    shown: tuple[object, Presence] | None = None
    while True:
        wanted = (session(), current())
        if wanted != shown:
            try:
                await show(wanted[1])
                shown = wanted
            except Exception as exc:  # noqa: BLE001 - the seam to the gateway: a lost status is no loss
                _log.debug("the presence could not be shown (%s)", plain_reason(exc))
        await clock.sleep(SPACING_S)
