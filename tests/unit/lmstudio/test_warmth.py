"""What a server's slots are believed to hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import ChatTurn, Role, Usage
from bot.lmstudio.learned import Read, ReadingSpeed, Warmth
from bot.lmstudio.run import fresh_tokens

COPY = (0, "a/b", 0)
PERSONA = ChatTurn(Role.SYSTEM, "You are kind. " * 30)


def user(text: str, times: int = 1) -> ChatTurn:
    return ChatTurn(Role.USER, f"{text} " * times)


def answer(text: str, times: int = 1) -> ChatTurn:
    return ChatTurn(Role.ASSISTANT, f"{text} " * times)


def conversation(name: str, turns: int) -> tuple[ChatTurn, ...]:
    """Return a prompt: a persona, questions and answers, and one more question."""
    said = [part for n in range(turns) for part in (user(f"{name}{n}", 20), answer(f"{n}", 60))]
    return (PERSONA, *said, user(f"{name} last", 20))


def grown(prompt: tuple[ChatTurn, ...]) -> tuple[ChatTurn, ...]:
    """Return the next prompt of a conversation."""
    return (*prompt, answer("so", 60), user("and then?"))


def noted(*prompts: tuple[ChatTurn, ...], parallel: int = 4) -> Warmth:
    warmth = Warmth()
    for number, prompt in enumerate(prompts):
        warmth.note(str(number), COPY, Read(prompt, has_answer=True), parallel)
    return warmth


def test_a_conversation_that_goes_on_is_read_from_its_last_answer_on() -> None:
    prompt = conversation("a", 5)
    assert noted(prompt).fresh_share(COPY, grown(prompt)) < 0.02
    assert noted(prompt).fresh_share((0, "a/b", 1), grown(prompt)) == 1


def test_an_answer_with_thinking_before_it_is_read_again() -> None:
    prompt, warmth = conversation("a", 5), Warmth()
    warmth.note("a", COPY, Read(prompt), 4)
    assert 0.05 < warmth.fresh_share(COPY, grown(prompt)) < 0.2


def test_a_new_conversation_takes_the_slot_of_another_with_the_same_persona() -> None:
    first = conversation("a", 5)
    warmth = noted(first, conversation("b", 0))
    assert warmth.fresh_share(COPY, grown(first)) > 0.7


@pytest.mark.parametrize(("others", "is_warm"), [(3, True), (4, False)])
def test_as_many_long_conversations_stay_warm_as_there_are_slots(
    others: int, is_warm: bool
) -> None:
    first = (user("alone", 200),)
    warmth = noted(first, *((user(f"other {n}", 200),) for n in range(others)))
    assert (warmth.fresh_share(COPY, grown(first)) < 0.5) is is_warm


def test_the_beginning_of_a_turn_counts_as_far_as_it_was_read() -> None:
    long = user("word", 1000)
    part = ChatTurn(Role.USER, long.text[:2500])
    warmth = Warmth()
    warmth.note("a", COPY, Read((PERSONA,), part), 4)
    assert warmth.fresh_share(COPY, (PERSONA, long)) == pytest.approx(0.46, abs=0.02)
    assert warmth.fresh_share(COPY, (PERSONA, user("other", 1000))) == 1


TURNS = st.lists(st.sampled_from([PERSONA, user("a"), answer("b"), user("c", 90)]), max_size=6)


@given(st.lists(st.tuples(TURNS, st.integers(1, 4)), max_size=12), TURNS)
def test_a_share_is_a_share_whatever_was_read(
    reads: list[tuple[list[ChatTurn], int]], prompt: list[ChatTurn]
) -> None:
    warmth = Warmth()
    for turns, parallel in reads:
        warmth.note("a", COPY, Read(tuple(turns), has_answer=True), parallel)
        assert 0 <= warmth.fresh_share(COPY, turns) <= 1
    assert 0 <= warmth.fresh_share(COPY, prompt) <= 1


@pytest.mark.parametrize(
    ("usage", "share", "tokens"),
    [
        (Usage(4000, 9, cached_tokens=3900), 1.0, 100),
        (Usage(4000, 9), 1.0, 4000),
        (Usage(4000, 9), 0.75, 3000),
        (Usage(4000, 9), 0.1, 0),
        (Usage(1_000_000, 9), 1.0, 0),
        (Usage(0, 0), 1.0, 0),
        (Usage(4000, 9, cached_tokens=9000), 1.0, -5000),
    ],
)
def test_a_speed_is_learned_of_what_was_read_and_of_nothing_absurd(
    usage: Usage, share: float, tokens: int
) -> None:
    assert fresh_tokens(usage, share, 4200) == tokens
    speed = ReadingSpeed(400.0)
    speed.learn(tokens, 0.25)
    assert 300 <= speed.tokens_per_s <= 2000


def test_a_first_certain_measurement_counts_whole_and_a_stored_one_goes_on() -> None:
    assert not ReadingSpeed().is_known  # a guess
    speed = ReadingSpeed()
    speed.learn(4000, 5, is_certain=True)
    assert speed.is_known
    assert speed.tokens_per_s == 800
    assert ReadingSpeed(800.0).expected_s(400) == 0.5
