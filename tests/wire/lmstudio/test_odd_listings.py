"""Whatever stands at llama.cpp's ``/props``, ``/slots`` or at a list of models, questions are answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot.core.ports import Capacity
from bot.lmstudio.catalogue import LLAMA_PARALLEL, VLLM_PARALLEL
from tests.support.clock import FakeClock
from tests.unit.lmstudio.chunks import chunk, delta_event, event
from tests.wire.lmstudio.rig import a_request, ask, connected, nodes

ANSWER = delta_event("Yes.") + event(chunk({}, "stop")) + b"data: [DONE]\n\n"
KEY = "some-model.gguf"
MODELS = {"data": [{"id": KEY, "owned_by": "llamacpp", "meta": {"n_ctx": 4096}}]}
PROPS = {"default_generation_settings": {"n_ctx": 2048}, "total_slots": 2}
SLOTS = [{"n_ctx": 2048}, {"n_ctx": 2048}, {"n_ctx": 2048}]
REFUSED: object = (401, {"error": {"message": "Invalid API Key"}})
ABSENT = (404, {"error": {"message": "File Not Found"}})
OFF = (501, {"error": {"message": "This server does not support slots endpoint."}})
NEVER = object()
NO_PROPS: tuple[object, ...] = ([1], {}, b"null", b'"x"', b"", b"<html>")
NO_SLOTS: tuple[object, ...] = ("no", {}, [], b"", b"<html>")


@asynccontextmanager
async def serving(**routes: object) -> AsyncIterator[str]:
    """Serve what is given for each route: JSON, bytes, a status with JSON, or never an end."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(body=ANSWER, content_type="text/event-stream")
        what = routes.get(request.path.rpartition("/")[2], ABSENT)
        if request.path.startswith("/api"):
            what = ABSENT
        if what is NEVER:
            await asyncio.Event().wait()
        status, body = what if isinstance(what, tuple) else (200, what)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(status=status, body=data, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def props(n_ctx: object = 2048, slots: object = 2) -> dict[str, object]:
    """Return ``/props`` with these values."""
    return {"default_generation_settings": {"n_ctx": n_ctx}, "total_slots": slots}


@pytest.mark.parametrize(
    ("told", "slots", "capacity"),
    [
        (PROPS, SLOTS, Capacity(2, 2048)),
        (PROPS, NEVER, Capacity(2, 2048)),
        *(
            (odd, SLOTS, Capacity(3, 2048))
            for odd in (*NO_PROPS, b"[" * 9000, REFUSED, ABSENT, OFF)
        ),
        *(
            (props(n_ctx=odd), SLOTS, Capacity(2, 2048))
            for odd in ("4096", 4096.0, -1, 0, 10**30, True, None)
        ),
        *((props(slots=odd), SLOTS, Capacity(3, 2048)) for odd in ("2", 2.0, -4, 0, True, None)),
        (props(slots=10**8), SLOTS, Capacity(1024, 2048)),
        *((OFF, odd, Capacity(LLAMA_PARALLEL, 4096)) for odd in (*NO_SLOTS, REFUSED, ABSENT, OFF)),
        (OFF, [1, 2], Capacity(2, 4096)),
        (OFF, [{"n_ctx": "x"}], Capacity(1, 4096)),
        (NEVER, SLOTS, Capacity(3, 2048)),
        (NEVER, NEVER, Capacity(LLAMA_PARALLEL, 4096)),
    ],
)
async def test_what_llama_cpp_tells_wrongly_or_never_is_left_out(
    told: object, slots: object, capacity: Capacity, clock: FakeClock
) -> None:
    began_s = clock.monotonic()
    async with (
        serving(models=MODELS, props=told, slots=slots) as url,
        connected(clock, url) as backend,
    ):
        assert (await ask(clock, backend, a_request())).text == "Yes."
        assert backend.is_available()
        assert backend.capacity() == capacity
        assert clock.monotonic() - began_s < 10


@pytest.mark.parametrize(
    "models",
    [
        b"null",
        b"",
        b"<html>",
        [],
        {"data": []},
        {"data": None},
        {"data": [5, None, {"id": 7}, {"id": ""}, {"id": "x" * 5000}]},
        OFF,
        NEVER,
    ],
)
async def test_a_list_of_models_that_is_none_keeps_no_question_away(
    models: object, clock: FakeClock
) -> None:
    async with serving(models=models) as url, connected(clock, url) as backend:
        assert (await ask(clock, backend, a_request())).text == "Yes."
        assert backend.model(None) is None


@pytest.mark.parametrize("longest", ["16k", -1, 0, 10**40, 16_384.0, None])
async def test_an_odd_length_at_vllm_is_left_out(longest: object, clock: FakeClock) -> None:
    models = {"data": [{"id": "a/b", "owned_by": "vllm", "max_model_len": longest}]}
    async with serving(models=models) as url, connected(clock, url) as backend:
        assert (await ask(clock, backend, a_request())).text == "Yes."
        model = backend.model(None)
        assert model is not None
        assert model.context_tokens is None
        assert backend.capacity() == Capacity(VLLM_PARALLEL, None)


async def test_a_late_word_on_slots_takes_no_server_away(clock: FakeClock) -> None:
    async with (
        serving(models=MODELS, props=NEVER, slots=NEVER) as url,
        connected(clock, url, health_interval_s=10) as backend,
    ):
        await clock.advance(60)
        assert [node.is_up for node in nodes(backend)] == [True]
