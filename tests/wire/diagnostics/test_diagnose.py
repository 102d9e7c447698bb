"""The walk against a local LM Studio, in every state it can be in."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientSession, web

from bot.core.clock import SystemClock
from bot.diagnostics.probe import NOT_TRIED, run_probes
from bot.diagnostics.server import LOADS_BYTES
from bot.diagnostics.values import Finding, Status, Step, Target
from bot.diagnostics.walk import diagnose, probes_for
from bot.lmstudio.transport import MAX_BODY_BYTES
from sandbox.lmstudio import Fault, LMStudioSandbox, Model, Options, Timing
from tests.support.clock import FakeClock
from tests.support.links import proxy
from tests.support.web import served
from tests.wire.lmstudio.rig import passing

KEY = "qwen/qwen3-next-80b"
WALK = [probe.step for probe in probes_for("", is_encrypted=False)]

TOKEN = "sk-lm-abcdefgh:secret"


async def walk(target: Target, **more: Any) -> dict[Step, Finding]:
    found = [one async for one in diagnose(target, **{"clock": SystemClock(), **more})]
    seen = [one.step for one in found if one.step not in {Step.SETTINGS, Step.TLS}]
    assert seen == [step for step in WALK if step in seen]
    assert set(WALK) - set(seen) <= {Step.SPEED, Step.FILTER}
    for one in found:
        shown = one.cause + one.advice
        assert not re.search(r"\d+\.\d+\.\d+|:\d{2,}|sk-[a-z]+-\w", shown)
        assert one.cause
        assert bool(one.advice) == (one.status in {Status.WARNING, Status.FAILED})
        assert TOKEN not in one.technical
    return {one.step: one for one in found}


async def walk_quickly(clock: FakeClock, target: Target, **more: Any) -> dict[Step, Finding]:
    """Walk on a clock that doesn't wait, for whatever is silent."""
    return await passing(clock, walk(target, clock=clock, **more))


def only_failure(found: dict[Step, Finding], step: Step) -> Finding:
    """Return the failure, after checking that all before it is well and all after it skipped."""
    at = WALK.index(step)
    assert found[step].status is Status.FAILED
    assert all(found[one].status in {Status.OK, Status.WARNING} for one in WALK[:at])
    blocking = {NOT_TRIED.format(step=step)}
    for later in WALK[at + 1 :]:
        assert found[later].status is Status.SKIPPED
        assert found[later].cause in blocking
        blocking.add(NOT_TRIED.format(step=later))
    return found[step]


async def test_all_is_well() -> None:
    async with LMStudioSandbox() as lm:
        found = await walk(Target(lm.base_url + "/v1"))
        assert {one.status for one in found.values()} == {Status.OK}
        completion = lm.completions[0]
    assert completion.body["max_tokens"] <= 8
    assert completion.body["model"] == KEY
    assert found[Step.MODELS].facts["parallel"] == 4


@pytest.mark.parametrize("era", ["0.3", "0.4"])
async def test_both_eras(era: Any) -> None:
    async with LMStudioSandbox(options=Options(era=era)) as lm:
        found = await walk(Target(lm.base_url, model=KEY))
    assert {one.status for one in found.values()} == {Status.OK}
    assert found[Step.SERVER].facts == {"generation": era}
    assert f"It is LM Studio {era}" in found[Step.SERVER].cause
    assert found[Step.MODELS].facts["context_tokens"] == 8192


async def test_a_refused_token_is_a_sign_of_the_newest_generation() -> None:
    async with LMStudioSandbox(token=TOKEN) as lm:
        found = await walk(Target(lm.base_url))
    assert found[Step.SERVER].facts == {"generation": "0.4"}
    assert found[Step.AUTHENTICATION].status is Status.FAILED


