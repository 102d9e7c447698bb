"""Reactions (Discord: resources, "Message")."""

from __future__ import annotations

from sandbox.discord import rendering
from sandbox.discord.api.request import ApiRequest, Result
from sandbox.discord.api.router import Route
from sandbox.discord.state import message_actions
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.permissions import Permission


def _emoji(request: ApiRequest) -> str:
    emoji = request.params["emoji"]
    if not emoji or (emoji.isascii() and ":" not in emoji and not emoji.isdigit()):
        raise ApiError(10014, status=400)
    return emoji


def add(request: ApiRequest) -> Result:
    """React as the bot."""
    channel = request.channel()
    message = request.message(channel)
    emoji = _emoji(request)
    if not request.world.bot_may(channel, Permission.READ_MESSAGE_HISTORY):
        raise ApiError(50001)
    if message.author.blocks_bot:
        raise ApiError(90001)
    if emoji not in message.reactions and not request.world.bot_may(
        channel, Permission.ADD_REACTIONS
    ):
        raise ApiError(50013)
    if channel.is_thread and channel.archived:
        raise ApiError(50083)
    if emoji not in message.reactions and len(message.reactions) >= 20:
        raise ApiError(30010)
    message_actions.react(request.world, message, request.world.bot_user, emoji, add=True)
    return None


def remove_own(request: ApiRequest) -> Result:
    """Take the bot's reaction away."""
    message = request.message(request.channel())
    message_actions.react(
        request.world, message, request.world.bot_user, _emoji(request), add=False
    )
    return None


def remove_other(request: ApiRequest) -> Result:
    """Take somebody's reaction away."""
    message = request.message(request.channel(Permission.MANAGE_MESSAGES))
    user = request.world.users.get(request.id("user_id"))
    if user is None:
        raise ApiError(10013)
    message_actions.react(request.world, message, user, _emoji(request), add=False)
    return None


def who(request: ApiRequest) -> Result:
    """Return who reacted with an emoji."""
    message = request.message(request.channel())
    users = message.reactions.get(_emoji(request), ())
    return [rendering.user_object(request.world.users[each]) for each in users]


_ONE = "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}"
ROUTES = (
    Route("PUT", _ONE + "/@me", add, "reaction"),
    Route("DELETE", _ONE + "/@me", remove_own, "reaction"),
    Route("DELETE", _ONE + "/{user_id}", remove_other, "reaction"),
    Route("GET", _ONE, who, "message_read"),
)
