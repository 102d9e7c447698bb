"""Messages that belong together: those that one person sent in a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from bot.core.domain import IncomingMessage, MessageId

BACK_TO_BACK: Final = timedelta(minutes=7)
"""Messages of one person within this are shown as one group by Discord's clients."""


def belongs(before: IncomingMessage, after: IncomingMessage, reference: MessageId | None) -> bool:
    """Return whether a message directly before is part of the same turn."""
    return (
        before.author.id == after.author.id
        and before.is_ordinary
        and after.created_at - before.created_at <= BACK_TO_BACK
        and (reference is None or before.reference_id in {None, reference})
    )


def refers_to(run: Sequence[IncomingMessage]) -> MessageId | None:
    """Return the message that a run, newest first, refers to outside of itself."""
    own = {message.id for message in run}
    for message in run:
        if message.reference_id is not None and message.reference_id not in own:
            return message.reference_id if message.reference_id < message.id else None
    return None


def once(messages: Sequence[IncomingMessage]) -> list[IncomingMessage]:
    """Drop repetitions, keeping the first of each."""
    return list({message.id: message for message in reversed(messages)}.values())[::-1]
