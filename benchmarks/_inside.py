"""The bot inside this process, on a clock of the benchmark's."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot import app
from bot.core.clock import Clock
from config.loader import load_settings
from config.settings import Settings
from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import LMStudioSandbox

STOP_S = 60.0


class FastClock:
    """Time that runs faster than the world's, and can leap while nobody sleeps.

    Args:
        factor: How many seconds pass in one real second.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self._began = datetime.now(UTC)
        self._began_s = time.monotonic()
        self._leapt_s = 0.0

    def monotonic(self) -> float:
        """Return the seconds on this clock since it was made, and a thousand."""
        return 1000.0 + (time.monotonic() - self._began_s) * self.factor + self._leapt_s

    def now(self) -> datetime:
        """Return the moment on this clock."""
        return self._began + timedelta(seconds=self.monotonic() - 1000.0)

    def told(self, now: datetime) -> timedelta:
        """Return how far this clock is behind, and go on by it."""
        return now - self.now()

    def unix_s(self) -> float:
        """Return the moment on this clock, in Unix seconds."""
        return self.now().timestamp()

    async def sleep(self, delay_s: float) -> None:
        """Wait for so many seconds of this clock."""
        await asyncio.sleep(max(0.0, delay_s) / self.factor)

    def timeout(self, limit_s: float) -> contextlib.AbstractAsyncContextManager[object]:
        """Return a timeout of so many seconds of this clock."""
        return asyncio.timeout(max(0.0, limit_s) / self.factor)

    def call_later(self, delay_s: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        """Call after so many seconds of this clock."""
        return asyncio.get_running_loop().call_later(max(0.0, delay_s) / self.factor, call)

    def leap(self, seconds: float) -> None:
        """Let time pass at once; who sleeps meanwhile sleeps on."""
        self._leapt_s += seconds


def settings_for(
    discord: DiscordSandbox, lm: LMStudioSandbox, data_dir: Path, **extra: str
) -> Settings:
    """Return settings as the environment would give them."""
    environment = {
        "DISCORD_TOKEN": discord.token,
        "CLAWBOT_DISCORD_API_BASE": discord.api_base,
        "CLAWBOT_DISCORD_GATEWAY_URL": discord.gateway_url,
        "LMSTUDIO_BASE_URL": lm.base_url,
        "CLAWBOT_DATA_DIR": str(data_dir),
        "CLAWBOT_CONTEXT__WARM_AHEAD": "false",  # what is measured is people's questions
        **extra,
    }
    return load_settings(environment).settings


@contextlib.asynccontextmanager
async def bot_inside(
    settings: Settings, clock: Clock | None = None, *, wait: bool = True
) -> AsyncIterator[asyncio.Event]:
    """Run the application until the block ends, and let it stop in order.

    Args:
        settings: Complete.
        clock: Time; the machine's when left out.
        wait: Begin once it is online; otherwise at once, with the event that says so.

    Raises:
        BaseException: Whatever ended the application by itself.
    """
    stop, ready = asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(app.run(settings, clock=clock, stop=stop, ready=ready))
    if wait:
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if work.done():
            work.result()
    try:
        yield ready
    finally:
        stop.set()
        await asyncio.wait_for(work, timeout=STOP_S)
