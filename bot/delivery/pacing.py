"""Who may write to a channel when: a sliding window over all answers there, without waiting itself.

Discord's buckets were observed as five posts or edits per channel in five seconds (discord-api-docs
#2761, #1442), and posts and edits are counted as one here. The pacer only computes; its callers
sleep. Finals *book* the next free moment and always get one. Everything else *asks*, is told to come
back when there is no room, and leaves room for finals.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import IntEnum

from bot.core.action_budget import FairBudget, Shares
from bot.core.clock import Clock
from bot.core.domain import ChannelId, Place, QuestionId, UserId

WINDOW_S = 5.1
"""Discord's five seconds and a tenth for the network's jitter."""

_TYPING_S = 8.5
"""Discord lets the typing indicator expire after 10 seconds."""

_MAX_SLOWNESS = 8.0
_RECOVERY_S = 30.0
"""Without another slow-down for this long, the pace doubles again."""

_LONG_S = 6.0
"""An answer alone here that takes longer than this may fill more of the window: who would ask next
is still reading, and the next first words need no room right after its end."""

_CROWD = 3
"""From this many answers at once on, first words leave room for the others' ends."""

_TURN_S = 0.05
"""How much later somebody whose turn it isn't asks again, in seconds."""


SIGNS_S = 10.0
SIGNS = Shares(person=5, group=20, total=60, reserve=5)
"""Signs on or for single messages in ten seconds; Discord allows four reactions a second in a channel."""


class Rank(IntEnum):
    """What a write is for; the lower goes first."""

    FIRST = 0
    """First words of an answer."""
    INTERIM = 1
    """More of an answer."""
    STAGE = 2
    """The stage line."""


@dataclass(slots=True)
class _Answer:
    """An answer that is being written here: when it last wrote, and when it first did."""

    last_s: float = float("-inf")
    first_s: float | None = None


