"""Who is answered, and where: only people who explicitly asked, only where it is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.discord import Channel, Message
from tests.security.house import House, OpenHouse, all_text, is_content


async def settle(house: House, room: Channel) -> None:
    """Ask something real and wait for its answer: whatever came before has been looked at then."""
    asked = await house.ada.mention(room, "the real question")
    await house.until_answered([asked])


def unreal(house: House) -> list[str]:
    """Return the requests to the model that weren't for a real question."""
    texts = [all_text(request) for request in house.lm.completions]
    return [text for text in texts if "the real question" not in text]


async def test_only_an_explicit_mention_by_a_person_starts_an_answer(house: House) -> None:
    guild, me = house.guild, house.discord.bot_user
    rooms = iter(house.channels(40))
    other_bot = house.discord.add_user("Otto", is_bot=True)
    guild.add_member(other_bot)
    bot_role = next(role for role in guild.roles.values() if role.managed)
    other_role = guild.add_role("Cooks")
    quiet = house.ada
    async with house.bot():
        first = await house.ada.mention(next(rooms), "the real question")
        await house.until_answered([first])
        answer = house.discord.replies(first)[0]
        # What must start nothing, shape by shape.
        await quiet.say(next(rooms), "@everyone look")
        await quiet.say(next(rooms), "@here look")
        await quiet.say(next(rooms), f"{other_role.mention} look")
        await quiet.say(next(rooms), f"`{bot_role.mention}` in code")
        await quiet.say(next(rooms), f"`{me.mention}` in code")
        await quiet.say(next(rooms), f"```\n{me.mention}\n``` in a block")
        await quiet.say(next(rooms), f"\\<@{me.id}\\> escaped, @Clawbot")
        edited = await quiet.say(next(rooms), "nothing")
        await quiet.edit(edited, "still nothing")
        await quiet.say(next(rooms), forward=first)
        await quiet.reply(edited, "a reply to somebody else")
        await other_bot.mention(next(rooms), "I am a bot")
        await other_bot.reply(answer, "I am a bot replying")
        await other_bot.dm("I am a bot in private")
        for kind in (1, 4, 6, 7, 8, 18, 20, 21, 23, 24, 46):
            house.forge(next(rooms), house.ada, "<@bot> system message", kind=kind)
        house.forge(next(rooms), house.ada, "<@bot> webhook", webhook_id="123456789012345678")
        own = {"id": str(me.id), "username": "Clawbot", "discriminator": "0001", "bot": True}
        own |= {"avatar": None, "global_name": None}
        house.forge(next(rooms), house.ada, "<@bot> myself", author=own)
        house.discord.unfurl(await quiet.say(next(rooms), "https://a.example"))
        await settle(house, next(rooms))
        assert unreal(house) == []
        assert len(house.lm.completions) == 2
        # What must: a mention, a mention by nick, a reply with and without a ping, a DM.
        asked = [
            await quiet.mention(next(rooms), "1"),
            await quiet.say(next(rooms), f"<@!{me.id}> 2"),
            await quiet.say(next(rooms), f"{bot_role.mention} 2"),
            await quiet.reply(answer, "3"),
            await quiet.reply(answer, "4", ping=False),
            await quiet.dm("5"),
        ]
        await house.until_answered(asked)
    assert len(house.lm.completions) == 8


async def test_bots_that_mention_each_other_never_reach_the_model(house: House) -> None:
    other = house.discord.add_user("Otto", is_bot=True)
    house.guild.add_member(other)
    room, last = house.channels(2)
    async with house.bot():
        for number in range(500):
            await other.mention(room, f"round {number}")
        await settle(house, last)
    assert len(house.lm.completions) == 1
    assert not [m for m in room.messages.values() if m.author is house.discord.bot_user]


async def test_storms_of_edits_and_reactions_never_reach_the_model(house: House) -> None:
    room, other, last = house.channels(3)
    async with house.bot():
        asked = await house.ada.mention(room, "the real question")
        await house.until_answered([asked])
        plain = await house.ada.say(other, "nothing for you")
        for number in range(300):
            await house.ada.edit(plain, f"edit {number}")
            house.discord.unfurl(asked)
            await house.ada.react(asked, "👍", add=number % 2 == 0)
            await house.ada.suppress_embeds(asked)
        await settle(house, last)
        assert len(house.lm.completions) == 2
    assert len([r for r in house.discord.requests if is_content(r)]) < 20


async def test_a_storm_of_edits_to_ones_question_is_bounded_by_the_rate_limit(
    opened: OpenHouse,
) -> None:
    async with opened(CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE="10") as house:
        room, last = house.channels(2)
        bob = house.discord.add_user("Bob")
        house.guild.add_member(bob)
        async with house.bot():
            asked = await bob.mention(room, "the real question")
            await house.until_answered([asked])
            for number in range(200):
                await bob.edit(asked, f"<@bot> the real question {number}")
            await settle(house, last)
            await house.until_closed()
        assert len(house.lm.completions) < 40


