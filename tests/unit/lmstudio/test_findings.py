"""When a server is thought to have cut a prompt: it read little, and there was no room for all."""

from __future__ import annotations

import pytest

from bot.core.domain import ChatTurn, Role, Usage
from bot.lmstudio.findings import was_cut
from bot.lmstudio.recovery import Plan

PLAN = Plan("tiny", (ChatTurn(Role.USER, "hello"),), prompt_tokens=3000, max_tokens=1000)


@pytest.mark.parametrize(
    ("read", "context_tokens", "is_cut"),
    [
        (1000, 3999, True),
        (1000, None, True),
        (1000, 4000, False),  # all of it had room: the estimate was too high
        (2900, 3999, False),  # as much as was expected
    ],
)
def test_a_prompt_counts_as_cut_only_where_it_had_no_room(
    read: int, context_tokens: int | None, is_cut: bool
) -> None:
    assert was_cut(PLAN, Usage(read, 10, 0), context_tokens) is is_cut
