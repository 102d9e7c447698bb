"""State as the JSON objects of Discord's API."""

from __future__ import annotations

from sandbox.discord.rendering.guilds import (
    channel_object,
    guild_create_data,
    guild_object,
    member_object,
    own_user_object,
    role_object,
    team_object,
    thread_list,
    thread_member_object,
    thread_members_update,
    user_object,
)
from sandbox.discord.rendering.interactions import interaction_metadata, interaction_object
from sandbox.discord.rendering.messages import (
    message_object,
    rest_message_object,
    whole_message_object,
)

__all__ = [
    "channel_object",
    "guild_create_data",
    "guild_object",
    "interaction_metadata",
    "interaction_object",
    "member_object",
    "message_object",
    "own_user_object",
    "rest_message_object",
    "role_object",
    "team_object",
    "thread_list",
    "thread_member_object",
    "thread_members_update",
    "user_object",
    "whole_message_object",
]
