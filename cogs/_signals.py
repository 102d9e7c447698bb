"""How people are told that a message of theirs isn't taken: in reply, by a mark, in their channel."""

from __future__ import annotations

import logging

from bot.core.domain import IncomingMessage, MessageId, Place, QuestionId
from bot.core.errors import DeliveryError
from bot.core.notices import notice
from bot.core.reasons import plain_reason
from bot.delivery.nonce import nonce
from bot.gateway.client import ClawbotClient
from cogs import _places

_log = logging.getLogger(__name__)


class Signals:
    """Tells people by Discord; see ``bot.chat.turned_away.Signals``.

    Args:
        client: The bot.
    """

    def __init__(self, client: ClawbotClient) -> None:
        self._client = client

    async def reply(self, message: IncomingMessage, sentence: str) -> bool:
        """Say a sentence in reply; return whether it stands."""
        return await self._say(message.place, message.id, QuestionId(message.id), sentence)

    async def announce(self, place: Place, about: QuestionId, sentence: str) -> bool:
        """Say a sentence to a channel, once for each ``about``; return whether it stands."""
        return await self._say(place, None, about, sentence)

    async def mark(self, message: IncomingMessage, mark: str) -> bool:
        """Put a mark on a message; return whether it is there."""
        try:
            await _places.message_sink(self._client, message.place, message.id).mark(mark)
        except DeliveryError as exc:
            _log.debug("a message could not be marked (%s)", plain_reason(exc))
            return False
        return True

    async def _say(
        self, place: Place, reply_to: MessageId | None, about: QuestionId, sentence: str
    ) -> bool:
        sink = _places.message_sink(self._client, place, reply_to)
        try:
            message_id = await sink.send(notice(sentence), nonce=nonce(about, "n", 0))
            await self._client.services.own_words.posted_notice(message_id)
        except DeliveryError as exc:
            _log.info("a notice could not be posted (%s)", plain_reason(exc))
            return False
        return True
