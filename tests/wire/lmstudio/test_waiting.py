"""How long the client waits for what, with a server that is slow, gone, mute or stuck."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from bot.core.domain import ChatEvent, Completed, FinishReason, StageKind, TextDelta
from bot.core.errors import BackendError
from bot.lmstudio import BackendUnavailableError, LMStudioBackend, errors
from sandbox.lmstudio import Fault, LMStudioSandbox, Model
from tests.support.clock import FakeClock, settle
from tests.unit.lmstudio.chunks import chunk, delta_event, event
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import a_request, ask, connected, listen, nodes, passing

ANSWER = delta_event("Yes.") + event(chunk({}, "stop")) + b"data: [DONE]\n\n"


class Held:
    """A server that reads a prompt until the test lets it answer."""

    def __init__(self) -> None:
        """Hold everything."""
        self.go_on = asyncio.Event()
        self.prompts = 0
        self.probes = 0
        self.mute = False
        self.head = b""
        self.hung_up = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer probes at once, unless mute, and prompts when told to."""
        if request.method == "GET":
            self.probes += 1
            if self.mute:
                await asyncio.Event().wait()
            if request.path != "/v1/models":
                return web.Response(status=404)
            return web.json_response({"data": [{"id": "m"}]})
        self.prompts += 1
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if self.head:
            await response.prepare(request)
            await response.write(self.head)
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.hung_up += 1
            raise
        await response.prepare(request)
        await response.write(ANSWER)
        return response


