"""Interactions: three seconds, once, fifteen minutes, and what a client would let through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sandbox.discord import (
    Channel,
    DiscordSandbox,
    Guild,
    Interaction,
    NotOfferedError,
    Person,
)
from sandbox.discord.checks.defaults import complete_components
from tests.sandbox.discord.clients import Rest, rest_of

SET = {
    "name": "config",
    "description": "Settings",
    "options": [
        {
            "name": "set",
            "description": "Set",
            "type": 1,
            "options": [
                {"name": "setting", "description": "s", "type": 3, "required": True,
                 "autocomplete": True},
                {"name": "value", "description": "v", "type": 10, "min_value": 0, "max_value": 2},
                {"name": "scope", "description": "c", "type": 3,
                 "choices": [{"name": "Guild", "value": "guild"}]},
                {"name": "who", "description": "w", "type": 6},
            ],
        }
    ],
}  # fmt: skip
ASK_ABOUT = {"name": "Ask about this", "type": 3}


class Timed:
    """A sandbox whose time the test moves, with a command and a person."""

    def __init__(self, discord: DiscordSandbox, rest: Rest, now: list[float]) -> None:
        self.discord = discord
        self.rest = rest
        self.now = now
        self.guild: Guild = discord.add_guild("Home")
        self.channel: Channel = self.guild.add_channel("general")
        self.ada: Person = discord.add_user("Ada")
        self.guild.add_member(self.ada)

    async def use(self) -> Interaction:
        """Use the command."""
        return await self.ada.slash(self.channel, "config set", setting="a")

    async def respond(self, made: Interaction, kind: int, **data: Any) -> Any:
        """Send a callback."""
        path = f"/interactions/{made.id}/{made.token}/callback"
        return await self.rest("POST", path, {"type": kind, "data": data}, token="none")

    async def webhook(self, made: Interaction, method: str, tail: str = "", **body: Any) -> Any:
        """Use a follow-up route."""
        path = f"/webhooks/{self.discord.bot_user.id}/{made.token}{tail}"
        return await self.rest(method, path, body or None, token="none")


@pytest.fixture
async def rig() -> AsyncIterator[Timed]:
    now = [100.0]
    async with (
        DiscordSandbox(monotonic=lambda: now[0], buckets=False) as discord,
        rest_of(discord) as rest,
    ):
        await rest("PUT", f"/applications/{discord.bot_user.id}/commands", [SET, ASK_ABOUT])
        yield Timed(discord, rest, now)


async def test_a_response_comes_once_and_within_three_seconds(rig: Timed) -> None:
    made = await rig.use()
    rig.now[0] += 3.0
    assert (await rig.respond(made, 4, content="hi")).status == 204
    assert (await made.wait_response()).content == "hi"
    assert made.ack_delay_s == 3.0
    again = await rig.respond(made, 4, content="again")
    assert (again.status, again.code) == (400, 40060)
    late = await rig.use()
    rig.now[0] += 3.1
    assert late.failed
    refused = await rig.respond(late, 4, content="hi")
    assert (refused.status, refused.code) == (404, 10062)


async def test_a_stranger_token_is_an_unknown_interaction(rig: Timed) -> None:
    made = await rig.use()
    refused = await rig.rest("POST", f"/interactions/{made.id}/nonsense/callback", {"type": 5})
    assert refused.code == 10062


async def test_a_deferral_is_filled_by_edit_or_follow_up(rig: Timed) -> None:
    first, second = await rig.use(), await rig.use()
    for made in (first, second):
        await rig.respond(made, 5, flags=64)
        assert (made.deferred, made.ephemeral, made.content) == (True, True, "")
    await rig.webhook(first, "PATCH", "/messages/@original", content="edited")
    await rig.webhook(second, "POST", content="followed up")
    for made, content in ((first, "edited"), (second, "followed up")):
        message = await made.wait_content()
        assert (message.content, message.loading, message.ephemeral) == (content, False, True)
        assert len(made.messages) == 1
    await rig.webhook(second, "POST", content="more")
    assert [each.content for each in second.messages] == ["followed up", "more"]


async def test_ephemeral_messages_are_in_one_view_only(rig: Timed) -> None:
    made = await rig.use()
    await rig.respond(made, 4, content="psst", flags=64)
    bob = rig.discord.add_user("Bob")
    rig.guild.add_member(bob)
    assert [each.content for each in rig.ada.view(rig.channel)] == ["psst"]
    assert bob.view(rig.channel) == []
    assert rig.discord.what_people_see(rig.channel) == []
    assert made.message is not None
    path = f"/channels/{rig.channel.id}/messages/{made.message.id}"
    assert (await rig.rest("GET", path)).code == 10008


async def test_the_token_lives_fifteen_minutes(rig: Timed) -> None:
    made = await rig.use()
    assert (await rig.webhook(made, "POST", content="too early")).code == 10015
    await rig.respond(made, 4, content="hi")
    rig.now[0] += 900
    edited = await rig.webhook(made, "PATCH", "/messages/@original", content="still")
    assert edited.body["content"] == "still"
    rig.now[0] += 1
    refused = await rig.webhook(made, "PATCH", "/messages/@original", content="over")
    assert (refused.status, refused.code) == (401, 50027)


async def test_the_response_can_be_taken_back(rig: Timed) -> None:
    made = await rig.use()
    await rig.respond(made, 4, content="hi")
    assert (await rig.webhook(made, "DELETE", "/messages/@original")).status == 204
    assert (await rig.webhook(made, "GET", "/messages/@original")).code == 10008
    assert rig.ada.view(rig.channel) == []


@pytest.mark.parametrize(
    ("kind", "data", "code"),
    [
        (4, {}, 50006),
        (4, {"content": "x" * 2001}, 50035),
        (6, {}, 50035),
        (7, {"content": "x"}, 50035),
        (8, {"choices": []}, 50035),
        (42, {}, 50035),
        (9, {"custom_id": "m", "title": "t" * 46, "components": []}, 50035),
        (9, {"custom_id": "m", "title": "t", "components": []}, 50035),
        (9, {"custom_id": "m", "title": "t", "components": [{"type": 18, "label": "l"}]}, 50035),
    ],
)
async def test_unfit_responses_are_refused_and_acknowledge_nothing(
    rig: Timed, kind: int, data: dict[str, Any], code: int
) -> None:
    made = await rig.use()
    assert (await rig.respond(made, kind, **data)).code == code
    assert not made.acknowledged


@pytest.mark.parametrize(
    "choices",
    [
        [{"name": str(n), "value": str(n)} for n in range(26)],
        [{"name": "n" * 101, "value": "v"}],
        [{"name": "n", "value": "v" * 101}],
        [{"name": "n", "value": 3}],
    ],
)
async def test_autocomplete_has_limits(rig: Timed, choices: list[dict[str, Any]]) -> None:
    waiting = _typing(rig)
    made = await waiting.__anext__()
    assert (await rig.respond(made, 8, choices=choices)).code == 50035
    good = [{"name": "temperature", "value": "temperature"}]
    assert (await rig.respond(made, 8, choices=good)).status == 204
    assert await waiting.__anext__() == good


async def _typing(rig: Timed) -> AsyncIterator[Any]:
    typed = asyncio.create_task(
        rig.ada.autocomplete(rig.channel, "config set", "setting", "temp", value=1)
    )
    world = rig.discord.world
    await rig.discord.wait_until(lambda: world.interactions)
    yield next(iter(world.interactions.values()))
    yield await typed


async def test_options_arrive_nested_and_resolved(rig: Timed) -> None:
    made = await rig.ada.slash(
        rig.channel, "config set", setting="t", value="0.31", scope="Guild", who=rig.ada
    )
    [step] = made.data["options"]
    values = {each["name"]: each["value"] for each in step["options"]}
    assert values == {"setting": "t", "value": 0.31, "scope": "guild", "who": str(rig.ada.id)}
    assert set(made.data["resolved"]) == {"users", "members"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nothing", {}),
        ("config set", {}),
        ("config set", {"setting": "a", "colour": "red"}),
        ("config set", {"setting": "a", "value": "hot"}),
        ("config set", {"setting": "a", "value": 99}),
        ("config set", {"setting": "a", "value": "nan"}),
        ("config set", {"setting": "a", "value": "1e999"}),
        ("config set", {"setting": "a", "scope": "galaxy"}),
    ],
)
async def test_the_client_lets_no_nonsense_through(
    rig: Timed, name: str, options: dict[str, Any]
) -> None:
    with pytest.raises(NotOfferedError):
        await rig.ada.slash(rig.channel, name, **options)


@pytest.mark.parametrize("name", ["config", "config get"])
async def test_subcommands_must_exist(rig: Timed, name: str) -> None:
    with pytest.raises(LookupError):
        await rig.ada.slash(rig.channel, name)


async def test_commands_hide_from_those_without_the_permission(rig: Timed) -> None:
    path = f"/applications/{rig.discord.bot_user.id}/commands"
    await rig.rest("PUT", path, [SET | {"default_member_permissions": "32", "contexts": [0]}])
    with pytest.raises(NotOfferedError):
        await rig.use()
    with pytest.raises(NotOfferedError):
        await rig.discord.owner.slash(rig.discord.owner.dm_channel, "config set", setting="a")
    rig.guild.open_command("config")
    assert not (await rig.use()).acknowledged
    eve = rig.discord.add_user("Eve")
    rig.guild.add_member(eve, permissions="manage_guild")
    used = await eve.slash(rig.channel, "config set", setting="a")
    assert used.user is eve.user


async def test_buttons_update_defer_and_open_modals(rig: Timed) -> None:
    button = {"type": 2, "style": 1, "label": "Go", "custom_id": "go"}
    off = button | {"custom_id": "off", "label": "Off", "disabled": True}
    row = {"type": 1, "components": [button, off]}
    path = f"/channels/{rig.channel.id}/messages"
    posted = await rig.rest("POST", path, {"content": "x", "components": [row]})
    message = rig.channel.messages[int(posted.body["id"])]
    clicked = await rig.ada.click(message, "Go")
    assert (await rig.respond(clicked, 7, content="pressed", components=[])).status == 204
    assert (message.content, message.components) == ("pressed", [])
    with pytest.raises(LookupError):
        await rig.ada.click(message, "Go")
    message.components = complete_components([row])
    with pytest.raises(NotOfferedError):
        await rig.ada.click(message, "off")
    opened = await rig.ada.click(message, "go")
    field = {"type": 4, "custom_id": "f", "style": 1, "max_length": 5}
    form = [{"type": 18, "label": "Field", "component": field}]
    await rig.respond(opened, 9, custom_id="m", title="T", components=form)
    for wrong in ({"f": "too long"}, {}, {"f": "a", "g": "b"}):
        with pytest.raises(NotOfferedError):
            await rig.ada.submit(opened, wrong)
    sent = await rig.ada.submit(opened, {"Field": "abc"})
    assert sent.data["components"][0]["component"]["value"] == "abc"
    assert (await rig.respond(sent, 4, content="thanks", flags=64)).status == 204


def test_what_a_menu_has_chosen_already_is_told_with_ids_as_text() -> None:
    sent = [{"type": 8, "custom_id": "c", "default_values": [{"id": 7, "type": "channel"}]}]
    (menu,) = complete_components(sent)
    assert menu["default_values"] == [{"id": "7", "type": "channel"}]


async def test_context_menus_carry_their_target(rig: Timed) -> None:
    said = await rig.ada.say(rig.channel, "what is this?")
    made = await rig.ada.context_menu(said, "Ask about this")
    assert made.data["target_id"] == str(said.id)
    assert made.data["resolved"]["messages"][str(said.id)]["content"] == "what is this?"


async def test_the_response_is_told_back_on_demand(rig: Timed) -> None:
    made = await rig.use()
    path = f"/interactions/{made.id}/{made.token}/callback?with_response=true"
    told = await rig.rest("POST", path, {"type": 4, "data": {"content": "hi"}})
    assert told.body["resource"]["message"]["content"] == "hi"
    assert told.body["interaction"]["response_message_ephemeral"] is False
