"""Which messages make one question."""

from __future__ import annotations

from bot.core.domain import ChannelId, MessageId, QuestionId, UserId
from bot.queue.bursts import Arrival, Bursts

ANN, BOB = UserId(1), UserId(2)
HERE, THERE = ChannelId(10), ChannelId(11)


def _arrival(
    number: int,
    at_s: float,
    person: UserId = ANN,
    channel: ChannelId = HERE,
    reply_to: int | None = None,
) -> Arrival:
    target = None if reply_to is None else MessageId(reply_to)
    return Arrival(QuestionId(number), MessageId(number), person, channel, target, at_s)


def test_messages_within_the_window_join_one_after_the_other() -> None:
    bursts = Bursts(2.0)
    assert bursts.offer(_arrival(1, 0.0)) is None
    assert bursts.offer(_arrival(2, 1.5)) == 1
    assert bursts.offer(_arrival(3, 3.0)) == 2


def test_a_longer_pause_begins_a_new_question() -> None:
    bursts = Bursts(2.0)
    bursts.offer(_arrival(1, 0.0))
    assert bursts.offer(_arrival(2, 2.1)) is None


def test_other_people_and_other_channels_are_apart() -> None:
    bursts = Bursts(2.0)
    bursts.offer(_arrival(1, 0.0))
    assert bursts.offer(_arrival(2, 0.1, person=BOB)) is None
    assert bursts.offer(_arrival(3, 0.2, channel=THERE)) is None
    assert bursts.offer(_arrival(4, 0.3)) == 1


def test_a_reply_to_another_message_never_joins() -> None:
    bursts = Bursts(2.0)
    bursts.offer(_arrival(1, 0.0))
    assert bursts.offer(_arrival(2, 0.5, reply_to=99)) is None


def test_a_reply_to_the_same_message_or_to_the_burst_joins() -> None:
    bursts = Bursts(2.0)
    bursts.offer(_arrival(1, 0.0, reply_to=99))
    assert bursts.offer(_arrival(2, 0.5, reply_to=99)) == 1
    assert bursts.offer(_arrival(3, 0.9, reply_to=1)) == 2
    assert bursts.offer(_arrival(4, 1.0, reply_to=98)) is None


def test_what_was_written_earlier_but_came_later_does_not_join() -> None:
    bursts = Bursts(2.0)
    bursts.offer(_arrival(9, 100.0))
    assert bursts.offer(_arrival(1, 50.0)) is None
    assert bursts.offer(_arrival(2, 60.0)) is None


def test_no_window_joins_nothing() -> None:
    bursts = Bursts(0.0)
    bursts.offer(_arrival(1, 0.0))
    assert bursts.offer(_arrival(2, 0.0)) is None


def test_memory_is_bounded_by_number_and_by_time() -> None:
    bursts = Bursts(2.0, max_entries=50)
    for number in range(1, 500):
        bursts.offer(_arrival(number, 0.0, person=UserId(number)))
    assert len(bursts) == 50
    bursts.offer(_arrival(1000, 10.0))
    assert len(bursts) == 1
