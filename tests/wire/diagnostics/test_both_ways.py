"""A question and a diagnosis go one way: same model, same context, same failure, same advice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from bot.core.errors import BackendError
from bot.diagnostics.link import SEEN, first_sentence
from bot.diagnostics.values import Finding, Status, Step, Target
from bot.diagnostics.walk import diagnose
from bot.lmstudio import errors
from sandbox.lmstudio import Fault, LMStudioSandbox, Model, Options
from tests.support.clock import FakeClock
from tests.support.web import served
from tests.unit.lmstudio.test_failures import TEXTS
from tests.wire.lmstudio.rig import Outcome, a_request, ask, connected, passing

KEY = "qwen/qwen3-next-80b"
ONE_LOADED: dict[str, Any] = {
    "type": "llm",
    "key": KEY,
    "loaded_instances": [{"id": KEY, "config": {"context_length": 8192, "parallel": 2}}],
    "max_context_length": 131_072,
}
UNKNOWN_ROUTE = {"error": "Unexpected endpoint or method. (GET /api)"}


NATIVE: dict[str, object] = {
    "/api/v1/models": {"models": [ONE_LOADED]},
    "/v1/models": {"data": [{"id": KEY}]},
}
NAMES = [None, KEY, KEY.upper(), f"{KEY}:2", f"{KEY}@q4_k_m", "qwen3-next-80b", "c/embed", "x/none"]


def native(*rows: object) -> dict[str, object]:
    """Return the lists of an LM Studio of this era that loads nothing by itself."""
    return {"/api/v1/models": {"models": list(rows)}, "/v1/models": {"data": []}}


def older(*rows: object) -> dict[str, object]:
    """Return the lists of an LM Studio before 0.4 that loads nothing by itself."""
    return {"/api/v0/models": {"data": list(rows)}, "/v1/models": {"data": []}}


TWO_COPIES = [{"id": f"{KEY}{tail}", "config": {"context_length": 4096}} for tail in ("", ":2")]
LISTINGS: dict[str, dict[str, object]] = {
    "one": NATIVE,
    "two copies": native({**ONE_LOADED, "loaded_instances": TWO_COPIES}),
    "two loaded": native({**ONE_LOADED, "key": "a/first"}, ONE_LOADED),
    "cold": native({**ONE_LOADED, "loaded_instances": []}),
    "no type": native({name: ONE_LOADED[name] for name in ("key", "loaded_instances")}),
    "another type": native({**ONE_LOADED, "type": "vlm"}),
    "embedding": native({**ONE_LOADED, "key": "c/embed", "type": "embedding"}),
    "wrong types": native(None, 7, {"key": 3}, {**ONE_LOADED, "loaded_instances": [7, {"id": 4}]}),
    "odd numbers": native(
        {**ONE_LOADED, "loaded_instances": [{"id": KEY, "config": {"context_length": -1}}]}
    ),
    "empty": native(),
    "older": older(
        {"id": KEY, "type": "llm", "state": "loaded", "loaded_context_length": 5000},
        {"id": "c/embed", "type": "embeddings", "state": "loaded"},
    ),
    "older, without states": older({"id": KEY, "type": "vlm"}),
    "older, of no type": older({"id": KEY, "state": "loaded"}),
    "names": {"/v1/models": {"data": [{"id": "text-embed-1"}, {"id": KEY}]}},
    "many names": {"/v1/models": {"data": [{"id": "a/first"}, {"id": KEY}]}},
    "no lists": {"/v1/models": {"data": {}}},
}


@dataclass
class Server:
    """A server that lists and refuses what a test says.

    Attributes:
        listings: Bodies by path.
        refusal: Status and body of every completion; ``None`` for a short answer.
        asked: Bodies of the completions.
    """

    listings: dict[str, object]
    refusal: tuple[int, object] | None = None
    url: str = ""
    asked: list[Any] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer anything."""
        if request.path == "/lmstudio-greeting":
            return web.json_response({"lmstudio": True})
        if request.method == "GET":
            return web.json_response(self.listings.get(request.path, UNKNOWN_ROUTE))
        body = await request.json()
        if "messages" not in body:
            return web.json_response({"error": "'messages' field is required"}, status=400)
        self.asked.append(body)
        if self.refusal is not None:
            status, body = self.refusal
            if isinstance(body, str) and body.startswith("<"):
                return web.Response(status=status, text=body, content_type="text/html")
            return web.json_response(body, status=status)
        message = {"role": "assistant", "content": "OK."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({"model": self.asked[-1].get("model"), "choices": [choice]})


@asynccontextmanager
async def serving(
    listings: dict[str, object], refusal: tuple[int, object] | None = None
) -> AsyncIterator[Server]:
    """Run such a server."""
    server = Server(listings, refusal)
    async with served(server.handle) as server.url:
        yield server


async def walked(clock: FakeClock, url: str, model: str | None = None) -> dict[Step, Finding]:
    """Return a diagnosis, while time passes."""

    async def walk() -> dict[Step, Finding]:
        return {one.step: one async for one in diagnose(Target(url, model=model), clock=clock)}

    return await passing(clock, walk())


async def asked(clock: FakeClock, url: str, model: str | None = None) -> Outcome:
    """Return what becomes of a question."""
    async with connected(clock, url) as backend:
        return await ask(clock, backend, a_request(model=model))


OTHERWISE = {
    Fault.HANG_BEFORE_HEADERS: "a question waits longer",
    Fault.HANG_AFTER_HEADERS: "a question waits longer",
    Fault.HANG_AFTER_TOKENS: "a diagnosis has seen enough",
    Fault.SLOW_LORIS: "a question waits longer",
    Fault.ENDLESS_COMMENTS: "a question waits longer",
    Fault.EMPTY_OVERFLOW: "the words of a diagnosis fit any context",
}
"""Where a diagnosis is meant to end otherwise than a question, and why."""


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in OTHERWISE])
async def test_a_diagnosis_says_of_a_fault_what_a_question_meets(
    fault: Fault, clock: FakeClock
) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(fault, times=None)
        outcome = await asked(clock, lm.base_url, KEY)
        finding = (await walked(clock, lm.base_url, KEY))[Step.COMPLETION]
    if outcome.error is not None:
        agree(finding, outcome.error)
    elif outcome.end.interruption:
        assert finding.status is Status.FAILED
        assert "connection to the model bro" in finding.cause
        assert "connection to the model bro" in outcome.end.interruption
    else:
        is_another = any("Another model" in remark for remark in outcome.end.remarks)
        assert finding.status is (Status.WARNING if is_another else Status.OK)


