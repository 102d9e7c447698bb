"""Of which messages the bot gets content (Discord: "Message content intent")."""

from __future__ import annotations

from sandbox.discord.state.guilds import Message
from sandbox.discord.state.world import World
from sandbox.discord.values.intents import MESSAGE_CONTENT


def is_always_shown(message: Message, bot_id: int) -> bool:
    """Tell whether a bot gets content without the intent: its own, in DMs, or where mentioned."""
    return message.channel.is_dm or message.author.id == bot_id or bot_id in message.mention_ids


def is_shown_over_rest(world: World, message: Message) -> bool:
    """Tell whether REST gives the bot a message's content."""
    return bool(world.portal_intents & MESSAGE_CONTENT) or is_always_shown(
        message, world.bot_user.id
    )
