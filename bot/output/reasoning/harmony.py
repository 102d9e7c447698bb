"""Harmony headers: what stands between ``<|start|>`` or ``<|channel|>`` and ``<|message|>``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

HEADER_CHARS: Final = 240
"""How far a header is read, in characters."""

_STOP: Final = re.compile(r"<\|(message|end|return|call|eom|eot)\|>|(?<=\w)\n")
_CHANNEL: Final = re.compile(r"<\|channel\|>\s{0,9}+(\w{1,24})")
_ROLE: Final = re.compile(r"<\|start\|>\s{0,9}+(\w{1,24})")
_NAMED: Final = re.compile(
    r"(?:<\|start\|>\s{0,9}+(?:assistant|user|system|developer|tool)?+)?+(?:<\|channel\|>)?+\s{0,9}+(?i:analysis|commentary|final)?+"
    r"(?: to=[\w.]{1,64})?+"
)
_TO_TOOL: Final = re.compile(r" to=(?!user(?![\w.-]))")
_STRANGERS: Final = frozenset({"user", "system", "developer"})


class Channel(Enum):
    """What follows a header."""

    THINKING = "thinking"
    TOOL = "tool"
    """A call, or a result of one."""
    REMARK = "remark"
    """Said before a call; it isn't the answer, unless there is no other."""
    ANSWER = "answer"
    STRANGER = "stranger"
    """Somebody else's turn."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header that was read.

    Attributes:
        end: Where it ends in the text.
        channel: What follows it.
    """

    end: int
    channel: Channel


def read_header(text: str, *, ended: bool) -> Header | None:
    """Read the header that a text begins with; ``None`` until it is complete.

    One without ``<|message|>`` ends at its last known word, and never runs past the end of its
    message.
    """
    stop = _STOP.search(text)
    if stop is None and len(text) < HEADER_CHARS and not ended:
        return None
    if stop is not None and stop[1] == "message":
        return Header(stop.end(), _channel(text[: stop.start()]))
    named = _NAMED.match(text)
    end = named.end() if named else 1
    return Header(end, _channel(text[:end]))


def _channel(header: str) -> Channel:
    names = _CHANNEL.findall(header)
    name = names[-1].lower() if names else ""
    role = _ROLE.match(header)
    if "to=self" in header or name.startswith("analysis"):
        return Channel.THINKING
    if _TO_TOOL.search(header) is not None:
        return Channel.TOOL
    if name and not name.startswith("final"):
        return Channel.REMARK
    return Channel.STRANGER if role and role[1] in _STRANGERS else Channel.ANSWER
