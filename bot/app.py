"""The composition root: builds every part, runs them, and takes them down in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import discord

from bot.chat.account import Account
from bot.chat.allowed_models import AllowedModels
from bot.chat.backfill import DECLINED_WITHIN, Backfill
from bot.chat.parts import ReplyParts
from bot.chat.privacy import Privacy
from bot.chat.resume import give_up
from bot.chat.service import ESTIMATES, MODELS, ChatService
from bot.chat.whose_words import OwnWords
from bot.core.clock import Clock, SystemClock, every
from bot.core.concerns import Subject
from bot.core.domain import Reasoning
from bot.core.errors import ConfigurationError, DependencyError
from bot.core.ports import ChatBackend, Lead
from bot.core.record import QuestionRecord
from bot.core.tasks import TaskOwner, end_tasks
from bot.core.wording import plain_reason
from bot.delivery.pacing import PacerRegistry
from bot.gateway.client import EXTENSIONS, ClawbotClient, Services
from bot.gateway.connection import OWNERS_EVERY_S, GatewayClient
from bot.gateway.endpoints import NETWORK_ERRORS, discord_endpoints
from bot.gateway.presence import Presence, keep_presence, presence_for
from bot.gateway.proxy import connector_for
from bot.gateway.reconnect import DAY, Governor
from bot.gateway.rest import RestPace, RestWatch, at_once, keep_buckets_steady
from bot.idle.introductions import ACQUAINTANCES, Introductions
from bot.idle.owner import IdleTime
from bot.idle.rest import Rest, Resting, run_command
from bot.idle.summaries import Summaries
from bot.idle.warm import WarmAhead
from bot.lmstudio import LMStudioBackend, open_backend
from bot.lmstudio.copies import COPIES
from bot.lmstudio.roster import LOADS, SERVERS, WAKE_TIMES
from bot.lmstudio.wake import LINE_LOOK_S, wake_for_line
from bot.ops.health import health, readiness, standing_by
from bot.ops.history import History
from bot.ops.metrics import Metrics, Sources
from bot.ops.reload import Origin, Reload
from bot.ops.service_manager import READY, STOPPING, tell
from bot.ops.status_server import StatusServer
from bot.ops.watchdog import LoopLag, take_blamed
from bot.output.pipeline import ModelMemory
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.sanitiser import SecretGuard
from bot.prompt.attachments.cdn import CdnReader
from bot.prompt.attachments.decoder import DecoderPool
from bot.prompt.builder import ContextBuilder
from bot.prompt.cache import MessageCache
from bot.prompt.tokens import TokenEstimator
from bot.queue.rate_limit import RateLimiter
from bot.queue.scheduler import Scheduler
from bot.storage.database import DATABASE_FILE, Database, open_database
from bot.storage.engine import is_server
from bot.storage.journal import SqlJournal
from bot.storage.kept import KeptData
from bot.storage.lock import HeldFolder, data_folder
from bot.storage.settings_store import SettingsStore
from bot.storage.state import StateStore
from bot.storage.summaries import SummaryStore
from bot.storage.tidying_sql import Bounds
from cogs._convert import Requests
from cogs._gate import Rights
from cogs._models import Adviser
from cogs._tree import ClawbotTree as ClawbotTree  # noqa: PLC0414 - given on with ``plugged``
from config.settings import LiveSettings, Settings

if TYPE_CHECKING:
    from bot.cluster.leadership import Leadership
    from bot.cluster.membership import Membership

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

IDENTIFIES = "identifies"
"""State: times of log-ins, Unix seconds."""
ALIVE_INTERVAL_S = 30.0
REGISTER_AGAIN_S = 60.0
CLOSE_S = 5.0
"""Seconds for Discord's connections to close."""


class Watcher(Protocol):
    """Looks on from inside while the bot runs."""

    def begun(self, scheduler: Scheduler) -> None:
        """Take note of the line of questions, before the first comes."""
        ...

    def hears(self, backend: ChatBackend) -> ChatBackend:
        """Return a back end that answers as this one does, listening in between."""
        ...

    def works_on(self, account: Account) -> None:
        """Take note of a question as its work begins."""
        ...

    def ended(self, record: QuestionRecord) -> None:
        """Take note of how a question went."""
        ...


