"""What an answer's end tells of the server."""

from __future__ import annotations

import pytest

from bot.core.domain import Usage
from bot.lmstudio.completion import Plan
from bot.lmstudio.run import was_cut


@pytest.mark.parametrize(
    ("estimated", "counted", "context_tokens", "cut"),
    [
        (4000, 1000, 4096, True),
        (4000, 1000, None, True),
        (4000, 2400, 4096, False),
        (4000, 1000, 32_768, False),
        (4000, 1000, 4512, False),
        (4000, 1000, 4511, True),
        (999, 100, None, False),
        (1000, 100, None, True),
        (4000, 0, 4096, False),
    ],
)
def test_a_prompt_was_cut_where_it_had_no_room_and_much_less_was_counted(
    estimated: int, counted: int, context_tokens: int | None, *, cut: bool
) -> None:
    plan = Plan(model="m", turns=(), prompt_tokens=estimated, max_tokens=512)
    assert was_cut(plan, Usage(counted, 10), context_tokens) is cut


def test_a_server_that_counts_nothing_is_not_blamed() -> None:
    plan = Plan(model="m", turns=(), prompt_tokens=4000, max_tokens=512)
    assert not was_cut(plan, None, 1024)
