"""Questions to store."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.core.domain import (
    AttachmentInfo,
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
    RoleId,
    UserId,
)

PLACE = Place(
    PlaceKind.THREAD, ChannelId(50), GuildId(7), parent_id=ChannelId(5), category_id=ChannelId(3)
)
ASKED_AT = datetime(2026, 1, 1, 12, 0, 0, 123000, tzinfo=UTC)


def question(number: int, text: str = "What is a monad?") -> Question:
    """Return a question with everything that a question can hold."""
    person = Person(UserId(9), "Ann", role_ids=frozenset({RoleId(1), RoleId(2)}))
    message = IncomingMessage(
        id=MessageId(number),
        place=PLACE,
        author=person,
        text=f"<@1> {text}",
        created_at=ASKED_AT,
        reference_id=MessageId(4),
        replied_user_id=UserId(8),
        mentioned_ids=frozenset({UserId(1), UserId(2)}),
        names={1: "Clawbot"},
        attachments=(AttachmentInfo(1, "a.txt", None, 10, "https://cdn.example/a.txt"),),
        embed_texts=("embed",),
        forwarded_texts=("forwarded",),
        edited_at=ASKED_AT,
    )
    return Question(
        QuestionId(number),
        Origin.MENTION,
        PLACE,
        person,
        text,
        ASKED_AT,
        message=message,
        about_id=MessageId(4),
    )
