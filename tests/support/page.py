"""The demo's page without a browser: a tab over a real socket."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from bot.demo.notes import Notes
from bot.demo.page.server import PageServer
from bot.demo.world import Demo, Voice, furnish, stand_in
from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import INSTANT

Json = dict[str, Any]


class RefusedError(Exception):
    """An action that was answered by an error."""

    def __init__(self, error: Json) -> None:
        super().__init__(error["message"])
        self.code: str = error["code"]


class TabClient:
    """One tab: keeps what it was told, and does things.

    Attributes:
        snapshot: What came first.
        events: (name, data) of everything since.
        messages: What the tab would show, by id.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, snapshot: Json) -> None:
        self.socket = socket
        self.snapshot = snapshot
        self.events: list[tuple[str, Json]] = []
        self.messages: dict[str, Json] = {
            each["id"]: each for window in snapshot["messages"].values() for each in window["items"]
        }
        self._ids = itertools.count(1)
        self._answers: dict[object, Json] = {}

    def person(self, role: str) -> str:
        """Return the id of the member, the admin or the owner."""
        found: str = next(p["id"] for p in self.snapshot["people"] if p["role"] == role)
        return found

    def channel(self, name: str, kind: str = "text") -> str:
        """Return the id of a channel."""
        found: str = next(
            each["id"]
            for each in self.snapshot["channels"]
            if (each["name"], each["kind"]) == (name, kind)
        )
        return found

    @property
    def mention(self) -> str:
        """The markup that mentions the bot."""
        return f"<@{self.snapshot['bot']['id']}>"

    async def receive(self) -> Json:
        """Take the next frame in and return it."""
        frame = await self.socket.receive(timeout=30)
        assert frame.type is aiohttp.WSMsgType.TEXT, (frame.type, self.socket.close_code)
        parsed: Json = json.loads(frame.data)
        if parsed["type"] == "event":
            self._take(parsed["name"], parsed["data"])
        elif parsed["type"] == "answer":
            self._answers[parsed["id"]] = parsed
        return parsed

    def _take(self, name: str, data: Json) -> None:
        self.events.append((name, data))
        if name == "message":
            self.messages[data["message"]["id"]] = data["message"]
        elif name == "message_gone":
            for each in data["ids"]:
                self.messages.pop(each, None)
        elif name == "bot":
            self.snapshot["bot"] = data
        elif name in {"commands", "faults"}:
            self.snapshot[name] = data[name]

    async def do(self, action: str, **fields: Any) -> Json:
        """Do something and return its result.

        Raises:
            RefusedError: It was answered by an error.
        """
        key = next(self._ids)
        await self.socket.send_str(json.dumps({"id": key, "do": action, **fields}))
        while key not in self._answers:
            await self.receive()
        answer = self._answers.pop(key)
        if not answer["ok"]:
            raise RefusedError(answer["error"])
        result: Json = answer["result"]
        return result

    async def until(self, condition: Callable[[], Any], *, timeout_s: float = 60.0) -> Any:
        """Receive until a condition holds, and return what it returned.

        Raises:
            TimeoutError: It didn't come about.
        """
        async with asyncio.timeout(timeout_s):
            while not (value := condition()):
                await self.receive()
        return value

    def named(self, name: str) -> list[Json]:
        """Return the data of all events of a name."""
        return [data for each, data in self.events if each == name]

    def by_bot(self, channel: str) -> list[Json]:
        """Return the bot's messages of a channel, oldest first."""
        bot = self.snapshot["bot"]["id"]
        found = [
            each
            for each in self.messages.values()
            if each["author"]["id"] == bot and each["channel_id"] == channel
        ]
        return sorted(found, key=lambda each: int(each["id"]))


@asynccontextmanager
async def opened_tab(
    server: PageServer, session: aiohttp.ClientSession
) -> AsyncIterator[TabClient]:
    """Open a tab."""
    async with session.ws_connect(
        f"{server.address}/live", headers={"Origin": server.address}, max_msg_size=0
    ) as socket:
        frame = await socket.receive(timeout=30)
        yield TabClient(socket, json.loads(frame.data))


async def _never() -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def demo_without_bot() -> AsyncIterator[Demo]:
    """Open a demo's world in which the bot never comes online."""
    async with DiscordSandbox(buckets=False) as discord:
        places, voice = await furnish(discord), Voice()
        async with stand_in(INSTANT, voice) as lmstudio:
            bot = asyncio.create_task(_never())
            yield Demo(
                discord=discord,
                places=places,
                address=lmstudio.base_url,
                lmstudio=lmstudio,
                voice=voice,
                notes=Notes(),
                bot=bot,
            )
            bot.cancel()
