"""Who may do what where, by roles, overwrites and threads."""

from __future__ import annotations

import pytest

from sandbox.discord import Channel, DiscordSandbox, Guild, NotOfferedError, Person
from tests.sandbox.discord.clients import Rest

SAY = {"content": "x"}


async def test_a_channel_out_of_sight_is_missing_access(rest: Rest, channel: Channel) -> None:
    channel.overwrite(channel.guild.everyone, deny="view_channel")  # type: ignore[union-attr]
    for method, tail in (
        ("GET", ""),
        ("GET", "/messages"),
        ("POST", "/messages"),
        ("POST", "/typing"),
    ):
        answer = await rest(
            method, f"/channels/{channel.id}{tail}", SAY if method == "POST" else None
        )
        assert (answer.status, answer.code) == (403, 50001)


@pytest.mark.parametrize(
    ("denied", "method", "tail", "code"),
    [
        ("send_messages", "POST", "/messages", 50013),
        ("send_messages", "POST", "/typing", 50013),
        ("read_message_history", "GET", "/messages/{asked}", 50001),
        ("add_reactions", "PUT", "/messages/{asked}/reactions/%F0%9F%91%8D/@me", 50013),
        ("create_public_threads", "POST", "/messages/{asked}/threads", 50013),
    ],
)
async def test_a_missing_permission_is_refused(
    rest: Rest, channel: Channel, ada: Person, denied: str, method: str, tail: str, code: int
) -> None:
    asked = await ada.say(channel, "hi")
    assert channel.guild is not None
    channel.overwrite(channel.guild.everyone, deny=denied)
    body = SAY | {"name": "t"} if method == "POST" else None
    answer = await rest(method, f"/channels/{channel.id}{tail.format(asked=asked.id)}", body)
    assert (answer.status, answer.code) == (403, code)


async def test_without_history_there_is_none_and_no_reply(
    rest: Rest, guild: Guild, channel: Channel, ada: Person
) -> None:
    asked = await ada.say(channel, "hi")
    channel.overwrite(guild.everyone, deny="read_message_history")
    assert (await rest("GET", f"/channels/{channel.id}/messages")).body == []
    body = SAY | {"message_reference": {"message_id": str(asked.id)}}
    refused = await rest("POST", f"/channels/{channel.id}/messages", body)
    assert (refused.status, refused.code) == (400, 160002)


async def test_overwrites_stack_from_everyone_over_roles_to_the_member(
    discord: DiscordSandbox, rest: Rest, guild: Guild, channel: Channel
) -> None:
    path = f"/channels/{channel.id}/messages"
    bot = discord.bot_user
    own_role = guild.roles[guild.members[bot.id].role_ids[0]]
    channel.overwrite(guild.everyone, deny="send_messages")
    assert (await rest("POST", path, SAY)).code == 50013
    channel.overwrite(own_role, allow="send_messages")
    assert (await rest("POST", path, SAY)).status == 200
    channel.overwrite(bot, deny="send_messages", is_member=True)
    assert (await rest("POST", path, SAY)).code == 50013


async def test_administrators_pass_every_overwrite(discord: DiscordSandbox, rest: Rest) -> None:
    guild = discord.add_guild("Office", bot_permissions="administrator")
    channel = guild.add_channel("c", overwrites={0: (None, None)})
    channel.overwrite(guild.everyone, deny=["view_channel", "send_messages"])
    assert (await rest("POST", f"/channels/{channel.id}/messages", SAY)).status == 200


async def test_threads_have_a_send_bit_of_their_own(
    rest: Rest, guild: Guild, channel: Channel
) -> None:
    thread = channel.add_thread("t")
    channel.overwrite(guild.everyone, deny="send_messages")
    assert (await rest("POST", f"/channels/{thread.id}/messages", SAY)).status == 200
    channel.overwrite(guild.everyone, deny="send_messages_in_threads")
    assert (await rest("POST", f"/channels/{thread.id}/messages", SAY)).code == 50013


async def test_private_threads_are_for_their_members(
    discord: DiscordSandbox, rest: Rest, channel: Channel
) -> None:
    thread = channel.add_thread("t", private=True)
    assert (await rest("GET", f"/channels/{thread.id}")).code == 50001
    thread.thread_member_ids.add(discord.bot_user.id)
    assert (await rest("GET", f"/channels/{thread.id}")).status == 200


async def test_archived_threads_open_by_talk_and_locked_ones_do_not(
    rest: Rest, channel: Channel
) -> None:
    thread = channel.add_thread("t")
    path = f"/channels/{thread.id}/messages"
    posted = await rest("POST", path, SAY)
    thread.set_archived()
    assert (await rest("PATCH", f"{path}/{posted.body['id']}", SAY)).code == 50083
    assert (await rest("POST", path, SAY)).status == 200
    assert not thread.archived
    thread.set_archived(locked=True)
    one = f"{path}/{posted.body['id']}"
    assert (await rest("POST", path, SAY)).code == 160005
    assert (await rest("DELETE", one)).code == 160005
    thread.set_archived(False)
    assert (await rest("PATCH", one, SAY)).code == 160005
    assert (await rest("DELETE", one)).status == 204


