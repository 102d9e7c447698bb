"""Who is next, and how much may run at once. Pure, without time and without tasks.

The queue is fair over persons, then channels: start-time fair queueing (Goyal, Vin, Cheng 1996): each person has a start tag, which grows by the
cost of what they were given, and the lowest tag is served next. A person who comes back starts no
earlier than where the queue is now, so nobody saves up; what is put back wasn't away, and starts where
it did. Equal tags are decided by the channel's own tag, then by who asked first. Within a person's
queue, first come, first served.

What may run follows from slots, the shared context pool, and what the server shows it can bear; a wait
from how long answers took.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from bot.core.ports import Capacity


class Strain:
    """Tells what several people's questions bring about from what one person's do.

    A server that is full with one person's questions is relieved by that person's waiting: each of
    them is asked again alone.
    """

    def __init__(self) -> None:
        self._by: int | None = None

    def is_shared(self, person_id: int) -> bool:
        """Note that the server was full or fell over under some work; was it so for others too?"""
        is_shared = self._by not in (None, person_id)
        self._by = person_id
        return is_shared

    def eased(self) -> None:
        """Note that an answer began."""
        self._by = None


class CapacityGate:
    """Admits work while it fits. Pure; times and rates are given to it.

    The number of slots adapts like a TCP window: halved when the server is full or crashes under several people's questions,
    one more for each full round without trouble. Speed doesn't narrow it: an answer is slow because
    others are read and written beside it, and that comes and goes within one answer.
    After ``ramp`` it begins with one, and doubles with each round.
    """

    def __init__(self) -> None:
        self._capacity = Capacity(slots=1)
        self._limit: float | None = None
        self._is_ramping = False
        self._running: dict[int, tuple[int, int]] = {}
        self._number = itertools.count()
        self._last_cut = -1

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self._running)

    @property
    def slots(self) -> int:
        """How many may run at once at the moment."""
        return max(1, min(self._capacity.slots, int(self._window())))

    @property
    def pool_tokens(self) -> int | None:
        """The context that all answers share; ``None`` where each slot has its own."""
        return self._capacity.pool_tokens

    @property
    def used_tokens(self) -> int:
        """How much of it running work may use."""
        return sum(used for used, _ in self._running.values())

    def update(self, capacity: Capacity) -> None:
        """Take over what the server says it can do."""
        self._capacity = capacity

    def room_for(self, tokens: int, least: int, elsewhere: int = 0) -> int:
        """Return how many tokens of the shared pool work may use; 0 when it can't begin.

        A longest answer is rarely written, so where the pool has not room for all of it, what is
        left will do from ``least`` tokens on. Work that is alone may use what it likes.

        Args:
            tokens: Prompt and longest answer.
            least: Prompt and the shortest bound on the answer that is worth beginning with.
            elsewhere: What work of other processes uses of the same pool.
        """
        if not self._running and not elsewhere:
            return tokens
        if len(self._running) >= self.slots:
            return 0
        pool = self._capacity.pool_tokens
        if pool is None:
            return tokens
        free = pool - self.used_tokens - elsewhere
        return min(tokens, free) if free >= least else 0

    def begin(self, key: int, tokens: int) -> None:
        """Note that work began."""
        self._running[key] = (tokens, next(self._number))

    def end(self, key: int) -> None:
        """Note that work ended, however; unknown keys change nothing."""
        self._running.pop(key, None)

    def ramp(self) -> None:
        """Begin again with one, as after the server was away."""
        self._limit = 1.0
        self._is_ramping = True

    def went_well(self) -> None:
        """Widen the window: an answer's first token came."""
        window = self._window()
        if window >= self._capacity.slots:
            self._limit = None
            self._is_ramping = False
            return
        self._limit = window + (1.0 if self._is_ramping else 1.0 / window)

    def overloaded(self, key: int) -> None:
        """Halve the window: the server was full or fell over under this work.

        Work that began before the last halving says nothing new and changes nothing.
        """
        began = self._running.get(key)
        if began is not None and began[1] <= self._last_cut:
            return
        self._last_cut = next(self._number)
        self._limit = max(1.0, self.slots * 0.5)
        self._is_ramping = False

    def _window(self) -> float:
        slots = float(self._capacity.slots)
        return slots if self._limit is None else min(slots, self._limit)


_FIRST_GUESS_S: Final = 15.0
"""Seconds an answer takes before one was seen: 500 tokens at 35 tokens/s."""

_WEIGHT: Final = 0.2
"""How much the newest answer counts; about the last ten matter."""


