"""Loading by LM Studio's own route with its options, one copy at a time, and downloads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from bot.core.domain import LoadOptions, ModelInfo
from bot.core.errors import BackendError
from bot.lmstudio import LMStudioBackend, errors
from bot.lmstudio.downloads import refusal
from sandbox.lmstudio import LMStudioSandbox, Model, Options
from sandbox.lmstudio.values import INSTANT
from tests.support.clock import FakeClock
from tests.wire.lmstudio.rig import a_request, connected, listen, passing
from tests.wire.lmstudio.test_odd_listings import ANSWER
from tests.wire.lmstudio.test_trust import serving

ALL = LoadOptions(16_384, 1024, False, 2, True)


async def test_all_options_go_to_the_server_and_other_ones_load_the_model_anew(
    clock: FakeClock,
) -> None:
    async with (
        LMStudioSandbox([Model("a/b", loaded=False, parallel=2)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        loaded = await passing(clock, backend.load_model("a/b", ALL))
        assert loaded.loaded_as == ALL
        assert (loaded.quantisation, loaded.uses_tools) == ("Q4_K_M", False)
        sent = [one.body for one in sandbox.requests if one.path.endswith("/load")]
        assert sent == [
            {
                "model": "a/b",
                "context_length": 16_384,
                "eval_batch_size": 1024,
                "flash_attention": False,
                "parallel": 2,
                "offload_kv_cache_to_gpu": True,
            }
        ]
        await passing(clock, backend.load_model("a/b", LoadOptions(eval_batch_size=1024)))
        assert sandbox.options.counters.loads == 1
        anew = await passing(clock, backend.load_model("a/b", LoadOptions(eval_batch_size=512)))
        assert anew.instance_ids == ("a/b",)
        assert sandbox.options.counters.loads == 2


async def test_a_copy_that_somebody_else_loaded_meanwhile_is_the_one_that_stays(
    clock: FakeClock,
) -> None:
    async with (
        LMStudioSandbox([Model("a/b", loaded=False)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.set_timing(replace(INSTANT, speed=200.0))
        ours = asyncio.create_task(passing(clock, backend.load_model("a/b")))
        await sandbox.wait_until(lambda: any(each.method == "POST" for each in sandbox.requests))
        sandbox.set_timing(INSTANT)
        await sandbox.load("a/b")
        assert (await ours).instance_ids == ("a/b",)
        assert list(sandbox.engine.instances) == ["a/b"]
        assert sandbox.options.counters.loads == 2


async def _loads_on_alone(clock: FakeClock, *, comes: bool) -> ModelInfo | Exception:
    """Load where the connection breaks and loading goes on; return what came of it."""
    asked: list[float] = []

    async def handle(request: web.Request) -> web.Response:
        if request.method == "POST":
            asked.append(clock.monotonic())
            assert request.transport is not None
            request.transport.abort()
        is_there = comes and asked and clock.monotonic() - asked[0] >= 45
        instances = [{"id": "a/b", "config": {"context_length": 4096}}] if is_there else []
        model = {"type": "llm", "key": "a/b", "loaded_instances": instances}
        return web.json_response({"models": [model]})

    async with serving(handle) as url, connected(clock, url) as backend:
        try:
            return await passing(clock, backend.load_model("a/b"))
        except BackendError as exc:
            return exc
        finally:
            assert len(asked) == 1


async def test_a_load_whose_answer_is_lost_is_looked_for_and_not_asked_for_again(
    clock: FakeClock,
) -> None:
    found = await _loads_on_alone(clock, comes=True)
    assert isinstance(found, ModelInfo)
    assert found.instance_ids == ("a/b",)


async def test_a_load_whose_answer_is_lost_fails_where_nothing_comes_of_it(
    clock: FakeClock,
) -> None:
    found = await _loads_on_alone(clock, comes=False)
    assert isinstance(found, errors.DisconnectedError)


class LeftLoad:
    """A server whose first load is still going on when its client leaves.

    Args:
        clock: Of the test.
        goes_on: The model is loaded 45 s after that load began; else it was given up.
    """

    def __init__(self, clock: FakeClock, *, goes_on: bool) -> None:
        self.asked: list[float] = []
        self._clock = clock
        self._goes_on = goes_on

    @property
    def is_there(self) -> bool:
        """Whether the model is loaded."""
        return self._goes_on and bool(self.asked) and self._clock.monotonic() - self.asked[0] >= 45

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request, and note when a load was asked for."""
        is_there, is_load = self.is_there, request.path.endswith("/load")
        if request.method == "GET":
            instances = [{"id": "a/b", "config": {"context_length": 4096}}] if is_there else []
            model = {"type": "llm", "key": "a/b", "loaded_instances": instances}
            return web.json_response({"models": [model]})
        if is_load or not is_there:
            self.asked.append(self._clock.monotonic())
        if len(self.asked) == 1 and not is_there:
            await asyncio.Event().wait()  # it loads until its client has left
        if is_load:
            return web.json_response({"instance_id": "a/b"})
        return web.Response(body=ANSWER, content_type="text/event-stream")

    async def begun(self) -> None:
        """Let the time pass until the load was asked for."""
        for _ in range(100):
            await self._clock.advance(0 if self.asked else 0.25)