async def run(
    settings: Settings,
    *,
    clock: Clock | None = None,
    stop: asyncio.Event | None = None,
    ready: asyncio.Event | None = None,
    lag: LoopLag | None = None,
    watcher: Watcher | None = None,
    origin: Origin | None = None,
) -> None:
    """Run the bot until ``stop`` is set.

    Args:
        settings: Complete and checked, with a token.
        clock: Time; the system's when left out.
        stop: Ends the bot in order once set.
        ready: Set once the bot is online for the first time.
        lag: How late the event loop is, if somebody measures that; for the metrics.
        watcher: Somebody who looks on.
        origin: Where the settings come from; edits there are then put in force.

    Raises:
        ConfigurationError: Token, intents, database URL or data folder are wrong.
        DependencyError: A port is taken, or another Clawbot uses the data folder.

    Cancellation: Running answers are cut at once; accepted questions stay in the journal.
    """
    clock, stop = clock or SystemClock(), stop or asyncio.Event()
    _token(settings)
    async with AsyncExitStack() as stack:
        stack.callback(_log.info, "stopped")
        held = stack.enter_context(data_folder(settings.store.data_dir))
        start = _Start(settings, clock, stop, ready, lag, watcher, origin, held)
        location = _server(settings)
        if location is None:
            await _serve(start)
        else:
            await _take_turns(start, location)


@dataclass(frozen=True, slots=True)
class _Start:
    """What the process was started with; as of ``run``."""

    settings: Settings
    clock: Clock
    stop: asyncio.Event
    ready: asyncio.Event | None
    lag: LoopLag | None
    watcher: Watcher | None
    origin: Origin | None
    held: HeldFolder


async def _take_turns(start: _Start, location: str) -> None:
    """Serve while this process leads, or has a part, and wait while it can't."""
    lead = _part(start, location)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(lead.close)
        is_leading = await _until(start.stop, lead.take())
        while not start.stop.is_set():
            if not is_leading:
                await _stand_by(start, lead.wait())
            if start.stop.is_set() or await lead.hold(_serve(start, lead)):
                return
            is_leading = False
            _log.warning("this process can't be sure to be the only one that answers; it waits")


def _part(start: _Start, location: str) -> Leadership | Membership:
    """Return this process's part among those that use a database; only these pay for the imports."""
    if not _is_shared(start.settings):
        from bot.cluster.leadership import Leadership  # noqa: PLC0415

        return Leadership.over(location, start.clock)
    from bot.cluster.membership import Membership  # noqa: PLC0415

    return Membership.over(location, start.clock)


async def _stand_by(start: _Start, turn: Coroutine[Any, Any, None]) -> None:
    """Wait until it is this process's turn, or it is to stop."""
    settings, lag = start.settings, start.lag
    async with AsyncExitStack() as stack:
        if settings.metrics.addr is not None:
            server = StatusServer(
                settings.metrics.addr,
                Metrics(leads=lambda: False),
                health=lambda: health(lag_s=lag.present_s if lag else 0.0, stuck_s=0.0),
                readiness=standing_by,
            )
            await stack.enter_async_context(server)
        tell(READY)
        _log.info("another Clawbot answers; this one waits, and takes over when that one ends")
        await _until(start.stop, turn)
    if not start.stop.is_set():
        _log.info("no other Clawbot answers any more; this one does from now on")


async def _serve(start: _Start, lead: Leadership | Membership | None = None) -> None:
    """Build everything and answer, until the process is to stop."""
    settings, stop, held = start.settings, start.stop, start.held
    async with AsyncExitStack() as stack:
        client = await _until(stop, _build(start, lead, stack))
        if client is None:
            return
        stack.enter_context(discord_endpoints(settings.discord))
        stack.push_async_callback(_close_client, client)
        tell(READY)  # Discord may be out of reach for hours: that is no failed start
        await _until(stop, client.log_in(_token(settings)))
        if stop.is_set():
            return
        stack.push_async_callback(client.services.chat.cancel)
        stack.push_async_callback((tasks := TaskOwner()).cancel)
        _start_companions(client, tasks, start.ready)
        _follow_files(start.origin, settings, client.services, tasks)
        connecting = tasks.watched(client.connect(), name="gateway")
        keeping = asyncio.get_running_loop().create_task(held.watch(start.clock))
        stack.push_async_callback(end_tasks, keeping)
        await _until(stop, _ended(connecting, keeping))
        await _wind_up(client.services, settings.queue.shutdown_grace_s)


