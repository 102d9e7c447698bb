"""Answers on their way to Discord: one ``ReplySink`` for messages, one for slash commands.

What discord.py 2.7.1 doesn't do is done here: previews stay suppressed on edits, a 503 or a reset
connection is tried again under the same nonce, and every call has a bound.
"""

from __future__ import annotations

import asyncio
import io
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import aiohttp
import discord
from discord.http import handle_message_parameters
from discord.utils import MISSING

from bot.clock import Clock
from bot.domain import ChannelId, GuildId, MessageId
from bot.errors import (
    DeliveryError,
    DeliveryForbiddenError,
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.ports import Controls, TextFile
from cogs._buttons import view_for

if TYPE_CHECKING:
    from discord.types.message import Message as MessagePayload
    from discord.types.message import MessageReference as MessageReferencePayload

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

CALL_TIMEOUT_S = 15.0
"""Seconds for one request, waiting for discord.py's own rate limiter included."""

_TRIES = 3
_BACKOFF_S = 0.7

_TRANSIENT = (discord.DiscordServerError, aiohttp.ClientError, OSError, TimeoutError)
"""What trying again can mend. discord.py itself retries 500, 502, 504 and 524 only, and of reset
connections only those of macOS and Windows."""

_GONE = frozenset({10003, 10004, 10008})
_FORBIDDEN = frozenset({40001, 50001, 50007, 50013, 50278, 160005})
_EXHAUSTED = frozenset({10015, 10062, 20028, 20029, 30046, 40060, 40062, 50005, 50027, 50083})
_REJECTED = frozenset({40005, 50006, 50035, 200000, 200001, 240000})
_REFERENCE = frozenset({50035, 160002})
"""Errors (Discord: opcodes and status codes, JSON error codes) by what they mean for an answer.

Gone: channel, guild, message unknown. Forbidden: access, permissions, closed DMs, locked threads.
Exhausted: interactions and their webhooks expired, writes or edits limited, thread archived.
Rejected: too large, empty, invalid body, AutoMod, harmful link. Reference: perhaps only the reply.
"""

_QUIET = discord.AllowedMentions.none()


def map_discord_error(exc: BaseException) -> DeliveryError:
    """Return what a failure of discord.py means for an answer."""
    if isinstance(exc, discord.RateLimited):
        return DeliveryUnavailableError(exc.retry_after)
    if isinstance(exc, discord.HTTPException):
        return _by_code(exc.code) or _by_status(exc)
    return DeliveryUnavailableError()


def _by_code(code: int) -> DeliveryError | None:
    if code in _GONE:
        return TargetGoneError(f"Discord error {code}")
    if code in _FORBIDDEN:
        return DeliveryForbiddenError(code)
    if code in _EXHAUSTED:
        return EditExhaustedError(f"Discord error {code}")
    if code in _REJECTED:
        return DeliveryRejectedError(code)
    return None


def _by_status(exc: discord.HTTPException) -> DeliveryError:
    if exc.status in {401, 403}:
        return DeliveryForbiddenError(exc.code)
    if exc.status == 404:
        return TargetGoneError("404")
    if exc.status == 429 or exc.status >= 500:
        return DeliveryUnavailableError()
    return DeliveryRejectedError(exc.code)


class _Caller:
    """Makes requests of discord.py with a bound, retries and our own errors."""

    def __init__(self, clock: Clock, call_timeout_s: float) -> None:
        self._clock = clock
        self._call_timeout_s = call_timeout_s

    async def call(self, request: Callable[[], Awaitable[_T]]) -> _T:
        """Make one request, three times at most when Discord or the network stumbles.

        Raises:
            DeliveryError: What the failure means.
        """
        for tries_left in range(_TRIES - 1, -1, -1):
            try:
                async with asyncio.timeout(self._call_timeout_s):
                    return await request()
            except (discord.HTTPException, discord.RateLimited) as exc:
                if not tries_left or not isinstance(exc, _TRANSIENT):
                    raise map_discord_error(exc) from exc
            except _TRANSIENT as exc:
                if not tries_left:
                    raise map_discord_error(exc) from exc
                _log.debug("a request to Discord failed: %s", type(exc).__name__)
            backoff_s = _BACKOFF_S * (_TRIES - tries_left)
            await self._clock.sleep(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        raise DeliveryUnavailableError


class MessageSink:
    """An answer as ordinary messages, the first one a reply.

    Args:
        client: The logged-in client.
        channel_id: Where to write: channel, thread or DM.
        clock: Paces retries.
        guild_id: The channel's guild; ``None`` in a DM.
        reply_to: The message to reply to; ``None`` for no reply.
        pings_author: Let the reply ping its author.
        call_timeout_s: Bound of one request, in seconds.
    """

    def __init__(
        self,
        client: discord.Client,
        channel_id: ChannelId,
        *,
        clock: Clock,
        guild_id: GuildId | None = None,
        reply_to: MessageId | None = None,
        pings_author: bool = False,
        call_timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._client = client
        self._channel = client.get_partial_messageable(channel_id, guild_id=guild_id)
        self._caller = _Caller(clock, call_timeout_s)
        self._mentions = discord.AllowedMentions(
            everyone=False, users=False, roles=False, replied_user=pings_author
        )
        self._reference: discord.MessageReference | None = None
        if reply_to is not None:
            self._reference = discord.MessageReference(
                message_id=reply_to,
                channel_id=channel_id,
                guild_id=guild_id,
                fail_if_not_exists=False,
            )

    async def send(
        self,
        content: str,
        *,
        nonce: str,
        controls: Controls | None = None,
        file: TextFile | None = None,
    ) -> MessageId:
        """Post a message; see ``ReplySink.send``."""
        try:
            message = await self._caller.call(lambda: self._post(content, nonce, controls, file))
        except (DeliveryRejectedError, DeliveryForbiddenError) as exc:
            if self._reference is None or exc.code not in _REFERENCE:
                raise
            self._reference = None
            message = await self._caller.call(lambda: self._post(content, nonce, controls, file))
        self._reference = None
        message_id = MessageId(int(message["id"]))
        if message["content"].strip() != content.strip():
            await self.edit(message_id, content, controls=controls)
        return message_id

    async def edit(
        self, message_id: MessageId, content: str, *, controls: Controls | None = None
    ) -> None:
        """Replace a message's text, with previews suppressed again; see ``ReplySink.edit``."""
        await self._caller.call(lambda: self._patch(message_id, content, controls))

    async def delete(self, message_id: MessageId) -> None:
        """Remove a message; see ``ReplySink.delete``."""
        partial = self._channel.get_partial_message(message_id)
        try:
            await self._caller.call(partial.delete)
        except TargetGoneError:
            _log.debug("message %d is gone already", message_id)

    async def typing(self) -> None:
        """Show the typing indicator once; a failure isn't worth a second request."""
        try:
            await self._channel.typing()
        except (discord.HTTPException, discord.RateLimited, *_TRANSIENT) as exc:
            raise map_discord_error(exc) from exc

    async def _post(
        self, content: str, nonce: str, controls: Controls | None, file: TextFile | None
    ) -> MessagePayload:
        """Post with an explicit nonce, which discord.py enforces."""
        with handle_message_parameters(
            content=content,
            nonce=nonce,
            flags=discord.MessageFlags(suppress_embeds=True),
            allowed_mentions=self._mentions,
            message_reference=self._reference_payload(),
            view=view_for(controls) or MISSING,
            file=MISSING if file is None else attachment(file),
        ) as params:
            return await self._client.http.send_message(self._channel.id, params=params)

    async def _patch(
        self, message_id: MessageId, content: str, controls: Controls | None
    ) -> MessagePayload:
        """Edit with the flags named, for ``PartialMessage.edit`` can't and ``Message.edit`` clears them."""
        with handle_message_parameters(
            content=content,
            flags=discord.MessageFlags(suppress_embeds=True),
            allowed_mentions=_QUIET,
            view=MISSING if controls is None else view_for(controls),
        ) as params:
            return await self._client.http.edit_message(self._channel.id, message_id, params=params)

    def _reference_payload(self) -> MessageReferencePayload:
        return MISSING if self._reference is None else self._reference.to_message_reference_dict()


def attachment(file: TextFile) -> discord.File:
    """Return a text file as discord.py takes it; a new one for each try, since it is read once."""
    return discord.File(io.BytesIO(file.content.encode("utf-8", "replace")), file.filename)
