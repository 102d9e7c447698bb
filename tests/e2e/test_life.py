"""A few random lives of the bot; ``tests.support.lives.play`` plays more of them."""

from __future__ import annotations

import pytest

from tests.support.lives.play import play, scenario


@pytest.mark.parametrize("seed", [0, 1, 2])
async def test_whatever_happens_each_question_ends_once(seed: int) -> None:
    assert await play(scenario(seed)) == []
