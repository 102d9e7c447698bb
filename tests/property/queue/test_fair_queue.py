"""The fair queue against a plain model of it, and its promises under any sequence of events."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot.queue.fair_queue import Bound, Entry, FairQueue

PEOPLE = st.integers(1, 4)
CHANNELS = st.integers(1, 3)
COSTS = st.integers(1, 10)
MAX_COST = 10


class FairQueueMachine(RuleBasedStateMachine):
    """Pushes, takes and removals in any order; the model is one list per person."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FairQueue(max_total=12, max_channel=8, max_person=5)
        self.lines: dict[int, list[Entry]] = {}
        self.taken: list[int] = []
        self.removed: list[int] = []
        self.keys = itertools.count(1)
        self.served: dict[tuple[int, int], float] = {}

    @rule(person=PEOPLE, channel=CHANNELS, cost=COSTS)
    def push(self, person: int, channel: int, cost: int) -> None:
        waiting = [entry for line in self.lines.values() for entry in line]
        in_channel = sum(entry.channel == channel for entry in waiting)
        own = len(self.lines.get(person, []))
        is_full = own >= 5 or in_channel >= 8 or len(waiting) >= 12
        assert (self.queue.full(person, channel) is not None) is is_full
        if is_full:
            return
        entry = Entry(next(self.keys), person, channel, float(cost))
        self.queue.push(entry)
        self.lines.setdefault(person, []).append(entry)

    @precondition(lambda self: bool(self.lines))
    @rule()
    def take(self) -> None:
        head = self.queue.take(next(self.queue.ahead()))
        assert head == self.lines[head.person][0]
        for other in self.lines:
            if other != head.person:
                pair = head.person, other
                self.served[pair] = self.served.get(pair, 0.0) + head.cost
        self._drop(head)
        self.taken.append(head.key)

    @precondition(lambda self: bool(self.lines))
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        waiting = [entry for line in self.lines.values() for entry in line]
        entry = data.draw(st.sampled_from(waiting))
        assert self.queue.remove(entry.key)
        assert not self.queue.remove(entry.key)
        self._drop(entry)
        self.removed.append(entry.key)

    def _drop(self, entry: Entry) -> None:
        self.lines[entry.person].remove(entry)
        if not self.lines[entry.person]:
            del self.lines[entry.person]
            self.served = {p: cost for p, cost in self.served.items() if entry.person not in p}

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        waiting = [entry.key for line in self.lines.values() for entry in line]
        assert sorted(self.queue.order()) == sorted(waiting)
        assert len(self.queue) == len(waiting)
        assert len(set(self.taken)) == len(self.taken)
        assert not set(self.taken) & set(waiting)

    @invariant()
    def the_first_in_order_is_next(self) -> None:
        assert next(self.queue.ahead(), None) == next(iter(self.queue.order()), None)

    @invariant()
    def each_person_is_served_in_their_own_order(self) -> None:
        order = self.queue.order()
        for line in self.lines.values():
            own = {entry.key for entry in line}
            assert [key for key in order if key in own] == [entry.key for entry in line]

    @invariant()
    def those_who_wait_all_along_get_equal_shares(self) -> None:
        for first, second in itertools.combinations(sorted(self.lines), 2):
            ahead = self.served.get((first, second), 0.0) - self.served.get((second, first), 0.0)
            assert abs(ahead) <= 2 * MAX_COST


FairQueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestFairQueue = FairQueueMachine.TestCase

ENTRIES = st.lists(st.tuples(PEOPLE, CHANNELS, COSTS), max_size=30)


def _filled(items: list[tuple[int, int, int]]) -> FairQueue:
    queue = FairQueue(100, 100, 100)
    for key, (person, channel, cost) in enumerate(items):
        queue.push(Entry(key, person, channel, float(cost)))
    return queue


@given(ENTRIES)
def test_the_order_foretold_is_the_order_taken(items: list[tuple[int, int, int]]) -> None:
    queue = _filled(items)
    foretold = queue.order()
    taken = []
    while queue:
        taken.append(queue.take(next(queue.ahead())).key)
    assert taken == foretold


@given(ENTRIES, st.integers(0, 29))
def test_put_back_at_once_stands_first_of_its_person(
    items: list[tuple[int, int, int]], steps: int
) -> None:
    queue = _filled(items)
    for _ in range(min(steps, len(items))):
        last = queue.take(next(queue.ahead()))
        waiting = len(queue)
        queue.put_back(last)
        assert len(queue) == waiting + 1
        own = [key for key in queue.order() if items[key][0] == last.person]
        assert own[0] == last.key
        queue.take(last.key)


@given(ENTRIES.filter(bool), st.lists(st.integers(0, 2), max_size=29), st.integers(1, 4), st.data())
def test_what_is_put_back_at_once_costs_nobody_a_place(
    items: list[tuple[int, int, int]], places: list[int], count: int, data: st.DataObject
) -> None:
    queue = _filled(items)
    for place in places[: len(items) - 1]:
        queue.take(queue.order()[min(place, len(queue) - 1)])
    before = queue.order()
    taken = [queue.take(next(queue.ahead())) for _ in before[:count]]
    for entry in data.draw(st.permutations(taken)):
        queue.put_back(entry)
    assert queue.order() == before


@given(st.integers(2, 40), st.integers(1, 20))
def test_a_newcomer_is_served_before_anyones_second(flood: int, cost: int) -> None:
    queue = FairQueue(100, 100, 100)
    for key in range(flood):
        queue.push(Entry(key, 1, 1, float(cost)))
    queue.take(next(queue.ahead()))
    queue.push(Entry(1000, 2, 1, 10.0))
    assert queue.order()[0] == 1000


