"""Expected waits."""

from __future__ import annotations

import pytest

from bot.queue.fair_queue import Durations, in_words


def test_the_first_answer_replaces_the_guess_and_later_ones_shift_it() -> None:
    durations = Durations()
    durations.learn(5.0)
    assert durations.mean_s == 5.0
    durations.learn(10.0)
    assert durations.mean_s == pytest.approx(6.0)


def test_those_who_wait_begin_as_slots_come_free() -> None:
    durations = Durations()
    durations.learn(10.0)
    waits = durations.waits_s([2.0, 8.0], slots=2, waiting=4)
    assert waits == pytest.approx([2.0, 8.0, 12.0, 18.0])


def test_an_answer_longer_than_usual_counts_as_nearly_done() -> None:
    durations = Durations()
    durations.learn(10.0)
    assert durations.waits_s([60.0], slots=1, waiting=1) == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("wait_s", "words"),
    [
        (0.0, "10 seconds"),
        (10.0, "10 seconds"),
        (24.0, "20 seconds"),
        (50.0, "50 seconds"),
        (50.5, "a minute"),
        (59.0, "a minute"),
        (90.0, "2 minutes"),
        (150.0, "2 minutes"),
        (1800.0, "30 minutes"),
        (3569.0, "59 minutes"),
        (3570.0, "an hour"),
        (3590.0, "an hour"),
        (7300.0, "2 hours"),
    ],
)
def test_waits_are_said_as_people_say_them(wait_s: float, words: str) -> None:
    assert in_words(wait_s) == words


def test_more_running_than_slots_come_free_from_the_last_of_them_on() -> None:
    durations = Durations()
    durations.learn(40)
    waits = durations.waits_s([10.0, 30.0, 20.0], slots=2, waiting=2)
    assert waits == [20.0, 30.0]


def test_free_slots_are_free_at_once() -> None:
    durations = Durations()
    durations.learn(40)
    assert durations.waits_s([10.0], slots=3, waiting=3) == [0.0, 0.0, 30.0]
