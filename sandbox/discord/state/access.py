"""What a member may do in a guild and in a channel (Discord: topics, "Permissions")."""

from __future__ import annotations

from sandbox.discord.state.guilds import Channel, Guild, Member
from sandbox.discord.values import permissions
from sandbox.discord.values.permissions import Permission


def in_guild(guild: Guild, member: Member) -> int:
    """Return a member's permissions before channel overwrites."""
    if member.user.id == guild.owner_id:
        return permissions.ALL
    value = guild.roles[guild.id].permissions
    for role_id in member.role_ids:
        role = guild.roles.get(role_id)
        if role is not None:
            value |= role.permissions
    return permissions.ALL if value & Permission.ADMINISTRATOR else value


def in_channel(channel: Channel, user_id: int) -> int:
    """Return what a user may do in a channel; 0 for those who aren't there at all."""
    guild = channel.guild
    if guild is None:
        return permissions.DM if user_id in channel.recipient_ids else 0
    member = guild.members.get(user_id)
    if member is None:
        return 0
    base = in_guild(guild, member)
    if base & Permission.ADMINISTRATOR:
        return permissions.ALL
    holder = channel.parent if channel.is_thread and channel.parent else channel
    value = _with_overwrites(base, holder, member)
    if channel.is_thread:
        value = _in_thread(value, channel, user_id)
    if not value & Permission.VIEW_CHANNEL:
        return 0
    if member.timed_out_until is not None and member.timed_out_until > guild.context.now():
        return value & int(Permission.VIEW_CHANNEL | Permission.READ_MESSAGE_HISTORY)
    if not value & Permission.SEND_MESSAGES:
        value &= ~int(
            Permission.MENTION_EVERYONE
            | Permission.EMBED_LINKS
            | Permission.ATTACH_FILES
            | Permission.SEND_TTS_MESSAGES
        )
    return value


def _with_overwrites(base: int, holder: Channel, member: Member) -> int:
    guild = member.guild
    value = base
    everyone = holder.overwrites.get(guild.id)
    if everyone is not None:
        value = (value & ~everyone.deny) | everyone.allow
    allow = deny = 0
    for role_id in member.role_ids:
        overwrite = holder.overwrites.get(role_id)
        if overwrite is not None:
            allow |= overwrite.allow
            deny |= overwrite.deny
    value = (value & ~deny) | allow
    own = holder.overwrites.get(member.user.id)
    if own is not None:
        value = (value & ~own.deny) | own.allow
    return value


def _in_thread(value: int, thread: Channel, user_id: int) -> int:
    """Apply what threads change: their own send bit, and privacy."""
    hidden = thread.is_private and user_id not in thread.thread_member_ids
    if hidden and not value & Permission.MANAGE_THREADS:
        return 0
    if value & Permission.SEND_MESSAGES_IN_THREADS:
        return value | Permission.SEND_MESSAGES
    return value & ~int(Permission.SEND_MESSAGES)
