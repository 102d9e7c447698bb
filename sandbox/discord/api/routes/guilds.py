"""Guilds, their channels, roles and members (Discord: resources, "Guild")."""

from __future__ import annotations

from sandbox.discord import rendering
from sandbox.discord.api.request import ApiRequest, Result
from sandbox.discord.api.router import Route
from sandbox.discord.state import access
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.intents import GUILD_MEMBERS


def get(request: ApiRequest) -> Result:
    """Return a guild."""
    guild = request.guild()
    body = rendering.guild_object(guild)
    if request.query.get("with_counts", "").lower() in {"1", "true"}:
        body["approximate_member_count"] = len(guild.members)
        body["approximate_presence_count"] = len(guild.members)
    return body


def channels(request: ApiRequest) -> Result:
    """Return a guild's channels, threads left out."""
    return [
        rendering.channel_object(request.world, each)
        for each in request.guild().channels.values()
        if not each.is_thread
    ]


def roles(request: ApiRequest) -> Result:
    """Return a guild's roles."""
    return [rendering.role_object(each) for each in request.guild().roles.values()]


def member(request: ApiRequest) -> Result:
    """Return one member."""
    user_id = request.id("user_id")
    found = request.guild().members.get(user_id)
    if found is None:
        raise ApiError(10007 if user_id in request.world.users else 10013)
    return rendering.member_object(found)


def members(request: ApiRequest) -> Result:
    """Return members by id order, which takes the members intent in the portal."""
    if not request.world.portal_intents & GUILD_MEMBERS:
        raise ApiError(50001)
    limit = int(request.query.get("limit", "1"))
    after = int(request.query.get("after", "0"))
    ids = sorted(each for each in request.guild().members if each > after)
    return [rendering.member_object(request.guild().members[each]) for each in ids[:limit]]


def search(request: ApiRequest) -> Result:
    """Return members whose name or nickname begins with a text, which takes no intent."""
    query, limit = request.query.get("query", ""), int(request.query.get("limit", "1"))
    if not 1 <= len(query) <= _QUERY_CHARS or not 1 <= limit <= _MOST_FOUND:
        raise ApiError(50035)
    found = [
        each
        for each in request.guild().members.values()
        if any(
            name.casefold().startswith(query.casefold())
            for name in (each.user.username, each.nick or "")
        )
    ]
    return [rendering.member_object(each) for each in found[:limit]]


def mine(request: ApiRequest) -> Result:
    """Return the bot's guilds."""
    bot_id = request.world.bot_user.id
    return [
        {
            "id": str(each.id),
            "name": each.name,
            "icon": None,
            "banner": None,
            "owner": each.owner_id == bot_id,
            "permissions": str(access.in_guild(each, each.members[bot_id])),
            "features": [],
        }
        for each in request.world.bot_guilds()
    ]


def leave(request: ApiRequest) -> Result:
    """Let the bot leave a guild."""
    request.guild().remove_member(request.world.bot_user)
    return None


_QUERY_CHARS, _MOST_FOUND = 100, 1000
"""Bounds of a search for members (Discord: search guild members)."""

_ONE = "/guilds/{guild_id}"
ROUTES = (
    Route("GET", _ONE, get),
    Route("GET", _ONE + "/channels", channels),
    Route("GET", _ONE + "/roles", roles),
    Route("GET", _ONE + "/members/search", search),
    Route("GET", _ONE + "/members/{user_id}", member),
    Route("GET", _ONE + "/members", members),
    Route("GET", "/users/@me/guilds", mine),
    Route("DELETE", "/users/@me/guilds/{guild_id}", leave),
)
