"""The metrics' address, over a real socket."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from bot.core.domain import Origin
from bot.core.errors import DependencyError
from bot.ops.metrics import Metrics, MetricsServer


async def get(server: MetricsServer, path: str, **headers: str) -> tuple[int, str]:
    """Ask the server once."""
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text()


async def test_figures_health_and_readiness_are_served() -> None:
    metrics, ready = Metrics(), asyncio.Event()
    metrics.accepted(Origin.MENTION)
    async with MetricsServer("127.0.0.1:0", metrics, ready.is_set) as server:
        status, text = await get(server, "/metrics")
        assert status == 200
        assert 'clawbot_questions_accepted_total{origin="mention"} 1.0' in text
        assert await get(server, "/healthz") == (200, "ok\n")
        assert await get(server, "/readyz") == (503, "not ready\n")
        ready.set()
        assert await get(server, "/readyz") == (200, "ready\n")
        assert (await get(server, "/"))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_only_get_is_allowed(method: str) -> None:
    async with MetricsServer("127.0.0.1:0", Metrics(), bool) as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        async with aiohttp.ClientSession() as session, session.request(method, url) as response:
            assert response.status == 405


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9100", "127.0.0.1.evil.example"])
async def test_a_foreign_host_name_is_refused(host: str) -> None:
    async with MetricsServer("127.0.0.1:0", Metrics(), bool) as server:
        assert (await get(server, "/metrics", Host=host))[0] == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "[::1]:9", "192.168.1.5:9100"])
async def test_an_address_or_our_own_name_is_accepted(host: str) -> None:
    async with MetricsServer("127.0.0.1:0", Metrics(), bool) as server:
        assert (await get(server, "/healthz", Host=host))[0] == 200


async def test_a_taken_port_is_said_in_a_sentence() -> None:
    async with MetricsServer("127.0.0.1:0", Metrics(), bool) as first:
        with pytest.raises(
            DependencyError, match="CLAWBOT_METRICS_ADDR: can't listen on port"
        ) as no:
            async with MetricsServer(f"127.0.0.1:{first.port}", Metrics(), bool):
                pass
    assert no.value.exit_code == 69


@pytest.mark.parametrize(
    ("address", "words"),
    [("192.0.2.1:9100", "address of this machine"), ("nowhere.invalid:9100", "no such name")],
)
async def test_a_foreign_address_is_not_called_in_use(address: str, words: str) -> None:
    with pytest.raises(DependencyError, match=words) as no:
        async with MetricsServer(address, Metrics(), bool):
            pass
    assert "end what uses it" not in str(no.value)


async def test_the_port_is_free_again_after_the_end() -> None:
    async with MetricsServer("127.0.0.1:0", Metrics(), bool) as server:
        port = server.port
    async with MetricsServer(f"127.0.0.1:{port}", Metrics(), bool) as again:
        assert again.port == port


async def test_requests_to_discord_are_counted_by_their_session() -> None:
    metrics = Metrics()
    async with MetricsServer("127.0.0.1:0", Metrics(), bool) as server:
        trace = metrics.discord_trace()
        port = server.port
        url = f"http://127.0.0.1:{port}/healthz"
        async with aiohttp.ClientSession(trace_configs=[trace]) as session, session.get(url):
            pass
    async with aiohttp.ClientSession(trace_configs=[metrics.discord_trace()]) as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"http://127.0.0.1:{port}/healthz")
    text = metrics.render().decode()
    assert 'clawbot_discord_rest_calls_total{method="GET",status="2xx"} 1.0' in text
    assert 'clawbot_discord_rest_calls_total{method="GET",status="none"} 1.0' in text
