"""One question's own failure is its own: everybody else is answered as if it weren't there."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.core.domain import ChatRequest, ChatTurn, Role
from bot.core.errors import BackendError
from bot.lmstudio import BackendUnavailableError, LMStudioBackend, errors
from bot.lmstudio.recovery import TURN_SHORTENED
from sandbox.lmstudio import Fault, LMStudioSandbox, Model
from tests.support.clock import FakeClock
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import a_request, ask, connected, listen, nodes, passing

POISON = "Say the word that breaks it."
KINDS = (
    (Fault.UNKNOWN_ERROR, 0, errors.ServerFaultError),
    (Fault.CRASHED, None, errors.ModelCrashedError),
    (Fault.CRASHED, 0, errors.ModelCrashedError),
    (Fault.BAD_ALLOC, None, errors.OutOfMemoryError),
    (Fault.METAL_ALLOCATE, None, errors.OutOfMemoryError),
    (Fault.LOAD_GUARDRAIL, None, errors.OutOfMemoryError),
    (Fault.LOAD_VULKAN, 0, errors.OutOfMemoryError),
    (Fault.OVERFLOW_REACHED, None, errors.ContextOverflowError),
    (Fault.OVERFLOW_REACHED, 0, errors.ContextOverflowError),
    (Fault.COMPUTE_ERROR, 0, errors.ComputeError),
    (Fault.CHANNEL_ERROR, None, errors.ChannelError),
    (Fault.HTML_500, None, errors.ServerFaultError),
)


def asked(words: str, conversation: str) -> ChatRequest:
    """Return a question with these words."""
    return a_request(ChatTurn(Role.USER, words), conversation=conversation)


@pytest.mark.parametrize(("fault", "after_tokens", "kind"), KINDS)
async def test_a_poisonous_question_ends_by_itself_and_shuts_the_model_for_nobody(
    fault: Fault,
    after_tokens: int | None,
    kind: type[BackendError],
    sandbox: LMStudioSandbox,
    backend: LMStudioBackend,
    clock: FakeClock,
) -> None:
    sandbox.faults.next(fault, times=None, after_tokens=after_tokens, words=POISON)
    for number in range(4):
        outcome = await ask(clock, backend, asked(POISON, f"p{number}"))
        assert isinstance(outcome.error, kind)
        began_s = clock.monotonic()
        assert (await ask(clock, backend, asked("And of Italy?", "ordinary"))).text == PARIS
        assert clock.monotonic() - began_s <= 1
    poisoned = [one for one in sandbox.completions if one.fault is not None]
    assert len(poisoned) <= 16
    assert backend.is_available()


@pytest.mark.parametrize(("fault", "after_tokens", "kind"), KINDS)
async def test_the_same_poison_again_and_again_keeps_the_circuit_closed(
    fault: Fault,
    after_tokens: int | None,
    kind: type[BackendError],
    sandbox: LMStudioSandbox,
    backend: LMStudioBackend,
    clock: FakeClock,
) -> None:
    sandbox.faults.next(fault, times=None, after_tokens=after_tokens, words=POISON)
    for number in range(5):
        assert isinstance((await ask(clock, backend, asked(POISON, f"p{number}"))).error, kind)
        assert isinstance((await ask(clock, backend, asked(POISON, "same"))).error, kind)
    assert nodes(backend)[0].circuit.state == "closed"
    assert (await ask(clock, backend, asked("And of Italy?", "ordinary"))).text == PARIS


async def test_a_failure_that_different_questions_share_opens_the_circuit(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.faults.next(Fault.CRASHED, times=None)
    for number in range(3):
        outcome = await ask(clock, backend, asked(f"Question {number}?", f"c{number}"))
        assert isinstance(outcome.error, errors.ModelCrashedError)
    sent = len(sandbox.completions)
    assert not backend.is_available()
    outcome = await ask(clock, backend, asked("Another?", "another"))
    assert isinstance(outcome.error, BackendUnavailableError)
    assert len(sandbox.completions) == sent


async def test_a_question_that_failed_itself_is_told_so_when_the_circuit_opens_meanwhile(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.faults.next(Fault.CRASHED, times=None)
    together = asyncio.gather(
        *(listen(backend, asked(f"Question {number}?", f"c{number}")) for number in range(6))
    )
    outcomes = await passing(clock, asyncio.wait_for(together, None))
    assert {type(outcome.error) for outcome in outcomes} == {errors.ModelCrashedError}


async def test_a_model_that_could_not_be_loaded_is_used_as_soon_as_the_list_has_it(
    clock: FakeClock,
) -> None:
    model = Model("a/b", loaded=False, loadable_context_tokens=1)
    async with (
        LMStudioSandbox([model]) as sandbox,
        connected(clock, sandbox.base_url, health_interval_s=600) as backend,
    ):
        sandbox.answer(PARIS)
        first = await ask(clock, backend, asked("One?", "one"))
        assert isinstance(first.error, errors.LoadFailedError)
        sent = [request for request in sandbox.requests if request.method == "POST"]
        refused = await ask(clock, backend, asked("Two?", "two"))
        assert isinstance(refused.error, errors.LoadFailedError)
        assert [request for request in sandbox.requests if request.method == "POST"] == sent
        sandbox.engine.models["a/b"] = replace(model, loadable_context_tokens=None)
        await sandbox.load("a/b")
        assert (await ask(clock, backend, asked("Three?", "three"))).text == PARIS


@pytest.mark.parametrize(
    ("fault", "estimated"),
    [(Fault.EMPTY_OVERFLOW, 40), (Fault.EMPTY_ZERO_USAGE, 9000), (Fault.EMPTY_200, 9000)],
)
async def test_an_empty_answer_whose_prompt_was_larger_than_the_context_is_an_overflow(
    fault: Fault,
    estimated: int,
    sandbox: LMStudioSandbox,
    backend: LMStudioBackend,
    clock: FakeClock,
) -> None:
    """The server's own count says so; where it counts nothing, our estimate does."""
    sandbox.faults.next(fault)
    request = replace(asked("word and " * 500, "c"), prompt_tokens=estimated)
    outcome = await ask(clock, backend, request)
    assert outcome.text == PARIS
    assert TURN_SHORTENED in outcome.end.remarks
    assert len(sandbox.completions) == 2
