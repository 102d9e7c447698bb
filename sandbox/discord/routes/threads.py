"""Threads and forum posts (Discord: topics, "Threads")."""

from __future__ import annotations

from sandbox.discord import posting, render
from sandbox.discord.errors import ApiError, form
from sandbox.discord.messages import DEFAULT_TYPE, Draft, JsonObject
from sandbox.discord.model import (
    ANNOUNCEMENT,
    FORUM,
    MEDIA,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    TEXT,
    THREADS,
    Channel,
)
from sandbox.discord.permissions import Permission
from sandbox.discord.rest import Call, Result, Route
from sandbox.discord.routes.messages import draft_of
from sandbox.discord.validation import check_body, refuse_empty


def from_message(call: Call) -> Result:
    """Start a thread on a message; it takes over the message's id."""
    channel = call.channel(Permission.CREATE_PUBLIC_THREADS)
    message = call.message(channel)
    body = _named(call)
    if channel.kind not in {TEXT, ANNOUNCEMENT}:
        raise ApiError(50024)
    if message.thread is not None:
        raise ApiError(160004)
    thread = posting.thread_on(call.world, message, body["name"], call.world.bot_user)
    return render.channel(thread)


def _named(call: Call) -> JsonObject:
    body = call.object()
    with form() as opened:
        opened.text("name", body.get("name"), least=1, most=100)
        duration = body.get("auto_archive_duration")
        if duration not in {None, 60, 1440, 4320, 10080}:
            opened.choices("auto_archive_duration", "(60, 1440, 4320, 10080)")
    return body


def start(call: Call) -> Result:
    """Start a thread without a message, or a post in a forum."""
    channel = call.channel()
    body = _named(call)
    if channel.kind in {FORUM, MEDIA}:
        return _post(call, channel, body)
    if channel.kind not in {TEXT, ANNOUNCEMENT}:
        raise ApiError(50024)
    kind = body.get("type", PRIVATE_THREAD)
    if kind not in THREADS:
        raise ApiError(50024)
    needed = (
        Permission.CREATE_PRIVATE_THREADS
        if kind == PRIVATE_THREAD
        else Permission.CREATE_PUBLIC_THREADS
    )
    call.allowed(channel, needed)
    bot = call.world.bot_user
    thread = call.world.start_thread(channel, body["name"], kind=kind, owner_id=bot.id)
    return render.channel(thread)


def _post(call: Call, forum: Channel, body: JsonObject) -> Result:
    call.allowed(forum, Permission.SEND_MESSAGES)
    opening = body.get("message")
    if not isinstance(opening, dict):
        error = {"code": "BASE_TYPE_REQUIRED", "message": "This field is required"}
        raise ApiError(50035, errors={"message": {"_errors": [error]}})
    mentions = check_body(opening)
    draft: Draft = draft_of(call, opening, mentions)
    draft.kind = DEFAULT_TYPE
    refuse_empty(draft.content, draft.embeds, draft.attachments, draft.components)
    world = call.world
    thread = world.start_thread(forum, body["name"], kind=PUBLIC_THREAD, owner_id=world.bot_user.id)
    thread.applied_tags = [int(tag) for tag in body.get("applied_tags") or ()]
    posting.post(world, thread, world.bot_user, draft, message_id=thread.id)
    return render.channel(thread)


def join(call: Call) -> Result:
    """Let the bot join a thread."""
    thread = call.channel()
    if not thread.is_thread:
        raise ApiError(50024)
    if thread.archived:
        raise ApiError(50083)
    thread.thread_member_ids.add(call.world.bot_user.id)
    return None


def leave(call: Call) -> Result:
    """Let the bot leave a thread."""
    call.channel().thread_member_ids.discard(call.world.bot_user.id)
    return None


def members(call: Call) -> Result:
    """Return a thread's members."""
    thread = call.channel()
    return [render.thread_member(thread, each) for each in sorted(thread.thread_member_ids)]


def active(call: Call) -> Result:
    """Return a guild's open threads that the bot sees."""
    guild = call.guild()
    threads = [
        each
        for each in guild.channels.values()
        if each.is_thread
        and not each.archived
        and call.world.bot_may(each, Permission.VIEW_CHANNEL)
    ]
    bot_id = call.world.bot_user.id
    return {
        "threads": [render.channel(each) for each in threads],
        "members": [
            render.thread_member(each, bot_id)
            for each in threads
            if bot_id in each.thread_member_ids
        ],
        "has_more": False,
    }


def archived(call: Call) -> Result:
    """Return a channel's archived public threads."""
    channel = call.channel(Permission.READ_MESSAGE_HISTORY)
    threads = [
        each
        for each in call.world.channels.values()
        if each.parent is channel and each.is_thread and each.archived and not each.is_private
    ]
    return {
        "threads": [render.channel(each) for each in threads],
        "members": [],
        "has_more": False,
    }


_MEMBERS = "/channels/{channel_id}/thread-members"
ROUTES = (
    Route(
        "POST",
        "/channels/{channel_id}/messages/{message_id}/threads",
        from_message,
        "thread_create",
        status=201,
    ),
    Route("POST", "/channels/{channel_id}/threads", start, "thread_create", status=201),
    Route("PUT", _MEMBERS + "/@me", join),
    Route("DELETE", _MEMBERS + "/@me", leave),
    Route("GET", _MEMBERS, members),
    Route("GET", "/guilds/{guild_id}/threads/active", active),
    Route("GET", "/channels/{channel_id}/threads/archived/public", archived),
)
