"""What Discord's client draws in the place of its own marks, for a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

_MENTION: Final = re.compile(r"<@!?(\d{1,20})>")
_TIME: Final = re.compile(r"<t:(\d{1,10})(?::[a-zA-Z])?>")


def as_drawn(text: str, name_of: Callable[[int], str | None]) -> str:
    """Return a message with names for mentions and local times for timestamps.

    Args:
        text: A message's content (Discord: reference, message formatting).
        name_of: A user's name by id; ``None`` where there is no such user.
    """

    def mention(found: re.Match[str]) -> str:
        name = name_of(int(found[1]))
        return f"@{name}" if name else found[0]

    return _TIME.sub(_local, _MENTION.sub(mention, text))


def _local(found: re.Match[str]) -> str:
    moment = datetime.fromtimestamp(int(found[1]), UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M")
