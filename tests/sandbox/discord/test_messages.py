"""Messages over REST: what is posted, and what is refused."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from sandbox.discord import Channel, DiscordSandbox, Guild, Person
from tests.sandbox.discord.clients import Rest


def _path(channel: Channel, message_id: object = None) -> str:
    tail = "" if message_id is None else f"/{message_id}"
    return f"/channels/{channel.id}/messages{tail}"


async def test_a_message_is_posted_and_read_back(rest: Rest, channel: Channel) -> None:
    posted = await rest("POST", _path(channel), {"content": "  hello  ", "nonce": "n1"})
    assert posted.status == 200
    assert posted.headers["Content-Type"] == "application/json"
    assert posted.headers["Via"]
    assert (posted.body["content"], posted.body["nonce"]) == ("hello", "n1")
    read = await rest("GET", _path(channel, posted.body["id"]))
    assert read.body == posted.body


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"content": "x" * 2001}, "content", "BASE_TYPE_MAX_LENGTH"),
        ({"content": "\N{GRINNING FACE}" * 1001}, "content", "BASE_TYPE_MAX_LENGTH"),
        ({"content": 7}, "content", "BASE_TYPE_BAD_TYPE"),
        ({"content": "x", "nonce": "n" * 26}, "nonce", "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": [{"title": "t" * 257}]}, "embeds.0.title", "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": [{"description": "d" * 4097}]}, "embeds.0.description", "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": [{"description": "d" * 3500}] * 2}, "embeds", "MAX_EMBED_SIZE_EXCEEDED"),
        ({"embeds": [{"title": "t"}] * 11}, "embeds", "BASE_TYPE_MAX_LENGTH"),
        ({"content": "x", "allowed_mentions": {"parse": ["me"]}},
         "allowed_mentions.parse.0", "BASE_TYPE_CHOICES"),
        ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}},
         "allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE"),
        ({"content": "x", "message_reference": {"message_id": "1"}},
         "message_reference", "REPLIES_UNKNOWN_MESSAGE"),
        ({"content": "x", "flags": 1 << 15}, "content",
         "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"),
    ],
)  # fmt: skip
async def test_a_bad_form_names_the_field(
    rest: Rest, channel: Channel, body: dict[str, Any], path: str, code: str
) -> None:
    refused = await rest("POST", _path(channel), body)
    assert (refused.status, refused.code) == (400, 50035)
    node = refused.body["errors"]
    for part in path.split("."):
        node = node[part]
    assert [error["code"] for error in node["_errors"]] == [code]
    assert not channel.messages


@pytest.mark.parametrize("body", [{}, {"content": ""}, {"content": " \n "}, {"embeds": []}])
async def test_nothing_to_see_is_refused(
    rest: Rest, channel: Channel, body: dict[str, Any]
) -> None:
    refused = await rest("POST", _path(channel), body)
    assert (refused.status, refused.code) == (400, 50006)


async def test_exactly_2000_characters_pass(rest: Rest, channel: Channel) -> None:
    assert (await rest("POST", _path(channel), {"content": "x" * 2000})).status == 200


async def test_an_enforced_nonce_makes_one_message(rest: Rest, channel: Channel) -> None:
    body = {"content": "once", "nonce": "q-1", "enforce_nonce": True}
    first = await rest("POST", _path(channel), body)
    second = await rest("POST", _path(channel), body | {"content": "twice"})
    assert second.body["id"] == first.body["id"]
    assert second.body["content"] == "once"
    assert len(channel.messages) == 1


async def test_a_nonce_that_is_not_enforced_makes_two(rest: Rest, channel: Channel) -> None:
    for _ in range(2):
        await rest("POST", _path(channel), {"content": "x", "nonce": "q-1"})
    assert len(channel.messages) == 2


async def test_the_nonce_of_a_deleted_message_is_unknown(rest: Rest, channel: Channel) -> None:
    body = {"content": "once", "nonce": "q-1", "enforce_nonce": True}
    first = await rest("POST", _path(channel), body)
    assert (await rest("DELETE", _path(channel, first.body["id"]))).status == 204
    again = await rest("POST", _path(channel), body)
    assert (again.status, again.code) == (404, 10008)


async def test_a_nonce_is_forgotten_after_minutes() -> None:
    clock = [1_800_000_000.0]
    async with DiscordSandbox(now=lambda: clock[0], buckets=False) as discord:
        channel = discord.add_guild("g").add_channel("c")
        async with aiohttp.ClientSession() as session:
            rest = Rest(session, discord)
            body = {"content": "x", "nonce": "n", "enforce_nonce": True}
            await rest("POST", _path(channel), body)
            clock[0] += 301
            await rest("POST", _path(channel), body)
        assert len(channel.messages) == 2


async def test_edits_replace_what_they_name(rest: Rest, channel: Channel) -> None:
    posted = await rest("POST", _path(channel), {"content": "see https://example.org", "flags": 4})
    message = channel.messages[int(posted.body["id"])]
    kept = await rest("PATCH", _path(channel, message.id), {"content": "see https://example.com"})
    assert kept.body["flags"] == 4
    assert kept.body["edited_timestamp"] is not None
    assert message.previews == []
    await rest("PATCH", _path(channel, message.id), {"content": "http://a.example", "flags": 0})
    assert [url for _, url in message.previews] == ["http://a.example"]
    assert [version.content for version in message.versions] == [
        "see https://example.org",
        "see https://example.com",
        "http://a.example",
    ]


@pytest.mark.parametrize(
    ("content", "urls"),
    [
        ("https://a.example/x?y", ["https://a.example/x?y"]),
        ("<https://a.example>", []),
        ("`https://a.example`", []),
        ("```\nhttps://a.example\n```", []),
        ("[b](https://a.example/)", ["https://a.example/)"]),
        ("ftp://a.example", []),
    ],
)
async def test_links_that_would_unfurl_are_noted(
    rest: Rest, channel: Channel, content: str, urls: list[str]
) -> None:
    posted = await rest("POST", _path(channel), {"content": content})
    message = channel.messages[int(posted.body["id"])]
    assert [url for _, url in message.previews] == urls


async def test_others_messages_can_not_be_edited(rest: Rest, channel: Channel, ada: Person) -> None:
    message = await ada.say(channel, "mine")
    refused = await rest("PATCH", _path(channel, message.id), {"content": "yours"})
    assert (refused.status, refused.code) == (403, 50005)
    refused = await rest("DELETE", _path(channel, message.id))
    assert (refused.status, refused.code) == (403, 50013)


async def test_edits_of_old_messages_are_limited_on_demand(
    discord: DiscordSandbox, rest: Rest, channel: Channel
) -> None:
    posted = await rest("POST", _path(channel), {"content": "old"})
    channel.messages[int(posted.body["id"])].created_unix_s -= 3700
    assert (await rest("PATCH", _path(channel, posted.body["id"]), {"content": "a"})).status == 200
    discord.options.refuse_old_edits = True
    refused = await rest("PATCH", _path(channel, posted.body["id"]), {"content": "b"})
    assert (refused.status, refused.code) == (429, 30046)


async def test_history_comes_newest_first_and_by_anchor(
    rest: Rest, channel: Channel, ada: Person
) -> None:
    ids = [str((await ada.say(channel, str(n))).id) for n in range(6)]

    async def listed(query: str) -> list[str]:
        answer = await rest("GET", _path(channel) + query)
        return [message["id"] for message in answer.body]

    assert await listed("") == ids[::-1]
    assert await listed("?limit=2") == [ids[5], ids[4]]
    assert await listed(f"?before={ids[3]}&limit=2") == [ids[2], ids[1]]
    assert await listed(f"?after={ids[0]}&limit=2") == [ids[2], ids[1]]
    assert await listed(f"?around={ids[3]}&limit=3") == [ids[4], ids[3], ids[2]]


@pytest.mark.parametrize("limit", ["0", "101", "x", "-1"])
async def test_history_takes_1_to_100(rest: Rest, channel: Channel, limit: str) -> None:
    refused = await rest("GET", _path(channel) + f"?limit={limit}")
    assert (refused.status, refused.code) == (400, 50035)


@pytest.mark.parametrize(
    ("rules", "users", "everyone"),
    [
        (None, {"ada"}, True),
        ({"parse": []}, set(), False),
        ({"parse": ["users"]}, {"ada"}, False),
        ({"parse": ["everyone"]}, set(), True),
    ],
)
async def test_pings_follow_allowed_mentions(
    rest: Rest,
    channel: Channel,
    ada: Person,
    rules: dict[str, Any] | None,
    users: set[str],
    everyone: bool,
) -> None:
    body: dict[str, Any] = {"content": f"{ada.tag} @everyone"}
    if rules is not None:
        body["allowed_mentions"] = rules
    posted = await rest("POST", _path(channel), body)
    pings = channel.messages[int(posted.body["id"])].pings
    assert pings.users == ({ada.id} if users else set())
    assert pings.everyone is everyone


async def test_a_reply_pings_unless_told_not_to(rest: Rest, channel: Channel, ada: Person) -> None:
    asked = await ada.say(channel, "hi")
    body = {"content": "yes", "message_reference": {"message_id": str(asked.id)}}
    loud = await rest("POST", _path(channel), body)
    quiet = await rest(
        "POST", _path(channel), body | {"allowed_mentions": {"parse": [], "replied_user": False}}
    )
    assert channel.messages[int(loud.body["id"])].pings.users == {ada.id}
    assert not channel.messages[int(quiet.body["id"])].pings
    assert quiet.body["referenced_message"]["id"] == str(asked.id)
    assert quiet.body["type"] == 19


async def test_a_reply_to_a_deleted_message_fails_or_stands_alone(
    rest: Rest, channel: Channel, ada: Person
) -> None:
    asked = await ada.say(channel, "hi")
    await ada.delete(asked)
    reference = {"message_id": str(asked.id)}
    refused = await rest("POST", _path(channel), {"content": "x", "message_reference": reference})
    assert refused.code == 50035
    reference["fail_if_not_exists"] = False  # type: ignore[assignment]
    posted = await rest("POST", _path(channel), {"content": "x", "message_reference": reference})
    assert (posted.status, posted.body["type"]) == (200, 0)


async def test_files_are_served_again(
    discord: DiscordSandbox, rest: Rest, channel: Channel
) -> None:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("payload_json", '{"content": "", "attachments": [{"id": 0}]}')
    form.add_field("files[0]", b"line\n", filename="a.txt", content_type="text/plain")
    posted = await rest("POST", _path(channel), data=form)
    [attachment] = posted.body["attachments"]
    assert (attachment["filename"], attachment["size"]) == ("a.txt", 5)
    async with aiohttp.ClientSession() as session, session.get(attachment["url"]) as response:
        assert await response.read() == b"line\n"
    assert discord.requests[-1].files == ("a.txt",)
    cleared = await rest(
        "PATCH", _path(channel, posted.body["id"]), {"content": "x", "attachments": []}
    )
    assert cleared.body["attachments"] == []


async def test_many_messages_go_at_once(
    rest: Rest, discord: DiscordSandbox, guild: Guild, channel: Channel
) -> None:
    guild.set_roles(discord.bot_user, [guild.add_role("m", "manage_messages")])
    ids = [(await rest("POST", _path(channel), {"content": "x"})).body["id"] for _ in range(3)]
    path = _path(channel, "bulk-delete")
    assert (await rest("POST", path, {"messages": ids[:1]})).code == 50016
    assert (await rest("POST", path, {"messages": ids})).status == 204
    assert not channel.messages


async def test_reactions_come_and_go(rest: Rest, channel: Channel, ada: Person) -> None:
    message = await ada.say(channel, "hi")
    path = _path(channel, message.id) + "/reactions/%F0%9F%91%8D/@me"
    assert (await rest("PUT", path)).status == 204
    assert list(message.reactions) == ["\N{THUMBS UP SIGN}"]
    assert (await rest("DELETE", path)).status == 204
    assert not message.reactions
    refused = await rest("PUT", _path(channel, message.id) + "/reactions/abc/@me")
    assert refused.code == 10014
