"""Channels, threads, guilds and accounts over REST; options that refer to things."""

from __future__ import annotations

import aiohttp
import pytest

from sandbox.discord import Channel, DiscordSandbox, Guild, NotOfferedError, Person
from sandbox.discord.values.permissions import EVERYONE
from tests.sandbox.discord.clients import NO_PRIVILEGED, Rest, gateway_of, online


async def test_channels_change_by_permission(
    discord: DiscordSandbox, rest: Rest, channel: Channel
) -> None:
    path = f"/channels/{channel.id}"
    assert (await rest("PATCH", path, {"name": "new"})).code == 50013
    assert (await rest("PATCH", path, {"name": ""})).code == 50035
    assert (await rest("DELETE", path)).code == 50013
    office = discord.add_guild("Office", bot_permissions=["manage_channels"])
    own = office.add_channel("a", topic="old")
    changed = await rest("PATCH", f"/channels/{own.id}", {"name": "b", "topic": "t"})
    assert (changed.body["name"], changed.body["topic"]) == ("b", "t")
    assert (await rest("DELETE", f"/channels/{own.id}")).body["id"] == str(own.id)
    assert (await rest("GET", f"/channels/{own.id}")).code == 10003


async def test_the_bots_own_threads_are_its_to_archive(
    discord: DiscordSandbox, rest: Rest, channel: Channel
) -> None:
    made = await rest("POST", f"/channels/{channel.id}/threads", {"name": "t", "type": 11})
    assert (made.status, made.body["owner_id"]) == (201, str(discord.bot_user.id))
    path = f"/channels/{made.body['id']}"
    assert (await rest("PATCH", path, {"locked": True})).code == 50013
    closed = await rest("PATCH", path, {"archived": True})
    assert closed.body["thread_metadata"]["archived"] is True
    assert (await rest("PATCH", path, {"name": "x"})).code == 50083
    assert (await rest("PUT", f"{path}/thread-members/@me")).code == 50083
    archived = await rest("GET", f"/channels/{channel.id}/threads/archived/public")
    assert [each["id"] for each in archived.body["threads"]] == [made.body["id"]]
    assert (await rest("PATCH", path, {"archived": False})).status == 200
    assert (await rest("DELETE", path)).code == 50013


async def test_threads_have_members(discord: DiscordSandbox, rest: Rest, channel: Channel) -> None:
    thread = channel.add_thread("t")
    path = f"/channels/{thread.id}/thread-members"
    assert (await rest("PUT", f"{path}/@me")).status == 204
    listed = {each["user_id"] for each in (await rest("GET", path)).body}
    assert listed == {str(discord.owner.id), str(discord.bot_user.id)}
    assert (await rest("DELETE", f"{path}/@me")).status == 204
    assert (await rest("PUT", f"/channels/{channel.id}/thread-members/@me")).code == 50024


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("text", {"name": ""}, 50035),
        ("text", {"name": "t", "auto_archive_duration": 5}, 50035),
        ("text", {"name": "t", "type": 0}, 50024),
        ("voice", {"name": "t"}, 50024),
        ("forum", {"name": "t", "message": {"content": ""}}, 50006),
    ],
)
async def test_threads_have_a_form(
    rest: Rest, guild: Guild, kind: str, body: dict[str, object], code: int
) -> None:
    channel = guild.add_channel("c", kind)
    assert (await rest("POST", f"/channels/{channel.id}/threads", body)).code == code


async def test_guilds_and_accounts_are_told(
    discord: DiscordSandbox, rest: Rest, guild: Guild, channel: Channel, ada: Person
) -> None:
    told = (await rest("GET", f"/guilds/{guild.id}?with_counts=true")).body
    assert (told["name"], told["approximate_member_count"]) == ("Home", 3)
    listed = (await rest("GET", f"/guilds/{guild.id}/channels")).body
    assert [each["id"] for each in listed] == [str(channel.id)]
    assert [each["name"] for each in (await rest("GET", "/users/@me/guilds")).body] == ["Home"]
    assert (await rest("GET", f"/users/{ada.id}")).body["global_name"] == "Ada"
    assert (await rest("GET", "/users/1")).code == 10013
    members = (await rest("GET", f"/guilds/{guild.id}/members?limit=10")).body
    assert len(members) == 3
    discord.world.portal_intents = 0
    assert (await rest("GET", f"/guilds/{guild.id}/members?limit=10")).code == 50001
    owner = (await rest("GET", "/oauth2/applications/@me")).body["owner"]
    assert owner["id"] == str(discord.owner.id)
    assert (await rest("DELETE", f"/users/@me/guilds/{guild.id}")).status == 204
    assert (await rest("GET", "/users/@me/guilds")).body == []


async def test_the_account_can_be_renamed(discord: DiscordSandbox, rest: Rest) -> None:
    assert (await rest("PATCH", "/users/@me", {"username": "x"})).code == 50035
    await rest("PATCH", "/users/@me", {"username": "Bot"})
    assert discord.bot_user.username == "Bot"


