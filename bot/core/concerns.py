"""Whom a question concerns: whose words it holds, and who is only named in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.core.domain import GuildId, IncomingMessage, Question, UserId


def holds_words_of(question: Question, person_id: UserId) -> bool:
    """Return whether a person asked a question, or wrote a message that it was asked in or rests on."""
    messages = (*question.messages, *question.rests_on)
    return person_id in {question.asker.id, *(message.author.id for message in messages)}


def without_trace(question: Question, person_id: UserId) -> Question:
    """Return somebody else's question without a person's name, and without them as who pressed."""

    def unnamed(messages: tuple[IncomingMessage, ...]) -> tuple[IncomingMessage, ...]:
        return tuple(_unnamed(message, person_id) for message in messages)

    return replace(
        question,
        message=None if question.message is None else _unnamed(question.message, person_id),
        joined=unnamed(question.joined),
        rests_on=unnamed(question.rests_on),
        pressed_by=None if question.pressed_by == person_id else question.pressed_by,
    )


def names(message: IncomingMessage, person_id: UserId) -> bool:
    """Return whether a message is a person's own, or holds their name."""
    return message.author.id == person_id or person_id in message.names


@dataclass(frozen=True, slots=True)
class Subject:
    """A person, or a server, whose data it is about."""

    person_id: UserId | None = None
    guild_id: GuildId | None = None

    def has_words_in(self, question: Question) -> bool:
        """Return whether a question holds a person's words, or was asked in the server."""
        if self.person_id is None:
            return question.place.guild_id == self.guild_id
        return holds_words_of(question, self.person_id)

    def has_question(self, question: Question) -> bool:
        """Return whether a question is theirs, or counts for them."""
        counts = self.person_id is not None and question.counts_for == self.person_id
        return counts or self.has_words_in(question)

    def has_message(self, message: IncomingMessage) -> bool:
        """Return whether a message is theirs, or names them."""
        if self.person_id is None:
            return message.place.guild_id == self.guild_id
        return names(message, self.person_id)


def _unnamed(message: IncomingMessage, person_id: UserId) -> IncomingMessage:
    if person_id not in message.names:
        return message
    kept = {key: name for key, name in message.names.items() if key != person_id}
    return replace(message, names=kept)
