"""A shared budget against its promises: bounds hold, and a newcomer's share is always there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.action_budget import WINDOW_S, FairBudget, Shares

SHARES = Shares(person=3, group=5, total=8, reserve=2)

ACTIONS = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 4), st.floats(0, 20)), min_size=1, max_size=80
)


@given(ACTIONS)
def test_no_window_holds_more_than_the_shares_and_a_newcomer_always_gets_in(
    actions: list[tuple[int, int, float]],
) -> None:
    budget = FairBudget(SHARES)
    taken: list[tuple[float, int, int]] = []
    now_s = 0.0
    for person, group, passed_s in actions:
        now_s += passed_s
        recent = [one for one in taken if now_s - one[0] < WINDOW_S]
        wait_s = budget.take(person, group, now_s)
        mine = sum(who == person for _, who, _ in recent)
        ours = sum(where == group for *_, where in recent)
        if mine < SHARES.person and ours < SHARES.reserve:
            assert wait_s == 0
        if wait_s == 0:
            assert mine < SHARES.person
            assert ours < SHARES.group
            assert len(recent) < SHARES.total or ours < SHARES.reserve
            taken.append((now_s, person, group))
        else:
            assert wait_s <= WINDOW_S


@given(ACTIONS, st.integers(1, 5))
def test_asking_again_after_the_wait_succeeds_while_nobody_else_acts(
    actions: list[tuple[int, int, float]], person: int
) -> None:
    budget = FairBudget(SHARES)
    now_s = 0.0
    for who, group, passed_s in actions:
        now_s += passed_s
        budget.take(who, group, now_s)
    for _ in range(20):
        wait_s = budget.take(person, 9, now_s)
        if wait_s == 0:
            return
        now_s += wait_s
    raise AssertionError("never let in")


def test_a_clock_set_back_does_not_lock_anybody_out() -> None:
    budget = FairBudget(SHARES)
    while budget.take(1, 1, 1_000_000.0) == 0:
        pass
    assert budget.take(1, 1, 10.0) == 0