async def test_members_come_in_chunks_on_request(
    discord: DiscordSandbox, guild: Guild, ada: Person
) -> None:
    async with online(discord) as gateway:
        await gateway.send(8, {"guild_id": str(guild.id), "query": "ad", "limit": 5, "nonce": "n"})
        chunk = await gateway.event("GUILD_MEMBERS_CHUNK")
        assert [each["user"]["id"] for each in chunk["members"]] == [str(ada.id)]
        assert chunk["nonce"] == "n"
        await gateway.send(8, {"guild_id": "x"})
        assert await gateway.close_code() == 4002
    async with online(discord, NO_PRIVILEGED) as gateway:
        await gateway.send(8, {"guild_id": str(guild.id), "query": "", "limit": 0})
        assert await gateway.close_code() == 4002


async def test_presence_is_recorded(discord: DiscordSandbox) -> None:
    async with online(discord) as gateway:
        await gateway.send(3, {"status": "idle", "activities": [], "since": None, "afk": False})
        await discord.wait_until(lambda: discord.presences)
        assert discord.presences[-1][1]["status"] == "idle"
        await gateway.send(3, {"status": "sleepy"})
        assert await gateway.close_code() == 4002
    async with gateway_of(discord) as gateway:
        await gateway.identify(0, presence={"status": "dnd"})
        await gateway.event("READY")
        assert discord.presences[-1][1]["status"] == "dnd"


async def test_others_reactions_take_manage_messages(
    rest: Rest, discord: DiscordSandbox, guild: Guild, channel: Channel, ada: Person
) -> None:
    message = await ada.say(channel, "x")
    await ada.react(message, "\N{EYES}")
    path = f"/channels/{channel.id}/messages/{message.id}/reactions/%F0%9F%91%80"
    assert [each["id"] for each in (await rest("GET", path)).body] == [str(ada.id)]
    assert (await rest("DELETE", f"{path}/{ada.id}")).code == 50013
    role = guild.add_role("m", "manage_messages")
    guild.set_roles(discord.bot_user, [role])
    assert (await rest("DELETE", f"{path}/{ada.id}")).status == 204
    assert not message.reactions
    flags = await rest("PATCH", f"/channels/{channel.id}/messages/{message.id}", {"flags": 4})
    assert (flags.body["flags"], flags.body["edited_timestamp"]) == (4, None)


async def test_a_deleted_role_is_told_of_and_taken_from_members_and_channels(
    discord: DiscordSandbox, guild: Guild, channel: Channel, ada: Person
) -> None:
    role = guild.add_role("keepers")
    guild.set_roles(ada, [role])
    channel.overwrite(role, deny="send_messages")
    async with online(discord) as gateway:
        guild.delete_role(role)
        told = await gateway.event("GUILD_ROLE_DELETE")
    assert told == {"guild_id": str(guild.id), "role_id": str(role.id)}
    assert guild.members[ada.id].role_ids == []
    assert role.id not in channel.overwrites
    for kept in (role, guild.everyone, guild.bot_role):
        with pytest.raises(ValueError, match="deletes no such role"):
            guild.delete_role(kept)


async def test_open_threads_are_told_of_once_a_channel_is_seen_and_gone_with_it(
    discord: DiscordSandbox, guild: Guild, channel: Channel
) -> None:
    channel.overwrite(guild.everyone, deny="view_channel")
    thread = channel.add_thread("plans")
    async with online(discord) as gateway:
        channel.overwrite(guild.everyone)
        told = await gateway.event("THREAD_LIST_SYNC")
        assert told["channel_ids"] == [str(channel.id)]
        assert [each["id"] for each in told["threads"]] == [str(thread.id)]
        guild.set_permissions(guild.everyone, 0)
        guild.set_permissions(guild.everyone, EVERYONE)
        assert (await gateway.event("THREAD_LIST_SYNC"))["channel_ids"] == [str(channel.id)]
        channel.delete()
        event = await gateway.receive()
        assert (event["t"], event["d"]["id"]) == ("CHANNEL_DELETE", str(channel.id))


async def test_an_outage_takes_a_guild_away_for_a_while_and_a_removed_bot_loses_its_role(
    discord: DiscordSandbox, rest: Rest, guild: Guild, channel: Channel, ada: Person
) -> None:
    async with online(discord) as gateway:
        guild.set_outage(True)
        assert (await gateway.event("GUILD_DELETE"))["unavailable"] is True
        await ada.say(channel, "unheard")
        assert (await rest("GET", f"/channels/{channel.id}")).status == 503
        guild.set_outage(False)
        assert (await gateway.event("GUILD_CREATE"))["unavailable"] is False
        role = guild.bot_role
        guild.remove_member(discord.bot_user)
        assert "unavailable" not in await gateway.event("GUILD_DELETE")
        guild.add_bot(discord.bot_user)
        assert "unavailable" not in await gateway.event("GUILD_CREATE")
    assert guild.bot_role is not role


