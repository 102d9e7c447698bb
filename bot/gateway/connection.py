"""Our own Discord client: a gateway loop that survives bad networks, cogs, command sync.

A ``Shard`` is one connection to the gateway: made again for ever, and read event by event. A bot in
many servers holds several, each with a share of the servers (Discord: gateway, sharding). Each
has a session of its own, which is resumed by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import sys
import traceback
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import discord
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.state import AutoShardedConnectionState, ConnectionState

from bot.chat.backfill import ALIVE_MARGIN_S
from bot.core.clock import Clock
from bot.core.errors import ConfigurationError, describe
from bot.core.permissions import NEEDED, NEEDED_IN_THREADS, USEFUL
from bot.core.tasks import end_tasks
from bot.core.wording import plain_reason
from bot.gateway.client import EXTENSIONS, ClawbotClient, Services, intents_for, shard_of
from bot.gateway.endpoints import NETWORK_ERRORS
from bot.gateway.proxy import connector_for
from bot.gateway.readable import UNREADABLE, read_guild, read_interaction, read_message
from bot.gateway.reconnect import Governor, IdentifyTurns
from bot.gateway.replay import (
    RESUMABLE,
    SESSION,
    LeftSession,
    hear_left_session,
    left_session,
)
from bot.gateway.rest import (
    GuardedRequests,
    MayPost,
    RestPace,
    RestWatch,
    at_once,
    keep_buckets_steady,
)
from bot.ops.metrics import Metrics
from config.settings import DiscordSettings
from config.token_shapes import refused_token

if TYPE_CHECKING:  # most processes are alone, and don't load these
    from bot.cluster.membership import Membership
    from bot.gateway.sharing import Sharing

_log = logging.getLogger(__name__)


_Parser = Callable[[Any], None]
CONNECT_TIMEOUT_S = 60.0
"""Seconds from opening the socket to the log-in being sent; discord.py's own figure."""
STRAY_FAILURES = 3
"""Failures in a row after which the session's own gateway address is given up for the main one."""


async def all_of(count: int) -> AsyncGenerator[frozenset[int], None]:
    """Yield all shards, once and for all: of a process that shares them with nobody."""
    yield frozenset(range(count))
    await asyncio.Event().wait()


class Shard:
    """One shard.

    Args:
        client: The client whose connection it is.
        number: From 0 on; ``None`` for one that holds all servers, and isn't named in the log-in.
        governor: Paces its connections and log-ins.
        turns: When it may log in, among several.

    Attributes:
        ws: Its connection, or the last one; ``None`` before the first.
        is_up: It has a session.
        has_servers: Its servers are known, of this session or an earlier one.
        has_all_servers: Those of this session are.
    """

    def __init__(
        self,
        client: GatewayClient,
        number: int | None,
        governor: Governor,
        turns: IdentifyTurns,
    ) -> None:
        self.number = number
        self.governor = governor
        self.ws: DiscordWebSocket | None = None
        self.is_up = self.has_servers = self.has_all_servers = False
        self._client = client
        self._turns = turns
        self._params: dict[str, Any] = {"initial": number in {None, 0}, "shard_id": number}

    async def connect(self) -> None:
        """Hold the connection until the client is closed.

        Raises:
            ConfigurationError: Discord closed with a code that connecting again can't mend.
        """
        while not self._client.is_closed():
            await self.governor.before_connect(identify=not self._params.get("resume"))
            try:
                await self._open()
                await self.read()
            except ReconnectWebSocket as exc:
                self._after_drop(resume=exc.resume)
            except discord.ConnectionClosed as exc:
                self._client.refused(exc)
                self._after_drop(resume=exc.code != 1000)
            except NETWORK_ERRORS as exc:
                if self._client.is_closed():
                    return
                _log.warning("the gateway connection failed (%s)", plain_reason(exc))
                self._after_drop(resume=True)

    async def leave(self) -> None:
        """Close the connection, whose reading has ended, so that another process may resume the session."""
        ws, self.ws = self.ws, None
        self.is_up = self.has_servers = self.has_all_servers = False
        self._params = {"initial": self._params["initial"], "shard_id": self.number}
        if ws is not None:
            await _say_at_last(ws.close(code=RESUMABLE))

    async def _open(self) -> None:
        if self._params.get("resume"):
            await self._connect()
            return
        async with self._turns.turn(self.number):
            await self._connect()

    async def _connect(self) -> None:
        client: Any = self._client
        connecting = DiscordWebSocket.from_client(client, **self._params)
        self.ws = await asyncio.wait_for(connecting, CONNECT_TIMEOUT_S)
        self._client.connected(self)
        self._params["initial"] = False

    async def read(self) -> None:
        """Read the connection's events until it ends, which one of discord.py's exceptions tells."""
        assert self.ws is not None  # noqa: S101 - it is open
        failed_at: int | None = -1
        while True:
            try:
                await self.ws.poll_event()
                await asyncio.sleep(0)  # what it began runs now: many may have come at once
            except UNREADABLE as exc:
                at = traceback.extract_tb(exc.__traceback__)[-1].name
                _log.warning("an event of an unknown form was left out (%s)", at)
                if self.ws.sequence == failed_at:
                    raise ReconnectWebSocket(self.number, resume=False) from exc
                failed_at = self.ws.sequence

    def _after_drop(self, *, resume: bool) -> None:
        self.governor.ended()
        self._client.dropped(self)
        params = self._params
        session = getattr(self.ws, "session_id", None)
        if self.ws is None or not (resume and session):
            for key in ("resume", "session", "sequence", "gateway"):
                params.pop(key, None)
            return
        params.update(resume=True, session=session, sequence=self.ws.sequence)
        if self.governor.failures < STRAY_FAILURES:
            params["gateway"] = self.ws.gateway
        else:
            params.pop("gateway", None)


