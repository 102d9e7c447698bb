"""Whoever comes and goes, all shards end with somebody, each with one, and shared out evenly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.cluster.shares import Change, next_change


@st.composite
def holdings(draw: st.DrawFn) -> tuple[dict[int, frozenset[int]], int]:
    """Return members with the shards that each has, in any order, some of them free, and how many there are."""
    count = draw(st.integers(1, 16))
    members = draw(st.lists(st.integers(1, 99), min_size=1, max_size=6, unique=True))
    owners = draw(st.lists(st.sampled_from([0, *members]), min_size=count, max_size=count))
    held = {
        member: frozenset(shard for shard, owner in enumerate(owners) if owner == member)
        for member in members
    }
    return held, count


@given(holdings(), st.data())
def test_steps_of_any_order_end_with_all_shards_held_evenly(
    start: tuple[dict[int, frozenset[int]], int], data: st.DataObject
) -> None:
    held, count = start
    moves = 0
    while able := [m for m in held if next_change(held, m, count) != Change()]:
        member = data.draw(st.sampled_from(able))
        step = next_change(held, member, count)
        if step.give_up is not None:
            assert step.give_up in held[member]
            held[member] -= {step.give_up}
        assert not any(held[other] & set(step.take) for other in held)
        held[member] |= set(step.take)
        moves += 1
        assert moves <= 2 * count
    sizes = [len(shards) for shards in held.values()]
    assert sum(sizes) == count
    assert max(sizes) - min(sizes) <= 1


@given(holdings())
def test_members_that_see_the_same_take_different_shards(
    start: tuple[dict[int, frozenset[int]], int],
) -> None:
    held, count = start
    taken = [shard for member in held for shard in next_change(held, member, count).take]
    assert len(set(taken)) == len(taken)


@given(holdings())
def test_no_shard_is_given_up_that_the_balance_does_not_need_and_direct_messages_last(
    start: tuple[dict[int, frozenset[int]], int],
) -> None:
    held, count = start
    most = -(-count // len(held))
    for member, shards in held.items():
        given = next_change(held, member, count).give_up
        assert given != 0 or shards == {0}
        if given is not None:
            assert len(shards) > count // len(held)
            assert len(shards) > most or sum(len(s) >= most for s in held.values()) > (
                count % len(held) or len(held)
            )
