"""What an answer needs of Discord: the one list that texts, checks and the invitation agree on.

Keys are discord.py's names, values the names that Discord shows (in its English client).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

NEEDED: Final = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "read_message_history": "Read Message History",
}
"""Permissions without which there are no answers in a channel."""

NEEDED_IN_THREADS: Final = {
    "view_channel": "View Channel",
    "send_messages_in_threads": "Send Messages in Threads",
    "read_message_history": "Read Message History",
}
"""The same in a thread, where Send Messages doesn't count (Discord: permissions, threads)."""

NEEDED_TO_READ_VOICE: Final = {"connect": "Connect"}
"""What reading the chat of a voice or stage channel takes, too (Discord: get channel messages)."""

USEFUL: Final = {"attach_files": "Attach Files", "add_reactions": "Add Reactions"}
"""Permissions without which an answer lacks something: files of long answers, marks of progress."""


def missing(
    held: Collection[str], *, is_thread: bool, is_voice: bool = False
) -> tuple[list[str], list[str]]:
    """Return what is lacking, by Discord's names: what is needed, and what is merely useful.

    Args:
        held: discord.py's names of what the bot may do.
        is_thread: It is about a thread.
        is_voice: It is about a voice or stage channel.
    """
    needed = NEEDED_IN_THREADS if is_thread else NEEDED
    needed = needed | NEEDED_TO_READ_VOICE if is_voice else needed
    return _lacking(needed, held), _lacking(USEFUL, held)


def _lacking(wanted: dict[str, str], held: Collection[str]) -> list[str]:
    return [title for name, title in wanted.items() if name not in held]


def listed(titles: Iterable[str]) -> str:
    """Return names as a person lists them: with commas, and "and" before the last."""
    *first, last = titles
    return f"{', '.join(first)} and {last}" if first else last
