"""Who is answered, and where: only people who explicitly asked, only where it is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.discord import Channel, Message
from tests.security.deployment import Deployment, OpenDeployment, all_text, is_content


async def settle(deployment: Deployment, room: Channel) -> None:
    """Ask something real and wait for its answer: whatever came before has been looked at then."""
    asked = await deployment.ada.mention(room, "the real question")
    await deployment.until_answered([asked])


def unreal(deployment: Deployment) -> list[str]:
    """Return the requests to the model that weren't for a real question."""
    texts = [all_text(request) for request in deployment.lm.completions]
    return [text for text in texts if "the real question" not in text]


async def test_only_an_explicit_mention_by_a_person_starts_an_answer(
    deployment: Deployment,
) -> None:
    guild, me = deployment.guild, deployment.discord.bot_user
    rooms = iter(deployment.channels(40))
    other_bot = deployment.discord.add_user("Otto", is_bot=True)
    guild.add_member(other_bot)
    bot_role = next(role for role in guild.roles.values() if role.managed)
    other_role = guild.add_role("Cooks")
    quiet, forge = deployment.ada, deployment.forge
    async with deployment.bot():
        first = await quiet.mention(next(rooms), "the real question")
        await deployment.until_answered([first])
        answer = deployment.discord.replies(first)[0]
        # What must start nothing, shape by shape.
        for named in ("@everyone", "@here", other_role.mention):
            await quiet.say(next(rooms), f"{named} look")
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
            forge(next(rooms), quiet, "<@bot> system message", kind=kind)
        forge(next(rooms), quiet, "<@bot> webhook", webhook_id="123456789012345678")
        own = {"id": str(me.id), "username": "Clawbot", "discriminator": "0001", "bot": True}
        own |= {"avatar": None, "global_name": None}
        forge(next(rooms), quiet, "<@bot> myself", author=own)
        deployment.discord.unfurl(await quiet.say(next(rooms), "https://a.example"))
        await settle(deployment, next(rooms))
        assert unreal(deployment) == []
        assert len(deployment.lm.completions) == 2
        # What must: a mention, a mention by nick, a reply with and without a ping, a DM.
        asked = [
            await quiet.mention(next(rooms), "1"),
            await quiet.say(next(rooms), f"<@!{me.id}> 2"),
            await quiet.say(next(rooms), f"{bot_role.mention} 2"),
            await quiet.reply(answer, "3"),
            await quiet.reply(answer, "4", ping=False),
            await quiet.dm("5"),
        ]
        await deployment.until_answered(asked)
    assert len(deployment.lm.completions) == 8


async def test_bots_that_mention_each_other_never_reach_the_model(deployment: Deployment) -> None:
    other = deployment.discord.add_user("Otto", is_bot=True)
    deployment.guild.add_member(other)
    room, last = deployment.channels(2)
    async with deployment.bot():
        for number in range(500):
            await other.mention(room, f"round {number}")
        await settle(deployment, last)
    assert len(deployment.lm.completions) == 1
    assert not [m for m in room.messages.values() if m.author is deployment.discord.bot_user]


async def test_storms_of_edits_and_reactions_never_reach_the_model(deployment: Deployment) -> None:
    room, other, last = deployment.channels(3)
    async with deployment.bot():
        asked = await deployment.ada.mention(room, "the real question")
        await deployment.until_answered([asked])
        plain = await deployment.ada.say(other, "nothing for you")
        for number in range(300):
            await deployment.ada.edit(plain, f"edit {number}")
            deployment.discord.unfurl(asked)
            await deployment.ada.react(asked, "👍", add=number % 2 == 0)
            await deployment.ada.suppress_embeds(asked)
        await settle(deployment, last)
        assert len(deployment.lm.completions) == 2
    assert len([r for r in deployment.discord.requests if is_content(r)]) < 20


