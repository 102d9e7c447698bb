"""Accounts, guilds, roles, members and channels as the JSON objects of Discord's API."""

from __future__ import annotations

from sandbox.discord.state import access
from sandbox.discord.state.guilds import Channel, Guild, Member, Role
from sandbox.discord.state.world import World
from sandbox.discord.values.accounts import Team, User
from sandbox.discord.values.channel_types import FORUM, MEDIA, STAGE, VOICE
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.permissions import Permission
from sandbox.discord.values.snowflakes import iso, time_of


def user(who: User) -> JsonObject:
    """Return a user object."""
    body: JsonObject = {
        "id": str(who.id),
        "username": who.username,
        "discriminator": "0000" if who.is_webhook else "0001" if who.is_bot else "0",
        "global_name": who.global_name,
        "avatar": None,
        "avatar_decoration_data": None,
        "public_flags": who.flags,
        "flags": who.flags,
        "primary_guild": None,
    }
    if who.is_bot:
        body["bot"] = True
    if who.is_system:
        body["system"] = True
    return body


def me(who: User) -> JsonObject:
    """Return the bot's own account, as nobody else gets it."""
    return user(who) | {"verified": True, "mfa_enabled": False, "locale": "en-US"}


def team(what: Team) -> JsonObject:
    """Return a team object."""
    return {
        "id": str(what.user.id),
        "icon": None,
        "name": what.user.username,
        "owner_user_id": str(what.owner_id),
        "members": [
            {
                "user": user(each.user),
                "team_id": str(what.user.id),
                "membership_state": 2 if each.accepted else 1,
                "role": each.role,
                "permissions": ["*"],
            }
            for each in what.members
        ],
    }


def role(what: Role) -> JsonObject:
    """Return a role object."""
    body: JsonObject = {
        "id": str(what.id),
        "name": what.name,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "icon": None,
        "unicode_emoji": None,
        "position": what.position,
        "permissions": str(what.permissions),
        "managed": what.managed,
        "mentionable": what.mentionable,
        "flags": 0,
    }
    if what.bot_id is not None:
        body["tags"] = {"bot_id": str(what.bot_id)}
    return body


def member(who: Member, *, with_user: bool = True) -> JsonObject:
    """Return a guild member object."""
    body: JsonObject = {
        "nick": who.nick,
        "avatar": None,
        "banner": None,
        "roles": [str(role_id) for role_id in who.role_ids],
        "joined_at": iso(who.joined_unix_s),
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "flags": 0,
        "pending": False,
        "communication_disabled_until": None,
    }
    if with_user:
        body["user"] = user(who.user)
    return body


def channel(world: World, what: Channel) -> JsonObject:
    """Return a channel object of any kind."""
    if what.is_dm:
        return {
            "id": str(what.id),
            "type": what.kind,
            "last_message_id": _last_message_id(what),
            "flags": 0,
            "recipients": [
                user(world.users[user_id])
                for user_id in what.recipient_ids
                if user_id != world.bot_user.id
            ],
        }
    body: JsonObject = {
        "id": str(what.id),
        "type": what.kind,
        "name": what.name,
        "guild_id": str(what.guild.id) if what.guild else None,
        "parent_id": str(what.parent.id) if what.parent else None,
        "last_message_id": _last_message_id(what),
        "flags": 0,
        "rate_limit_per_user": 0,
    }
    if what.is_thread:
        return body | _thread(world, what)
    body |= {
        "topic": what.topic,
        "position": what.position,
        "nsfw": what.nsfw,
        "permission_overwrites": [
            {
                "id": str(entry.target_id),
                "type": int(entry.is_member),
                "allow": str(entry.allow),
                "deny": str(entry.deny),
            }
            for entry in what.overwrites.values()
        ],
    }
    if what.kind in {VOICE, STAGE}:
        body |= {"bitrate": 64000, "user_limit": 0, "rtc_region": None}
    if what.kind in {FORUM, MEDIA}:
        body |= {"available_tags": [], "default_reaction_emoji": None, "default_sort_order": None}
    return body


def _thread(world: World, what: Channel) -> JsonObject:
    body: JsonObject = {
        "owner_id": str(what.owner_id),
        "message_count": len(what.messages),
        "member_count": len(what.thread_member_ids),
        "total_message_sent": len(what.messages),
        "thread_metadata": {
            "archived": what.archived,
            "auto_archive_duration": what.auto_archive_minutes,
            "archive_timestamp": iso(time_of(what.id)),
            "locked": what.locked,
            "create_timestamp": iso(time_of(what.id)),
        },
    }
    if what.is_private:
        body["thread_metadata"]["invitable"] = True
    if what.applied_tags:
        body["applied_tags"] = [str(tag) for tag in what.applied_tags]
    if world.bot_user.id in what.thread_member_ids:
        body["member"] = thread_member(what, world.bot_user.id)
    return body


def thread_member(what: Channel, user_id: int) -> JsonObject:
    """Return a thread member object."""
    return {
        "id": str(what.id),
        "user_id": str(user_id),
        "join_timestamp": iso(time_of(what.id)),
        "flags": 0,
    }


def _last_message_id(what: Channel) -> str | None:
    last = next(reversed(what.messages), None)
    return None if last is None else str(last)


def guild(what: Guild) -> JsonObject:
    """Return a guild object as REST gives it."""
    return {
        "id": str(what.id),
        "name": what.name,
        "icon": None,
        "splash": None,
        "discovery_splash": None,
        "owner_id": str(what.owner_id),
        "afk_channel_id": None,
        "afk_timeout": 300,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "roles": [role(entry) for entry in what.roles.values()],
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
        "preferred_locale": what.locale,
        "public_updates_channel_id": None,
        "nsfw_level": 0,
        "premium_progress_bar_enabled": False,
        "safety_alerts_channel_id": None,
        "incidents_data": None,
    }


def guild_create(world: World, what: Guild, *, all_members: bool) -> JsonObject:
    """Return the payload of GUILD_CREATE."""
    bot_id = world.bot_user.id
    threads = [
        entry
        for entry in what.channels.values()
        if entry.is_thread
        and not entry.archived
        and access.in_channel(entry, bot_id) & Permission.VIEW_CHANNEL
    ]
    return guild(what) | {
        "joined_at": iso(what.members[bot_id].joined_unix_s),
        "large": False,
        "unavailable": False,
        "member_count": len(what.members),
        "voice_states": [],
        "members": [
            member(entry)
            for entry in what.members.values()
            if all_members or entry.user.id == bot_id
        ],
        "channels": [
            channel(world, entry) for entry in what.channels.values() if not entry.is_thread
        ],
        "threads": [channel(world, entry) for entry in threads],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }
