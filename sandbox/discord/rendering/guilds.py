"""Accounts, guilds, roles, members and channels as the JSON objects of Discord's API."""

from __future__ import annotations

from collections.abc import Collection

from sandbox.discord.state import access
from sandbox.discord.state.guilds import Channel, Guild, Member, Role
from sandbox.discord.state.world import World
from sandbox.discord.values.accounts import Team, User
from sandbox.discord.values.channel_types import FORUM, MEDIA, STAGE, VOICE
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.permissions import Permission
from sandbox.discord.values.snowflakes import iso, time_of


def user_object(user: User) -> JsonObject:
    """Return a user object."""
    body: JsonObject = {
        "id": str(user.id),
        "username": user.username,
        "discriminator": "0000" if user.is_webhook else "0001" if user.is_bot else "0",
        "global_name": user.global_name,
        "avatar": None,
        "avatar_decoration_data": None,
        "public_flags": user.flags,
        "flags": user.flags,
        "primary_guild": None,
    }
    if user.is_bot:
        body["bot"] = True
    if user.is_system:
        body["system"] = True
    return body


def own_user_object(user: User) -> JsonObject:
    """Return the bot's own account, as nobody else gets it."""
    return user_object(user) | {"verified": True, "mfa_enabled": False, "locale": "en-US"}


def team_object(team: Team) -> JsonObject:
    """Return a team object."""
    return {
        "id": str(team.user.id),
        "icon": None,
        "name": team.user.username,
        "owner_user_id": str(team.owner_id),
        "members": [
            {
                "user": user_object(each.user),
                "team_id": str(team.user.id),
                "membership_state": 2 if each.accepted else 1,
                "role": each.role,
                "permissions": ["*"],
            }
            for each in team.members
        ],
    }


def role_object(role: Role) -> JsonObject:
    """Return a role object."""
    body: JsonObject = {
        "id": str(role.id),
        "name": role.name,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "icon": None,
        "unicode_emoji": None,
        "position": role.position,
        "permissions": str(role.permissions),
        "managed": role.managed,
        "mentionable": role.mentionable,
        "flags": 0,
    }
    if role.bot_id is not None:
        body["tags"] = {"bot_id": str(role.bot_id)}
    return body


def member_object(member: Member, *, with_user: bool = True) -> JsonObject:
    """Return a guild member object."""
    body: JsonObject = {
        "nick": member.nick,
        "avatar": None,
        "banner": None,
        "roles": [str(role_id) for role_id in member.role_ids],
        "joined_at": iso(member.joined_unix_s),
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "flags": 0,
        "pending": False,
        "communication_disabled_until": (
            None if member.timed_out_until is None else iso(member.timed_out_until)
        ),
    }
    if with_user:
        body["user"] = user_object(member.user)
    return body


def channel_object(world: World, channel: Channel) -> JsonObject:
    """Return a channel object of any kind."""
    if channel.is_dm:
        return {
            "id": str(channel.id),
            "type": channel.kind,
            "last_message_id": _last_message_id(channel),
            "flags": 0,
            "recipients": [
                user_object(world.users[user_id])
                for user_id in channel.recipient_ids
                if user_id != world.bot_user.id
            ],
        }
    body: JsonObject = {
        "id": str(channel.id),
        "type": channel.kind,
        "name": channel.name,
        "guild_id": str(channel.guild.id) if channel.guild else None,
        "parent_id": str(channel.parent.id) if channel.parent else None,
        "last_message_id": _last_message_id(channel),
        "flags": 0,
        "rate_limit_per_user": channel.slowmode_s,
    }
    if channel.is_thread:
        return body | _thread(world, channel)
    body |= {
        "topic": channel.topic,
        "position": channel.position,
        "nsfw": channel.nsfw,
        "permission_overwrites": [
            {
                "id": str(entry.target_id),
                "type": int(entry.is_member),
                "allow": str(entry.allow),
                "deny": str(entry.deny),
            }
            for entry in channel.overwrites.values()
        ],
    }
    if channel.kind in {VOICE, STAGE}:
        body |= {"bitrate": 64000, "user_limit": 0, "rtc_region": None}
    if channel.kind in {FORUM, MEDIA}:
        body |= {"available_tags": [], "default_reaction_emoji": None, "default_sort_order": None}
    return body