@asynccontextmanager
async def plugged(
    client: ClawbotClient, settings: Settings, clock: Clock | None = None
) -> AsyncGenerator[None, None]:
    """Give a bot of somebody else's what the cogs need, and load them.

    Args:
        client: Not logged in yet; its command tree is a ``ClawbotTree``. Whoever made it logs it in,
            connects it and registers its commands, within the block.
        settings: Complete and checked; the token in it isn't used.
        clock: Time; the system's when left out.

    Raises:
        ConfigurationError: The database or the data folder are wrong.
        DependencyError: Another Clawbot uses the data folder or the database, or has taken the
            database over: then what runs in the block is cancelled.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        held = stack.enter_context(data_folder(settings.store.data_dir))
        lead = await stack.enter_async_context(_leading_alone(settings, clock))
        base = await _base(settings, clock, stack, held.path, None, lead)
        client.rest = RestWatch(clock)
        may_post = at_once if lead is None else lead.may_post
        pace = RestPace(clock, settings.discord.requests_per_s)
        trace = pace.pace(base.metrics.discord_trace(client.http.http_trace), may_post)
        client.http.http_trace = client.rest.listen(trace)
        keep_buckets_steady(client.http)
        client.services = services = _services(base, client)
        stack.push_async_callback(services.chat.cancel)
        stack.push_async_callback((tasks := TaskOwner()).cancel)
        for name in EXTENSIONS:
            await client.load_extension(name)
            stack.push_async_callback(client.unload_extension, name)
        _start_upkeep(services, tasks, client.is_online, partial(asyncio.sleep, 0))
        tasks.start(held.watch(clock), name="data folder")
        yield
        await _wind_up(services, settings.queue.shutdown_grace_s)


@asynccontextmanager
async def _leading_alone(settings: Settings, clock: Clock) -> AsyncGenerator[Lead | None, None]:
    """Lead in a database that others can use, too; where the lead is lost, the block is cancelled.

    Raises:
        DependencyError: Another process leads, or has begun to.
    """
    location = _server(settings)
    if location is None:
        yield None
        return
    from bot.cluster.hold import NotLeadingError  # noqa: PLC0415 - nobody else pays for it
    from bot.cluster.leadership import Leadership  # noqa: PLC0415 - the same

    lead = Leadership.over(location, clock)
    if not await lead.take():
        await lead.close()
        raise DependencyError(
            "Another Clawbot is already using the database at CLAWBOT_DATABASE_URL: "
            "stop it first, or give this one a database of its own."
        )
    working = asyncio.current_task()
    assert working is not None  # noqa: S101 - a coroutine runs in one
    holding = asyncio.get_running_loop().create_task(lead.hold(asyncio.Event().wait()))
    lost: list[bool] = []

    def end(_holding: object) -> None:
        lost.append(working.cancel())

    holding.add_done_callback(end)
    try:
        yield lead
    except (asyncio.CancelledError, NotLeadingError) as exc:
        if lost:
            working.uncancel()
        elif isinstance(exc, asyncio.CancelledError):
            raise
        raise DependencyError(
            "Another Clawbot has taken over the database at CLAWBOT_DATABASE_URL, or it can't be "
            "reached: start this one again once the other one has ended."
        ) from None
    finally:
        holding.remove_done_callback(end)
        await end_tasks(holding)
        await lead.close()


async def _wind_up(services: Services, grace_s: float) -> None:
    tell(STOPPING)
    _log.info("stopping")
    await services.chat.close(grace_s)
    await services.history.save(at_once=True)
    await _save_learned(services)


def _token(settings: Settings) -> str:
    if settings.discord.token is None:
        raise ConfigurationError("There is no bot token: set DISCORD_TOKEN.")
    return settings.discord.token.get_secret_value()


async def _ended(*works: asyncio.Future[Any]) -> None:
    """Wait for the first to end of works that go on when the waiting is given up.

    Raises:
        BaseException: What ended the work.
    """
    done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
    for work in done:
        work.result()


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, _T]) -> _T | None:
    """Return what the work returns; once ``stop`` is set, give it up and return ``None``."""
    loop = asyncio.get_running_loop()
    working, stopping = loop.create_task(work), loop.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await end_tasks(stopping, working)


@dataclass(frozen=True, slots=True)
class _Base:
    """What is there without Discord, each part open."""

    settings: Settings
    clock: Clock
    storage: Database
    state: StateStore
    journal: SqlJournal
    kept: KeptData
    summaries: SummaryStore
    backend: LMStudioBackend
    allowed: AllowedModels
    overrides: SettingsStore
    scheduler: Scheduler
    decoder: DecoderPool
    files: CdnReader
    metrics: Metrics
    history: History
    memory: ModelMemory
    introductions: Introductions
    watcher: Watcher | None


async def _build(
    start: _Start, lead: Leadership | Membership | None, stack: AsyncExitStack
) -> GatewayClient:
    """Build all parts, each closed by ``stack`` in the reverse order."""
    settings, clock, watcher = start.settings, start.clock, start.watcher
    is_shared = _is_shared(settings)
    base = await _base(settings, clock, stack, start.held.path, watcher, lead, is_shared=is_shared)
    if watcher is not None:
        watcher.begun(base.scheduler)
    client = GatewayClient(
        settings.discord,
        clock,
        base.metrics,
        _governor(settings, clock, base.state),
        ClawbotTree,
        lambda client: _services(base, client),
        at_once if lead is None else lead.may_post,
        share := cast("Membership", lead) if is_shared else None,
    )
    if share is not None:
        from bot.gateway.sharing import Sharing  # noqa: PLC0415 - nobody else pays for it

        sharing = Sharing(share, client.services)
        client.handover = sharing
        hearing = asyncio.get_running_loop().create_task(sharing.run())
        stack.push_async_callback(end_tasks, hearing)
    if settings.metrics.addr is not None:
        await _show_state(settings.metrics.addr, base, client, stack, start.lag, lead)
    return client


def _is_shared(settings: Settings) -> bool:
    """Return whether several processes may serve shards at the same time."""
    return settings.discord.shards != 1 and _server(settings) is not None


def _server(settings: Settings) -> str | None:
    """Return the address of the database, where that is a server that others can use, too."""
    location = settings.store.database_url
    return location if location is not None and is_server(location) else None


async def _show_state(
    address: str,
    base: _Base,
    client: GatewayClient,
    stack: AsyncExitStack,
    lag: LoopLag | None,
    lead: Lead | None,
) -> None:
    """Serve the figures and the state on an address."""
    storage, scheduler = base.storage, base.scheduler
    base.metrics.watch(
        Sources(
            waiting=lambda: scheduler.waiting,
            running=lambda: scheduler.running,
            slots=lambda: scheduler.slots,
            servers=base.backend.servers,
            store_errors=lambda: storage.errors,
            store_pending=lambda: storage.pending + base.journal.unsaved,
            is_store_failing=lambda: storage.is_degraded,
            is_online=client.is_online,
            read_ahead=lambda: client.services.warm.cost,
            summaries=lambda: client.services.summaries.made,
            standbys=lambda: 0 if lead is None else lead.waiting,
        )
    )
    if lag is not None:
        lag.listen(base.metrics.loop_lag)
    server = StatusServer(
        address,
        base.metrics,
        health=lambda: health(lag_s=lag.present_s if lag else 0.0, stuck_s=storage.stuck_s),
        readiness=lambda: readiness(
            is_online=client.is_online(),
            is_store_failing=storage.is_degraded,
            servers=base.backend.servers(),
            lead=lead,
            is_standing_by=client.is_standing_by,
        ),
    )
    await stack.enter_async_context(server)


async def _base(
    settings: Settings,
    clock: Clock,
    stack: AsyncExitStack,
    folder: Path,
    watcher: Watcher | None,
    lead: Lead | None,
    *,
    is_shared: bool = False,
) -> _Base:
    """Open what is kept in the data folder, and what questions need besides Discord."""
    database = await stack.enter_async_context(_database(settings, clock, folder, lead))
    state = await StateStore.open(database, clock)
    journal = await _journal(settings, clock, database, folder, is_shared=is_shared)
    live = LiveSettings(settings)
    settings = live.view
    backend = await stack.enter_async_context(open_backend(settings.lmstudio, clock))
    backend.roster.restore(state.get(SERVERS))
    backend.roster.restore_wake_times(state.get(WAKE_TIMES))
    backend.roster.take_up_loads(state.get(LOADS))
    allowed = AllowedModels(settings.lmstudio.allowed_models, state, backend.model)
    overrides = await SettingsStore.open(database, live, allowed.permit)
    scheduler = _scheduler(settings, clock, backend)
    overrides.subscribe(lambda _: scheduler.wake())
    stack.callback(scheduler.close)
    memory = ModelMemory(saved=state.get(MODELS))
    kept = await KeptData.open(database, journal, clock)
    return _Base(
        settings=settings,
        clock=clock,
        storage=database,
        state=state,
        journal=journal,
        kept=kept,
        summaries=await SummaryStore.open(
            database, clock, settings.store.retention_days, kept.is_withheld
        ),
        backend=backend,
        allowed=allowed,
        overrides=overrides,
        scheduler=scheduler,
        decoder=await stack.enter_async_context(DecoderPool(clock)),
        files=await stack.enter_async_context(_cdn(settings)),
        metrics=Metrics() if lead is None else Metrics(leads=lambda: lead.is_sure),
        history=History(state, clock),
        memory=memory,
        introductions=_introductions(settings, clock, backend, memory, state),
        watcher=watcher,
    )


async def _journal(
    settings: Settings, clock: Clock, database: Database, folder: Path, *, is_shared: bool
) -> SqlJournal:
    journal = await SqlJournal.open(
        database,
        clock,
        settings.store.retention_days,
        Bounds.of(settings.store),
        is_shared=is_shared,
    )
    blamed = take_blamed(folder)
    if blamed is not None:
        _log.warning("question %d held the last run up until it was ended: set aside", blamed)
        await give_up(journal, blamed)
        if is_shared:
            journal.leave(lambda _: True)  # it may be another process's by now
    return journal


def _database(
    settings: Settings, clock: Clock, folder: Path, lead: Lead | None
) -> AbstractAsyncContextManager[Database]:
    location = settings.store.database_url or folder / DATABASE_FILE
    if lead is None:
        return open_database(location, clock)
    return open_database(location, clock, guard=lead.guard, on_fault=lead.doubt)


def _introductions(
    settings: Settings,
    clock: Clock,
    backend: LMStudioBackend,
    memory: ModelMemory,
    state: StateStore,
) -> Introductions:
    saved = state.get(ACQUAINTANCES)
    return Introductions(backend, memory, clock, lambda: Reasoning(settings.chat.reasoning), saved)


def _scheduler(settings: Settings, clock: Clock, backend: LMStudioBackend) -> Scheduler:
    scheduler = Scheduler(
        settings.queue,
        clock,
        backend.capacity,
        backend.is_available,
        lambda key: (known := backend.model(key)) is None or known.is_loaded,
    )
    backend.on_availability(lambda _: scheduler.wake())
    return scheduler


def _services(base: _Base, client: ClawbotClient) -> Services:
    """Build what answers questions: it reads Discord by way of the client."""
    settings, clock = base.settings, base.clock
    source = MessageCache(Requests(client, clock), settings.context.cache_messages, clock)
    own_words = OwnWords(base.journal)
    estimator = TokenEstimator.from_dict(base.state.get(ESTIMATES))
    builder = _builder(base, client, source, own_words, estimator)
    idle = IdleTime(clock, settings.context)
    warm = WarmAhead(base.backend, builder, base.overrides, clock, idle.wake)
    parts = _reply_parts(base, builder, estimator, warm, Adviser(client, clock))
    limiter = RateLimiter(settings.queue, clock)
    chat = ChatService(parts, limiter)
    oldest = max(timedelta(seconds=settings.queue.stale_after_s), DECLINED_WITHIN)
    backfill = Backfill(source, base.journal, base.state, clock, oldest)
    privacy = Privacy(
        base.kept, base.overrides, base.allowed, base.summaries, source, chat, backfill, clock
    )
    privacy.on_opt_out(warm.forget)
    for forget in (own_words.forget, builder.forget, warm.forget, base.backend.forget_words):
        privacy.on_forget(_whoever(forget))
    return Services(
        settings=settings,
        clock=clock,
        backend=base.backend,
        overrides=base.overrides,
        journal=base.journal,
        state=base.state,
        storage=base.storage,
        allowed=base.allowed,
        chat=chat,
        builder=builder,
        privacy=privacy,
        backfill=backfill,
        limiter=limiter,
        scheduler=base.scheduler,
        source=source,
        pacers=parts.pacers,
        secrets=parts.secrets,
        history=base.history,
        introductions=base.introductions,
        idle=idle,
        warm=warm,
        summaries=Summaries(
            base.backend, warm, base.summaries, parts.secrets, base.memory.expects_missing_opening
        ),
        summary_store=base.summaries,
    )


def _whoever(forget: Callable[[], None]) -> Callable[[Subject], None]:
    return lambda _: forget()


def _builder(
    base: _Base,
    client: ClawbotClient,
    source: MessageCache,
    own_words: OwnWords,
    estimator: TokenEstimator,
) -> ContextBuilder:
    settings, clock = base.settings, base.clock
    return ContextBuilder(
        source=source,
        files=base.files,
        decoder=base.decoder,
        estimator=estimator,
        settings=settings.context,
        access=Rights(client, clock),
        clock=clock,
        answers=own_words,
        summaries=base.summaries,
    )


def _reply_parts(
    base: _Base,
    builder: ContextBuilder,
    estimator: TokenEstimator,
    warm: WarmAhead,
    adviser: Adviser,
) -> ReplyParts:
    settings, clock, watcher = base.settings, base.clock, base.watcher
    return ReplyParts(
        settings=settings,
        clock=clock,
        backend=base.backend if watcher is None else watcher.hears(base.backend),
        overrides=base.overrides,
        journal=base.journal,
        scheduler=base.scheduler,
        builder=builder,
        estimator=estimator,
        pacers=PacerRegistry(settings.delivery.writes_per_5_s, clock),
        secrets=SecretGuard(_secrets(settings, base.backend)),
        policy=OutputPolicy(allow_invites=settings.delivery.allow_invites),
        memory=base.memory,
        metrics=base.metrics,
        records=tuple(_records(base)),
        advice=adviser.advice,
        answered=warm.answered,
        accounts=() if watcher is None else (watcher.works_on,),
    )


def _records(base: _Base) -> Iterable[Callable[[QuestionRecord], None]]:
    """Yield what is told how each question went."""
    yield base.metrics.question
    yield base.history.note
    if base.watcher is not None:
        yield base.watcher.ended


def _governor(settings: Settings, clock: Clock, state: StateStore) -> Governor:
    async def count(login: datetime) -> list[datetime]:
        def add(stored: object) -> object:
            known = (*_times(stored), login)  # not what a clock that was far ahead has noted
            return [time.timestamp() for time in known if abs(time - login) < DAY]

        return _times(await state.change(IDENTIFIES, add))

    return Governor(
        clock,
        identifies_per_day=settings.discord.identifies_per_day,
        past_identifies=_times(state.get(IDENTIFIES)),
        count=count,
    )


def _times(stored: object) -> list[datetime]:
    """Read times kept in the state; whatever else stands there is ignored."""
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    values = stored if isinstance(stored, list) else []
    return [epoch + timedelta(seconds=v) for v in values if isinstance(v, int | float)]


def _secrets(settings: Settings, backend: LMStudioBackend) -> Iterable[str]:
    """Return what must never be shown: tokens, and where the model's machines are."""
    for secret in (settings.discord.token, settings.discord.proxy, settings.lmstudio.api_token):
        if secret is not None:
            yield secret.get_secret_value()
    yield from filter(None, settings.lmstudio.api_tokens)
    yield from backend.roster.hosts
    if settings.store.database_url:
        yield settings.store.database_url


