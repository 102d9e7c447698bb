"""Somebody who reads and types in the page, as people do: by names, roles and keys."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    ViewportSize,
    expect,
)

from bot.demo.world import Demo
from sandbox.discord import Channel, Message

DESKTOP: ViewportSize = {"width": 1280, "height": 860}
PATIENCE_MS = 30_000
"""The most that anything may take on a busy machine."""

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Tab:
    """A browser's context with the page in its first tab, and what went wrong in it.

    Attributes:
        context: Playwright's.
        address: The page's origin.
        problems: Errors and warnings of the console, and addresses beside the page's own.
    """

    context: BrowserContext
    address: str
    problems: list[str] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls, browser: Browser, address: str, **options: Any
    ) -> AsyncGenerator[Tab, None]:
        """Open the page; options are those of a browser's context."""
        context = await browser.new_context(**{"viewport": DESKTOP, **options})
        tab = cls(context, address)
        context.on("console", tab._on_console)
        context.on("request", lambda request: tab._on_address(request.url))
        context.on("page", tab._on_page)
        page = await context.new_page()
        await page.goto(f"{address}/")
        await expect(page.locator("#channel-name")).not_to_be_empty()
        yield tab
        await context.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"{message.type}: {message.text}")

    def _on_address(self, url: str) -> None:
        own = (self.address, f"blob:{self.address}", self.address.replace("http", "ws"))
        if not url.startswith(tuple(f"{each}/" for each in own)):
            self.problems.append(f"asked for {url}")

    def _on_page(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"error: {error.message}"))
        page.on("websocket", lambda socket: self._on_address(socket.url))


class Reader:
    """Somebody at a tab with the page, opened in a channel.

    Attributes:
        page: Playwright's.
        demo: What is behind the page.
        channel: Where the test talks.
    """

    def __init__(
        self,
        tab: Tab,
        demo: Demo,
        channel: Channel,
        pictures: Path,
        page: Page | None = None,
    ) -> None:
        self.page = page or tab.context.pages[0]
        self.demo = demo
        self.channel = channel
        self._tab = tab
        self._pictures = pictures

    async def start(self) -> None:
        """Open the test's channel as a member, with nothing left of the test before."""
        left = "document.querySelector('dialog, .menu, .editor, .slash, .uploads li') !== null"
        if await self.page.evaluate(left):
            await self.page.reload()
        self._tab.problems.clear()
        await self.open()
        await self.become("Mia")

    async def open(self, channel: Channel | None = None) -> None:
        """Open the page in a channel, the test's own unless said otherwise."""
        where = channel or self.channel
        await self.page.goto(f"{self._tab.address}/#{where.id}")
        await expect(self.page.locator("#channel-name")).to_have_text(str(where.name))

    async def second_tab(self) -> Reader:
        """Open the page in another tab of the same browser."""
        page = await self._tab.context.new_page()
        other = Reader(self._tab, self.demo, self.channel, self._pictures, page)
        await other.open()
        return other

    async def become(self, name: str) -> None:
        """Be another person."""
        await self.page.get_by_role("radio", name=name).click()
        await expect(self.page.locator(".me b")).to_have_text(name)

    @property
    def field(self) -> Locator:
        """The line one types in."""
        return self.page.locator(".composer textarea")

    @property
    def messages(self) -> Locator:
        """The messages in sight of a screen reader, oldest first."""
        return self.page.locator("li.message")

    def message(self, text: str) -> Locator:
        """The messages that hold a text."""
        return self.messages.filter(has_text=text)

    async def say(self, text: str) -> None:
        """Type a message and send it."""
        await self.field.fill(text)
        await self.field.press("Enter")
        await expect(self.field).to_have_value("")

    async def ask(self, question: str) -> Locator:
        """Mention the bot; returns its answer once it is complete."""
        answered = await self.messages.filter(has=self.button("Regenerate")).count()
        await self.say(f"@Clawbot {question}")
        answers = self.messages.filter(has=self.button("Regenerate"))
        await expect(answers).to_have_count(answered + 1)
        return answers.last

    def button(self, name: str) -> Locator:
        """Buttons of a name."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def menu(self, message: Locator, item: str) -> None:
        """Choose from a message's menu."""
        await message.locator(".prose, .slot-files").first.click(button="right")
        await self.page.get_by_role("menuitem", name=item).click()

    async def picture(self, name: str) -> None:
        """Keep a screenshot."""
        await self.page.screenshot(path=self._pictures / f"{name}.png", animations="disabled")

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request as the bot, to make what the real one never sends."""
        discord = self.demo.discord
        headers = {"Authorization": f"Bot {discord.token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(discord.api_base + path, json=body, headers=headers) as response,
        ):
            text = await response.text()
            assert response.status < 300, text
            found: dict[str, Any] = json.loads(text) if text else {}
            return found

    async def forgive(self, words: str) -> None:
        """Leave out problems that a test brought about on purpose."""
        await self.page.evaluate("1")  # what was told before this has arrived
        kept = [each for each in self._tab.problems if words not in each]
        self._tab.problems[:] = kept

    async def bot_says(self, **body: Any) -> dict[str, Any]:
        """Let the bot's account post a message in the test's channel."""
        return await self.post(f"/channels/{self.channel.id}/messages", body)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something behind the page."""
        await self.demo.discord.wait_until(condition)

    def said(self, text: str) -> Message:
        """The message with a text, as Discord has it."""
        return next(m for m in self.channel.messages.values() if text in m.content)
