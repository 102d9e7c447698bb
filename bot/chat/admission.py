"""Is this message for us, and may its author ask here? Pure policy over plain values.

All gates are ANDed, and a denial beats every permission; what can't be told is denied.

``Loose`` holds what is said without asking, and mentions without words: one right after the other,
they ask. Clients send the comment on a forward as a message of its own, and send polls and stickers without a
text; people write first and mention afterwards, or the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from bot.core.domain import (
    ChannelId,
    IncomingMessage,
    MessageId,
    Origin,
    Person,
    Place,
    PlaceKind,
    Question,
    UserId,
)
from bot.core.ports import PlaceRules
from bot.core.recent import Recent
from config.settings import DiscordSettings

BEFORE: Final = timedelta(seconds=10)
"""How long before a mention its author may have said what it is about."""
_MOST: Final = 500
"""People whose last words are remembered."""


class Loose:
    """Remembers what each person said last in a channel without asking something by that."""

    def __init__(self) -> None:
        self._last: Recent[tuple[UserId, ChannelId], Question] = Recent(_MOST)

    def note(self, said: Question) -> None:
        """Note what was said: words to nobody, or a mention without words."""
        self._last[said.asker.id, said.place.channel_id] = said

    def put_before(self, question: Question) -> Question:
        """Return a question with what its author said right before it, where it is about that.

        A mention without words is about whatever that is, one with words about what had none.
        """
        said = self._last.pop((question.asker.id, question.place.channel_id), None)
        if said is None or said.id == question.id or question.asked_at - said.asked_at > BEFORE:
            return question
        is_about = not question.has_content or not said.text
        return question.merge(said) if is_about and question.about_id is None else question

    def put_after(self, question: Question, within: timedelta) -> Question:
        """Return a question with what its author said right after it, without asking anything."""
        said = self._last.get((question.asker.id, question.place.channel_id))
        if said is None or not timedelta() <= said.asked_at - question.asked_at <= within:
            return question
        self.give_up(said)
        return said.merge(question)

    def awaits(self, message: IncomingMessage, within: timedelta) -> bool:
        """Return whether a message says what its author's mention of a moment ago is about."""
        said = self._last.get((message.author.id, message.place.channel_id))
        return (
            said is not None
            and not said.has_content
            and message.created_at - said.asked_at <= within
        )

    def give_up(self, question: Question) -> bool:
        """Wait for a mention's words no longer; return whether none have come."""
        is_waiting = any(said is question for said in self._last.values())
        self.forget(lambda said: said is question)
        return is_waiting

    def gone(self, message_id: MessageId) -> bool:
        """Forget a message that is deleted or changed; return whether it was remembered."""
        before = len(self._last)
        self.forget(lambda said: message_id in said.asked_in)
        return len(self._last) < before

    def forget(self, concerns: Callable[[Question], bool]) -> None:
        """Forget what was said of a kind."""
        for who in [who for who, said in self._last.items() if concerns(said)]:
            del self._last[who]


MENTION_BY_EDIT: Final = timedelta(minutes=2)
"""How long after a message was written a mention that its author adds still asks."""


class Decision(StrEnum):
    """What to do with a message."""

    IGNORE = "ignore"
    """Not for us: nothing is said."""
    REFUSE = "refuse"
    """For us, but not allowed: the reason is said."""
    ACCEPT = "accept"


class Rule(StrEnum):
    """What decides against a message. The first one that does is the one that counts."""

    NO_PERSON = "no_person"
    """A bot, an application or the bot itself wrote it."""
    NOT_ORDINARY = "not_ordinary"
    """It is no message that a person wrote, but a notice of Discord's or a webhook's copy."""
    NOT_ADDRESSED = "not_addressed"
    """It mentions nobody of us, replies to nothing of ours, and isn't in a thread of ours."""
    CANNOT_WRITE = "cannot_write"
    """The bot may not write there."""
    PERSON_BLOCKED = "person_blocked"
    DIRECT_MESSAGES = "direct_messages"
    GUILD_NOT_ALLOWED = "guild_not_allowed"
    CHANNEL_BLOCKED = "channel_blocked"
    CHANNEL_NOT_ALLOWED = "channel_not_allowed"
    ROLE_NEEDED = "role_needed"
    SWITCHED_OFF = "switched_off"
    """Nobody is answered in that channel."""


_ELSEWHERE: Final = "I'm not switched on in this channel. Please ask me in another one."
_REASONS: Final = {
    Rule.PERSON_BLOCKED: (
        "I'm not available to you here. Ask whoever runs me if that is a mistake."
    ),
    Rule.DIRECT_MESSAGES: (
        "I don't answer direct messages. Please mention me in a server we share."
    ),
    Rule.GUILD_NOT_ALLOWED: "I'm not switched on for this server. Ask whoever runs me.",
    Rule.SWITCHED_OFF: _ELSEWHERE,
    Rule.CHANNEL_BLOCKED: _ELSEWHERE,
    Rule.CHANNEL_NOT_ALLOWED: _ELSEWHERE,
    Rule.ROLE_NEEDED: (
        "You need a certain role to ask me. The people who run this server know which."
    ),
}
"""What the person is told; the other rules are silent."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision with its reason.

    Attributes:
        rule: What decided against it.
        reason: For a refusal, one sentence to the person.
        origin: For an acceptance, where the question came from.
    """

    decision: Decision
    rule: Rule | None = None
    reason: str = ""
    origin: Origin | None = None


def _no_rules(_place: Place) -> PlaceRules:
    return PlaceRules()