def agree(finding: Finding, error: BaseException) -> None:
    """Check that a finding says what a question's failure means, and advises the same."""
    assert isinstance(error, BackendError)
    assert finding.status is not Status.OK
    assert finding.advice == error.admin_hint
    if type(error) not in SEEN and not isinstance(error, errors.EmptyAnswerError):
        assert finding.cause == first_sentence(error.sentence)


@pytest.mark.parametrize(("status", "body", "kind"), TEXTS)
async def test_a_diagnosis_and_a_question_read_each_known_text_alike(
    status: int, body: object, kind: type[BackendError], clock: FakeClock
) -> None:
    async with serving(NATIVE, (status, {"error": body})) as server:
        outcome = await asked(clock, server.url, KEY)
        finding = (await walked(clock, server.url, KEY))[Step.COMPLETION]
    assert type(outcome.error) is kind
    agree(finding, outcome.error)


@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize("model", NAMES)
async def test_a_diagnosis_and_a_question_choose_one_model_of_each_list(
    name: str, model: str | None, clock: FakeClock
) -> None:
    async with serving(LISTINGS[name]) as server:
        await compare(clock, server.url, model, server.asked)


@pytest.mark.parametrize("model", [None, "a/one", "b/two", "not/there"])
@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize(
    "options",
    [{"era": "0.4"}, {"era": "0.3"}, {"flavour": "llama.cpp"}, {"flavour": "vllm"}],
    ids=str,
)
async def test_a_diagnosis_and_a_question_choose_one_model_of_each_server(
    options: dict[str, Any], jit: bool, model: str | None, clock: FakeClock
) -> None:
    models = [
        Model("a/one", context_tokens=4096, parallel=2, vision=True, reasoning_options=("off",)),
        Model("b/two", loaded=False),
        Model("c/embed", kind="embedding"),
    ]
    async with LMStudioSandbox(models, options=Options(jit=jit, **options)) as lm:
        sent: list[Any] = []
        await compare(clock, lm.base_url, model, sent, lambda: [c.body for c in lm.completions])


async def compare(
    clock: FakeClock,
    url: str,
    model: str | None,
    sent: list[Any],
    completions: Callable[[], list[Any]] | None = None,
) -> None:
    """Diagnose, then ask; check that both took the same model for the same."""
    found = await walked(clock, url, model)
    by_diagnosis = [body.get("model") for body in (completions() if completions else sent)]
    async with connected(clock, url) as backend:
        info = backend.model(model)
        if by_diagnosis:
            await ask(clock, backend, a_request(model=model))
    bodies = completions() if completions else sent
    assert len({body.get("model") for body in bodies}) <= 1
    listing, completion = found[Step.MODELS], found[Step.COMPLETION]
    assert bool(by_diagnosis) == (completion.status is not Status.SKIPPED)
    if info is None or not info.is_loaded:
        assert not by_diagnosis
        assert listing.status is not Status.OK
        return
    assert by_diagnosis
    if " is loaded" in listing.cause or "There is a model" in listing.cause:
        assert listing.technical == info.key
        assert listing.facts.get("context_tokens") == info.context_tokens
        assert listing.facts.get("parallel") == info.parallel
        assert listing.facts.get("vision") == info.sees_images
