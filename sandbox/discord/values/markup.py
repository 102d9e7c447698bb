"""Code and links in a message's text, as Discord's client reads them."""

from __future__ import annotations

import re

_TICKS = re.compile("`{1,3}")
_URL = re.compile(r"(?<!<)https?://[^\s<>|]+", re.IGNORECASE)


def without_code(content: str) -> str:
    """Return text without code spans and blocks, where Discord reads no markup."""
    kept: list[str] = []
    position = 0
    while opening := _TICKS.search(content, position):
        end = _code_end(content, opening)
        kept.append(content[position : opening.end() if end is None else opening.start()])
        kept.append("" if end is None else " ")
        position = opening.end() if end is None else end
    return "".join([*kept, content[position:]])


def _code_end(content: str, opening: re.Match[str]) -> int | None:
    """Return where the code ends that a run of backticks opens; ``None`` when it opens none."""
    ticks, start = opening[0], opening.end()
    end = content.find(ticks, start if len(ticks) == 3 else start + 1)
    if end < 0 or (len(ticks) == 1 and "\n" in content[start:end]):
        return None
    return end + len(ticks)


def links(content: str) -> list[str]:
    """Return the addresses in a text that Discord would unfurl."""
    return [] if "://" not in content else _URL.findall(without_code(content))
