"""Channels, typing and direct messages (Discord: resources, "Channel")."""

from __future__ import annotations

from sandbox.discord import rendering
from sandbox.discord.api.request import ApiRequest, Result, snowflake
from sandbox.discord.api.router import Route
from sandbox.discord.checks.form import collect_errors
from sandbox.discord.state import message_actions
from sandbox.discord.state.guilds import Channel
from sandbox.discord.values.channel_types import WITH_MESSAGES
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.permissions import Permission


def get(request: ApiRequest) -> Result:
    """Return a channel."""
    return rendering.channel_object(request.world, request.channel())


def patch(request: ApiRequest) -> Result:
    """Change a channel's name or topic, or a thread's state."""
    channel = request.channel()
    body = request.object()
    with collect_errors() as form:
        form.text("name", body.get("name"), least=1, most=100, required=False)
        form.text("topic", body.get("topic"), most=1024, required=False)
    if channel.is_dm:
        raise ApiError(50003)
    if channel.is_thread:
        _patch_thread(request, channel)
    elif not request.world.bot_may(channel, Permission.MANAGE_CHANNELS):
        raise ApiError(50013)
    channel.name = body.get("name", channel.name)
    channel.topic = body.get("topic", channel.topic)
    channel.announce_change()
    return rendering.channel_object(request.world, channel)


def _patch_thread(request: ApiRequest, thread: Channel) -> None:
    body = request.object()
    manager = request.world.bot_may(thread, Permission.MANAGE_THREADS)
    own = thread.owner_id == request.world.bot_user.id
    only_opens = set(body) == {"archived"} and not body["archived"] and not thread.locked
    if not manager and not only_opens and (not own or "locked" in body):
        raise ApiError(50013)
    if thread.archived and body.get("archived", True):
        raise ApiError(50083)
    thread.archived = bool(body.get("archived", thread.archived))
    thread.locked = bool(body.get("locked", thread.locked))
    thread.auto_archive_minutes = body.get("auto_archive_duration", thread.auto_archive_minutes)


def delete(request: ApiRequest) -> Result:
    """Delete a channel or thread; a DM is only closed."""
    channel = request.channel()
    if not channel.is_dm:
        needed = Permission.MANAGE_THREADS if channel.is_thread else Permission.MANAGE_CHANNELS
        request.allowed(channel, needed)
        channel.delete()
    return rendering.channel_object(request.world, channel)


def typing(request: ApiRequest) -> Result:
    """Show the bot typing."""
    channel = request.channel()
    if channel.kind not in WITH_MESSAGES:
        raise ApiError(50008)
    if not request.world.bot_may(channel, Permission.SEND_MESSAGES):
        raise ApiError(50013)
    message_actions.start_typing(request.world, channel, request.world.bot_user)
    return None


def open_dm(request: ApiRequest) -> Result:
    """Open a DM with somebody."""
    world = request.world
    recipient_id = snowflake(request.object().get("recipient_id"), "recipient_id")
    user = world.users.get(recipient_id)
    if user is None:
        raise ApiError(10013)
    if user.is_bot:
        raise ApiError(50007)
    known = any(user.id in channel.recipient_ids for channel in world.channels.values())
    if not known and not any(user.id in guild.members for guild in world.bot_guilds()):
        raise ApiError(50278)
    return rendering.channel_object(request.world, world.dm_channel(user))


_ONE = "/channels/{channel_id}"
ROUTES = (
    Route("GET", _ONE, get),
    Route("PATCH", _ONE, patch),
    Route("DELETE", _ONE, delete),
    Route("POST", _ONE + "/typing", typing, "typing"),
    Route("POST", "/users/@me/channels", open_dm, "dm_open"),
)
