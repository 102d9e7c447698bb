"""Who may do what: every command, choice and button against every kind of person."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cogs import _buttons, _confirm, _gate
from sandbox.discord import Channel, Interaction, Message, Person, rendering
from sandbox.discord.people.command_options import OptionReader, command_data
from sandbox.discord.state.commands import leaf_options
from sandbox.discord.values import interaction_types
from sandbox.lmstudio import Answer
from tests.security.deployment import Deployment

MANAGER_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("config show", {}),
    ("config show", {"setting": "temperature"}),
    ("config show", {"scope": "guild"}),
    ("config set", {"setting": "temperature", "value": "0.31"}),
    ("config set", {"setting": "max_tokens", "value": "77", "scope": "channel"}),
    ("config reset", {"setting": "top_p"}),
    ("config undo", {"scope": "channel"}),
    ("config history", {}),
    ("setup", {}),
    ("config chat", {"temperature": 0.4, "show_footer": True}),
    ("config access", {"scope": "channel"}),
    ("config set", {"setting": "admin_role_ids", "value": "none"}),
    ("model list", {}),
    ("model info", {"model": "qwen/qwen3-next-80b"}),
    ("model use", {"model": "qwen/qwen3-next-80b"}),
    ("persona show", {}),
    ("persona set", {"text": "Be a pirate"}),
    ("persona clear", {"scope": "channel"}),
)
OWNER_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("config set", {"setting": "temperature", "value": "0.41", "scope": "global"}),
    ("config show", {"scope": "global"}),
    ("config reset", {"setting": "top_p", "scope": "global"}),
    ("config undo", {"scope": "global"}),
    ("config limits", {"max_waiting": 99}),
    ("config server", {"retry_attempts": 2}),
    ("config reading", {"max_images": 3}),
    ("config delivery", {"stage_after_s": 3.0}),
    ("config chat", {"top_p": 0.5, "scope": "global"}),
    ("config set", {"setting": "dm_policy", "value": "closed"}),
    ("config set", {"setting": "dm_policy", "value": "open", "scope": "global"}),
    ("config reset", {"setting": "dm_policy"}),
    ("model use", {"model": "qwen/qwen3-next-80b", "scope": "global"}),
    ("model load", {"model": "qwen/qwen3-next-80b"}),
    ("model unload", {"model": "qwen/qwen3-next-80b"}),
    ("model wake", {}),
    ("model download", {"model": "no such"}),
    ("model endpoint list", {}),
    ("model endpoint add", {"address": "127.0.0.1:9"}),
    ("model endpoint remove", {"server": 9}),
    ("model drain", {"server": 9}),
    ("model undrain", {"server": 9}),
    ("model allow", {"model": "qwen/qwen3-next-80b"}),
    ("model forbid", {"model": "qwen/qwen3-next-80b"}),
    ("persona set", {"text": "Be everywhere", "scope": "global"}),
    ("persona clear", {"scope": "global"}),
)
MEMBER_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ask", {"prompt": "Hello"}),
    ("stop", {}),
    ("help", {}),
    ("diag model", {}),
    ("diag queue", {}),
    ("diag channel", {}),
)
CHOICES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("config set", "value", {"setting": "model"}),
    ("config set", "setting", {"value": "1"}),
    ("config show", "setting", {}),
    ("config reset", "setting", {}),
    ("config history", "setting", {}),
    ("config chat", "model", {}),
    ("model use", "model", {}),
    ("model info", "model", {}),
    ("persona set", "text", {}),
)
OWNER_CHOICES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("model load", "model", {}),
    ("model unload", "model", {}),
    ("model allow", "model", {}),
)

Bend = Callable[[dict[str, Any]], None]
"""Changes an interaction's payload into one that the person's client would not have made."""


@dataclass(frozen=True)
class Identity:
    """Somebody who tries.

    Attributes:
        allowed: Which commands are theirs: member, here (a member's, inside a server only),
            manager, owner.
        bend: Changes the payload on its way.
    """

    name: str
    allowed: frozenset[str]
    bend: Bend | None = None


def no_rights(body: dict[str, Any]) -> None:
    """Take away every permission."""
    body["member"]["permissions"] = "0"


def user_install(body: dict[str, Any]) -> None:
    """Pretend that the person brought the app along into a server that never added it."""
    body["authorizing_integration_owners"] = {"1": body["member"]["user"]["id"]}


def no_install(body: dict[str, Any]) -> None:
    """Leave out whose installation it is: what counts then is that the bot is in the server."""
    body["authorizing_integration_owners"] = {}


def foreign_install(body: dict[str, Any]) -> None:
    """Name another server's installation."""
    body["authorizing_integration_owners"] = {"0": "1234567890123456"}


def in_private(body: dict[str, Any]) -> None:
    """Pretend that it was used in a direct message."""
    member = body.pop("member")
    for key in ("guild_id", "guild", "guild_locale"):
        body.pop(key)
    body |= {"user": member["user"], "context": 1, "authorizing_integration_owners": {"0": "0"}}
    body["channel"] = {"id": "77", "type": 1, "recipients": []}
    body["channel_id"] = "77"


def in_strangers_private(body: dict[str, Any]) -> None:
    """Pretend that it was used in a direct message between two other people."""
    in_private(body)
    body |= {"context": 2, "authorizing_integration_owners": {"1": body["user"]["id"]}}


def in_group(body: dict[str, Any]) -> None:
    """Pretend that it was used in a group's direct message."""
    in_strangers_private(body)
    body["channel"] = {"id": "77", "type": 3, "recipients": [], "owner_id": "5", "name": "us"}


ALL = frozenset({"member", "here", "manager", "owner"})
IDENTITIES = (
    Identity("owner", ALL),
    Identity("owner as a member", frozenset({"member", "here", "owner"}), no_rights),
    Identity("manager", frozenset({"member", "here", "manager"})),
    Identity("administrator", frozenset({"member", "here", "manager"})),
    Identity("member", frozenset({"member", "here"})),
    Identity("manager elsewhere", frozenset({"member", "here"})),
    Identity("blocked", frozenset()),
    Identity("manager in private", frozenset({"member"}), in_private),
    Identity("manager by user install", frozenset(), user_install),
    Identity("manager without an install", frozenset({"member", "here", "manager"}), no_install),
    Identity("manager by a foreign install", frozenset(), foreign_install),
    Identity("manager in a stranger's private", frozenset(), in_strangers_private),
    Identity("manager in a group", frozenset(), in_group),
)


@dataclass
class Town:
    """The people of the matrix, and where they try."""

    deployment: Deployment
    room: Channel
    people: dict[str, Person]

    async def try_(self, identity: Identity, name: str, options: dict[str, Any]) -> Interaction:
        """Use a command as somebody, with a payload that may be bent."""
        return await self._send(identity, self.data_of(name, options))

    def data_of(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return a command's data as a client makes it."""
        world = self.deployment.discord.world
        first, *words = name.split()
        command = world.commands.find(first, self.deployment.guild.id, 1)
        assert command is not None
        chain, declared = leaf_options(command, words)
        reader = OptionReader(world, self.room)
        return command_data(command, chain, reader.read(declared, options), reader.resolved)

    async def _send(self, identity: Identity, data: dict[str, Any]) -> Interaction:
        user = self.people[identity.name].user
        world = self.deployment.discord.world
        made = world.new_interaction(interaction_types.COMMAND, user, self.room, data)
        body = rendering.interaction_object(world, made)
        if identity.bend is not None:
            identity.bend(body)
        self.deployment.discord.gateway.dispatch("INTERACTION_CREATE", body)
        await made.wait_content()
        return made


def town(deployment: Deployment) -> Town:
    """Return the people: in the guild, with what the matrix says of them."""
    # One person each: the bot takes thirty commands of a person in a minute.
    names = [each.name for each in IDENTITIES if not each.name.startswith("owner")]
    people = {name: deployment.discord.add_user(name) for name in names}
    rights = {name: "manage_guild" for name in names if name.startswith("manager")}
    rights |= {"manager elsewhere": "", "administrator": "administrator"}
    for name, person in people.items():
        deployment.guild.add_member(person, permissions=rights.get(name) or None)
    deployment.guild.add_member(deployment.discord.owner, permissions="manage_guild")
    elsewhere = deployment.discord.add_guild("Elsewhere", owner=deployment.ada)
    elsewhere.add_member(people["manager elsewhere"], permissions="manage_guild")
    people["owner"] = people["owner as a member"] = deployment.discord.owner
    deployment.environment["CLAWBOT_DISCORD__BLOCKED_USER_IDS"] = str(people["blocked"].id)
    return Town(deployment, deployment.channels(1)[0], people)


def stored(deployment: Deployment) -> list[tuple[Any, ...]]:
    """Return all that is set, as it is on the disk."""
    with contextlib.closing(sqlite3.connect(deployment.folder / "clawbot.db")) as database:
        return [
            *database.execute("SELECT * FROM settings ORDER BY key"),
            *database.execute("SELECT * FROM setting_changes ORDER BY id"),
        ]


DENIALS = (
    _gate.NEEDS_MANAGE_GUILD,
    _gate.NEEDS_GUILD,
    _gate.NEEDS_OWNER,
    _gate.FOREIGN_INSTALL,
    "I'm not available to you here.",
    "I don't answer direct messages.",
    "This command cannot be used in private messages.",
)


def is_denial(text: str) -> bool:
    """Tell a refusal from an answer."""
    return text.startswith(DENIALS)


def asked_of(deployment: Deployment) -> int:
    """Return how much the model's machine was asked to do."""
    return sum(request.method == "POST" for request in deployment.lm.requests)


@pytest.mark.parametrize("half", [0, 1])  # a person may use thirty commands a minute
async def test_every_command_by_everybody(deployment: Deployment, half: int) -> None:
    place = town(deployment)
    rows = [(name, options, "manager") for name, options in MANAGER_COMMANDS]
    rows += [(name, options, "owner") for name, options in OWNER_COMMANDS]
    rows += [
        (name, options, "here" if name == "diag channel" else "member")
        for name, options in MEMBER_COMMANDS
    ]
    tried = 0
    async with deployment.bot():
        for identity in IDENTITIES:
            for name, options, rank in rows[half * len(rows) // 2 : (half + 1) * len(rows) // 2]:
                before = stored(deployment), asked_of(deployment)
                made = await place.try_(identity, name, options)
                tried += 1
                cell = (identity, name, options, made.content)
                is_denied = is_denial(made.content)
                assert is_denied == (rank not in identity.allowed), cell
                assert made.ephemeral or (name == "ask" and not is_denied), cell
                if is_denied:
                    assert (stored(deployment), asked_of(deployment)) == before, cell
                if rank in {"member", "here"}:
                    assert stored(deployment) == before[0], cell
    assert tried >= 250


async def test_choices_are_offered_only_to_whom_they_are_of_use(deployment: Deployment) -> None:
    place = town(deployment)
    rows = [(*choice, "manager") for choice in CHOICES]
    rows += [(*choice, "owner") for choice in OWNER_CHOICES]
    world = deployment.discord.world
    async with deployment.bot():
        await place.try_(IDENTITIES[0], "model list", {})
        for identity in IDENTITIES:
            for name, option, others, rank in rows:
                data = place.data_of(name, {**others, option: "q", **needed(name)})
                focus(data, option)
                user = place.people[identity.name].user
                made = world.new_interaction(interaction_types.AUTOCOMPLETE, user, place.room, data)
                body = rendering.interaction_object(world, made)
                if identity.bend is not None:
                    identity.bend(body)
                deployment.discord.gateway.dispatch("INTERACTION_CREATE", body)
                await made.wait_response()
                offered = bool(made.choices)
                if not identity.allowed & {rank, "owner"}:
                    assert not offered, (identity, name)
                elif option in {"model", "setting"}:
                    assert offered, (identity, name)


def needed(name: str) -> dict[str, Any]:
    """Return options that a command can't be without."""
    return {"value": "1"} if name == "config set" else {}


def focus(data: dict[str, Any], option: str) -> None:
    """Mark the option that is being typed."""
    for part in data.get("options", []):
        if part["name"] == option:
            part["focused"] = True
        focus(part, option)


async def test_a_change_that_waits_for_a_yes_is_made_for_nobody_else(
    deployment: Deployment,
) -> None:
    place = town(deployment)
    far = deployment.guild.add_channel("far")
    world = deployment.discord.world
    async with deployment.bot():
        asked = await place.try_(
            Identity("administrator", ALL), "config access", {"allowed_channel_ids": far}
        )
        assert asked.message is not None
        before = stored(deployment)
        for identity in IDENTITIES:
            for label in ("Change it", "Leave it"):
                part = asked.message.component(label)
                data = {"component_type": 2, "custom_id": part["custom_id"], "id": part["id"]}
                user = place.people[identity.name].user
                for bend in (identity.bend, no_rights, user_install, foreign_install):
                    if bend is None and identity.name == "administrator":
                        continue
                    made = world.new_interaction(
                        interaction_types.COMPONENT, user, place.room, data, source=asked.message
                    )
                    body = rendering.interaction_object(world, made)
                    if bend is not None:
                        bend(body)
                    deployment.discord.gateway.dispatch("INTERACTION_CREATE", body)
                    await made.wait_content()
                    is_theirs = made.content == _confirm.NOT_YOURS
                    assert is_theirs or is_denial(made.content), (identity, bend, made.content)
                    assert stored(deployment) == before, (identity, bend)
        forged = {"component_type": 2, "custom_id": "f" * 32, "id": 1}
        made = world.new_interaction(
            interaction_types.COMPONENT,
            place.people["administrator"].user,
            place.room,
            forged,
            source=asked.message,
        )
        deployment.discord.gateway.dispatch(
            "INTERACTION_CREATE", rendering.interaction_object(world, made)
        )
        pressed = await place.people["administrator"].click(asked.message, "Change it")
        await pressed.wait_content()
        assert "is now" in pressed.content
        assert len(stored(deployment)) == len(before) + 2


LABELS = ("Show thinking", "Details", "Regenerate", "Continue")


async def test_buttons_by_others_and_after_a_restart(deployment: Deployment) -> None:
    place = town(deployment)
    moderator = deployment.discord.add_user("moderator")
    deployment.guild.add_member(moderator, permissions="manage_messages")
    member = place.people["member"]
    others = [place.people[n] for n in ("manager", "manager elsewhere", "blocked")]
    deployment.lm.answer(Answer("The answer.", reasoning="Deep thought.", finish="length"))
    async with deployment.bot():
        asked = await member.mention(place.room, "Hello")
        await deployment.until_answered([asked])
        reply = deployment.discord.replies(asked)[0]
        await press_as_others(deployment, reply, others)
    deployment.environment["CLAWBOT_DISCORD__BLOCKED_USER_IDS"] += f",{member.id}"
    async with deployment.bot():
        await press_as_others(deployment, reply, [*others, member])
        edits = len(deployment.lm.completions)
        await member.edit(asked, "<@bot> Hello again, though I am blocked")
        pressed = await moderator.click(reply, "Details")
        await pressed.wait_content()
        assert not is_refused(pressed)
        assert len(deployment.lm.completions) == edits


async def press_as_others(deployment: Deployment, reply: Message, others: list[Person]) -> None:
    """Press every button as people who may not; nothing may come of it."""
    before = len(deployment.lm.completions), reply.content
    for person in others:
        for label in LABELS:
            pressed = await person.click(reply, label)
            await pressed.wait_content()
            assert pressed.ephemeral
            assert is_refused(pressed), (person.user.username, label, pressed.content)
    assert (len(deployment.lm.completions), reply.content) == before


def is_refused(pressed: Interaction) -> bool:
    """Tell a refusal from what a button does."""
    return pressed.content == _buttons.NOT_YOURS or is_denial(pressed.content)


async def test_a_diagnosis_tells_a_member_no_address(deployment: Deployment) -> None:
    place = town(deployment)
    async with deployment.bot():
        made = await place.try_(Identity("member", ALL), "diag network", {})
        told = await place.try_(Identity("owner", ALL), "diag network", {})
        port = str(deployment.lm.port)
        await deployment.discord.wait_until(lambda: port in told.content)
        assert port not in made.content
        assert "127.0.0.1" not in made.content
