"""Reactions (Discord: resources, "Message")."""

from __future__ import annotations

from sandbox.discord import posting, render
from sandbox.discord.errors import ApiError
from sandbox.discord.permissions import Permission
from sandbox.discord.rest import Call, Result, Route


def _emoji(call: Call) -> str:
    emoji = call.params["emoji"]
    if not emoji or (emoji.isascii() and ":" not in emoji and not emoji.isdigit()):
        raise ApiError(10014, status=400)
    return emoji


def add(call: Call) -> Result:
    """React as the bot."""
    channel = call.channel()
    message = call.message(channel)
    emoji = _emoji(call)
    if not call.world.bot_may(channel, Permission.READ_MESSAGE_HISTORY):
        raise ApiError(50001)
    if emoji not in message.reactions and not call.world.bot_may(channel, Permission.ADD_REACTIONS):
        raise ApiError(50013)
    if channel.is_thread and channel.archived:
        raise ApiError(50083)
    if emoji not in message.reactions and len(message.reactions) >= 20:
        raise ApiError(30010)
    posting.react(call.world, message, call.world.bot_user, emoji, add=True)
    return None


def remove_own(call: Call) -> Result:
    """Take the bot's reaction away."""
    message = call.message(call.channel())
    posting.react(call.world, message, call.world.bot_user, _emoji(call), add=False)
    return None


def remove_other(call: Call) -> Result:
    """Take somebody's reaction away."""
    message = call.message(call.channel(Permission.MANAGE_MESSAGES))
    user = call.world.users.get(call.id("user_id"))
    if user is None:
        raise ApiError(10013)
    posting.react(call.world, message, user, _emoji(call), add=False)
    return None


def who(call: Call) -> Result:
    """Return who reacted with an emoji."""
    message = call.message(call.channel())
    users = message.reactions.get(_emoji(call), ())
    return [render.user(call.world.users[each]) for each in users]


_ONE = "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}"
ROUTES = (
    Route("PUT", _ONE + "/@me", add, "reaction"),
    Route("DELETE", _ONE + "/@me", remove_own, "reaction"),
    Route("DELETE", _ONE + "/{user_id}", remove_other, "reaction"),
    Route("GET", _ONE, who, "message_read"),
)
