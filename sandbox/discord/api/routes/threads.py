"""Threads and forum posts (Discord: topics, "Threads")."""

from __future__ import annotations

from sandbox.discord import rendering
from sandbox.discord.api.request import ApiRequest, Result
from sandbox.discord.api.router import Route
from sandbox.discord.api.routes.messages import draft_of
from sandbox.discord.checks.form import collect_errors
from sandbox.discord.checks.messages import check_body, refuse_empty
from sandbox.discord.state import message_actions
from sandbox.discord.state.guilds import Channel, Draft
from sandbox.discord.values.channel_types import (
    ANNOUNCEMENT,
    FORUM,
    MEDIA,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    TEXT,
    THREADS,
)
from sandbox.discord.values.content import DEFAULT_TYPE
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.permissions import Permission


def from_message(request: ApiRequest) -> Result:
    """Start a thread on a message; it takes over the message's id."""
    channel = request.channel(Permission.CREATE_PUBLIC_THREADS)
    message = request.message(channel)
    body = _named(request)
    if channel.kind not in {TEXT, ANNOUNCEMENT}:
        raise ApiError(50024)
    if message.thread is not None:
        raise ApiError(160004)
    thread = message_actions.start_thread_on(
        request.world, message, body["name"], request.world.bot_user
    )
    return rendering.channel_object(request.world, thread)


def _named(request: ApiRequest) -> JsonObject:
    body = request.object()
    with collect_errors() as form:
        form.text("name", body.get("name"), least=1, most=100)
        duration = body.get("auto_archive_duration")
        if duration not in {None, 60, 1440, 4320, 10080}:
            form.choices("auto_archive_duration", "(60, 1440, 4320, 10080)")
    return body


def start(request: ApiRequest) -> Result:
    """Start a thread without a message, or a post in a forum."""
    channel = request.channel()
    body = _named(request)
    if channel.kind in {FORUM, MEDIA}:
        return _post(request, channel, body)
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
    request.allowed(channel, needed)
    bot = request.world.bot_user
    thread = channel.start_thread(body["name"], kind=kind, owner_id=bot.id)
    return rendering.channel_object(request.world, thread)


def _post(request: ApiRequest, forum: Channel, body: JsonObject) -> Result:
    request.allowed(forum, Permission.SEND_MESSAGES)
    opening = body.get("message")
    if not isinstance(opening, dict):
        error = {"code": "BASE_TYPE_REQUIRED", "message": "This field is required"}
        raise ApiError(50035, errors={"message": {"_errors": [error]}})
    mentions = check_body(opening)
    draft: Draft = draft_of(request, opening, mentions)
    draft.kind = DEFAULT_TYPE
    refuse_empty(draft.content, draft.embeds, draft.attachments, draft.components)
    world = request.world
    thread = forum.start_thread(body["name"], kind=PUBLIC_THREAD, owner_id=world.bot_user.id)
    thread.applied_tags = [int(tag) for tag in body.get("applied_tags") or ()]
    message_actions.post(world, thread, world.bot_user, draft, message_id=thread.id)
    return rendering.channel_object(request.world, thread)


def join(request: ApiRequest) -> Result:
    """Let the bot join a thread."""
    thread = request.channel()
    if not thread.is_thread:
        raise ApiError(50024)
    if thread.archived:
        raise ApiError(50083)
    thread.thread_member_ids.add(request.world.bot_user.id)
    return None


def leave(request: ApiRequest) -> Result:
    """Let the bot leave a thread."""
    request.channel().thread_member_ids.discard(request.world.bot_user.id)
    return None


def members(request: ApiRequest) -> Result:
    """Return a thread's members."""
    thread = request.channel()
    return [
        rendering.thread_member_object(thread, each) for each in sorted(thread.thread_member_ids)
    ]


def active(request: ApiRequest) -> Result:
    """Return a guild's open threads that the bot sees."""
    guild = request.guild()
    threads = [
        each
        for each in guild.channels.values()
        if each.is_thread
        and not each.archived
        and request.world.bot_may(each, Permission.VIEW_CHANNEL)
    ]
    bot_id = request.world.bot_user.id
    return {
        "threads": [rendering.channel_object(request.world, each) for each in threads],
        "members": [
            rendering.thread_member_object(each, bot_id)
            for each in threads
            if bot_id in each.thread_member_ids
        ],
        "has_more": False,
    }


def archived(request: ApiRequest) -> Result:
    """Return a channel's archived public threads."""
    channel = request.channel(Permission.READ_MESSAGE_HISTORY)
    threads = [
        each
        for each in request.world.channels.values()
        if each.parent is channel and each.is_thread and each.archived and not each.is_private
    ]
    return {
        "threads": [rendering.channel_object(request.world, each) for each in threads],
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
