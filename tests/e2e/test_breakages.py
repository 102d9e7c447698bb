"""Everything that people break, each named with its own advice: in chat and in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import re
import socket
import ssl
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web

from bot.core.clock import SystemClock
from bot.diagnostics.values import Step
from bot.ops.check import check
from bot.storage.database import DATABASE_FILE
from cogs.diagnostics import LOOKS
from config.loader import load_settings
from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox, Model, Timing
from tests.support.application import running, settings_for
from tests.support.clock import settle
from tests.support.links import certificate, proxy, silence

T = TypeVar("T")
KEY = "qwen/qwen3-next-80b"
CHAT, TERMINAL = "chat", "terminal"
SEND_MESSAGES = 1 << 11
ATTEMPTS = LOOKS
SLOWNESS = ("Discord answers slowly", "lost or very late", "way to the server is slow")
"""What is true of a healthy set-up on a machine that stands still at times: it is asked again."""


def loopback(last: int) -> str:
    """Return an address of this machine that no test in another process uses."""
    return f"127.{os.getpid() // 256 % 255 + 1}.{os.getpid() % 256}.{last}"


@dataclass
class Installation:
    """What a breakage may break.

    Attributes:
        folder: The bot's data folder.
        settings: Environment variables that it sets.
        caplog: What was logged.
        once_online: What happens when the bot is up (in the terminal: before the check).
        is_broken: Holds once that has had its effect.
    """

    discord: DiscordSandbox
    lm: LMStudioSandbox
    channel: Channel
    folder: Path
    names: Callable[[dict[str, tuple[str, ...]]], None]
    stack: AsyncExitStack
    caplog: pytest.LogCaptureFixture
    settings: dict[str, str] = field(default_factory=dict)
    once_online: Callable[[], object] = lambda: None
    is_broken: Callable[[], object] = lambda: True

    def at(self, url: str) -> None:
        """Configure another address of LM Studio."""
        self.settings["LMSTUDIO_BASE_URL"] = url


Arrange = Callable[[Installation], AsyncIterator[None]]


@dataclass(frozen=True)
class Breakage:
    """One thing that is broken, and what must be said of it."""

    arrange: Arrange
    step: Step
    cause: str
    advice: str
    where: tuple[str, ...] = (CHAT, TERMINAL)


BREAKAGES: dict[str, Breakage] = {}


def breakage(
    step: Step, cause: str, advice: str, *where: str
) -> Callable[[Callable[[Installation], AsyncIterator[None]]], None]:
    """Add a way to break things to the list, under the function's name."""

    def add(arrange: Callable[[Installation], AsyncIterator[None]]) -> None:
        where_ = where or (CHAT, TERMINAL)
        BREAKAGES[arrange.__name__] = Breakage(arrange, step, cause, advice, where_)

    return add


# The machine and its port


@breakage(Step.CONNECTION, "Nothing listens at that port", "start LM Studio's server")
async def server_off(installed: Installation) -> AsyncIterator[None]:
    await installed.lm.refuse()
    yield


@breakage(Step.CONNECTION, "off or asleep", "Wake the machine")
async def machine_asleep(installed: Installation) -> AsyncIterator[None]:
    installed.stack.enter_context(silence(loopback(77), installed.lm.port, 65535))
    installed.at(f"http://{loopback(77)}:{installed.lm.port}")
    yield


@breakage(Step.CONNECTION, "off or asleep", "Wake it with /model wake", TERMINAL)
async def machine_asleep_that_can_be_woken(installed: Installation) -> AsyncIterator[None]:
    installed.stack.enter_context(silence(loopback(76), installed.lm.port, 65535))
    installed.at(f"http://{loopback(76)}:{installed.lm.port}")
    installed.settings["CLAWBOT_LMSTUDIO__WAKE"] = "02:00:00:00:00:01"
    yield