def _cdn(settings: Settings) -> CdnReader:
    return CdnReader(_cdn_hosts(settings), partial(connector_for, settings.discord))


def _cdn_hosts(settings: Settings) -> tuple[str, ...]:
    """Return further hosts that attachments may come from: another Discord's own, and named ones."""
    base = urlsplit(settings.discord.api_base)
    own = base.netloc if base.port or base.scheme == "https" else f"{base.netloc}:80"
    return (*(() if own == "discord.com" else (own,)), *settings.discord.cdn_hosts)


def _start_companions(client: GatewayClient, tasks: TaskOwner, ready: asyncio.Event | None) -> None:
    services = client.services

    async def register() -> None:
        """Register the commands while the gateway connects; a stumbling Discord is asked again."""
        while True:
            try:
                await client.sync_commands()
            except NETWORK_ERRORS as exc:
                _log.warning("the slash commands can't be registered yet (%s)", plain_reason(exc))
                await services.clock.sleep(REGISTER_AGAIN_S)
            else:
                break
        await client.online.wait()
        _log.info("online as %s; to invite it: %s", client.user, client.invitation)
        if ready is not None:
            ready.set()

    tasks.start(register(), name="register")
    tasks.start(_keep_presence(client), name="presence")
    tasks.start(every(services.clock, OWNERS_EVERY_S, client.look_up_owners), name="owners")
    _start_upkeep(services, tasks, client.is_online, client.keep_session)


