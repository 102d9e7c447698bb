"""What is kept of how it has been: enough to compare today with the week before, over restarts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.ports import Outcome
from bot.core.record import Span
from bot.ops.history import DAY, HOUR, MODELS, WEEK, History, percentile, total
from tests.support.clock import FakeClock
from tests.support.records import MODEL, record
from tests.support.state import FakeState


async def test_a_question_is_in_the_hour_the_day_and_the_week() -> None:
    clock = FakeClock()
    history = History(FakeState(), clock)
    history.note(record(clock.now()))
    history.note(record(clock.now(), failure="stalled", first_word_s=None, written_tokens=None))
    for table in (HOUR, DAY, WEEK):
        figures = total(history.over(table))
        assert (figures.questions, figures.failed, figures.tokens_per_s) == (2, 1, 50.0)
        assert sum(figures.first_words) == 1
        assert len(history.over(table)) == table.buckets
    await clock.advance(3600)
    assert total(history.over(HOUR)).questions == 0
    assert history.today().questions == 2


async def test_today_is_held_against_the_seven_days_before() -> None:
    clock = FakeClock()
    history = History(FakeState(), clock)
    for _ in range(9):
        history.note(record(clock.now()))
        await clock.advance(timedelta(days=1).total_seconds())
    history.note(record(clock.now()))
    assert history.today().questions == 1
    assert history.week_before().questions == 7


async def test_what_was_merged_or_goes_on_at_the_next_start_is_not_counted() -> None:
    clock = FakeClock()
    history = History(FakeState(), clock)
    for outcome in (None, Outcome.MERGED):
        history.note(record(clock.now(), outcome=outcome))
    assert history.today().questions == 0


async def test_it_goes_on_after_a_restart_and_is_written_once_a_minute() -> None:
    clock, state = FakeClock(), FakeState()
    history = History(state, clock)
    history.note(record(clock.now()))
    await history.save()
    assert not state.values
    await clock.advance(60)
    await history.save()
    assert History(state, clock).today().questions == 1
    history.note(record(clock.now()))
    await history.save()
    assert History(state, clock).today().questions == 1
    await history.save(at_once=True)
    assert History(state, clock).today() == history.today()


async def test_each_of_the_models_used_last_has_figures_of_its_own_over_restarts() -> None:
    clock, state = FakeClock(), FakeState()
    history = History(state, clock)
    names = [f"maker/model-{number}" for number in range(MODELS + 2)]
    for number, name in enumerate(names, 1):
        for _ in range(number):
            history.note(record(clock.now(), model=name))
        await clock.advance(WEEK.width.total_seconds())
        await history.save(at_once=True)
        history = History(state, clock)
    counted = [history.today(name).questions for name in names]
    assert counted == [0, 0, 3, 4, 5, 6]
    assert history.today().questions == sum(range(1, MODELS + 3))
    history.note(record(clock.now(), model=names[0]))
    assert [history.today(name).questions for name in names] == [1, 0, 0, 4, 5, 6]


async def test_processes_with_one_database_add_to_what_the_others_have_counted() -> None:
    clock, state = FakeClock(), FakeState()
    one, two = History(state, clock), History(state, clock)
    for model, count in (("maker/a", 2), ("maker/b", 3)):
        for _ in range(count):
            one.note(record(clock.now(), model=model))
            two.note(record(clock.now(), model=f"{model}{'' if count == 2 else '-instruct'}"))
    for each in (one, two, one):
        each.note(record(clock.now(), model=None))
        await each.save(at_once=True)
    again = History(state, clock)
    names = ("maker/a", "maker/b", "maker/b-instruct")
    assert [again.today(name).questions for name in names] == [4, 3, 3]
    assert again.today() == one.today()
    assert again.today().questions == 13


async def test_what_an_earlier_version_kept_for_all_models_together_is_gone_on_with() -> None:
    clock = FakeClock()
    row = [DAY.index(clock.now()), 3, 1, 100, 2.0, [2, 3], [0, 3]]
    history = History(FakeState({DAY.key: [row]}), clock)
    history.note(record(clock.now()))
    assert (history.today().questions, history.today(MODEL).questions) == (4, 1)


async def test_a_table_that_is_anothers_after_a_kill_between_two_writes_is_left_out() -> None:
    clock, state = FakeClock(), FakeState()
    history = History(state, clock)
    history.note(record(clock.now()))
    await history.save(at_once=True)
    state.values[f"{WEEK.key}.1"] = {"model": "another/one", "rows": []}
    again = History(state, clock)
    assert again.today("another/one").questions == again.today(MODEL).questions == 0


@pytest.mark.parametrize(
    "stored",
    [
        "x",
        [1],
        [["x"]],
        [[1, 2, 3, 4, 5.0, [99, 1], []]],
        [[1, -2, 3, 4, 5.0, [], []]],
        [[1, True, 3, 4, 5.0, [], []]],
        [[1, 2, 3, 4, "5", [], []]],
        [[1, 2, 3, 4, 5.0, [1], []]],
    ],
)
async def test_what_cannot_be_read_is_left_out(stored: object) -> None:
    keys = [key for table in (HOUR, DAY, WEEK) for key in (table.key, f"{table.key}.1")]
    for value in (stored, {"model": 7, "rows": stored}):
        history = History(FakeState(dict.fromkeys(keys, value)), FakeClock())
        assert history.today().questions == 0


async def test_a_clock_that_ran_ahead_for_a_while_costs_one_bucket_of_the_right_time() -> None:
    clock = FakeClock()
    history = History(FakeState(), clock)
    for _ in range(HOUR.buckets):
        await clock.advance(60)
        history.note(record(clock.now()))
    ahead = FakeClock(clock.now() + timedelta(days=400))
    state = FakeState()
    history._state = state
    await history.save(at_once=True)
    wrong = History(state, ahead)
    wrong.note(record(ahead.now()))
    await wrong.save(at_once=True)
    assert total(History(state, clock).over(HOUR)).questions == HOUR.buckets - 1


def test_a_percentile_is_within_the_cell_of_the_figure() -> None:
    clock = FakeClock()
    history = History(FakeState(), clock)
    for seconds in range(1, 101):
        history.note(record(clock.now(), first_word_s=float(seconds), spans={Span.QUEUE: 0.0}))
    cells = history.today().first_words
    for share, seconds in ((0.5, 50), (0.95, 95)):
        found = percentile(cells, share)
        assert found is not None
        assert seconds / 1.5 <= found <= seconds * 1.5
    assert percentile([0] * len(cells), 0.5) is None
