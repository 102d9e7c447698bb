"""What Discord's client refuses before anything reaches the bot, and who may watch the world."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.discord import Channel, DiscordSandbox, Guild, Message, NotOfferedError, Person
from sandbox.discord.state.events import Event, MessageChanged, MessageCreated, MessageDeleted
from tests.sandbox.discord.clients import Rest, online

FILE = ("a.txt", b"x")
MENUS = [
    {"type": 3, "custom_id": "menu", "max_values": 2, "options": [
        {"label": each, "value": each} for each in ("a", "b", "c")]},
    {"type": 5, "custom_id": "who"},
    {"type": 8, "custom_id": "where"},
]  # fmt: skip


async def _with_menus(rest: Rest, channel: Channel) -> Message:
    rows = [{"type": 1, "components": [menu]} for menu in MENUS]
    posted = await rest(
        "POST", f"/channels/{channel.id}/messages", {"content": "x", "components": rows}
    )
    return channel.messages[int(posted.body["id"])]


async def test_files_are_held_to_their_number_and_size(channel: Channel, ada: Person) -> None:
    await ada.say(channel, files=[FILE] * 10)
    for files in ([FILE] * 11, [("a.txt", bytes(500 * 1024 * 1024 + 1))]):
        with pytest.raises(NotOfferedError):
            await ada.say(channel, files=files)
        with pytest.raises(NotOfferedError):
            await ada.reply(await ada.say(channel, "hi"), files=files)


async def test_files_take_attach_files(guild: Guild, channel: Channel, ada: Person) -> None:
    channel.overwrite(guild.everyone, deny="attach_files")
    with pytest.raises(NotOfferedError):
        await ada.say(channel, "hi", files=[FILE])


async def test_an_edit_leaves_something(channel: Channel, ada: Person) -> None:
    said = await ada.say(channel, "hi")
    for text in ("", " ", "x" * 4001):
        with pytest.raises(NotOfferedError):
            await ada.edit(said, text)
    filed = await ada.say(channel, "hi", files=[FILE])
    await ada.edit(filed, "")
    assert (said.content, filed.content) == ("hi", "")
    await ada.delete(said)
    with pytest.raises(NotOfferedError):
        await ada.edit(said, "again")
    with pytest.raises(NotOfferedError):
        await ada.reply(said, "to nothing")


@pytest.mark.parametrize("emoji", ["", "x", "x" * 101])
async def test_a_reaction_is_an_emoji(channel: Channel, ada: Person, emoji: str) -> None:
    with pytest.raises(NotOfferedError):
        await ada.react(await ada.say(channel, "hi"), emoji)


async def test_a_first_reaction_takes_its_permission(
    guild: Guild, channel: Channel, ada: Person, discord: DiscordSandbox
) -> None:
    said = await ada.say(channel, "hi")
    channel.overwrite(guild.everyone, deny="add_reactions")
    with pytest.raises(NotOfferedError):
        await ada.react(said, "👍")
    await discord.owner.react(said, "👍")
    await ada.react(said, "👍")
    assert said.reactions == {"👍": [discord.owner.id, ada.id]}


async def test_a_message_takes_twenty_different_reactions(channel: Channel, ada: Person) -> None:
    said = await ada.say(channel, "hi")
    for number in range(20):
        await ada.react(said, chr(0x1F600 + number))
    with pytest.raises(NotOfferedError):
        await ada.react(said, "👍")


async def test_threads_and_posts_have_a_name_and_a_place(
    guild: Guild, channel: Channel, ada: Person
) -> None:
    forum = guild.add_channel("help", "forum")
    for name in ("", "  ", "x" * 101):
        with pytest.raises(NotOfferedError):
            await ada.start_thread(channel, name)
        with pytest.raises(NotOfferedError):
            await ada.post(forum, name, "text")
    with pytest.raises(NotOfferedError):
        await ada.post(forum, "title", " ")
    with pytest.raises(NotOfferedError):
        await ada.post(channel, "title", "text")
    said = await ada.say(channel, "topic")
    thread = await ada.start_thread(said, "about it")
    for where in (said, thread):
        with pytest.raises(NotOfferedError):
            await ada.start_thread(where, "again")
    voice = guild.add_channel("Talk", "voice")
    with pytest.raises(NotOfferedError):
        await ada.start_thread(voice, "there")


@pytest.mark.parametrize("values", [[], ["a", "b", "c"], ["z"], ["a", "a"]])
async def test_a_menu_gives_what_it_offers(
    rest: Rest, channel: Channel, ada: Person, values: list[str]
) -> None:
    message = await _with_menus(rest, channel)
    with pytest.raises(NotOfferedError):
        await ada.select(message, "menu", values)


async def test_a_picker_says_whom_it_names(rest: Rest, channel: Channel, ada: Person) -> None:
    message = await _with_menus(rest, channel)
    used = await ada.select(message, "who", [str(ada.id)])
    assert set(used.data["resolved"]) == {"users", "members"}
    used = await ada.select(message, "where", [str(channel.id)])
    assert used.data["resolved"]["channels"][str(channel.id)]["name"] == "general"
    for wanted, value in (("who", str(channel.id)), ("where", "x"), ("where", "9" * 99)):
        with pytest.raises(NotOfferedError):
            await ada.select(message, wanted, [value])


async def test_options_name_what_there_is(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    kinds = {"who": 6, "where": 7, "role": 8, "any": 9, "sure": 5}
    options = [{"name": name, "description": "x", "type": kind} for name, kind in kinds.items()]
    path = f"/applications/{discord.bot_user.id}/commands"
    await rest("POST", path, {"name": "refer", "description": "x", "options": options})
    for name in kinds:
        for value in ("", "x", "7", "٣", "9" * 30, str(2**63)):
            with pytest.raises(NotOfferedError):
                await ada.slash(channel, "refer", **{name: value})
    used = await ada.slash(channel, "refer", sure="false")
    assert used.data["options"][0]["value"] is False


async def test_who_watches_is_told_of_ephemeral_messages_and_the_bot_is_not(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    path = f"/applications/{discord.bot_user.id}/commands"
    await rest("POST", path, {"name": "ping", "description": "x"})
    told: list[Event] = []
    discord.world.subscribe(told.append)
    async with online(discord) as gateway:
        used = await ada.slash(channel, "ping")
        body = {"type": 4, "data": {"content": "pong", "flags": 64}}
        await rest("POST", f"/interactions/{used.id}/{used.token}/callback", body)
        hidden = used.message
        assert hidden is not None
        own = f"/webhooks/{discord.bot_user.id}/{used.token}/messages/@original"
        await rest("PATCH", own, {"content": "pong!"})
        await ada.delete(hidden)
        assert [type(each) for each in told if getattr(each, "message", None) is hidden] == [
            MessageCreated, MessageChanged, MessageDeleted,
        ]  # fmt: skip
        await ada.say(channel, "seen")
        assert (await gateway.event("INTERACTION_CREATE"))["id"] == str(used.id)
        assert (await gateway.receive())["d"]["content"] == "seen"
    discord.world.unsubscribe(told.append)
    count = len(told)
    await ada.say(channel, "unheard")
    assert len(told) == count


async def test_only_its_reader_dismisses_an_ephemeral_message(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    path = f"/applications/{discord.bot_user.id}/commands"
    await rest("POST", path, {"name": "ping", "description": "x"})
    used = await ada.slash(channel, "ping")
    body = {"type": 4, "data": {"content": "pong", "flags": 64}}
    await rest("POST", f"/interactions/{used.id}/{used.token}/callback", body)
    assert used.message is not None
    with pytest.raises(NotOfferedError):
        await discord.owner.delete(used.message)
    with pytest.raises(NotOfferedError):
        await ada.react(used.message, "👍")
    await ada.delete(used.message)
    assert ada.view(channel) == []


async def test_a_watcher_is_called_once_for_all_that_a_step_records(
    discord: DiscordSandbox, channel: Channel, ada: Person
) -> None:
    calls: list[int] = []

    def watch() -> None:
        calls.append(len(channel.messages))

    discord.world.changes.watch(watch)
    await ada.say(channel, "one")
    await ada.say(channel, "two")
    assert calls == []
    await asyncio.sleep(0)
    assert calls == [2]
    discord.world.changes.unwatch(watch)
    await ada.say(channel, "three")
    await asyncio.sleep(0)
    assert calls == [2]
