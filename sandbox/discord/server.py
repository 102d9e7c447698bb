"""The sandbox's Discord: one object that serves it, drives it and remembers everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from sandbox.discord import posting
from sandbox.discord.buckets import GLOBAL_LIMIT, Buckets, Limit
from sandbox.discord.faults import Faults
from sandbox.discord.files import file_at
from sandbox.discord.hub import GatewayHub
from sandbox.discord.interactions import Interaction
from sandbox.discord.messages import (
    AllowedMentions,
    Message,
    links,
)
from sandbox.discord.model import Channel, Guild, HasId, Team, TeamMember, User
from sandbox.discord.people import Person
from sandbox.discord.permissions import Wanted
from sandbox.discord.records import Records, RequestRecord
from sandbox.discord.rest import MAX_REQUEST_BYTES, RestFront, Router
from sandbox.discord.routes import all_routes
from sandbox.discord.sessions import PRIVILEGED
from sandbox.discord.webhooks import Proxy, Webhook
from sandbox.discord.world import World, new_token

T = TypeVar("T")
_API = "/api/v10"
_HOUR_S = 3600.0


class DiscordSandbox(Records):
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
        heartbeat_grace_s: A bot silent for two intervals and this long is closed with 4009.
        refuse_old_edits: Edits of messages older than an hour get 30046.
        faults: What shall go wrong.
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
        super().__init__()
        self.world = World(
            now=now, monotonic=monotonic, bot_name=bot_name, portal_intents=portal_intents
        )
        self.rest_delay_s = rest_delay_s
        self.heartbeat_interval_ms = heartbeat_interval_ms
        self.nonce_window_s = nonce_window_s
        self.buckets = Buckets(
            monotonic=monotonic,
            now=now,
            limits=bucket_limits or {},
            enabled=buckets,
            global_limit=global_limit,
        )
        self.faults = Faults()
        self.hub = GatewayHub(
            self, identify_every_s=identify_every_s, resume_window_s=resume_window_s
        )
        self.faults.attach(self.hub)
        self.heartbeat_grace_s = 1.0
        self.refuse_old_edits = False
        self.token = new_token(self.world.bot_user.id)
        self.token_reset = False
        self.owner = Person(self.world, self.world.owner)
        self.stopping = asyncio.Event()
        self._rest = RestFront(self, Router(all_routes()))
        self._port = port
        self._runner: web.ServerRunner | None = None

    # Life

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        self.stopping.clear()
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
        self.stopping.set()
        self.hub.drop()
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
        if path.startswith(_API + "/"):
            return await self._rest.serve(request, path[len(_API) :])
        if path in {"/gateway", "/gateway/", "/gateway/resume"}:
            return await self.hub.serve(request)
        attachment = file_at(self.world, path)
        if attachment is not None:
            fault = self.faults.take(request.method, path, path)
            self.world.touch()
            if fault is not None and fault.hang:
                await self.stopping.wait()
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
        return self.world.origin + _API

    @property
    def gateway_url(self) -> str:
        """Where the gateway is."""
        return f"{self.world.origin.replace('http', 'ws', 1)}/gateway"

    @property
    def resume_gateway_url(self) -> str:
        """Where READY sends those who resume."""
        return f"{self.gateway_url}/resume"

    @property
    def bot_user(self) -> User:
        """The bot's account."""
        return self.world.bot_user

    def is_token(self, token: object) -> bool:
        """Tell whether a token is the bot's, and still valid."""
        return token == self.token and not self.token_reset

    def reset_token(self) -> None:
        """Make the token invalid, as Discord does after too many IDENTIFYs."""
        self.token_reset = True
        self.world.sessions.clear()

    def set_identify_limit(self, *, remaining: int, total: int = 1000) -> None:
        """Set the day's IDENTIFY budget, as ``GET /gateway/bot`` tells it."""
        self.hub.identifies_left, self.hub.identifies_total = remaining, total

    def unfurl(self, message: Message) -> None:
        """Let Discord add previews, as it does moments after a link: an update that is no edit."""
        found = [{"type": "link", "url": url, "title": url} for url in links(message.content)]
        message.embeds = [*message.embeds, *found]
        posting.changed(self.world, message, AllowedMentions(), by_author=False)

    def forget(self) -> None:
        """Drop all records and messages, so that long runs stay small; people and places stay."""
        self.requests.clear()
        self.world.events.clear()
        self.world.interactions.clear()
        self.world.nonces.clear()
        for channel in self.world.channels.values():
            channel.messages.clear()
            channel.hidden.clear()
            channel.typing.clear()

    def takes_no_old_edits(self, message: Message) -> bool:
        """Tell whether an edit of this message gets 30046 (``refuse_old_edits``, over an hour)."""
        age_s = self.world.now() - message.created_unix_s
        return self.refuse_old_edits and age_s > _HOUR_S

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
        bot_permissions: Wanted = None,
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
        """A session is connected and past READY."""
        return any(session.link is not None for session in self.world.sessions.values())

    async def wait_online(self, *, timeout_s: float = 10.0) -> None:
        """Wait until the bot is online.

        Raises:
            TimeoutError: It isn't.
        """
        await self.wait_until(lambda: self.online, timeout_s=timeout_s)

    async def wait_command(self, name: str, *, timeout_s: float = 10.0) -> None:
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

    async def wait_until(self, condition: Callable[[], T], *, timeout_s: float = 10.0) -> T:
        """Wait until a condition holds; it is looked at again at every recorded event.

        Raises:
            TimeoutError: It didn't come about.
        """
        return await self.world.wait_until(condition, timeout_s=timeout_s)

    async def wait_reply(
        self,
        asked: Message | Interaction,
        *,
        until: Callable[[Message], object] | None = None,
        timeout_s: float = 10.0,
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