class SharedState(AutoShardedConnectionState[Any]):
    """discord.py's state of several shards, which may come one after the other."""

    async def _delay_ready(self) -> None:
        """Wait until all shards are ready; a shard that comes meanwhile has it begin anew.

        discord.py's own wait, when it is given up, gives up the shards' own waits, too: such a shard
        would never be ready.
        """
        await asyncio.wait(self._ready_tasks.values())
        await super()._delay_ready()


GUILD_READY_TIMEOUT_S = 0.5
"""Seconds of quiet after the last guild before the session counts as ready; discord.py waits 2."""
FATAL_CLOSE_CODES = {
    4004: "Discord refused the bot token. Copy it again from the Developer Portal.",
    4010: "Discord refused this connection's shard. Check CLAWBOT_DISCORD__SHARDS.",
    4011: "This bot is in so many servers that Discord asks for shards: set CLAWBOT_DISCORD__SHARDS=auto.",
    4012: "Discord no longer speaks this gateway version. Please upgrade Clawbot.",
    4013: "Discord refused the intents this version asks for. Please upgrade Clawbot.",
    4014: "Discord refused an intent. Switch it on under Bot in the Developer Portal.",
}
"""Close codes after which connecting again is pointless (Discord: gateway close event codes)."""
LEAVE_S = 2.0
"""Seconds for the last words to the gateway, which may have stopped to listen."""
LOW_IDENTIFY_BUDGET = 20
"""Log-ins left, by Discord's count, below which the bot waits for the reset."""
HANDLERS = ("discord.py: ", "CommandTree-invoker", "discord-ui-")
"""How discord.py names the tasks of events, commands and buttons; nothing public ends them."""
OWNERS_EVERY_S = 300.0
"""Seconds between looks at who owns the application: no event tells of a change."""
ASK_AGAIN_S = 10.0
"""Seconds until Discord is asked again how many shards it recommends."""


