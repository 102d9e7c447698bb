"""A bot as the recipe describes it, to compare with: one loop around one request.

For each mention it reads the last 25 messages of the channel, opens a new HTTP client, asks without
streaming, tries three times a second apart, and posts what comes back. Nothing waits in a line.
It runs as a process of its own, on the environment variables that the real bot is given.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

HISTORY_MESSAGES = 25
TRIES = 3
THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)
FAILED = "Sorry, the model did not answer."


class RecipeBot(discord.Client):
    """Answers every mention by the recipe's loop.

    Args:
        speed: How many times faster than real time the server runs; the waits follow.
    """

    def __init__(self, endpoint: str, model: str, max_tokens: int, speed: float) -> None:
        intents = discord.Intents.default()
        intents.message_content = True
        super().__init__(intents=intents)
        self._endpoint = endpoint
        self._model = model
        self._max_tokens = max_tokens
        self._timeout = aiohttp.ClientTimeout(total=30 / speed)
        self._pause_s = 1 / speed

    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that mentions the bot."""
        if self.user is None or message.author == self.user or self.user not in message.mentions:
            return
        turns = [{"role": "system", "content": "You are a helpful assistant."}]
        async for earlier in message.channel.history(limit=HISTORY_MESSAGES, oldest_first=False):
            is_own = earlier.author == self.user
            text = earlier.clean_content
            turns.insert(1, {"role": "assistant" if is_own else "user", "content": text})
        async with message.channel.typing():
            answer = await self._ask(turns)
        await message.reply(answer[:2000], mention_author=False)

    async def _ask(self, turns: list[dict[str, str]]) -> str:
        body = {
            "model": self._model,
            "messages": turns,
            "temperature": 0.7,
            "max_tokens": self._max_tokens,
        }
        for number in range(TRIES):
            if number:
                await asyncio.sleep(self._pause_s)
            try:
                return await self._post(body)
            except (aiohttp.ClientError, TimeoutError, LookupError):
                continue
        return FAILED

    async def _post(self, body: dict[str, Any]) -> str:
        async with (
            aiohttp.ClientSession(timeout=self._timeout, raise_for_status=True) as session,
            session.post(f"{self._endpoint}/v1/chat/completions", json=body) as reply,
        ):
            content: str = (await reply.json())["choices"][0]["message"]["content"]
        return THINKING.sub("", content).strip()


def main() -> None:
    """Run on the environment's addresses until the process is ended."""
    Route.BASE = os.environ["CLAWBOT_DISCORD_API_BASE"]
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(os.environ["CLAWBOT_DISCORD_GATEWAY_URL"])
    bot = RecipeBot(
        os.environ["LMSTUDIO_BASE_URL"],
        os.environ["RECIPE_MODEL"],
        int(os.environ["RECIPE_MAX_TOKENS"]),
        float(os.environ["RECIPE_SPEED"]),
    )
    bot.run(os.environ["DISCORD_TOKEN"], log_handler=None)


if __name__ == "__main__":
    main()
