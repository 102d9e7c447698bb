"""``clawbot check``: settings, data, Discord and LM Studio, a line each, with what to do."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import discord

from bot.core.clock import Clock, SystemClock
from bot.core.errors import ConfigurationError, DependencyError
from bot.diagnostics.discord_side import RestAnswer, judge_clock, judge_intent, judge_rest
from bot.diagnostics.probe import Probe, Section, run_probes, together
from bot.diagnostics.report import (
    INDENT,
    json_text,
    problems,
    terminal_line,
    terminal_skipped,
)
from bot.diagnostics.storage import folder_findings, late_database, probe_database
from bot.diagnostics.targets import ADDRESSES, TAKEN_OUT, Listed, listed, target_of, titles
from bot.diagnostics.values import Finding, Status, Step
from bot.diagnostics.walk import diagnose, settings_failed
from bot.gateway.endpoints import NETWORK_ERRORS, discord_endpoints
from bot.gateway.proxy import connector_for, no_answer
from bot.gateway.readable import UNREADABLE
from bot.gateway.rest import RestWatch
from bot.lmstudio.roster import SERVERS
from bot.ops.status_server import listening_problem
from bot.ops.terminal import detach_output, fitted
from bot.storage.database import DATABASE_FILE
from bot.storage.inspection import state_of
from bot.storage.lock import is_in_use
from config.loader import NOT_SET, LoadResult, token_mistake
from config.settings import Settings
from config.token_shapes import refused_token

DISCORD_S: Final = 15.0
"""Longest wait for Discord, in seconds."""
DATABASE_S: Final = 12.0
"""The same for a database server: two addresses of its name."""

LOCAL, DISCORD = "This machine", "Discord"


def check(result: LoadResult, *, as_json: bool = False) -> int:
    """Look at everything a start needs, and print what is found.

    Args:
        result: The settings.
        as_json: Print one JSON object at the end instead of lines.

    Returns:
        The exit code: 78 where token, settings or data folder are wrong, 69 where LM Studio, Discord
        or the database can't be used as they are, else 0.
    """
    sections = asyncio.run(_look(result, as_json=as_json))
    found = [finding for section in sections for finding in section.findings]
    failed = [finding for finding in found if finding.status is Status.FAILED]
    failures = sorted(failed, key=lambda one: one.step not in _OWN)
    if as_json:
        _print(json_text(sections))
    elif not problems(found):
        _tell("Everything is well.")
    elif failures and len(problems(found)) > 1:
        fail = "thing fails" if len(failures) == 1 else "things fail"
        _tell(f"{len(failures)} {fail}; begin with {failures[0].step}.")
    if not failures:
        return 0
    is_own = failures[0].step in _OWN
    return ConfigurationError.exit_code if is_own else DependencyError.exit_code


def refuse_as_json(wrong: Sequence[str]) -> int:
    """Print what is wrong with the settings as ``check --json`` does; return the exit code."""
    findings = tuple(Finding(Step.SETTINGS, Status.FAILED, one) for one in wrong)
    _print(json_text([Section(LOCAL, findings)]))
    return ConfigurationError.exit_code


_OWN: Final = frozenset({Step.SETTINGS, Step.STORAGE, Step.TOKEN})
"""What the operator has on this machine, and mends before anything else."""


async def _look(result: LoadResult, *, as_json: bool) -> tuple[Section, ...]:
    settings, clock = result.settings, SystemClock()
    servers = listed(settings, state_of(settings.store.data_dir / DATABASE_FILE, SERVERS))
    walks = [
        (LOCAL, _local(result, clock)),
        (DISCORD, look_at_discord(settings, clock)),
        *zip(titles(servers), (look_at_lmstudio(settings, one) for one in servers), strict=True),
    ]
    printed = _Printed()
    sections: tuple[Section, ...] = ()
    async with aclosing(together(walks, clock)) as grown:
        async for sections in grown:
            if not as_json:
                printed.show(sections)
    return sections


@dataclass(slots=True)
class _Printed:
    """Prints sections in order, each line once: a later section waits for those before it."""

    lines: list[int] = field(default_factory=list)

    def show(self, sections: Sequence[Section]) -> None:
        """Print what is new."""
        for number, section in enumerate(sections):
            if number == len(self.lines):
                _tell(f"{section.title}:")
                self.lines.append(0)
            shown, self.lines[number] = self.lines[number], len(section.findings)
            for finding in section.findings[shown:]:
                if finding.status is not Status.SKIPPED:
                    _tell(terminal_line(finding))
            if not section.is_over:
                return
            if number == len(self.lines) - 1:
                for line in terminal_skipped(section.findings):
                    _tell(line)


async def _local(result: LoadResult, clock: Clock) -> AsyncGenerator[Finding, None]:
    """Look at the settings, the data folder, the database server and the metrics' address."""
    settings = result.settings
    metrics = await _metrics(settings)
    moot = ["METRICS_ADDR"] if metrics is not None and metrics.is_problem else []
    moot += filter(None, [token_mistake(settings)])
    warnings = [one for one in result.warnings if not any(words in one for words in moot)]
    for warning in warnings:
        yield Finding(Step.SETTINGS, Status.WARNING, warning)
    if not warnings:
        yield Finding(Step.SETTINGS, Status.OK, "In order.")
    for finding in folder_findings(settings.store, DATABASE_FILE):
        yield finding
    probes = []
    url = settings.store.database_url
    if url is not None:
        probes.append(Probe(Step.DATABASE, DATABASE_S, probe_database, late_database()))
    async with aclosing(run_probes(probes, url or "", clock)) as findings:
        async for finding in findings:
            yield finding
    if metrics is not None:
        yield metrics


