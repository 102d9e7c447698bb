"""How often a person or a guild may ask. Token buckets in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from bot.core.action_budget import FairBudget, Shares
from bot.core.clock import Clock
from bot.core.domain import GuildId, UserId
from bot.core.recent import Recent
from bot.core.wording import counted
from config.settings import QueueSettings

ENTRIES: Final = 20_000
"""Persons, and as many guilds, that are remembered; a flood of new ids forgets the oldest."""

PRESSES: Final = Shares(person=30, group=300, total=3_000, reserve=60)
"""Commands and buttons a minute. Each costs a reply, and most a look into the database."""


class RateLimiter:
    """Counts questions per person and per guild.

    A bucket holds one minute's questions, so that a quick start is allowed, and fills evenly. It is
    kept as one number, the time at which it is full again (generic cell rate algorithm).
    """

    def __init__(self, settings: QueueSettings, clock: Clock, max_entries: int = ENTRIES) -> None:
        self._clock = clock
        self._person = _Buckets(lambda: settings.per_person_per_minute, max_entries)
        self._guild = _Buckets(lambda: settings.per_guild_per_minute, max_entries)
        self._presses = FairBudget(PRESSES)

    def take(self, person_id: UserId, guild_id: GuildId | None) -> str:
        """Count a question; return why and for how long it is refused, and so isn't counted, or nothing.

        Args:
            person_id: Who asks.
            guild_id: Where; ``None`` in a direct message.
        """
        now_s = self._clock.monotonic()
        refusal = self._refusal(person_id, guild_id, now_s)
        if not refusal:
            self._person.take(person_id, now_s)
            if guild_id is not None:
                self._guild.take(guild_id, now_s)
        return refusal

    def count(self, person_id: UserId) -> None:
        """Count a question that was taken by another process."""
        self._person.take(person_id, self._clock.monotonic())

    def look(self, person_id: UserId, guild_id: GuildId | None) -> str:
        """Return what ``take`` would, without counting anything."""
        return self._refusal(person_id, guild_id, self._clock.monotonic())

    def _refusal(self, person_id: UserId, guild_id: GuildId | None, now_s: float) -> str:
        person_s = self._person.wait_s(person_id, now_s)
        guild_s = 0.0 if guild_id is None else self._guild.wait_s(guild_id, now_s)
        if person_s <= 0 and guild_s <= 0:
            return ""
        retry_s = max(1, math.ceil(max(person_s, guild_s)))
        reason = (
            "You're asking faster than I'm allowed to answer."
            if person_s >= guild_s
            else "This server is asking faster than I'm allowed to answer."
        )
        return f"{reason} Please try again in {counted(retry_s, 'second')}."

    def press(self, person_id: UserId, guild_id: GuildId | None) -> str:
        """Count a command or button; return why it is one too many, or nothing.

        Args:
            person_id: Who presses.
            guild_id: Where; ``None`` in a direct message.
        """
        group = person_id if guild_id is None else guild_id
        wait_s = self._presses.take(person_id, group, self._clock.monotonic())
        if wait_s <= 0:
            return ""
        retry_s = math.ceil(wait_s)
        return f"Too many commands and buttons in a minute. Please try again in {counted(retry_s, 'second')}."


class _Buckets:
    """Buckets of one size, which may change at any time, by id.

    A change of the size keeps how many questions a bucket lacks, not how long it would take to fill.
    """

    def __init__(self, per_minute: Callable[[], float], max_entries: int) -> None:
        self._per_minute = per_minute
        self._full_at_s: Recent[int, tuple[float, float]] = Recent(max_entries)

    def wait_s(self, key: int, now_s: float) -> float:
        """Return the seconds until a question fits; 0 or less when it fits now."""
        per_minute = self._per_minute()
        burst_s = 60.0 - 60.0 / per_minute if per_minute > 1 else 0.0
        return self._filling_s(key, now_s) - burst_s

    def take(self, key: int, now_s: float) -> None:
        """Count a question."""
        per_minute = self._per_minute()
        full_at_s = now_s + self._filling_s(key, now_s) + 60.0 / per_minute
        self._full_at_s[key] = full_at_s, per_minute

    def _filling_s(self, key: int, now_s: float) -> float:
        """Return the seconds until a bucket is full again."""
        full_at_s, per_minute = self._full_at_s.get(key, (now_s, 1.0))
        return max(0.0, full_at_s - now_s) * per_minute / self._per_minute()
