"""Who is next: a fair queue over persons, then channels. Pure, without time and without tasks.

Start-time fair queueing (Goyal, Vin, Cheng 1996): each person has a start tag, which grows by the
cost of what they were given, and the lowest tag is served next. A person who comes back starts no
earlier than where the queue is now, so nobody saves up; what is put back wasn't away, and starts where
it did. Equal tags are decided by the channel's own tag, then by who asked first. Within a person's
queue, first come, first served.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum


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

    def put_back(self, entry: Entry) -> None:
        """Put back what was taken, to its place in its person's queue, its cost given back."""
        person = self._person_tags.get(entry.person)
        channel = self._channel_tags.get(entry.channel)
        self.push(entry)
        self._queues[entry.person] = dict(sorted(self._queues[entry.person].items()))
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
            self._person_tags = _waiting_only(self._person_tags, self._queues.keys())
        if len(self._channel_tags) > limit:
            self._channel_tags = _waiting_only(self._channel_tags, self._channel_counts.keys())

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


def _waiting_only(tags: dict[int, float], waiting: object) -> dict[int, float]:
    return {key: tag for key, tag in tags.items() if key in waiting}  # type: ignore[operator]
