"""Every object has the fields that Discord's API description names, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.discord import Channel, DiscordSandbox, Guild, Person
from sandbox.discord.values.components import walk
from tests.sandbox.discord.clients import Answer, Rest, online

BUTTON = {"type": 2, "style": 1, "label": "Stop", "custom_id": "stop"}
MENU = {
    "type": 3,
    "custom_id": "pick",
    "options": [{"label": "One", "value": "1"}],
}


async def _post(rest: Rest, channel: Channel, **body: object) -> dict[str, Any]:
    found: dict[str, Any] = (await rest("POST", f"/channels/{channel.id}/messages", body)).body
    return found


async def test_accounts_have_both_kinds_of_flags(
    discord: DiscordSandbox, rest: Rest, ada: Person
) -> None:
    mine = (await rest("GET", "/users/@me")).body
    theirs = (await rest("GET", f"/users/{ada.id}")).body
    for account in (mine, theirs):
        assert (account["flags"], account["public_flags"]) == (0, 0)
    assert mine["locale"] == "en-US"
    assert "locale" not in theirs
    async with online(discord) as gateway:
        said = await ada.say(ada.dm_channel, "hi")
        event = await gateway.event("MESSAGE_CREATE")
    assert (event["id"], event["author"]["flags"]) == (str(said.id), 0)


@pytest.mark.parametrize("path", ["/oauth2/applications/@me", "/applications/@me"])
async def test_the_application_is_whole(rest: Rest, path: str) -> None:
    told = (await rest("GET", path)).body
    assert told["type"] is None
    assert told["flags_new"] == str(told["flags"])
    assert told["explicit_content_filter"] == 0
    assert told["role_connections_verification_url"] is None
    assert "bot" in told["eligible_oauth2_scopes"]
    assert told["approximate_user_authorization_count"] == 0
    assert told["team"] is None
    assert "summary" not in told


async def test_a_teams_application_names_its_members_and_their_roles(
    discord: DiscordSandbox, rest: Rest, ada: Person
) -> None:
    invited = discord.add_user("Invited")
    discord.add_team((ada, "read_only", True), (invited, "developer", False))
    told = (await rest("GET", "/oauth2/applications/@me")).body
    team = told["team"]
    assert team["owner_user_id"] == str(discord.owner.id)
    assert told["owner"]["id"] == team["id"]
    assert told["owner"]["username"] == f"team{team['id']}"
    members = [
        (each["user"]["id"], each["role"], each["membership_state"]) for each in team["members"]
    ]
    assert members == [
        (str(discord.owner.id), "admin", 2),
        (str(ada.id), "read_only", 2),
        (str(invited.id), "developer", 1),
    ]


async def test_a_commands_permissions_are_text_and_its_lists_are_lists(
    discord: DiscordSandbox, rest: Rest
) -> None:
    given = {"name": "config", "description": "d", "default_member_permissions": 32}
    path = f"/applications/{discord.bot_user.id}/commands"
    made = (await rest("POST", path, given | {"integration_types": None})).body
    assert (made["default_member_permissions"], made["integration_types"]) == ("32", [0])
    free = (await rest("POST", path, {"name": "ask", "description": "d"})).body
    assert free["default_member_permissions"] is None


async def test_components_get_ids_and_what_they_leave_out(rest: Rest, channel: Channel) -> None:
    rows = [{"type": 1, "components": [BUTTON | {"id": 2}]}, {"type": 1, "components": [MENU]}]
    posted = await _post(rest, channel, content="x", components=rows)
    parts = list(walk(posted["components"]))
    assert [part["id"] for part in parts] == [1, 2, 3, 4]
    assert (parts[3]["min_values"], parts[3]["max_values"]) == (1, 1)
    path = f"/channels/{channel.id}/messages/{posted['id']}"
    edited = (await rest("PATCH", path, {"components": [rows[1]]})).body
    assert [part["id"] for part in walk(edited["components"])] == [1, 2]
    inside = {"type": 17, "components": [{"type": 14}, {"type": 10, "content": "x"}]}
    made = await _post(rest, channel, flags=1 << 15, components=[inside])
    box = made["components"][0]
    assert (box["accent_color"], box["spoiler"]) == (None, False)
    assert box["components"][0] == {"type": 14, "id": 2, "spacing": 1, "divider": True}


async def test_a_click_tells_the_components_id(rest: Rest, channel: Channel, ada: Person) -> None:
    posted = await _post(rest, channel, components=[{"type": 1, "components": [BUTTON]}])
    clicked = await ada.click(channel.messages[int(posted["id"])], "Stop")
    assert clicked.data["id"] == 2


async def test_embeds_have_a_type_and_their_fields_say_inline(rest: Rest, channel: Channel) -> None:
    fields = [{"name": "a", "value": "b"}, {"name": "c", "value": "d", "inline": True}]
    posted = await _post(rest, channel, embeds=[{"title": "t", "fields": fields}])
    assert posted["embeds"][0]["type"] == "rich"
    assert [each["inline"] for each in posted["embeds"][0]["fields"]] == [False, True]


async def test_only_events_name_the_member_of_a_mention(
    discord: DiscordSandbox, rest: Rest, channel: Channel, ada: Person
) -> None:
    async with online(discord) as gateway:
        asked = await ada.mention(channel, "hi")
        event = await gateway.event("MESSAGE_CREATE")
    told = (await rest("GET", f"/channels/{channel.id}/messages/{asked.id}")).body
    assert "member" in event["mentions"][0]
    assert "member" not in told["mentions"][0]


async def test_a_message_that_is_replied_to_comes_without_its_reactions(
    rest: Rest, channel: Channel
) -> None:
    asked = await _post(rest, channel, content="hi")
    await rest("PUT", f"/channels/{channel.id}/messages/{asked['id']}/reactions/%F0%9F%91%8D/@me")
    told = await rest("GET", f"/channels/{channel.id}/messages/{asked['id']}")
    assert told.body["reactions"][0]["count"] == 1
    reply = await _post(rest, channel, content="ho", message_reference={"message_id": asked["id"]})
    assert "reactions" not in reply["referenced_message"]


async def test_a_guild_is_whole(discord: DiscordSandbox, rest: Rest, guild: Guild) -> None:
    wanted: dict[str, object] = {
        "nsfw": False,
        "region": "deprecated",
        "home_header": None,
        "max_presences": None,
        "max_video_channel_users": 25,
        "max_stage_video_channel_users": 50,
        "widget_enabled": False,
        "widget_channel_id": None,
    }
    told = (await rest("GET", f"/guilds/{guild.id}")).body
    async with online(discord) as gateway:
        joined = discord.add_guild("Other")
        event = await gateway.event("GUILD_CREATE")
    assert event["id"] == str(joined.id)
    for body in (told, event):
        assert {key: body[key] for key in wanted} == wanted
    listed = (await rest("GET", "/users/@me/guilds")).body[0]
    assert listed["banner"] is None
    assert int(listed["permissions"]) & 1 << 10


async def test_open_threads_come_in_one_page(rest: Rest, guild: Guild, channel: Channel) -> None:
    channel.add_thread("topic")
    told = (await rest("GET", f"/guilds/{guild.id}/threads/active")).body
    assert (len(told["threads"]), told["has_more"]) == (1, False)


@pytest.mark.parametrize("how", ["bucket", "fault", "code"])
async def test_every_429_has_a_code_and_says_when_to_come_back(
    channel: Channel, how: str, discord: DiscordSandbox, rest: Rest
) -> None:
    path = f"/channels/{channel.id}/messages"
    refused = await _limited(discord, rest, path, how)
    assert refused.status == 429
    assert refused.body["code"] == (30046 if how == "code" else 0)
    assert refused.body["retry_after"] > 0
    assert refused.body["global"] is False


async def _limited(discord: DiscordSandbox, rest: Rest, path: str, how: str) -> Answer:
    body = {"content": "x"}
    if how == "fault":
        discord.faults.rate_limit("POST", "messages", retry_after_s=2)
    if how == "code":
        posted = await rest("POST", path, body)
        discord.options.refuse_old_edits = True
        message = discord.bot_messages[0]
        message.created_unix_s -= 3601
        return await rest("PATCH", f"{path}/{posted.body['id']}", body)
    discord.buckets.enabled = how == "bucket"
    answers = [await rest("POST", path, body) for _ in range(6 if how == "bucket" else 1)]
    return answers[-1]
