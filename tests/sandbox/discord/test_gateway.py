"""The gateway: who gets in, who gets what, and how it ends."""

from __future__ import annotations

import aiohttp
import pytest

from sandbox.discord import Channel, DiscordSandbox, Guild, NotOfferedError, Person
from sandbox.discord.gateway.connection import Connection
from sandbox.discord.gateway.sessions import Session
from tests.sandbox.discord.clients import (
    ALL_INTENTS,
    NO_PRIVILEGED,
    Rest,
    gateway_of,
    online,
)

MESSAGE_CONTENT = 1 << 15


async def test_ready_comes_before_the_guilds(
    discord: DiscordSandbox, guild: Guild, channel: Channel
) -> None:
    async with gateway_of(discord) as gateway:
        await gateway.identify()
        ready = await gateway.receive()
        assert (ready["t"], ready["s"], ready["op"]) == ("READY", 1, 0)
        assert ready["d"]["guilds"] == [{"id": str(guild.id), "unavailable": True}]
        assert ready["d"]["resume_gateway_url"] == discord.resume_gateway_url
        created = await gateway.receive()
        assert created["t"] == "GUILD_CREATE"
        assert [each["id"] for each in created["d"]["channels"]] == [str(channel.id)]
        assert discord.online


@pytest.mark.parametrize(
    ("op", "data", "code"),
    [
        (2, {"token": "wrong", "properties": {}, "intents": 0}, 4004),
        (2, {"token": None, "properties": {}, "intents": 1 << 40}, 4004),
        (2, "nonsense", 4002),
        (2, {"token": "x", "properties": {}, "intents": 0, "shard": [4, 4]}, 4010),
        (3, {"status": "online"}, 4003),
        (8, {"guild_id": "1"}, 4003),
        (42, None, 4001),
        (6, {"token": "wrong", "session_id": "x", "seq": 1}, 4004),
        (6, {"token": "wrong", "session_id": "x"}, 4002),
    ],
)
async def test_what_breaks_the_rules_is_closed(
    discord: DiscordSandbox, op: int, data: object, code: int
) -> None:
    async with gateway_of(discord) as gateway:
        await gateway.send(op, data)
        assert await gateway.close_code() == code
    assert discord.closes[-1].code == code
    assert discord.closes[-1].by_us


async def test_intents_are_checked(discord: DiscordSandbox) -> None:
    discord.world.portal_intents = 0
    for intents, code in ((1 << 30, 4013), (-1, 4013), (MESSAGE_CONTENT, 4014), (1 << 1, 4014)):
        async with gateway_of(discord) as gateway:
            await gateway.identify(intents)
            assert await gateway.close_code() == code
    async with online(discord, NO_PRIVILEGED):
        assert [each.accepted for each in discord.identifies] == [False] * 4 + [True]


async def test_frames_have_a_size_a_form_and_a_rate(discord: DiscordSandbox) -> None:
    async with gateway_of(discord) as gateway:
        await gateway.socket.send_str("not json")
        assert await gateway.close_code() == 4002
    async with gateway_of(discord) as gateway:
        await gateway.socket.send_str('{"op": 1, "d": "' + "x" * 4096 + '"}')
        assert await gateway.close_code() == 4002
    async with gateway_of(discord) as gateway:
        for _ in range(121):
            await gateway.send(1, None)
        assert await gateway.close_code() == 4008


async def test_identify_comes_once(discord: DiscordSandbox) -> None:
    async with online(discord) as gateway:
        await gateway.identify()
        assert await gateway.close_code() == 4005


async def test_heartbeats_are_acknowledged_until_told_otherwise(discord: DiscordSandbox) -> None:
    async with online(discord) as gateway:
        await gateway.send(1, None)
        assert (await gateway.receive())["op"] == 11
        discord.faults.ack_heartbeats = False
        await gateway.send(1, None)
        await discord.wait_until(lambda: discord.heartbeats == 2)
        discord.faults.reconnect()
        assert (await gateway.receive())["op"] == 7


async def test_silent_bots_are_closed() -> None:
    async with DiscordSandbox(heartbeat_interval_ms=10) as discord, online(discord) as gateway:
        discord.options.heartbeat_grace_s = 0.0
        assert await gateway.close_code() == 4009


async def test_what_was_missed_is_replayed(
    discord: DiscordSandbox, channel: Channel, ada: Person
) -> None:
    async with online(discord) as gateway:
        session = discord.gateway.sessions.all()[0]
        seq = session.seq
        discord.faults.close(4000)
        assert await gateway.close_code() == 4000
    await discord.wait_until(lambda: not discord.online)
    said = [await ada.say(channel, text) for text in ("one", "two")]
    async with gateway_of(discord) as gateway:
        resume = {"token": discord.token, "session_id": session.id, "seq": seq}
        await gateway.send(6, resume)
        ids = [(await gateway.event("MESSAGE_CREATE"))["id"] for _ in said]
        assert ids == [str(message.id) for message in said]
        assert (await gateway.receive())["t"] == "RESUMED"
    assert [record.accepted for record in discord.resumes] == [True]


