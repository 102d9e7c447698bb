"""Requests to Discord: paced and bounded, those not made that it would refuse, and what its answers tell.

Discord allows a bot 50 requests a second over all servers (Discord: rate limits, global rate limit),
and discord.py only learns of it from refusals. So a request waits here, right before it is sent, and
whoever has many of them in one server delays that server's own, and others by their turn only.

Discord bans an address from its API after 10,000 answers of 401, 403 or 429 in ten minutes (Discord:
rate limits, invalid request limit), whichever servers they came from. So whoever adds the bot to a
server of their own, without the right to write there, could spend that for everybody. Two things
keep it from them: nothing is asked where the permissions say no already, and what was refused a few
times in one place, or often in one server, is let be for a while.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, TypeVar

import aiohttp
import discord
from aiohttp import TraceConfig, TraceRequestStartParams
from discord.http import HTTPClient, Ratelimit, Route

from bot.core.action_budget import discount
from bot.core.clock import WRONG_CLOCK_S, Clock
from bot.core.errors import (
    DeliveryError,
    DeliveryForbiddenError,
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.core.wording import plain_reason
from bot.diagnostics.discord_side import RestAnswer, wrong_clock
from bot.gateway.endpoints import NETWORK_ERRORS
from bot.gateway.proxy import no_answer
from bot.gateway.readable import UNREADABLE

WINDOW_S: Final = 1.0
"""Discord counts by the second."""

NOBODYS: Final = 0
"""The group of requests that are about no server."""

_FREE: Final = ("/interactions/", "/webhooks/")
"""Interaction endpoints don't count (Discord: global rate limit)."""

ASKED_FOR: ContextVar[int] = ContextVar("asked_for", default=NOBODYS)
"""The group that the request under way counts for."""

LIMIT: ContextVar[asyncio.Timeout | None] = ContextVar("limit", default=None)
"""The limit of the request under way; waiting for its turn is no part of it."""


_T = TypeVar("_T")

MayPost = Callable[[], Awaitable[None]]
"""Waits until requests may be made, or raises ``OSError`` where they may not."""


async def at_once() -> None:
    """Make requests at any time."""


