"""What a server's counts are taken for, and how the turns of a prompt are sized by them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from bot.core.domain import ChannelId, ChatTurn, Counted, ModelInfo, PromptCount, Role, Usage
from bot.lmstudio.learned import SIMILARITY
from bot.prompt.tokens import Sizes, TokenEstimator, count_of, is_credible, prefixes
from tests.support.conversation import ADAS_DM, CHAT, HOME
from tests.support.counting import CountedTalk

MODEL = ModelInfo("m", is_loaded=True, context_tokens=8192)
TURNS = (
    ChatTurn(Role.SYSTEM, "You answer questions."),
    ChatTurn(Role.USER, "What is the capital of France, and of Spain, and of Italy?"),
)
ANSWER = "Paris, Madrid and Rome are the capitals of these three countries."


def counted(usage: Usage | None, *, has_thought: bool = False) -> PromptCount:
    return count_of(usage, TURNS, ANSWER, model=MODEL, first_id=1, has_thought=has_thought)


def test_thinking_that_isnt_sent_back_is_not_counted() -> None:
    assert counted(Usage(40, 15)).answer_tokens == 15
    assert counted(Usage(40, 515, reasoning_tokens=500), has_thought=True).answer_tokens == 15
    assert counted(Usage(40, 515), has_thought=True).answer_tokens == 0, "how much of it is unknown"


@pytest.mark.parametrize("completion", [0, -1, 1_000_000, 2])
def test_a_count_that_cant_be_of_the_answer_is_unknown(completion: int) -> None:
    count = counted(Usage(40, completion))
    assert (count.prompt_tokens, count.answer_tokens) == (40, 0)


@pytest.mark.parametrize("tokens", [0, -1, 3, 8193, 1_000_000])
def test_a_count_that_cant_be_of_the_prompt_isnt_believed(tokens: int) -> None:
    assert not is_credible(Usage(tokens, 15), TURNS, 35, 8192)
    estimator = TokenEstimator()
    assert not estimator.learn("m", TURNS, tokens)
    assert not estimator.dump()


def test_a_count_much_below_what_was_expected_isnt_believed() -> None:
    assert is_credible(Usage(30, 15), TURNS, 60, 8192)
    assert not is_credible(Usage(23, 15), TURNS, 60, 8192)


def test_only_what_is_new_is_estimated() -> None:
    estimator = TokenEstimator()
    count = counted(Usage(40, 15))
    turns = (*TURNS, ChatTurn(Role.ASSISTANT, ANSWER), ChatTurn(Role.USER, "And of Malta?"))
    sizes = Sizes(turns, {count.prefix: count}, estimator, "m")
    new = estimator.estimate_turns(turns[-1:], "m")
    assert sizes.counted == 3
    assert sizes.total == pytest.approx(40 + 15 + estimator.template_tokens("m") + new, abs=1)
    changed = (TURNS[0], replace(TURNS[1], text="Edited"), *turns[2:])
    assert Sizes(changed, {count.prefix: count}, estimator, "m").counted == 0


def test_the_size_of_each_turn_follows_from_two_counts() -> None:
    turns = (*TURNS, ChatTurn(Role.ASSISTANT, ANSWER), ChatTurn(Role.USER, "And of Malta?"))
    names = prefixes(turns)
    counts = {
        names[1]: PromptCount("l", 1, names[1], 40),
        names[3]: PromptCount("l", 1, names[3], 90),
    }
    sizes = Sizes(turns, counts, TokenEstimator(), "m")
    assert sum(sizes.turns[:2]) == pytest.approx(40)
    assert sum(sizes.turns) == pytest.approx(90)
    assert sizes.total == 90


def test_a_count_that_contradicts_a_later_one_is_left_out() -> None:
    turns = (*TURNS, ChatTurn(Role.ASSISTANT, ANSWER), ChatTurn(Role.USER, "And of Malta?"))
    names = prefixes(turns)
    counts = {
        names[1]: PromptCount("l", 1, names[1], 100),
        names[3]: PromptCount("l", 1, names[3], 90),
    }
    assert Sizes(turns, counts, TokenEstimator(), "m").total == 90


def test_prefixes_tell_apart_where_a_turn_ends() -> None:
    one = (ChatTurn(Role.USER, "a"), ChatTurn(Role.ASSISTANT, "b"))
    other = (ChatTurn(Role.USER, "ab"), ChatTurn(Role.ASSISTANT, ""))
    assert prefixes(one)[0] == prefixes(one[:1])[0]
    assert not set(prefixes(one)) & set(prefixes(other))


async def test_counts_of_another_load_say_nothing() -> None:
    talk = CountedTalk(context_tokens=2048)
    question = await talk.say("question " * 500)
    answer = await talk.answer(question, await talk.ask(question), "word " * 1100)
    follow = await talk.say("and?", answer)
    assert "question" not in (await talk.ask(follow)).turns[1].text, "there is no room"
    talk.model = replace(talk.model, context_tokens=8192)
    assert "question" in (await talk.ask(follow)).turns[1].text


async def test_a_prompt_that_was_refused_is_known_to_be_too_long() -> None:
    talk = CountedTalk(factor=3.0, context_tokens=2048)
    question = await talk.say("word " * 60)
    answer = await talk.answer(question, await talk.ask(question), "word " * 60, lambda _: None)
    last = await talk.say("word " * 500, answer)
    prompt = await talk.ask(last)
    tokens = talk.prompt_tokens(prompt.turns)
    assert tokens > talk.room
    talk.builder.refused(Counted("m", prompt.turns, tokens), talk.model.load)
    assert len((await talk.ask(last)).turns) < len(prompt.turns)


async def test_the_opening_is_what_every_prompt_begins_with() -> None:
    talk = CountedTalk()
    question = await talk.say("hello")
    prompt = await talk.ask(question)
    assert talk.builder.opening(talk.place, CHAT, talk.model) == prompt.turns[:1]


def test_prompts_of_two_channels_begin_apart_and_no_persona_comes_before_that() -> None:
    """A server gives a prompt to the slot that holds a tenth of it."""
    talk = CountedTalk()
    chat = replace(CHAT, system_prompt="You are {bot}, a helpful assistant. " * 5)
    texts = [
        talk.builder.opening(place, chat, talk.model)[0].text
        for place in (HOME, replace(HOME, channel_id=ChannelId(HOME.channel_id + 1)), ADAS_DM)
    ]
    for one, other in itertools.combinations(texts, 2):
        alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
        assert len(list(alike)) < SIMILARITY * len(one) / 2
        assert one.partition("\n")[2] == other.partition("\n")[2]


def test_a_long_persona_is_the_beginning_that_all_channels_share() -> None:
    talk = CountedTalk()
    persona = "You know every rule of the house by heart. " * 150
    chat = replace(CHAT, system_prompt=persona)
    for place in (HOME, replace(HOME, channel_id=ChannelId(HOME.channel_id + 1)), ADAS_DM):
        assert talk.builder.opening(place, chat, talk.model)[0].text.startswith(persona[:3000])
