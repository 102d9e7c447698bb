"""What the client changes about a request that failed, and what it remembers of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.domain import ChatTurn, Counted, Reasoning, Role, StageKind
from bot.lmstudio import LMStudioBackend, errors
from bot.lmstudio.recovery import NO_IMAGES, SHORTENED, TRIMMED, TURN_SHORTENED
from bot.lmstudio.run import CUT_BY_SERVER, FALLBACK_USED, OTHER_MODEL
from bot.prompt.tokens import TokenEstimator
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox, Model
from sandbox.lmstudio.values import Overflow
from tests.support.clock import FakeClock
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import a_request, ask, connected, nodes

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def long_talk(turns: int) -> tuple[ChatTurn, ...]:
    """Return a conversation of many turns of about 100 tokens."""
    talk = [ChatTurn(Role.SYSTEM, "You are a bot.")]
    for number in range(turns):
        role = Role.ASSISTANT if number % 2 else Role.USER
        talk.append(ChatTurn(role, f"{number}: " + "word and " * 50))
    return (*talk, ChatTurn(Role.USER, "So what?"))[-turns - 2 :]


async def test_an_overflow_is_trimmed_to_the_real_limit_and_remembered(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("a/b", context_tokens=4096)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.answer(PARIS)
        talk = long_talk(80)
        outcome = await ask(clock, backend, a_request(*talk, max_tokens=512, prompt_tokens=3000))
        assert outcome.text == PARIS
        assert TRIMMED in outcome.end.remarks
        assert len(sandbox.completions) == 2
        sent = sandbox.completions[1].messages
        assert sent[0]["role"] == "system"
        assert sent[1]["role"] == "user"
        assert sent[-1]["content"] == "So what?"


async def test_a_message_too_long_by_itself_is_shortened_in_its_middle(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("a/b", context_tokens=4096)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.answer(PARIS)
        text = "First of all: " + "word and " * 6000 + "What is this about?"
        turn = ChatTurn(Role.USER, text)
        outcome = await ask(clock, backend, a_request(turn, prompt_tokens=5_556))
        assert outcome.text == PARIS
        assert TURN_SHORTENED in outcome.end.remarks
        sent = sandbox.completions[-1].messages[-1]["content"]
        assert sent.startswith("First of all: ")
        assert sent.endswith("What is this about?")
        assert "characters are left out here" in sent
        assert len(sandbox.completions) == 2


@pytest.mark.parametrize("overflow", ["n_keep", "engine"])
async def test_the_exact_size_that_the_server_counted_is_told_for_what_was_sent(
    overflow: Overflow, clock: FakeClock
) -> None:
    async with (
        LMStudioSandbox([Model("a/b", context_tokens=4096)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.options.overflow = overflow
        turn = ChatTurn(Role.USER, "\u6211\u4eec\u5728\u8fd9\u91cc" * 1500)
        outcome = await ask(clock, backend, a_request(turn, prompt_tokens=2_000))
        counted = [event for event in outcome.events if isinstance(event, Counted)]
        assert [(one.model, one.turns) for one in counted] == [("a/b", (turn,))]
        assert counted[0].prompt_tokens > 4096
        assert len(outcome.end.sent[-1].text) < len(turn.text)
        estimator = TokenEstimator()
        estimator.learn_limit("a/b", counted[0].turns, counted[0].prompt_tokens)
        estimate = estimator.estimate_turns((turn,), "a/b")
        assert estimate == pytest.approx(counted[0].prompt_tokens, rel=0.02)


@pytest.mark.parametrize("chars", [1500, 3500])
async def test_a_refusal_without_counts_is_shortened_too(chars: int, clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("a/b", context_tokens=4096)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.options.overflow = "uncounted"
        turn = ChatTurn(Role.USER, "\u6211\u4eec\u5728\u8fd9\u91cc" * chars)
        request = a_request(turn, prompt_tokens=2_000)
        outcome = await ask(clock, backend, request)
        assert outcome.text
        assert TURN_SHORTENED in outcome.end.remarks
        counted = [event for event in outcome.events if isinstance(event, Counted)]
        # what is certain: some servers count the answer, too
        assert counted[0] == Counted("a/b", (turn,), 4096 - request.sampling.max_tokens)
    assert len(sandbox.completions) <= 3


async def test_a_template_without_system_role_is_folded_and_remembered(clock: FakeClock) -> None:
    model = Model("a/b", template=frozenset({"no_system"}))
    async with LMStudioSandbox([model]) as sandbox, connected(clock, sandbox.base_url) as backend:
        sandbox.answer(PARIS)
        for _ in range(2):
            outcome = await ask(clock, backend)
            assert outcome.text == PARIS
        assert len(sandbox.completions) == 3
        for request in sandbox.completions[1:]:
            assert request.messages[0]["role"] == "user"
            assert request.messages[0]["content"].startswith("You are a bot.")


async def test_images_are_left_out_where_the_model_cannot_see(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    turn = ChatTurn(Role.USER, "What is this?", (PIXEL,))
    outcome = await ask(clock, backend, a_request(turn))
    assert outcome.text == PARIS
    assert NO_IMAGES in outcome.end.remarks
    assert [request.messages[0]["content"] for request in sandbox.completions] == ["What is this?"]


async def test_images_that_are_refused_are_left_out(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([Model("a/b", vision=True)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.faults.next(Fault.IMAGE_UNREADABLE)
        outcome = await ask(clock, backend, a_request(ChatTurn(Role.USER, "", (PIXEL,))))
        assert NO_IMAGES in outcome.end.remarks
        assert len(sandbox.completions) == 2
        await ask(clock, backend, a_request(ChatTurn(Role.USER, "And now?", (PIXEL,))))
        assert isinstance(sandbox.completions[2].messages[0]["content"], list)


async def test_a_model_that_says_it_takes_no_images_is_sent_none_from_then_on(
    clock: FakeClock,
) -> None:
    async with (
        LMStudioSandbox([Model("a/b", vision=True)]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.faults.next(Fault.IMAGES_UNSUPPORTED)
        for _ in range(2):
            outcome = await ask(clock, backend, a_request(ChatTurn(Role.USER, "Hm?", (PIXEL,))))
            assert NO_IMAGES in outcome.end.remarks
        sent = [type(request.messages[0]["content"]) for request in sandbox.completions]
        assert sent == [list, str, str]


async def test_a_refused_field_is_dropped_and_remembered(clock: FakeClock) -> None:
    async with LMStudioSandbox() as sandbox, connected(clock, sandbox.base_url) as backend:
        sandbox.faults.next(Fault.VALIDATION_ZOD)
        for _ in range(2):
            await ask(clock, backend, a_request(reasoning=Reasoning.LOW))
        sent = [request.body.get("reasoning_effort") for request in sandbox.completions]
        assert sent == ["low", None, None]


@pytest.mark.parametrize(
    ("options", "asked", "sent"),
    [
        (("off", "on"), Reasoning.OFF, "none"),
        (("off", "on"), Reasoning.HIGH, "medium"),
        (("off", "on"), Reasoning.LOW, "medium"),
        (("off", "on"), Reasoning.ON, "medium"),
        (("off", "on"), Reasoning.AUTO, None),
        (("low", "high"), Reasoning.MEDIUM, "low"),
        (("on",), Reasoning.OFF, None),
        (("low", "medium", "high"), Reasoning.HIGH, "high"),
        (("low", "medium", "high"), Reasoning.OFF, None),
        (("low", "medium", "high"), Reasoning.AUTO, None),
        (("none", "low"), Reasoning.OFF, "none"),
        (("none", "low"), Reasoning.HIGH, "low"),
        (("off",), Reasoning.HIGH, None),
        (("off",), Reasoning.OFF, "none"),
        (("off", "low", "medium", "high"), Reasoning.ON, "medium"),
        (("minimal", "high"), Reasoning.LOW, "minimal"),
        ((), Reasoning.OFF, None),
        ((), Reasoning.HIGH, None),
        (None, Reasoning.OFF, "none"),
        (None, Reasoning.HIGH, "high"),
        (None, Reasoning.AUTO, None),
    ],
)
async def test_reasoning_is_asked_for_as_the_model_allows(
    options: tuple[str, ...] | None, asked: Reasoning, sent: str | None, clock: FakeClock
) -> None:
    model = Model("a/b", reasoning_options=options)
    async with LMStudioSandbox([model]) as sandbox, connected(clock, sandbox.base_url) as backend:
        await ask(clock, backend, a_request(reasoning=asked))
        assert sandbox.completions[0].body.get("reasoning_effort") == sent


async def test_a_server_that_refuses_to_count_is_not_asked_to_again(clock: FakeClock) -> None:
    async with LMStudioSandbox() as sandbox, connected(clock, sandbox.base_url) as backend:
        sandbox.answer(PARIS)
        nodes(backend)[0].learned("qwen/qwen3-next-80b").refused_fields.add("stream_options")
        assert (await ask(clock, backend)).text == PARIS
        assert "stream_options" not in sandbox.completions[0].body


async def test_that_a_model_takes_the_wish_about_thinking_is_learned_once(clock: FakeClock) -> None:
    async with LMStudioSandbox() as sandbox, connected(clock, sandbox.base_url) as backend:
        learned = nodes(backend)[0].learned("qwen/qwen3-next-80b")
        taken = []
        for reasoning in (Reasoning.AUTO, Reasoning.LOW, Reasoning.AUTO):
            await ask(clock, backend, a_request(reasoning=reasoning))
            taken.append(learned.takes_effort)
        assert taken == [False, True, True]


@pytest.mark.parametrize(
    ("markup", "field"),
    [("field", "reasoning_content"), ("field_reasoning", "reasoning"), ("think", "")],
)
async def test_the_field_that_thinking_comes_in_is_learned(
    markup: str, field: str, sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.answer(Answer("Paris.", reasoning="It is Paris.", markup=markup))
    await ask(clock, backend, a_request())
    await ask(clock, backend, a_request())
    assert nodes(backend)[0].learned("qwen/qwen3-next-80b").reasoning_field == field


@pytest.mark.parametrize("asked", ["Qwen3-Next-80B", "qwen3-next-80b", "QWEN/qwen3-next-80b"])
async def test_a_model_named_a_little_otherwise_is_found_in_the_list_and_said_once(
    asked: str, sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    model = backend.model(asked)
    assert model is not None
    assert model.context_tokens == 8192
    first = await ask(clock, backend, a_request(model=asked))
    assert first.end.context_tokens == 8192
    assert [note for note in first.end.remarks if "qwen/qwen3-next-80b" in note]
    assert OTHER_MODEL not in first.end.remarks
    assert sandbox.completions[0].body["model"] == "qwen/qwen3-next-80b"
    assert (await ask(clock, backend, a_request(model=asked))).end.remarks == ()


async def test_a_name_that_could_mean_two_models_is_taken_for_neither(clock: FakeClock) -> None:
    models = [Model("a/same"), Model("b/same"), Model("c/other")]
    async with LMStudioSandbox(models) as sandbox, connected(clock, sandbox.base_url) as backend:
        assert backend.model("same") is None
        assert backend.model("c/same") is None
        assert backend.model("OTHER") is not None


async def test_a_model_that_may_only_be_used_while_it_is_in_memory_is_never_loaded(
    clock: FakeClock,
) -> None:
    models = [Model("a/b", loaded=False), Model("c/d")]
    for jit in (True, False):
        async with (
            LMStudioSandbox(models) as sandbox,
            connected(clock, sandbox.base_url) as backend,
        ):
            sandbox.options.jit = jit
            request = replace(a_request(model="a/b"), may_load=False)
            outcome = await ask(clock, backend, request)
            assert isinstance(outcome.error, errors.NotInMemoryError)
            assert sandbox.completions == []
            assert sandbox.options.counters.loads == 0


async def test_a_model_that_may_not_be_loaded_answers_while_it_is_in_memory(
    clock: FakeClock,
) -> None:
    models = [Model("a/b"), Model("c/d", loaded=False)]
    async with LMStudioSandbox(models) as sandbox, connected(clock, sandbox.base_url) as backend:
        sandbox.answer(PARIS)
        request = replace(a_request(model="a/b"), may_load=False)
        assert (await ask(clock, backend, request)).text == PARIS
        refused = await ask(clock, backend, replace(request, model="no/such"))
        assert isinstance(refused.error, errors.NotInMemoryError)


async def test_what_the_server_said_before_permits_no_model_where_it_says_nothing_now(
    clock: FakeClock,
) -> None:
    models = [Model("a/b"), Model("c/d")]
    async with LMStudioSandbox(models) as sandbox, connected(clock, sandbox.base_url) as backend:
        sandbox.unload("a/b")
        sandbox.faults.next(Fault.HTML_500, times=None, route="models")
        request = replace(a_request(model="a/b"), may_load=False)
        outcome = await ask(clock, backend, request)
        assert isinstance(outcome.error, errors.NotInMemoryError)
        assert sandbox.completions == []


async def test_too_little_memory_goes_down_the_ladder(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.faults.next(Fault.BAD_ALLOC, times=2)
    outcome = await ask(clock, backend)
    assert outcome.text == PARIS
    assert SHORTENED in outcome.end.remarks
    assert [request.body["max_tokens"] for request in sandbox.completions] == [2048, 1024, 512]


@pytest.mark.parametrize("loadable", [8192, 4096])
async def test_a_model_that_cannot_load_is_loaded_smaller(loadable: int, clock: FakeClock) -> None:
    model = Model("a/b", loaded=False, context_tokens=32_768, loadable_context_tokens=loadable)
    async with LMStudioSandbox([model]) as sandbox, connected(clock, sandbox.base_url) as backend:
        sandbox.answer(PARIS)
        outcome = await ask(clock, backend)
        assert outcome.text == PARIS
        assert outcome.end.context_tokens == loadable


@pytest.mark.parametrize(
    ("prompt_tokens", "longest", "tried"),
    [
        (2_000, 131_072, [8192, 4096]),  # 1.1 times the prompt, and the answer, must fit
        (1_396, 131_072, [8192, 4096, 2048]),
        (40, 4096, [2048]),  # no more than the model can
    ],
)
async def test_a_model_is_loaded_smaller_only_as_the_prompt_fits(
    prompt_tokens: int, longest: int, tried: list[int], clock: FakeClock
) -> None:
    model = Model("a/b", loaded=False, loadable_context_tokens=1, max_context_tokens=longest)
    async with LMStudioSandbox([model]) as sandbox, connected(clock, sandbox.base_url) as backend:
        request = a_request(max_tokens=512, prompt_tokens=prompt_tokens)
        outcome = await ask(clock, backend, request)
        assert isinstance(outcome.error, errors.LoadFailedError)
        loads = [one.body for one in sandbox.requests if one.path.endswith("/load")]
        assert [body["context_length"] for body in loads] == tried


async def test_an_answer_tells_how_fast_its_model_writes_and_that_it_can_be_loaded(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    node = nodes(backend)[0]
    key = "qwen/qwen3-next-80b"
    node.learned(key).load_error = errors.LoadFailedError()
    sandbox.answer(Answer("word " * 100))
    outcome = await ask(clock, backend)
    assert outcome.end.usage is not None
    assert outcome.end.total_s is not None
    assert outcome.end.first_token_s is not None
    written_s = outcome.end.total_s - outcome.end.first_token_s
    pace = node.pace(key)
    assert pace == pytest.approx(outcome.end.usage.completion_tokens / written_s, rel=0.01)
    assert node.learned(key).load_error is None


async def test_the_fallback_model_answers_where_the_first_cannot_load(clock: FakeClock) -> None:
    models = [Model("a/big", loaded=False, loadable_context_tokens=1), Model("a/small")]
    async with (
        LMStudioSandbox(models) as sandbox,
        connected(clock, sandbox.base_url, fallback_model="a/small") as backend,
    ):
        outcome = await ask(clock, backend, a_request(model="a/big"))
        assert outcome.end.model == "a/small"
        assert FALLBACK_USED in outcome.end.remarks


async def test_a_model_that_cannot_load_is_left_alone_for_a_while(clock: FakeClock) -> None:
    model = Model("a/b", loaded=False, loadable_context_tokens=1)
    async with LMStudioSandbox([model]) as sandbox, connected(clock, sandbox.base_url) as backend:
        first = await ask(clock, backend)
        assert isinstance(first.error, errors.LoadFailedError)
        asked = len(sandbox.completions)
        assert asked <= 4
        second = await ask(clock, backend)
        assert isinstance(second.error, errors.LoadFailedError)
        assert len(sandbox.completions) == asked
        await clock.advance(61)
        await ask(clock, backend)
        assert len(sandbox.completions) > asked


async def test_without_just_in_time_loading_the_model_is_loaded_by_request(
    clock: FakeClock,
) -> None:
    async with LMStudioSandbox([Model("a/b", loaded=False)]) as sandbox:
        sandbox.options.jit = False
        sandbox.answer(PARIS)
        async with connected(clock, sandbox.base_url) as backend:
            outcome = await ask(clock, backend)
            assert outcome.text == PARIS
            assert StageKind.LOADING in outcome.stages
            assert sandbox.options.counters.loads == 1


async def test_another_model_than_asked_for_is_said(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.options.substitute = True
    outcome = await ask(clock, backend, a_request(model="some/other"))
    assert outcome.end.remarks == (OTHER_MODEL,)
    same = await ask(clock, backend, a_request(model="qwen/qwen3-next-80b"))
    assert same.end.remarks == ()


async def test_a_prompt_cut_by_the_server_is_said(clock: FakeClock) -> None:
    async with LMStudioSandbox([Model("a/b", context_tokens=1024)]) as sandbox:
        sandbox.options.overflow = "truncate_middle"
        async with connected(clock, sandbox.base_url) as backend:
            talk = long_talk(40)
            outcome = await ask(clock, backend, a_request(*talk, prompt_tokens=4000))
            assert CUT_BY_SERVER in outcome.end.remarks
            assert outcome.end.prompt_was_cut
            short = await ask(clock, backend)
            assert not short.end.prompt_was_cut


async def test_an_empty_answer_stays_one_sentence(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.answer(Answer(""))
    outcome = await ask(clock, backend)
    assert isinstance(outcome.error, errors.EmptyAnswerError)
    assert "without an answer" in outcome.error.sentence
    assert len(sandbox.completions) == 2


async def test_an_empty_answer_that_used_up_its_tokens_is_asked_for_with_more(
    sandbox: LMStudioSandbox, backend: LMStudioBackend, clock: FakeClock
) -> None:
    sandbox.script(Answer("", finish="length"), PARIS)
    outcome = await ask(clock, backend, a_request(max_tokens=100))
    assert outcome.text == PARIS
    first, second = (request.body["max_tokens"] for request in sandbox.completions)
    assert (first, second) == (100, 200)
