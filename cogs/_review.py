"""Stored questions looked at again: what became of them, and the ways back to their answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import discord

from bot.chat.resume import Review, WayBack
from bot.chat.whose_words import proxied
from bot.core.domain import IncomingMessage, MessageId, Person, Place, Question, UserId
from bot.core.errors import DeliveryError, TargetGoneError
from bot.core.ports import JournalEntry
from bot.core.wording import plain_reason
from bot.gateway.client import ClawbotClient
from bot.gateway.rest import Caller
from bot.prompt.cleaning import without_mention
from cogs import _convert, _gate, _sink
from cogs._convert import Requests
from cogs._sink import ACKNOWLEDGED_WITHIN_S, TOKEN_VALID_S, InteractionSink, is_barred

_log = logging.getLogger(__name__)


def reworded(
    question: Question, now: Mapping[MessageId, IncomingMessage | None], me: UserId
) -> Question | None:
    """Return a question as its messages ask it now; ``None`` when none of them is left.

    Args:
        question: As it was taken.
        now: Its messages as they are now, ``None`` for one that is deleted; others are unchanged.
            Words that were emptied change nothing.
        me: The bot's own user.
    """
    if not question.messages:
        return question
    left: list[IncomingMessage] = []
    parts: list[str] = []
    for before in question.messages:
        found = now.get(before.id, before)
        if found is not None:
            left.append(_as_it_was_taken(found, before))
            parts.append(without_mention(found.text, me) or without_mention(before.text, me))
    if not left:
        return None
    is_same = [each.text for each in left] == [each.text for each in question.messages]
    text = question.text if is_same else "\n".join(part for part in parts if part)
    return replace(question, message=left[-1], joined=tuple(left[:-1]), text=text)


def _as_it_was_taken(now: IncomingMessage, before: IncomingMessage) -> IncomingMessage:
    """Return a message with its author and time, which are a person's where a proxy posted it."""
    if now.id != before.id or before.webhook_id is None:
        return now
    return replace(proxied(now, before.author), created_at=before.created_at)


def with_words_of_messages(question: Question, me: UserId) -> Question:
    """Return a question that says what its messages say."""
    parts = [without_mention(message.text, me) for message in question.messages]
    return replace(question, text="\n".join(part for part in parts if part))


class Reviewer:
    """Looks at stored questions again, by the rules that hold for new ones.

    Args:
        client: Online.
        gone: Called with each stored question of which a message is deleted, and the message's id.
    """

    def __init__(
        self,
        client: ClawbotClient,
        gone: Callable[[Question, MessageId], None] = lambda *_: None,
    ) -> None:
        self._client = client
        self._gone = gone
        self._requests = Requests(client, client.services.clock)
        self._caller = Caller(client.services.clock)

    async def way_back(self, entry: JournalEntry) -> WayBack | None:
        """Return the way back to a stored question; ``None`` when its guild is gone.

        A slash command's response is taken up again while its token lives; then the channel has to do.
        """
        question, clock = entry.question, self._client.services.clock
        if question.place.guild_id and self._client.get_guild(question.place.guild_id) is None:
            return None
        age_s = (clock.now() - question.asked_at).total_seconds()
        if question.response is not None and age_s < TOKEN_VALID_S:
            valid_s = TOKEN_VALID_S - max(0.0, age_s)
            sink = InteractionSink(
                self._client, question.response, question.place, clock, valid_s=valid_s
            )
            if age_s < ACKNOWLEDGED_WITHIN_S:
                await sink.acknowledge(question.id)
            return WayBack(sink, await sink.take_up())
        reply_to = _sink.replied_to(question)
        return WayBack(
            _sink.message_sink(self._client, question.place, reply_to, may_be_marked=True)
        )

    def is_barred(self, question: Question) -> bool:
        """Return whether the bot may not write at a question's place; see ``bot.chat.resume.Reviewer``."""
        age_s = (self._client.services.clock.now() - question.asked_at).total_seconds()
        if question.response is not None and age_s < TOKEN_VALID_S:
            return False
        return is_barred(self._client, question.place.guild_id, question.place.channel_id)

    async def review(self, question: Question) -> Review:
        """Return the question as it is asked now, and why it may not be answered, if so.

        What Discord can't say at the moment stays as it was stored.
        """
        place = self._place(question.place)
        now = await self.look_at_all(question)
        asked = reworded(question, now, self._client.me)
        for message in question.messages:
            if now[message.id] is None:
                self._gone(question, message.id)
        if asked is None or any(now[each.id] is None for each in question.rests_on):
            return Review(None)
        question = asked
        person = await self._asker(question.asker, place)
        return Review(question, _gate.admission(self._client).refusal(person, place))

    async def look_at_all(self, question: Question) -> dict[MessageId, IncomingMessage | None]:
        """Return the messages that a question depends on, as ``look`` does."""
        messages = (*question.messages, *question.rests_on)
        return {each.id: await self.look(each) for each in messages}

    async def look(self, stored: IncomingMessage) -> IncomingMessage | None:
        """Return a message as it is now; ``None`` when it is gone."""
        try:
            return await self._requests.look(stored.place, stored.id)
        except TargetGoneError:
            return None
        except DeliveryError as exc:
            _log.info("message %d can't be looked at again: %s", stored.id, plain_reason(exc))
            return stored

    async def is_there(self, place: Place, message_id: MessageId) -> bool:
        """Return whether a message isn't deleted, as far as Discord can say."""
        if await self._client.services.source.fetch(place, message_id) is not None:
            return True
        try:
            await self._requests.look(place, message_id)
        except TargetGoneError:
            return False
        except DeliveryError as exc:
            _log.info("message %d can't be looked at: %s", message_id, plain_reason(exc))
        return True

    async def as_member(self, message: IncomingMessage) -> IncomingMessage:
        """Return a message with its author's roles, which messages by request come without."""
        author = await self._asker(message.author, message.place)
        return replace(message, author=author)

    def _place(self, stored: Place) -> Place:
        """Return where a channel is now: it may have been moved to another category."""
        channel = self._client.get_channel(stored.channel_id)
        return stored if channel is None else _convert.place(channel)

    async def _asker(self, person: Person, place: Place) -> Person:
        """Return somebody with the roles they have now, where roles matter at all."""
        guild = self._client.get_guild(place.guild_id) if place.guild_id is not None else None
        if guild is None or not self._needs_roles(place):
            return person
        try:
            member = await self._caller.call(lambda: guild.fetch_member(person.id))
        except TargetGoneError:
            return replace(person, role_ids=frozenset())
        except (DeliveryError, discord.ClientException) as exc:
            _log.info("the roles of %d are unknown: %s", person.id, plain_reason(exc))
            return person
        return _convert.person(member)

    def _needs_roles(self, place: Place) -> bool:
        services = self._client.services
        return bool(
            services.settings.discord.allowed_role_ids
            or services.overrides.rules(place).allowed_role_ids
        )