@pytest.mark.parametrize("how", ["unknown", "refused", "too late", "gave up"])
async def test_what_can_not_be_resumed_is_invalid(how: str) -> None:
    clock = [100.0]
    async with DiscordSandbox(monotonic=lambda: clock[0]) as discord:
        async with online(discord) as gateway:
            session = discord.gateway.sessions.all()[0]
            if how == "gave up":
                await gateway.socket.close(code=1000)
            else:
                discord.faults.close(4000)
                await gateway.close_code()
        await discord.wait_until(lambda: not discord.online)
        clock[0] += 1000 if how == "too late" else 1
        discord.faults.refuse_resumes = how == "refused"
        session_id = "nonsense" if how == "unknown" else session.id
        async with gateway_of(discord) as gateway:
            await gateway.send(6, {"token": discord.token, "session_id": session_id, "seq": 1})
            frame = await gateway.receive()
            assert (frame["op"], frame["d"]) == (9, False)


async def test_a_sequence_from_the_future_is_refused(discord: DiscordSandbox) -> None:
    async with online(discord):
        session = discord.gateway.sessions.all()[0]
        async with gateway_of(discord) as second:
            await second.send(6, {"token": discord.token, "session_id": session.id, "seq": 99})
            assert await second.close_code() == 4007


@pytest.mark.parametrize("resumable", [True, False])
async def test_sessions_are_invalidated_on_demand(discord: DiscordSandbox, resumable: bool) -> None:
    async with online(discord) as gateway:
        discord.faults.invalid_session(resumable=resumable)
        frame = await gateway.receive()
        assert (frame["op"], frame["d"]) == (9, resumable)
        assert bool(discord.gateway.sessions) is resumable


def lose(session: Session) -> None:
    """Break a session's connection."""
    assert isinstance(session.link, Connection)
    session.link.drop()


async def test_lost_sessions_are_kept_in_number(discord: DiscordSandbox) -> None:
    for _ in range(6):
        async with online(discord):
            discord.faults.drop()
        await discord.wait_until(lambda: not discord.online)
    assert len(discord.gateway.sessions) == 4


async def test_a_session_that_was_lost_just_now_is_kept_however_old_it_is(
    discord: DiscordSandbox,
) -> None:
    async with online(discord):
        (oldest,) = discord.gateway.sessions.all()
        for _ in range(5):
            async with online(discord):
                lose(discord.gateway.sessions.all()[-1])
        lose(oldest)
        await discord.wait_until(lambda: not discord.online)
    async with online(discord):
        assert discord.gateway.sessions.resumable(oldest.id) is oldest


async def test_an_unfurled_link_is_no_edit(
    discord: DiscordSandbox, channel: Channel, ada: Person
) -> None:
    said = await ada.say(channel, "see https://example.org/x")
    async with online(discord) as gateway:
        discord.unfurl(said)
        event = await gateway.event("MESSAGE_UPDATE")
        assert event["embeds"][0]["url"] == "https://example.org/x"
        assert event["edited_timestamp"] is None
        await ada.suppress_embeds(said)
        assert (await gateway.event("MESSAGE_UPDATE"))["flags"] == 4


