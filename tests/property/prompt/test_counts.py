"""Prompts of conversations whose answers were counted: they fit, stay warm, and use their room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.domain import IncomingMessage, Place, Usage
from bot.prompt.builder import Prompt
from tests.support.conversation import ADAS_DM, BOB, HOME, check_roles
from tests.support.counting import CountedTalk, Forge, head_of, honest

FACTORS = st.sampled_from([0.83, 1.0, 1.22, 1.6, 2.0])
"""Real tokens of an estimated one: the estimate is a fifth too high, or only half."""

PLACES = st.sampled_from([HOME, ADAS_DM])
TURNS = st.lists(st.tuples(st.integers(2, 30), st.integers(15, 95)), min_size=8, max_size=24)
"""Words of each question and of its answer."""

KINDS = st.sampled_from(["word ", "x = f(17, [3])\n", "中文字符"])
NO_PROMPT: list[Forge] = [
    lambda usage: replace(usage, prompt_tokens=0),
    lambda usage: replace(usage, prompt_tokens=-5, completion_tokens=-5),
    lambda usage: replace(usage, prompt_tokens=1_000_000),
    lambda usage: replace(usage, prompt_tokens=1),
]
"""Counts that can't be of any prompt."""

NO_ANSWER: list[Forge] = [
    lambda usage: replace(usage, completion_tokens=1_000_000),
    lambda usage: replace(usage, completion_tokens=-1, reasoning_tokens=2**31 - 1),
]
"""Counts that can't be of any answer."""


def silent(_: Usage) -> None:
    """Say nothing."""


def run(steps: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run outside of any event loop."""
    asyncio.run(steps())


@given(FACTORS, PLACES, KINDS, TURNS, st.data())
@settings(max_examples=12, deadline=None)
def test_a_prompt_never_exceeds_the_context_whatever_the_server_says(
    factor: float, place: Place, kind: str, turns: list[tuple[int, int]], data: st.DataObject
) -> None:
    talk = CountedTalk(factor=min(factor, 1.22), context_tokens=2048, place=place)
    forges = data.draw(
        st.lists(st.sampled_from([honest, silent, *NO_PROMPT, *NO_ANSWER]), min_size=1, max_size=4)
    )

    async def hold() -> None:
        last: IncomingMessage | None = None
        for number, (asked, said) in enumerate(turns):
            question = await talk.say(kind * asked, last)
            prompt = await talk.ask(question)
            check_roles(prompt)
            assert talk.prompt_tokens(prompt.turns) <= 2048
            last = await talk.answer(question, prompt, kind * said, forges[number % len(forges)])

    run(hold)


@given(FACTORS, PLACES, KINDS, TURNS)
@settings(max_examples=15, deadline=None)
def test_nothing_is_cut_before_the_room_is_used_and_then_not_again_for_long(
    factor: float, place: Place, kind: str, turns: list[tuple[int, int]]
) -> None:
    talk = CountedTalk(factor=factor, context_tokens=2048, place=place)

    async def hold() -> None:
        last: IncomingMessage | None = None
        before: Prompt | None = None
        used = 0
        for asked, said in turns:
            question = await talk.say(kind * asked, last)
            prompt = await talk.ask(question)
            real = talk.prompt_tokens(prompt.turns)
            assert real <= talk.room
            if before is not None and not head_of(prompt.turns).startswith(head_of(before.turns)):
                needed = used + 1.2 * talk.tokens(kind * asked) + 64
                assert used >= 0.9 * talk.room - 64 or needed > talk.room
                kept = real - talk.tokens(kind * asked)
                assert kept <= 0.7 * talk.room or len(prompt.turns) <= 4, "one exchange stays"
            if before is not None:
                unsure = factor * talk.tokens(kind * asked) + 32
                assert abs(prompt.prompt_tokens - real) <= 0.05 * real + unsure
            last = await talk.answer(question, prompt, kind * said)
            before, used = prompt, real + talk.tokens(kind * said)

    run(hold)


@given(FACTORS, PLACES, KINDS, TURNS, st.booleans())
@settings(max_examples=12, deadline=None)
def test_what_is_read_ahead_is_what_the_next_prompt_begins_with(
    factor: float, place: Place, kind: str, turns: list[tuple[int, int]], restarts: bool
) -> None:
    talk = CountedTalk(factor=factor, context_tokens=2048, place=place)

    async def hold() -> None:
        last: IncomingMessage | None = None
        expected = ""
        for number, (_, said) in enumerate(turns):
            question = await talk.say(f"{number} " + kind * 5, last)
            if restarts:
                talk.restart()
            prompt = await talk.ask(question)
            assert head_of(prompt.turns).startswith(expected)
            last = await talk.answer(question, prompt, kind * said)
            ahead = await talk.next_prompt(question, last)
            assert ahead is not None
            goes_on = head_of(ahead.turns).startswith(head_of(prompt.turns))
            assert goes_on == (ahead.turns[:-1] == prompt.turns)
            expected = head_of(ahead.turns)

    run(hold)


@given(FACTORS, TURNS, st.data())
@settings(max_examples=10, deadline=None)
def test_a_branch_begins_with_what_its_own_answer_was_given_for(
    factor: float, turns: list[tuple[int, int]], data: st.DataObject
) -> None:
    talk = CountedTalk(factor=factor, context_tokens=2048)

    async def hold() -> None:
        last: IncomingMessage | None = None
        seen: list[tuple[IncomingMessage, str]] = []
        for asked, said in turns:
            question = await talk.say("word " * asked, last)
            prompt = await talk.ask(question)
            last = await talk.answer(question, prompt, "word " * said)
            ahead = await talk.next_prompt(question, last)
            assert ahead is not None
            seen.append((last, head_of(ahead.turns)))
        answer, expected = data.draw(st.sampled_from(seen))
        talk.restart()
        branch = talk.sources.say(BOB, "and?", to=answer, minutes=30)
        assert head_of((await talk.ask(branch)).turns).startswith(expected)

    run(hold)


@given(FACTORS, PLACES, TURNS)
@settings(max_examples=10, deadline=None)
def test_a_lost_journal_costs_one_cut_at_most(
    factor: float, place: Place, turns: list[tuple[int, int]]
) -> None:
    talk = CountedTalk(factor=factor, context_tokens=2048, place=place)

    async def hold() -> None:
        last: IncomingMessage | None = None
        cuts, before = 0, ""
        for number, (asked, said) in enumerate([*turns, *turns[:4]]):
            question = await talk.say("word " * asked, last)
            if number == len(turns):
                talk.counts.clear()
                cuts = 0
            prompt = await talk.ask(question)
            assert talk.prompt_tokens(prompt.turns) <= (talk.model.context_tokens or 0)
            cuts += not head_of(prompt.turns).startswith(before)
            before = head_of(prompt.turns)
            last = await talk.answer(question, prompt, "word " * min(said, 20))
        assert cuts <= 2

    run(hold)


@given(st.sampled_from(NO_PROMPT), st.integers(2, 18))
@settings(max_examples=8, deadline=None)
def test_an_absurd_count_changes_nothing(odd: Forge, number: int) -> None:
    async def hold(odd: Forge) -> str:
        talk = CountedTalk(factor=1.2, context_tokens=2048)
        last: IncomingMessage | None = None
        text = ""
        for turn in range(20):
            question = await talk.say("word " * 20, last)
            prompt = await talk.ask(question)
            forge = odd if turn == number else honest
            last = await talk.answer(question, prompt, "word " * 40, forge)
            text += head_of(prompt.turns)
        return text

    assert asyncio.run(hold(odd)) == asyncio.run(hold(silent))
