"""Interactions as the JSON objects of Discord's API."""

from __future__ import annotations

from sandbox.discord.rendering import guilds, messages
from sandbox.discord.state import access
from sandbox.discord.state.guilds import Message
from sandbox.discord.state.interactions import Interaction
from sandbox.discord.state.world import World
from sandbox.discord.values.interaction_types import COMPONENT, MODAL_SUBMIT
from sandbox.discord.values.json_objects import JsonObject


def interaction(world: World, made: Interaction) -> JsonObject:
    """Return INTERACTION_CREATE's data."""
    channel, guild = made.channel, made.channel.guild
    mine = access.in_channel(channel, made.user.id)
    body: JsonObject = {
        "id": str(made.id),
        "application_id": str(world.bot_user.id),
        "type": made.kind,
        "token": made.token,
        "version": 1,
        "data": made.data,
        "channel_id": str(channel.id),
        "channel": guilds.channel(world, channel) | {"permissions": str(mine)},
        "locale": "en-US",
        "entitlements": [],
        "entitlement_sku_ids": [],
        "app_permissions": str(access.in_channel(channel, world.bot_user.id)),
        "attachment_size_limit": 10 * 1024 * 1024,
    }
    if guild is not None:
        member = guild.members[made.user.id]
        body |= {
            "guild_id": str(guild.id),
            "guild_locale": guild.locale,
            "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
            "member": guilds.member(member) | {"permissions": str(mine)},
            "context": 0,
            "authorizing_integration_owners": {"0": str(guild.id)},
        }
    else:
        body |= {
            "user": guilds.user(made.user),
            "context": 1,
            "authorizing_integration_owners": {"0": "0"},
        }
    if made.source is not None:
        body["message"] = messages.whole_message(world, made.source)
    return body


def interaction_metadata(
    world: World, made: Interaction, *, follows: Message | None = None
) -> JsonObject:
    """Return ``interaction_metadata`` of a response's message.

    Args:
        world: Where it happened.
        made: What a person set off.
        follows: The response that the message is a follow-up of.
    """
    guild = made.channel.guild
    body: JsonObject = {
        "id": str(made.id),
        "type": made.kind,
        "user": guilds.user(made.user),
        "authorizing_integration_owners": {"0": str(guild.id) if guild else "0"},
    }
    if follows is not None:
        body["original_response_message_id"] = str(follows.id)
    if made.kind == COMPONENT and made.source is not None:
        body["interacted_message_id"] = str(made.source.id)
    if made.kind == MODAL_SUBMIT and made.opened_by is not None:
        body["triggering_interaction_metadata"] = interaction_metadata(world, made.opened_by)
    return body | _target(world, made)


def _target(world: World, made: Interaction) -> JsonObject:
    """Return what a context menu was opened on."""
    target = made.data.get("target_id")
    if target is None:
        return {}
    user = world.users.get(int(target))
    return {"target_user": guilds.user(user)} if user else {"target_message_id": target}
