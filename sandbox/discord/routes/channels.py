"""Channels, typing and direct messages (Discord: resources, "Channel")."""

from __future__ import annotations

from sandbox.discord import posting, render
from sandbox.discord.errors import ApiError, form
from sandbox.discord.model import WITH_MESSAGES, Channel
from sandbox.discord.permissions import Permission
from sandbox.discord.rest import Call, Result, Route, snowflake


def get(call: Call) -> Result:
    """Return a channel."""
    return render.channel(call.channel())


def patch(call: Call) -> Result:
    """Change a channel's name or topic, or a thread's state."""
    channel = call.channel()
    body = call.object()
    with form() as opened:
        opened.text("name", body.get("name"), least=1, most=100, required=False)
        opened.text("topic", body.get("topic"), most=1024, required=False)
    if channel.is_dm:
        raise ApiError(50003)
    if channel.is_thread:
        _patch_thread(call, channel)
    elif not call.world.bot_may(channel, Permission.MANAGE_CHANNELS):
        raise ApiError(50013)
    channel.name = body.get("name", channel.name)
    channel.topic = body.get("topic", channel.topic)
    call.world.channel_changed(channel)
    return render.channel(channel)


def _patch_thread(call: Call, thread: Channel) -> None:
    body = call.object()
    manager = call.world.bot_may(thread, Permission.MANAGE_THREADS)
    own = thread.owner_id == call.world.bot_user.id
    only_opens = set(body) == {"archived"} and not body["archived"] and not thread.locked
    if not manager and not only_opens and (not own or "locked" in body):
        raise ApiError(50013)
    if thread.archived and body.get("archived", True):
        raise ApiError(50083)
    thread.archived = bool(body.get("archived", thread.archived))
    thread.locked = bool(body.get("locked", thread.locked))
    thread.auto_archive_minutes = body.get("auto_archive_duration", thread.auto_archive_minutes)


def delete(call: Call) -> Result:
    """Delete a channel or thread; a DM is only closed."""
    channel = call.channel()
    if not channel.is_dm:
        needed = Permission.MANAGE_THREADS if channel.is_thread else Permission.MANAGE_CHANNELS
        call.allowed(channel, needed)
        call.world.delete_channel(channel)
    return render.channel(channel)


def typing(call: Call) -> Result:
    """Show the bot typing."""
    channel = call.channel()
    if channel.kind not in WITH_MESSAGES:
        raise ApiError(50008)
    if not call.world.bot_may(channel, Permission.SEND_MESSAGES):
        raise ApiError(50013)
    posting.typing(call.world, channel, call.world.bot_user)
    return None


def open_dm(call: Call) -> Result:
    """Open a DM with somebody."""
    world = call.world
    recipient_id = snowflake(call.object().get("recipient_id"), "recipient_id")
    user = world.users.get(recipient_id)
    if user is None:
        raise ApiError(10013)
    if user.is_bot:
        raise ApiError(50007)
    known = any(user.id in channel.recipient_ids for channel in world.channels.values())
    if not known and not any(user.id in guild.members for guild in world.bot_guilds()):
        raise ApiError(50278)
    return render.channel(world.dm_channel(user))


_ONE = "/channels/{channel_id}"
ROUTES = (
    Route("GET", _ONE, get),
    Route("PATCH", _ONE, patch),
    Route("DELETE", _ONE, delete),
    Route("POST", _ONE + "/typing", typing, "typing"),
    Route("POST", "/users/@me/channels", open_dm, "dm_open"),
)