@breakage(Step.CONNECTION, "LM Studio answers at port 1234", "Write port 1234")
async def wrong_port(installed: Installation) -> AsyncIterator[None]:
    await installed.stack.enter_async_context(proxy(installed.lm.port, host=loopback(78), at=1234))
    installed.at(f"http://{loopback(78)}:{installed.lm.port}")
    yield


@breakage(Step.CONNECTION, "listens only at 127.0.0.1", "Serve on Local Network")
async def bound_to_loopback(installed: Installation) -> AsyncIterator[None]:
    installed.at(f"http://127.0.0.79:{installed.lm.port}")
    yield


@breakage(Step.CONNECTION, "a firewall drops", "Allow LM Studio in the firewall")
async def dropped_packets(installed: Installation) -> AsyncIterator[None]:
    await installed.lm.blackhole()
    yield


# Its name


@breakage(Step.NAME, "no such name", "spelling in LMSTUDIO_BASE_URL")
async def wrong_name(installed: Installation) -> AsyncIterator[None]:
    installed.names({"llm.test": ()})
    installed.at(f"http://llm.test:{installed.lm.port}")
    yield


@breakage(Step.CONNECTION, "only an IPv6 address", "IPv4 address into LMSTUDIO_BASE_URL")
async def name_with_ipv6_only(installed: Installation) -> AsyncIterator[None]:
    installed.names({"llm.test": ("::1",)})
    installed.at(f"http://llm.test:{installed.lm.port}")
    yield


@breakage(Step.CONNECTION, "several addresses", "Take the old address out")
async def two_answers_to_one_name(installed: Installation) -> AsyncIterator[None]:
    installed.names({"llm.test": ("127.0.0.1", "127.0.0.80")})
    installed.at(f"http://llm.test:{installed.lm.port}")
    yield


@breakage(Step.CONNECTION, "belongs to a VPN", "VPN is up on both machines")
async def vpn_down(installed: Installation) -> AsyncIterator[None]:
    installed.names({"llm.test": ("100.127.255.253",)})
    installed.at(f"http://llm.test:{installed.lm.port}")
    yield


# TLS


@breakage(Step.TLS, "says https", "LM Studio itself speaks plain HTTP")
async def https_on_plain_http(installed: Installation) -> AsyncIterator[None]:
    installed.at(f"https://127.0.0.1:{installed.lm.port}")
    yield


async def encrypted(installed: Installation, begins_days: int) -> Path:
    """Put TLS before LM Studio; return the certificate."""
    begins = SystemClock().now() + timedelta(days=begins_days)
    made = certificate(installed.folder.parent, begins, 30)
    way = proxy(installed.lm.port, tls=made.server)
    installed.at(f"https://127.0.0.1:{await installed.stack.enter_async_context(way)}")
    return made.file


@breakage(Step.TLS, "has expired", "Renew the certificate")
async def expired_certificate(installed: Installation) -> AsyncIterator[None]:
    installed.settings["CLAWBOT_LMSTUDIO__CA_FILE"] = str(await encrypted(installed, -40))
    yield


@breakage(Step.TLS, "isn't trusted", "CLAWBOT_LMSTUDIO__CA_FILE")
async def unknown_certificate(installed: Installation) -> AsyncIterator[None]:
    await encrypted(installed, -1)
    yield


@breakage(Step.TLS, "isn't the one that is configured", "put its new fingerprint")
async def wrong_fingerprint(installed: Installation) -> AsyncIterator[None]:
    await encrypted(installed, -1)
    installed.settings["CLAWBOT_LMSTUDIO__CERTIFICATE_SHA256"] = "ab" * 32
    yield
    # aiohttp says good-bye to a wrong peer, and a loop that ends meanwhile leaves that to the collector.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


# What answers


@breakage(Step.SERVER, "a wrong path", "nothing after it or /v1")
async def wrong_base_path(installed: Installation) -> AsyncIterator[None]:
    installed.at(f"{installed.lm.base_url}/openai")
    yield


