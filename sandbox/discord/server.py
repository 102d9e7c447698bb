"""The sandbox's Discord: one object that serves it, drives it and remembers everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from sandbox.discord.api.body import MAX_REQUEST_BYTES
from sandbox.discord.api.buckets import GLOBAL_LIMIT, Buckets, Limit
from sandbox.discord.api.cdn import file_at
from sandbox.discord.api.rest import RestApi
from sandbox.discord.api.router import Router
from sandbox.discord.api.routes import all_routes
from sandbox.discord.faults import Faults
from sandbox.discord.gateway.connection import GatewayContext
from sandbox.discord.gateway.dispatcher import Dispatcher
from sandbox.discord.gateway.gateway import Gateway
from sandbox.discord.gateway.identify_budget import IdentifyBudget
from sandbox.discord.gateway.sessions import SessionStore
from sandbox.discord.options import Options
from sandbox.discord.people.person import Person
from sandbox.discord.people.webhooks import Proxy, Webhook
from sandbox.discord.records import Records, RequestRecord
from sandbox.discord.state import message_actions
from sandbox.discord.state.changes import PATIENCE_S
from sandbox.discord.state.guilds import Channel, Guild, Message
from sandbox.discord.state.interactions import Interaction
from sandbox.discord.state.token import BotToken
from sandbox.discord.state.world import World
from sandbox.discord.values.accounts import HasId, Team, TeamMember, User
from sandbox.discord.values.addresses import (
    API_PATH,
    GATEWAY_PATH,
    api_base,
    gateway_url,
    resume_gateway_url,
)
from sandbox.discord.values.content import AllowedMentions
from sandbox.discord.values.intents import PRIVILEGED
from sandbox.discord.values.markup import links
from sandbox.discord.values.permissions import PermissionsLike

T = TypeVar("T")


class DiscordSandbox:
    """A Discord on loopback: gateway v10 and REST v10 over real sockets.

    The world (guilds, people, messages, commands) outlives connections, bot processes and also
    ``stop()`` and a new ``start()``, which binds the same port again.

    Args:
        bot_name: The bot's user name.
        port: Port on 127.0.0.1; 0 picks a free one.
        rest_delay_s: Every REST request's way there and back, in seconds; half of it each.
        buckets: False: no rate limits and none of their headers.
        bucket_limits: Route class → (requests, seconds); see ``buckets.DEFAULT_LIMITS``.
        global_limit: Over all routes, as (requests, seconds); ``None`` for none.
        heartbeat_interval_ms: What HELLO says.
        portal_intents: Privileged intents switched on in the developer portal; all by default.
        identify_every_s: Least time between IDENTIFYs (Discord: 5 s); 0 lets them pass.
        resume_window_s: How long a lost session can be resumed.
        nonce_window_s: How long an enforced nonce is remembered ("the past few minutes").
        now: UNIX time in seconds, for snowflakes, time stamps, nonces and the identify budget.
        monotonic: Time in seconds of all records, rate limits and interaction deadlines.

    Attributes:
        world: What Discord remembers.
        options: Figures and switches that may be changed while it runs.
        faults: What shall go wrong.
        buckets: The rate limits.
        records: All that was recorded.
        gateway: The bot's sessions and connections.
    """

    def __init__(  # noqa: PLR0913 - keyword options, each with its default
        self,
        *,
        bot_name: str = "Clawbot",
        port: int = 0,
        rest_delay_s: float = 0.0,
        buckets: bool = True,
        bucket_limits: Mapping[str, Limit] | None = None,
        global_limit: Limit | None = GLOBAL_LIMIT,
        heartbeat_interval_ms: int = 41_250,
        portal_intents: int = PRIVILEGED,
        identify_every_s: float = 0.0,
        resume_window_s: float = 180.0,
        nonce_window_s: float = 300.0,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.world = World(
            now=now, monotonic=monotonic, bot_name=bot_name, portal_intents=portal_intents
        )
        self.options = Options(
            rest_delay_s=rest_delay_s,
            heartbeat_interval_ms=heartbeat_interval_ms,
            nonce_window_s=nonce_window_s,
        )
        self.records = Records()
        self.requests = self.records.requests
        self.connects = self.records.connects
        self.identifies = self.records.identifies
        self.resumes = self.records.resumes
        self.closes = self.records.closes
        self.presences = self.records.presences
        self.unexpected = self.records.unexpected
        self.faults = Faults()
        self.buckets = Buckets(
            monotonic=monotonic,
            now=now,
            limits=bucket_limits or {},
            enabled=buckets,
            global_limit=global_limit,
        )
        self.owner = Person(self.world, self.world.owner)
        self._token = BotToken(self.world.bot_user.id)
        self._stopping = asyncio.Event()
        self._port = port
        self._runner: web.ServerRunner | None = None
        budget = IdentifyBudget(now=now, monotonic=monotonic, identify_every_s=identify_every_s)
        self.gateway = self._make_gateway(budget, resume_window_s)
        self._rest = self._make_rest(budget)

    def _make_gateway(self, budget: IdentifyBudget, resume_window_s: float) -> Gateway:
        sessions = SessionStore(self.world.monotonic, resume_window_s)
        dispatcher = Dispatcher(self.world, sessions)
        self.world.subscribe(dispatcher.on_event)
        gateway = Gateway(
            GatewayContext(
                self.world,
                self.options,
                self.records,
                self.faults,
                self._token,
                sessions,
                budget,
                dispatcher,
            )
        )
        self.faults.attach(gateway)
        return gateway

    def _make_rest(self, budget: IdentifyBudget) -> RestApi:
        return RestApi(
            Router(all_routes()),
            self.world,
            self.options,
            budget,
            self.records,
            self.faults,
            self.buckets,
            self._token,
            self._stopping,
        )

    # Start and stop

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        self._stopping.clear()
        server = web.Server(self._serve, request_factory=_request, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        self._port = runner.addresses[0][1]
        self.world.origin = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Break all connections and stop listening; the world stays."""
        self._stopping.set()
        self.gateway.drop()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path.startswith(API_PATH + "/"):
            return await self._rest.serve(request, path[len(API_PATH) :])
        if path in {GATEWAY_PATH, f"{GATEWAY_PATH}/", f"{GATEWAY_PATH}/resume"}:
            return await self.gateway.serve(request)
        attachment = file_at(self.world, path)
        if attachment is not None:
            fault = self.faults.take(request.method, path, path)
            self.world.changes.notify()
            if fault is not None and fault.hang:
                await self._stopping.wait()
            return web.Response(
                body=attachment.data,
                headers={"Content-Type": attachment.content_type or "application/octet-stream"},
            )
        self.unexpected.append(f"{request.method} {path}")
        return web.Response(status=404, text="404: Not Found")

    # Addresses and the token

    @property
    def api_base(self) -> str:
        """Where REST is, version included."""
        return api_base(self.world.origin)

    @property
    def gateway_url(self) -> str:
        """Where the gateway is."""
        return gateway_url(self.world.origin)

    @property
    def resume_gateway_url(self) -> str:
        """Where READY sends those who resume."""
        return resume_gateway_url(self.world.origin)

    @property
    def token(self) -> str:
        """The bot's token."""
        return self._token.text

    @property
    def heartbeats(self) -> int:
        """How many heartbeats came."""
        return self.records.heartbeats

    @property
    def bot_user(self) -> User:
        """The bot's account."""
        return self.world.bot_user

    def set_identify_limit(self, *, remaining: int, total: int = 1000) -> None:
        """Set the day's IDENTIFY budget, as ``GET /gateway/bot`` tells it."""
        self.gateway.budget.left, self.gateway.budget.total = remaining, total

    def unfurl(self, message: Message) -> None:
        """Let Discord add previews, as it does moments after a link: an update that is no edit."""
        found = [{"type": "link", "url": url, "title": url} for url in links(message.content)]
        message.embeds = [*message.embeds, *found]
        message_actions.record_edit(self.world, message, AllowedMentions(), by_author=False)

    def forget(self) -> None:
        """Drop all records and messages, so that long runs stay small; people and places stay."""
        self.requests.clear()
        self.world.interactions.clear()
        self.world.nonces.clear()
        for channel in self.world.channels.values():
            channel.messages.clear()
            channel.hidden.clear()
            channel.typing.clear()

    # The world

    def add_user(self, name: str, *, is_bot: bool = False, accepts_dms: bool = True) -> Person:
        """Let somebody (or another bot) have an account."""
        user = self.world.new_user(name, is_bot=is_bot)
        user.accepts_dms = accepts_dms
        return Person(self.world, user)

    def add_team(self, *members: tuple[HasId, str, bool], owner: HasId | None = None) -> Team:
        """Let a team own the application.

        Args:
            *members: Who is in it beside its owner, as (person, role, accepted); a role is admin,
                developer or read_only.
            owner: Its owner; the application's owner unless said otherwise.
        """
        team = self.world.new_team(owner or self.owner)
        for person, role, accepted in members:
            team.members.append(TeamMember(self.world.users[person.id], role, accepted))
        return team

    def add_webhook(self, channel: Channel, name: str) -> Webhook:
        """Let a person with Manage Webhooks make a webhook."""
        return Webhook(self.world, channel, name)

    def add_proxy(self, name: str = "PluralKit") -> Proxy:
        """Add a bot that posts people's messages again through webhooks, under other names."""
        return Proxy(self.world, self.world.new_user(name, is_bot=True))

    def add_guild(
        self,
        name: str,
        *,
        owner: HasId | None = None,
        bot_permissions: PermissionsLike = None,
        with_bot: bool = True,
    ) -> Guild:
        """Found a guild, owned by the application's owner unless said otherwise.

        Args:
            name: Its name.
            owner: Who owns it.
            bot_permissions: What the bot's role has beyond @everyone.
            with_bot: Whether the bot is in it.
        """
        return self.world.new_guild(
            name, owner=owner, bot_permissions=bot_permissions, with_bot=with_bot
        )

    # Reading

    @property
    def online(self) -> bool:
        """Sessions of all shards are connected and past READY."""
        linked = {one.shard for one in self.gateway.sessions.all() if one.link is not None}
        return any(len(linked) >= count for _, count in linked)

    async def wait_online(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the bot is online.

        Raises:
            TimeoutError: It isn't.
        """
        await self.wait_until(lambda: self.online, timeout_s=timeout_s)

    async def wait_command(self, name: str, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the bot has registered a slash command.

        Raises:
            TimeoutError: It hasn't.
        """
        await self.wait_until(
            lambda: any(
                name in self.world.commands.names(each) for each in (None, *self.world.guilds)
            ),
            timeout_s=timeout_s,
        )

    async def wait_until(self, condition: Callable[[], T], *, timeout_s: float = PATIENCE_S) -> T:
        """Wait until a condition holds; it is looked at again at every recorded event.

        Raises:
            TimeoutError: It didn't come about.
        """
        return await self.world.changes.wait_until(condition, timeout_s=timeout_s)

    async def wait_reply(
        self,
        asked: Message | Interaction,
        *,
        until: Callable[[Message], object] | None = None,
        timeout_s: float = PATIENCE_S,
    ) -> Message:
        """Wait for the bot's answer to a message or an interaction.

        Args:
            asked: What was said or used.
            until: What the answer must satisfy, as ``lambda reply: "done" in reply.content``.
            timeout_s: The most to wait.

        Raises:
            TimeoutError: There is none.
        """

        def found() -> Message | None:
            for message in self.replies(asked):
                if until is None or until(message):
                    return message
            return None

        message = await self.wait_until(found, timeout_s=timeout_s)
        if message is None:
            raise TimeoutError("the answer was taken back")
        return message

    def replies(self, asked: Message | Interaction) -> list[Message]:
        """Return the bot's answers: those that refer to it, else newer ones that refer to none."""
        if isinstance(asked, Interaction):
            return [each for each in asked.messages if not each.loading]
        own = [
            each
            for each in asked.channel.messages.values()
            if each.author is self.bot_user and each.id > asked.id
        ]
        referring = [each for each in own if each.reference is asked]
        return referring or [each for each in own if each.reference is None]

    def what_people_see(self, channel: Channel, person: Person | None = None) -> list[Message]:
        """Return what is in a channel for everybody, or for one person with what only they see."""
        return list(channel.messages.values()) if person is None else person.view(channel)

    def requests_to(
        self, method: str | None = None, route: str | None = None, **body: object
    ) -> list[RequestRecord]:
        """Return the recorded requests by method, template and body fields."""
        return [
            each
            for each in self.requests
            if (method is None or each.method == method)
            and (route is None or each.route == route)
            and all(
                isinstance(each.body, dict) and each.body.get(key) == value
                for key, value in body.items()
            )
        ]

    @property
    def bot_messages(self) -> list[Message]:
        """All the bot's messages that are still there, oldest first."""
        found = [
            message
            for channel in self.world.channels.values()
            for message in channel.messages.values()
            if message.author is self.bot_user
        ]
        return sorted(found, key=lambda each: each.id)


def _request(*parts: Any) -> web.BaseRequest:  # noqa: ANN401 - aiohttp's own, passed through
    message, payload, protocol, writer, task = parts
    return web.BaseRequest(
        message,
        payload,
        protocol,
        writer,
        task,
        asyncio.get_running_loop(),
        client_max_size=MAX_REQUEST_BYTES + 1_048_576,
    )
