"""Interactions as the JSON objects of Discord's API."""

from __future__ import annotations

from sandbox.discord.rendering import guilds, messages
from sandbox.discord.state import access
from sandbox.discord.state.guilds import Message
from sandbox.discord.state.interactions import Interaction
from sandbox.discord.state.world import World
from sandbox.discord.values.interaction_types import COMPONENT, MODAL_SUBMIT
from sandbox.discord.values.json_objects import JsonObject


def interaction_object(world: World, interaction: Interaction) -> JsonObject:
    """Return INTERACTION_CREATE's data."""
    channel, guild = interaction.channel, interaction.channel.guild
    mine = access.in_channel(channel, interaction.user.id)
    body: JsonObject = {
        "id": str(interaction.id),
        "application_id": str(world.bot_user.id),
        "type": interaction.kind,
        "token": interaction.token,
        "version": 1,
        "data": interaction.data,
        "channel_id": str(channel.id),
        "channel": guilds.channel_object(world, channel) | {"permissions": str(mine)},
        "locale": "en-US",
        "entitlements": [],
        "entitlement_sku_ids": [],
        "app_permissions": str(access.in_channel(channel, world.bot_user.id)),
        "attachment_size_limit": 10 * 1024 * 1024,
    }
    if guild is not None:
        member = guild.members[interaction.user.id]
        body |= {
            "guild_id": str(guild.id),
            "guild_locale": guild.locale,
            "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
            "member": guilds.member_object(member) | {"permissions": str(mine)},
            "context": 0,
            "authorizing_integration_owners": {"0": str(guild.id)},
        }
    else:
        body |= {
            "user": guilds.user_object(interaction.user),
            "context": 1,
            "authorizing_integration_owners": {"0": "0"},
        }
    if interaction.source is not None:
        body["message"] = messages.whole_message_object(world, interaction.source)
    return body


def interaction_metadata(
    world: World, interaction: Interaction, *, follows: Message | None = None
) -> JsonObject:
    """Return ``interaction_metadata`` of a response's message.

    Args:
        world: Where it happened.
        interaction: What a person set off.
        follows: The response that the message is a follow-up of.
    """
    guild = interaction.channel.guild
    body: JsonObject = {
        "id": str(interaction.id),
        "type": interaction.kind,
        "user": guilds.user_object(interaction.user),
        "authorizing_integration_owners": {"0": str(guild.id) if guild else "0"},
    }
    if follows is not None:
        body["original_response_message_id"] = str(follows.id)
    if interaction.kind == COMPONENT and interaction.source is not None:
        body["interacted_message_id"] = str(interaction.source.id)
    if interaction.kind == MODAL_SUBMIT and interaction.opened_by is not None:
        body["triggering_interaction_metadata"] = interaction_metadata(world, interaction.opened_by)
    return body | _target(world, interaction)


def _target(world: World, interaction: Interaction) -> JsonObject:
    """Return what a context menu was opened on."""
    target = interaction.data.get("target_id")
    if target is None:
        return {}
    user = world.users.get(int(target))
    return {"target_user": guilds.user_object(user)} if user else {"target_message_id": target}
