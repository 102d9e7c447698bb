"""What the stand-in says."""

from __future__ import annotations

from bot.demo.answers import canned


def test_the_stand_in_always_has_something_to_say() -> None:
    assert "```python" in canned("some CODE please")
    assert len(canned("a long answer")) > 2000
    assert "canned" in canned("")