class Durations:
    """A moving mean of how long answers hold their slot."""

    def __init__(self) -> None:
        self._mean_s = _FIRST_GUESS_S
        self._is_learned = False

    @property
    def mean_s(self) -> float:
        """Expected duration of an answer, in seconds."""
        return self._mean_s

    def learn(self, duration_s: float) -> None:
        """Take an answer's duration into account."""
        weight = _WEIGHT if self._is_learned else 1.0
        self._mean_s += weight * (max(0.1, duration_s) - self._mean_s)
        self._is_learned = True

    def waits_s(self, running_for_s: Sequence[float], slots: int, waiting: int) -> list[float]:
        """Return when each of the waiting ones is expected to begin, in seconds from now.

        Args:
            running_for_s: How long each running answer has been at it, in seconds.
            slots: Answers at once, at least 1.
            waiting: How many wait.
        """
        least_s = self._mean_s * 0.1
        free = [max(least_s, self._mean_s - elapsed_s) for elapsed_s in running_for_s]
        free = sorted(free)[-slots:] if len(free) > slots else free
        free += [0.0] * (slots - len(free))
        heapq.heapify(free)
        waits: list[float] = []
        for _ in range(waiting):
            begins_s = free[0]
            waits.append(begins_s)
            heapq.heapreplace(free, begins_s + self._mean_s)
        return waits


def in_words(wait_s: float) -> str:
    """Return a wait roughly, as people say it: "20 seconds", "3 minutes", "2 hours"."""
    if wait_s <= 10:
        return "10 seconds"
    if wait_s <= 50:
        return f"{round(wait_s / 10) * 10} seconds"
    if wait_s < 90:
        return "a minute"
    if wait_s < 3600 - 30:
        return f"{round(wait_s / 60)} minutes"
    hours = round(wait_s / 3600)
    return "an hour" if hours <= 1 else f"{hours} hours"


class Bound(Enum):
    """Which bound is reached."""

    TOTAL = "total"
    CHANNEL = "channel"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Entry:
    """One question in the queue.

    Attributes:
        key: Unique among those waiting; lower where it was asked earlier.
        cost: What answering is expected to take, in any one unit; more than 0.
    """

    key: int
    person: int
    channel: int
    cost: float


@dataclass(frozen=True, slots=True)
class Tags:
    """How far a queue is, and how far people and channels are in it.

    Attributes:
        line: Where the queue is.
        channel_line: Where its channels are.
        people: Of each person.
        channels: Of each channel.
    """

    line: float = 0.0
    channel_line: float = 0.0
    people: Mapping[int, float] = field(default_factory=dict)
    channels: Mapping[int, float] = field(default_factory=dict)


