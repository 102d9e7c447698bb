"""Every fault of the local LM Studio, once and for ever, before the stream and inside it."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from bot.core.domain import FinishReason
from bot.core.errors import BackendError
from bot.lmstudio import LMStudioBackend, errors
from sandbox.lmstudio import Fault, LMStudioSandbox
from sandbox.lmstudio.faults import ERRORS, Form
from tests.support.clock import FakeClock
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import ask, connected
from tests.wire.lmstudio.test_trust import serving

HANGS = frozenset(
    {
        Fault.HANG_BEFORE_HEADERS,
        Fault.HANG_AFTER_HEADERS,
        Fault.SLOW_LORIS,
        Fault.ENDLESS_COMMENTS,
    }
)
HEALED_BY_ASKING_AGAIN = frozenset(
    {
        Fault.UNLOADED,
        Fault.TERMINATED,
        Fault.RELOADED,
        Fault.CRASHED,
        Fault.CRASHED_SEGV,
        Fault.CRASHED_WINDOWS,
        Fault.POOL_FULL,
        Fault.COMPUTE_ERROR,
        Fault.DEVICE_LOST,
        Fault.SPECULATIVE,
        Fault.PEG_NATIVE,
        Fault.CHANNEL_ERROR,
        Fault.CHANNEL_SEND,
        Fault.HTML_500,
        Fault.HTML_502,
        Fault.HTML_503,
        Fault.HTML_504,
        Fault.EMPTY_200,
        Fault.PLAIN_TEXT,
        Fault.RESET_BEFORE_HEADERS,
        Fault.RESET_AFTER_HEADERS,
        Fault.INVALID_JSON,
        Fault.NAN_JSON,
        Fault.DEEP_JSON,
        Fault.GZIP_BOMB,
        Fault.HUGE_LINE,
    }
)
HEALED_BY_A_REMEDY = frozenset(
    {
        Fault.NO_MODELS,
        Fault.NO_MODELS_03,
        Fault.LOAD_GUARDRAIL,
        Fault.LOAD_VULKAN,
        Fault.BAD_ALLOC,
        Fault.OVERFLOW_KEEP_FIRST,
        Fault.OVERFLOW_N_KEEP,
        Fault.OVERFLOW_ENGINE,
        Fault.JINJA_ALTERNATE,
        Fault.JINJA_NO_SYSTEM,
        Fault.JINJA_ENGINE,
        Fault.EMPTY,
        Fault.EMPTY_ZERO_USAGE,
        Fault.TOOL_CALL_EMPTY,
    }
)
ONLY_THINKING = frozenset({Fault.REASONING_ONLY, Fault.REASONING_ONLY_STOP})
HARMLESS = frozenset(
    {
        Fault.BUFFERED,
        Fault.JSON_FOR_STREAM,
        Fault.NULL_DELTAS,
        Fault.NO_DONE,
        Fault.STALE_KEEPALIVE,
    }
)
CUT = frozenset(
    {
        Fault.TRUNCATED_STREAM,
        Fault.CHUNKED_CUT,
        Fault.RESET_AFTER_TOKENS,
        Fault.HANG_AFTER_TOKENS,
    }
)
FINAL = {
    Fault.MODEL_NOT_FOUND: errors.ModelNotFoundError,
    Fault.MULTIPLE_MODELS: errors.ModelNotFoundError,
    Fault.IMAGES_UNSUPPORTED: errors.ImagesRefusedError,
    Fault.VALIDATION_MESSAGES: errors.InvalidRequestError,
    Fault.UNKNOWN_ENDPOINT: errors.WrongEndpointError,
    Fault.AUTH_MISSING: errors.AuthenticationError,
    Fault.AUTH_MALFORMED: errors.AuthenticationError,
    Fault.FORBIDDEN: errors.PermissionDeniedError,
    Fault.HTML_413: errors.PayloadTooLargeError,
    Fault.REDIRECT: errors.RedirectError,
}
SLOW = frozenset({Fault.TINY_EVENTS})
by_name = pytest.mark.parametrize("fault", [f for f in Fault if f not in SLOW], ids=str)


def pick(faults: object) -> pytest.MarkDecorator:
    """Run a test for each of some faults."""
    return pytest.mark.parametrize("fault", sorted(faults), ids=str)  # type: ignore[call-overload]


@pick(HEALED_BY_ASKING_AGAIN | HEALED_BY_A_REMEDY | HARMLESS)
async def test_a_fault_that_passes_ends_in_the_answer(
    fault: Fault, sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.faults.next(fault)
    outcome = await ask(clock, backend)
    assert outcome.end.reason is FinishReason.STOP
    assert outcome.text == PARIS
    assert len(sandbox.completions) <= 2


@pick(ONLY_THINKING)
async def test_an_answer_of_thinking_only_is_passed_on_for_its_reader_to_judge(
    fault: Fault, sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.faults.next(fault)
    outcome = await ask(clock, backend)
    is_cut = fault is Fault.REASONING_ONLY
    assert outcome.end.reason is (FinishReason.LENGTH if is_cut else FinishReason.STOP)
    assert outcome.reasoning
    assert not outcome.text
    assert len(sandbox.completions) == 1


@pick(set(ERRORS) & (HEALED_BY_ASKING_AGAIN | HEALED_BY_A_REMEDY) - {Fault.EMPTY_200})
@pytest.mark.parametrize("form", ["event", "data", "data_string"])
async def test_the_same_inside_a_stream(
    fault: Fault, form: Form, sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.faults.next(fault, after_tokens=0, form=form)
    outcome = await ask(clock, backend)
    assert outcome.text == PARIS


@by_name
async def test_a_fault_that_stays_ends_in_an_answer_or_one_plain_sentence(
    fault: Fault, sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.faults.next(fault, times=None)
    began_at_s = clock.monotonic()
    outcome = await ask(clock, backend, step_s=5 if fault in HANGS else 0.25)
    assert clock.monotonic() - began_at_s <= 905
    assert len(sandbox.completions) <= 4
    if outcome.error is None:
        assert outcome.end.reason in FinishReason
        return
    assert isinstance(outcome.error, BackendError)
    said = outcome.error.sentence
    assert said.endswith((".", ")"))
    for secret in ("127.0.0.1", str(sandbox.port), "http", "jinja", "sk-", "qwen", "Exit code"):
        assert secret not in said


@pytest.mark.parametrize(("fault", "kind"), FINAL.items(), ids=str)
async def test_what_asking_again_cannot_heal_is_asked_once(
    fault: Fault,
    kind: type[BackendError],
    sandbox: LMStudioSandbox,
    backend: LMStudioBackend,
    clock: FakeClock,
) -> None:
    sandbox.faults.next(fault, times=None)
    outcome = await ask(clock, backend)
    assert type(outcome.error) is kind
    assert len(sandbox.completions) == 1


@pick(CUT)
async def test_a_stream_cut_after_text_ends_in_what_came(
    fault: Fault, sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.answer(PARIS)
    sandbox.faults.next(fault, after_tokens=3)
    outcome = await ask(clock, backend)
    assert outcome.end.reason is FinishReason.INTERRUPTED
    assert outcome.text
    assert PARIS.startswith(outcome.text)
    assert len(sandbox.completions) == 1


@pick({Fault.COMPUTE_ERROR, Fault.UNLOADED, Fault.POOL_FULL, Fault.CRASHED})
async def test_an_error_after_text_ends_in_what_came(
    fault: Fault, sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.answer(PARIS)
    sandbox.faults.next(fault, after_tokens=3)
    outcome = await ask(clock, backend)
    assert outcome.end.reason is FinishReason.INTERRUPTED
    assert PARIS.startswith(outcome.text)


@pytest.mark.parametrize(
    ("fault", "words", "may_go_on"),
    [
        (Fault.OVERFLOW_REACHED, "can read at once is full", False),
        (Fault.METAL_ALLOCATE, "ran out of memory", True),
        (Fault.CRASHED, "crashed", True),
        (Fault.UNLOADED, "unloaded", True),
        (Fault.HANG_AFTER_TOKENS, "stopped in the middle", True),
        (Fault.RESET_AFTER_TOKENS, "connection to the model broke", True),
        (Fault.UNKNOWN_ERROR, "reported a fault", True),
    ],
)
async def test_an_answer_that_broke_off_says_what_is_known_of_it(
    fault: Fault,
    words: str,
    may_go_on: bool,
    sandbox: LMStudioSandbox,
    backend: LMStudioBackend,
    clock: FakeClock,
) -> None:
    sandbox.answer(PARIS)
    sandbox.faults.next(fault, after_tokens=3)
    end = (await ask(clock, backend)).end
    assert words in end.interruption
    assert end.may_go_on is may_go_on


async def test_an_error_after_the_whole_answer_takes_nothing_from_it(clock: FakeClock) -> None:
    text = json.dumps({"choices": [{"delta": {"content": PARIS}}]})
    end = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    late = json.dumps({"error": {"message": "Compute error."}})
    body = f"data: {text}\n\ndata: {end}\n\nevent: error\ndata: {late}\n\n"

    async def handle(request: web.Request) -> web.Response:
        if request.method == "POST":
            return web.Response(body=body.encode(), content_type="text/event-stream")
        return web.json_response({"data": [{"id": "m"}]})

    async with serving(handle) as url, connected(clock, url) as opened:
        outcome = await ask(clock, opened)
        assert outcome.text == PARIS
        assert outcome.end.reason is FinishReason.STOP


async def test_what_was_thought_before_a_cut_is_void(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.faults.next(Fault.RESET_AFTER_TOKENS, after_tokens=1)
    outcome = await ask(clock, backend)
    assert outcome.text == PARIS
    assert outcome.reasoning == "Hm."
    assert len(sandbox.completions) == 2