@pytest.mark.parametrize(
    ("bytes_s", "is_slow"), [(40_000, True), (100_000, True), (1_000_000, False)]
)
async def test_what_a_link_carries_is_measured_with_bytes_that_no_model_sees(
    bytes_s: int, is_slow: bool
) -> None:
    async with LMStudioSandbox() as lm, proxy(lm.port, delay=lambda size: size / bytes_s) as port:
        path = (await walk(Target(f"http://127.0.0.1:{port}")))[Step.PATH]
        sent = [one for one in lm.requests if one.method == "POST" and one.status == 400]
        asked = len(lm.completions)
    assert path.status is (Status.WARNING if is_slow else Status.OK)
    assert ("is slow" in path.cause) == is_slow
    measured = path.facts.get("bytes_s", path.facts.get("bytes_s_below"))
    assert isinstance(measured, int)
    assert measured < 2 * bytes_s
    assert all("messages" not in one.body for one in sent)
    assert asked == 2
    assert sum(len(one.body["padding"]) for one in sent) <= sum(LOADS_BYTES)


async def test_a_server_that_does_not_read_what_is_sent_has_no_rate() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        is_greeting = b"lmstudio-greeting" in asked
        head = b"200 OK" if is_greeting else b"413 Content Too Large"
        body = b'{"lmstudio":true}' if is_greeting else b"{}"
        writer.write(b"HTTP/1.1 " + head + b"\r\nContent-Type: application/json\r\n")
        writer.write(b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with raw_server(serve) as url:
        path = (await walk(Target(url)))[Step.PATH]
    assert not any(name.startswith("bytes_s") for name in path.facts)
    assert path.status is Status.OK


async def test_off() -> None:
    async with LMStudioSandbox() as lm:
        await lm.refuse()
        failure = only_failure(await walk(Target(lm.base_url)), Step.CONNECTION)
    assert "localhost means" in failure.advice
    assert failure.technical == f"127.0.0.1:{lm.port} refused"


async def test_a_firewall_that_drops() -> None:
    async with LMStudioSandbox() as lm:
        await lm.blackhole()
        found = await walk(Target(lm.base_url))
    [failed] = [one for one in found.values() if one.status is Status.FAILED]
    accepted_elsewhere = "accepts the connection, but doesn't answer"
    said = {Step.CONNECTION: "a firewall drops", Step.HTTP: accepted_elsewhere}
    if sys.platform == "linux":
        del said[Step.HTTP]
    assert said[failed.step] in failed.cause


@pytest.mark.parametrize("url", ["ftp://x", "", "http://", "http://host:99999", "http://a b"])
async def test_no_address(url: str) -> None:
    found = await walk(Target(url))
    assert found.pop(Step.SETTINGS).status is Status.FAILED
    assert {one.status for one in found.values()} == {Status.SKIPPED}


async def test_names(clock: FakeClock) -> None:
    async def nobody(_: str) -> Sequence[str]:
        raise OSError("no such name")

    async def slow(_: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    async def busy(_: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async def here(_: str) -> Sequence[str]:
        return ("127.0.0.1",)

    async def both(_: str) -> Sequence[str]:
        return ("::1", "127.0.0.1")

    unknown = await walk(Target("http://llm.example:1234"), lookup=nobody)
    assert "no such name" in only_failure(unknown, Step.NAME).cause
    silent = await walk_quickly(clock, Target("http://llm.example:1234"), lookup=slow)
    again = await walk(Target("http://llm.example:1234"), lookup=busy)
    for found in (silent, again):
        failure = only_failure(found, Step.NAME)
        assert "name server doesn't answer" in failure.cause
        assert "DNS" in failure.advice
        assert "spelling" not in failure.advice
    async with LMStudioSandbox() as lm:
        found = await walk(Target(f"http://llm.example:{lm.port}"), lookup=here)
        assert {one.status for one in found.values()} == {Status.OK}
        mixed = await walk(Target(f"http://llm.example:{lm.port}"), lookup=both)
    assert {one.status for one in mixed.values()} == {Status.OK}  # ::1 refuses at once


@asynccontextmanager
async def raw_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> Any:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


PAGE = b"Content-Type: text/html\r\nContent-Length: 3\r\n\r\n<b>"


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not in plain HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "not in plain HTTP"),
        (b"", "closes the connection"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "redirects"),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/x\r\nContent-Length: 0\r\n\r\n",
            "takes only https",
        ),
        (
            b"HTTP/1.1 400 Bad\r\nContent-Length: 45\r\n\r\nThe plain HTTP request was sent to HTTPS port",
            "takes only https",
        ),
        (
            b"HTTP/1.1 400 Bad\r\nContent-Length: 39\r\n\r\nspeaking plain HTTP to an SSL-enabled p",
            "takes only https",
        ),
        (b"HTTP/1.1 407 Proxy\r\n" + PAGE, "asks for a log-in"),
        (b"HTTP/1.1 511 Network\r\n" + PAGE, "asks for a log-in"),
        (b"HTTP/1.1 421 Misdirected\r\n" + PAGE, "nothing under the name"),
        (b"HTTP/1.1 502 Bad Gateway\r\n" + PAGE, "A proxy answers"),
        (b"HTTP/1.1 429 Too Many Requests\r\n" + PAGE, "too busy"),
        (
            b'HTTP/1.1 503 Busy\r\nContent-Length: 37\r\n\r\n{"error":{"message":"Loading model"}}',
            "still being loaded",
        ),
        (b"HTTP/1.1 500 Error\r\nContent-Length: 2\r\n\r\n{}", "a fault of its own"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "come compressed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "broke off"),
    ],
)
async def test_something_else_answers(reply: bytes, cause: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.write(reply)

    async with raw_server(serve) as url:
        assert cause in only_failure(await walk(Target(url)), Step.HTTP).cause


async def test_another_web_server() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n")
        writer.write(b"Content-Length: 9\r\nConnection: close\r\n\r\n<h1>x</h1")

    async with raw_server(serve) as url:
        assert "A web page" in only_failure(await walk(Target(url)), Step.SERVER).cause


@asynccontextmanager
async def changing_proxy(
    lm: LMStudioSandbox, change: Callable[[str, web.Response], web.Response | None]
) -> Any:
    """Run a proxy before LM Studio, which changes replies by the paths that were asked.

    ``change`` gets a path and a reply; ``None`` means that the path doesn't get to LM Studio.
    """

    async def handle(request: web.Request) -> web.Response:
        async with ClientSession() as session:
            url, body = f"{lm.base_url}{request.path}", await request.read()
            async with session.request(request.method, url, data=body) as reply:
                kind = reply.content_type
                passed = web.Response(
                    body=await reply.read(), status=reply.status, content_type=kind
                )
        unknown = web.json_response({"error": f"Unexpected endpoint or method. ({request.path})"})
        return change(request.path, passed) or unknown

    async with served(handle) as url:
        yield url


async def test_what_a_proxy_before_lm_studio_does_wrong_is_told_apart() -> None:
    def strips(path: str, reply: web.Response) -> web.Response | None:
        return None if path.startswith("/v1") else reply

    def asks(_path: str, _reply: web.Response) -> web.Response:
        return web.Response(status=401, text="<h1>401</h1>", content_type="text/html")

    def marks(_path: str, reply: web.Response) -> web.Response:
        if reply.content_type == "application/json":
            reply.text = f"\ufeff{reply.text}"
        return reply

    async with LMStudioSandbox() as lm:
        async with changing_proxy(lm, strips) as url:
            stripped = only_failure(await walk(Target(url)), Step.SERVER)
        async with changing_proxy(lm, asks) as url:
            asked = only_failure(await walk(Target(url, TOKEN)), Step.AUTHENTICATION)
        async with changing_proxy(lm, marks) as url:
            marked = await walk(Target(url))
    assert "under /v1 doesn't get there" in stripped.cause
    assert "pass paths on" in stripped.advice
    assert "A proxy before LM Studio turns the bot away" in asked.cause
    assert {one.status for one in marked.values()} == {Status.OK}


async def test_a_server_that_is_slow_for_the_shortest_reply_is_one_failure(
    clock: FakeClock,
) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1024))
        if len([one for one in asked if one]) > 1:
            await reader.read()
        body = b'{"lmstudio":true}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async with raw_server(serve) as url:
        found = await walk_quickly(clock, Target(url))
    assert "far too long" in only_failure(found, Step.PATH).cause


