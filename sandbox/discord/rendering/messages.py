"""Messages as the JSON objects of Discord's API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.discord.rendering.guilds import channel, member, user
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


def attachment(world: World, what: Attachment, where: Message) -> JsonObject:
    """Return an attachment object with its (signed) CDN address."""
    path = f"/attachments/{where.channel.id}/{what.id}/{what.filename}?ex=7fffffff&is=0&hm=0"
    body: JsonObject = {
        "id": str(what.id),
        "filename": what.filename,
        "size": len(what.data),
        "url": world.origin + path,
        "proxy_url": world.origin + path,
        "flags": 0,
    }
    if what.content_type is not None:
        body["content_type"] = what.content_type
    if what.description is not None:
        body["description"] = what.description
    return body


def message(
    world: World, what: Message, shows: Shows, *, nested: bool = False, gateway: bool = False
) -> JsonObject:
    """Return a message object.

    Args:
        world: Where it is.
        what: The message.
        shows: Tells of which messages the reader gets content, embeds, attachments and components;
            Discord empties them on others.
        nested: It stands inside another one, where no further one is nested.
        gateway: It is an event's data, whose mentions name members too.
    """
    full = shows(what)
    body: JsonObject = {
        "id": str(what.id),
        "channel_id": str(what.channel.id),
        "type": what.kind,
        "author": user(what.author),
        "content": what.content if full else "",
        "timestamp": iso(what.created_unix_s),
        "edited_timestamp": None if what.edited_unix_s is None else iso(what.edited_unix_s),
        "tts": what.tts,
        "mention_everyone": what.mention_everyone,
        "mentions": _mentions(world, what, members=gateway),
        "mention_roles": [str(role_id) for role_id in what.mention_role_ids],
        "attachments": [attachment(world, entry, what) for entry in what.attachments]
        if full
        else [],
        "embeds": what.embeds if full else [],
        "components": what.components if full else [],
        "pinned": what.pinned,
        "flags": what.flags,
    }
    if what.nonce is not None:
        body["nonce"] = what.nonce
    if what.webhook_id is not None:
        body["webhook_id"] = str(what.webhook_id)
    if what.application_id is not None:
        body["application_id"] = str(what.application_id)
    if what.interaction is not None:
        body["interaction_metadata"] = what.interaction
    _references(world, what, body, shows, nested=nested)
    return body | _parts(world, what, full=full) | what.oddities


def whole_message(world: World, what: Message) -> JsonObject:
    """Return a message object with all its content."""
    return message(world, what, lambda _: True)


def rest_message(world: World, what: Message) -> JsonObject:
    """Return a message object as REST shows it to the bot."""
    return message(world, what, lambda each: is_shown_over_rest(world, each))


def _parts(world: World, what: Message, *, full: bool) -> JsonObject:
    """Return the fields that only some messages have."""
    body: JsonObject = {}
    if what.stickers:
        body["sticker_items"] = [
            {"id": str(each.id), "name": each.name, "format_type": each.format_type}
            for each in what.stickers
        ]
    if what.poll is not None and full:
        body["poll"] = poll(what.poll)
    if what.reactions:
        body["reactions"] = [_reaction(world, what, emoji) for emoji in what.reactions]
    if what.thread is not None:
        body["thread"] = channel(world, what.thread)
    return body


def poll(what: Poll) -> JsonObject:
    """Return a poll object."""
    return {
        "question": {"text": what.question},
        "answers": [
            {"answer_id": number, "poll_media": {"text": text}}
            for number, text in enumerate(what.answers, 1)
        ],
        "expiry": iso(what.ends_unix_s),
        "allow_multiselect": what.multiselect,
        "layout_type": 1,
        "results": {"answer_counts": [], "is_finalized": False},
    }


def _mentions(world: World, what: Message, *, members: bool) -> list[JsonObject]:
    guild_ = what.channel.guild if members else None
    rendered = []
    for user_id in what.mention_ids:
        body = user(world.users[user_id])
        who = guild_.members.get(user_id) if guild_ else None
        if who is not None:
            body["member"] = member(who, with_user=False)
        rendered.append(body)
    return rendered


def _reaction(world: World, what: Message, emoji: str) -> JsonObject:
    users = what.reactions[emoji]
    return {
        "emoji": {"id": None, "name": emoji},
        "count": len(users),
        "count_details": {"burst": 0, "normal": len(users)},
        "me": world.bot_user.id in users,
        "me_burst": False,
        "burst_colors": [],
    }


def _references(
    world: World, what: Message, body: JsonObject, shows: Shows, *, nested: bool
) -> None:
    if what.forward is not None:
        source = what.forward
        body["message_reference"] = _reference(source) | {"type": 1}
        visible = shows(what)
        inner = message(world, source, lambda _: visible, nested=True)
        snapshot: dict[str, Any] = {key: inner[key] for key in _SNAPSHOT if key in inner}
        body["message_snapshots"] = [{"message": snapshot}]
    elif what.reference is not None:
        body["message_reference"] = _reference(what.reference) | {"type": 0}
        if not nested:
            gone = what.reference.deleted_at is not None
            body["referenced_message"] = (
                None if gone else message(world, what.reference, shows, nested=True)
            )


def _reference(source: Message) -> JsonObject:
    reference = {"message_id": str(source.id), "channel_id": str(source.channel.id)}
    if source.channel.guild is not None:
        reference["guild_id"] = str(source.channel.guild.id)
    return reference
