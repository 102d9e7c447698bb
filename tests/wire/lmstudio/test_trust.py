"""Where a prompt and a token may go: one origin, pinned, trusted, and nowhere it points to."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.core.errors import ConfigurationError
from bot.lmstudio import LMStudioBackend, errors, open_backend
from bot.lmstudio.transport import PinnedResolver
from config.settings import LMStudioSettings
from sandbox.lmstudio import Fault, LMStudioSandbox
from tests.support.clock import FakeClock
from tests.support.links import certificate
from tests.unit.lmstudio.chunks import chunk, delta_event, event
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import ask, connected

TOKEN = "sk-lm-canary:0123456789"
ALLOWED = {
    "messages",
    "model",
    "temperature",
    "top_p",
    "max_tokens",
    "stream",
    "stream_options",
    "reasoning_effort",
}


async def test_the_token_opens_the_door(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox(token=TOKEN) as sandbox,
        connected(clock, sandbox.base_url, api_token=SecretStr(TOKEN)) as backend,
    ):
        outcome = await ask(clock, backend)
        assert outcome.text
        assert backend.known_models()


async def test_a_wrong_token_is_neither_logged_nor_tried_elsewhere(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        LMStudioSandbox(token="sk-lm-right:1") as sandbox,
        connected(clock, sandbox.base_url, api_token=SecretStr(TOKEN)) as backend,
    ):
        outcome = await ask(clock, backend)
        assert isinstance(outcome.error, errors.AuthenticationError)
        assert backend.is_available()
        assert {request.path for request in sandbox.requests} == {
            "/api/v1/models",
            "/v1/chat/completions",
        }
        assert "sk-lm" not in caplog.text
        assert PARIS not in caplog.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int, clock: FakeClock) -> None:
    async with (
        LMStudioSandbox() as elsewhere,
        LMStudioSandbox() as sandbox,
        connected(clock, sandbox.base_url, api_token=SecretStr(TOKEN)) as backend,
    ):
        target = f"{elsewhere.base_url}/v1/chat/completions"
        sandbox.faults.next(Fault.REDIRECT, times=None, location=target, status=status)
        outcome = await ask(clock, backend)
        assert isinstance(outcome.error, errors.RedirectError)
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("token", "sent"),
    [
        ("sk-lm-one", ({"Bearer sk-lm-one"}, {None})),
        ("sk-lm-one,sk-lm-two", ({"Bearer sk-lm-one"}, {"Bearer sk-lm-two"})),
        (" , sk-lm-two", ({None}, {"Bearer sk-lm-two"})),
    ],
)
async def test_a_token_goes_only_to_the_origin_it_is_for(
    token: str, sent: tuple[set[str | None], set[str | None]], clock: FakeClock
) -> None:
    async with (
        LMStudioSandbox() as one,
        LMStudioSandbox() as two,
        connected(clock, one.base_url, two.base_url, api_token=SecretStr(token)) as backend,
    ):
        one.faults.next(Fault.HTML_503, times=None)
        await ask(clock, backend)
        await backend.probe_now()
        for sandbox, tokens in zip((one, two), sent, strict=True):
            assert sandbox.completions
            assert {request.headers.get("authorization") for request in sandbox.requests} == tokens


async def test_proxies_of_the_environment_are_not_used(
    sandbox: LMStudioSandbox, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LMStudioSandbox() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url)
        async with connected(clock, sandbox.base_url) as backend:
            assert (await ask(clock, backend)).text == PARIS
        assert proxy.requests == []


async def test_the_body_has_only_known_fields(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    await ask(clock, backend)
    body = sandbox.completions[0].body
    assert set(body) <= ALLOWED
    assert {"temperature", "top_p", "max_tokens"} <= set(body)
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


async def test_compression_is_neither_asked_for_nor_taken(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.faults.next(Fault.GZIP_BOMB, times=None)
    outcome = await ask(clock, backend)
    assert isinstance(outcome.error, errors.BadResponseError)
    assert {request.headers["accept-encoding"] for request in sandbox.requests} == {"identity"}


async def test_cookies_are_not_kept(clock: FakeClock) -> None:
    seen: list[str | None] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        response = web.json_response({"data": [{"id": "m"}]})
        response.set_cookie("a", "b")
        return response

    async with serving(handle) as url, connected(clock, url) as backend:
        await backend.probe_now()
    assert seen[1:]
    assert set(seen) == {None}


async def test_a_name_that_moves_is_not_followed(
    sandbox: LMStudioSandbox, clock: FakeClock
) -> None:
    answers = ["127.0.0.1"]

    async def lookup(_host: str) -> Sequence[str]:
        return [answers.pop(0)] if len(answers) > 1 else answers

    settings = LMStudioSettings(base_url=(f"http://lm.example:{sandbox.port}",))
    async with open_backend(settings, clock, lookup=lookup) as backend:
        assert (await ask(clock, backend)).text == PARIS
        answers[:] = ["127.0.0.2"]
        sandbox.close_connections()
        assert (await ask(clock, backend)).text == PARIS
        await sandbox.refuse()
        answers[:] = ["192.0.2.7"]
        for _ in range(3):
            refused = (await ask(clock, backend)).error
            assert isinstance(refused, errors.AddressRefusedError)
            await clock.advance(40)
        await sandbox.start()
        answers[:] = ["127.0.0.1"]
        for _ in range(140):
            await clock.advance(0.5)
        assert (await ask(clock, backend)).text == PARIS


async def test_a_name_may_have_addresses_of_several_kinds_and_get_no_further_kind() -> None:
    answers = ["2a00:1450:4001::1", "192.168.1.20"]

    async def lookup(_host: str) -> Sequence[str]:
        return answers

    resolver = PinnedResolver("lm.example", lookup)
    assert [one["host"] for one in await resolver.resolve("lm.example")] == answers
    resolver.mark_unreachable()
    answers[:] = ["127.0.0.1", "192.168.1.21"]
    assert [one["host"] for one in await resolver.resolve("lm.example")] == answers[1:]


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"])
async def test_metadata_services_are_never_asked(address: str, clock: FakeClock) -> None:
    async def lookup(_host: str) -> Sequence[str]:
        return [address]

    settings = LMStudioSettings(base_url=("http://lm.example:1234",))
    async with open_backend(settings, clock, lookup=lookup) as backend:
        outcome = await ask(clock, backend)
        assert isinstance(outcome.error, errors.AddressRefusedError)


async def test_https_with_the_right_ca_file(clock: FakeClock, tmp_path: Path) -> None:
    async with (
        tls_server(tmp_path) as (url, ca_file, _),
        connected(clock, url, ca_file=ca_file) as backend,
    ):
        assert (await ask(clock, backend)).text == PARIS


async def test_https_with_the_right_fingerprint(clock: FakeClock, tmp_path: Path) -> None:
    async with (
        tls_server(tmp_path) as (url, _, fingerprint),
        connected(clock, url, certificate_sha256=fingerprint.upper()) as backend,
    ):
        assert (await ask(clock, backend)).text == PARIS


async def test_https_without_trust_sends_nothing(clock: FakeClock, tmp_path: Path) -> None:
    async with tls_server(tmp_path) as (url, _, fingerprint):
        for pinned in (None, fingerprint[::-1]):
            async with connected(clock, url, certificate_sha256=pinned) as backend:
                outcome = await ask(clock, backend)
                assert isinstance(outcome.error, errors.CertificateError)


async def test_https_on_a_plain_port_says_so(sandbox: LMStudioSandbox, clock: FakeClock) -> None:
    async with connected(clock, sandbox.base_url.replace("http:", "https:")) as backend:
        outcome = await ask(clock, backend)
        assert type(outcome.error) is errors.TlsError


@pytest.mark.parametrize(
    "settings",
    [
        {"ca_file": Path("/nonexistent/ca.pem")},
        {"certificate_sha256": "abc"},
    ],
)
async def test_wrong_settings_are_said_at_the_start(
    settings: dict[str, object], clock: FakeClock
) -> None:
    with pytest.raises(ConfigurationError):
        async with open_backend(LMStudioSettings.model_validate(settings), clock):
            pass


@asynccontextmanager
async def serving(handler: object, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve a handler on a free port of loopback."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def tls_server(folder: Path) -> AsyncIterator[tuple[str, Path, str]]:
    """Serve an answer over https; yields address, certificate file and fingerprint."""
    made = certificate(folder, datetime(2024, 11, 27, tzinfo=UTC), days=36_900)

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"data": [{"id": "m", "state": "loaded"}]})
        body = delta_event(PARIS) + event(chunk({}, "stop")) + b"data: [DONE]\n\n"
        return web.Response(body=body, content_type="text/event-stream")

    async with serving(handle, made.server) as url:
        yield url, made.file, made.fingerprint.hex()
