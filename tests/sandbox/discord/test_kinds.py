"""Webhooks, proxied messages, polls, stickers, the bot's role, and members without the history."""

from __future__ import annotations

import pytest

from sandbox.discord import Channel, DiscordSandbox, Guild, NotOfferedError, Person
from tests.sandbox.discord.clients import NO_PRIVILEGED, Rest, online


async def test_a_webhook_speaks_under_a_name_that_is_no_account(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    hook = discord.add_webhook(channel, "News")
    async with online(discord) as gateway:
        said = await hook.say("hello <@bot>", name="Reporter")
        event = await gateway.event("MESSAGE_CREATE")
    assert event["webhook_id"] == event["author"]["id"] == str(hook.id)
    assert event["author"]["username"] == "Reporter"
    assert (event["author"]["bot"], event["author"]["discriminator"]) == (True, "0000")
    assert "member" not in event
    assert "application_id" not in event
    assert [each["id"] for each in event["mentions"]] == [str(discord.bot_user.id)]
    assert (await rest("GET", f"/users/{hook.id}")).status == 404
    answer = await ada.reply(said, "thanks")
    assert answer.mention_ids == []


@pytest.mark.parametrize("delete_first", [False, True])
async def test_a_proxied_message_is_deleted_and_comes_again_through_a_webhook(
    discord: DiscordSandbox, channel: Channel, ada: Person, delete_first: bool
) -> None:
    proxy = discord.add_proxy("PluralKit")
    async with online(discord) as gateway:
        asked = await ada.mention(channel, "hi", files=[("a.txt", b"words")])
        copy = await proxy.copy(asked, "Ash", delete_first=delete_first)
        await gateway.event("MESSAGE_CREATE")
        frames = [await gateway.receive(), await gateway.receive()]
    events = {frame["t"]: frame["d"] for frame in frames}
    assert list(events) == (
        ["MESSAGE_DELETE", "MESSAGE_CREATE"]
        if delete_first
        else ["MESSAGE_CREATE", "MESSAGE_DELETE"]
    )
    again = events["MESSAGE_CREATE"]
    assert events["MESSAGE_DELETE"]["id"] == str(asked.id)
    assert again["application_id"] == str(proxy.user.id)
    assert (again["id"], again["content"]) == (str(copy.id), asked.content)
    assert [each["filename"] for each in again["attachments"]] == ["a.txt"]
    assert again["attachments"][0]["id"] != str(asked.attachments[0].id)


async def test_a_webhook_of_a_channel_speaks_in_its_threads(
    discord: DiscordSandbox, guild: Guild, channel: Channel, ada: Person
) -> None:
    thread = await ada.start_thread(channel, "topic")
    proxy = discord.add_proxy()
    copy = await proxy.copy(await ada.say(thread, "hi"), "Ash")
    assert copy.channel is thread
    assert copy.author.id not in thread.thread_member_ids
    other = discord.add_webhook(guild.add_channel("other"), "News")
    with pytest.raises(NotOfferedError):
        await other.say("hi", thread=thread)


async def test_a_poll_needs_no_text_and_is_content(
    discord: DiscordSandbox, channel: Channel, ada: Person
) -> None:
    async with online(discord) as gateway, online(discord, NO_PRIVILEGED) as blind:
        await ada.poll(channel, "Tea?", ["yes", "no"], hours=2, multiselect=True)
        event = await gateway.event("MESSAGE_CREATE")
        assert "poll" not in await blind.event("MESSAGE_CREATE")
    poll = event["poll"]
    assert event["content"] == ""
    assert poll["question"] == {"text": "Tea?"}
    assert poll["answers"][1] == {"answer_id": 2, "poll_media": {"text": "no"}}
    assert poll["results"] == {"answer_counts": [], "is_finalized": False}
    assert (poll["allow_multiselect"], poll["layout_type"]) == (True, 1)
    with pytest.raises(NotOfferedError):
        await ada.poll(channel, "Tea?", ["x" * 56])


async def test_stickers_stand_beside_the_text(
    discord: DiscordSandbox, channel: Channel, ada: Person
) -> None:
    async with online(discord) as gateway:
        await ada.sticker(channel, "Wave", "Smile")
        items = (await gateway.event("MESSAGE_CREATE"))["sticker_items"]
    assert [(each["name"], each["format_type"]) for each in items] == [("Wave", 1), ("Smile", 1)]
    with pytest.raises(NotOfferedError):
        await ada.sticker(channel)


async def test_a_forward_stands_alone(channel: Channel, ada: Person) -> None:
    said = await ada.say(channel, "original")
    with pytest.raises(NotOfferedError):
        await ada.say(channel, "look", forward=said)
    with pytest.raises(NotOfferedError):
        await ada.say(channel)


async def test_the_bots_role_is_mentioned_as_a_role(
    discord: DiscordSandbox, guild: Guild, channel: Channel, ada: Person
) -> None:
    async with online(discord) as gateway:
        await ada.say(channel, f"{guild.bot_role.mention} hi")
        event = await gateway.event("MESSAGE_CREATE")
    assert (event["mentions"], event["mention_roles"]) == ([], [str(guild.bot_role.id)])
    assert guild.bot_role.managed


async def test_without_the_history_one_sees_what_came_since_the_client_started(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    body = {"name": "Ask about this", "type": 3}
    await rest("POST", f"/applications/{discord.bot_user.id}/commands", body)
    old = await discord.owner.say(channel, "old")
    channel.overwrite(ada, deny="read_message_history", is_member=True)
    assert ada.sees(old)
    ada.restart_client()
    assert not ada.sees(old)
    new = await discord.owner.say(channel, "new")
    assert ada.view(channel) == [new]
    with pytest.raises(NotOfferedError):
        await ada.reply(new, "and?")
    with pytest.raises(NotOfferedError):
        await ada.context_menu(old, "Ask about this")
    assert (await ada.context_menu(new, "Ask about this")).data["target_id"] == str(new.id)
