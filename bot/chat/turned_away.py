"""People whose messages aren't taken, and how they learn of it.

A message that is refused gets a sign of its own while there is room for it: the reason in reply, once
a minute to each person, and a mark on further ones. Beyond that it is counted, and one line says in
its channel how many weren't taken. So each refused message is accounted for once, and a flood of them
costs one step each and few requests, of which no server can take another's share.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bot.core.clock import Clock
from bot.core.domain import ChannelId, IncomingMessage, Place, QuestionId
from bot.core.recent import Recent
from bot.core.tasks import TaskOwner, log_context
from bot.core.wording import counted
from bot.delivery.pacing import PacerRegistry, Rank

_log = logging.getLogger(__name__)

LATER_MARK: Final = "⏳"
"""On a message over a limit whose author was told so a moment ago."""

TOLD_EVERY_S: Final = 60.0
"""Seconds between two reasons that a person is told."""

GATHER_S: Final = 2.0
"""Seconds from the first message that is only counted to the line about it."""

LINE_EVERY_S: Final = 20.0
"""Seconds between two such lines in one channel."""

LINES_PER_S: Final = 5
"""Such lines in all, for one server after the other."""

GIVEN_UP_S: Final = 600.0
"""Seconds after the last message that a line counts until it isn't tried any more."""

NAMED: Final = 5
"""People who are named in a line."""

REMEMBERED: Final = 20_000
"""People of whom it is remembered that they were told; a flood of new ones forgets the oldest."""

TOO_MANY: Final = "Too many came at once. Please ask again in a minute."


class Signals(Protocol):
    """How people are told."""

    async def reply(self, message: IncomingMessage, sentence: str) -> bool:
        """Say a sentence in reply; return whether it stands."""
        ...

    async def mark(self, message: IncomingMessage, mark: str) -> bool:
        """Put a mark on a message; return whether it is there."""
        ...

    async def announce(self, place: Place, about: QuestionId, sentence: str) -> bool:
        """Say a sentence to a channel, once for each ``about``.

        Saying another sentence about the same replaces the first, should that have arrived.

        Returns:
            Whether that is done with: it stands, or never will.
        """
        ...


@dataclass(slots=True)
class _Tally:
    """What a channel's next line will say, and when it may.

    Attributes:
        about: The first message, as a name for the line.
        last_s: When the last message was counted.
    """

    place: Place
    about: QuestionId
    due_s: float
    last_s: float = 0.0
    sentence: str = ""
    count: int = 0
    people: set[int] = field(default_factory=set)

    def add(self, later: _Tally) -> None:
        """Count also what came later."""
        self.count += later.count
        self.people |= later.people
        self.last_s = later.last_s
        self.sentence = later.sentence

    def text(self) -> str:
        """Return the line."""
        whose = ""
        if self.place.guild_id is not None:
            ids = sorted(self.people)
            names = [f"<@{person_id}>" for person_id in ids[:NAMED]]
            if len(ids) > NAMED:
                names.append(counted(len(ids) - NAMED, "other"))
            whose = f" (from {', '.join(names)})"
        verb = "wasn't" if self.count == 1 else "weren't"
        return f"{counted(self.count, 'message')} here {verb} taken{whose}. {self.sentence}"