async def _metrics(settings: Settings) -> Finding | None:
    """Try to listen where the metrics are to be served, if anywhere."""
    if settings.metrics.addr is None:
        return None
    problem = await listening_problem(settings.metrics.addr)
    if problem is None or (problem.is_taken and is_in_use(settings.store.data_dir)):
        return Finding(Step.METRICS, Status.OK, "The metrics can be served.")
    cause = f"The metrics can't be served at CLAWBOT_METRICS_ADDR: {problem.reason}."
    advice = f"{problem.advice[:1].upper()}{problem.advice[1:]}."
    return Finding(Step.METRICS, Status.FAILED, cause, advice)


@dataclass(slots=True)
class _Login:
    """A log-in over REST only, and what came of it."""

    settings: Settings
    watch: RestWatch
    client: discord.Client
    answer: RestAnswer = field(default_factory=RestAnswer)


async def look_at_discord(settings: Settings, clock: Clock) -> AsyncGenerator[Finding, None]:
    """Log in over REST, and judge token, clock and intent."""
    watch = RestWatch(clock)
    trace = watch.listen(aiohttp.TraceConfig())
    client = discord.Client(
        intents=discord.Intents(guilds=True),
        http_trace=trace,
        connector=connector_for(settings.discord),
    )
    nothing = judge_rest(RestAnswer())
    probes = (
        Probe(Step.TOKEN, DISCORD_S + 1, _probe_token, nothing),
        Probe(Step.REST, 1, _probe_rest, nothing, Step.TOKEN),
        Probe(Step.CLOCK, 1, _probe_clock, nothing, Step.REST),
        Probe(Step.INTENT, 1, _probe_intent, nothing, Step.REST),
    )
    try:
        login = _Login(settings, watch, client)
        async with aclosing(run_probes(probes, login, clock)) as findings:
            async for finding in findings:
                yield finding
    finally:
        with suppress(OSError, TimeoutError):
            await client.close()


async def _probe_token(login: _Login) -> Finding | None:
    """Log in, and judge the token; whatever else fails is left to the next probe."""
    token = login.settings.discord.token
    if token is None:
        return _token_failed(NOT_SET.replace(":", "", 1))
    if mistake := token_mistake(login.settings):
        return _token_failed(f"DISCORD_TOKEN {mistake}")
    began_s = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(DISCORD_S):
            with discord_endpoints(login.settings.discord):
                await login.client.login(token.get_secret_value())
    except discord.LoginFailure:
        return _token_failed(refused_token(token.get_secret_value()).rstrip("."))
    except NETWORK_ERRORS as exc:  # discord.py tries again for longer than we wait
        watch = login.watch
        login.answer = RestAnswer(None, watch.status, watch.skew_s, failure=no_answer(exc))
        return None
    except UNREADABLE:
        login.answer = RestAnswer(is_foreign=True)
        return None
    took_s = (asyncio.get_running_loop().time() - began_s) / REQUESTS_OF_A_LOGIN
    login.answer = RestAnswer(took_s, login.watch.status, login.watch.skew_s)
    cause = f"The token is right, for {login.client.user}."
    return Finding(Step.TOKEN, Status.OK, cause)


REQUESTS_OF_A_LOGIN: Final = 2
"""discord.py asks for the account, then for the application."""


_MARK: Final = re.compile("[;:] ")


def _token_failed(text: str) -> Finding:
    """Make a finding of a sentence that says what is wrong and, after a mark, what to do."""
    cause, advice = _MARK.split(text, maxsplit=1)
    return Finding(Step.TOKEN, Status.FAILED, f"{cause}.", f"{advice[:1].upper()}{advice[1:]}.")


async def _probe_rest(login: _Login) -> Finding:
    return judge_rest(login.answer)


async def _probe_clock(login: _Login) -> Finding | None:
    return judge_clock(login.answer.skew_s)


async def _probe_intent(login: _Login) -> Finding:
    flags = login.client.application_flags
    is_on = flags.gateway_message_content or flags.gateway_message_content_limited
    return judge_intent(is_on=is_on or not login.settings.discord.message_content)


async def look_at_lmstudio(settings: Settings, server: Listed) -> AsyncGenerator[Finding, None]:
    """Diagnose one of the servers, unless an owner took it out."""
    if server.is_drained:
        yield TAKEN_OUT
        return
    path = settings.store.data_dir / DATABASE_FILE
    stored = state_of(path, ADDRESSES)
    try:
        target = target_of(settings, server.base_url, settings.chat.model, stored)
    except ConfigurationError as exc:
        yield settings_failed(exc)
        return
    async with aclosing(diagnose(target, clock=SystemClock())) as findings:
        async for finding in findings:
            yield finding


def _tell(text: str) -> None:
    """Print lines for a person."""
    _print(fitted(text, INDENT))


def _print(text: str) -> None:
    """Print a line at once; who reads may leave early (``| head``), or the disk be full: the rest goes on."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError:
        detach_output()
