"""What goes over the wire, and what is made of what comes back."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot.core.domain import ChatTurn, FinishReason, Role, Stage, StageKind, TextDelta, Usage
from bot.lmstudio import LMStudioBackend
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox, Model
from tests.support.clock import FakeClock
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import a_request, ask, connected, listen, nodes, passing


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/", "/api/v1"])
async def test_any_form_of_the_base_url_works(
    suffix: str, sandbox: LMStudioSandbox, clock: FakeClock
) -> None:
    async with connected(clock, sandbox.base_url + suffix) as backend:
        assert (await ask(clock, backend)).text == PARIS
        assert {request.path for request in sandbox.requests} == {
            "/api/v1/models",
            "/v1/chat/completions",
        }


@pytest.mark.parametrize("markup", ["field", "field_reasoning"])
async def test_both_reasoning_fields_are_kept_apart_from_the_answer(
    markup: str, sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.answer(Answer(PARIS, reasoning="Hm, France.", markup=markup))
    outcome = await ask(clock, backend)
    assert outcome.text == PARIS
    assert outcome.reasoning == "Hm, France."


async def test_the_end_tells_model_usage_context_and_times(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    end = (await ask(clock, backend)).end
    sent = sandbox.completions[0]
    assert end.reason is FinishReason.STOP
    assert end.model == "qwen/qwen3-next-80b"
    assert end.usage is not None
    assert end.usage == Usage(sent.prompt_tokens, sent.tokens_sent, end.usage.reasoning_tokens)
    assert end.usage.reasoning_tokens > 0
    assert end.context_tokens == 8192
    assert end.first_token_s is not None
    assert end.total_s is not None
    assert 0 <= end.first_token_s <= end.total_s


@pytest.mark.parametrize(("pause_after", "first_token_s"), [(0, 20), (1, 0)])
async def test_the_times_of_an_answer_count_from_its_own_request(
    pause_after: int,
    first_token_s: float,
    sandbox: LMStudioSandbox,
    backend: LMStudioBackend,
    clock: FakeClock,
) -> None:
    await clock.advance(7)
    sandbox.answer(Answer(PARIS, pause_after=pause_after))
    asked = asyncio.create_task(listen(backend, a_request()))
    await sandbox.wait_until(lambda: sandbox.completions)
    await clock.advance(20)
    sandbox.resume()
    end = (await passing(clock, asyncio.wait_for(asked, None))).end
    assert end.first_token_s == pytest.approx(first_token_s, abs=1)
    assert end.total_s == pytest.approx(20, abs=1)


async def test_a_question_goes_out_with_its_own_sampling(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    await ask(clock, backend, a_request(max_tokens=321))
    body = sandbox.completions[0].body
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.95, 321)


async def test_an_answer_cut_by_length_says_so(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.answer(PARIS)
    outcome = await ask(clock, backend, a_request(max_tokens=3))
    assert outcome.end.reason is FinishReason.LENGTH
    assert PARIS.startswith(outcome.text)


async def test_stages_lead_to_the_first_word(backend: LMStudioBackend, clock: FakeClock) -> None:
    outcome = await ask(clock, backend, a_request(prompt_tokens=77))
    assert outcome.stages == [StageKind.CONNECTING, StageKind.READING]
    assert [event.tokens for event in outcome.events[:2]] == [None, 77]  # type: ignore[union-attr]


async def test_messages_go_out_in_a_form_that_templates_take(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    turns = (
        ChatTurn(Role.ASSISTANT, "Hello."),
        ChatTurn(Role.USER, "One."),
        ChatTurn(Role.USER, "Two."),
        ChatTurn(Role.ASSISTANT, "  "),
        ChatTurn(Role.SYSTEM, "Rules."),
        ChatTurn(Role.USER, "Three."),
        ChatTurn(Role.ASSISTANT, "Well"),
    )
    await ask(clock, backend, a_request(*turns))
    assert sandbox.completions[0].messages == [
        {"role": "system", "content": "Rules."},
        {"role": "user", "content": "One.\n\nTwo.\n\nThree."},
    ]


async def test_nothing_that_people_or_the_model_wrote_is_logged(
    sandbox: LMStudioSandbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with connected(clock, sandbox.base_url) as backend:
        for fault in (Fault.CRASHED, Fault.JINJA_ALTERNATE, Fault.HTML_500):
            sandbox.faults.next(fault)
            await ask(clock, backend)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("bot.")]
    for secret in ("Paris", "capital", "Hm.", "jinja", "127.0.0.1"):
        assert secret not in "".join(ours)


async def test_a_slow_consumer_holds_up_nobody_and_gets_joined_text(
    sandbox: LMStudioSandbox, backend: LMStudioBackend
) -> None:
    sandbox.answer(Answer(" ".join(["word"] * 400)))
    stream = backend.stream(a_request())
    assert await anext(stream) == Stage(StageKind.CONNECTING)
    await sandbox.wait_until(lambda: sandbox.completions and sandbox.completions[0].finished)
    rest = [event async for event in stream]
    deltas = [event for event in rest if isinstance(event, TextDelta)]
    assert "".join(delta.content for delta in deltas) == " ".join(["word"] * 400)
    assert len(deltas) < 20


async def test_a_full_pool_is_asked_again_alone(clock: FakeClock) -> None:
    model = Model("a/b", context_tokens=1024)
    async with LMStudioSandbox([model]) as sandbox, connected(clock, sandbox.base_url) as backend:
        sandbox.answer(PARIS)
        sandbox.faults.next(Fault.POOL_FULL, times=3)
        tasks = [
            asyncio.create_task(listen(backend, a_request(conversation=str(number))))
            for number in range(3)
        ]
        outcomes = [await passing(clock, asyncio.wait_for(task, None)) for task in tasks]
        assert [outcome.text for outcome in outcomes] == [PARIS] * 3
        assert len(sandbox.completions) == 6


async def test_a_question_that_found_the_pool_full_waits_a_minute_at_most_for_the_others(
    sandbox: LMStudioSandbox, clock: FakeClock
) -> None:
    sandbox.script(Answer(PARIS, pause_after=1), Answer(PARIS))
    async with connected(clock, sandbox.base_url, network_timeout_ms=120_000) as backend:
        first = asyncio.create_task(listen(backend, a_request(conversation="first")))
        await sandbox.wait_until(lambda: sandbox.completions)
        await clock.advance(1)
        sandbox.faults.next(Fault.POOL_FULL)
        second = asyncio.create_task(listen(backend, a_request(conversation="second")))
        await sandbox.wait_until(lambda: len(sandbox.completions) == 2)
        for _ in range(118):
            await clock.advance(0.5)
        assert len(sandbox.completions) == 2
        for _ in range(10):
            await clock.advance(0.5)
        assert len(sandbox.completions) == 3
        sandbox.resume()
        outcomes = [await passing(clock, asyncio.wait_for(task, None)) for task in (first, second)]
        assert [outcome.text for outcome in outcomes] == [PARIS, PARIS]
        assert len(sandbox.completions) == 3


async def test_two_that_found_the_pool_full_are_asked_one_after_the_other(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.answer(Answer(PARIS, pause_after=1))
    asked = [asyncio.create_task(listen(backend, a_request(conversation="first")))]
    await clock.advance(1)
    sandbox.faults.next(Fault.POOL_FULL, times=2)
    asked += [asyncio.create_task(listen(backend, a_request(conversation=c))) for c in "ab"]
    for _ in range(10):
        await clock.advance(0.5)
    assert len(sandbox.completions) == 3
    sandbox.resume()
    for _ in range(10):
        await clock.advance(0.5)
    assert len(sandbox.completions) == 4
    sandbox.answer(PARIS)
    sandbox.resume()
    outcomes = [await passing(clock, asyncio.wait_for(task, None)) for task in asked]
    assert [outcome.text for outcome in outcomes] == [PARIS] * 3
    assert len(sandbox.completions) == 5


async def test_the_context_that_an_overflow_named_is_believed(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.options.overflow = "engine"
    talk = [ChatTurn(Role.ASSISTANT if i % 2 else Role.USER, "word and " * 150) for i in range(80)]
    outcome = await ask(clock, backend, a_request(*talk, ChatTurn(Role.USER, "?"), max_tokens=200))
    assert outcome.end.reason is FinishReason.STOP
    model = backend.model(None)
    assert model is not None
    assert model.context_tokens == 8192
    assert len(sandbox.completions) == 2


async def test_followers_of_a_load_start_together(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("a/b", loaded=False)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        tasks = [
            asyncio.create_task(listen(backend, a_request(conversation=str(number))))
            for number in range(4)
        ]
        outcomes = [await passing(clock, asyncio.wait_for(task, None)) for task in tasks]
        assert all(outcome.end.context_tokens == 8192 for outcome in outcomes)
        assert sandbox.options.counters.loads == 1
        assert [outcome.stages.count(StageKind.READING) for outcome in outcomes[1:]] == [1, 1, 1]
        model = backend.model("a/b")
        assert model is not None
        assert model.is_loaded


async def test_who_waits_for_a_load_is_told_how_long_the_last_one_took(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("a/b", loaded=False)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        nodes(backend)[0].learned("a/b").load_s = 40.0
        asked = [asyncio.create_task(listen(backend, a_request(conversation=c))) for c in "ab"]
        for outcome in [await passing(clock, asyncio.wait_for(task, None)) for task in asked]:
            stages = [event for event in outcome.events if isinstance(event, Stage)]
            assert Stage(StageKind.LOADING, expected_wait_s=40.0) in stages
