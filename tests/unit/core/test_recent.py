"""What is remembered is bounded, and the newest is kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.recent import Recent


@given(st.integers(1, 5), st.lists(st.integers(0, 9)))
def test_the_newest_entries_are_kept_in_the_order_in_which_they_were_set(
    most: int, keys: list[int]
) -> None:
    recent = Recent(most, [(key, str(key)) for key in keys])
    newest = list(dict.fromkeys(reversed(keys)))[:most]
    assert list(recent) == newest[::-1]
    assert all(recent[key] == str(key) for key in recent)


def test_an_entry_that_is_used_again_outlives_one_that_is_not() -> None:
    recent = Recent(2, [(1, "a"), (2, "b")])
    recent.move_to_end(1)
    recent[3] = "c"
    assert list(recent) == [1, 3]
