"""Which code block is open at a text's end, and what closes it."""

from __future__ import annotations

import pytest

from bot.core.fences import fence_end, open_fence


@pytest.mark.parametrize(
    ("text", "info"),
    [
        ("", None),
        ("a ```py\nx", "py"),
        ("```py\nx\n```", None),
        ("````md\nx", "md"),
        ("```not a language\nx", ""),
        ("```x``` and ```", ""),
        ("\\```py", None),
        ("```\n\\```", None),
        ("Write `` ``` `` first.", None),
        ("Write `` ```py `` and ```\nx", ""),
        ("Two `` and ```py\nx", "py"),
    ],
)
def test_three_backticks_open_a_block_and_the_next_three_close_it(
    text: str, info: str | None
) -> None:
    fence = open_fence(text)
    assert (fence.info if fence else None) == info
    assert (fence_end(text) != "") == (info is not None)
    assert open_fence(text + fence_end(text)) is None


def test_a_block_that_was_open_before_is_closed_by_the_next_backticks() -> None:
    before = open_fence("```py\nx")
    assert open_fence("y", before) == before
    assert open_fence("y\n```\nz", before) is None