class GatewayClient(ClawbotClient):
    """discord.py's bot with our gateway loop and services.

    Args:
        settings: Which Discord, and what may be seen there.
        clock: Time.
        metrics: Counts requests to Discord.
        governor: Paces connections and log-ins.
        tree_cls: The command tree, which asks the permission gate and answers failures.
        services_for: Makes what the cogs use; some of it asks this client.
        may_post: Waits until requests to Discord may be made.
        share: Which shards this process serves; all of them when left out.

    Attributes:
        handover: What else is done for a shard that is taken or left, where they are shared.
        online: Set while the gateway session is up.
        sessions: How many sessions were begun afresh.
    """

    def __init__(
        self,
        settings: DiscordSettings,
        clock: Clock,
        metrics: Metrics,
        governor: Governor,
        tree_cls: type[discord.app_commands.CommandTree[Any]],
        services_for: Callable[[GatewayClient], Services],
        may_post: MayPost = at_once,
        share: Membership | None = None,
    ) -> None:
        self._settings = settings
        self._share = share
        self._pace = pace = RestPace(clock, settings.requests_per_s)
        self.rest = RestWatch(clock)
        super().__init__(
            command_prefix=(),
            help_command=None,
            intents=intents_for(message_content=settings.message_content),
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            guild_ready_timeout=GUILD_READY_TIMEOUT_S,
            max_ratelimit_timeout=30.0,
            http_trace=self.rest.listen(pace.pace(metrics.discord_trace(), may_post)),
            tree_cls=tree_cls,
            allowed_contexts=discord.app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=False
            ),
            allowed_installs=discord.app_commands.AppInstallationType(guild=True, user=False),
        )
        self._turns = IdentifyTurns(clock) if share is None else IdentifyTurns(clock, share.turn)
        self._shards = [Shard(self, None, governor, self._turns)]
        self._held = frozenset({0}) if share is None else frozenset[int]()
        self.handover: Sharing | None = None
        self.online = asyncio.Event()
        self.sessions = 0
        self._governor = governor
        self._session: LeftSession | None = None
        self._session_noted_s = 0.0
        self._is_remembered = asyncio.Event()
        self._hearing: asyncio.Task[None] | None = None
        self._read_leniently()
        keep_buckets_steady(self.http)
        # All of discord.py's requests but answers to interactions go through this one method.
        guarded = GuardedRequests(self.http.request, self.get_channel, clock)
        self.http.request = guarded.request  # type: ignore[method-assign]
        self.services = services_for(self)

    def _get_state(self, **options: Any) -> ConnectionState[Any]:  # noqa: ANN401 - the base's
        if self._settings.shards == 1:
            return super()._get_state(**options)
        return SharedState(
            dispatch=self.dispatch,
            handlers=self._handlers,
            hooks=self._hooks,
            http=self.http,
            **options,
        )

    def _get_websocket(
        self, guild_id: int | None = None, *, shard_id: int | None = None
    ) -> DiscordWebSocket:
        if shard_id is None:
            shard_id = shard_of(guild_id, len(self._shards))
        return self._shards[shard_id].ws or self.ws

    def _read_leniently(self) -> None:
        """Have discord.py read what it is told also where a part is of another form."""
        state, parsers = self._connection, self._connection.parsers

        def is_guild(data: Any) -> bool:  # noqa: ANN401 - as parsed
            return _is_read(lambda: discord.Guild(data=data, state=state))

        def is_message(data: Any) -> bool:  # noqa: ANN401 - as parsed
            channel = self.get_partial_messageable(1)
            return _is_read(lambda: discord.Message(state=state, channel=channel, data=data))

        for event in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
            parsers[event] = partial(_parse, parsers[event], read_message)
        if self._settings.shards != 1:
            parsers["READY"] = partial(self._begin_session, parsers["READY"])
        parsers["GUILD_CREATE"] = partial(
            _parse, parsers["GUILD_CREATE"], partial(read_guild, is_guild)
        )
        parsers["INTERACTION_CREATE"] = partial(
            read_interaction, parsers["INTERACTION_CREATE"], is_message
        )

    def _begin_session(self, parse: Callable[[Any], None], data: dict[str, Any]) -> None:
        """Begin a shard's session without the servers of its last one, which discord.py does for one alone."""
        number = data["shard"][0]
        self._shards[number].has_all_servers = False
        self._forget_servers_of(number)
        parse(data)

    def _forget_servers_of(self, number: int) -> None:
        state = self._connection
        for guild in state.guilds:
            if guild.shard_id == number:
                state._remove_guild(guild)  # noqa: SLF001 - nothing public does it

    def _expect_no_more_of(self, number: int) -> None:
        """Let the first ``ready`` come, which discord.py tells when all shards are, without this one."""
        state: Any = self._connection
        waiting = state._ready_tasks.pop(number, None)  # noqa: SLF001 - nothing public does it
        if waiting is not None:
            waiting.cancel()
        state._ready_states.pop(number, None)  # noqa: SLF001 - the same
        is_complete = state._ready_tasks.keys() == self._held  # noqa: SLF001 - the same
        if not self.sessions and self._held and is_complete:
            if state._ready_task is not None:  # noqa: SLF001 - the same
                state._ready_task.cancel()  # noqa: SLF001 - the same
            state._ready_task = asyncio.create_task(state._delay_ready())  # noqa: SLF001 - the same

    @property
    def is_standing_by(self) -> bool:
        """Whether other processes have all shards, and this one waits for one to come free."""
        return self._share is not None and not self._held

    def serves(self, guild_id: int | None, /) -> bool:
        """Return whether this process has all that Discord tells of a server, or of direct messages."""
        if self._share is None:
            return True
        return self._shards[shard_of(guild_id, len(self._shards))].has_servers

    def knows_all(self) -> bool:
        """Return whether all servers are known that Discord tells this process of, and not only some shards'."""
        of_shards = all(self._shards[number].has_all_servers for number in self._held)
        return self._settings.shards == 1 or of_shards

    @property
    def invitation(self) -> str:
        """The address with which a server's manager invites the bot; it asks for what answers need."""
        wanted = [*NEEDED, *NEEDED_IN_THREADS, *USEFUL]
        return discord.utils.oauth_url(
            self.user.id,
            permissions=discord.Permissions(**dict.fromkeys(wanted, True)),
            scopes=("bot", "applications.commands"),
        )

    def is_online(self) -> bool:
        """Return whether the gateway session is up."""
        return self.online.is_set()

    async def keep_session(self) -> None:
        """Remember the session, and an event some seconds ago from which on to replay it."""
        age_s = self.services.clock.monotonic() - self._session_noted_s
        if self._session is not None and age_s >= ALIVE_MARGIN_S:
            await self._remember(self._session)
            self._note_session()

    async def _remember(self, session: LeftSession) -> None:
        """Have the next start resume a session; the one that was left is listened to until that is certain."""
        await self.services.state.set(SESSION, session.dump())
        if self.services.state.is_saved(SESSION):
            self._is_remembered.set()

    async def look_up_owners(self) -> None:
        """Look up who owns the application, which may change while the bot runs."""
        if not self.is_online():
            return
        try:
            self._application = await self.application_info()
        except NETWORK_ERRORS as exc:
            _log.info("the application's owners can't be looked up (%s)", plain_reason(exc))

    def _note_session(self) -> None:
        """Note which session is in use, and which event came last."""
        if self._shards[0].ws is None:
            return  # another shard was faster; direct messages come to the first one only
        session_id, sequence = self.ws.session_id, self.ws.sequence
        if session_id is not None and sequence is not None:
            self._session = LeftSession(session_id, sequence, str(self.ws.gateway))
            self._session_noted_s = self.services.clock.monotonic()

    async def setup_hook(self) -> None:
        """Load all cogs; a cog that can't be loaded ends the start."""
        for name in EXTENSIONS:
            await self.load_extension(name)

    async def log_in(self, token: str) -> None:
        """Log in, waiting out a network that isn't there yet.

        Raises:
            ConfigurationError: Discord refuses the token.
        """
        while True:
            wait_s = 0.0
            try:
                self.http.connector = connector_for(self._settings)
                await self.login(token)
            except discord.LoginFailure as exc:
                raise ConfigurationError(refused_token(token)) from exc
            except NETWORK_ERRORS as exc:
                _log.warning("can't log in to Discord yet (%s)", plain_reason(exc))
                wait_s = exc.retry_after if isinstance(exc, discord.RateLimited) else 0.0
            except UNREADABLE:
                if self._connection.user is not None:
                    raise
                _log.warning("can't log in to Discord yet (something else answers in its place)")
            else:
                return
            self._governor.failed()
            await self.http.close()
            pause_s = self._governor.pause_s(identify=False)
            await self.services.clock.sleep(max(wait_s, pause_s))

    async def connect(self, *, reconnect: bool = True) -> None:  # noqa: ARG002 - the base's signature
        """Hold the gateway connection until the client is closed.

        discord.py's own loop dies when the first connection fails, reconnects without any pause
        after a resumable close, and backs off for up to 17 minutes; this one asks the governor.

        Raises:
            ConfigurationError: Discord closed with a code that connecting again can't mend.
        """
        await self._look_up_limits()
        count = len(self._shards)
        changes = all_of(count) if self._share is None else self._share.held(count)
        holding: dict[int, asyncio.Task[None]] = {}
        coming = asyncio.create_task(_next(changes))
        try:
            while not self.is_closed():
                await asyncio.wait({coming, *holding.values()}, return_when=asyncio.FIRST_COMPLETED)
                for ended in filter(asyncio.Task.done, holding.values()):
                    ended.result()
                if coming.done():
                    await self._hold(coming.result(), holding)
                    coming = asyncio.create_task(_next(changes))
        finally:
            await end_tasks(coming, *holding.values(), *filter(None, [self._hearing]))
            await changes.aclose()

    async def _hold(self, wanted: frozenset[int], holding: dict[int, asyncio.Task[None]]) -> None:
        """Serve other shards than until now."""
        state: Any = self._connection
        state.shard_ids = sorted(wanted)
        self._held = wanted
        if self._share is not None:
            self._pace.share(self._settings.requests_per_s // self._share.members)
        for number in sorted(holding.keys() - wanted):
            await end_tasks(holding.pop(number))
            await self._leave_shard(number)
        fresh = sorted(wanted - holding.keys())
        if fresh and self.handover is not None:
            await self._look_up_limits()
            await self.handover.take(fresh, len(self._shards))
        for number in fresh:
            if number == 0:
                self._hearing = await self._hear_replay()
            holding[number] = asyncio.create_task(self._shards[number].connect())
        self._look_whether_all_are_up()

    async def _leave_shard(self, number: int) -> None:
        """Leave a shard to another process, which resumes nothing of it but direct messages."""
        if number == 0 and self._session is not None:
            await self.services.state.set(SESSION, self._session.dump())
            self._session = None
            self._is_remembered.clear()
        await self._shards[number].leave()
        self._forget_servers_of(number)
        self._expect_no_more_of(number)
        self.online.clear()
        if self.handover is not None:
            await self.handover.leave(number, len(self._shards))
        if self.sessions:
            self.dispatch("shard_left")
        _log.info("left shard %d to another process", number)

    async def _hear_replay(self) -> asyncio.Task[None] | None:
        """Learn in which channels direct messages came since the last run ended.

        Returns:
            What listens on until the new session is remembered.
        """
        left = left_session(self.services.state.get(SESSION))
        if left is None:
            return None
        await self._governor.before_connect(identify=False)
        is_replayed = asyncio.Event()
        hearing = asyncio.create_task(
            hear_left_session(
                self,
                left,
                self.services.backfill.remember_dms,
                is_replayed=is_replayed,
                is_followed=self._is_remembered,
            )
        )
        await is_replayed.wait()
        return hearing

    def connected(self, shard: Shard) -> None:
        """Take note of a shard's new connection; discord.py looks for the first one's in ``ws``."""
        if shard is self._shards[0] and shard.ws is not None:
            self.ws = shard.ws

    def dropped(self, shard: Shard) -> None:
        """Take note of a shard's connection that has ended."""
        self.dispatch("shard_disconnect", shard.number)

    def refused(self, exc: discord.ConnectionClosed) -> None:
        """Go on without an intent that was refused.

        Raises:
            ConfigurationError: Discord closed with a code that connecting again can't mend.
        """
        if exc.code == 4014 and self.intents.message_content:
            reduced = intents_for(message_content=False)
            self._connection._intents = reduced  # noqa: SLF001 - the only place that holds them
            _log.warning(
                "Discord refused the Message Content intent. I go on without it: mentions, replies "
                "to me and direct messages work, other people's messages in a conversation are "
                "empty. Switch it on under Bot, Privileged Gateway Intents, in the Developer Portal."
            )
        elif exc.code in FATAL_CLOSE_CODES:
            raise ConfigurationError(FATAL_CLOSE_CODES[exc.code]) from exc

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:  # noqa: ARG002 - the base's signature
        """Count each log-in against the budget, before it is sent."""
        await self._shards[shard_id or 0].governor.identified()

    async def change_presence(
        self,
        *,
        activity: discord.BaseActivity | None = None,
        status: discord.Status | None = None,
    ) -> None:
        """Show something on all shards that are connected."""
        for shard in self._shards:
            if shard.ws is not None and shard.ws.open:
                await shard.ws.change_presence(activity=activity, status=str(status or "online"))

    async def close(self) -> None:
        """Close the connections, after all that discord.py still runs and that would need them."""
        waiting = self._connection._ready_task  # noqa: SLF001 - nothing public cancels it
        if waiting is not None:
            waiting.cancel()
        await self._leave()
        for shard in self._shards[1:]:
            if shard.ws is not None:
                await shard.ws.close(code=1000)
        await end_tasks(*filter(_is_handler, asyncio.all_tasks()))
        await super().close()

    async def _leave(self) -> None:
        """Seem offline, and leave the session so that the next start can hear whose messages came since.

        Also where another shard has none: closed in any other way, Discord would forget this one.
        """
        if not getattr(self.ws, "open", False):
            return
        await _say_at_last(self.change_presence(status=discord.Status.invisible))
        await _say_at_last(self.ws.close(code=RESUMABLE))

    async def _look_up_limits(self) -> None:
        """Ask Discord how many shards there are to be, and wait when the log-in budget is nearly spent."""
        wanted = self._settings.shards
        while True:
            try:
                async with asyncio.timeout(5):
                    data = await self.http.request(discord.http.Route("GET", "/gateway/bot"))
                limit = data["session_start_limit"]
                count = wanted or int(data["shards"])
                self._turns.among(int(limit["max_concurrency"]))
                if int(limit["remaining"]) < LOW_IDENTIFY_BUDGET + count:
                    self._governor.block_identify(float(limit["reset_after"]) / 1000)
            except (*NETWORK_ERRORS, KeyError, TypeError, ValueError) as exc:
                _log.debug("the session start limit is unknown (%s)", plain_reason(exc))
                if not wanted:
                    await self.services.clock.sleep(ASK_AGAIN_S)
                    continue
                count = wanted
            break
        if wanted != 1 and self.shard_count is None:
            self._split(count if self._share is None else await self._share.agree(count))

    def _split(self, count: int) -> None:
        """Be so many shards, before the first connection."""
        _log.info("connecting to Discord with %d shards", count)
        state: Any = self._connection
        self.shard_count = state.shard_count = count
        governors = [self._governor, *(self._governor.beside() for _ in range(count - 1))]
        self._shards = [
            Shard(self, number, governor, self._turns) for number, governor in enumerate(governors)
        ]

    async def on_connect(self) -> None:
        """Take a fresh session; discord.py tells of it before the session's first event.

        It is remembered at once: the process may be killed at any time.
        """
        is_of_direct_messages = self._has_new_session()
        if is_of_direct_messages:
            self._note_session()
        self.services.source.session_lost()
        await self.services.backfill.session_began()
        if is_of_direct_messages and self._session is not None:
            await self._remember(self._session)

    def _has_new_session(self) -> bool:
        """Return whether the first shard's session isn't the noted one, and not only another shard's is new.

        What that shard was told a moment ago may not be stored yet.
        """
        session_id = getattr(self._shards[0].ws, "session_id", None)
        noted_id = None if self._session is None else self._session.id
        return session_id not in {None, noted_id}

    async def on_ready(self) -> None:
        """Note that a fresh session is up; of several shards, that the last one's is."""
        self.sessions += 1
        if self.sessions > 1:
            _log.info("connected to Discord again, with a new session")
        if len(self._shards) == 1:
            self._up(0)
        self._look_whether_all_are_up()

    async def on_resumed(self) -> None:
        """Note that a session was resumed."""
        _log.info("connected to Discord again")
        if len(self._shards) == 1:
            self._up(0)

    async def on_shard_connect(self, number: int) -> None:
        """Note that one of several shards has a fresh session."""
        self._up(number)

    async def on_shard_resumed(self, number: int) -> None:
        """Note that the session of one of several shards was resumed."""
        self._up(number)

    async def on_shard_ready(self, number: int) -> None:
        """Have what was missed looked up where one of several shards has begun anew."""
        shard = self._shards[number]
        shard.has_servers = shard.has_all_servers = True
        if self.sessions:
            self.dispatch("ready")

    def _up(self, number: int) -> None:
        self._shards[number].governor.established()
        self._shards[number].is_up = True
        self._look_whether_all_are_up()

    def _look_whether_all_are_up(self) -> None:
        if self.sessions and all(self._shards[number].is_up for number in self._held):
            self.online.set()

    async def on_shard_disconnect(self, number: int | None) -> None:
        """Note that the gateway is gone for now, or a part of it."""
        if self.is_online() and not self.is_closed():
            _log.info("the connection to Discord ended; connecting again")
        self._shards[number or 0].is_up = False
        self.online.clear()

    async def on_message(self, message: discord.Message, /) -> None:
        """Do nothing: there are no text commands, and the chat cog has the only intake."""

    async def on_error(self, event_method: str, /, *_args: object, **_kwargs: object) -> None:
        """Log what a listener raised, with the error table's level; the outer seam of listeners."""
        exc = sys.exc_info()[1]
        if exc is not None:
            report = describe(exc)
            _log.log(
                report.log_level,
                "listener %s failed %s",
                event_method,
                report.reference,
                exc_info=exc,
            )

    async def sync_commands(self) -> None:
        """Tell Discord our commands when they differ from what it was last told.

        Registering counts against 200 creations a day (Discord: application commands), so a hash of
        the payload, and of which Discord it went to, is kept with the data. What Discord makes of
        them is not looked at: a reply of an unknown shape is no reason to register again.
        """
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        text = json.dumps(payload, sort_keys=True)
        application_id = self.application_id or self.user.id
        told = f"{discord.http.Route.BASE}:{application_id}:{text}"
        digest = hashlib.sha256(told.encode()).hexdigest()
        key = "command_tree"
        if self.services.state.get(key) == digest and await self._knows_commands(payload):
            return
        await self.http.bulk_upsert_global_commands(application_id, payload=payload)
        await self.services.state.set(key, digest)
        _log.info("registered the slash commands")

    async def _knows_commands(self, payload: Sequence[dict[str, Any]]) -> bool:
        """Return whether Discord still has our commands: another program may have replaced them."""
        application_id = self.application_id or self.user.id
        try:
            listed = await self.http.get_global_commands(application_id)
            names = {command["name"] for command in listed}
        except (discord.HTTPException, KeyError, TypeError):
            return True
        return names >= {command["name"] for command in payload}


async def _say_at_last(words: Coroutine[Any, Any, None]) -> None:
    """Tell the gateway something for the last time, which may have stopped to listen."""
    with contextlib.suppress(*NETWORK_ERRORS, discord.ConnectionClosed):
        async with asyncio.timeout(LEAVE_S):
            await words


async def _next(changes: AsyncGenerator[frozenset[int], None]) -> frozenset[int]:
    return await anext(changes)


def _is_handler(task: asyncio.Task[Any]) -> bool:
    return task.get_name().startswith(HANDLERS) and task is not asyncio.current_task()


def _is_read(read: Callable[[], object]) -> bool:
    try:
        read()
    except UNREADABLE:
        return False
    return True


def _parse(parse: _Parser, otherwise: Callable[[_Parser, Any], None], data: Any) -> None:  # noqa: ANN401 - as parsed
    """Have data read in another way where discord.py's own fails."""
    if not _is_read(lambda: parse(data)):
        otherwise(parse, data)