async def test_what_was_said_in_voice_channels_takes_connect_to_read(
    rest: Rest, guild: Guild, ada: Person
) -> None:
    room = guild.add_channel("room", "voice", overwrites={guild.id: (None, "connect")})
    said = await ada.say(room, "hi")
    path = f"/channels/{room.id}/messages"
    assert (await rest("GET", path)).code == 50001
    assert (await rest("GET", f"{path}/{said.id}")).code == 50001
    assert (await rest("POST", path, SAY)).status == 200


async def test_nobody_who_blocks_the_bot_gets_its_reactions_or_messages(
    rest: Rest, channel: Channel, ada: Person
) -> None:
    said = await ada.say(channel, "hi")
    ada.user.blocks_bot = True
    reaction = f"/channels/{channel.id}/messages/{said.id}/reactions/%F0%9F%91%80/@me"
    assert (await rest("PUT", reaction)).code == 90001
    assert (await rest("POST", f"/channels/{ada.dm_channel.id}/messages", SAY)).code == 50007


async def test_slow_mode_holds_people_back_but_not_those_who_manage_the_channel_nor_bots(
    rest: Rest, guild: Guild, channel: Channel, discord: DiscordSandbox
) -> None:
    guest, keeper = discord.add_user("Guest"), discord.add_user("Keeper")
    guild.add_member(guest)
    guild.add_member(keeper, permissions="manage_messages")
    channel.slowmode_s = 30
    await guest.say(channel, "one")
    with pytest.raises(NotOfferedError, match="slow mode"):
        await guest.say(channel, "two")
    path = f"/channels/{channel.id}"
    for _ in range(2):
        await keeper.say(channel, "hi")
        assert (await rest("POST", f"{path}/messages", SAY)).status == 200
    assert (await rest("GET", path)).body["rate_limit_per_user"] == 30


async def test_what_is_gone_is_unknown(
    rest: Rest, discord: DiscordSandbox, guild: Guild, channel: Channel, ada: Person
) -> None:
    asked = await ada.say(channel, "hi")
    await ada.delete(asked)
    assert (await rest("GET", f"/channels/{channel.id}/messages/{asked.id}")).code == 10008
    channel.delete()
    assert (await rest("POST", f"/channels/{channel.id}/messages", SAY)).code == 10003
    guild.remove_member(discord.bot_user)
    assert (await rest("GET", f"/guilds/{guild.id}")).code == 10004


async def test_direct_messages_can_be_closed(
    discord: DiscordSandbox, rest: Rest, ada: Person
) -> None:
    opened = await rest("POST", "/users/@me/channels", {"recipient_id": str(ada.id)})
    assert opened.body["type"] == 1
    path = f"/channels/{opened.body['id']}/messages"
    assert (await rest("POST", path, SAY)).status == 200
    ada.user.accepts_dms = False
    refused = await rest("POST", path, SAY)
    assert (refused.status, refused.code) == (403, 50007)
    stranger = discord.add_user("Stranger")
    refused = await rest("POST", "/users/@me/channels", {"recipient_id": str(stranger.id)})
    assert refused.code == 50278


@pytest.mark.parametrize("kind", ["forum", "category"])
async def test_some_channels_hold_no_messages(rest: Rest, guild: Guild, kind: str) -> None:
    channel = guild.add_channel("x", kind)
    assert (await rest("POST", f"/channels/{channel.id}/messages", SAY)).code == 50008


async def test_members_and_roles_are_told(rest: Rest, guild: Guild, ada: Person) -> None:
    member = await rest("GET", f"/guilds/{guild.id}/members/{ada.id}")
    assert member.body["user"]["username"] == "ada"
    assert (await rest("GET", f"/guilds/{guild.id}/members/1")).code == 10013
    roles = await rest("GET", f"/guilds/{guild.id}/roles")
    assert roles.body[0]["name"] == "@everyone"


async def test_forum_posts_carry_their_first_message(rest: Rest, guild: Guild) -> None:
    forum = guild.add_channel("help", "forum")
    body = {"name": "title", "message": {"content": "body"}}
    made = await rest("POST", f"/channels/{forum.id}/threads", body)
    assert made.status == 201
    assert "message" not in made.body
    first = await rest("GET", f"/channels/{made.body['id']}/messages/{made.body['id']}")
    assert first.body["content"] == "body"
    missing = await rest("POST", f"/channels/{forum.id}/threads", {"name": "title"})
    assert missing.code == 50035


async def test_a_message_has_at_most_one_thread(
    rest: Rest, guild: Guild, channel: Channel, ada: Person
) -> None:
    message = await ada.say(channel, "hi")
    path = f"/channels/{channel.id}/messages/{message.id}/threads"
    made = await rest("POST", path, {"name": "t"})
    assert (made.status, made.body["id"]) == (201, str(message.id))
    assert (await rest("POST", path, {"name": "t"})).code == 160004
    active = await rest("GET", f"/guilds/{guild.id}/threads/active")
    assert [thread["id"] for thread in active.body["threads"]] == [made.body["id"]]
    [starter] = (await rest("GET", f"/channels/{made.body['id']}/messages")).body
    assert (starter["type"], starter["referenced_message"]["content"]) == (21, "hi")
