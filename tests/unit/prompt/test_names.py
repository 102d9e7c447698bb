"""What people are called in a prompt."""

from __future__ import annotations

import dataclasses

from bot.core.domain import ChannelId, GuildId, Person, Place, PlaceKind, UserId
from tests.support.conversation import ADA, BOB, CLAW, HOME, FakeSources
from tests.unit.prompt.test_builder import said

THREAD = Place(PlaceKind.THREAD, ChannelId(70), GuildId(40), ChannelId(50))


async def test_a_person_is_never_called_like_the_bot_or_like_somebody_else() -> None:
    sources = FakeSources()
    names = ["Ada", "Аda", "ADA\u200d", "Clawbot", "clawbot", "\u3164"]  # the second is Cyrillic
    last = None
    for number, name in enumerate(names):
        last = sources.say(Person(UserId(20 + number), name), "hello", place=THREAD)
    assert last is not None
    prompt = await sources.prompt(last)
    assert prompt.participants == (
        "Ada",
        "Аda (2)",
        "ADA\u200d (3)",
        "Clawbot (2)",
        "clawbot (3)",
        "someone",
    )


async def test_a_thread_on_an_answer_begins_with_the_bots_words() -> None:
    sources = FakeSources()
    sources.starters[THREAD] = sources.say(CLAW, "the plan", place=HOME)
    prompt = await sources.prompt(sources.say(ADA, "what first?", place=THREAD))
    assert said(prompt) == [("user", "⟦from Clawbot⟧ the plan\n⟦from Ada⟧ what first?")]
    assert prompt.participants == ("Ada",)


async def test_two_people_of_one_name_are_told_apart() -> None:
    sources = FakeSources()
    twin = Person(UserId(77), "ada")
    first = sources.say(ADA, "one")
    prompt = await sources.prompt(sources.say(twin, "two", to=first))
    assert prompt.participants == ("Ada", "ada (2)")


async def test_names_appear_from_the_second_person_on_and_never_change() -> None:
    sources = FakeSources()
    first = sources.say(ADA, "one")
    answer = sources.say(CLAW, "answer", to=first)
    renamed = dataclasses.replace(ADA, name="Ada the Second")
    second = sources.say(BOB, "two", to=answer)
    again = sources.say(CLAW, "more", to=second)
    third = sources.say(renamed, "three", to=again)
    users = [text for role, text in said(await sources.prompt(third)) if role == "user"]
    assert users == ["one", "⟦from Bob⟧ two", "⟦from Ada⟧ three"]