async def test_options_refer_to_people_places_roles_and_files(
    discord: DiscordSandbox, rest: Rest, guild: Guild, channel: Channel, ada: Person
) -> None:
    kinds = {"who": 6, "where": 7, "role": 8, "any": 9, "file": 11, "count": 4, "sure": 5}
    options = [{"name": name, "description": "d", "type": kind} for name, kind in kinds.items()]
    command = {"name": "refer", "description": "d", "options": options}
    await rest("PUT", f"/applications/{discord.bot_user.id}/commands", [command])
    await discord.wait_command("refer")
    role = guild.add_role("r")
    used = await ada.slash(
        channel, "refer", who=ada, where=channel, role=role, any=role, file=("a.txt", b"abc"),
        count="3", sure=True,
    )  # fmt: skip
    values = {each["name"]: each["value"] for each in used.data["options"]}
    assert (values["who"], values["where"], values["any"]) == (
        str(ada.id),
        str(channel.id),
        str(role.id),
    )
    assert (values["count"], values["sure"]) == (3, True)
    resolved = used.data["resolved"]
    assert set(resolved) == {"users", "members", "channels", "roles", "attachments"}
    url = resolved["attachments"][values["file"]]["url"]
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            assert await response.read() == b"abc"
        async with session.get(f"{discord.world.origin}/elsewhere") as response:
            assert response.status == 404
    assert discord.unexpected == ["GET /elsewhere"]
    with pytest.raises(NotOfferedError):
        await ada.slash(ada.dm_channel, "refer", role=role)


async def test_a_menu_is_chosen_from(rest: Rest, channel: Channel, ada: Person) -> None:
    options = [{"label": name, "value": name} for name in ("a", "b")]
    menu = {"type": 3, "custom_id": "menu", "options": options}
    body = {"content": "x", "components": [{"type": 1, "components": [menu]}]}
    posted = await rest("POST", f"/channels/{channel.id}/messages", body)
    used = await ada.select(channel.messages[int(posted.body["id"])], "menu", ["b"])
    assert (used.data["component_type"], used.data["values"]) == (3, ["b"])


@pytest.mark.parametrize("body", [{"embeds": [5]}, {"embeds": 5}, {"components": [5]}, {"flags": "x"},
                                  {"allowed_mentions": 5}, {"attachments": [5]}])  # fmt: skip
async def test_bodies_of_odd_shape_are_refused(
    rest: Rest, channel: Channel, body: dict[str, object]
) -> None:
    refused = await rest("POST", f"/channels/{channel.id}/messages", {"content": "x"} | body)
    assert (refused.status, refused.code) == (400, 50035)


async def test_a_status_after_the_commit_hides_a_success(
    discord: DiscordSandbox, rest: Rest, channel: Channel
) -> None:
    discord.faults.fail("POST", status=502, when="after")
    body = {"content": "x", "nonce": "n", "enforce_nonce": True}
    path = f"/channels/{channel.id}/messages"
    assert [(await rest("POST", path, body)).status for _ in range(2)] == [502, 200]
    assert len(channel.messages) == 1
    discord.faults.fail(status=500, times=9)
    discord.faults.clear()
    assert (await rest("GET", "/users/@me")).status == 200


async def test_forwards_and_components_v2_over_rest(
    rest: Rest, channel: Channel, ada: Person
) -> None:
    said = await ada.say(channel, "original")
    reference = {"type": 1, "message_id": str(said.id), "channel_id": str(channel.id)}
    path = f"/channels/{channel.id}/messages"
    forward = await rest("POST", path, {"message_reference": reference})
    assert forward.body["message_snapshots"][0]["message"]["content"] == "original"
    refused = await rest("POST", path, {"message_reference": reference | {"message_id": "1"}})
    assert refused.code == 50035
    rest_of_it = await rest("GET", f"/channels/{channel.id}/pins")
    assert rest_of_it.body == []


async def test_the_bot_is_told_that_it_was_added_to_a_thread_and_removed_from_it(
    discord: DiscordSandbox, channel: Channel
) -> None:
    thread = channel.add_thread("secret", private=True)
    async with online(discord) as gateway:
        thread.add_thread_member(discord.bot_user)
        assert (await gateway.event("THREAD_CREATE"))["member"]["id"] == str(thread.id)
        told = await gateway.event("THREAD_MEMBERS_UPDATE")
        assert [each["user_id"] for each in told["added_members"]] == [str(discord.bot_user.id)]
        thread.remove_thread_member(discord.bot_user)
        told = await gateway.event("THREAD_MEMBERS_UPDATE")
        assert told["removed_member_ids"] == [str(discord.bot_user.id)]