class ChannelPacer:
    """The writes of one channel. All times are seconds of one monotonic clock.

    Args:
        writes_per_5_s: Most posts and edits in any five seconds, 1 to 5.
    """

    def __init__(self, writes_per_5_s: int) -> None:
        self._most = writes_per_5_s
        self._writes: deque[float] = deque(maxlen=writes_per_5_s)
        self._last_interim_s = float("-inf")
        self._answers: dict[QuestionId, _Answer] = {}
        self._waiting: dict[QuestionId, Rank] = {}
        self._slowness = 1.0
        self._slowed_s = float("-inf")
        self._pause_until_s = float("-inf")
        self._typed_s = float("-inf")

    def join(self, key: QuestionId) -> None:
        """Count an answer as being written here."""
        self._answers.setdefault(key, _Answer())

    def leave(self, key: QuestionId) -> None:
        """Count an answer as over; what it waited for is given up."""
        self._answers.pop(key, None)
        self._waiting.pop(key, None)

    def book(self, now_s: float, key: QuestionId) -> float:
        """Reserve the next free moment for a final write and return it, ``now_s`` or later.

        The caller writes at that moment, not later; a caller that gives up just doesn't write.
        """
        self._waiting.pop(key, None)
        at_s = max(now_s, self._pause_until_s)
        if self._writes:
            at_s = max(at_s, self._writes[-1])
        if len(self._writes) == self._most:
            at_s = max(at_s, self._writes[0] + WINDOW_S)
        self._writes.append(at_s)
        return at_s

    def ask(self, now_s: float, key: QuestionId, rank: Rank) -> float:
        """Ask to write now. Returns 0 when granted, else seconds until asking again makes sense.

        Whoever was refused and asks no more must ``book``, ``withdraw`` or ``leave``, or others wait for it.
        """
        delay_s = self._room_in(now_s, key, rank)
        if delay_s > 0 or not self._is_turn_of(key, rank):
            self._waiting[key] = rank
            return max(delay_s, _TURN_S)
        self._waiting.pop(key, None)
        self._writes.append(now_s)
        if rank is not Rank.FIRST:
            self._last_interim_s = now_s
        if (answer := self._answers.get(key)) is not None:
            answer.last_s = now_s
            if answer.first_s is None and rank is not Rank.STAGE:
                answer.first_s = now_s
        return 0.0

    def withdraw(self, key: QuestionId) -> None:
        """Give up what was asked for and refused."""
        self._waiting.pop(key, None)

    def slowed(self, now_s: float, retry_after_s: float = 0.0) -> None:
        """Note that Discord refused or delayed a write: everything but finals slows down by half."""
        self._slowness = min(self._current_slowness(now_s) * 2, _MAX_SLOWNESS)
        self._slowed_s = now_s
        self._pause_until_s = max(self._pause_until_s, now_s + retry_after_s)

    def typing_in(self, now_s: float) -> float:
        """Return the seconds until the typing indicator needs refreshing; 0 or less is now."""
        return self._typed_s + _TYPING_S - now_s

    def typed(self, now_s: float) -> None:
        """Note that the typing indicator is being shown."""
        self._typed_s = now_s

    def is_idle(self, now_s: float) -> bool:
        """Return whether nothing here needs remembering."""
        return not self._answers and (not self._writes or self._writes[-1] + WINDOW_S < now_s)

    def _room_in(self, now_s: float, key: QuestionId, rank: Rank) -> float:
        """Return the seconds until a write of this rank has room; 0 or less is now."""
        share = self._share(now_s, key, rank)
        if share == 0:
            return WINDOW_S
        at_s = max(now_s, self._pause_until_s)
        if self._writes:
            at_s = max(at_s, self._writes[-1])
        if len(self._writes) >= share:
            at_s = max(at_s, self._writes[-share] + WINDOW_S)
        if rank is not Rank.FIRST:
            gap_s = WINDOW_S / share * self._current_slowness(now_s)
            at_s = max(at_s, self._last_interim_s + gap_s)
        return at_s - now_s

    def _share(self, now_s: float, key: QuestionId, rank: Rank) -> int:
        """Return how full a write of this rank may make the window.

        Interim writes leave room for a final and for somebody's first words.
        """
        crowd = len(self._answers)
        match rank:
            case Rank.FIRST:
                return self._most if crowd < _CROWD else max(1, self._most - 1)
            case Rank.INTERIM:
                answer = self._answers.get(key)
                began_s = answer.first_s if answer is not None else None
                is_long = began_s is not None and now_s - began_s > _LONG_S
                return max(1, self._most - (1 if crowd == 1 and is_long else 2))
            case Rank.STAGE:
                return max(self._most - 2, min(1, self._most - 1))

    def _is_turn_of(self, key: QuestionId, rank: Rank) -> bool:
        """Return whether nobody waits with a better rank, or as good a one and longer unserved."""
        mine = (rank, self._last_s(key))
        return all(
            mine <= (other_rank, self._last_s(other))
            for other, other_rank in self._waiting.items()
            if other != key
        )

    def _last_s(self, key: QuestionId) -> float:
        answer = self._answers.get(key)
        return answer.last_s if answer is not None else float("-inf")

    def _current_slowness(self, now_s: float) -> float:
        quiet_s = now_s - self._slowed_s
        if quiet_s == float("inf"):
            return 1.0
        return max(1.0, self._slowness / float(2 ** int(quiet_s // _RECOVERY_S)))


class PacerRegistry:
    """The pacers of all channels, and the budget of signs on or for single messages.

    It is bounded: channels with nothing to remember are forgotten first.

    Args:
        writes_per_5_s: Most posts and edits per channel in any five seconds.
        clock: Tells which pacers are idle.
        capacity: Channels to remember beyond those in use.
    """

    def __init__(self, writes_per_5_s: int, clock: Clock, *, capacity: int = 512) -> None:
        self._writes_per_5_s = writes_per_5_s
        self._clock = clock
        self._capacity = capacity
        self._pacers: OrderedDict[ChannelId, ChannelPacer] = OrderedDict()
        self._signs = FairBudget(SIGNS, SIGNS_S)

    def may_sign(self, person_id: UserId, place: Place) -> bool:
        """Count a sign for a person's message (a mark, or a sentence in reply) if it has room."""
        return not self._signs.take(person_id, place.guild_id or person_id, self._clock.monotonic())

    def of(self, channel_id: ChannelId) -> ChannelPacer:
        """Return a channel's pacer, the same one for as long as it matters."""
        pacer = self._pacers.get(channel_id)
        if pacer is None:
            if len(self._pacers) >= self._capacity:
                self._forget_idle()
            pacer = self._pacers[channel_id] = ChannelPacer(self._writes_per_5_s)
        self._pacers.move_to_end(channel_id)
        return pacer

    def __len__(self) -> int:
        return len(self._pacers)

    def _forget_idle(self) -> None:
        """Forget the idle quarter that was used longest ago."""
        now_s = self._clock.monotonic()
        idle = [key for key, pacer in self._pacers.items() if pacer.is_idle(now_s)]
        for channel_id in idle[: max(1, self._capacity // 4)]:
            del self._pacers[channel_id]
