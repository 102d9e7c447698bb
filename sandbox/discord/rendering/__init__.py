"""State as the JSON objects of Discord's API."""

from __future__ import annotations

from sandbox.discord.rendering.guilds import (
    channel,
    guild,
    guild_create,
    me,
    member,
    role,
    team,
    thread_member,
    user,
)
from sandbox.discord.rendering.interactions import interaction, interaction_metadata
from sandbox.discord.rendering.messages import message, rest_message, whole_message

__all__ = [
    "channel",
    "guild",
    "guild_create",
    "interaction",
    "interaction_metadata",
    "me",
    "member",
    "message",
    "rest_message",
    "role",
    "team",
    "thread_member",
    "user",
    "whole_message",
]
