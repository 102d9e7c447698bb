"""Messages of Discord that discord.py can't read as they are: read without the part that is odd.

discord.py reads a message whole or not at all. A part that nobody needs, of another form than the
documented one (``"thread": null``, a reaction without ``me``), must not cost the message, and a
message that can't be read at all must not cost the list it stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError)
"""What discord.py's parsers raise for data that isn't of the documented form."""

_USED: Final = frozenset(
    {
        "attachments",
        "author",
        "channel_id",
        "components",
        "content",
        "edited_timestamp",
        "embeds",
        "flags",
        "guild_id",
        "id",
        "member",
        "mention_roles",
        "mentions",
        "message_reference",
        "message_snapshots",
        "poll",
        "referenced_message",
        "sticker_items",
        "timestamp",
        "type",
        "webhook_id",
    }
)
"""What the bot looks at of a message."""

_LEAST: Final = frozenset(
    {
        "author",
        "channel_id",
        "content",
        "edited_timestamp",
        "guild_id",
        "id",
        "member",
        "mentions",
        "message_reference",
        "timestamp",
        "type",
        "webhook_id",
    }
)
"""What makes a message: who said which words where, and to whom."""


def read_message(read: Callable[[Any], _T], data: Any) -> _T:  # noqa: ANN401 - as parsed
    """Read a message as discord.py does; where that fails, without the parts that don't matter.

    Args:
        read: Takes the message's data.
        data: What Discord sent.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: It can't be read in any form.
    """
    try:
        return read(data)
    except UNREADABLE:
        if not isinstance(data, Mapping):
            raise
    try:
        return read(_only(data, _USED))
    except UNREADABLE:
        return read(_only(data, _LEAST))


def _only(data: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    kept = {name: value for name, value in data.items() if name in names}
    nested = kept.get("referenced_message")
    if isinstance(nested, Mapping):
        kept["referenced_message"] = _only(nested, names)
    return kept
