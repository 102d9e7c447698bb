"""How much Discord's client lets a person put into things."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sandbox.discord.checks.messages import MAX_FILES
from sandbox.discord.people.not_offered import NotOfferedError, in_words
from sandbox.discord.state.guilds import Message
from sandbox.discord.values import command_types
from sandbox.discord.values.components import SELECTS, STRING_SELECT
from sandbox.discord.values.json_objects import JsonObject

Files = Collection[tuple[str, bytes]]
MAX_TEXT_CHARS = 4000
"""With Nitro; 2,000 without (Discord: resources, "Message")."""
MAX_FILE_BYTES = 500 * 1024 * 1024
"""With Nitro; 10 MiB without (Discord: reference, "Uploading files")."""
MAX_NAME_CHARS = 100
"""Of channels, threads and forum posts."""
MAX_REACTIONS = 20
"""Different ones on a message."""

PICKED = {
    5: command_types.USER,
    6: command_types.ROLE,
    7: command_types.MENTIONABLE,
    8: command_types.CHANNEL,
}
"""What a select menu without options offers, by its type, as the option type that takes the same."""


def check_text(text: str) -> None:
    """Check what a person writes.

    Raises:
        NotOfferedError: It is too long.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise NotOfferedError(f"a message takes {MAX_TEXT_CHARS} characters at most")


def check_files(files: Files) -> None:
    """Check what a person attaches.

    Raises:
        NotOfferedError: There are too many files, or one is too large.
    """
    if len(files) > MAX_FILES:
        raise NotOfferedError(f"a message takes {MAX_FILES} files at most")
    if any(len(data) > MAX_FILE_BYTES for _, data in files):
        raise NotOfferedError(f"a file takes {MAX_FILE_BYTES // 1024**2} MiB at most")


def check_name(name: str) -> None:
    """Check the name of a thread or the title of a post.

    Raises:
        NotOfferedError: It is empty or too long.
    """
    if not 1 <= len(name.strip()) <= MAX_NAME_CHARS:
        raise NotOfferedError(f"a name takes 1 to {MAX_NAME_CHARS} characters")


def check_reaction(message: Message, emoji: str, *, may_begin: bool) -> None:
    """Check a reaction that somebody adds.

    Args:
        message: What they react to.
        emoji: One Unicode emoji, or ``name:id``.
        may_begin: They have Add Reactions; without it they can only join one that is there.

    Raises:
        NotOfferedError: It isn't offered.
    """
    if not emoji or len(emoji) > 100 or (emoji.isascii() and ":" not in emoji):
        raise NotOfferedError("that is no emoji")
    if emoji in message.reactions:
        return
    if not may_begin:
        raise NotOfferedError("a first reaction takes Add Reactions")
    if len(message.reactions) >= MAX_REACTIONS:
        raise NotOfferedError(f"a message takes {MAX_REACTIONS} reactions at most")


def check_selected(part: JsonObject, values: Sequence[str]) -> None:
    """Check what is chosen in a select menu.

    Raises:
        NotOfferedError: It offers no such value, or not so many.
    """
    if part["type"] not in SELECTS:
        raise NotOfferedError("that is no menu")
    least, most = part.get("min_values", 1), part.get("max_values", 1)
    if not least <= len(set(values)) <= most or len(set(values)) != len(values):
        raise NotOfferedError(f"the menu takes {least} to {most} values")
    if part["type"] == STRING_SELECT:
        unknown = set(values) - {each["value"] for each in part["options"]}
        if unknown:
            raise NotOfferedError(f"the menu doesn't offer {in_words(sorted(unknown))}")