class TurnedAway:
    """Tells people that their messages aren't taken.

    Call its methods from the event loop's thread; they return at once.

    Args:
        signals: How people are told.
        pacers: Know when a channel has room for a message.
        clock: Time.
    """

    def __init__(self, signals: Signals, pacers: PacerRegistry, clock: Clock) -> None:
        self._signals = signals
        self._pacers = pacers
        self._clock = clock
        self._told: Recent[tuple[int, str], float] = Recent(REMEMBERED)
        self._tallies: OrderedDict[int, OrderedDict[ChannelId, _Tally]] = OrderedDict()
        self._lines: OrderedDict[ChannelId, float] = OrderedDict()
        self._is_saying = False
        self._tasks = TaskOwner()

    def explain(self, message: IncomingMessage, reason: str) -> None:
        """Tell why a message isn't for the bot; who was told such within a minute isn't again."""
        if not self._was_told(message, "explained"):
            self._tell(message, reason, shared=reason)

    def refuse(self, message: IncomingMessage, reason: str) -> None:
        """Tell that a question isn't taken now; each one is accounted for."""
        if not self._was_told(message, "refused"):
            self._tell(message, reason, shared=TOO_MANY)
        elif self._has_room(message):
            self._sign(self._mark_or_count(message))
        else:
            self._count(message, TOO_MANY)

    async def close(self) -> None:
        """Give up what wasn't told yet."""
        await self._tasks.cancel()

    def _was_told(self, message: IncomingMessage, what: str) -> bool:
        """Return whether the author was told this within a minute; from now on they were."""
        now_s, told = self._clock.monotonic(), (message.author.id, what)
        last_s = self._told.get(told)
        if last_s is not None and now_s - last_s < TOLD_EVERY_S:
            return True
        self._told[told] = now_s
        return False

    def _tell(self, message: IncomingMessage, reason: str, *, shared: str) -> None:
        place = message.place
        with log_context(
            question_id=message.id, guild_id=place.guild_id, channel_id=place.channel_id
        ):
            _log.info("not taken: %s", reason)
        pacer = self._pacers.of(place.channel_id)
        key = QuestionId(message.id)
        is_free = pacer.ask(self._clock.monotonic(), key, Rank.STAGE) <= 0
        pacer.withdraw(key)
        if is_free and self._has_room(message):
            self._sign(self._reply_or_count(message, reason, shared))
        else:
            self._count(message, shared)

    def _has_room(self, message: IncomingMessage) -> bool:
        return self._pacers.may_sign(message.author.id, message.place)

    def _sign(self, work: Coroutine[Any, Any, object]) -> None:
        self._tasks.start(work, name="sign")

    async def _reply_or_count(self, message: IncomingMessage, reason: str, shared: str) -> None:
        if not await self._signals.reply(message, reason):
            self._count(message, shared)

    async def _mark_or_count(self, message: IncomingMessage) -> None:
        if not await self._signals.mark(message, LATER_MARK):
            self._count(message, TOO_MANY)

    def _count(self, message: IncomingMessage, sentence: str) -> None:
        channel_id, now_s = message.place.channel_id, self._clock.monotonic()
        tally = self._found(_group(message), channel_id)
        if tally is None:
            last_s = self._lines.get(channel_id, float("-inf"))
            due_s = max(now_s + GATHER_S, last_s + LINE_EVERY_S)
            tally = _Tally(message.place, QuestionId(message.id), due_s)
            self._keep(_group(message), tally)
        tally.count += 1
        tally.people.add(message.author.id)
        tally.sentence, tally.last_s = sentence, now_s

    def _found(self, group: int, channel_id: ChannelId) -> _Tally | None:
        tallies = self._tallies.get(group)
        return None if tallies is None else tallies.get(channel_id)

    def _keep(self, group: int, tally: _Tally) -> None:
        """Keep what is to be said."""
        self._tallies.setdefault(group, OrderedDict())[tally.place.channel_id] = tally
        if not self._is_saying:
            self._is_saying = True
            self._tasks.start(self._say_lines(), name="lines")

    async def _say_lines(self) -> None:
        while self._tallies:
            await self._clock.sleep(1 / LINES_PER_S)
            now_s = self._clock.monotonic()
            self._forget_lines(now_s)
            group, tally = self._next(now_s)
            if tally is not None:
                self._lines[tally.place.channel_id] = now_s
                self._sign(self._say_line(group, tally))
        self._is_saying = False

    def _next(self, now_s: float) -> tuple[int, _Tally | None]:
        """Take out what may be said now, of the server whose turn it is."""
        for group in list(self._tallies):
            tallies = self._tallies[group]
            found = next((tally for tally in tallies.values() if tally.due_s <= now_s), None)
            if found is not None:
                del tallies[found.place.channel_id]
                self._tallies.move_to_end(group)
                if not tallies:
                    del self._tallies[group]
                return group, found
        return 0, None

    async def _say_line(self, group: int, tally: _Tally) -> None:
        """Say a line; what can't be said yet is said with what is counted meanwhile, or given up."""
        channel_id = tally.place.channel_id
        now_s = self._clock.monotonic()
        at_s = self._pacers.of(channel_id).book(now_s, tally.about)
        await self._clock.sleep(at_s - now_s)
        if await self._signals.announce(tally.place, tally.about, tally.text()):
            return
        later, now_s = self._found(group, channel_id), self._clock.monotonic()
        if later is not None:
            tally.add(later)
        elif now_s - tally.last_s >= GIVEN_UP_S:
            _log.warning(
                "channel %d gets no word of %s", channel_id, counted(tally.count, "message")
            )
            return
        _log.info(
            "channel %d gets its word of %s later", channel_id, counted(tally.count, "message")
        )
        tally.due_s = now_s + LINE_EVERY_S
        self._keep(group, tally)

    def _forget_lines(self, now_s: float) -> None:
        while self._lines:
            channel_id, at_s = next(iter(self._lines.items()))
            if now_s - at_s < LINE_EVERY_S:
                return
            del self._lines[channel_id]


def _group(message: IncomingMessage) -> int:
    return message.place.guild_id or message.author.id
