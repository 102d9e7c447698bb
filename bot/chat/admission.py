"""Is this message for us, and may its author ask here? Pure policy over plain values.

All gates are ANDed, and a denial beats every permission; what can't be told is denied.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from bot.core.domain import IncomingMessage, Origin, Person, Place, PlaceKind, UserId
from config.settings import DiscordSettings

MENTION_BY_EDIT: Final = timedelta(minutes=2)
"""How long after a message was written a mention that its author adds still asks."""


class Decision(StrEnum):
    """What to do with a message."""

    IGNORE = "ignore"
    """Not for us: nothing is said."""
    REFUSE = "refuse"
    """For us, but not allowed: the reason is said."""
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with its reason.

    Attributes:
        reason: For a refusal, one sentence to the person.
        origin: For an acceptance, where the question came from.
    """

    decision: Decision
    reason: str = ""
    origin: Origin | None = None


IGNORED = Verdict(Decision.IGNORE)


@dataclass(frozen=True, slots=True)
class Admission:
    """The policy in force.

    Attributes:
        settings: Allow and deny lists.
        owner_ids: The operator's people, for ``dm_policy = owners``.
    """

    settings: DiscordSettings
    owner_ids: frozenset[UserId]

    def judge(self, message: IncomingMessage, me: UserId, *, is_own_thread: bool) -> Verdict:
        """Decide what to do with a message.

        Args:
            message: The message, just created or just edited.
            me: The bot's own user.
            is_own_thread: It was said in a thread that belongs to the bot.
        """
        if message.author.is_bot or message.author.id == me or not message.is_ordinary:
            return IGNORED
        origin = self._origin(message, me, is_own_thread=is_own_thread)
        if origin is None:
            return IGNORED
        reason = self.refusal(message.author, message.place)
        if reason:
            return Verdict(Decision.REFUSE, reason)
        return Verdict(Decision.ACCEPT, origin=origin)

    @staticmethod
    def is_late_mention(message: IncomingMessage, me: UserId) -> bool:
        """Return whether an edit has made a message that asked nothing into a mention."""
        edited_at = message.edited_at or message.created_at
        return me in message.mentioned_ids and edited_at - message.created_at <= MENTION_BY_EDIT

    @staticmethod
    def _origin(message: IncomingMessage, me: UserId, *, is_own_thread: bool) -> Origin | None:
        if message.place.kind is PlaceKind.DM:
            return Origin.DM
        if message.replied_user_id == me:
            return Origin.REPLY
        if me in message.mentioned_ids:
            return Origin.MENTION
        has_something = bool(
            message.text or message.attachments or message.forwarded_texts or message.poll
        )
        return Origin.THREAD if is_own_thread and has_something else None

    def refusal(self, person: Person, place: Place) -> str:
        """Return why this person may not ask at this place; empty if they may."""
        settings = self.settings
        if person.id in settings.blocked_user_ids:
            return "I'm not available to you here. Ask whoever runs me if that is a mistake."
        if place.guild_id is None:
            return self._dm_refusal(person, place)
        if settings.allowed_guild_ids and place.guild_id not in settings.allowed_guild_ids:
            return "I'm not switched on for this server. Ask whoever runs me."
        if not self._channel_allowed(place):
            return "I'm not switched on in this channel. Please ask me in another one."
        if settings.allowed_role_ids and not person.role_ids & set(settings.allowed_role_ids):
            return "You need a certain role to ask me. The people who run this server know which."
        return ""

    def _dm_refusal(self, person: Person, place: Place) -> str:
        policy = self.settings.direct_messages
        is_allowed = policy == "open" or (policy == "owners" and person.id in self.owner_ids)
        if place.kind is PlaceKind.DM and is_allowed:
            return ""
        return "I don't answer direct messages. Please mention me in a server we share."

    def _channel_allowed(self, place: Place) -> bool:
        ids = {place.channel_id, place.parent_id, place.category_id} - {None}
        if ids & set(self.settings.blocked_channel_ids):
            return False
        allowed = self.settings.allowed_channel_ids
        return not allowed or bool(ids & set(allowed))
