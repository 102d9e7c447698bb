"""Discord through a proxy: REST, gateway and attachments go through it, LM Studio never."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.gateway.proxy import connector_for
from config.loader import load_settings
from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import environment_between, running, settings_for
from tests.support.links import certificate
from tests.support.process import clawbot, run_clawbot
from tests.support.proxies import LocalProxy, local_proxy

HIDDEN = "discord.test"
"""A name that only the proxy can resolve."""


def hide(discord: DiscordSandbox) -> dict[str, str]:
    """Move the sandbox's Discord to a name that leads nowhere but in the proxy."""
    discord.world.origin = discord.world.origin.replace("127.0.0.1", HIDDEN)
    return {HIDDEN: "127.0.0.1"}


@pytest.mark.parametrize(
    ("kind", "login"),
    [("http", ""), ("http", "ada:p@ss"), ("socks5", ""), ("socks5", "ada:s3cret")],
)
async def test_a_question_with_a_file_is_answered_through_the_proxy(
    *,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
    kind: str,
    login: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with local_proxy(LocalProxy(kind, login, hide(discord))) as proxy:
        address = proxy.address.replace("p@ss", "p%40ss")
        settings = settings_for(discord, lm, tmp_path, CLAWBOT_DISCORD__PROXY=address)
        async with running(settings):
            message = await ada.mention(
                channel, "What does it say?", files=[("tea.txt", b"Bring green tea.")]
            )
            reply = await discord.wait_reply(message)
            await discord.wait_until(lambda: bool(reply.content))
    assert "Bring green tea." in str(lm.completions[0].body)
    here = discord.world.origin.removeprefix("http://")
    assert set(proxy.asked) == {here}
    assert login.rpartition(":")[2] not in caplog.text or not login
    assert HIDDEN not in lm.base_url


async def test_lm_studio_is_reached_directly_whatever_the_environment_says(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    async with local_proxy(LocalProxy("http", names=hide(discord))) as proxy:
        environment = environment_between(
            discord, lm, tmp_path / "data",
            HTTPS_PROXY=proxy.address, HTTP_PROXY=proxy.address, ALL_PROXY=proxy.address, NO_PROXY="",
            https_proxy="", http_proxy="", no_proxy="",
        )  # fmt: skip
        async with clawbot("run", folder=tmp_path, environment=environment):
            await discord.wait_online()
            message = await ada.mention(channel, "Hello?")
            reply = await discord.wait_reply(message)
            await discord.wait_until(lambda: bool(reply.content))
    assert set(proxy.asked) == {discord.world.origin.removeprefix("http://")}


async def test_hosts_that_are_excepted_are_reached_directly(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    gateway = discord.gateway_url
    async with local_proxy(LocalProxy("http", names=hide(discord))) as proxy:
        environment = {
            **environment_between(discord, lm, tmp_path),
            "CLAWBOT_DISCORD_GATEWAY_URL": gateway,
            "HTTPS_PROXY": proxy.address,
            "NO_PROXY": "elsewhere.example, 127.0.0.1",
        }
        settings = load_settings(environment).settings
        assert settings.discord.no_proxy == ("elsewhere.example", "127.0.0.1")
        async with running(settings):
            await discord.wait_online()
        assert set(proxy.asked) == {discord.world.origin.removeprefix("http://")}
        tunnels = len(proxy.asked)
        for excepted in ("*", ".0.0.1"):
            changed = {**environment, "NO_PROXY": excepted}
            connector = connector_for(load_settings(changed).settings.discord)
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.get(gateway.replace("ws://", "http://")) as response,
            ):
                assert response.status < 500
        assert len(proxy.asked) == tunnels


async def test_a_proxy_that_speaks_tls_is_trusted_by_its_certificate(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    made = certificate(tmp_path, datetime.now(UTC) - timedelta(days=1), 3)
    async with local_proxy(LocalProxy("https", "ada:secret", hide(discord)), made.server) as proxy:
        environment = environment_between(
            discord, lm, tmp_path / "data", CLAWBOT_DISCORD__PROXY=proxy.address
        )
        trusted = {**environment, "SSL_CERT_FILE": str(made.file)}
        done = await run_clawbot("check", folder=tmp_path, environment=trusted)
        assert "The token is right" in done.out
        done = await run_clawbot("check", folder=tmp_path, environment=environment)
        assert done.code == 69
    assert "secret" not in done.out + done.err


@pytest.mark.parametrize("kind", ["http", "socks5"])
@pytest.mark.parametrize("login", ["", "ada:wr0ng@"])
async def test_a_check_names_a_wrong_login_at_the_proxy(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, kind: str, login: str
) -> None:
    async with local_proxy(LocalProxy(kind, "ada:s3cret", hide(discord))) as proxy:
        environment = environment_between(
            discord, lm, tmp_path / "data",
            CLAWBOT_DISCORD__PROXY=proxy.address.replace("ada:s3cret@", login),
        )  # fmt: skip
        done = await run_clawbot("check", folder=tmp_path, environment=environment)
    assert done.code == 69
    assert "The proxy to Discord wants another user and password." in done.out
    assert "wr0ng" not in done.out + done.err