@breakage(Step.SERVER, "Something other than LM Studio", "Compare address and port")
async def foreign_server(installed: Installation) -> AsyncIterator[None]:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    installed.stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    installed.at(f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield


async def answering(installed: Installation, reply: bytes, tls: ssl.SSLContext | None) -> None:
    """Let something else answer whatever it is asked, and configure its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(1024)
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    installed.stack.callback(server.close)
    installed.at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")


PAGE = b"Content-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"


@breakage(Step.SERVER, "A web page, such as a router's", "Compare address and port", TERMINAL)
async def log_in_page_of_a_router(installed: Installation) -> AsyncIterator[None]:
    await answering(installed, b"HTTP/1.1 200 OK\r\n" + PAGE, None)
    yield


@breakage(Step.HTTP, "asks for a log-in", "without that proxy", TERMINAL)
async def proxy_that_wants_a_password(installed: Installation) -> AsyncIterator[None]:
    await answering(installed, b"HTTP/1.1 407 Proxy Authentication Required\r\n" + PAGE, None)
    yield


@breakage(Step.HTTP, "takes only https", "begin with https", TERMINAL)
async def http_on_a_tls_port(installed: Installation) -> AsyncIterator[None]:
    made = certificate(installed.folder.parent, SystemClock().now() - timedelta(days=1), 30)
    await answering(installed, b"", made.server)
    yield


@breakage(Step.HTTP, "come compressed", "Switch off compression", TERMINAL)
async def proxy_that_compresses(installed: Installation) -> AsyncIterator[None]:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"
    await answering(installed, head, None)
    yield


@breakage(Step.AUTHENTICATION, "none is configured", "Create an API token")
async def missing_token(installed: Installation) -> AsyncIterator[None]:
    installed.lm.options.token = "sk-lm-right:one"
    yield


@breakage(Step.AUTHENTICATION, "refuses the token", "Compare LMSTUDIO_API_TOKEN")
async def wrong_token(installed: Installation) -> AsyncIterator[None]:
    installed.lm.options.token = "sk-lm-right:one"
    installed.settings["LMSTUDIO_API_TOKEN"] = "sk-lm-wrong:one"
    yield


@breakage(Step.AUTHENTICATION, "holds a placeholder", "begins with sk-lm-")
async def placeholder_token(installed: Installation) -> AsyncIterator[None]:
    installed.lm.options.token = "sk-lm-right:one"
    installed.settings["LMSTUDIO_API_TOKEN"] = "lm-studio"
    yield


# Models


async def with_models(installed: Installation, *models: Model) -> None:
    """Let the machine have these models."""
    await installed.lm.stop()
    installed.lm.models = list(models)
    await installed.lm.stop()
    await installed.lm.start()


@breakage(Step.MODELS, "no model to offer", "Download a model")
async def no_model(installed: Installation) -> AsyncIterator[None]:
    await with_models(installed)
    yield


@breakage(Step.MODELS, "The configured model isn't there.", "/model use")
async def wrong_model(installed: Installation) -> AsyncIterator[None]:
    installed.settings["LMSTUDIO_MODEL"] = "google/gemma-3-27b"
    yield


@breakage(Step.MODELS, "one of nearly that name", f"Set LMSTUDIO_MODEL to `{KEY}`")
async def near_name(installed: Installation) -> AsyncIterator[None]:
    installed.settings["LMSTUDIO_MODEL"] = "qwen/qwen3-nxt-80b"
    yield


@breakage(Step.MODELS, "Only embedding models", "Download a chat model")
async def only_an_embedding_model(installed: Installation) -> AsyncIterator[None]:
    await with_models(installed, Model("nomic/embed", kind="embedding"))
    yield


@breakage(Step.MODELS, "just-in-time loading is off", "Load a model in LM Studio")
async def not_loaded_without_jit(installed: Installation) -> AsyncIterator[None]:
    installed.lm.options.jit = False
    await with_models(installed, Model(KEY, loaded=False))
    yield


@breakage(Step.MODELS, "very small context", "8192 tokens or more")
async def context_too_small(installed: Installation) -> AsyncIterator[None]:
    await with_models(installed, Model(KEY, context_tokens=2048))
    yield


@breakage(Step.COMPLETION, "too little memory", "such as `small/one` (8 GB)")
async def out_of_memory(installed: Installation) -> AsyncIterator[None]:
    small = Model("small/one", loaded=False, size_bytes=8_000_000_000)
    await with_models(installed, Model(KEY), small)
    installed.lm.faults.next(Fault.BAD_ALLOC, times=None)
    yield


@breakage(Step.FILTER, "writes its thinking into its answers", "separate reasoning_content")
async def leaking_model(installed: Installation) -> AsyncIterator[None]:
    installed.lm.answer(
        Answer("Yes, it is.", reasoning="Let me think about 17.", markup="qwen3_hybrid")
    )
    yield


# The link


@breakage(Step.PATH, "The way to the server is slow.", "a cable is quicker")
async def slow_link(installed: Installation) -> AsyncIterator[None]:
    port = await installed.stack.enter_async_context(proxy(installed.lm.port, delay=lambda _: 0.2))
    installed.at(f"http://127.0.0.1:{port}")
    yield


@breakage(Step.PATH, "lost or very late", "Use a cable instead of Wi-Fi")
async def lossy_link(installed: Installation) -> AsyncIterator[None]:
    chunks = iter(range(1_000_000))
    port = await installed.stack.enter_async_context(
        proxy(installed.lm.port, delay=lambda _: 0.0 if next(chunks) % 3 else 1.0)
    )
    installed.at(f"http://127.0.0.1:{port}")
    yield


@breakage(Step.PATH, "The way to the server is slow.", "a cable is quicker")
async def narrow_link(installed: Installation) -> AsyncIterator[None]:
    way = proxy(installed.lm.port, delay=lambda size: size / 50_000)
    installed.at(f"http://127.0.0.1:{await installed.stack.enter_async_context(way)}")
    yield


@breakage(Step.SPEED, "The model is slow", "smaller model or quantisation")
async def slow_model(installed: Installation) -> AsyncIterator[None]:
    installed.lm.set_timing(Timing(generation_tokens_s=2, prefill_tokens_s=1000))
    yield


# Discord


@breakage(Step.REST, "Discord can't be reached", "internet connection and firewall")
async def discord_out_of_reach(installed: Installation) -> AsyncIterator[None]:
    installed.once_online = lambda: installed.discord.faults.reset("GET", "/users/@me", times=100)
    yield


@breakage(Step.REST, "doesn't know Discord's address", "DNS", TERMINAL)
async def discord_without_a_name(installed: Installation) -> AsyncIterator[None]:
    installed.names({"discord.test": ()})
    installed.settings["CLAWBOT_DISCORD_API_BASE"] = "https://discord.test/api/v10"
    yield


@breakage(Step.REST, "The proxy to Discord", "CLAWBOT_DISCORD__PROXY", TERMINAL)
async def discord_behind_a_proxy_that_is_off(installed: Installation) -> AsyncIterator[None]:
    installed.settings["CLAWBOT_DISCORD__PROXY"] = "http://127.0.0.82:3128"
    yield


@breakage(Step.REST, "its own certificate", "proxy or virus scanner", TERMINAL)
async def discord_behind_a_strange_certificate(installed: Installation) -> AsyncIterator[None]:
    made = certificate(installed.folder.parent, SystemClock().now() - timedelta(days=1), 30)
    way = proxy(installed.lm.port, tls=made.server)
    port = await installed.stack.enter_async_context(way)
    installed.settings["CLAWBOT_DISCORD_API_BASE"] = f"https://127.0.0.1:{port}/api/v10"
    yield


@breakage(Step.REST, "Something other than Discord answers", "log-in page or proxy", TERMINAL)
async def discord_behind_a_log_in_page(installed: Installation) -> AsyncIterator[None]:
    await answering(
        installed, b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/in\r\n" + PAGE, None
    )
    address = installed.settings.pop("LMSTUDIO_BASE_URL")
    installed.settings["CLAWBOT_DISCORD_API_BASE"] = f"{address}/api/v10"
    yield


@breakage(Step.REST, "an error of its own (status 503)", "discordstatus.com")
async def discords_own_error(installed: Installation) -> AsyncIterator[None]:
    installed.once_online = lambda: installed.discord.faults.fail(
        "GET", "/users/@me", status=503, times=100
    )
    yield


@breakage(Step.PERMISSIONS, "lacks Send Messages", "bot's role", CHAT)
async def missing_permission(installed: Installation) -> AsyncIterator[None]:
    assert installed.channel.guild is not None
    installed.channel.overwrite(installed.channel.guild.everyone, deny=SEND_MESSAGES)
    yield


@breakage(Step.INTENT, "Without the Message Content intent", "developer portal")
async def missing_intent(installed: Installation) -> AsyncIterator[None]:
    installed.discord.world.portal_intents = 0
    yield


@breakage(Step.CLOCK, "clock of the bot's machine is slow", "automatic time")
async def clock_off(installed: Installation) -> AsyncIterator[None]:
    installed.discord.options.date_off_s = 600.0
    yield


@breakage(Step.TOKEN, "holds a placeholder", "Developer Portal", TERMINAL)
async def discord_placeholder(installed: Installation) -> AsyncIterator[None]:
    installed.settings["DISCORD_TOKEN"] = "your-token-here"
    yield


@breakage(Step.TOKEN, "reset or mistyped", "Developer Portal", TERMINAL)
async def discord_wrong_token(installed: Installation) -> AsyncIterator[None]:
    installed.settings["DISCORD_TOKEN"] = f"MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.{'x' * 38}"
    yield


# The bot's own machine


def read_only(installed: Installation) -> Path:
    """Return a folder in which no file can be made; on Linux not even by root."""
    kernel = Path("/sys/kernel")
    if kernel.is_dir():
        return kernel
    made = installed.folder.with_name("read-only")
    made.mkdir(mode=0o500)
    return made


@breakage(Step.STORAGE, "The data folder can't be used", "CLAWBOT_DATA_DIR", TERMINAL)
async def data_folder_read_only(installed: Installation) -> AsyncIterator[None]:
    installed.settings["CLAWBOT_DATA_DIR"] = str(read_only(installed))
    yield


@breakage(Step.STORAGE, "can't be written", "Look at the disk", CHAT)
async def data_folder_gone_read_only(installed: Installation) -> AsyncIterator[None]:
    kept, broken = installed.folder.with_name("kept"), installed.folder.with_name("broken")
    kept.mkdir(mode=0o700)
    installed.folder.symlink_to(kept)
    broken.symlink_to(read_only(installed))
    installed.once_online = lambda: broken.replace(
        installed.folder
    )  # in one step, whoever looks meanwhile
    installed.is_broken = lambda: any(
        r.name.startswith("bot.storage") for r in installed.caplog.records
    )
    yield


@breakage(Step.STORAGE, "database is damaged", "backup", TERMINAL)
async def database_damaged(installed: Installation) -> AsyncIterator[None]:
    damage(installed)
    yield


@breakage(Step.STORAGE, "was set aside", "Bring it back from there", CHAT)
async def database_was_damaged(installed: Installation) -> AsyncIterator[None]:
    damage(installed)
    yield


def damage(installed: Installation) -> None:
    """Put something else in the database's place."""
    installed.folder.mkdir(mode=0o700)
    (installed.folder / DATABASE_FILE).write_bytes(os.urandom(16_384))


@breakage(Step.DATABASE, "nothing listens at that address", "CLAWBOT_DATABASE_URL", TERMINAL)
async def database_server_off(installed: Installation) -> AsyncIterator[None]:
    installed.settings["CLAWBOT_DATABASE_URL"] = "postgresql://bot:planted@127.0.0.81:5999/bot"
    yield


@breakage(Step.METRICS, "can't be served", "Write an address of this machine", TERMINAL)
async def foreign_metrics_address(installed: Installation) -> AsyncIterator[None]:
    installed.settings["CLAWBOT_METRICS_ADDR"] = "192.0.2.1:9090"
    yield


# What isn't broken


async def nothing(_stage: Installation) -> AsyncIterator[None]:
    yield


async def trusted_certificate(installed: Installation) -> AsyncIterator[None]:
    installed.settings["CLAWBOT_LMSTUDIO__CA_FILE"] = str(await encrypted(installed, -1))
    yield


async def right_fingerprint(installed: Installation) -> AsyncIterator[None]:
    file = await encrypted(installed, -1)
    der = ssl.PEM_cert_to_DER_cert(file.read_text())
    fingerprint = hashlib.sha256(der).hexdigest()
    installed.settings["CLAWBOT_LMSTUDIO__CERTIFICATE_SHA256"] = fingerprint
    yield


async def right_name_and_path(installed: Installation) -> AsyncIterator[None]:
    installed.names({"llm.test": ("127.0.0.1",)})
    installed.at(f"http://llm.test:{installed.lm.port}/v1")
    yield


async def right_token_and_model(installed: Installation) -> AsyncIterator[None]:
    small = Model("small/one", loaded=False, size_bytes=8_000_000_000)
    await with_models(installed, Model(KEY, context_tokens=8192), small)
    installed.lm.options.token = "sk-lm-right:one"
    installed.settings["LMSTUDIO_API_TOKEN"] = "sk-lm-right:one"
    installed.settings["LMSTUDIO_MODEL"] = KEY
    yield


async def localhost_with_ipv6_first(installed: Installation) -> AsyncIterator[None]:
    installed.names({"localhost": ("::1", "127.0.0.1")})
    installed.at(f"http://localhost:{installed.lm.port}")
    yield


async def thinking_apart(installed: Installation) -> AsyncIterator[None]:
    installed.lm.answer(Answer("Yes, it is.", reasoning="Let me think about 17.", markup="field"))
    yield


HEALTHY = (
    nothing,
    trusted_certificate,
    right_fingerprint,
    right_name_and_path,
    right_token_and_model,
    localhost_with_ipv6_first,
    thinking_apart,
)


@pytest.fixture
async def installed(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    channel: Channel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> AsyncGenerator[Installation, None]:
    """A healthy set-up; names are the system's until a breakage gives its own."""
    real = socket.getaddrinfo

    def names(known: dict[str, tuple[str, ...]]) -> None:
        def answer(host: str, *args: Any, **more: Any) -> Any:
            if host not in known:
                return real(host, *args, **more)
            found = [item for each in known[host] for item in real(each, *args, **more)]
            if not found:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return found

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    async with AsyncExitStack() as stack:
        yield Installation(discord, lm, channel, tmp_path / "data", names, stack, caplog)


async def undisturbed(ask: Callable[[], Awaitable[T]], cause: str) -> T:
    """Ask for a report, and again where it names a slowness that isn't what is broken."""
    for _ in range(ATTEMPTS - 1):
        told = await ask()
        if not any(words in str(told) and words not in cause for words in SLOWNESS):
            return told
    return await ask()


async def asked_in_chat(installed: Installation, owner: Person) -> str:
    """Use ``/diag network``, and return the whole report."""
    made = await owner.slash(installed.channel, "diag network")
    await made.wait_response()
    assert made.ephemeral
    await installed.discord.wait_until(
        lambda: made.content and "Looking" not in made.content, timeout_s=40
    )
    return made.content


async def in_chat(installed: Installation, owner: Person, cause: str = "") -> list[list[str]]:
    """Return the lines of each paragraph of the report in chat on something that is broken."""
    settings = settings_for(
        installed.discord,
        installed.lm,
        installed.folder,
        **{"CLAWBOT_OWNER_IDS": str(owner.id), **installed.settings},
    )
    async with running(settings):
        installed.once_online()
        await installed.lm.wait_until(installed.is_broken)
        report = await undisturbed(lambda: asked_in_chat(installed, owner), cause)
    return [paragraph.split("\n") for paragraph in report.split("\n\n")]


async def in_terminal(
    installed: Installation, capsys: pytest.CaptureFixture[str], cause: str = ""
) -> tuple[list[str], int]:
    """Run ``clawbot check``; return its lines, and its exit code."""
    environment = {
        "DISCORD_TOKEN": installed.discord.token,
        "CLAWBOT_DISCORD_API_BASE": installed.discord.api_base,
        "CLAWBOT_DISCORD_GATEWAY_URL": installed.discord.gateway_url,
        "LMSTUDIO_BASE_URL": installed.lm.base_url,
        "CLAWBOT_DATA_DIR": str(installed.folder),
        **installed.settings,
    }
    installed.once_online()

    async def ask() -> tuple[list[str], int]:
        with contextlib.suppress(OSError):
            capsys.readouterr()
        code = await asyncio.to_thread(check, load_settings(environment))
        # A server that is closed while it takes a connection leaves it to the collector.
        await settle()
        return capsys.readouterr().out.splitlines(), code

    return await undisturbed(ask, cause)


def cases(where: str) -> list[str]:
    return [name for name, case in BREAKAGES.items() if where in case.where]


def test_there_are_thirty() -> None:
    assert len(cases(TERMINAL)) >= 30
    assert len(BREAKAGES) >= 35


@pytest.mark.parametrize("name", cases(CHAT))
async def test_chat_names_one_cause_and_its_advice_first(
    name: str, installed: Installation, ada: Person
) -> None:
    case = BREAKAGES[name]
    async with asynccontextmanager(case.arrange)(installed):
        report = await in_chat(installed, ada, case.cause)
    problem, *rest = report
    assert [line for part in report for line in part if line.startswith(("❌", "⚠️"))] == problem[:1]
    assert f"**{case.step}**" in problem[0]
    assert case.cause in problem[0]
    assert problem[1].startswith("➡️ ")
    assert case.advice in problem[1]
    assert sum("Not tried after that" in line for part in rest for line in part) <= 1


@pytest.mark.parametrize("name", cases(TERMINAL))
async def test_the_terminal_names_one_cause_and_its_advice(
    name: str, installed: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    case = BREAKAGES[name]
    async with asynccontextmanager(case.arrange)(installed):
        lines, code = await in_terminal(installed, capsys, case.cause)
    wrong = [at for at, line in enumerate(lines) if re.match(r"  FAILED| warning", line)]
    assert len(wrong) == 1, lines
    shown = lines[wrong[0]]
    assert shown[10:].startswith(f"{case.step}: ")
    said = " ".join(line.strip() for line in lines[wrong[0] : wrong[0] + 2])
    assert case.cause in said
    assert case.advice in said.replace('"', "“")
    is_own = case.step in {Step.TOKEN, Step.STORAGE}
    assert code == (0 if shown.startswith(" warning") else 78 if is_own else 69)
    assert "planted" not in "".join(lines)


@pytest.mark.parametrize("arrange", HEALTHY)
async def test_chat_reports_nothing_of_a_healthy_set_up(
    arrange: Arrange, installed: Installation, ada: Person
) -> None:
    async with asynccontextmanager(arrange)(installed):
        report = await in_chat(installed, ada)
    assert report[0] == ["✅ **Everything is well.**"]
    assert not any(line.startswith(("❌", "⚠️", "⏭️")) for part in report for line in part)


@pytest.mark.parametrize("arrange", HEALTHY)
async def test_the_terminal_reports_nothing_of_a_healthy_set_up(
    arrange: Arrange, installed: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    async with asynccontextmanager(arrange)(installed):
        lines, code = await in_terminal(installed, capsys)
    assert code == 0
    assert lines[-1] == "Everything is well."
    assert not [line for line in lines if re.match(r"  FAILED| warning| skipped", line)]