def test_a_quiet_channel_does_not_wait_for_a_busy_ones_crowd() -> None:
    queue = FairQueue(100, 100, 100)
    for person in range(30):
        queue.push(Entry(person, person, 1, 1.0))
    queue.push(Entry(99, 99, 2, 1.0))
    assert queue.order().index(99) == 1


def test_each_bound_is_named() -> None:
    queue = FairQueue(max_total=3, max_channel=2, max_person=1)
    queue.push(Entry(1, 1, 1, 1.0))
    assert queue.full(1, 2) is Bound.PERSON
    queue.push(Entry(2, 2, 1, 1.0))
    assert queue.full(3, 1) is Bound.CHANNEL
    queue.push(Entry(3, 3, 2, 1.0))
    assert queue.full(4, 2) is Bound.TOTAL


def test_passing_crowds_leave_no_trace() -> None:
    queue = FairQueue(100, 100, 100)
    queue.push(Entry(-1, -1, -1, 1.0))
    for person in range(20_000):
        queue.push(Entry(person, person, person, 1.0))
        if person % 2:
            queue.take(person)
        else:
            queue.remove(person)
    sizes = (queue._person_tags, queue._channel_tags, queue._queues)
    assert max(len(part) for part in sizes) <= 4 * 100 + 64
    assert queue.order() == [-1]


def test_the_line_never_moves_back_after_somebody_was_served_out_of_turn() -> None:
    """Whoever comes now starts where the line has been already, not where it was before that."""
    queue = FairQueue(100, 100, 100)
    ada, ben, eve, new = 1, 2, 3, 4
    queue.push(Entry(10, ada, 1, 10.0))
    queue.take(10)
    queue.push(Entry(30, eve, 1, 5.0))
    queue.take(30)
    queue.push(Entry(20, ben, 1, 1.0))
    queue.push(Entry(11, ada, 1, 10.0))
    queue.take(11)
    queue.take(20)
    queue.push(Entry(31, eve, 1, 5.0))
    queue.push(Entry(40, new, 1, 1.0))
    assert queue.order() == [31, 40]


def test_the_line_of_channels_never_moves_back_either() -> None:
    """A channel that comes now starts where the channels have been already."""
    queue = FairQueue(100, 100, 100)
    people = iter(range(100))
    for key, channel, cost in ((10, 1, 10.0), (30, 3, 5.0)):
        queue.push(Entry(key, next(people), channel, cost))
        queue.take(key)
    queue.push(Entry(20, next(people), 2, 1.0))
    queue.push(Entry(11, next(people), 1, 10.0))
    queue.take(11)
    queue.take(20)
    queue.push(Entry(31, next(people), 3, 5.0))
    queue.push(Entry(40, next(people), 4, 1.0))
    assert queue.order() == [31, 40]


def test_what_is_put_back_costs_its_channel_nothing_either() -> None:
    queue = _filled([(1, 1, 1), (1, 1, 6), (1, 2, 1), (2, 1, 1), (2, 1, 1), (3, 1, 7), (3, 3, 1)])
    for _ in range(5):
        queue.take(next(queue.ahead()))
    before = queue.order()
    queue.put_back(queue.take(before[0]))
    assert queue.order() == before


def test_what_is_put_back_stands_where_it_did_and_costs_nothing() -> None:
    queue = FairQueue(20, 20, 20)
    for key, person in ((1, 1), (2, 1), (3, 2)):
        queue.push(Entry(key, person, 1, 10.0))
    first, other = queue.take(1), queue.take(3)
    queue.put_back(first)
    assert queue.order() == [1, 2]
    queue.put_back(other)
    assert queue.order() == [1, 3, 2]


def test_another_cost_moves_who_comes_behind() -> None:
    queue = FairQueue(20, 20, 20)
    for key, person in ((1, 1), (2, 1), (3, 2), (4, 2)):
        queue.push(Entry(key, person, person, 1.0))
    assert queue.order() == [1, 3, 2, 4]
    queue.reprice(1, 9.0)
    assert queue.order() == [1, 3, 4, 2]


def test_a_new_busy_time_begins_with_equal_people() -> None:
    queue = FairQueue(20, 20, 20)
    queue.push(Entry(1, 1, 1, 50.0))
    queue.take(1)
    queue.forget_people()
    queue.push(Entry(2, 1, 1, 1.0))
    queue.push(Entry(3, 2, 2, 1.0))
    assert queue.order() == [2, 3]


def test_what_another_queue_was_told_of_people_and_channels_counts_here() -> None:
    one, other = FairQueue(99, 99, 99), FairQueue(99, 99, 99)
    for key, (person, channel) in enumerate([(1, 1), (2, 2), (1, 1)]):
        one.push(Entry(key, person, channel, 10.0))
    for _ in range(3):
        one.take(next(one.ahead()))
    other.learn(one.tags([1, 2, 3], [1, 2]))
    other.learn(FairQueue(99, 99, 99).tags([1, 2], [1, 2]))
    for key, person in enumerate((1, 2, 3)):
        other.push(Entry(key, person, 9, 1.0))
    assert other.order() == [1, 2, 0], "whoever was given most there comes last here"
    fresh = FairQueue(99, 99, 99)
    fresh.learn(one.tags([], [1, 2]))
    for key, channel in enumerate((1, 2)):
        fresh.push(Entry(key, 5, channel, 1.0))
    assert fresh.tags([7], [1, 2, 8]) == replace(
        one.tags([7], [1, 2]), channels={1: 20.0, 2: 10.0, 8: 0.0}
    )