async def test_an_endless_body_is_cut_off() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        writer.write(b"x" * (MAX_BODY_BYTES + 1))
        await writer.drain()

    async with raw_server(serve) as url:
        failure = only_failure(await walk(Target(url)), Step.HTTP)
    assert "far more" in failure.cause


async def test_https_on_plain_http() -> None:
    async with LMStudioSandbox() as lm:
        url = lm.base_url.replace("http://", "https://")
        found = await walk(Target(url))
    assert found[Step.TLS].status is Status.FAILED
    assert "says https" in found[Step.TLS].cause
    assert found[Step.HTTP].status is Status.SKIPPED


async def test_a_server_that_accepts_and_is_silent(clock: FakeClock) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(Fault.HANG_BEFORE_HEADERS, times=None, route="any")
        found = await walk_quickly(clock, Target(lm.base_url))
    assert "doesn't answer" in only_failure(found, Step.HTTP).cause


async def test_a_wrong_path() -> None:
    async with LMStudioSandbox() as lm:
        found = await walk(Target(lm.base_url + "/openai"))
    assert "wrong path" in only_failure(found, Step.SERVER).cause


async def test_a_foreign_server_has_no_wrong_path_where_no_path_is_configured() -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(Fault.UNKNOWN_ENDPOINT, times=None, route="any")
        found = await walk(Target(lm.base_url))
    assert "wrong path" not in only_failure(found, Step.SERVER).cause