async def test_a_storm_of_edits_to_ones_question_is_bounded_by_the_rate_limit(
    opened: OpenDeployment,
) -> None:
    async with opened(CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE="10") as deployment:
        room, last = deployment.channels(2)
        bob = deployment.discord.add_user("Bob")
        deployment.guild.add_member(bob)

        def of_edits() -> list[str]:
            texts = [all_text(request) for request in deployment.lm.completions]
            return [text for text in texts if "the edited question" in text]

        async with deployment.bot():
            asked = await bob.mention(room, "the real question")
            await deployment.until_answered([asked])
            number = 0
            for number in range(200):
                await bob.edit(asked, f"<@bot> the edited question {number}")
            # Edits are looked at in order: all have been once a later one was asked.
            while not any(f"the edited question {number}" in text for text in of_edits()):
                number += 1
                await bob.edit(asked, f"<@bot> the edited question {number}")
                await settle(deployment, last)
            await deployment.until_closed()
        assert len(of_edits()) <= 10


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


def surface(deployment: Deployment, kind: str) -> Channel:
    """Return a place of this kind, with the bot in it."""
    guild = deployment.guild
    if kind == "dm":
        return deployment.ada.dm_channel
    if kind in {"text", "voice", "stage", "announcement"}:
        return guild.add_channel("place", kind)
    parent_kind = {"forum post": "forum", "announcement thread": "announcement"}.get(kind, "text")
    category = guild.add_channel("category", "category") if "category" in kind else None
    parent = guild.add_channel("parent", parent_kind, parent=category)
    if kind == "in category":
        return parent
    thread = parent.add_thread("place", private=kind == "private thread", owner=deployment.ada)
    thread.thread_member_ids |= {deployment.discord.bot_user.id, deployment.ada.id}
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


def environment(deployment: Deployment, policy: str, place: Channel) -> dict[str, str]:
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
        "person blocked": {"BLOCKED_USER_IDS": str(deployment.ada.id)},
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
async def test_every_place_under_every_policy(opened: OpenDeployment, policy: str) -> None:
    async with opened(factor=20) as deployment:
        places = {kind: surface(deployment, kind) for kind in SURFACES}
        chosen: dict[str, list[str]] = {}
        for place in places.values():
            for key, value in environment(deployment, policy, place).items():
                chosen.setdefault(key, []).append(value)
        deployment.environment |= {k: ",".join(dict.fromkeys(v)) for k, v in chosen.items()}
        async with deployment.bot():
            asked = {kind: await ask(deployment, place, kind) for kind, place in places.items()}
            await deployment.until_answered(m for k, m in asked.items() if is_allowed(policy, k))
            await deployment.discord.wait_until(lambda: deployment.discord.bot_messages)
        told = {
            kind
            for kind in SURFACES
            if any(f"[{kind}]" in all_text(r) for r in deployment.lm.completions)
        }
        wanted = {kind for kind in SURFACES if is_allowed(policy, kind)}
        assert told == wanted


async def ask(deployment: Deployment, place: Channel, kind: str) -> Message:
    """Ask in a place, naming it so that no name holds another's."""
    return await deployment.ada.mention(place, f"In [{kind}] please")


async def test_a_place_that_cannot_be_told_is_refused(opened: OpenDeployment) -> None:
    async with opened(CLAWBOT_DISCORD__ALLOWED_CHANNEL_IDS="1234567890123456") as deployment:
        room = deployment.channels(1)[0]
        missing: list[dict[str, Any]] = [
            {"channel_id": "999999999999999999"},
            {"guild_id": "999999999999999999"},
            {"guild_id": "999999999999999999", "channel_id": "999999999999999998"},
        ]
        async with deployment.bot():
            for fields in missing:
                deployment.forge(room, deployment.ada, "<@bot> where am I?", **fields)
            bob = deployment.discord.add_user("Bob")
            deployment.guild.add_member(bob)
            asked = await bob.mention(room, "the real question")
            await deployment.discord.wait_until(lambda: deployment.discord.replies(asked))
        assert deployment.lm.completions == []
