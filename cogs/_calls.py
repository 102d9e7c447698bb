"""Requests to Discord with a bound, retries, and our own errors for whatever comes of them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
import discord

from bot.core.clock import Clock
from bot.core.errors import (
    DeliveryError,
    DeliveryForbiddenError,
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.core.wording import plain_reason
from bot.gateway.rest import LIMIT

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

CALL_TIMEOUT_S = 15.0
"""Seconds for one request, waiting for discord.py's own rate limiter included, but not for its turn
in the bot's share of requests: that wait is long where one server has many of them."""

TRIES = 3
"""Requests at most, the first one included."""

_BACKOFF_S = (0.3, 1.0)

TRANSIENT = (discord.DiscordServerError, aiohttp.ClientError, OSError, TimeoutError)
"""What trying again can mend. discord.py itself retries 500, 502, 504 and 524 only, and of reset
connections only those of macOS and Windows."""

_GONE = frozenset({10003, 10004, 10008})
_FORBIDDEN = frozenset({40001, 50001, 50007, 50013, 50278, 160005})
_EXHAUSTED = frozenset({10015, 10062, 20028, 20029, 30046, 40060, 40062, 50005, 50027, 50083})
_REJECTED = frozenset({40005, 50006, 50035, 200000, 200001, 240000})
"""Errors (Discord: opcodes and status codes, JSON error codes) by what they mean for an answer.

Gone: channel, guild, message unknown. Forbidden: access, permissions, closed DMs, locked threads.
Exhausted: interactions and their webhooks expired, writes or edits limited, thread archived.
Rejected: too large, empty, invalid body, AutoMod, harmful link.
"""


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


class Caller:
    """Makes requests of discord.py with a bound, retries and our own errors.

    Args:
        clock: Paces retries.
        timeout_s: Bound of one request, in seconds.
    """

    def __init__(self, clock: Clock, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._clock = clock
        self.timeout_s = timeout_s

    async def within_limit(self, request: Awaitable[_T]) -> _T:
        """Make one request once, with nothing but the bound.

        Raises:
            TimeoutError: It took longer.
        """
        async with asyncio.timeout(self.timeout_s) as limit:
            token = LIMIT.set(limit)
            try:
                return await request
            finally:
                LIMIT.reset(token)

    async def call(self, request: Callable[[], Awaitable[_T]], *, tries: int = TRIES) -> _T:
        """Make one request, again when Discord or the network stumbles.

        Raises:
            DeliveryError: What the failure means.
        """
        number = 0
        while True:
            number += 1
            try:
                return await self.within_limit(request())
            except (discord.HTTPException, discord.RateLimited, *TRANSIENT) as exc:
                if number >= tries or not isinstance(exc, TRANSIENT):
                    raise map_discord_error(exc) from exc
                _log.debug("a request to Discord failed: %s", plain_reason(exc))
            await self._clock.sleep(number * random.uniform(*_BACKOFF_S))  # noqa: S311 - jitter
