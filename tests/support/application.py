"""The whole application, in this process, between the sandbox's Discord and LM Studio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from bot import app
from bot.core.clock import Clock, SystemClock
from bot.core.tasks import end_tasks
from bot.ops.reload import Origin
from bot.ops.watchdog import LoopLag
from config.loader import load_settings
from config.settings import Settings
from sandbox.discord import Channel, DiscordSandbox, Interaction, Message, Person
from sandbox.lmstudio import LMStudioSandbox


def environment_between(
    discord: DiscordSandbox, lm: LMStudioSandbox | None, data_dir: Path, **extra: str
) -> dict[str, str]:
    """Return the environment of a bot between these two; arguments as ``settings_for``."""
    return {
        "DISCORD_TOKEN": discord.token,
        "CLAWBOT_DISCORD_API_BASE": discord.api_base,
        "CLAWBOT_DISCORD_GATEWAY_URL": discord.gateway_url,
        "LMSTUDIO_BASE_URL": lm.base_url if lm else "http://127.0.0.1:9",
        "CLAWBOT_DATA_DIR": str(data_dir),
        "CLAWBOT_CONTEXT__WARM_AHEAD": "false",  # tests count the model's requests
        **extra,
    }


def settings_for(
    discord: DiscordSandbox, lm: LMStudioSandbox, data_dir: Path, **extra: str
) -> Settings:
    """Return settings as the environment would give them.

    Args:
        discord: Running.
        lm: Running or stopped.
        data_dir: The bot's data folder.
        extra: Further environment variables.
    """
    return load_settings(environment_between(discord, lm, data_dir, **extra)).settings


@contextlib.asynccontextmanager
async def running(
    settings: Settings, clock: Clock | None = None, origin: Origin | None = None
) -> AsyncGenerator[None, None]:
    """Run the application until the block ends, and let it stop in order.

    Raises:
        BaseException: Whatever ended the application by itself.
    """
    stop, ready = asyncio.Event(), asyncio.Event()
    lag = None if settings.metrics.addr is None else LoopLag(SystemClock())
    work = asyncio.create_task(
        app.run(settings, clock=clock, stop=stop, ready=ready, lag=lag, origin=origin)
    )
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        waiting.cancel()
        work.result()
    measuring = asyncio.create_task(lag.measure() if lag else asyncio.sleep(0))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(work, timeout=30)
        await end_tasks(measuring)


async def life_before(
    settings: Settings, discord: DiscordSandbox, ada: Person, channel: Channel
) -> Message:
    """Run the bot until it has answered somebody in a channel, so that it looks there for what it misses.

    Returns:
        What was asked.
    """
    async with running(settings):
        first = await ada.mention(channel, "Hello")
        await discord.wait_reply(first, until=lambda r: "help you" in r.content)
    return first


async def told(discord: DiscordSandbox, used: Interaction, words: str) -> None:
    """Wait until whoever used something is told this: in the response, or after it where that was late."""
    await discord.wait_until(lambda: any(words in each.content for each in used.messages))
