"""One of several processes that share the shards: it joins, takes its part, and gives some of it up.

Each holds its shards for itself, by locks of one session (``storage.shares``), and each works out alone
what it is to take and to give up (``cluster.shares``). So there is nobody who decides for all, and whose
end would matter.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, TypeVar

from bot.cluster.hold import LOOK_S, SETTLE_S, Hold, LeadLostError
from bot.cluster.shares import next_change
from bot.core.clock import Clock, elapsed_s
from bot.core.errors import StoreError
from bot.core.tasks import TaskOwner
from bot.core.wording import counted
from bot.storage.shares import RETURN_S, ShareSession, Sight, check_member

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

TURN_S: Final = 5.2
"""Seconds that the turn to log in is kept; Discord's own figure is 5 (Discord: gateway, rate limiting)."""


class Membership(Hold[ShareSession]):
    """This process's part. A ``Lead`` for what is in its shards.

    Args:
        connect: Makes a session, not connected yet.
        clock: For pauses.
        now_s: For durations that nobody may mistake; in seconds.

    Attributes:
        number: This process's own.
        sight: What the newest look has shown.
        slots: The model's slots that this process may use.
        is_idling: The time in which nobody asks is this process's to use.
    """

    asked_for = "for a part"

    def __init__(
        self,
        connect: Callable[[], ShareSession],
        clock: Clock,
        now_s: Callable[[], float] = elapsed_s,
    ) -> None:
        super().__init__(connect, clock, now_s)
        self.sight = Sight()
        self.number = 0
        self._is_alone = True
        self._is_ready = self._has_part = False
        self._shards: frozenset[int] = frozenset()
        self.slots: frozenset[int] = frozenset()
        self.is_idling = False
        self._free_since_s: dict[int, float] = {}
        self._blocked: dict[int, float] = {}
        self._blocked_until_s = -math.inf
        self._seen = asyncio.Event()
        self._turns = TaskOwner()
        self._on_look: list[Callable[[], None]] = []

    @classmethod
    def over(cls, location: str, clock: Clock) -> Membership:
        """Return the part of this process among those that use a PostgreSQL database.

        Args:
            location: Its URL.
            clock: For pauses.
        """
        return cls(partial(ShareSession, location), clock)

    @property
    def is_alone(self) -> bool:
        """Whether no other member was ever seen."""
        return self._is_alone

    @property
    def members(self) -> int:
        """How many processes share."""
        return 1 + len(self.sight.others)

    @property
    def remark(self) -> str:
        """Which shards this process serves, and how many share them with it."""
        shards = ", ".join(map(str, sorted(self._shards))) or "none"
        others = counted(self.waiting, "other process", "other processes")
        return f"this process serves these shards: {shards}; {others} have their part"

    @property
    def guard(self) -> Callable[..., None]:
        """What a transaction that writes begins with: a look whether nobody has taken over from this process."""
        number = self.number
        return lambda connection: check_member(connection, number)

    @property
    def blocked(self) -> frozenset[int]:
        """Slots that nobody takes yet: a member that is gone may still be ending what it ran in them."""
        now_s = self._now_s()
        return frozenset(slot for slot, until_s in self._blocked.items() if until_s > now_s)

    def hurry(self) -> None:
        """Look at once: another process has changed something."""
        self._hurry.set()

    def on_look(self, listener: Callable[[], None]) -> None:
        """Have a function called after each look."""
        self._on_look.append(listener)

    async def agree(self, count: int) -> int:
        """Be ready to take shards; return how many there are for all processes."""
        self._is_ready = True
        agreed = await self._sure_of(lambda session: session.agree(self.number, count))
        if agreed != count:
            _log.warning(
                "there are %d shards as long as other processes run that began with so many", agreed
            )
        return agreed

    async def held(self, count: int) -> AsyncGenerator[frozenset[int], None]:
        """Yield the shards that this process is to serve, each time that these change.

        Asking for the next says that the last are served, and no others any more.
        """
        while True:
            self._seen.clear()
            await self._seen.wait()
            held = self._holdings()
            self._note_free(set(range(count)).difference(*held.values()))
            change = next_change(held, self.number, count)
            if change.give_up is not None:
                yield self._shards - {change.give_up}
                await self._give_up(change.give_up)
            elif change.take and await self._take(change.take):
                yield self._shards

    @asynccontextmanager
    async def turn(self, number: int) -> AsyncGenerator[None, None]:
        """Log in within the block, when no other process does under the same number."""
        while not await self._has_turn(number):
            await self._clock.sleep(LOOK_S)
        try:
            yield
        finally:
            self._turns.start(self._end_turn(number), name="turn")

    async def close(self) -> None:
        """Let go of everything; the end of the session ends a turn to log in, too."""
        await self._turns.cancel()
        await super().close()

    async def take_slot(self, most: int) -> bool:
        """Take one of so many slots of the model; return whether one is free.

        What a member had that is gone is free only once that one has surely ended its requests.

        Raises:
            StoreError: It isn't known.
        """
        blocked = self.blocked
        if self._now_s() < self._blocked_until_s:
            return False
        slot = await self._as_member(lambda session: session.take_slot(most, blocked))
        if slot is None:
            return False
        self.slots |= {slot}
        return True

    async def tell(self, line: str, freed: frozenset[int]) -> None:
        """Tell the others of this process's line, and give slots up.

        Raises:
            StoreError: It can't be said; the end of the session says that the slots are free.
        """
        if self._has_part:  # otherwise they may be being taken again, and are given up after it
            self.slots -= freed
        await self._as_member(lambda session: session.tell(self.number, line, freed))

    async def idle(self, *, is_wanted: bool) -> None:
        """Take the time in which nobody asks, if it is free, or leave it to others.

        Raises:
            StoreError: The database can't be asked.
        """
        if is_wanted:
            self.is_idling = await self._as_member(lambda session: session.try_idle())
        else:
            self.is_idling = False
            await self._as_member(lambda session: session.end_idle())

    async def _try(self) -> bool:
        """Join, unless a process leads that shares nothing.

        Raises:
            StoreError: The server can't be used.
        """
        await self._open()
        number = secrets.randbelow(2**31 - 1) + 1
        was_left = await self._ask(lambda session: session.join(number))
        if was_left is None:
            return False
        self.number, self._shards, self.slots = number, frozenset(), frozenset()
        self._is_alone, self._is_ready, self.sight = True, False, Sight()
        self._on_look.clear()
        began_s = self._now_s()
        while not was_left and self._now_s() - began_s < SETTLE_S:
            await self._clock.sleep(LOOK_S)
        if not was_left:
            await self._ask(lambda session: session.settled())
        await self._look()
        self._began_session()
        self._begin()
        return True

    async def _take_again(self) -> None:
        await self._open()
        if await self._ask(lambda session: session.is_superseded(self.number)):
            raise LeadLostError
        is_back = await self._ask(
            lambda session: session.return_(
                self.number, self._shards, self.slots, is_ready=self._is_ready
            )
        )
        if not is_back:  # the server hasn't noticed yet that our last session is gone
            self._drop()
            raise StoreError("the last session still holds this process's part")
        self._began_session()

    def _began_session(self) -> None:
        """Hold no more than was taken again, and take nothing for a moment where others may come back to what they have."""
        self._has_part, self.is_idling = True, False
        self._free_since_s = {}
        if not self._is_alone:
            self._blocked_until_s = self._now_s() + SETTLE_S

    async def _look(self) -> None:
        sight = await self._ask(lambda session: session.look())
        if sight.own is None or sight.own.number != self.number:
            self._drop()
            raise StoreError("this session is no member")
        still = {each.number for each in sight.others}
        gone = [each for each in self.sight.others if each.number not in still]
        until_s = self._now_s() + SETTLE_S
        self._blocked.update((slot, until_s) for each in gone for slot in each.slots)
        self.sight, self.waiting = sight, len(sight.others)
        for shard in (number for each in sight.others for number in each.shards):
            self._free_since_s.pop(shard, None)
        if sight.others and self._is_alone:
            self._is_alone = False
            _log.info("another Clawbot shares the database with this one")
        self._seen.set()
        for listener in self._on_look:  # its failures aren't the look's
            asyncio.get_running_loop().call_soon(listener)

    async def _note_left(self) -> None:
        await self._ask(lambda session: session.leave(self.number, self._shards))

    def _drop(self) -> None:
        self._has_part = False
        super()._drop()

    async def _as_member(self, work: Callable[[ShareSession], _T]) -> _T:
        """Have the session asked, unless it is a new one that hasn't taken this process's part again.

        What others are about to take again is free until then, too.

        Raises:
            StoreError: It failed, or has no part.
        """
        if not self._has_part:
            raise StoreError("the session has no part yet")
        return await self._ask(work)

    async def _sure_of(self, work: Callable[[ShareSession], _T]) -> _T:
        """Have the session asked until it answers."""
        while True:
            try:
                return await self._as_member(work)
            except StoreError:
                await self._clock.sleep(LOOK_S)

    def _holdings(self) -> dict[int, frozenset[int]]:
        """Return the shards of each member; our own as we know them, the look may be older."""
        others = {each.number: each.shards for each in self.sight.others if each.is_ready}
        return {**others, self.number: self._shards}

    def _note_free(self, shards: Collection[int]) -> None:
        before, now_s = self._free_since_s, self._now_s()
        self._free_since_s = {shard: before.get(shard, now_s) for shard in shards}

    def _free_since(self, shard: int) -> float:
        return self._free_since_s.get(shard, self._now_s())

    async def _take(self, shards: tuple[int, ...]) -> bool:
        """Take shards as far as they are free; return whether there was one.

        Whoever held one has not looked since it was seen free, and may post for ``SURE_S`` after its last look.
        """
        before = self._shards
        settled_s = -math.inf
        for shard in shards:
            with suppress(StoreError):
                was_left = await self._take_one(shard)
                if was_left is not None:
                    self._shards |= {shard}
                if was_left is False:
                    settled_s = max(settled_s, self._free_since(shard) + SETTLE_S)
        while (rest_s := settled_s - self._now_s()) > 0:
            await self._clock.sleep(rest_s)
        return self._shards != before

    async def _take_one(self, shard: int) -> bool | None:
        only_left = self._now_s() - self._free_since(shard) < RETURN_S
        return await self._as_member(
            lambda session: session.take_shard(shard, self.number, only_left=only_left)
        )

    async def _give_up(self, shard: int) -> None:
        """Say that a shard is left in order, then that it is free, as the end of the session does.

        It counts as held until the first is said: whoever took it before would take everything over.
        """
        await self._sure_of(lambda session: session.note_left(shard, self.number))
        self._shards -= {shard}
        with suppress(StoreError):
            await self._as_member(lambda session: session.free_shard(shard))

    async def _has_turn(self, number: int) -> bool:
        """Return whether this process may log in: alone, also while the database is away.

        Cancellation: The question is asked to its end, since a session that is given up would lose all that it
        holds, and a turn that comes after all is left to others.
        """
        asking = self._tasks.watched(self._ask_for_turn(number), name="turn")
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            self._tasks.start(self._decline_turn(asking, number), name="turn")
            raise

    async def _ask_for_turn(self, number: int) -> bool:
        try:
            return await self._as_member(lambda session: session.try_turn(number))
        except StoreError:
            return self.is_alone

    async def _decline_turn(self, asking: asyncio.Future[bool], number: int) -> None:
        if await asking:
            with suppress(StoreError):
                await self._as_member(lambda session: session.end_turn(number))

    async def _end_turn(self, number: int) -> None:
        await self._clock.sleep(TURN_S)
        with suppress(StoreError):
            await self._as_member(lambda session: session.end_turn(number))