class FairQueue:
    """The waiting questions, and how much the people of this busy time were given.

    Args:
        max_total: Most that may wait.
        max_channel: Most that may wait of one channel.
        max_person: Most that may wait of one person.
    """

    def __init__(self, max_total: int, max_channel: int, max_person: int) -> None:
        self.bound(max_total, max_channel, max_person)
        self._entries: dict[int, Entry] = {}
        self._queues: dict[int, dict[int, Entry]] = {}
        self._channel_counts: dict[int, int] = {}
        self._person_tags: dict[int, float] = {}
        self._channel_tags: dict[int, float] = {}
        self._tag = 0.0
        self._channel_tag = 0.0
        self._known: list[int] = []
        self._further: Iterator[int] = iter(())

    def bound(self, max_total: int, max_channel: int, max_person: int) -> None:
        """Set how many may wait from now on; arguments as of the class."""
        self._max_total = max_total
        self._max_channel = max_channel
        self._max_person = max_person

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: int) -> bool:
        return key in self._entries

    def full(self, person: int, channel: int) -> Bound | None:
        """Return the bound that keeps this person from asking in this channel, if one does."""
        if len(self._queues.get(person, ())) >= self._max_person:
            return Bound.PERSON
        if self._channel_counts.get(channel, 0) >= self._max_channel:
            return Bound.CHANNEL
        if len(self._entries) >= self._max_total:
            return Bound.TOTAL
        return None

    def of(self, person: int) -> Collection[int]:
        """Return the keys of a person's questions."""
        return self._queues.get(person, {}).keys()

    def push(self, entry: Entry) -> None:
        """Add to the end of the person's queue; bounds are the caller's to ask.

        Raises:
            ValueError: The key waits already.
        """
        if entry.key in self._entries:
            raise ValueError(f"{entry.key} waits already")
        self._entries[entry.key] = entry
        queue = self._queues.setdefault(entry.person, {})
        queue[entry.key] = entry
        if len(queue) == 1:
            known = self._person_tags.get(entry.person, 0.0)
            self._person_tags[entry.person] = max(self._tag, known)
        count = self._channel_counts.get(entry.channel, 0)
        self._channel_counts[entry.channel] = count + 1
        if count == 0:
            known = self._channel_tags.get(entry.channel, 0.0)
            self._channel_tags[entry.channel] = max(self._channel_tag, known)
        self._changed()

    def insert(self, entry: Entry) -> None:
        """Add to the place in the person's queue that it has by its key.

        Raises:
            ValueError: The key waits already.
        """
        self.push(entry)
        self._queues[entry.person] = dict(sorted(self._queues[entry.person].items()))

    def put_back(self, entry: Entry) -> None:
        """Put back what was taken, to its place in its person's queue, its cost given back."""
        person = self._person_tags.get(entry.person)
        channel = self._channel_tags.get(entry.channel)
        self.insert(entry)
        if person is not None:
            self._person_tags[entry.person] = person - entry.cost
        if channel is not None:
            self._channel_tags[entry.channel] = channel - entry.cost

    def reprice(self, key: int, cost: float) -> None:
        """Set what answering a waiting question is expected to take; its place stays.

        Raises:
            KeyError: It isn't waiting.
        """
        entry = replace(self._entries[key], cost=cost)
        self._entries[key] = self._queues[entry.person][key] = entry
        self._changed()

    def remove(self, key: int) -> bool:
        """Take a question out without charging anyone; return whether it was there."""
        entry = self._entries.get(key)
        if entry is None:
            return False
        self._drop(entry)
        return True

    def take(self, key: int) -> Entry:
        """Take a question to be answered and charge its person and channel.

        Args:
            key: Usually the first of ``ahead``; any waiting one is possible.

        Raises:
            KeyError: It isn't waiting.
        """
        entry = self._entries[key]
        self._tag = max(self._tag, self._person_tags[entry.person])
        self._channel_tag = max(self._channel_tag, self._channel_tags[entry.channel])
        self._person_tags[entry.person] += entry.cost
        self._channel_tags[entry.channel] += entry.cost
        self._drop(entry)
        return entry

    def order(self) -> list[int]:
        """Return the keys in the order they would be taken if nothing else came."""
        return list(self.ahead())

    def ahead(self) -> Iterator[int]:
        """Yield the keys in that order, worked out as far as asked for; any change ends it."""
        known, further = self._known, self._further
        for index in itertools.count():
            if index == len(known):
                key = next(further, None)
                if key is None:
                    return
                known.append(key)
            yield known[index]

    def tags(self, people: Iterable[int], channels: Iterable[int]) -> Tags:
        """Return how far the queue is, with these people and channels."""
        return Tags(
            self._tag,
            self._channel_tag,
            {person: self._person_tags.get(person, 0.0) for person in people},
            {channel: self._channel_tags.get(channel, 0.0) for channel in channels},
        )

    def learn(self, tags: Tags) -> None:
        """Take over what another queue for the same slots knows; of two that know, the later one is right."""
        self._tag = max(self._tag, tags.line)
        self._channel_tag = max(self._channel_tag, tags.channel_line)
        for known, told in (
            (self._person_tags, tags.people),
            (self._channel_tags, tags.channels),
        ):
            for key, tag in told.items():
                known[key] = max(known.get(key, 0.0), tag)
        self._changed()

    def forget_people(self) -> None:
        """Forget who was served; for when nobody waits and nothing runs, so that nobody gains."""
        if not self._entries:
            self._person_tags.clear()
            self._channel_tags.clear()
            self._tag = self._channel_tag = 0.0

    def _drop(self, entry: Entry) -> None:
        del self._entries[entry.key]
        queue = self._queues[entry.person]
        del queue[entry.key]
        self._channel_counts[entry.channel] -= 1
        if not self._channel_counts[entry.channel]:
            del self._channel_counts[entry.channel]
        if not queue:
            del self._queues[entry.person]
        self._changed()
        self._forget()

    def _forget(self) -> None:
        """Drop tags that no longer matter, now and then."""
        limit = 4 * self._max_total + 64
        if len(self._person_tags) > limit:
            self._person_tags = {key: self._person_tags[key] for key in self._queues}
        if len(self._channel_tags) > limit:
            self._channel_tags = {key: self._channel_tags[key] for key in self._channel_counts}

    def _changed(self) -> None:
        self._known = []
        self._further = self._simulate()

    def _simulate(self) -> Iterator[int]:
        """Take one after the other, on copies."""
        tags, channels = dict(self._person_tags), dict(self._channel_tags)
        queues = {person: iter(queue.values()) for person, queue in self._queues.items()}
        first = {person: next(queue) for person, queue in queues.items()}
        heap = [
            (tags[person], channels[entry.channel], entry.key, person)
            for person, entry in first.items()
        ]
        heapq.heapify(heap)
        while heap:
            tag, channel_tag, key, person = heap[0]
            entry = first[person]
            if channels[entry.channel] > channel_tag:
                heapq.heapreplace(heap, (tag, channels[entry.channel], key, person))
                continue
            yield key
            tags[person] += entry.cost
            channels[entry.channel] += entry.cost
            follower = next(queues[person], None)
            if follower is None:
                heapq.heappop(heap)
                continue
            first[person] = follower
            place = tags[person], channels[follower.channel], follower.key, person
            heapq.heapreplace(heap, place)