@asynccontextmanager
async def serving(held: Held) -> AsyncIterator[str]:
    """Serve on a free port of loopback."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", held.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_prompt_that_takes_ninety_seconds_is_answered_with_one_request(
    clock: FakeClock,
) -> None:
    held = Held()
    async with serving(held) as url, connected(clock, url, network_timeout_ms=30_000) as backend:
        asked = asyncio.create_task(listen(backend, a_request(prompt_tokens=27_000)))
        for _ in range(90):
            await clock.advance(1)
        assert not asked.done()
        held.go_on.set()
        outcome = await passing(clock, asyncio.wait_for(asked, None))
        assert outcome.text == "Yes."
        assert held.prompts == 1


async def test_patience_is_renewed_while_the_server_answers_probes(clock: FakeClock) -> None:
    held = Held()
    async with serving(held) as url, connected(clock, url, first_token_timeout_s=20) as backend:
        asked = asyncio.create_task(listen(backend, a_request()))
        for _ in range(300):
            await clock.advance(2)
        assert not asked.done()
        held.go_on.set()
        outcome = await passing(clock, asyncio.wait_for(asked, None))
        assert outcome.text == "Yes."
        assert held.prompts == 1


async def test_a_server_that_answers_nothing_any_more_isnt_waited_for(clock: FakeClock) -> None:
    held = Held()
    async with serving(held) as url, connected(clock, url, first_token_timeout_s=60) as backend:
        asked = asyncio.create_task(listen(backend, a_request()))
        await clock.advance(1)
        held.mute = True
        began_at_s = clock.monotonic()
        outcome = await passing(clock, asyncio.wait_for(asked, None), 1)
        assert isinstance(outcome.error, errors.FirstTokenTimeoutError)
        assert clock.monotonic() - began_at_s <= 70
        assert held.prompts == 1


async def test_comments_are_no_progress(clock: FakeClock) -> None:
    held = Held()
    held.head = delta_event("Begun") + b": still here\n\n" * 5
    async with serving(held) as url, connected(clock, url, network_timeout_ms=20_000) as backend:
        outcome = await ask(clock, backend)
        assert outcome.end.reason is FinishReason.INTERRUPTED
        assert clock.monotonic() - 1000 <= 30


async def test_the_hard_cap_ends_everything(clock: FakeClock) -> None:
    held = Held()
    async with serving(held) as url, connected(clock, url, total_timeout_s=240) as backend:
        outcome = await ask(clock, backend, step_s=1)
        assert isinstance(outcome.error, errors.TotalTimeoutError)
        assert clock.monotonic() - 1000 <= 245
        assert held.prompts == 1


@pytest.mark.parametrize("head", [b"", delta_event("Begun")], ids=["no text", "a text"])
async def test_the_hard_cap_closes_the_connection_though_nobody_takes_what_comes(
    head: bytes, clock: FakeClock
) -> None:
    held = Held()
    held.head = head
    async with serving(held) as url, connected(clock, url, total_timeout_s=60) as backend:
        stream = backend.stream(a_request())
        for _ in range(3 if head else 2):
            await anext(stream)
        await clock.advance(50)
        assert nodes(backend)[0].in_flight == 1
        assert held.hung_up == 0
        await clock.advance(20)
        assert held.hung_up == 1
        if head:
            (end,) = await passing(clock, _all(stream))
            assert isinstance(end, Completed)
            assert end.reason is FinishReason.INTERRUPTED
        else:
            with pytest.raises(errors.TotalTimeoutError):
                await anext(stream)
        assert nodes(backend)[0].in_flight == 0


async def test_a_server_that_is_gone_is_noticed_though_nobody_takes_what_comes(
    clock: FakeClock,
) -> None:
    held = Held()
    async with serving(held) as url, connected(clock, url, first_token_timeout_s=60) as backend:
        stream = backend.stream(a_request())
        for _ in range(2):
            await anext(stream)
        held.mute = True
        await clock.advance(120)
        assert held.hung_up == 1
        with pytest.raises(errors.FirstTokenTimeoutError):
            await anext(stream)


async def test_what_a_reader_takes_for_itself_is_no_silence_of_the_server(
    clock: FakeClock,
) -> None:
    held = Held()
    held.head = delta_event("Begun. ")
    async with serving(held) as url, connected(clock, url, network_timeout_ms=20_000) as backend:
        stream = backend.stream(a_request())
        for _ in range(3):
            await anext(stream)
        await clock.advance(100)
        held.go_on.set()
        rest = await passing(clock, _all(stream))
        assert [event.content for event in rest if isinstance(event, TextDelta)] == ["Yes."]
        assert isinstance(rest[-1], Completed)
        assert rest[-1].reason is FinishReason.STOP


async def test_text_that_gathers_comes_at_once_when_the_answer_is_whole(
    clock: FakeClock,
) -> None:
    held = Held()
    held.head = delta_event("Begun. ")
    async with serving(held) as url, connected(clock, url) as backend:
        request = a_request()
        stream = backend.stream(request)
        for _ in range(3):
            await anext(stream)
        request.pace.gather_s = 0.5
        began_s = clock.monotonic()
        reading = asyncio.create_task(_all(stream))
        await clock.advance(0.1)
        assert not reading.done()
        held.go_on.set()
        rest = await asyncio.wait_for(reading, 30)
        assert [event.content for event in rest if isinstance(event, TextDelta)] == ["Yes."]
        assert clock.monotonic() - began_s < 0.5


async def _all(stream: AsyncIterator[ChatEvent]) -> list[ChatEvent]:
    return [event async for event in stream]


async def test_a_connection_that_isnt_answered_is_given_up_soon(
    sandbox: LMStudioSandbox, clock: FakeClock
) -> None:
    async with connected(clock, sandbox.base_url, retry_attempts=0) as backend:
        await sandbox.blackhole()
        began_at_s = clock.monotonic()
        outcome = await ask(clock, backend)
        assert isinstance(outcome.error, errors.ConnectTimedOutError)
        assert clock.monotonic() - began_at_s <= 6


async def test_a_server_that_comes_up_after_four_seconds_answers(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    await sandbox.refuse()
    asked = asyncio.create_task(listen(backend, a_request()))
    for _ in range(16):
        await clock.advance(0.25)
    await sandbox.start()
    outcome = await passing(clock, asyncio.wait_for(asked, None))
    assert outcome.text == PARIS
    assert StageKind.HELD in outcome.stages


async def test_a_server_known_to_be_down_is_said_at_once(
    sandbox: LMStudioSandbox, clock: FakeClock
) -> None:
    await sandbox.refuse()
    async with connected(clock, sandbox.base_url) as backend:
        assert not backend.is_available()
        outcome = await ask(clock, backend)
        assert isinstance(outcome.error, BackendUnavailableError)
        assert clock.monotonic() == pytest.approx(1000, abs=0.5)


async def test_availability_is_told_when_it_changes(
    sandbox: LMStudioSandbox, clock: FakeClock
) -> None:
    told: list[bool] = []
    await sandbox.refuse()
    async with connected(clock, sandbox.base_url) as backend:
        backend.on_availability(told.append)
        await sandbox.start()
        for _ in range(20):
            await clock.advance(0.25)
        assert told == [True]
        await sandbox.refuse()
        for _ in range(80):
            await clock.advance(0.25)
        assert told == [True, False]
        assert [node.is_up for node in nodes(backend)] == [False]


async def test_loading_is_shown_and_then_reading(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("a/b", loaded=False)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        outcome = await ask(clock, backend)
        assert outcome.end.model == "a/b"
        assert outcome.stages[:2] == [StageKind.CONNECTING, StageKind.LOADING]
        assert sandbox.options.counters.loads == 1


async def test_cold_requests_at_once_load_one_copy(clock: FakeClock) -> None:
    async with LMStudioSandbox([Model("a/b", loaded=False)]) as sandbox:
        sandbox.options.jit_race = True
        async with connected(clock, sandbox.base_url) as backend:
            questions = [a_request(conversation=str(i)) for i in range(5)]
            asked = [asyncio.create_task(listen(backend, question)) for question in questions]
            outcomes = [await passing(clock, asyncio.wait_for(task, None)) for task in asked]
            assert all(outcome.end.reason is FinishReason.STOP for outcome in outcomes)
            assert sandbox.options.counters.loads == 1


async def test_whoever_waits_for_a_load_waits_no_longer_than_the_question_may_take(
    clock: FakeClock,
) -> None:
    async with (
        LMStudioSandbox([Model("a/b", loaded=False)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.faults.next(Fault.HANG_BEFORE_HEADERS)
        first = asyncio.create_task(listen(backend, a_request(conversation="first")))
        await sandbox.wait_until(lambda: sandbox.completions)
        waiting = replace(a_request(conversation="second"), limit_s=20)
        second = asyncio.create_task(listen(backend, waiting))
        await clock.advance(19)
        assert not second.done()
        await clock.advance(2)
        assert isinstance((await second).error, errors.TotalTimeoutError)
        assert len(sandbox.completions) == 1
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_a_load_goes_on_no_longer_than_its_question_may_take(clock: FakeClock) -> None:
    async with LMStudioSandbox([Model("a/b", loaded=False)]) as sandbox:
        sandbox.options.jit = False
        sandbox.faults.next(Fault.HANG_BEFORE_HEADERS, route="load")
        async with connected(clock, sandbox.base_url) as backend:
            began_s = clock.monotonic()
            request = replace(a_request(model="a/b"), limit_s=60)
            outcome = await ask(clock, backend, request)
            assert isinstance(outcome.error, BackendError)
            assert clock.monotonic() - began_s == pytest.approx(60, abs=1)
            assert StageKind.LOADING in outcome.stages


@pytest.mark.parametrize("after_tokens", [None, 2])
async def test_stopping_closes_the_connection_at_once(
    after_tokens: int | None, sandbox: LMStudioSandbox, backend: LMStudioBackend
) -> None:
    fault = Fault.HANG_BEFORE_HEADERS if after_tokens is None else Fault.HANG_AFTER_TOKENS
    sandbox.faults.next(fault, after_tokens=after_tokens)
    stream = backend.stream(a_request())
    for _ in range(2 if after_tokens is None else 3):
        await anext(stream)
    await settle()
    await stream.aclose()
    await settle()
    assert sandbox.completions[0].cancelled_at is not None
    assert nodes(backend)[0].in_flight == 0


async def test_closing_the_back_end_ends_everything(
    sandbox: LMStudioSandbox, clock: FakeClock
) -> None:
    before = asyncio.all_tasks()
    async with connected(clock, sandbox.base_url) as backend:
        await ask(clock, backend)
    assert {task for task in asyncio.all_tasks() - before if "bot/lmstudio" in str(task)} == set()