async def test_redirects_are_never_followed() -> None:
    async with LMStudioSandbox() as elsewhere, LMStudioSandbox(token=TOKEN) as lm:
        lm.faults.next(Fault.REDIRECT, times=None, route="any", location=elsewhere.base_url)
        only_failure(await walk(Target(lm.base_url, TOKEN)), Step.HTTP)
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (None, "none is configured"),
        ("sk-lm-bogus:one", "refuses the token"),
        ("sk-bogus", "holds a placeholder"),
    ],
)
async def test_tokens(given: str | None, cause: str) -> None:
    async with LMStudioSandbox(token=TOKEN) as lm:
        found = await walk(Target(lm.base_url, given))
    assert cause in only_failure(found, Step.AUTHENTICATION).cause


async def test_the_right_token_one_without_rights_and_one_nobody_asks_for() -> None:
    async with LMStudioSandbox(token=TOKEN) as lm:
        right = await walk(Target(lm.base_url, TOKEN))
        lm.options.forbidden = True
        poor = await walk(Target(lm.base_url, TOKEN))
        lm.options.token = None
        open_ = await walk(Target(lm.base_url, TOKEN))
    assert {one.status for one in right.values()} == {Status.OK}
    assert "lacks a permission" in only_failure(poor, Step.AUTHENTICATION).cause
    assert open_[Step.AUTHENTICATION].status is Status.WARNING
    assert open_[Step.COMPLETION].status is Status.OK


async def test_models_that_are_cold_are_not_loaded_for_a_diagnosis() -> None:
    async with LMStudioSandbox([Model(KEY, loaded=False)]) as lm:
        found = await walk(Target(lm.base_url))
        assert found[Step.MODELS].status is Status.WARNING
        assert found[Step.COMPLETION].status is Status.SKIPPED
        assert lm.completions == []
        lm.options.jit = False
        off = await walk(Target(lm.base_url))
    assert "just-in-time" in only_failure(off, Step.MODELS).cause


@pytest.mark.parametrize(
    ("models", "configured", "cause"),
    [
        ([], None, "no model to offer"),
        ([Model("e/embed", kind="embedding")], None, "Only embedding"),
        ([Model(KEY)], "not/there", "configured model isn't there"),
    ],
)
async def test_no_usable_model(models: list[Model], configured: str | None, cause: str) -> None:
    async with LMStudioSandbox(models) as lm:
        found = await walk(Target(lm.base_url, model=configured))
    assert cause in only_failure(found, Step.MODELS).cause


