"""Plain values with sensible contents, for tests that care about one field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bot.core.domain import (
    ChannelId,
    GuildId,
    IncomingMessage,
    MessageId,
    Origin,
    Person,
    Place,
    PlaceKind,
    Question,
    QuestionId,
    UserId,
)

BOT_ID = UserId(900)
ADA = Person(UserId(11), "Ada")
BOB = Person(UserId(12), "Bob")
HOME = Place(PlaceKind.GUILD_TEXT, ChannelId(50), GuildId(40))
ADAS_DM = Place(PlaceKind.DM, ChannelId(60))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def message(message_id: int = 1000, text: str = "hello", **fields: Any) -> IncomingMessage:
    """Return a message of Ada's in a guild channel."""
    values: dict[str, Any] = {"place": HOME, "author": ADA, "created_at": NOON, **fields}
    return IncomingMessage(id=MessageId(message_id), text=text, **values)


def question(question_id: int = 1000, text: str = "hello", **fields: Any) -> Question:
    """Return a question of Ada's, asked by mention in a guild channel."""
    values: dict[str, Any] = {
        "origin": Origin.MENTION,
        "place": HOME,
        "asker": ADA,
        "asked_at": NOON,
        "message": message(question_id, text, created_at=fields.get("asked_at", NOON)),
        **fields,
    }
    return Question(id=QuestionId(question_id), text=text, **values)
