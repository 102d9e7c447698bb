"""``clawbot demo``: the real bot against a local Discord, in front of some face."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bot.app import run
from bot.core.errors import DependencyError
from bot.core.tasks import end_tasks
from bot.demo.notes import Notes
from bot.demo.world import (
    TYPICAL,
    Demo,
    Voice,
    for_sandbox,
    furnish,
    stand_in,
    why_stand_in,
    with_stand_in,
)
from bot.ops.logs import set_up_logging
from bot.ops.signals import stop_on_signal
from config.settings import Settings
from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import Timing

ONLINE_S: Final = 20.0
"""Longest wait for the bot to be online with its commands, in seconds."""
LEAVE_S: Final = 0.6
"""Longest wait for the bot to end in order, in seconds: nothing of a demo is kept."""

Face = Callable[[Demo], Coroutine[Any, Any, None]]
"""Shows a demo; returns when the person leaves, and is cancelled when the demo ends."""


def play(settings: Settings, face: Face, *, timing: Timing = TYPICAL) -> int:
    """Show the demo until its face, the bot or a signal ends it; returns the exit code.

    Args:
        settings: The operator's; where LM Studio is and how to ask it are taken from them.
        face: What a person sees of it.
        timing: How fast the stand-in is.

    Raises:
        DependencyError: The bot didn't come online.
    """
    set_up_logging(settings, at_least="ERROR")
    with suppress(asyncio.CancelledError):
        asyncio.run(_play(settings, face, timing))
    return 0


async def _play(settings: Settings, face: Face, timing: Timing) -> None:
    stop = asyncio.Event()
    with stop_on_signal(stop):
        async with open_demo(settings, timing=timing) as demo:
            shown = asyncio.create_task(face(demo), name="face")
            stopped = asyncio.create_task(stop.wait(), name="stopped")
            try:
                await asyncio.wait({demo.bot, shown, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if shown.done():
                    shown.result()
            finally:
                await end_tasks(shown, stopped)


@asynccontextmanager
async def open_demo(settings: Settings, *, timing: Timing = TYPICAL) -> AsyncIterator[Demo]:
    """Start the world and the bot in it; both end with the block.

    Raises:
        Exception: What ended the bot, where it failed.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="clawbot-", ignore_cleanup_errors=True)
        )
        discord = await stack.enter_async_context(DiscordSandbox())
        places = await furnish(discord)
        lmstudio, voice, address = None, Voice(), settings.lmstudio.base_url[0]
        of_stand_in = await why_stand_in(settings)
        if of_stand_in:
            lmstudio = await stack.enter_async_context(stand_in(timing, voice))
            settings = with_stand_in(settings, lmstudio.base_url)
        settings = for_sandbox(settings, discord, places.owner, Path(folder))
        end, notes = asyncio.Event(), Notes()
        bot = asyncio.create_task(run(settings, stop=end, watcher=notes), name="bot")
        try:
            yield Demo(
                discord=discord,
                places=places,
                address=address,
                lmstudio=lmstudio,
                voice=voice,
                notes=notes,
                bot=bot,
                of_stand_in=of_stand_in,
            )
        finally:
            end.set()
            discord.faults.clear()
            discord.options.rest_delay_s = 0.0
            await _ended(bot)  # its files go with the data folder


async def _ended(bot: asyncio.Task[None]) -> None:
    """Wait for the bot to end in order; cut off what takes longer than a person waits.

    Raises:
        Exception: What ended it, where it failed.
    """
    done, _ = await asyncio.wait({bot}, timeout=LEAVE_S)
    if done:
        bot.result()
    else:
        await end_tasks(bot)


async def wait_online(demo: Demo) -> None:
    """Wait until the bot is online and has registered its commands.

    Raises:
        DependencyError: It didn't come online.
    """
    commands = demo.discord.world.commands
    try:
        await demo.discord.wait_online(timeout_s=ONLINE_S)
        await demo.discord.wait_until(
            lambda: commands.names(demo.places.guild.id), timeout_s=ONLINE_S
        )
    except TimeoutError:
        raise DependencyError(f"The bot didn't come online within {ONLINE_S:g} seconds.") from None
