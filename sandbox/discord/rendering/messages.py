"""Messages as the JSON objects of Discord's API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from sandbox.discord.rendering.guilds import channel_object, member_object, user_object
from sandbox.discord.state.guilds import Message
from sandbox.discord.state.visibility import is_shown_over_rest
from sandbox.discord.state.world import World
from sandbox.discord.values.content import Attachment, Poll
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.snowflakes import iso

Shows = Callable[[Message], bool]
_SNAPSHOT = (
    "type",
    "content",
    "mentions",
    "mention_roles",
    "attachments",
    "embeds",
    "timestamp",
    "edited_timestamp",
    "flags",
    "components",
    "sticker_items",
)
"""What a forward shows of its source."""


def attachment_object(world: World, attachment: Attachment, where: Message) -> JsonObject:
    """Return an attachment object with its (signed) CDN address."""
    name = quote(attachment.filename, safe="")
    path = f"/attachments/{where.channel.id}/{attachment.id}/{name}?ex=7fffffff&is=0&hm=0"
    body: JsonObject = {
        "id": str(attachment.id),
        "filename": attachment.filename,
        "size": len(attachment.data),
        "url": world.origin + path,
        "proxy_url": world.origin + path,
        "flags": 0,
    }
    if attachment.content_type is not None:
        body["content_type"] = attachment.content_type
    if attachment.description is not None:
        body["description"] = attachment.description
    return body


def message_object(
    world: World, message: Message, shows: Shows, *, nested: bool = False, gateway: bool = False
) -> JsonObject:
    """Return a message object.

    Args:
        world: Where it is.
        message: The message.
        shows: Tells of which messages the reader gets content, embeds, attachments and components;
            Discord empties them on others.
        nested: It stands inside another one, where no further one is nested.
        gateway: It is an event's data, whose mentions name members too.
    """
    full = shows(message)
    body: JsonObject = {
        "id": str(message.id),
        "channel_id": str(message.channel.id),
        "type": message.kind,
        "author": user_object(message.author),
        "content": message.content if full else "",
        "timestamp": iso(message.created_unix_s),
        "edited_timestamp": None if message.edited_unix_s is None else iso(message.edited_unix_s),
        "tts": message.tts,
        "mention_everyone": message.mention_everyone,
        "mentions": _mentions(world, message, members=gateway),
        "mention_roles": [str(role_id) for role_id in message.mention_role_ids],
        "attachments": [attachment_object(world, entry, message) for entry in message.attachments]
        if full
        else [],
        "embeds": message.embeds if full else [],
        "components": message.components if full else [],
        "pinned": message.pinned,
        "flags": message.flags,
    }
    if message.nonce is not None:
        body["nonce"] = message.nonce
    if message.webhook_id is not None:
        body["webhook_id"] = str(message.webhook_id)
    if message.application_id is not None:
        body["application_id"] = str(message.application_id)
    if message.interaction is not None:
        body["interaction_metadata"] = message.interaction
    if message.reactions and not nested:
        body["reactions"] = [_reaction(world, message, emoji) for emoji in message.reactions]
    _references(world, message, body, shows, nested=nested)
    return body | _parts(world, message, full=full) | message.oddities


def whole_message_object(world: World, message: Message) -> JsonObject:
    """Return a message object with all its content."""
    return message_object(world, message, lambda _: True)


def rest_message_object(world: World, message: Message) -> JsonObject:
    """Return a message object as REST shows it to the bot."""
    return message_object(world, message, lambda each: is_shown_over_rest(world, each))


def _parts(world: World, message: Message, *, full: bool) -> JsonObject:
    """Return the fields that only some messages have."""
    body: JsonObject = {}
    if message.stickers:
        body["sticker_items"] = [
            {"id": str(each.id), "name": each.name, "format_type": each.format_type}
            for each in message.stickers
        ]
    if message.poll is not None and full:
        body["poll"] = poll_object(message.poll)
    if message.thread is not None:
        body["thread"] = channel_object(world, message.thread)
    return body


def poll_object(poll: Poll) -> JsonObject:
    """Return a poll object."""
    return {
        "question": {"text": poll.question},
        "answers": [
            {"answer_id": number, "poll_media": {"text": text}}
            for number, text in enumerate(poll.answers, 1)
        ],
        "expiry": iso(poll.ends_unix_s),
        "allow_multiselect": poll.multiselect,
        "layout_type": 1,
        "results": {"answer_counts": [], "is_finalized": False},
    }


def _mentions(world: World, message: Message, *, members: bool) -> list[JsonObject]:
    guild_ = message.channel.guild if members else None
    rendered = []
    for user_id in message.mention_ids:
        body = user_object(world.users[user_id])
        who = guild_.members.get(user_id) if guild_ else None
        if who is not None:
            body["member"] = member_object(who, with_user=False)
        rendered.append(body)
    return rendered


def _reaction(world: World, message: Message, emoji: str) -> JsonObject:
    users = message.reactions[emoji]
    return {
        "emoji": {"id": None, "name": emoji},
        "count": len(users),
        "count_details": {"burst": 0, "normal": len(users)},
        "me": world.bot_user.id in users,
        "me_burst": False,
        "burst_colors": [],
    }


def _references(
    world: World, message: Message, body: JsonObject, shows: Shows, *, nested: bool
) -> None:
    if message.forward is not None:
        source = message.forward
        body["message_reference"] = _reference(source) | {"type": 1}
        visible = shows(message)
        inner = message_object(world, source, lambda _: visible, nested=True)
        snapshot: dict[str, Any] = {key: inner[key] for key in _SNAPSHOT if key in inner}
        body["message_snapshots"] = [{"message": snapshot}]
    elif message.reference is not None:
        body["message_reference"] = _reference(message.reference) | {"type": 0}
        if not nested:
            gone = message.reference.deleted_at is not None
            body["referenced_message"] = (
                None if gone else message_object(world, message.reference, shows, nested=True)
            )


def _reference(source: Message) -> JsonObject:
    reference = {"message_id": str(source.id), "channel_id": str(source.channel.id)}
    if source.channel.guild is not None:
        reference["guild_id"] = str(source.channel.guild.id)
    return reference
