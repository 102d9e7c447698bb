"""Requests that Discord would refuse, which are better not made.

Discord bans an address from its API after 10,000 answers of 401, 403 or 429 in ten minutes (Discord:
rate limits, invalid request limit), whichever servers they came from. So whoever adds the bot to a
server of their own, without the right to write there, could spend that for everybody. Two things
keep it from them: nothing is asked where the permissions say no already, and what was refused a few
times in one place, or often in one server, is let be for a while.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Protocol

import discord
from discord.http import Route

from bot.core.clock import Clock
from bot.gateway.rest_pace import ASKED_FOR, NOBODYS

_log = logging.getLogger(__name__)

WINDOW_S: Final = 600.0
"""Seconds that Discord counts refused requests for (Discord: invalid request limit)."""

PER_PLACE: Final = 3
"""Refusals of one kind of request in one channel, after which it isn't made there any more."""

PER_GUILD: Final = 15
"""Refusals of one kind of request in one guild, after which it isn't made there any more."""

IN_ALL: Final = 4000
"""Refusals of all kinds, after which one is enough to close a guild; Discord's limit is 10,000."""

NO_ACCESS, NO_PERMISSION = 50001, 50013
"""Discord's JSON error codes: missing access, missing permissions."""

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
    """

    def __init__(self, code: int) -> None:
        Exception.__init__(self, f"not asked: Discord would refuse it ({code})")
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
        while self._seen and now_s - self._seen[0][0] >= WINDOW_S:
            _, kind = self._seen.popleft()
            _discount(self._places, (kind.request, kind.place))
            _discount(self._guilds, (kind.request, kind.guild))


def _discount(counts: Counter[tuple[str, int]], key: tuple[str, int]) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]


class Channels(Protocol):
    """Finds channels that the gateway has told of."""

    def get_channel(self, channel_id: int, /) -> object:
        """Return a channel or thread; ``None`` if it isn't known."""
        ...


class GuardedRequests:
    """discord.py's requests, without those that Discord would refuse.

    Args:
        request: Makes a request.
        channels: Knows the channels, and so what the bot may do there.
        clock: Time.
    """

    def __init__(self, request: Request, channels: Channels, clock: Clock) -> None:
        self._request = request
        self._channels = channels
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
            channel = self._channels.get_channel(int(route.channel_id))
            if code := missing(channel, route.key, has_files=has_files):
                raise NotAllowedError(code)
        kind = _kind(route, channel, has_files=has_files)
        if kind is not None and self._refusals.is_hopeless(kind, self._clock.monotonic()):
            raise NotAllowedError(NO_PERMISSION)
        asked_for = ASKED_FOR.set(NOBODYS if kind is None else kind.guild)
        try:
            return await self._request(route, **options)
        except discord.Forbidden as exc:
            if kind is not None:
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
    if not granted.view_channel:
        return NO_ACCESS
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
