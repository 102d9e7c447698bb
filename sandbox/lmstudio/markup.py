"""How models write thinking and answer into one text."""

from __future__ import annotations

from collections.abc import Callable

Render = Callable[[str, str], str]

FAMILIES: dict[str, Render] = {
    "think": lambda thinking, answer: f"<think>\n{thinking}\n</think>\n\n{answer}",
    "think_open_missing": lambda thinking, answer: f"{thinking}\n</think>\n\n{answer}",
}