def _start_upkeep(
    services: Services,
    tasks: TaskOwner,
    is_online: Callable[[], bool],
    keep_session: Callable[[], Awaitable[None]],
) -> None:
    """Save what is learned, wake sleeping machines, and use the time when nobody asks."""

    async def stay_alive() -> None:
        if is_online() and services.backfill.is_caught_up:
            await services.backfill.note_alive()
            await keep_session()
        await services.history.save()
        await _save_learned(services)

    def keep_loads() -> None:
        noting = services.state.change(LOADS, services.backend.roster.note_loads())
        tasks.start(noting, name="keep-loads")

    tasks.start(every(services.clock, ALIVE_INTERVAL_S, stay_alive), name="stay-alive")
    services.backend.roster.on_loading(keep_loads)
    line, backend = services.scheduler, services.backend
    waking = wake_for_line(
        services.clock, lambda: line.newcomer_wait_s, backend.wake, backend.roster.can_wake
    )
    tasks.start(waking, name="wake-for-line")
    _start_copies(services, tasks)
    if rests := _rests(services):
        resting = Resting(services.clock, rests)
        resting.set_idle(line.is_idle)
        line.on_idle(resting.set_idle)
        tasks.start(resting.run(), name="rest")
    idle, works = services.idle, (services.introductions, services.warm, services.summaries)
    services.overrides.subscribe(lambda _: idle.wake())
    services.backend.on_loads(idle.wake)
    tasks.start(idle.follow(line, works), name="idle-time")


