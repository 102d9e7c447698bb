"""Guilds, their channels, roles and members (Discord: resources, "Guild")."""

from __future__ import annotations

from sandbox.discord import permissions, render
from sandbox.discord.errors import ApiError
from sandbox.discord.rest import Call, Result, Route


def get(call: Call) -> Result:
    """Return a guild."""
    guild = call.guild()
    body = render.guild(guild)
    if call.query.get("with_counts", "").lower() in {"1", "true"}:
        body["approximate_member_count"] = len(guild.members)
        body["approximate_presence_count"] = len(guild.members)
    return body


def channels(call: Call) -> Result:
    """Return a guild's channels, threads left out."""
    return [render.channel(each) for each in call.guild().channels.values() if not each.is_thread]


def roles(call: Call) -> Result:
    """Return a guild's roles."""
    return [render.role(each) for each in call.guild().roles.values()]


def member(call: Call) -> Result:
    """Return one member."""
    user_id = call.id("user_id")
    found = call.guild().members.get(user_id)
    if found is None:
        raise ApiError(10007 if user_id in call.world.users else 10013)
    return render.member(found)


def members(call: Call) -> Result:
    """Return members by id order, which takes the members intent in the portal."""
    if not call.world.portal_intents & 1 << 1:
        raise ApiError(50001)
    limit = int(call.query.get("limit", "1"))
    after = int(call.query.get("after", "0"))
    ids = sorted(each for each in call.guild().members if each > after)
    return [render.member(call.guild().members[each]) for each in ids[:limit]]


def mine(call: Call) -> Result:
    """Return the bot's guilds."""
    bot_id = call.world.bot_user.id
    return [
        {
            "id": str(each.id),
            "name": each.name,
            "icon": None,
            "banner": None,
            "owner": each.owner_id == bot_id,
            "permissions": str(permissions.in_guild(each, each.members[bot_id])),
            "features": [],
        }
        for each in call.world.bot_guilds()
    ]


def leave(call: Call) -> Result:
    """Let the bot leave a guild."""
    call.world.remove_member(call.guild(), call.world.bot_user.id)
    return None


_ONE = "/guilds/{guild_id}"
ROUTES = (
    Route("GET", _ONE, get),
    Route("GET", _ONE + "/channels", channels),
    Route("GET", _ONE + "/roles", roles),
    Route("GET", _ONE + "/members/{user_id}", member),
    Route("GET", _ONE + "/members", members),
    Route("GET", "/users/@me/guilds", mine),
    Route("DELETE", "/users/@me/guilds/{guild_id}", leave),
)