@pytest.mark.parametrize("by", ["command", "question"])
@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_load_that_was_left_midway_is_waited_for_and_not_asked_for_again(
    by: str, goes_on: bool, clock: FakeClock
) -> None:
    server = LeftLoad(clock, goes_on=goes_on)

    def ask(backend: LMStudioBackend) -> Coroutine[Any, Any, object]:
        if by == "command":
            return backend.load_model("a/b")
        return listen(backend, a_request(model="a/b"))

    async with serving(server.handle) as url, connected(clock, url) as backend:
        first = asyncio.create_task(ask(backend))
        await server.begun()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await clock.advance(5)
        await passing(clock, ask(backend))
        if goes_on:
            assert len(server.asked) == 1
        else:
            assert len(server.asked) == 2
            assert 60 <= server.asked[1] - server.asked[0] < 100


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_load_that_a_kill_left_is_waited_for_by_the_next_run(
    goes_on: bool, clock: FakeClock
) -> None:
    server = LeftLoad(clock, goes_on=goes_on)
    saved: list[object] = []
    async with serving(server.handle) as url:
        async with connected(clock, url) as killed:
            killed.roster.on_loading(lambda: saved.append(killed.roster.note_loads()(None)))
            first = asyncio.create_task(killed.load_model("a/b"))
            await server.begun()
            stored = json.loads(json.dumps(saved[-1]))
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        async with connected(clock, url) as backend:
            backend.roster.take_up_loads(stored)
            await passing(clock, backend.load_model("a/b"))
            other = ["http://127.0.0.1:9", "c/d", clock.now().timestamp(), None]
            assert backend.roster.note_loads()([*stored, other]) == [tuple(other)]
        async with connected(clock, url) as later:
            await clock.advance(600)
            later.roster.take_up_loads(stored)
            assert later.roster.note_loads()(None) == []
    assert len(server.asked) == (1 if goes_on else 2)


async def test_a_load_that_another_process_is_at_is_waited_for_until_that_says_it_is_over(
    clock: FakeClock,
) -> None:
    sandbox = LMStudioSandbox([Model("a/b", loaded=False)])
    async with sandbox, connected(clock, sandbox.base_url) as backend:
        roster, loads = backend.roster, sandbox.options.counters
        theirs = (sandbox.base_url, "a/b", clock.now().timestamp(), None)
        roster.take_up_loads([theirs], are_others=True)
        loading = asyncio.create_task(backend.load_model("a/b"))
        await clock.advance(30)
        roster.take_up_loads([theirs], are_others=True)
        assert loads.loads == 0
        assert roster.note_loads()([theirs]) == [theirs]
        roster.take_up_loads([], are_others=True)
        assert (await passing(clock, asyncio.wait_for(loading, None))).is_loaded
        assert loads.loads == 1
        assert clock.now().timestamp() - theirs[2] < 60


@pytest.mark.parametrize(
    "stored", [None, {}, ["a"], [[1, 2, 3, 4]], [["http://a", "a/b", "now", None]], [[]]]
)
async def test_loads_that_were_kept_in_another_form_are_ignored(
    stored: object, clock: FakeClock
) -> None:
    async with LMStudioSandbox() as sandbox, connected(clock, sandbox.base_url) as backend:
        backend.roster.take_up_loads(stored)
        assert backend.roster.note_loads()(None) == []


async def test_an_option_that_the_server_does_not_know_is_named(clock: FakeClock) -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"models": [{"type": "llm", "key": "a/b"}]})
        error = {"type": "invalid_request", "message": "Unrecognized key(s) in object: 'parallel'"}
        return web.json_response({"error": error}, status=400)

    async with serving(handle) as url, connected(clock, url) as backend:
        with pytest.raises(errors.OptionRefusedError) as caught:
            await passing(clock, backend.load_model("a/b", LoadOptions(parallel=2)))
        assert "doesn't take parallel." in caught.value.sentence


async def test_a_download_is_begun_once_and_followed_to_its_end(clock: FakeClock) -> None:
    async with LMStudioSandbox() as sandbox, connected(clock, sandbox.base_url) as backend:
        begun = await passing(clock, backend.begin_download("a/new", None))
        assert (begun.state, begun.is_over) == ("downloading", False)
        again = await passing(clock, backend.begin_download("a/new", None))
        assert again.job == begun.job
        for state in ("paused", "failed", "downloading", "completed"):
            sandbox.engine.downloads.set(begun.job, state)
            found = await passing(clock, backend.look_at_download(begun.job))
            assert (found.state, found.is_over) == (state, state != "downloading")
        assert backend.model("a/new") is not None
        there = await passing(clock, backend.begin_download("a/new", None))
        assert there.state == "already_downloaded"
        with pytest.raises(errors.DownloadError):
            await passing(clock, backend.look_at_download("job_none"))


async def test_a_server_without_downloads_says_so(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox(options=Options(era="0.3")) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        with pytest.raises(errors.DownloadError, match=r"LM Studio 0\.4"):
            await passing(clock, backend.begin_download("a/b", None))


@pytest.mark.parametrize(
    ("model", "quantisation", "may"),
    [
        ("qwen/qwen3-8b", None, True),
        ("qwen/qwen3-8b@q4_k_m", None, True),
        ("https://huggingface.co/a/b-GGUF", "Q4_K_M", True),
        ("qwen/qwen3-8b", "Q4_K_M", False),
        ("https://huggingface.co.evil.example/a/b", None, False),
        ("http://huggingface.co/a/b", None, False),
        ("https://huggingface.co/a/b?x=1", None, False),
        ("https://169.254.169.254/a/b", None, False),
        ("https://user@huggingface.co/a/b", None, False),
        ("../../etc/passwd", None, False),
        ("qwen", None, False),
        ("", None, False),
        ("https://huggingface.co/a/b", "Q4/../x", False),
    ],
)
def test_only_names_and_pages_of_hugging_face_are_asked_for(
    model: str, quantisation: str | None, may: bool
) -> None:
    assert (refusal(model, quantisation) == "") is may
