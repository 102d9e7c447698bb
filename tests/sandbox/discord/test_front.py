"""The REST front: tokens, routes, limits, faults, records."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.discord.faults import When
from tests.sandbox.discord.clients import Rest, rest_of

SAY = {"content": "x"}


@pytest.mark.parametrize("token", ["Bot wrong", "Bearer x", "x"])
async def test_only_the_bots_token_is_let_in(
    discord: DiscordSandbox, rest: Rest, token: str
) -> None:
    refused = await rest("GET", "/users/@me", token=token)
    assert refused.status == 401
    assert refused.body == {"message": "401: Unauthorized", "code": 0}
    assert (await rest("GET", "/users/@me", token=discord.token)).status == 401
    assert (await rest("GET", "/users/@me")).body["bot"] is True


async def test_unknown_routes_and_methods_are_remembered(
    discord: DiscordSandbox, rest: Rest
) -> None:
    assert (await rest("GET", "/nothing/here")).body == {"message": "404: Not Found", "code": 0}
    assert (await rest("PUT", "/users/@me", {})).status == 405
    assert discord.unexpected == ["GET /nothing/here", "PUT /users/@me"]


async def test_broken_json_and_bad_ids_are_refused(rest: Rest, channel: Channel) -> None:
    assert (await rest("POST", f"/channels/{channel.id}/messages", b"{")).code == 50109
    assert (await rest("POST", f"/channels/{channel.id}/messages", [1])).code == 50035
    assert (await rest("GET", "/channels/abc")).code == 50035
    assert (await rest("GET", "/channels/1")).code == 10003


async def test_every_request_is_recorded(
    discord: DiscordSandbox, rest: Rest, channel: Channel
) -> None:
    await rest("POST", f"/channels/{channel.id}/messages", SAY)
    await rest("POST", f"/channels/{channel.id}/messages", {})
    first, second = discord.requests
    assert (first.method, first.route) == ("POST", "/channels/{channel_id}/messages")
    assert (first.path, first.body) == (f"/channels/{channel.id}/messages", SAY)
    assert (first.status, second.status, second.code) == (200, 400, 50006)
    assert first.answered_at is not None
    assert first.at <= first.answered_at <= second.at


async def test_posts_and_edits_share_five_in_five_seconds() -> None:
    clock = [100.0]
    async with DiscordSandbox(monotonic=lambda: clock[0]) as discord, rest_of(discord) as rest:
        channel = discord.add_guild("g").add_channel("c")
        path = f"/channels/{channel.id}/messages"
        posted = [await rest("POST", path, SAY) for _ in range(3)]
        edited = [await rest("PATCH", f"{path}/{posted[0].body['id']}", SAY) for _ in range(2)]
        left = [answer.headers["X-RateLimit-Remaining"] for answer in posted + edited]
        assert left == ["4", "3", "2", "1", "0"]
        buckets = {answer.headers["X-RateLimit-Bucket"] for answer in posted + edited}
        assert len(buckets) == 1
        clock[0] += 1.5
        refused = await rest("POST", path, SAY)
        assert refused.status == 429
        assert refused.body == {
            "message": "You are being rate limited.",
            "code": 0,
            "retry_after": 3.5,
            "global": False,
        }
        assert refused.headers["Retry-After"] == "4"
        assert refused.headers["X-RateLimit-Scope"] == "user"
        assert refused.headers["X-RateLimit-Reset-After"] == "3.500"
        assert refused.headers["Via"]
        assert discord.buckets.hits == 1
        clock[0] += 3.5
        assert (await rest("POST", path, SAY)).status == 200


async def test_channels_have_buckets_of_their_own_and_edits_can_too() -> None:
    async with (
        DiscordSandbox(monotonic=lambda: 1.0, bucket_limits={"message_edit": (1, 5.0)}) as discord,
        rest_of(discord) as rest,
    ):
        guild = discord.add_guild("g")
        first, second = guild.add_channel("a"), guild.add_channel("b")
        last = await rest("POST", f"/channels/{first.id}/messages", SAY)
        for _ in range(4):
            await rest("POST", f"/channels/{first.id}/messages", SAY)
        assert (await rest("POST", f"/channels/{second.id}/messages", SAY)).status == 200
        path = f"/channels/{first.id}/messages/{last.body['id']}"
        assert [(await rest("PATCH", path, SAY)).status for _ in range(2)] == [200, 429]


async def test_a_limit_for_an_unknown_class_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="mesage_write"):
        DiscordSandbox(bucket_limits={"mesage_write": (1, 1.0)})


async def test_the_global_limit_spans_routes() -> None:
    async with (
        DiscordSandbox(monotonic=lambda: 1.0, global_limit=(2, 1.0)) as discord,
        rest_of(discord) as rest,
    ):
        statuses = [(await rest("GET", path)).status for path in ("/gateway/bot", "/users/@me")]
        refused = await rest("GET", "/applications/@me")
        assert (statuses, refused.status) == ([200, 200], 429)
        assert refused.body["global"] is True
        assert refused.headers["X-RateLimit-Scope"] == "global"


async def test_a_status_is_played_so_many_times(
    discord: DiscordSandbox, rest: Rest, channel: Channel
) -> None:
    path = f"/channels/{channel.id}/messages"
    discord.faults.fail("POST", "/channels/{channel_id}/messages", status=503, times=2)
    statuses = [(await rest("POST", path, SAY)).status for _ in range(3)]
    assert statuses == [503, 503, 200]
    assert len(channel.messages) == 1
    assert [each.fault for each in discord.requests] == ["503 before", "503 before", None]


@pytest.mark.parametrize(("after", "posted"), [(False, 0), (True, 1)])
async def test_a_connection_breaks_before_or_after_the_commit(
    discord: DiscordSandbox, rest: Rest, channel: Channel, after: bool, posted: int
) -> None:
    discord.faults.reset("POST", after_commit=after)
    with pytest.raises(aiohttp.ClientConnectionError):
        await rest("POST", f"/channels/{channel.id}/messages", SAY)
    assert len(channel.messages) == posted
    assert discord.requests[-1].answered_at is None


async def test_a_lost_answer_is_never_given(
    discord: DiscordSandbox, rest: Rest, channel: Channel
) -> None:
    discord.faults.hang("POST", after_commit=True)
    posting = asyncio.create_task(rest("POST", f"/channels/{channel.id}/messages", SAY))
    await discord.wait_until(lambda: len(channel.messages) == 1)
    done, _ = await asyncio.wait({posting}, timeout=0.05)
    assert not done
    posting.cancel()


@pytest.mark.parametrize(("when", "read"), [("before", "after"), ("after", "before")])
async def test_a_late_answer_says_what_was_there_when_discord_acted(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person, when: When, read: str
) -> None:
    said = await ada.say(channel, "before")
    slow = discord.faults.hold("GET", f"/messages/{said.id}", when=when)
    reading = asyncio.create_task(rest("GET", f"/channels/{channel.id}/messages/{said.id}"))
    await discord.wait_until(lambda: slow.played)
    await asyncio.sleep(0)
    await ada.edit(said, "after")
    slow.release()
    assert (await reading).body["content"] == read


async def test_codes_are_played_with_their_status(
    discord: DiscordSandbox, rest: Rest, channel: Channel
) -> None:
    path = f"/channels/{channel.id}/messages"
    for code, status in {10003: 404, 50013: 403, 200000: 400, 30046: 429, 50035: 400}.items():
        discord.faults.refuse(code, "POST", "/channels/{channel_id}/messages")
        answer = await rest("POST", path, SAY)
        assert (answer.status, answer.code) == (status, code)
        assert ("errors" in answer.body) is (code == 50035)


async def test_cloudflare_speaks_html_without_via(discord: DiscordSandbox, rest: Rest) -> None:
    discord.faults.cloudflare()
    answer = await rest("GET", "/users/@me")
    assert answer.status == 429
    assert "<html>" in answer.body
    assert "Via" not in answer.headers
    discord.faults.rate_limit(retry_after_s=0.5, scope="shared")
    answer = await rest("GET", "/users/@me")
    assert (answer.body["retry_after"], answer.headers["X-RateLimit-Scope"]) == (0.5, "shared")


async def test_the_world_outlives_a_stop_on_the_same_port(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    await ada.say(channel, "before")
    base = discord.api_base
    await discord.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await rest("GET", "/users/@me")
    await discord.start()
    assert discord.api_base == base
    [message] = (await rest("GET", f"/channels/{channel.id}/messages")).body
    assert message["content"] == "before"


async def test_forgetting_keeps_people_and_places(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    await ada.say(channel, "x")
    await rest("GET", f"/channels/{channel.id}")
    discord.forget()
    assert not discord.requests
    assert (await rest("GET", f"/channels/{channel.id}/messages")).body == []
