"""The pacer over random traffic: never too many, finals always, nobody forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.domain import QuestionId
from bot.delivery.pacing import WINDOW_S, ChannelPacer, Rank

_WINDOW_S = 5.0


@dataclass
class _Writer:
    """Somebody who writes one answer: first words, edits every 1.5 s, a final at its end."""

    key: QuestionId
    starts_s: float
    ends_s: float
    next_s: float = 0.0
    writes: list[float] = field(default_factory=list)
    final_s: float | None = None


def _simulate(writers: list[_Writer], most: int, slow_at_s: float | None) -> list[float]:
    """Run all writers against one pacer, in tenths of a second; return when writes were made."""
    pacer = ChannelPacer(most)
    made: list[float] = []
    for writer in writers:
        writer.next_s = writer.starts_s
    horizon = int(max(writer.ends_s for writer in writers) * 10) + 2
    for tick in range(horizon):
        now_s = tick / 10
        if slow_at_s is not None and abs(now_s - slow_at_s) < 0.05:
            pacer.slowed(now_s)
        for writer in writers:
            _turn(writer, pacer, now_s, made)
    return sorted(made)


def _turn(writer: _Writer, pacer: ChannelPacer, now_s: float, made: list[float]) -> None:
    if writer.final_s is not None or now_s < writer.starts_s:
        return
    pacer.join(writer.key)
    if now_s >= writer.ends_s:
        writer.final_s = pacer.book(now_s, writer.key)
        made.append(writer.final_s)
        pacer.leave(writer.key)
    elif now_s >= writer.next_s:
        delay_s = pacer.ask(now_s, writer.key, Rank.INTERIM if writer.writes else Rank.FIRST)
        if delay_s == 0:
            made.append(now_s)
            writer.writes.append(now_s)
        writer.next_s = now_s + (delay_s or 1.5)


_WRITERS = st.lists(st.tuples(st.floats(0, 20), st.floats(0.5, 30)), min_size=1, max_size=8).map(
    lambda spans: [
        _Writer(QuestionId(number + 1), start, start + length)
        for number, (start, length) in enumerate(spans)
    ]
)


@given(_WRITERS, st.integers(1, 5), st.none() | st.floats(0, 30))
def test_never_more_than_allowed_in_any_five_seconds(
    writers: list[_Writer], most: int, slow_at_s: float | None
) -> None:
    made = _simulate(writers, most, slow_at_s)
    for index, at_s in enumerate(made):
        assert sum(1 for other in made[index:] if other < at_s + _WINDOW_S) <= most


@given(_WRITERS, st.integers(1, 5), st.none() | st.floats(0, 30))
def test_every_final_gets_through_in_order(
    writers: list[_Writer], most: int, slow_at_s: float | None
) -> None:
    _simulate(writers, most, slow_at_s)
    finals = sorted((w.ends_s, w.final_s) for w in writers if w.final_s is not None)
    assert len(finals) == len(writers)
    for number, (ended_s, final_s) in enumerate(finals):
        assert final_s - ended_s <= WINDOW_S * (1 + number / most) + 0.1


@given(st.integers(1, 8), st.integers(2, 5))
def test_nobody_waits_forever_for_an_edit(count: int, most: int) -> None:
    writers = [_Writer(QuestionId(number + 1), 0.0, 120.0) for number in range(count)]
    _simulate(writers, most, None)
    shares = [len(writer.writes) for writer in writers]
    assert min(shares) >= 1
    assert max(shares) - min(shares) <= 2


@given(st.integers(2, 5), st.lists(st.floats(0.0, 20.0), max_size=30))
@example(4, [0.0] * 10)
def test_a_lone_final_goes_at_once_whatever_was_streamed(most: int, asks: list[float]) -> None:
    pacer = ChannelPacer(most)
    one, two = QuestionId(1), QuestionId(2)
    pacer.join(one)
    pacer.join(two)
    for now_s in sorted(asks):
        pacer.ask(now_s, one, Rank.INTERIM)
    end_s = max(asks, default=0.0)
    assert pacer.book(end_s, two) == end_s