def _start_copies(services: Services, tasks: TaskOwner) -> None:
    """Load further copies where the operator wants them, and say where that can't be done."""
    if not services.settings.lmstudio.extra_copies:
        return
    if _is_shared(services.settings):
        _log.warning(
            "CLAWBOT_LMSTUDIO__EXTRA_COPIES does nothing where several processes may share the shards"
        )
        return
    line, state = services.scheduler, services.state
    copies = services.backend.copies(state.get(COPIES))

    async def look() -> None:
        if await copies.look(line.newcomer_wait_s):
            line.wake()
            await state.set(COPIES, copies.made())

    tasks.start(every(services.clock, LINE_LOOK_S, look), name="copies")


def _rests(services: Services) -> list[Rest]:
    """Return what the operator wants done when nobody has asked for long."""
    settings, backend = services.settings.lmstudio, services.backend

    async def suspend() -> None:
        if backend.is_available():
            await run_command(settings.suspend_command, services.clock)

    wanted = ((settings.unload_after_s, backend.unload_all), (settings.suspend_after_s, suspend))
    return [Rest(after_s, begin) for after_s, begin in wanted if after_s is not None]


async def _save_learned(services: Services) -> None:
    learned = {
        **services.chat.learned(),
        ACQUAINTANCES: services.introductions.dump(),
        WAKE_TIMES: services.backend.roster.wake_times(),
    }
    for key, value in learned.items():
        await services.state.set(key, value)


def _follow_files(
    origin: Origin | None, settings: Settings, services: Services, tasks: TaskOwner
) -> None:
    """Put edits of the operator's files in force."""
    if origin is not None:

        def follow() -> None:
            services.backend.roster.follow()
            services.secrets.learn(_secrets(settings, services.backend))

        reload = Reload(origin, settings, services.overrides, follow)
        tasks.start(reload.watch(services.clock), name="settings file")


async def _keep_presence(client: GatewayClient) -> None:
    services = client.services
    await client.online.wait()
    await keep_presence(
        services.clock,
        lambda: presence_for(
            is_available=services.backend.is_available(), waiting=services.scheduler.waiting
        ),
        lambda presence: _show(client, presence),
        lambda: client.sessions,
    )


async def _show(client: GatewayClient, presence: Presence) -> None:
    if not client.is_online():
        raise RuntimeError("not online yet")
    await client.change_presence(
        status=discord.Status.idle if presence.is_away else discord.Status.online,
        activity=discord.CustomActivity(presence.text),
    )


async def _close_client(client: GatewayClient) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await client.close()
    except TimeoutError:
        _log.warning("Discord's connections did not close in time")
    finally:
        await client.http.close()  # left open where the closing was cut off
