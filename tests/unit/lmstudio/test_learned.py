"""How long the pieces are that prompts are read ahead in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lmstudio.learned import SHORTEST_S, PieceLength

READS = 400.0


def settled(request_s: float, least_s: float) -> tuple[int, list[float]]:
    """Read many pieces; return how often the length is doubled then, and the speed at each length.

    Args:
        request_s: What a request takes beside reading.
        least_s: What reading takes at least, however few tokens.
    """
    lengths = PieceLength()
    tokens = [round(READS * SHORTEST_S * 2**doublings) for doublings in range(4)]
    took_s = [request_s + max(least_s, each / READS) for each in tokens]
    for _ in range(50):
        doublings = lengths.doublings(READS)
        lengths.learn(doublings, tokens[doublings], took_s[doublings])
    return lengths.doublings(READS), [n / s for n, s in zip(tokens, took_s, strict=True)]


@pytest.mark.parametrize("request_s", [0.0, 0.03, 0.1])
def test_a_question_waits_a_tenth_of_a_second_where_short_pieces_cost_little(
    request_s: float,
) -> None:
    assert settled(request_s, 0.0)[0] == 0


def test_pieces_are_longer_where_few_tokens_take_as_long_as_many() -> None:
    doublings, speeds = settled(0.02, 0.4)
    assert doublings
    assert speeds[doublings] >= READS / 2


@given(request_s=st.floats(0, 5), least_s=st.floats(0, 5))
def test_no_piece_is_longer_than_serves(request_s: float, least_s: float) -> None:
    doublings, speeds = settled(request_s, least_s)
    for shorter, longer in pairwise(speeds[: doublings + 1]):
        assert longer >= shorter * 1.49
        assert shorter <= READS / 2
