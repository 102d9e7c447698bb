"""What one tiny question teaches of a model before anybody meets it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import (
    ChatEvent,
    ChatRequest,
    Completed,
    FinishReason,
    Reasoning,
    TextDelta,
    Usage,
)
from bot.idle.introductions import MOST_TRIES, Introductions
from bot.lmstudio.errors import NotInMemoryError
from bot.lmstudio.learned import Experience
from bot.output.pipeline import ModelMemory
from tests.support.clock import FakeClock, settle

KEY, LOAD = "a/b", "8192"
THOUGHT = "They want one word, so I will say just that, and then I am done with it. "
DONE = Completed(FinishReason.STOP, KEY, Usage(21, 40), first_token_s=1.0, total_s=2.0)

Step = ChatEvent | Exception | asyncio.Event


class Models:
    """A back end with one model, which follows scripts."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self.scripts = deque(scripts)
        self.requests: list[ChatRequest] = []
        self.in_memory = {KEY: LOAD}
        self.restored: list[Experience] = []

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        self.requests.append(request)
        for step in self.scripts.popleft() if self.scripts else (TextDelta("OK"), DONE):
            if isinstance(step, Exception):
                raise step
            if isinstance(step, asyncio.Event):
                await step.wait()
            else:
                yield step

    def loads(self) -> dict[str, str]:
        return dict(self.in_memory)

    def experience(self, key: str) -> Experience:
        assert key in self.in_memory
        return Experience(reads=400.0, load_s=12.0)

    def restore(self, key: str, saved: Experience) -> None:
        assert key in self.in_memory
        self.restored.append(saved)


def between(models: Models, memory: ModelMemory, saved: object = None) -> Introductions:
    return Introductions(models, memory, FakeClock(), lambda: Reasoning.AUTO, saved)


@pytest.mark.parametrize(
    ("script", "thinking", "is_missing"),
    [
        ((TextDelta(THOUGHT), TextDelta("</think>\n\nOK"), DONE), "untagged", True),
        ((TextDelta(f"<think>{THOUGHT}</think>\n\nOK"), DONE), "tagged", False),
        ((TextDelta(reasoning=THOUGHT), TextDelta("OK"), DONE), "apart", False),
        ((TextDelta("OK"), DONE), "none", False),
    ],
)
async def test_one_question_tells_how_a_model_thinks(
    script: Sequence[Step], thinking: str, is_missing: bool
) -> None:
    models, memory = Models(script), ModelMemory()
    known = between(models, memory)
    assert await known.step()
    assert not await known.step()
    assert memory.expects_missing_opening(KEY, 7) is is_missing
    met = known.of(KEY)
    assert met is not None
    assert (met.thinking, met.overhead_tokens, met.writes) == (thinking, 13, 39.0)
    assert (met.experience.reads, met.experience.load_s) == (400.0, 12.0)
    assert all(not request.may_load for request in models.requests)


async def test_a_name_that_promises_thinking_is_believed_less_than_what_was_seen() -> None:
    models, memory = Models((TextDelta(f"<think>{THOUGHT}</think>OK"), DONE)), ModelMemory()
    models.in_memory = {"deepseek-r1": LOAD}
    assert memory.expects_missing_opening("deepseek-r1")
    await between(models, memory).step()
    assert not memory.expects_missing_opening("deepseek-r1")


@pytest.mark.parametrize("text", ["OK", THOUGHT])
async def test_only_a_long_text_that_a_question_cuts_short_is_suspected_of_being_thinking(
    text: str,
) -> None:
    models, memory = Models((TextDelta(text), asyncio.Event())), ModelMemory()
    known = between(models, memory)
    task = asyncio.get_running_loop().create_task(known.step())
    await settle()
    task.cancel()
    await settle()
    assert memory.expects_missing_opening(KEY, 7) is (text == THOUGHT)
    assert known.of(KEY) is None
    models.scripts.append((TextDelta("OK, I have said it now and nothing else at all."), DONE))
    assert await known.step()  # it is asked again, to the end
    assert not memory.expects_missing_opening(KEY, 7)


@pytest.mark.parametrize(
    ("end", "is_suspected"),
    [(Completed(FinishReason.LENGTH, KEY), False), (NotInMemoryError(), True)],
    ids=["it knows no end", "it took too long"],
)
async def test_a_model_that_never_ends_isnt_suspected_but_one_that_is_slow_is(
    end: Step, is_suspected: bool
) -> None:
    models, memory = Models((TextDelta(THOUGHT), end)), ModelMemory()
    assert await between(models, memory).step()
    assert memory.expects_missing_opening(KEY, 7) is is_suspected


async def test_questions_that_cut_it_short_again_and_again_dont_end_the_asking() -> None:
    cuts = MOST_TRIES + 1
    models, memory = Models(*[(TextDelta("Well"), asyncio.Event())] * cuts), ModelMemory()
    known = between(models, memory)
    for _ in range(cuts):
        task = asyncio.get_running_loop().create_task(known.step())
        await settle()
        task.cancel()
        await settle()
    assert await known.step()
    assert known.of(KEY) is not None


async def test_a_model_that_says_nothing_is_asked_a_bounded_number_of_times() -> None:
    models = Models(*[(NotInMemoryError(),)] * 9)
    known = between(models, ModelMemory())
    while await known.step():
        pass
    assert len(models.requests) == MOST_TRIES


async def test_what_is_known_holds_over_a_restart_and_ends_with_another_load() -> None:
    models, memory = Models((TextDelta(THOUGHT), TextDelta("</think>\nOK"), DONE)), ModelMemory()
    first = between(models, memory)
    await first.step()
    memory = ModelMemory(saved=memory.dump())
    again = between(models, memory, first.dump())
    asked = len(models.requests)
    assert not await again.step()
    assert len(models.requests) == asked
    assert models.restored[-1].reads == 400.0
    models.in_memory = {}
    assert not await again.step()
    models.in_memory = {KEY: LOAD}
    assert not await again.step()
    models.in_memory = {KEY: "16384"}
    again.look()
    assert again.of(KEY) is None
    assert not memory.expects_missing_opening(KEY)
    assert await again.step()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(JSON | st.dictionaries(st.text(max_size=4), st.fixed_dictionaries({
    "load": JSON, "thinking": JSON, "overhead_tokens": JSON, "writes": JSON, "experience": JSON,
}), max_size=3))  # fmt: skip
def test_whatever_was_stored_breaks_nothing(saved: object) -> None:
    known = between(Models(), ModelMemory(), saved)
    known.look()
    assert isinstance(known.dump(), dict)


@pytest.mark.parametrize(
    "wrong",
    [
        {"reads": "fast", "load_s": "long"},
        {"reasoning_field": ["reasoning"]},
        {"folds_system": "yes"},
        {"takes_effort": 1},
        {"refused": "all"},
        {"refused": [7]},
    ],
)
def test_a_model_of_which_something_is_stored_wrongly_is_met_again(
    wrong: dict[str, object],
) -> None:
    stored = {"load": LOAD, "thinking": "none", "overhead_tokens": 0, "writes": 1.0}
    assert between(Models(), ModelMemory(), {KEY: {**stored, "experience": {}}}).of(KEY)
    assert not between(Models(), ModelMemory(), {KEY: {**stored, "experience": wrong}}).of(KEY)
