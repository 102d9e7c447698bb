"""Several servers: who is asked, who takes over, and what they can do together."""

from __future__ import annotations

import asyncio

import pytest

from bot.core.domain import ChatTurn, FinishReason, LoadOptions, Role
from bot.core.ports import Capacity
from bot.lmstudio import BackendUnavailableError, errors
from bot.lmstudio.backend import LOOK_S
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox, Model, Options
from sandbox.lmstudio.values import Era
from tests.support.clock import FakeClock, settle
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import a_request, ask, connected, listen, nodes, passing


async def test_the_other_server_takes_over_before_the_first_word(clock: FakeClock) -> None:
    async with LMStudioSandbox() as one, LMStudioSandbox() as two:
        two.answer(PARIS)
        async with connected(clock, one.base_url, two.base_url) as backend:
            for fault in (
                Fault.CRASHED,
                Fault.HTML_503,
                Fault.RESET_BEFORE_HEADERS,
                Fault.AUTH_MISSING,
                Fault.MODEL_NOT_FOUND,
            ):
                one.faults.clear()
                one.faults.next(fault)
                question = a_request(conversation=fault.value)
                outcome = await ask(clock, backend, question)
                assert outcome.text == PARIS
            assert len(two.completions) == 5


async def test_a_server_that_is_off_is_left_out(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox() as one,
        LMStudioSandbox() as two,
        connected(clock, one.base_url, two.base_url) as backend,
    ):
        assert backend.capacity() == Capacity(8, 16_384)
        await one.refuse()
        assert (await ask(clock, backend)).end.reason is FinishReason.STOP
        assert backend.capacity() == Capacity(4, 8192)
        assert [node.is_up for node in nodes(backend)] == [False, True]
        assert backend.is_available()


async def test_nothing_reachable_is_one_class_of_failure(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox() as one,
        LMStudioSandbox() as two,
        connected(clock, one.base_url, two.base_url) as backend,
    ):
        await one.refuse()
        await two.refuse()
        outcome = await ask(clock, backend)
        assert isinstance(outcome.error, BackendUnavailableError)
        assert not backend.is_available()


async def test_a_conversation_stays_where_it_is_warm(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox() as one,
        LMStudioSandbox() as two,
        connected(clock, one.base_url, two.base_url) as backend,
    ):
        hold = asyncio.create_task(hold_slot(backend, one))
        await until(clock, lambda: nodes(backend)[0].in_flight == 1)
        await ask(clock, backend, a_request(conversation="warm on two"))
        assert len(two.completions) == 1
        hold.cancel()
        await asyncio.gather(hold, return_exceptions=True)
        for _ in range(3):
            await ask(clock, backend, a_request(conversation="warm on two"))
        assert len(two.completions) == 4
        await ask(clock, backend, a_request(conversation="another"))
        assert len(two.completions) == 4


async def hold_slot(backend: object, sandbox: LMStudioSandbox) -> None:
    """Keep a request running."""
    sandbox.faults.next(Fault.HANG_AFTER_HEADERS)
    await listen(backend, a_request(conversation="held"))  # type: ignore[arg-type]


async def until(clock: FakeClock, condition: object) -> None:
    """Let things happen until a condition holds."""
    for _ in range(100):
        if condition():  # type: ignore[operator]
            return
        await settle()
    raise AssertionError(clock.monotonic())


async def test_the_server_with_the_model_loaded_is_asked(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("a/b", loaded=False)]) as one,
        LMStudioSandbox([Model("a/b")]) as two,
        connected(clock, one.base_url, two.base_url) as backend,
    ):
        await ask(clock, backend, a_request(model="a/b"))
        assert one.completions == []
        assert len(two.completions) == 1
        model = backend.model("a/b")
        assert model is not None
        assert model.is_loaded


async def test_a_server_that_keeps_crashing_is_paused_and_tried_again(clock: FakeClock) -> None:
    async with LMStudioSandbox() as sandbox, connected(clock, sandbox.base_url) as backend:
        sandbox.faults.next(Fault.CRASHED, times=None)
        for number in range(3):
            turn = ChatTurn(Role.USER, f"Question {number}?")
            outcome = await ask(clock, backend, a_request(turn, conversation=f"c{number}"))
            assert isinstance(outcome.error, errors.ModelCrashedError)
        asked = len(sandbox.completions)
        assert not backend.is_available()
        assert isinstance((await ask(clock, backend)).error, BackendUnavailableError)
        assert len(sandbox.completions) == asked
        sandbox.faults.clear()
        sandbox.answer(PARIS)
        await clock.advance(16)
        assert backend.is_available()
        assert (await ask(clock, backend)).text == PARIS
        assert nodes(backend)[0].circuit.state == "closed"


@pytest.mark.parametrize("era", ["0.4", "0.3"])
async def test_models_are_read_from_either_list(era: Era, clock: FakeClock) -> None:
    models = [
        Model("a/seeing", vision=True, context_tokens=16_384, parallel=2),
        Model("b/cold", loaded=False),
        Model("c/words", kind="embedding"),
    ]
    async with (
        LMStudioSandbox(models, options=Options(era=era)) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        listed = await passing(clock, backend.list_models())
        assert [model.key for model in listed] == ["a/seeing", "b/cold"]
        assert [model.is_loaded for model in listed] == [True, False]
        assert listed[0].context_tokens == 16_384
        assert listed[0].sees_images is True
        assert backend.capacity() == Capacity(2 if era == "0.4" else 1, 16_384)
        sandbox.requests.clear()
        await backend.probe_now()
        assert len(sandbox.requests) == 1


async def test_many_who_ask_for_the_models_cost_the_server_one_look(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("a/b")]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        await clock.advance(LOOK_S)
        sandbox.requests.clear()
        asked = asyncio.gather(*(backend.list_models() for _ in range(50)))
        assert await passing(clock, asyncio.wait_for(asked, None))
        assert len(sandbox.requests) == 1
        await clock.advance(LOOK_S)
        await passing(clock, backend.list_models())
        assert len(sandbox.requests) == 2


async def test_loading_what_is_loaded_makes_no_second_copy(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("a/b", loaded=False)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        both = asyncio.gather(backend.load_model("a/b"), backend.load_model("a/b"))
        first, second = await passing(clock, asyncio.wait_for(both, None))
        assert first.is_loaded
        assert second.instance_ids == ("a/b",)
        assert sandbox.options.counters.loads == 1
        larger = await passing(clock, backend.load_model("a/b", LoadOptions(context_length=16_384)))
        assert larger.context_tokens == 16_384
        assert larger.instance_ids == ("a/b",)
        await passing(clock, backend.unload_model("a/b"))
        model = backend.model("a/b")
        assert model is not None
        assert not model.is_loaded
        with pytest.raises(errors.ModelNotFoundError):
            await passing(clock, backend.unload_model("a/b"))


async def test_loading_an_unknown_model_is_one_sentence(clock: FakeClock) -> None:
    async with LMStudioSandbox() as sandbox, connected(clock, sandbox.base_url) as backend:
        with pytest.raises(errors.ModelNotFoundError):
            await passing(clock, backend.load_model("no/such"))


async def test_a_connection_is_used_again(clock: FakeClock) -> None:
    async with LMStudioSandbox() as sandbox, connected(clock, sandbox.base_url) as backend:
        sandbox.answer(Answer(PARIS))
        before = sandbox.options.counters.connections
        for _ in range(3):
            await ask(clock, backend)
        assert sandbox.options.counters.connections == before