@pytest.mark.parametrize(
    ("fault", "after_tokens", "cause"),
    [
        (Fault.UNLOADED, None, "was just unloaded"),
        (Fault.CRASHED, None, "crashed"),
        (Fault.COMPUTE_ERROR, 0, "a fault while computing"),
        (Fault.LOAD_GUARDRAIL, None, "too little memory"),
        (Fault.JINJA_ALTERNATE, None, "can't take this conversation"),
        (Fault.POOL_FULL, 1, "model's memory"),
        (Fault.HTML_500, None, "had a fault of its own"),
        (Fault.RESET_BEFORE_HEADERS, None, "closes the connection"),
        (Fault.EMPTY, None, "without saying anything"),
        (Fault.MODEL_SWAP, None, "Another model"),
        (Fault.HANG_BEFORE_HEADERS, None, "no token in time"),
        (Fault.INVALID_UTF8, None, "The model answers."),
        (Fault.DEEP_JSON, None, "something I can't read"),
        (Fault.HUGE_LINE, None, "something I can't read"),
        (Fault.TINY_EVENTS, None, "something I can't read"),
        (Fault.GZIP_BOMB, None, "come compressed"),
        (Fault.ENDLESS_COMMENTS, None, "no token in time"),
    ],
)
async def test_a_completion_that_fails(
    fault: Fault, after_tokens: int | None, cause: str, clock: FakeClock
) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(fault, times=2, after_tokens=after_tokens)
        if cause == "no token in time":
            found = await walk_quickly(clock, Target(lm.base_url, model=KEY))
        else:
            found = await walk(Target(lm.base_url, model=KEY))
    assert cause in found[Step.COMPLETION].cause


async def test_a_kept_connection_that_was_just_closed_is_no_finding() -> None:
    """Servers close idle connections; a question is asked again over a new one, and so are we."""
    async with LMStudioSandbox() as lm:
        lm.faults.next(Fault.RESET_BEFORE_HEADERS)
        found = await walk(Target(lm.base_url, model=KEY))
    assert found[Step.COMPLETION].status is Status.OK
    assert found[Step.SPEED].status is Status.OK


async def test_findings_come_as_they_are_made_and_closing_ends_the_rest() -> None:
    timing = Timing(generation_tokens_s=1, speed=1.0)
    async with LMStudioSandbox(timing=timing) as lm:
        running = diagnose(Target(lm.base_url), clock=SystemClock())
        first = await anext(running)
        assert first.step is Step.NAME
        assert lm.requests == []
        await running.aclose()
        assert lm.requests == []


async def test_cancelling_a_diagnosis_closes_its_connection() -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(Fault.HANG_BEFORE_HEADERS, times=None)
        task = asyncio.create_task(walk(Target(lm.base_url)))
        await lm.wait_until(lambda: lm.completions)
        task.cancel()
        await lm.wait_until(lambda: lm.completions[0].cancelled_at)


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_the_whole_takes_less_than_40_seconds(is_encrypted: bool) -> None:
    assert sum(probe.limit_s for probe in probes_for("", is_encrypted=is_encrypted)) < 39.5


async def test_each_probe_is_ended_at_its_limit(clock: FakeClock) -> None:
    async def hang(_: object) -> Finding | None:
        await asyncio.Event().wait()
        return None

    probes = [replace(probe, run=hang, needs=None) for probe in probes_for("", is_encrypted=True)]

    async def walk_all() -> list[Finding]:
        return [one async for one in run_probes(probes, nothing, clock)]

    nothing: Any = None
    began_s = clock.monotonic()
    found = await passing(clock, walk_all())
    assert [one.step for one in found] == [probe.step for probe in probes]
    assert all(one.is_problem for one in found)
    assert clock.monotonic() - began_s < 45


async def test_a_name_that_has_moved_is_said_with_the_fixed_address_advice() -> None:
    async def here(_: str) -> Sequence[str]:
        return ("127.0.0.1",)

    told: list[tuple[str, ...]] = []

    async def note(addresses: tuple[str, ...]) -> None:
        told.append(addresses)

    async with LMStudioSandbox() as lm:
        target = Target(f"http://llm.example:{lm.port}", known=("127.0.0.9",))
        found = await walk(target, lookup=here, on_addresses=note)
        same = await walk(replace(target, known=told[0]), lookup=here)
        assert len(told) == 1
        await lm.refuse()
        away = await walk(target, lookup=here, on_addresses=note)
    assert len(told) == 1  # where no LM Studio was found isn't where the machine was last
    assert away[Step.CONNECTION].status is Status.FAILED
    assert found[Step.NAME].status is Status.WARNING
    assert "fixed address" in found[Step.NAME].advice
    assert found[Step.COMPLETION].status is Status.OK
    assert same[Step.NAME].status is Status.OK


