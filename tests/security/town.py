"""The people of the authorisation matrix, how their payloads are bent, and what tells a refusal."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cogs import _confirm, _gate, _setup
from sandbox.discord import Channel, Guild, Interaction, Message, Person, Role, rendering
from sandbox.discord.people.command_options import OptionReader, command_data
from sandbox.discord.state.commands import leaf_options
from sandbox.discord.values import interaction_types
from tests.security.deployment import Deployment

BUTTON, STRING_SELECT, USER_SELECT, ROLE_SELECT, CHANNEL_SELECT = 2, 3, 5, 6, 8
"""Kinds of components (Discord: component reference)."""
LONG_S = 60.0
"""Seconds that a busy machine may take over one cell."""

Bend = Callable[[dict[str, Any]], None]
"""Changes an interaction's payload into one that the person's client would not have made."""


@dataclass(frozen=True)
class Identity:
    """Somebody who tries.

    Attributes:
        allowed: Which commands are theirs: own, member, here (a member's, inside a server only),
            manager, itself (a manager's whom no role of the settings makes one), owner.
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


OWN = frozenset({"own"})
"""About a person's own data: nobody is shut out from it."""
MEMBER = OWN | {"member", "here"}
MANAGER = MEMBER | {"manager", "itself"}
ALL = MANAGER | {"owner"}
IDENTITIES = (
    Identity("owner", ALL),
    Identity("owner as a member", MEMBER | {"owner"}, no_rights),
    Identity("manager", MANAGER),
    Identity("administrator", MANAGER),
    Identity("with an admin role", MEMBER | {"manager"}),
    Identity("whose admin role is deleted", MEMBER),
    Identity("member", MEMBER),
    Identity("manager elsewhere", MEMBER),
    Identity("blocked", OWN),
    Identity("manager in private", OWN | {"member"}, in_private),
    Identity("manager by user install", OWN, user_install),
    Identity("manager without an install", MANAGER, no_install),
    Identity("manager by a foreign install", OWN, foreign_install),
    Identity("manager in a stranger's private", OWN, in_strangers_private),
    Identity("manager in a group", OWN, in_group),
)


@dataclass
class Town:
    """The people of the matrix, and where they try.

    Attributes:
        rooms: Where each of them tries: a channel takes four messages in five seconds.
        elsewhere: A server of another manager's.
        former_role: Named as an admin role; to be deleted while the bot runs.
    """

    deployment: Deployment
    rooms: dict[str, Channel]
    elsewhere: Guild
    former_role: Role
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
        reader = OptionReader(world, next(iter(self.rooms.values())))
        return command_data(command, chain, reader.read(declared, options), reader.resolved)

    async def _send(self, identity: Identity, data: dict[str, Any]) -> Interaction:
        made = self.send(identity, data, interaction_types.COMMAND, bend=identity.bend)
        await made.wait_response(timeout_s=LONG_S)
        if made.modal is None:
            await made.wait_content(timeout_s=LONG_S)
        return made

    async def press(
        self, identity: Identity, on: Message, part: dict[str, Any], *, bend: Bend | None = None
    ) -> Interaction:
        """Use a part of somebody's message as somebody: replayed, or with an id that is made up.

        Args:
            identity: Who.
            on: The message.
            part: The part's data, as a client sends it.
            bend: Changes the payload; the identity's when left out.
        """

        def bent(body: dict[str, Any]) -> None:
            # discord.py looks for the part on the message.
            shown = {**part, "type": part["component_type"], "style": 1, "label": "x"}
            if part["component_type"] == STRING_SELECT:
                shown["options"] = [{"label": "x", "value": "x"}]
            body["message"]["components"] = [{"type": 1, "id": 1, "components": [shown]}]
            change = bend or identity.bend
            if change is not None:
                change(body)

        made = self.send(identity, part, interaction_types.COMPONENT, on=on, bend=bent)
        return await made.wait_answer(timeout_s=LONG_S)

    async def submit(self, identity: Identity, on: Message, data: dict[str, Any]) -> Interaction:
        """Send a form off as somebody."""
        kind = interaction_types.MODAL_SUBMIT
        made = self.send(identity, data, kind, on=on, bend=identity.bend)
        return await made.wait_answer(timeout_s=LONG_S)

    def send(
        self,
        identity: Identity,
        data: dict[str, Any],
        kind: int,
        *,
        on: Message | None = None,
        bend: Bend | None = None,
        where: Channel | None = None,
    ) -> Interaction:
        """Let the gateway bring what somebody did."""
        user = self.people[identity.name].user
        world = self.deployment.discord.world
        room = where or self.rooms[identity.name]
        made = world.new_interaction(kind, user, room, data, source=on)
        body = rendering.interaction_object(world, made)
        if bend is not None:
            bend(body)
        self.deployment.discord.gateway.dispatch("INTERACTION_CREATE", body)
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
    kept, gone = (deployment.guild.add_role(name) for name in ("keepers", "former keepers"))
    deployment.guild.set_roles(people["with an admin role"], [kept])
    deployment.guild.set_roles(people["whose admin role is deleted"], [gone])
    deployment.environment["CLAWBOT_DISCORD__ADMIN_ROLE_IDS"] = f"{kept.id},{gone.id}"
    deployment.environment["CLAWBOT_DISCORD__BLOCKED_USER_IDS"] = str(people["blocked"].id)
    rooms = dict(zip(people, deployment.channels(len(people)), strict=True))
    return Town(deployment, rooms, elsewhere, gone, people)


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
    _gate.NEEDS_MANAGE_ITSELF,
    _confirm.NOT_YOURS,
    _confirm.OVER,
    _setup.NOT_YOURS,
)


def is_denial(text: str) -> bool:
    """Tell a refusal from an answer."""
    return text.startswith(DENIALS)


def asked_of(deployment: Deployment) -> int:
    """Return how much the model's machine was asked to do."""
    return sum(request.method == "POST" for request in deployment.lm.requests)
