"""What people can do, see, and wait for."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.discord import Channel, DiscordSandbox, Guild, NotOfferedError, Person
from tests.sandbox.discord.clients import Rest, online


async def _answer(rest: Rest, channel: Channel, text: str, to: int | None = None) -> str:
    body: dict[str, object] = {"content": text}
    if to is not None:
        body["message_reference"] = {"message_id": str(to)}
    posted = await rest("POST", f"/channels/{channel.id}/messages", body)
    return str(posted.body["id"])


async def test_a_mention_pings_the_bot(
    discord: DiscordSandbox, channel: Channel, ada: Person
) -> None:
    for message in (await ada.mention(channel, "hi"), await ada.say(channel, "<@bot> hi")):
        assert message.content == f"<@{discord.bot_user.id}> hi"
        assert message.mention_ids == [discord.bot_user.id]
    quoted = await ada.say(channel, "`<@bot>` is code")
    assert quoted.mention_ids == []
    everyone = await ada.say(channel, "@everyone hi")
    assert (everyone.mention_everyone, everyone.mention_ids) == (True, [])


@pytest.mark.parametrize("ping", [True, False])
async def test_a_reply_names_its_author_by_the_switch(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person, ping: bool
) -> None:
    own = channel.messages[int(await _answer(rest, channel, "hello"))]
    reply = await ada.reply(own, "and?", ping=ping)
    assert (discord.bot_user.id in reply.mention_ids) is ping
    assert reply.reference is own


async def test_people_are_held_to_their_permissions(
    discord: DiscordSandbox, guild: Guild, channel: Channel, ada: Person
) -> None:
    theirs = await discord.owner.say(channel, "rules")
    with pytest.raises(NotOfferedError):
        await ada.delete(theirs)
    with pytest.raises(NotOfferedError):
        await ada.edit(theirs, "no rules")
    stranger = discord.add_user("Stranger")
    with pytest.raises(NotOfferedError):
        await stranger.say(channel, "hi")
    assert not stranger.sees(theirs)
    channel.overwrite(guild.everyone, deny="send_messages")
    with pytest.raises(NotOfferedError):
        await ada.say(channel, "hi")


async def test_an_answer_is_awaited_by_reference_or_by_place(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    first, second = await ada.mention(channel, "1"), await ada.mention(channel, "2")
    await _answer(rest, channel, "to 2", second.id)
    waiting = asyncio.create_task(discord.wait_reply(first))
    await _answer(rest, channel, "to 1", first.id)
    assert (await waiting).content == "to 1"
    third = await ada.mention(channel, "3")
    with pytest.raises(TimeoutError):
        await discord.wait_reply(third, timeout_s=0.01)
    await _answer(rest, channel, "unreferred")
    assert (await discord.wait_reply(third)).content == "unreferred"


async def test_waiting_looks_again_at_every_edit(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    asked = await ada.mention(channel, "?")
    waiting = asyncio.create_task(
        discord.wait_reply(asked, until=lambda reply: reply.content.endswith("."))
    )
    message_id = await _answer(rest, channel, "Well", asked.id)
    path = f"/channels/{channel.id}/messages/{message_id}"
    await rest("PATCH", path, {"content": "Well, yes."})
    reply = await waiting
    assert [version.content for version in reply.versions] == ["Well", "Well, yes."]
    assert reply.versions[0].at <= reply.versions[1].at


async def test_what_a_condition_raises_reaches_the_one_who_waits(
    discord: DiscordSandbox, channel: Channel, ada: Person
) -> None:
    looks = [False]
    waiting = asyncio.create_task(discord.wait_until(looks.pop))
    await asyncio.sleep(0)
    await ada.say(channel, "x")
    with pytest.raises(IndexError):
        await waiting


async def test_threads_and_posts_open_with_their_message(
    discord: DiscordSandbox, guild: Guild, channel: Channel, ada: Person
) -> None:
    async with online(discord) as gateway:
        said = await ada.say(channel, "topic")
        thread = await ada.start_thread(said, "about it")
        created = await gateway.event("THREAD_CREATE")
        assert (created["id"], created["parent_id"]) == (str(said.id), str(channel.id))
        forum = guild.add_channel("help", "forum")
        first = await ada.post(forum, "title", "body")
        assert (await gateway.event("THREAD_CREATE"))["name"] == "title"
        assert first.id == first.channel.id
        assert (first.channel.parent, first.channel.owner_id) == (forum, ada.id)
        alone = await ada.start_thread(channel, "private", private=True)
        assert alone.is_private
        assert thread.parent is channel


async def test_a_forward_shows_a_snapshot(
    discord: DiscordSandbox, channel: Channel, ada: Person
) -> None:
    said = await ada.say(channel, "original")
    async with online(discord) as gateway:
        await ada.say(channel, forward=said)
        event = await gateway.event("MESSAGE_CREATE")
        assert event["content"] == ""
        assert event["message_reference"]["type"] == 1
        assert event["message_snapshots"][0]["message"]["content"] == "original"


async def test_direct_messages_need_no_guild(discord: DiscordSandbox) -> None:
    eve = discord.add_user("Eve")
    async with online(discord) as gateway:
        said = await eve.dm("hi")
        event = await gateway.event("MESSAGE_CREATE")
        assert "guild_id" not in event
        assert event["channel_id"] == str(eve.dm_channel.id) == str(said.channel.id)


async def test_going_and_coming_is_told(discord: DiscordSandbox, guild: Guild, ada: Person) -> None:
    async with online(discord) as gateway:
        bob = discord.add_user("Bob")
        guild.add_member(bob, nick="Bobby")
        assert (await gateway.event("GUILD_MEMBER_ADD"))["nick"] == "Bobby"
        guild.remove_member(ada)
        assert (await gateway.event("GUILD_MEMBER_REMOVE"))["user"]["id"] == str(ada.id)
        channel = guild.add_channel("new")
        assert (await gateway.event("CHANNEL_CREATE"))["name"] == "new"
        channel.delete()
        assert (await gateway.event("CHANNEL_DELETE"))["id"] == str(channel.id)
        guild.remove_member(discord.bot_user)
        assert await gateway.event("GUILD_DELETE") == {"id": str(guild.id)}
        other = discord.add_guild("Other")
        assert (await gateway.event("GUILD_CREATE"))["id"] == str(other.id)
