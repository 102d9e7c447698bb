"""Who may read what was said in a channel before: nothing is read for people who may not."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import timedelta
from typing import Final

import discord
from discord.ext import commands

from bot.core.clock import Clock
from bot.core.domain import Origin, Place, Question
from bot.core.errors import DeliveryError, TargetGoneError
from bot.core.reasons import plain_reason
from cogs._calls import Caller

_log = logging.getLogger(__name__)

ROLES_HOLD: Final = timedelta(seconds=60)
"""How long the roles that came with a question are taken for the person's roles."""


class Readers:
    """Tells whether a question's asker may read the history of its place, as things are now.

    Args:
        client: Knows the guilds.
        clock: Tells how old a question is.
    """

    def __init__(self, client: commands.Bot, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._caller = Caller(clock)

    async def may_read(self, question: Question) -> bool:
        """Return whether the asker sees the channel and its history; what can't be told is no."""
        place = question.place
        if place.guild_id is None:
            return True
        guild = self._client.get_guild(place.guild_id)
        channel = None if guild is None else _channel(guild, place)
        if guild is None or channel is None:
            return False
        roles = await self._roles(guild, question)
        return roles is not None and may_read(guild, channel, question.asker.id, roles)

    async def _roles(self, guild: discord.Guild, question: Question) -> Collection[int] | None:
        """Return the asker's roles: those that came with the question, or Discord's word."""
        asker = question.asker
        is_new = self._clock.now() - question.asked_at <= ROLES_HOLD
        if asker.role_ids and is_new and question.origin is not Origin.REGENERATE:
            return asker.role_ids
        try:
            member = await self._caller.call(lambda: guild.fetch_member(asker.id))
        except TargetGoneError:
            return None
        except DeliveryError as exc:
            _log.info("a member could not be looked up (%s)", plain_reason(exc))
            return asker.role_ids or None
        return {role.id for role in member.roles}


def _channel(guild: discord.Guild, place: Place) -> discord.abc.GuildChannel | None:
    """Return the channel that the permissions of a place are those of: a thread's parent."""
    found = guild.get_channel_or_thread(place.channel_id)
    if isinstance(found, discord.Thread):
        found = found.parent
    if found is None and place.parent_id is not None:
        found = guild.get_channel(place.parent_id)
    return found


def may_read(
    guild: discord.Guild,
    channel: discord.abc.GuildChannel,
    person_id: int,
    role_ids: Collection[int],
) -> bool:
    """Compute View Channel and Read Message History (Discord: permissions, overwrites).

    Args:
        guild: The channel's guild.
        channel: No thread.
        person_id: The member.
        role_ids: The member's roles.
    """
    if person_id == guild.owner_id:
        return True
    roles = [role for role in guild.roles if role.id in role_ids or role.is_default()]
    value = 0
    for role in roles:
        value |= role.permissions.value
    if value & discord.Permissions.administrator.flag:
        return True
    everyone, own, person = (0, 0), (0, 0), (0, 0)
    for target, overwrite in channel.overwrites.items():
        allow, deny = (each.value for each in overwrite.pair())
        if target.id == guild.id:
            everyone = (allow, deny)
        elif target.id == person_id:
            person = (allow, deny)
        elif target.id in role_ids:
            own = (own[0] | allow, own[1] | deny)
    for allow, deny in (everyone, own, person):
        value = (value & ~deny) | allow
    needed = discord.Permissions(view_channel=True, read_message_history=True).value
    return value & needed == needed
