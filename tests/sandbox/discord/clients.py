"""Plain aiohttp at the sandbox: what any client could send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from sandbox.discord import DiscordSandbox
from sandbox.discord.values.intents import PRIVILEGED, VALID_INTENTS

ALL_INTENTS = VALID_INTENTS
NO_PRIVILEGED = VALID_INTENTS & ~PRIVILEGED


@dataclass(frozen=True)
class Answer:
    """A REST answer; ``body`` is parsed JSON, or text where it is none."""

    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> int:
        """Discord's JSON code."""
        return int(self.body["code"])


class Rest:
    """A REST client with the bot's token."""

    def __init__(self, session: aiohttp.ClientSession, discord: DiscordSandbox) -> None:
        self._session = session
        self._discord = discord

    async def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        data: object = None,
    ) -> Answer:
        headers = {"Authorization": token or f"Bot {self._discord.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = body if isinstance(body, bytes) else json.dumps(body)
        request: Any = self._session.request(
            method, self._discord.api_base + path, data=data, headers=headers
        )
        async with request as response:
            text = await response.text()
            is_json = response.headers.get("Content-Type") == "application/json"
            return Answer(response.status, json.loads(text) if is_json else text, response.headers)


@asynccontextmanager
async def rest_of(discord: DiscordSandbox) -> AsyncIterator[Rest]:
    """Open a REST client."""
    async with aiohttp.ClientSession() as session:
        yield Rest(session, discord)


class Gateway:
    """A gateway client that does only what it is told."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, discord: DiscordSandbox) -> None:
        self.socket = socket
        self._discord = discord

    async def send(self, op: int, data: object) -> None:
        """Send a frame."""
        await self.socket.send_str(json.dumps({"op": op, "d": data}))

    async def receive(self) -> dict[str, Any]:
        """Return the next frame.

        Raises:
            AssertionError: The connection ended instead.
        """
        frame = await self.socket.receive(timeout=30)
        assert frame.type is aiohttp.WSMsgType.TEXT, (frame.type, self.socket.close_code)
        parsed: dict[str, Any] = json.loads(frame.data)
        return parsed

    async def event(self, name: str) -> dict[str, Any]:
        """Return the data of the next event of that name, passing over others."""
        while True:
            frame = await self.receive()
            if frame["t"] == name:
                data: dict[str, Any] = frame["d"]
                return data

    async def close_code(self) -> int | None:
        """Return the code with which the sandbox closes, passing over what comes before."""
        while True:
            frame = await self.socket.receive(timeout=30)
            if frame.type is not aiohttp.WSMsgType.TEXT:
                return self.socket.close_code

    async def identify(self, intents: int = ALL_INTENTS, **changes: object) -> None:
        """Send IDENTIFY."""
        data = {"token": self._discord.token, "properties": {}, "intents": intents, **changes}
        await self.send(2, data)


@asynccontextmanager
async def gateway_of(discord: DiscordSandbox, *, hello: bool = True) -> AsyncIterator[Gateway]:
    """Open a gateway connection, past HELLO."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{discord.gateway_url}?v=10&encoding=json") as socket,
    ):
        gateway = Gateway(socket, discord)
        if hello:
            assert (await gateway.receive())["op"] == 10
        yield gateway


@asynccontextmanager
async def online(discord: DiscordSandbox, intents: int = ALL_INTENTS) -> AsyncIterator[Gateway]:
    """Open a gateway connection, past READY and the first GUILD_CREATEs."""
    async with gateway_of(discord) as gateway:
        await gateway.identify(intents)
        ready = await gateway.event("READY")
        for _ in ready["guilds"]:
            await gateway.event("GUILD_CREATE")
        yield gateway