@dataclass(frozen=True, slots=True)
class Admission:
    """The policy in force.

    Attributes:
        settings: Allow and deny lists.
        owner_ids: The operator's people, for ``dm_policy = owners``.
        rules: What the people of a server decided for a place of theirs.
    """

    settings: DiscordSettings
    owner_ids: frozenset[UserId]
    rules: Callable[[Place], PlaceRules] = _no_rules

    def judge(
        self, message: IncomingMessage, me: UserId, *, is_own_thread: bool, may_write: bool = True
    ) -> Judgement:
        """Decide what to do with a message.

        Args:
            message: The message, just created or just edited.
            me: The bot's own user.
            is_own_thread: It was said in a thread that belongs to the bot.
            may_write: The bot may answer there, as far as it knows.
        """
        origin = self._origin(message, me, is_own_thread=is_own_thread)
        if message.author.is_bot or message.author.id == me:
            return Judgement(Decision.IGNORE, Rule.NO_PERSON)
        if not message.is_ordinary:
            return Judgement(Decision.IGNORE, Rule.NOT_ORDINARY)
        if origin is None:
            return Judgement(Decision.IGNORE, Rule.NOT_ADDRESSED)
        if not may_write:
            return Judgement(Decision.IGNORE, Rule.CANNOT_WRITE)
        rule = self._denied_by(message.author, message.place)
        if rule is not None and origin is Origin.CHANNEL:
            return Judgement(Decision.IGNORE, rule)  # nobody asked, so nobody is told
        if rule is not None:
            return Judgement(Decision.REFUSE, rule, _REASONS[rule])
        return Judgement(Decision.ACCEPT, origin=origin)

    @staticmethod
    def is_late_mention(message: IncomingMessage, me: UserId) -> bool:
        """Return whether an edit has made a message that asked nothing into a mention."""
        edited_at = message.edited_at or message.created_at
        return me in message.mentioned_ids and edited_at - message.created_at <= MENTION_BY_EDIT

    def _origin(
        self, message: IncomingMessage, me: UserId, *, is_own_thread: bool
    ) -> Origin | None:
        if message.place.kind is PlaceKind.DM:
            return Origin.DM
        if message.replied_user_id == me:
            return Origin.REPLY
        if me in message.mentioned_ids:
            return Origin.MENTION
        has_something = bool(
            message.text or message.attachments or message.forwarded_texts or message.poll
        )
        if not has_something or is_for_others(message):
            return None
        if is_own_thread:
            return Origin.THREAD
        is_answered = self.rules(message.place).answer_to == "every_message"
        return Origin.CHANNEL if is_answered else None

    def refusal(self, person: Person, place: Place) -> str:
        """Return why this person may not ask at this place; empty if they may."""
        rule = self._denied_by(person, place)
        return "" if rule is None else _REASONS[rule]

    def operators_refusal(self, person: Person, place: Place) -> str:
        """Return why the operator lets nobody of this person's kind use the bot there; or nothing."""
        rule = self._denied_by_operator(person, place)
        return "" if rule is None else _REASONS[rule]

    def _denied_by(self, person: Person, place: Place) -> Rule | None:
        """Return what denies it: the operator's rules, or those of the server's own people."""
        rule = self._denied_by_operator(person, place)
        if rule is not None or place.guild_id is None:
            return rule
        rules = self.rules(place)
        if person.id in rules.blocked_user_ids:
            return Rule.PERSON_BLOCKED
        if rules.answer_to == "never":
            return Rule.SWITCHED_OFF
        return _denied_there(rules, person, place)

    def _denied_by_operator(self, person: Person, place: Place) -> Rule | None:
        settings = self.settings
        if person.id in settings.blocked_user_ids:
            return Rule.PERSON_BLOCKED
        if place.guild_id is None:
            return None if self._direct_allowed(person, place) else Rule.DIRECT_MESSAGES
        if settings.allowed_guild_ids and place.guild_id not in settings.allowed_guild_ids:
            return Rule.GUILD_NOT_ALLOWED
        return _denied_there(settings, person, place)

    def _direct_allowed(self, person: Person, place: Place) -> bool:
        policy = self.settings.direct_messages
        is_allowed = policy == "open" or (policy == "owners" and person.id in self.owner_ids)
        return place.kind is PlaceKind.DM and is_allowed


_TO_MANY: Final = ("<@&", "@everyone", "@here")


def is_for_others(message: IncomingMessage) -> bool:
    """Return whether a message that doesn't mention the bot mentions or replies to somebody else."""
    is_reply = message.reference_id is not None and not message.is_forward
    own_id = message.author.id
    is_to_others = is_reply and message.replied_user_id != own_id
    others = message.mentioned_ids - {own_id}  # a reply to one's own message mentions oneself
    return is_to_others or bool(others) or any(m in message.text for m in _TO_MANY)


def _denied_there(rules: DiscordSettings | PlaceRules, person: Person, place: Place) -> Rule | None:
    """Return what the lists of channels and roles have against this person at a place of a guild."""
    ids = {place.channel_id, place.parent_id, place.category_id} - {None}
    if ids & set(rules.blocked_channel_ids):
        return Rule.CHANNEL_BLOCKED
    if rules.allowed_channel_ids and not ids & set(rules.allowed_channel_ids):
        return Rule.CHANNEL_NOT_ALLOWED
    if rules.allowed_role_ids and not person.role_ids & set(rules.allowed_role_ids):
        return Rule.ROLE_NEEDED
    return None
