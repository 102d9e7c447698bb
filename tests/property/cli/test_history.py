"""The history is bounded and never negative, whatever the clock does and however often it restarts."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.core.record import Span
from bot.ops.history import EDGES_S, MODELS, MOST, TABLES, Figures, History, percentile, total
from bot.storage.state import VALUE_BYTES
from tests.support.clock import FakeClock
from tests.support.records import record
from tests.support.state import FakeState

JUMPS_S = st.integers(-400 * 86_400, 400 * 86_400) | st.integers(-7200, 7200)
MODEL_NAMES = st.none() | st.sampled_from([f"maker/model-{number}" for number in range(MODELS + 3)])
STEPS = st.lists(st.tuples(JUMPS_S, st.booleans(), st.floats(0, 1e6), MODEL_NAMES), max_size=60)


@given(STEPS)
def test_any_order_of_times_restarts_and_clock_jumps(
    steps: list[tuple[int, bool, float, str | None]],
) -> None:
    clock, state = FakeClock(), FakeState()
    history = History(state, clock)
    for noted, (jump_s, restarts, seconds, model) in enumerate(steps, 1):
        clock._elapsed_s += jump_s
        spans = {Span.QUEUE: seconds, Span.WRITE: seconds}
        history.note(record(clock.now(), first_word_s=seconds, spans=spans, model=model))
        if restarts:
            asyncio.run(history.save(at_once=True))
            state = FakeState({key: json.loads(json.dumps(v)) for key, v in state.values.items()})
            history = History(state, clock)
        assert len(state.values) <= len(TABLES) * (MODELS + 1)
        for table in TABLES:
            assert all(len(share.tables[table]) <= table.buckets for share in history._shares.all)
            own = model and total(history.over(table, model))
            assert not own or 1 <= own.questions <= noted
            figures = total(history.over(table))
            assert 1 <= figures.questions <= noted
            assert figures.failed == 0 <= figures.tokens
            speed = figures.tokens_per_s
            assert speed is None or speed > 0


@given(st.lists(st.integers(0, MOST), min_size=24, max_size=24), st.floats(0, 1))
def test_percentiles_grow_with_the_share(cells: list[int], share: float) -> None:
    low, high = percentile(cells, share / 2), percentile(cells, share)
    if low is not None and high is not None:
        assert 0 <= low <= high <= EDGES_S[-1]


def test_the_fullest_tables_fit_into_the_store() -> None:
    full = Figures(MOST, MOST, MOST * MOST, 1e12, [MOST] * 24, [MOST] * 24)
    for table in TABLES:
        newest = table.index(FakeClock().now() + timedelta(days=40_000))
        rows = [[newest + number, *full.dump()] for number in range(table.buckets)]
        stored = {"model": "x" * 200, "rows": rows}
        assert len(json.dumps(stored)) <= VALUE_BYTES