async def test_talk_while_offline_is_only_in_the_history(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    async with online(discord) as gateway:
        await gateway.socket.close(code=1000)
    await discord.wait_until(lambda: not discord.online)
    said = await ada.mention(channel, "anyone?")
    async with online(discord) as gateway:
        later = await ada.say(channel, "now")
        assert (await gateway.event("MESSAGE_CREATE"))["id"] == str(later.id)
    history = (await rest("GET", f"/channels/{channel.id}/messages")).body
    assert str(said.id) in [message["id"] for message in history]


async def test_content_is_emptied_without_the_intent(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    async with online(discord, ALL_INTENTS & ~MESSAGE_CONTENT) as gateway:
        plain = await ada.say(channel, "secret", files=[("a.txt", b"x")])
        event = await gateway.event("MESSAGE_CREATE")
        assert (event["content"], event["attachments"]) == ("", [])
        mention = await ada.mention(channel, "hi")
        assert (await gateway.event("MESSAGE_CREATE"))["content"] == mention.content
        await ada.dm("private")
        assert (await gateway.event("MESSAGE_CREATE"))["content"] == "private"
        await rest("POST", f"/channels/{channel.id}/messages", {"content": "mine"})
        assert (await gateway.event("MESSAGE_CREATE"))["content"] == "mine"
        await ada.reply(mention, "and?")
        nested = await gateway.event("MESSAGE_CREATE")
        assert (nested["content"], nested["referenced_message"]["content"]) == (
            "",
            mention.content,
        )
    read = await rest("GET", f"/channels/{channel.id}/messages/{plain.id}")
    assert read.body["content"] == "secret"
    discord.world.portal_intents = 0
    read = await rest("GET", f"/channels/{channel.id}/messages/{plain.id}")
    assert read.body["content"] == ""


async def test_intents_and_sight_filter_events(
    discord: DiscordSandbox, guild: Guild, channel: Channel, ada: Person
) -> None:
    hidden = guild.add_channel("hidden", overwrites={guild.id: (None, "view_channel")})
    async with online(discord, NO_PRIVILEGED & ~(1 << 11)) as gateway:
        await ada.type_in(channel)
        with pytest.raises(NotOfferedError):
            await ada.say(hidden, "x")
        guild.set_roles(ada, [guild.add_role("sees", "administrator")])
        await gateway.event("GUILD_ROLE_CREATE")
        await ada.say(hidden, "x")
        shown = await ada.say(channel, "y")
        frame = await gateway.receive()
        assert (frame["t"], frame["d"]["id"]) == ("MESSAGE_CREATE", str(shown.id))
        assert frame["d"]["member"]["roles"]
        await ada.react(shown, "\N{EYES}")
        assert (await gateway.event("MESSAGE_REACTION_ADD"))["message_id"] == str(shown.id)
        await ada.edit(shown, "z")
        assert (await gateway.event("MESSAGE_UPDATE"))["edited_timestamp"]
        await ada.delete(shown)
        assert (await gateway.event("MESSAGE_DELETE"))["channel_id"] == str(channel.id)


async def test_the_identify_budget_ends_in_a_reset_token(
    discord: DiscordSandbox, rest: Rest
) -> None:
    discord.set_identify_limit(remaining=1)
    async with online(discord):
        limit = (await rest("GET", "/gateway/bot")).body["session_start_limit"]
        assert (limit["total"], limit["remaining"], limit["max_concurrency"]) == (1000, 0, 1)
        assert 0 < limit["reset_after"] <= 86_400_000
    async with gateway_of(discord) as gateway:
        await gateway.identify()
        assert await gateway.close_code() == 4004
    assert (await rest("GET", "/users/@me")).status == 401


async def test_identifies_in_a_hurry_are_invalid_sessions() -> None:
    async with DiscordSandbox(identify_every_s=5.0, monotonic=lambda: 7.0) as discord:
        async with online(discord):
            pass
        async with gateway_of(discord) as gateway:
            await gateway.identify()
            assert (await gateway.receive())["op"] == 9


async def test_each_shard_gets_its_guilds_and_the_first_one_direct_messages(
    discord: DiscordSandbox, guild: Guild, channel: Channel, ada: Person
) -> None:
    number = (guild.id >> 22) % 2
    async with gateway_of(discord) as own, gateway_of(discord) as other:
        for gateway, shard in ((own, number), (other, 1 - number)):
            await gateway.identify(shard=[shard, 2])
            ready = (await gateway.receive())["d"]
            assert ready["shard"] == [shard, 2]
            assert bool(ready["guilds"]) == (gateway is own)
        await own.event("GUILD_CREATE")
        asked = await ada.say(channel, "Here?")
        assert (await own.receive())["d"]["id"] == str(asked.id)
        await ada.dm("There?")
        await (other if number else own).event("MESSAGE_CREATE")
        assert discord.online
    assert not discord.online


async def test_shards_of_one_key_identify_one_after_the_other() -> None:
    async with DiscordSandbox(identify_every_s=5.0, monotonic=lambda: 7.0) as discord:
        discord.options.max_concurrency = 2
        for shard, op in ((0, 0), (1, 0), (2, 9)):
            async with gateway_of(discord) as gateway:
                await gateway.identify(shard=[shard, 4])
                assert (await gateway.receive())["op"] == op


async def test_connections_are_refused_dropped_and_left_hanging(
    discord: DiscordSandbox, channel: Channel, ada: Person
) -> None:
    discord.faults.refuse_connections = -1
    with pytest.raises(aiohttp.ClientError):
        async with gateway_of(discord):
            pass
    discord.faults.refuse_connections = 0
    async with online(discord) as gateway:
        discord.faults.zombie()
        await ada.say(channel, "unheard")
        await gateway.send(1, None)
        with pytest.raises(TimeoutError):
            await gateway.socket.receive(timeout=0.05)
        discord.faults.drop()
        assert await gateway.close_code() == 1006
    accepted = [record.accepted for record in discord.connects]
    assert accepted[0] is False
    assert accepted[-1] is True
    discord.faults.silent_hello = True
    async with gateway_of(discord, hello=False) as gateway:
        with pytest.raises(TimeoutError):
            await gateway.socket.receive(timeout=0.05)
