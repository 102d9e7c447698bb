"""llama.cpp's server and vLLM: their context and slots are read, their refusals understood."""

from __future__ import annotations

import pytest

from bot.core.domain import ChatTurn, Role, Stage, StageKind
from bot.core.errors import BackendError
from bot.core.ports import Capacity
from bot.lmstudio import LMStudioBackend, errors
from bot.lmstudio.catalogue import VLLM_PARALLEL
from bot.lmstudio.recovery import TURN_SHORTENED
from sandbox.lmstudio import Fault, LMStudioSandbox, Model, Options
from sandbox.lmstudio.values import Answer, Flavour
from tests.support.clock import FakeClock
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import Outcome, a_request, ask, connected
from tests.wire.lmstudio.test_poison import KINDS, POISON, asked

MODEL = Model("local.gguf", context_tokens=16_384, parallel=4, vision=True)


@pytest.mark.parametrize("slots_endpoint", [True, False])
@pytest.mark.parametrize(("unified", "context"), [(True, 16_384), (False, 4096)])
async def test_the_context_and_slots_of_llama_cpp_are_read(
    unified: bool, context: int, slots_endpoint: bool, clock: FakeClock
) -> None:
    options = Options(flavour="llama.cpp", unified=unified, slots_endpoint=slots_endpoint)
    async with (
        LMStudioSandbox([MODEL], options=options) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        model = backend.model(None)
        assert model is not None
        assert model.context_tokens == context
        assert model.max_context_tokens == 131_072
        assert model.parallel == 4
        assert model.sees_images is True
        assert backend.capacity() == Capacity(4, context)


async def test_the_longest_prompt_of_vllm_is_read_and_one_slot_is_not_assumed(
    clock: FakeClock,
) -> None:
    async with (
        LMStudioSandbox([MODEL], options=Options(flavour="vllm")) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        model = backend.model(None)
        assert model is not None
        assert model.context_tokens == 16_384
        assert backend.capacity() == Capacity(VLLM_PARALLEL, None)


@pytest.mark.parametrize("flavour", ["llama.cpp", "vllm"])
@pytest.mark.parametrize(("fault", "after_tokens", "kind"), KINDS)
async def test_a_poisonous_question_there_ends_by_itself_and_shuts_the_model_for_nobody(
    fault: Fault,
    after_tokens: int | None,
    kind: type[BackendError],
    flavour: Flavour,
    clock: FakeClock,
) -> None:
    async with (
        LMStudioSandbox([MODEL], options=Options(flavour=flavour)) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.answer(PARIS)
        sandbox.faults.next(fault, times=None, after_tokens=after_tokens, words=POISON, form="data")
        for number in range(4):
            outcome = await ask(clock, backend, asked(f"{POISON} {number}", f"p{number}"))
            assert isinstance(outcome.error, kind)
            began_s = clock.monotonic()
            assert (await ask(clock, backend, asked("And of Italy?", "ordinary"))).text == PARIS
            assert clock.monotonic() - began_s <= 1
        assert len([one for one in sandbox.completions if one.fault is not None]) <= 16
        assert backend.is_available()


@pytest.mark.parametrize("flavour", ["llama.cpp", "vllm"])
async def test_a_prompt_that_is_too_long_there_is_cut_to_fit(
    flavour: str, clock: FakeClock
) -> None:
    options = Options(flavour=flavour)  # type: ignore[arg-type]
    async with (
        LMStudioSandbox([MODEL], options=options) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.answer(PARIS)
        turn = ChatTurn(Role.USER, "word and " * 12_000)
        outcome = await ask(clock, backend, a_request(turn, model="local.gguf"))
        assert outcome.text == PARIS
        assert TURN_SHORTENED in outcome.end.remarks


async def test_a_model_that_vllm_does_not_serve_is_said(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([MODEL], options=Options(flavour="vllm")) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        outcome = await ask(clock, backend, a_request(model="no/such"))
        assert isinstance(outcome.error, errors.ModelNotFoundError)


def reading(outcome: Outcome) -> int | None:
    """Return how many tokens the stage line says are being read."""
    stages = [one for one in outcome.events if isinstance(one, Stage)]
    return next(stage.tokens for stage in stages if stage.kind is StageKind.READING)


async def test_the_stage_line_says_how_much_of_a_conversation_is_still_to_be_read(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.answer(Answer(PARIS))
    long = (ChatTurn(Role.SYSTEM, "word and " * 3000), ChatTurn(Role.USER, "And of France?"))
    first = await ask(clock, backend, a_request(*long, prompt_tokens=7115))
    assert reading(first) == 7115
    more = (*long, ChatTurn(Role.ASSISTANT, PARIS), ChatTurn(Role.USER, "word and " * 250))
    second = await ask(clock, backend, a_request(*more, prompt_tokens=7690))
    assert reading(second) == pytest.approx(sandbox.completions[1].reread_tokens, rel=0.2)
    for number in range(4):
        other = (ChatTurn(Role.USER, f"Question {number}?"),)
        await ask(clock, backend, a_request(*other, conversation=f"o{number}"))
    again = await ask(clock, backend, a_request(*more, prompt_tokens=7690))
    assert reading(again) == 7690
