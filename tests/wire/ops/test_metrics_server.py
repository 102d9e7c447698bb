"""The metrics' address, over a real socket."""

from __future__ import annotations

import json

import aiohttp
import pytest

from bot.core.domain import Origin
from bot.core.errors import DependencyError
from bot.ops.metrics import Metrics
from bot.ops.status_server import Look, PartState, StatusServer


async def get(server: StatusServer, path: str, **headers: str) -> tuple[int, str]:
    """Ask the server once."""
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text()


def serving(
    address: str = "127.0.0.1:0",
    metrics: Metrics | None = None,
    *,
    health: Look = list,
    readiness: Look = list,
) -> StatusServer:
    """Return a server of which only what a test is about is given."""
    return StatusServer(address, metrics or Metrics(), health=health, readiness=readiness)


async def test_figures_are_served() -> None:
    metrics = Metrics()
    metrics.accepted(Origin.MENTION)
    async with serving(metrics=metrics) as server:
        status, text = await get(server, "/metrics")
        assert status == 200
        assert 'clawbot_questions_accepted_total{origin="mention"} 1.0' in text
        assert (await get(server, "/"))[0] == 404


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_each_part_is_told_and_one_that_fails_is_enough(path: str) -> None:
    found = [PartState("database", True, "writable")]
    async with serving(health=lambda: found, readiness=lambda: found) as server:
        assert await get(server, path) == (200, "ok\ndatabase: writable\n")
        found.append(PartState("discord", False, "no session with Discord yet"))
        status, text = await get(server, path)
        assert status == 503
        assert text == "failing\ndatabase: writable\ndiscord: no session with Discord yet\n"


async def test_the_state_comes_as_json_on_request() -> None:
    found = [PartState("database", False, "can't be written")]
    async with serving(readiness=lambda: found) as server:
        status, text = await get(server, "/readyz", Accept="application/json")
        assert status == 503
        part = {"part": "database", "is_ok": False, "says": "can't be written"}
        assert json.loads(text) == {"status": "failing", "parts": [part]}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_only_get_is_allowed(method: str) -> None:
    async with serving() as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        async with aiohttp.ClientSession() as session, session.request(method, url) as response:
            assert response.status == 405


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9100", "127.0.0.1.evil.example"])
async def test_a_foreign_host_name_is_refused(host: str) -> None:
    async with serving() as server:
        assert (await get(server, "/metrics", Host=host))[0] == 421


@pytest.mark.parametrize("host", ["clawbot", "clawbot:9095", "nas.local", "bot.internal:9095"])
async def test_a_name_of_a_private_network_is_accepted_where_the_network_may_ask(host: str) -> None:
    async with serving("0.0.0.0:0") as server:
        assert (await get(server, "/metrics", Host=host))[0] == 200
        for foreign in (f"{host.partition(':')[0]}.evil.example", "evil.example", "clawbot."):
            assert (await get(server, "/metrics", Host=foreign))[0] == 421
    async with serving() as server:
        assert (await get(server, "/metrics", Host=host))[0] == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "[::1]:9", "192.168.1.5:9100"])
async def test_an_address_or_our_own_name_is_accepted(host: str) -> None:
    async with serving() as server:
        assert (await get(server, "/healthz", Host=host))[0] == 200


async def test_a_taken_port_is_said_in_a_sentence() -> None:
    async with serving() as first:
        with pytest.raises(
            DependencyError, match="CLAWBOT_METRICS_ADDR: can't listen on port"
        ) as no:
            async with serving(f"127.0.0.1:{first.port}"):
                pass
    assert no.value.exit_code == 69


@pytest.mark.parametrize(
    ("address", "words"),
    [("192.0.2.1:9100", "address of this machine"), ("nowhere.invalid:9100", "no such name")],
)
async def test_a_foreign_address_is_not_called_in_use(address: str, words: str) -> None:
    with pytest.raises(DependencyError, match=words) as no:
        async with serving(address):
            pass
    assert "end what uses it" not in str(no.value)


async def test_the_port_is_free_again_after_the_end() -> None:
    async with serving() as server:
        port = server.port
    async with serving(f"127.0.0.1:{port}") as again:
        assert again.port == port


async def test_requests_to_discord_are_counted_by_their_session() -> None:
    metrics = Metrics()
    async with serving() as server:
        trace = metrics.discord_trace()
        port = server.port
        url = f"http://127.0.0.1:{port}/healthz"
        async with aiohttp.ClientSession(trace_configs=[trace]) as session, session.get(url):
            pass
    async with aiohttp.ClientSession(trace_configs=[metrics.discord_trace()]) as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"http://127.0.0.1:{port}/healthz")
    text = metrics.render().decode()
    assert 'clawbot_discord_requests_total{method="GET",route="other",status="2xx"} 1.0' in text
    assert 'clawbot_discord_requests_total{method="GET",route="other",status="none"} 1.0' in text