@pytest.mark.parametrize(
    ("owner", "name"),
    [("llamacpp", "llama.cpp's server"), ("vllm", "vLLM"), ("library", "Ollama")],
)
async def test_other_servers_are_known_by_name_and_what_is_missing_is_said(
    owner: str, name: str
) -> None:
    listing = json.dumps({"data": [{"id": "a/model", "owned_by": owner}]}).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        is_listing = b"GET /v1/models " in asked
        head = b"200 OK" if is_listing else b"404 Not Found"
        body = listing if is_listing else b"{}"
        writer.write(b"HTTP/1.1 " + head + b"\r\nContent-Type: application/json\r\n")
        writer.write(b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with raw_server(serve) as url:
        found = (await walk(Target(url)))[Step.SERVER]
    assert found.status is Status.OK
    assert name in found.cause
    assert "works" in found.cause


SPOKEN = b"".join(
    b'data: {"choices":[{"delta":{"content":"Yes."},"finish_reason":%b}]}\n\n' % reason
    for reason in (b"null", b"null", b'"stop"')
)


@asynccontextmanager
async def other_server(
    listing: object, *, key: str = "", lists_to_all: bool = False, below: str = ""
) -> Any:
    """Run a server that is none of LM Studio's: a list of models and a chat, and perhaps a key."""

    async def handle(request: web.Request) -> web.Response:
        asks_list = request.path == f"{below}/v1/models"
        is_open = not key or (asks_list and lists_to_all)
        if not is_open and request.headers.get("Authorization") != f"Bearer {key}":
            return web.json_response({"error": "Unauthorized"}, status=401)
        if asks_list:
            return web.json_response(listing)
        if request.path != f"{below}/v1/chat/completions":
            return web.json_response({"detail": "Not Found"}, status=404)
        if "messages" not in await request.json():
            return web.json_response({"detail": "Field required"}, status=422)
        return web.Response(body=SPOKEN, content_type="text/event-stream")

    async with served(handle) as url:
        yield url


def listing_of(**more: object) -> dict[str, object]:
    return {"object": "list", "data": [{"id": "a/model", **more}]}


@pytest.mark.parametrize("lists_to_all", [False, True], ids=["vLLM", "llama.cpp"])
async def test_a_key_of_another_server_is_needed_right_or_wrong(lists_to_all: bool) -> None:
    async with other_server(
        listing_of(owned_by="vllm"), key="k1", lists_to_all=lists_to_all
    ) as url:
        right = await walk(Target(url, "k1"))
        none = only_failure(await walk(Target(url)), Step.AUTHENTICATION)
        wrong = only_failure(await walk(Target(url, "k2")), Step.AUTHENTICATION)
    assert {one.status for one in right.values()} == {Status.OK}
    assert "asks for a token, and none is configured" in none.cause
    assert "refuses the token" in wrong.cause
    assert "sk-lm-" not in wrong.advice


@pytest.mark.parametrize("more", [{}, {"owned_by": "user"}, {"owned_by": "openai"}])
async def test_a_server_that_nobody_knows_is_well_where_it_answers(more: dict[str, object]) -> None:
    async with other_server(listing_of(**more)) as url:
        found = await walk(Target(url))
    assert {one.status for one in found.values()} == {Status.OK}
    assert "isn't LM Studio" in found[Step.SERVER].cause


async def test_what_else_other_servers_say_is_told_apart() -> None:
    async with other_server(listing_of(), below="/api") as url:
        deeper = only_failure(await walk(Target(f"{url}/api/v1")), Step.SERVER)
        right = await walk(Target(f"{url}/api"))
    async with other_server({"object": "list", "data": None}) as url:
        empty = only_failure(await walk(Target(url)), Step.MODELS)
    assert deeper.advice == "Let LMSTUDIO_BASE_URL end with /api."
    assert right[Step.COMPLETION].status is Status.OK
    assert "no model to offer" in empty.cause
