"""A model that is named otherwise than it is listed answers, with its whole context, and this is said once."""

from __future__ import annotations

import pytest

from bot.lmstudio import errors
from bot.lmstudio.run import FALLBACK_USED, NEAR_NAME, OTHER_MODEL
from sandbox.lmstudio import LMStudioSandbox, Model, Options
from tests.support.clock import FakeClock
from tests.unit.lmstudio.test_names import KEY, WRITTEN
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import a_request, ask, connected

MODEL = Model(KEY, context_tokens=32_768)
OTHER = Model("google/gemma-3-12b", context_tokens=8192)
TOLD = NEAR_NAME.format(key=KEY)


@pytest.mark.parametrize("name", [name for name in WRITTEN if "80B@IQ3" not in name])
async def test_the_listed_model_answers_and_this_is_said_once(name: str, clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([OTHER, MODEL]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.answer(PARIS)
        known = backend.model(name)
        assert known is not None
        assert known.context_tokens == 32_768
        outcomes = [await ask(clock, backend, a_request(model=name)) for _ in range(2)]
        assert [outcome.text for outcome in outcomes] == [PARIS] * 2
        assert [outcome.end.remarks for outcome in outcomes] == [(TOLD,), ()]
        assert {one.model for one in sandbox.completions} == {KEY}


@pytest.mark.parametrize("name", [f"{KEY}@q8_0", "Qwen3-Next-80B@Q8_0"])
@pytest.mark.parametrize("variants", [(), (f"{KEY}@q4_k_m",)])
async def test_a_quantisation_that_is_not_there_is_left_out(
    name: str, variants: tuple[str, ...], clock: FakeClock
) -> None:
    model = Model(KEY, context_tokens=32_768, variants=variants)
    async with (
        LMStudioSandbox([model]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.answer(PARIS)
        outcomes = [await ask(clock, backend, a_request(model=name)) for _ in range(2)]
        assert [outcome.text for outcome in outcomes] == [PARIS] * 2
        assert [outcome.end.remarks for outcome in outcomes] == [(TOLD,), ()]
        assert len(sandbox.completions) == (2 if variants else 3)


async def test_a_quantisation_that_is_there_is_asked_for(clock: FakeClock) -> None:
    model = Model(KEY, variants=(f"{KEY}@q4_k_m", f"{KEY}@q8_0"))
    async with (
        LMStudioSandbox([model]) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.answer(PARIS)
        outcome = await ask(clock, backend, a_request(model="qwen3-next-80b@Q8_0"))
        assert outcome.text == PARIS
        assert sandbox.completions[-1].body["model"] == f"{KEY}@q8_0"


@pytest.mark.parametrize("loaded", [0, 2])
async def test_of_two_near_names_none_is_guessed_and_both_are_said(
    loaded: int, clock: FakeClock
) -> None:
    models = [Model("x/b", loaded=loaded > 0), Model("y/b", loaded=loaded > 1)]
    async with (
        LMStudioSandbox(models) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        outcome = await ask(clock, backend, a_request(model="b"))
        assert isinstance(outcome.error, errors.AmbiguousModelError)
        assert "`x/b`, `y/b`" in outcome.error.sentence
        assert not sandbox.completions


async def test_of_two_near_names_the_loaded_one_answers(clock: FakeClock) -> None:
    models = [Model("x/b", loaded=False), Model("y/b")]
    async with (
        LMStudioSandbox(models) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.answer(PARIS)
        outcome = await ask(clock, backend, a_request(model="B"))
        assert outcome.text == PARIS
        assert outcome.end.remarks == (NEAR_NAME.format(key="y/b"),)


async def test_the_fallback_may_be_named_nearly_too(clock: FakeClock) -> None:
    async with (
        LMStudioSandbox([MODEL]) as sandbox,
        connected(clock, sandbox.base_url, fallback_model="Qwen3 Next 80B") as backend,
    ):
        sandbox.answer(PARIS)
        outcome = await ask(clock, backend, a_request(model="no/such"))
        assert outcome.text == PARIS
        assert outcome.end.remarks == (FALLBACK_USED, TOLD)


async def test_llama_cpp_answers_to_any_name_with_its_whole_context(clock: FakeClock) -> None:
    """Its model is called by a file's path, which nobody is shown."""
    path = "/srv/llm/Some-Model-Q4_K_M.gguf"
    async with (
        LMStudioSandbox(
            [Model(path, context_tokens=16_384)], options=Options(flavour="llama.cpp")
        ) as sandbox,
        connected(clock, sandbox.base_url) as backend,
    ):
        sandbox.answer(PARIS)
        known = backend.model("gpt-4o")
        assert known is not None
        assert known.context_tokens == 16_384
        outcome = await ask(clock, backend, a_request(model="gpt-4o"))
        assert outcome.text == PARIS
        assert outcome.end.remarks == (NEAR_NAME.format(key="Some-Model-Q4_K_M"),)
        assert OTHER_MODEL not in outcome.end.remarks
