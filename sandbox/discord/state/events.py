"""What can happen in the world; the gateway renders each event for the sessions that may see it."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.discord.state.guilds import Channel, GuildEvent, Message
from sandbox.discord.state.interactions import Interaction
from sandbox.discord.values.accounts import User


@dataclass(frozen=True)
class MessageCreated:
    """A message was posted."""

    message: Message


@dataclass(frozen=True)
class MessageChanged:
    """A message was edited, or Discord changed it."""

    message: Message


@dataclass(frozen=True)
class MessageDeleted:
    """A message was deleted."""

    message: Message


@dataclass(frozen=True)
class MessagesDeleted:
    """Several messages of a channel were deleted at once."""

    channel: Channel
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class TypingStarted:
    """Somebody types."""

    channel: Channel
    user: User


@dataclass(frozen=True)
class ReactionChanged:
    """Somebody added a reaction or took it back."""

    message: Message
    user: User
    emoji: str
    is_added: bool


@dataclass(frozen=True)
class InteractionCreated:
    """A person used a command, a component, an autocomplete field or a modal."""

    interaction: Interaction


Event = (
    GuildEvent
    | MessageCreated
    | MessageChanged
    | MessageDeleted
    | MessagesDeleted
    | TypingStarted
    | ReactionChanged
    | InteractionCreated
)
