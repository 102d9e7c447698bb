"""Questions as ASCII JSON, and back."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from bot.domain import (
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


def dump_question(question: Question) -> str:
    """Return a question as ASCII JSON."""
    message = question.message
    return json.dumps(
        {
            "id": question.id,
            "origin": question.origin.value,
            "place": _dump_place(question.place),
            "asker": _dump_person(question.asker),
            "text": question.text,
            "asked_at": question.asked_at.isoformat(),
            "message": None if message is None else _dump_message(message),
            "about_id": question.about_id,
            "fresh": question.fresh,
        }
    )


def load_question(stored: str) -> Question:
    """Read what ``dump_question`` wrote.

    Raises:
        ValueError: It isn't that (damaged, or from a version that wrote another form).
    """
    try:
        data = json.loads(stored)
        message = data["message"]
        return Question(
            id=QuestionId(int(data["id"])),
            origin=Origin(data["origin"]),
            place=_load_place(data["place"]),
            asker=_load_person(data["asker"]),
            text=str(data["text"]),
            asked_at=datetime.fromisoformat(data["asked_at"]),
            message=None if message is None else _load_message(message),
            about_id=_load_message_id(data["about_id"]),
            fresh=bool(data["fresh"]),
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not a stored question: {type(exc).__name__}") from exc


def _dump_place(place: Place) -> dict[str, Any]:
    return {
        "kind": place.kind.value,
        "channel_id": place.channel_id,
        "guild_id": place.guild_id,
        "parent_id": place.parent_id,
        "category_id": place.category_id,
    }


def _load_place(data: dict[str, Any]) -> Place:
    guild_id, parent_id, category_id = data["guild_id"], data["parent_id"], data["category_id"]
    return Place(
        kind=PlaceKind(data["kind"]),
        channel_id=ChannelId(int(data["channel_id"])),
        guild_id=None if guild_id is None else GuildId(int(guild_id)),
        parent_id=None if parent_id is None else ChannelId(int(parent_id)),
        category_id=None if category_id is None else ChannelId(int(category_id)),
    )


def _dump_person(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "is_bot": person.is_bot,
        "role_ids": sorted(person.role_ids),
        "can_manage_guild": person.can_manage_guild,
    }


def _load_person(data: dict[str, Any]) -> Person:
    return Person(
        id=UserId(int(data["id"])),
        name=str(data["name"]),
        is_bot=bool(data["is_bot"]),
        role_ids=frozenset(RoleId(int(role_id)) for role_id in data["role_ids"]),
        can_manage_guild=bool(data["can_manage_guild"]),
    )


def _dump_message(message: IncomingMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "place": _dump_place(message.place),
        "author": _dump_person(message.author),
        "text": message.text,
        "created_at": message.created_at.isoformat(),
        "reference_id": message.reference_id,
        "replied_user_id": message.replied_user_id,
        "mentioned_ids": sorted(message.mentioned_ids),
        "names": {str(key): name for key, name in message.names.items()},
        "attachments": [_dump_attachment(item) for item in message.attachments],
        "embed_texts": list(message.embed_texts),
        "forwarded_texts": list(message.forwarded_texts),
        "is_ordinary": message.is_ordinary,
        "is_forward": message.is_forward,
        "edited_at": None if message.edited_at is None else message.edited_at.isoformat(),
    }


def _load_message(data: dict[str, Any]) -> IncomingMessage:
    replied_user_id, edited_at = data["replied_user_id"], data["edited_at"]
    return IncomingMessage(
        id=MessageId(int(data["id"])),
        place=_load_place(data["place"]),
        author=_load_person(data["author"]),
        text=str(data["text"]),
        created_at=datetime.fromisoformat(data["created_at"]),
        reference_id=_load_message_id(data["reference_id"]),
        replied_user_id=None if replied_user_id is None else UserId(int(replied_user_id)),
        mentioned_ids=frozenset(UserId(int(user_id)) for user_id in data["mentioned_ids"]),
        names={int(key): str(name) for key, name in data["names"].items()},
        attachments=tuple(_load_attachment(item) for item in data["attachments"]),
        embed_texts=tuple(str(text) for text in data["embed_texts"]),
        forwarded_texts=tuple(str(text) for text in data["forwarded_texts"]),
        is_ordinary=bool(data["is_ordinary"]),
        is_forward=bool(data["is_forward"]),
        edited_at=None if edited_at is None else datetime.fromisoformat(edited_at),
    )


def _dump_attachment(item: AttachmentInfo) -> dict[str, Any]:
    return {
        "id": item.id,
        "filename": item.filename,
        "content_type": item.content_type,
        "size_bytes": item.size_bytes,
        "url": item.url,
    }


def _load_attachment(data: dict[str, Any]) -> AttachmentInfo:
    content_type = data["content_type"]
    return AttachmentInfo(
        id=int(data["id"]),
        filename=str(data["filename"]),
        content_type=None if content_type is None else str(content_type),
        size_bytes=int(data["size_bytes"]),
        url=str(data["url"]),
    )


def _load_message_id(value: int | None) -> MessageId | None:
    return None if value is None else MessageId(int(value))
