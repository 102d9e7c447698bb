"""Who may write to a channel when: a sliding window over all answers there, without waiting itself.

Discord's buckets were observed as five posts or edits per channel in five seconds (discord-api-docs
#2761, #1442), and posts and edits are counted as one here. The pacer only computes; its callers
sleep. Finals *book* the next free moment and always get one. Everything else *asks*, is told to come
back when there is no room, and leaves room for finals.

The stage line, which is shown while there is no text yet, has its words and its own timing here.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import IntEnum
from typing import assert_never

from bot.core.action_budget import FairBudget, Shares
from bot.core.clock import Clock
from bot.core.domain import ChannelId, Place, QuestionId, Stage, StageKind, UserId
from bot.core.notices import STAGE_PREFIX
from bot.core.wording import counted

_FIRST_UPDATE_S = 5.0
_LATER_UPDATE_S = 10.0
_LONG_WAIT_S = 40.0
_LEAST_EXPECTED_S = 2.0
"""What takes less is over before it is read."""

_RECHECK_S = 1.0
"""How often a line that is due but unchanged is looked at again."""

_QUIET_STAGES = frozenset({StageKind.QUEUED, StageKind.HELD, StageKind.WAKING})
"""Nothing is being worked on: the stage line says so, the typing indicator would lie."""


def stage_line(stage: Stage, elapsed_s: float) -> str:
    """Return the stage in words, as one line of small text.

    Args:
        stage: What the question waits for.
        elapsed_s: Seconds since this stage began.
    """
    return STAGE_PREFIX + _words(stage, max(0.0, elapsed_s))


def update_interval_s(elapsed_s: float) -> float:
    """Return the least time between two updates of a line that has been shown for a while.

    Args:
        elapsed_s: Seconds since the question was accepted.
    """
    return _FIRST_UPDATE_S if elapsed_s < _LONG_WAIT_S else _LATER_UPDATE_S


def ordinal(number: int) -> str:
    """Return an English ordinal: 1st, 2nd, 3rd, 4th, 11th, 22nd."""
    if number % 100 in {11, 12, 13}:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``8 s``, ``20 s``, ``3 min``; long ones rounded."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 90:
        return f"{5 * round(seconds / 5)} s"
    return f"{round(seconds / 60)} min"


def _words(stage: Stage, elapsed_s: float) -> str:
    match stage.kind:
        case StageKind.QUEUED:
            return _queued(stage)
        case StageKind.HELD:
            return _held(stage)
        case StageKind.WAKING:
            return "Waking the model's machine" + _of_all(elapsed_s, stage.expected_wait_s)
        case StageKind.CONNECTING:
            return "Reaching the model's machine…"
        case StageKind.LOADING:
            return "Loading the model" + _of_all(elapsed_s, stage.expected_wait_s)
        case StageKind.READING:
            return _reading(stage, elapsed_s)
        case StageKind.THINKING:
            return f"Thinking…{_since(elapsed_s)}"
        case StageKind.RETRYING:
            return "Asking the model again…"
        case _:
            assert_never(stage.kind)


def _held(stage: Stage) -> str:
    wait_s = stage.expected_wait_s
    limit = f" (for up to {duration(wait_s)})" if wait_s else ""
    return (
        f"The model's machine doesn't answer. I keep the question and answer when it's back{limit}."
    )


def _queued(stage: Stage) -> str:
    if stage.position is None:
        place = "In line"
    elif stage.position <= 1:
        place = "Next in line"
    else:
        place = f"In line ({ordinal(stage.position)})"
    return place + _about(stage.expected_wait_s)


def _reading(stage: Stage, elapsed_s: float) -> str:
    what = "Reading" if stage.tokens is None else f"Reading {counted(stage.tokens, 'token')}"
    return what + _of_all(elapsed_s, stage.expected_wait_s)


def _of_all(elapsed_s: float, expected_s: float | None) -> str:
    """Return how far something is that should take so long, where that is known."""
    if expected_s is None or expected_s < _LEAST_EXPECTED_S:
        return f"…{_since(elapsed_s)}"
    if elapsed_s > expected_s:
        return f"… {int(elapsed_s)} s, longer than the {duration(expected_s)} I expected"
    return f", about {duration(expected_s)}…{_since(elapsed_s)}"


def _about(seconds: float | None) -> str:
    return "" if seconds is None else f", about {duration(seconds)}"


def _since(elapsed_s: float) -> str:
    return "" if elapsed_s < 2 else f" {int(elapsed_s)} s"


class StageClock:
    """The current stage, and when its line may be written next.

    Args:
        began_s: When the waiting began, in seconds of the monotonic clock.
        after_s: How long the first word may take before there is a line, in seconds.
    """

    def __init__(self, began_s: float, after_s: float) -> None:
        self._began_s = began_s
        self.stage: Stage | None = None
        """What the question waits for; ``None`` before it is known."""
        self._since_s = began_s
        self._due_s = began_s + after_s

    @property
    def is_working(self) -> bool:
        """Whether something is being done, rather than waited for in line."""
        return self.stage is None or self.stage.kind not in _QUIET_STAGES

    def note(self, stage: Stage, now_s: float) -> None:
        """Take in a stage; the same kind again goes on counting its seconds."""
        if self.stage is None or self.stage.kind is not stage.kind:
            self._since_s = now_s
        self.stage = stage

    def line(self, now_s: float) -> str | None:
        """Return the line if one is due."""
        if self.stage is None or now_s < self._due_s:
            return None
        return stage_line(self.stage, now_s - self._since_s)

    def written(self, now_s: float) -> None:
        """Note that the line was written, or tried."""
        self._due_s = now_s + update_interval_s(now_s - self._began_s)

    def due_in(self, now_s: float) -> float:
        """Return the seconds until looking again makes sense; always more than 0."""
        delay_s = self._due_s - now_s
        return delay_s if delay_s > 0 else _RECHECK_S


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
