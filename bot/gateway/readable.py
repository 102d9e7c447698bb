"""What discord.py can't read as Discord sent it: read without the part that is odd.

discord.py reads a message, or a server with all that is in it, whole or not at all. A part that nobody
needs, of another form than the documented one (``"thread": null``, a reaction without ``me``), must not
cost the message, and a message that can't be read at all must not cost the list it stands in, nor a
channel its server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError)
"""What discord.py's parsers raise for data that isn't of the documented form."""

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

_USED: Final = _LEAST | {
    "attachments",
    "components",
    "embeds",
    "flags",
    "mention_roles",
    "message_snapshots",
    "poll",
    "referenced_message",
    "sticker_items",
}
"""What the bot looks at of a message."""


def read_guild(
    is_readable: Callable[[Any], bool],
    read: Callable[[Any], _T],
    data: Any,  # noqa: ANN401 - as parsed
) -> _T:
    """Read a server that discord.py can't read as it is: without the items that can't be read.

    Args:
        is_readable: Tells whether a server of nothing but one item can be read.
        read: Takes the server's data.
        data: What Discord sent.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: It can't be read in any form.
    """

    def kept(name: str, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [item for item in value if is_readable({"id": data["id"], name: [item]})]

    return read({name: kept(name, value) for name, value in data.items()})


def read_interaction(
    read: Callable[[Any], _T],
    is_readable: Callable[[Any], bool],
    data: Any,  # noqa: ANN401 - as parsed
) -> _T:
    """Read an interaction with each message that it is about in a form that can be read.

    Args:
        read: Takes the interaction's data.
        is_readable: Tells whether a message can be read.
        data: What Discord sent.
    """
    try:
        messages = data["data"]["resolved"]["messages"]
        for name, message in messages.items():
            forms = (_only(message, _USED), _only(message, _LEAST))
            messages[name] = next((form for form in forms if is_readable(form)), message)
    except UNREADABLE:
        pass  # no messages, or none of the documented form
    return read(data)


def read_message(read: Callable[[Any], _T], data: Any) -> _T:  # noqa: ANN401 - as parsed
    """Read a message that discord.py can't read as it is: without the parts that don't matter.

    Args:
        read: Takes the message's data.
        data: What Discord sent.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: It can't be read in any form.
    """
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