SURFACES = (
    "text",
    "voice",
    "stage",
    "announcement",
    "thread",
    "private thread",
    "announcement thread",
    "forum post",
    "in category",
    "thread in category",
    "dm",
)


def surface(house: House, kind: str) -> Channel:
    """Return a place of this kind, with the bot in it."""
    guild = house.guild
    if kind == "dm":
        return house.ada.dm_channel
    if kind in {"text", "voice", "stage", "announcement"}:
        return guild.add_channel("place", kind)
    parent_kind = {"forum post": "forum", "announcement thread": "announcement"}.get(kind, "text")
    category = guild.add_channel("category", "category") if "category" in kind else None
    parent = guild.add_channel("parent", parent_kind, parent=category)
    if kind == "in category":
        return parent
    thread = parent.add_thread("place", private=kind == "private thread", owner=house.ada)
    thread.thread_member_ids |= {house.discord.bot_user.id, house.ada.id}
    return thread


POLICIES = (
    "nothing said",
    "allowed",
    "parent allowed",
    "other allowed",
    "blocked",
    "parent blocked",
    "allowed and blocked",
    "allowed, parent blocked",
    "guild not allowed",
    "role missing",
    "person blocked",
    "dm closed",
    "dm for owners",
)


def environment(house: House, policy: str, place: Channel) -> dict[str, str]:
    """Return the settings of a policy."""
    here = str(place.id)
    above = str(place.parent.id if place.parent else place.id)
    rows: dict[str, dict[str, str]] = {
        "allowed": {"ALLOWED_CHANNEL_IDS": here},
        "parent allowed": {"ALLOWED_CHANNEL_IDS": above},
        "other allowed": {"ALLOWED_CHANNEL_IDS": "1234567890123456"},
        "blocked": {"BLOCKED_CHANNEL_IDS": here},
        "parent blocked": {"BLOCKED_CHANNEL_IDS": above},
        "allowed and blocked": {"ALLOWED_CHANNEL_IDS": here, "BLOCKED_CHANNEL_IDS": here},
        "allowed, parent blocked": {"ALLOWED_CHANNEL_IDS": here, "BLOCKED_CHANNEL_IDS": above},
        "guild not allowed": {"ALLOWED_GUILD_IDS": "1234567890123456"},
        "role missing": {"ALLOWED_ROLE_IDS": "1234567890123456"},
        "person blocked": {"BLOCKED_USER_IDS": str(house.ada.id)},
        "dm closed": {"DM_POLICY": "closed"},
        "dm for owners": {"DM_POLICY": "owners"},
    }
    return {f"CLAWBOT_DISCORD__{key}": value for key, value in rows.get(policy, {}).items()}


def is_allowed(policy: str, kind: str) -> bool:
    """Say what the table says."""
    if policy == "nothing said":
        return True
    if kind == "dm":
        return policy in {"blocked", "parent blocked"}  # what names allowed places closes these
    return policy in {"allowed", "parent allowed", "dm closed", "dm for owners"}


@pytest.mark.parametrize("policy", POLICIES)
async def test_every_place_under_every_policy(opened: OpenHouse, policy: str) -> None:
    async with opened(factor=20) as house:
        places = {kind: surface(house, kind) for kind in SURFACES}
        chosen: dict[str, list[str]] = {}
        for place in places.values():
            for key, value in environment(house, policy, place).items():
                chosen.setdefault(key, []).append(value)
        house.environment |= {k: ",".join(dict.fromkeys(v)) for k, v in chosen.items()}
        async with house.bot():
            asked = {kind: await ask(house, place, kind) for kind, place in places.items()}
            await house.until_answered(m for k, m in asked.items() if is_allowed(policy, k))
            await house.discord.wait_until(lambda: house.discord.bot_messages)
        told = {
            kind
            for kind in SURFACES
            if any(f"[{kind}]" in all_text(r) for r in house.lm.completions)
        }
        wanted = {kind for kind in SURFACES if is_allowed(policy, kind)}
        assert told == wanted


async def ask(house: House, place: Channel, kind: str) -> Message:
    """Ask in a place, naming it so that no name holds another's."""
    return await house.ada.mention(place, f"In [{kind}] please")


async def test_a_place_that_cannot_be_told_is_refused(opened: OpenHouse) -> None:
    async with opened(CLAWBOT_DISCORD__ALLOWED_CHANNEL_IDS="1234567890123456") as house:
        room = house.channels(1)[0]
        missing: list[dict[str, Any]] = [
            {"channel_id": "999999999999999999"},
            {"guild_id": "999999999999999999"},
            {"guild_id": "999999999999999999", "channel_id": "999999999999999998"},
        ]
        async with house.bot():
            for fields in missing:
                house.forge(room, house.ada, "<@bot> where am I?", **fields)
            bob = house.discord.add_user("Bob")
            house.guild.add_member(bob)
            asked = await bob.mention(room, "the real question")
            await house.discord.wait_until(lambda: house.discord.replies(asked))
        assert house.lm.completions == []
