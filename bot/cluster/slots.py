"""The model's slots among several processes: each runs no more than it holds, and leaves some to others.

A slot is a lock of a process's session (``storage.shares``), so that together they never run more than
there are. Whose turn it is follows from the one line of all (``cluster.line``), so each process works out alone
what it may begin, and which of its slots others need. Where nobody waits, everybody keeps what they hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from bot.cluster.line import OWN, OtherLines, dump
from bot.cluster.membership import Membership
from bot.core.clock import Clock, Timer
from bot.core.errors import StoreError
from bot.core.tasks import TaskOwner
from bot.queue.scheduler import Elsewhere, Job, Scheduler

YIELD_S: Final = 2.0
"""Seconds for which a free slot is left to whoever's turn it is; after that anybody takes it."""
TELL_S: Final = 0.2
"""Seconds between two times that the others are told of this process's line, unless a slot is given up."""


class SharedSlots:
    """Takes and gives up slots for this process's line. The scheduler's ``Others``.

    Args:
        membership: This process among the others.
        line: Its line.
        clock: For durations and pauses.
        on_new: Called with each question of another process that is seen for the first time.
    """

    def __init__(
        self,
        membership: Membership,
        line: Scheduler,
        clock: Clock,
        on_new: Callable[[Job], None] = lambda _: None,
    ) -> None:
        self._membership = membership
        self._line = line
        self._clock = clock
        self._lines = OtherLines(line, clock.monotonic, on_new)
        self._left_since_s: dict[int, float] = {}
        self._passes = 0
        self._is_unbound = self._was_alone = False
        self._told, self._tells_at_s = "", 0.0
        self._timer: Timer | None = None
        self._is_asked = self._is_at_it = False
        self._tasks = TaskOwner()

    @property
    def waiting(self) -> dict[int, Elsewhere]:
        """The others' questions that wait, by their keys."""
        return self._lines.waiting

    @property
    def running(self) -> dict[int, Elsewhere]:
        """The others' questions that are answered, by their keys."""
        return self._lines.running

    @property
    def may_use_idle_time(self) -> bool:
        """Whether nobody asks elsewhere, and it is for this process to use that time, in a slot of its own."""
        if not self._membership.sight.others:
            return True
        is_quiet = not self._lines.waiting and not self._lines.running
        return is_quiet and self._membership.is_idling and bool(self._membership.slots)

    def most_running(self) -> int:
        """Return how many may run in this process now."""
        if self._is_unbound:
            return self._line.slots
        held = len(self._membership.slots)
        if not self._lines.waiting:
            return held
        return min(held, self._line.working + self._turns()[OWN] + self._passes)

    def drop(self, key: int) -> None:
        """Take note that a question is this process's by now."""
        self._lines.drop(key)

    def changed(self) -> None:
        """Take note that this process's questions have changed."""
        self._lines.note_own()
        self.look()

    def news(self) -> None:
        """Take over what a look at the others has shown."""
        others = self._membership.sight.others
        is_alone, self._was_alone = self._was_alone, not others
        if self._lines.take({each.number: each.line for each in others}) or is_alone != (
            self._was_alone
        ):
            self._line.wake()
        self.look()

    def look(self) -> None:
        """See soon whether slots are to be taken or given up, and the others to be told."""
        if not self._has_to_do():
            return
        self._is_asked = True
        if not self._is_at_it:
            self._is_at_it = True
            self._tasks.start(self._work(), name="slots")

    async def close(self) -> None:
        """Take and give up nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.cancel()

    def _has_to_do(self) -> bool:
        """Return whether there may be something to do; who is alone and has what it needs has nothing."""
        line, membership = self._line, self._membership
        is_content = len(membership.slots) >= min(line.slots, line.running + line.waiting)
        is_quiet = not membership.sight.others and not self._told
        return self._is_unbound or not (is_content and is_quiet)

    async def _work(self) -> None:
        try:
            while self._is_asked:
                self._is_asked = False
                await self._settle()
                self._is_unbound = False
        except StoreError:  # the next look is half a second away
            self._is_unbound = self._membership.is_alone
            if self._is_unbound:
                self._line.wake()
        finally:
            self._is_at_it = False

    async def _settle(self) -> None:
        membership, line, most = self._membership, self._line, self._line.slots
        turns, self._passes = self._turns(), 0
        target = min(most, max(line.running, line.working + turns[OWN]))
        unheld = self._unheld(most)
        is_left = self._is_left(unheld)
        takeable = 0 if is_left else len(unheld)  # what others have left, they can't take
        await self._tell(self._surplus(target, self._missing(turns) - takeable, most))
        if line.waiting > turns[OWN] and is_left:
            self._passes = 1
        if self._may_idle():
            target = max(1, target)
        taken = 0
        while len(membership.slots) < target + self._passes and await membership.take_slot(most):
            taken += 1
        await self._share_idle_time()
        if taken:
            line.wake()

    def _turns(self) -> Counter[int]:
        used = self._used()
        free = self._line.slots - sum(used.values()) - len(self._membership.blocked)
        return self._lines.turns(used, free)

    def _used(self) -> dict[int, int]:
        """Return how many slots each process uses, as far as it has told."""
        others = self._membership.sight.others
        used = {each.number: self._lines.running_of(each.number) for each in others}
        return {OWN: self._line.working, **used}

    def _missing(self, turns: Counter[int]) -> int:
        """Return how many slots others lack."""
        used = self._used()
        return sum(
            max(0, used[each.number] + turns[each.number] - len(each.slots))
            for each in self._membership.sight.others
        )

    def _unheld(self, most: int) -> frozenset[int]:
        """Return the slots that can be taken."""
        membership = self._membership
        theirs = [each.slots for each in membership.sight.others]
        held = membership.slots.union(membership.blocked, *theirs)
        return frozenset(range(most)) - held

    def _surplus(self, target: int, missing: int, most: int) -> frozenset[int]:
        """Return the slots to give up: those that are no more, and as many as others lack.

        The lowest, since one that may run fewer at the moment looks for these only.
        """
        if not self._membership.sight.others:
            return frozenset()
        slots = self._membership.slots
        excess = sum(slot >= most for slot in slots)
        count = min(len(slots) - max(target, self._line.running), max(missing, excess))
        return frozenset(sorted(slots, key=lambda slot: (slot < most, slot))[: max(0, count)])

    def _is_left(self, unheld: frozenset[int]) -> bool:
        """Return whether a slot was left to those who wait for long enough."""
        now_s = self._clock.monotonic()
        is_wanted = self._line.waiting or self._lines.waiting
        before = self._left_since_s if is_wanted else {}
        self._left_since_s = {slot: before.get(slot, now_s) for slot in unheld}
        return any(now_s - since_s >= YIELD_S for since_s in self._left_since_s.values())

    async def _tell(self, freed: frozenset[int]) -> None:
        """Tell the others, if there is anything new, but not too often."""
        now_s = self._clock.monotonic()
        if not freed and now_s < self._tells_at_s:
            if self._timer is None:
                self._timer = self._clock.call_later(self._tells_at_s - now_s, self._tell_later)
            return
        text = dump(self._line) if self._membership.sight.others else ""
        if freed or text != self._told:
            self._tells_at_s = now_s + TELL_S
            await self._membership.tell(text, freed)
            self._told = text

    def _tell_later(self) -> None:
        self._timer = None
        self.look()

    def _may_idle(self) -> bool:
        """Return whether the idle time is for this process: whose answer was the last uses it."""
        others = self._membership.sight.others
        present = {each.number for each in others}
        is_quiet = not self._lines.waiting and not self._lines.running
        is_taken = any(each.is_idling for each in others)
        return bool(others) and is_quiet and not is_taken and self._lines.last not in present

    async def _share_idle_time(self) -> None:
        membership = self._membership
        is_wanted = self._may_idle()
        if is_wanted is not membership.is_idling:
            await membership.idle(is_wanted=is_wanted)
            self._line.wake()
