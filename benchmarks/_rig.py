"""The bot as a process of its own, between a local Discord and a local LM Studio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import LMStudioSandbox

ONLINE_TIMEOUT_S = 30.0


@dataclass
class BotProcess:
    """The bot, running.

    Attributes:
        online_s: Seconds from the start of the process to its gateway session being ready.
    """

    process: asyncio.subprocess.Process
    online_s: float

    def cpu_s(self) -> float:
        """Return the processor time used so far, in seconds."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def memory_mib(self) -> float:
        """Return the resident memory, in MiB."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    async def kill(self) -> None:
        """End the process at once, as a power cut would."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def terminate(self) -> int:
        """Ask the process to end, and return its exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        return await self.process.wait()


def _environment(discord: DiscordSandbox, lm: LMStudioSandbox, data_dir: Path) -> dict[str, str]:
    """Return this machine's environment, with the stand-ins' addresses as the bot's settings."""
    hidden = ("CLAWBOT_", "DISCORD_", "LMSTUDIO_")
    return {k: v for k, v in os.environ.items() if not k.startswith(hidden)} | {
        "DISCORD_TOKEN": discord.token,
        "CLAWBOT_DISCORD_API_BASE": discord.api_base,
        "CLAWBOT_DISCORD_GATEWAY_URL": discord.gateway_url,
        "LMSTUDIO_BASE_URL": lm.base_url,
        "CLAWBOT_DATA_DIR": str(data_dir),
        "CLAWBOT_CONTEXT__WARM_AHEAD": "false",  # what is measured is people's questions
    }


async def launch(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    data_dir: Path,
    arguments: Sequence[str] = ("-m", "bot"),
    **extra: str,
) -> asyncio.subprocess.Process:
    """Start a process between the two stand-ins; arguments as those of ``start_bot``."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=_environment(discord, lm, data_dir) | extra,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=None if "CLAWBOT_BENCH_LOG" in os.environ else asyncio.subprocess.DEVNULL,
    )


async def start_bot(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    data_dir: Path,
    arguments: Sequence[str] = ("-m", "bot"),
    **extra: str,
) -> BotProcess:
    """Start ``python -m bot`` against the two stand-ins and wait until it is online.

    Args:
        discord: Running.
        lm: Running, or not: the bot starts without it.
        data_dir: The bot's data folder.
        arguments: What Python runs, if it isn't the bot's own command.
        extra: Further environment variables.

    Raises:
        RuntimeError: The process ended, or was not online in time.
    """
    before = len(discord.identifies)
    started = time.perf_counter()
    process = await launch(discord, lm, data_dir, arguments, **extra)
    ended = asyncio.ensure_future(process.wait())
    online = asyncio.ensure_future(
        discord.wait_until(
            lambda: len(discord.identifies) > before and discord.online, timeout_s=ONLINE_TIMEOUT_S
        )
    )
    await asyncio.wait({ended, online}, return_when=asyncio.FIRST_COMPLETED)
    online_s = time.perf_counter() - started
    if ended.done():
        online.cancel()
        raise RuntimeError(f"the bot ended with code {process.returncode}")
    try:
        await online
    except TimeoutError:
        process.kill()
        await ended
        raise RuntimeError(f"the bot wasn't online within {ONLINE_TIMEOUT_S:g} s") from None
    ended.cancel()
    return BotProcess(process, online_s)


@contextlib.asynccontextmanager
async def running_bot(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    arguments: Sequence[str] = ("-m", "bot"),
    **extra: str,
) -> AsyncIterator[BotProcess]:
    """Run the bot with a data folder of its own, and end it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        bot = await start_bot(discord, lm, Path(folder) / "data", arguments, **extra)
        try:
            yield bot
        finally:
            await bot.terminate()
