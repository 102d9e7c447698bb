"""Commands, components and modals: Discord's limits on their form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.discord import Channel, DiscordSandbox, Guild
from sandbox.discord.checks.commands import check_command, command_chars
from sandbox.discord.checks.form import Form
from tests.sandbox.discord.clients import Rest


def _command(**changes: Any) -> dict[str, Any]:
    return {"name": "ask", "description": "Ask", "type": 1} | changes


def _option(**changes: Any) -> dict[str, Any]:
    return {"name": "prompt", "description": "What", "type": 3} | changes


def _codes(tree: Any) -> set[str]:
    if not isinstance(tree, dict):
        return set()
    found = {error["code"] for error in tree.get("_errors", ())}
    return found.union(*(_codes(each) for each in tree.values()))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (_command(name="Ask"), "APPLICATION_COMMAND_INVALID_NAME"),
        (_command(name="two words"), "APPLICATION_COMMAND_INVALID_NAME"),
        (_command(name="x" * 33), "APPLICATION_COMMAND_INVALID_NAME"),
        (_command(description=""), "BASE_TYPE_REQUIRED"),
        (_command(description="d" * 101), "BASE_TYPE_BAD_LENGTH"),
        (_command(type=9), "BASE_TYPE_CHOICES"),
        (_command(type=3), "APPLICATION_COMMAND_CONTEXT_MENU_FIELD_INVALID"),
        (_command(options=[_option(name=f"o{n}") for n in range(26)]), "BASE_TYPE_MAX_LENGTH"),
        (_command(options=[_option()] * 2), "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATE"),
        (_command(options=[_option(), _option(name="b", required=True)]),
         "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID"),
        (_command(options=[_option(type=1), _option(name="b")]),
         "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID"),
        (_command(options=[_option(autocomplete=True, choices=[{"name": "a", "value": "a"}])]),
         "APPLICATION_COMMAND_AUTOCOMPLETE_CHOICES"),
        (_command(options=[_option(choices=[{"name": "a", "value": "v" * 101}])]),
         "BASE_TYPE_BAD_LENGTH"),
        (_command(options=[_option(type=12)]), "BASE_TYPE_CHOICES"),
        (_command(options=[_option(max_length=6001)]), "NUMBER_TYPE_MAX"),
        (_command(options=[_option(name=f"o{n}", description="d" * 90, choices=[
            {"name": "n" * 50 + str(i), "value": "v" * 50 + str(i)} for i in range(10)])
            for n in range(8)]), "APPLICATION_COMMAND_TOO_LARGE"),
    ],
)  # fmt: skip
async def test_a_command_out_of_form_is_refused(
    discord: DiscordSandbox, rest: Rest, command: dict[str, Any], code: str
) -> None:
    path = f"/applications/{discord.bot_user.id}/commands"
    for refused in (await rest("PUT", path, [command]), await rest("POST", path, command)):
        assert (refused.status, refused.code) == (400, 50035)
        assert code in _codes(refused.body["errors"])
    assert (await rest("GET", path)).body == []


async def test_commands_keep_their_id_over_a_sync(
    discord: DiscordSandbox, rest: Rest, guild: Guild
) -> None:
    path = f"/applications/{discord.bot_user.id}/commands"
    [first] = (await rest("PUT", path, [_command()])).body
    second, _ = (await rest("PUT", path, [_command(description="New"), _command(name="b")])).body
    assert (second["id"], second["description"]) == (first["id"], "New")
    made = await rest("POST", path, _command(name="c"))
    assert made.status == 201
    one = f"{path}/{made.body['id']}"
    assert (await rest("PATCH", one, {"description": "Changed"})).body["description"] == "Changed"
    assert (await rest("GET", one)).body["name"] == "c"
    assert (await rest("DELETE", one)).status == 204
    assert (await rest("GET", one)).code == 10063
    own = f"/applications/{discord.bot_user.id}/guilds/{guild.id}/commands"
    [local] = (await rest("PUT", own, [_command()])).body
    assert local["guild_id"] == str(guild.id)
    assert (await rest("GET", "/applications/1/commands")).code == 20012


async def test_a_scope_holds_a_hundred_commands_once_each(
    discord: DiscordSandbox, rest: Rest
) -> None:
    path = f"/applications/{discord.bot_user.id}/commands"
    many = [_command(name=f"c{n}") for n in range(101)]
    assert (await rest("PUT", path, many)).code == 30032
    assert (await rest("PUT", path, many[:100])).status == 200
    doubled = await rest("PUT", path, [_command(), _command()])
    assert _codes(doubled.body["errors"]) == {"APPLICATION_COMMANDS_DUPLICATE_NAME"}


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
))  # fmt: skip
def test_whatever_is_no_object_is_no_command(value: object) -> None:
    opened = Form()
    check_command(opened, value)
    assert opened.errors


@given(st.text(max_size=50), st.text(max_size=200))
def test_a_command_counts_its_longest_localisation(name: str, longer: str) -> None:
    command = {"name": name, "description": "d", "name_localizations": {"de": longer}}
    assert command_chars(command) == max(len(name), len(longer)) + 1


def _row(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": 1, "components": list(parts)}


def _button(**changes: Any) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": "Stop", "custom_id": "stop"} | changes


@pytest.mark.parametrize(
    ("components", "code"),
    [
        ([_row(_button(custom_id="c" * 101))], "BASE_TYPE_BAD_LENGTH"),
        ([_row(_button(label="l" * 81))], "BASE_TYPE_MAX_LENGTH"),
        ([_row(_button(label=None))], "BUTTON_COMPONENT_INVALID_DISPLAY"),
        ([_row(_button(), _button())], "COMPONENT_CUSTOM_ID_DUPLICATED"),
        ([_row(*(_button(custom_id=str(n)) for n in range(6)))], "BASE_TYPE_BAD_LENGTH"),
        ([_row(_button(custom_id=str(n))) for n in range(6)], "BASE_TYPE_BAD_LENGTH"),
        ([_row()], "BASE_TYPE_BAD_LENGTH"),
        ([_button()], "BASE_TYPE_CHOICES"),
        ([_row(_button(style=9))], "BASE_TYPE_CHOICES"),
        ([_row(_button(style=5))], "BASE_TYPE_REQUIRED"),
        ([_row({"type": 3, "custom_id": "s", "options": []})], "BASE_TYPE_BAD_LENGTH"),
        ([_row({"type": 3, "custom_id": "s", "options": [{"label": "a", "value": "v"}] * 2})],
         "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED"),
        ([_row({"type": 4, "custom_id": "t", "style": 1, "label": "l"})], "BASE_TYPE_CHOICES"),
    ],
)  # fmt: skip
async def test_components_out_of_form_are_refused(
    rest: Rest, channel: Channel, components: list[dict[str, Any]], code: str
) -> None:
    body = {"content": "x", "components": components}
    refused = await rest("POST", f"/channels/{channel.id}/messages", body)
    assert (refused.status, refused.code) == (400, 50035)
    assert code in _codes(refused.body["errors"])


async def test_components_in_form_pass(rest: Rest, channel: Channel) -> None:
    rows = [_row(*(_button(custom_id=f"{row}-{n}") for n in range(5))) for row in range(5)]
    path = f"/channels/{channel.id}/messages"
    assert (await rest("POST", path, {"content": "x", "components": rows})).status == 200
    display: list[dict[str, Any]] = [
        {"type": 17, "components": [{"type": 10, "content": "hi"}, rows[0]]}
    ]
    body = {"flags": 1 << 15, "components": display}
    assert (await rest("POST", path, body)).status == 200
    display[0]["components"][0]["content"] = "x" * 4001
    assert (await rest("POST", path, body)).code == 50035
