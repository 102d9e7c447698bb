"""``clawbot check``: the settings, Discord and LM Studio, one line each, with what to do."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import aiohttp
import discord

from bot.core.clock import SystemClock
from bot.core.errors import ConfigurationError, DependencyError, StartupError
from bot.diagnostics import (
    Finding,
    diagnose,
    folder_findings,
    has_failed,
    summary,
    target_of,
    terminal_line,
)
from bot.gateway.endpoints import discord_endpoints
from bot.gateway.readable import UNREADABLE
from bot.ops.terminal import detach_output
from bot.storage.database import DATABASE_FILE
from config.loader import NOT_SET, LoadResult
from config.settings import DiscordSettings, Settings
from config.token_shapes import refused_token

DISCORD_S = 15.0
"""Longest wait for Discord, in seconds."""


def check(result: LoadResult) -> None:
    """Look at everything a start needs, and print what is found.

    Raises:
        ConfigurationError: The token is missing or refused, or the certificate settings are wrong.
        DependencyError: LM Studio or Discord can't be used as they are.
    """
    for warning in result.warnings:
        _print(f" warning  Settings: {warning}")
    if not result.warnings:
        _print("      ok  Settings: in order.")
    failures: list[StartupError] = []
    asyncio.run(_look(result.settings, failures))
    for kind in (ConfigurationError, DependencyError):
        for failure in failures:
            if isinstance(failure, kind):
                raise failure


async def _look(settings: Settings, failures: list[StartupError]) -> None:
    stored = folder_findings(settings.store, DATABASE_FILE)
    for finding in stored:
        _print(terminal_line(finding))
    if has_failed(stored):
        failures.append(ConfigurationError(summary(stored)))
    try:
        _print(f"      ok  Discord: {await _discord(settings.discord)}")
    except StartupError as exc:
        _print(f"  FAILED  Discord: {exc}")
        failures.append(exc)
    for base_url in settings.lmstudio.base_url:
        findings = await _lmstudio(settings, base_url)
        if has_failed(findings):
            failures.append(DependencyError(f"LM Studio: {summary(findings)}"))


async def _discord(settings: DiscordSettings) -> str:
    """Log in over REST only, and say as whom.

    Raises:
        ConfigurationError: No token, or one that Discord refuses.
        DependencyError: Discord can't be reached.
    """
    if settings.token is None:
        raise ConfigurationError(NOT_SET)
    seen: list[int] = []
    client = discord.Client(intents=discord.Intents(guilds=True), http_trace=_noting(seen))
    try:
        async with asyncio.timeout(DISCORD_S):
            with discord_endpoints(settings):
                await client.login(settings.token.get_secret_value())
                return _described(client)
    except discord.LoginFailure:
        raise ConfigurationError(refused_token(settings.token.get_secret_value())) from None
    except UNREADABLE:
        raise DependencyError(
            "Something else than Discord answers in its place; look at the network's log-in page or "
            "proxy, and at CLAWBOT_DISCORD_API_BASE"
        ) from None
    except (OSError, TimeoutError, discord.DiscordException, aiohttp.ClientError):
        if seen:  # discord.py tries again for longer than we wait
            raise DependencyError(_refused(seen[-1])) from None
        raise DependencyError(
            "Discord can't be reached; look at the network, DNS and the firewall"
        ) from None
    finally:
        with suppress(OSError, TimeoutError):
            await client.close()


def _noting(seen: list[int]) -> aiohttp.TraceConfig:
    """Return what notes the status of each reply."""

    async def note(
        _session: object, _context: object, ended: aiohttp.TraceRequestEndParams
    ) -> None:
        seen.append(ended.response.status)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(note)
    return trace


def _refused(status: int) -> str:
    """Say what a status means: it came from Discord, so the way there is open."""
    if status == 429:
        return "Discord answers that this address asks too often; wait a few minutes"
    if status >= 500:
        return (
            f"Discord answers with an error of its own (status {status}); look at "
            "https://discordstatus.com and try again later"
        )
    return f"Discord refuses the request (status {status}); look at a proxy on the way, if any"


def _described(client: discord.Client) -> str:
    flags = client.application_flags
    sees_content = flags.gateway_message_content or flags.gateway_message_content_limited
    intent = "on" if sees_content else "off: it sees only messages that mention it"
    return f"the token is right, for {client.user}; the Message Content intent is {intent}."


async def _lmstudio(settings: Settings, base_url: str) -> list[Finding]:
    findings = []
    async for finding in diagnose(target_of(settings, base_url), clock=SystemClock()):
        _print(terminal_line(finding))
        findings.append(finding)
    return findings


def _print(text: str) -> None:
    """Print a line at once; whoever reads may leave early (``| head``), and the rest goes on."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        detach_output()