class RestPace:
    """Grants so many requests a second, one group after the other while several wait.

    A request counts from the moment it may be sent until a second after its answer: it reached
    Discord somewhere between the two, so that no second there has more, however late each came.

    Args:
        clock: Time.
        most: Requests that reach Discord in any second.
    """

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = self._free = most
        self._waiting: OrderedDict[int, deque[asyncio.Future[None]]] = OrderedDict()

    async def turn(self, group: int) -> None:
        """Wait until a request of this group may be sent; cancelling gives the place up.

        Whoever was granted one calls ``ended``.
        """
        if self._free > 0:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(group, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self._grant()
            raise

    def share(self, most: int) -> None:
        """Grant another number of requests a second from now on."""
        added = max(1, most) - self._most
        self._most += added
        self._free += min(0, added)
        for _ in range(added):
            self._grant()

    def ended(self) -> None:
        """Note that a request was answered, or given up."""
        self._clock.call_later(WINDOW_S, self._grant)

    def pace(self, trace: TraceConfig, may_post: MayPost = at_once) -> TraceConfig:
        """Have the requests that a trace sees wait until they may be made, and for their turn."""

        async def wait(
            _session: object, context: SimpleNamespace, asked: TraceRequestStartParams
        ) -> None:
            context.is_counted = False
            await _outside(LIMIT.get(), may_post())
            context.is_counted = not any(part in asked.url.path for part in _FREE)
            if context.is_counted:
                await _outside(LIMIT.get(), self.turn(ASKED_FOR.get()))

        async def end(_session: object, context: SimpleNamespace, _ended: object) -> None:
            if context.is_counted:
                self.ended()

        trace.on_request_start.append(wait)
        trace.on_request_end.append(end)
        trace.on_request_exception.append(end)
        return trace

    def _grant(self) -> None:
        """Give the next who waits the room of one request."""
        while self._waiting and self._free >= 0:
            group, places = self._waiting.popitem(last=False)
            place = places.popleft()
            if places:
                self._waiting[group] = places
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


async def _outside(limit: asyncio.Timeout | None, waiting: Awaitable[None]) -> None:
    """Wait while a limit stands still."""
    ends_s = None if limit is None else limit.when()
    if limit is None or ends_s is None or limit.expired():
        await waiting
        return
    now_s = asyncio.get_running_loop().time
    left_s = ends_s - now_s()
    limit.reschedule(None)
    await waiting
    limit.reschedule(now_s() + left_s)


_log = logging.getLogger(__name__)

REFUSALS_WINDOW_S: Final = 600.0
"""Seconds that Discord counts refused requests for (Discord: invalid request limit)."""

PER_PLACE: Final = 3
"""Refusals of one kind of request in one channel, after which it isn't made there any more."""

PER_GUILD: Final = 15
"""Refusals of one kind of request in one guild, after which it isn't made there any more."""

IN_ALL: Final = 4000
"""Refusals of all kinds, after which one is enough to close a guild; Discord's limit is 10,000."""

NO_ACCESS, NO_PERMISSION, LOCKED = 50001, 50013, 160005
"""Discord's JSON error codes: missing access, missing permissions, thread is locked."""

REACTION_BLOCKED: Final = 90001
"""The message's author has blocked the bot, which says nothing of others' messages there."""

_MESSAGES: Final = "/channels/{channel_id}/messages"
_MESSAGE: Final = f"{_MESSAGES}/{{message_id}}"
_REACTION: Final = f"{_MESSAGE}/reactions/{{emoji}}/@me"
POST_MESSAGE: Final = f"POST {_MESSAGES}"
_WRITING: Final = frozenset({POST_MESSAGE, "POST /channels/{channel_id}/typing"})

Request = Callable[..., Awaitable[Any]]


class NotAllowedError(discord.Forbidden):
    """A request that wasn't made, because Discord would refuse it.

    Args:
        code: The JSON error code that Discord would give.
        is_explained: The permissions say so, and not what was refused before.
    """

    def __init__(self, code: int, *, is_explained: bool) -> None:
        Exception.__init__(self, f"not asked: Discord would refuse it ({code})")
        self.is_explained = is_explained
        self.status = 403
        self.code = code
        self.text = ""


class Kind(NamedTuple):
    """What is asked, and where.

    Attributes:
        request: Method and path, and whether files come along.
        place: The channel or guild.
        guild: The guild; the channel itself where there is none.
    """

    request: str
    place: int
    guild: int


class Refusals:
    """Counts what was refused, in a sliding window, and says what isn't worth asking.

    What is remembered is bounded by itself: what isn't asked can't be refused.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Kind]] = deque()
        self._places: Counter[tuple[str, int]] = Counter()
        self._guilds: Counter[tuple[str, int]] = Counter()

    def is_hopeless(self, kind: Kind, now_s: float) -> bool:
        """Return whether a request was refused so often that it isn't made again yet."""
        self._expire(now_s)
        most = PER_GUILD if len(self._seen) < IN_ALL else 1
        return (
            self._places[kind.request, kind.place] >= PER_PLACE
            or self._guilds[kind.request, kind.guild] >= most
        )

    def note(self, kind: Kind, now_s: float) -> None:
        """Count a refusal."""
        self._expire(now_s)
        self._seen.append((now_s, kind))
        self._places[kind.request, kind.place] += 1
        self._guilds[kind.request, kind.guild] += 1

    def _expire(self, now_s: float) -> None:
        while self._seen and now_s - self._seen[0][0] >= REFUSALS_WINDOW_S:
            _, kind = self._seen.popleft()
            discount(self._places, (kind.request, kind.place))
            discount(self._guilds, (kind.request, kind.guild))


class SteadyBucket(Ratelimit):
    """A bucket of discord.py whose room comes back also when whoever would free it is cancelled.

    discord.py frees a used-up bucket in the request that used it up, after its answer. Where that is
    cancelled in this moment, and Discord named no end of the bucket, nobody frees it: all later
    requests of its kind wait for longer than we let one wait.
    """

    __slots__ = ()

    async def _refresh(self) -> None:
        await asyncio.shield(asyncio.create_task(super()._refresh()))


def keep_buckets_steady(http: HTTPClient) -> None:
    """Have discord.py's client use steady buckets from here on."""
    buckets, made_by_discord = http._buckets, http.get_ratelimit  # noqa: SLF001 - it has no other way in

    def bucket(key: str) -> Ratelimit:
        if key not in buckets:
            buckets[key] = SteadyBucket(http.max_ratelimit_timeout)
            http._try_clear_expired_ratelimits()  # noqa: SLF001 - as it does itself for a new one
        return made_by_discord(key)

    http.get_ratelimit = bucket  # type: ignore[method-assign]


class GuardedRequests:
    """discord.py's requests, without those that Discord would refuse.

    Args:
        request: Makes a request.
        channel_of: Returns a channel that the gateway has told of, which says what the bot may do there.
        clock: Time.
    """

    def __init__(self, request: Request, channel_of: Callable[[int], object], clock: Clock) -> None:
        self._request = request
        self._channel_of = channel_of
        self._clock = clock
        self._refusals = Refusals()

    async def request(self, route: Route, **options: Any) -> Any:  # noqa: ANN401 - discord.py's own
        """Make a request, unless it would be refused.

        Raises:
            NotAllowedError: It would be; nothing was sent.
            HTTPException: Discord refused it, or failed.
        """
        has_files = bool(options.get("files"))
        channel = None
        if route.channel_id is not None:
            channel = self._channel_of(int(route.channel_id))
            if code := missing(channel, route.key, has_files=has_files):
                raise NotAllowedError(code, is_explained=True)
        kind = _kind(route, channel, has_files=has_files)
        if kind is not None and self._refusals.is_hopeless(kind, self._clock.monotonic()):
            raise NotAllowedError(NO_PERMISSION, is_explained=False)
        asked_for = ASKED_FOR.set(NOBODYS if kind is None else kind.guild)
        try:
            return await self._request(route, **options)
        except discord.Forbidden as exc:
            if kind is not None and exc.code != REACTION_BLOCKED:
                self._note(kind, exc.code)
            raise
        finally:
            ASKED_FOR.reset(asked_for)

    def _note(self, kind: Kind, code: int) -> None:
        now_s = self._clock.monotonic()
        self._refusals.note(kind, now_s)
        if self._refusals.is_hopeless(kind, now_s):
            _log.warning(
                "Discord refuses %r in channel or server %d (code %d); I stop asking there for up to "
                "ten minutes",
                kind.request.partition(" ")[0],
                kind.place,
                code,
            )


def _kind(route: Route, channel: object, *, has_files: bool) -> Kind | None:
    """Return what a request counts as; ``None`` for those of no channel or guild."""
    request = f"{route.key} with files" if has_files else route.key
    if route.channel_id is not None:
        place = int(route.channel_id)
        guild = getattr(channel, "guild", None)
        return Kind(request, place, guild.id if guild is not None else place)
    if route.guild_id is not None:
        return Kind(request, int(route.guild_id), int(route.guild_id))
    return None


VOICE: Final = (discord.VoiceChannel, discord.StageChannel)
"""Channels whose chat can be read only with Connect (Discord: get channel messages)."""


def missing(channel: object, request: str, *, has_files: bool) -> int:
    """Return the error code that a request in a channel would bring; 0 where nothing is known of one.

    Args:
        channel: As the gateway told of it; anything that isn't a guild's is never refused here.
        request: Method and path of the route.
        has_files: Files come along.
    """
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return 0
    me = getattr(channel.guild, "me", None)  # absent until the guild is available
    if me is None:
        return 0
    try:
        granted = channel.permissions_for(me)
    except discord.ClientException:  # a thread whose parent isn't known
        return 0
    is_closed_voice = isinstance(channel, VOICE) and not granted.connect
    if not granted.view_channel or (is_closed_voice and request.startswith("GET ")):
        return NO_ACCESS
    is_closed = isinstance(channel, discord.Thread) and channel.locked
    if is_closed and request in _WRITING and not granted.manage_threads:
        return LOCKED
    needed = _needed(request, is_thread=isinstance(channel, discord.Thread), has_files=has_files)
    return 0 if granted.is_superset(needed) else NO_PERMISSION


def _needed(request: str, *, is_thread: bool, has_files: bool) -> discord.Permissions:
    """Return the permissions a request needs beside View Channel (Discord: channel resource)."""
    if request in _WRITING:
        return discord.Permissions(
            send_messages=not is_thread, send_messages_in_threads=is_thread, attach_files=has_files
        )
    if request == f"PUT {_REACTION}":
        return discord.Permissions(read_message_history=True)
    if request == f"GET {_MESSAGE}":
        return discord.Permissions(read_message_history=True)
    return discord.Permissions.none()


LIMIT_S = 5.0
"""Longest wait for an answer, in seconds; discord.py would try again for longer."""


class RestWatch:
    """Listens to what a discord.py client asks of itself.

    Attributes:
        status: Of the last reply; 0 before one.
        skew_s: Discord's clock minus ours at the last reply, if it said its time.
    """

    def __init__(self, clock: Clock) -> None:
        self.status = 0
        self.skew_s: float | None = None
        self._clock = clock
        self._is_told = False

    def listen(self, trace: aiohttp.TraceConfig) -> aiohttp.TraceConfig:
        """Listen to what is traced, and return it."""
        trace.on_request_end.append(self._note)
        trace.on_request_redirect.append(self._note)
        return trace

    async def _note(
        self,
        _session: object,
        _context: object,
        ended: aiohttp.TraceRequestEndParams | aiohttp.TraceRequestRedirectParams,
    ) -> None:
        # Whatever else the bot asks meanwhile says nothing of this.
        if ended.url.path.endswith("/@me"):
            self.status = ended.response.status
        try:
            told = parsedate_to_datetime(ended.response.headers.get("Date", ""))
        except ValueError:
            return
        told = told if told.tzinfo else told.replace(tzinfo=UTC)
        self.skew_s = self._clock.told(told).total_seconds()
        is_wrong = abs(self.skew_s) > WRONG_CLOCK_S
        if is_wrong and not self._is_told:
            _log.warning("%s I go by Discord's.", wrong_clock(self.skew_s))
        self._is_told = is_wrong

    async def ask(self, client: discord.Client) -> RestAnswer:
        """Ask Discord who the bot is, once, and return what came of it."""
        self.status, self.skew_s = 0, None
        began_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(LIMIT_S):
                await client.http.request(discord.http.Route("GET", "/users/@me"))
        except NETWORK_ERRORS as exc:
            return RestAnswer(None, self.status, self.skew_s, failure=no_answer(exc))
        except UNREADABLE:
            return RestAnswer(None, self.status, is_foreign=True)
        return RestAnswer(self._clock.monotonic() - began_s, self.status, self.skew_s)


CALL_TIMEOUT_S = 15.0
"""Seconds for one request, waiting for discord.py's own rate limiter included, but not for its turn
in the bot's share of requests: that wait is long where one server has many of them."""

TRIES = 3
"""Requests at most, the first one included."""

_BACKOFF_S = (0.3, 1.0)

TRANSIENT = (discord.DiscordServerError, aiohttp.ClientError, OSError, TimeoutError)
"""What trying again can mend. discord.py itself retries 500, 502, 504 and 524 only, and of reset
connections only those of macOS and Windows."""

LOST: Final = (discord.HTTPException, discord.RateLimited, *TRANSIENT)
"""What Discord's REST raises when it, or the network, fails."""

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
    if isinstance(exc, NotAllowedError):
        return DeliveryForbiddenError(exc.code, is_explained=exc.is_explained)
    if isinstance(exc, discord.HTTPException):
        return _by_code(exc.code) or _by_status(exc)
    return DeliveryUnavailableError()


def _by_code(code: int) -> DeliveryError | None:
    if code in _GONE:
        return TargetGoneError(f"Discord error {code}")
    if code in _FORBIDDEN:
        # Of an archived thread that is locked the gateway tells, and then it is known no more.
        return DeliveryForbiddenError(code, is_explained=code == LOCKED)
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
            except LOST as exc:
                if number >= tries or not isinstance(exc, TRANSIENT):
                    raise map_discord_error(exc) from exc
                _log.debug("a request to Discord failed: %s", plain_reason(exc))
            await self._clock.sleep(number * random.uniform(*_BACKOFF_S))  # noqa: S311 - jitter