def _thread(world: World, channel: Channel) -> JsonObject:
    body: JsonObject = {
        "owner_id": str(channel.owner_id),
        "message_count": len(channel.messages),
        "member_count": len(channel.thread_member_ids),
        "total_message_sent": len(channel.messages),
        "thread_metadata": {
            "archived": channel.archived,
            "auto_archive_duration": channel.auto_archive_minutes,
            "archive_timestamp": iso(time_of(channel.id)),
            "locked": channel.locked,
            "create_timestamp": iso(time_of(channel.id)),
        },
    }
    if channel.is_private:
        body["thread_metadata"]["invitable"] = True
    if channel.applied_tags:
        body["applied_tags"] = [str(tag) for tag in channel.applied_tags]
    if world.bot_user.id in channel.thread_member_ids:
        body["member"] = thread_member_object(channel, world.bot_user.id)
    return body


def thread_member_object(channel: Channel, user_id: int) -> JsonObject:
    """Return a thread member object."""
    return {
        "id": str(channel.id),
        "user_id": str(user_id),
        "join_timestamp": iso(time_of(channel.id)),
        "flags": 0,
    }


def thread_members_update(channel: Channel, person_id: int, *, is_added: bool) -> JsonObject:
    """Return what is told of who was added to a thread, or removed from it."""
    change: JsonObject = {"removed_member_ids": [str(person_id)]}
    if is_added:
        change = {"added_members": [thread_member_object(channel, person_id)]}
    return {
        "id": str(channel.id),
        "guild_id": str(channel.guild.id if channel.guild is not None else 0),
        "member_count": len(channel.thread_member_ids),
        **change,
    }


def _last_message_id(channel: Channel) -> str | None:
    last = next(reversed(channel.messages), None)
    return None if last is None else str(last)


def guild_object(guild: Guild) -> JsonObject:
    """Return a guild object as REST gives it."""
    return {
        "id": str(guild.id),
        "name": guild.name,
        "icon": None,
        "splash": None,
        "discovery_splash": None,
        "owner_id": str(guild.owner_id),
        "afk_channel_id": None,
        "afk_timeout": 300,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "roles": [role_object(entry) for entry in guild.roles.values()],
        "emojis": [],
        "stickers": [],
        "features": [],
        "mfa_level": 0,
        "application_id": None,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "rules_channel_id": None,
        "max_members": 250000,
        "vanity_url_code": None,
        "description": None,
        "banner": None,
        "home_header": None,
        "region": "deprecated",
        "max_presences": None,
        "max_video_channel_users": 25,
        "max_stage_video_channel_users": 50,
        "widget_enabled": False,
        "widget_channel_id": None,
        "nsfw": False,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": guild.locale,
        "public_updates_channel_id": None,
        "nsfw_level": 0,
        "premium_progress_bar_enabled": False,
        "safety_alerts_channel_id": None,
        "incidents_data": None,
    }


def open_threads(world: World, guild: Guild) -> list[Channel]:
    """Return a guild's active threads that the bot sees."""
    return [
        entry
        for entry in guild.channels.values()
        if entry.is_thread
        and not entry.archived
        and access.in_channel(entry, world.bot_user.id) & Permission.VIEW_CHANNEL
    ]


def thread_list(world: World, guild: Guild, channels: Collection[Channel]) -> JsonObject:
    """Return the payload of THREAD_LIST_SYNC, of some channels' threads."""
    bot_id = world.bot_user.id
    threads = [each for each in open_threads(world, guild) if each.parent in channels]
    return {
        "guild_id": str(guild.id),
        "channel_ids": [str(channel.id) for channel in channels],
        "threads": [channel_object(world, each) for each in threads],
        "members": [
            thread_member_object(each, bot_id)
            for each in threads
            if bot_id in each.thread_member_ids
        ],
    }


def guild_create_data(world: World, guild: Guild, *, all_members: bool) -> JsonObject:
    """Return the payload of GUILD_CREATE."""
    bot_id = world.bot_user.id
    threads = open_threads(world, guild)
    body = guild_object(guild) | {
        "joined_at": iso(guild.members[bot_id].joined_unix_s),
        "large": False,
        "unavailable": False,
        "member_count": len(guild.members),
        "voice_states": [],
        "members": [
            member_object(entry)
            for entry in guild.members.values()
            if all_members or entry.user.id == bot_id
        ],
        "channels": [
            channel_object(world, entry) for entry in guild.channels.values() if not entry.is_thread
        ],
        "threads": [channel_object(world, entry) for entry in threads],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }
    for name, item in guild.oddities.items():
        body[name] = [*body[name], item]
    return body
