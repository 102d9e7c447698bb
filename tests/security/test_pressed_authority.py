"""Who may press what: every menu, button and form of the administration, made up and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cogs.privacy import YES
from sandbox.discord import Message, Person
from sandbox.discord.values import interaction_types
from tests.security.deployment import Deployment
from tests.security.town import (
    BUTTON,
    CHANNEL_SELECT,
    IDENTITIES,
    MANAGER,
    MEMBER,
    ROLE_SELECT,
    STRING_SELECT,
    USER_SELECT,
    Bend,
    Identity,
    Town,
    foreign_install,
    in_private,
    is_denial,
    no_rights,
    stored,
    town,
    user_install,
)

ADMINISTRATOR = next(each for each in IDENTITIES if each.name == "administrator")
REVOKED: tuple[Bend, ...] = (no_rights, user_install, foreign_install, in_private)
"""What may have changed between the opening of a page and a press."""

MANAGERS = tuple(
    each for each in IDENTITIES if "manager" in each.allowed and "owner" not in each.allowed
)

PARTS: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("model", STRING_SELECT, ("qwen/qwen3-next-80b",)),
    ("way", STRING_SELECT, ("every_message here",)),
    ("allowed_channel_ids", CHANNEL_SELECT, ()),
    ("allowed_role_ids", ROLE_SELECT, ()),
    ("admin_role_ids", ROLE_SELECT, ()),
    ("blocked_user_ids", USER_SELECT, ("1234567890123456",)),
    ("persona", BUTTON, ()),
    ("numbers", BUTTON, ()),
    ("people", BUTTON, ()),
    ("main", BUTTON, ()),
    ("nothing", BUTTON, ()),
)
"""The parts of the page: what each is, its kind, and what is chosen in it."""

FORMS: tuple[tuple[str, dict[str, str], str], ...] = (
    ("setup:persona", {"system_prompt": "A forged persona"}, "manager"),
    ("setup:numbers", {"temperature": "0.77"}, "manager"),
    ("setup:nothing", {"temperature": "0.77", "blocked_user_ids": "1234567890123456"}, "manager"),
    ("persona:guild", {"system_prompt": "A forged persona"}, "manager"),
    ("persona:channel", {"system_prompt": "A forged persona"}, "manager"),
    ("persona:global", {"system_prompt": "A forged persona"}, "owner"),
)
"""Forms: id, texts, and whose they are."""


def part_of(what: str, kind: int, values: tuple[str, ...], opener: Person) -> dict[str, Any]:
    """Return a press's data, with an id that says whose page it is on."""
    custom_id = f"clawbot:setup:{what}:{opener.id}"
    chosen = {} if kind == BUTTON else {"values": list(values)}
    return {"component_type": kind, "custom_id": custom_id, "id": 1, **chosen}


def form_of(name: str, texts: dict[str, str]) -> dict[str, Any]:
    """Return a form's data as a client sends it off."""
    fields = [{"type": 4, "id": 2, "custom_id": key, "value": each} for key, each in texts.items()]
    labels = [{"type": 18, "id": 1, "component": field} for field in fields]
    return {"custom_id": f"clawbot:form:{name}", "components": labels}


async def opened(place: Town, name: str, **options: object) -> Message:
    """Use a command as the administrator, and return what it shows."""
    made = await place.try_(ADMINISTRATOR, name, options)
    assert made.message is not None
    return made.message


def replays() -> Iterator[tuple[Identity, Bend | None]]:
    """Yield everybody with their own payload, and as if rights had been taken away meanwhile."""
    for identity in IDENTITIES:
        for bend in (identity.bend, *REVOKED):
            if identity is not ADMINISTRATOR or bend is not None:
                yield identity, bend


async def test_every_part_of_the_page_by_everybody(steady: Deployment) -> None:
    place = town(steady)
    cells = 0
    async with steady.bot():
        steady.guild.delete_role(place.former_role)
        page = await opened(place, "setup")
        for identity in IDENTITIES:
            me = place.people[identity.name]
            for opener in (me, place.people["administrator"]):
                is_theirs = opener is me and "manager" in identity.allowed
                for part in PARTS:
                    before = stored(steady)
                    made = await place.press(identity, page, part_of(*part, opener))
                    cell = (identity.name, part, opener.user.username, made.content)
                    is_denied = is_denial(made.content) and made.message is not page
                    assert is_denied is not is_theirs, cell
                    assert is_theirs or stored(steady) == before, cell
                    assert is_theirs or made.modal is None, cell
                    cells += 1
        # A person may press thirty times a minute, so each loses their rights in another way.
        for identity, bend in zip(MANAGERS, REVOKED, strict=True):
            before = stored(steady)
            for part in PARTS:
                data = part_of(*part, place.people[identity.name])
                made = await place.press(identity, page, data, bend=bend)
                assert is_denial(made.content), (identity.name, part, bend, made.content)
                assert stored(steady) == before, (part, bend)
                cells += 1
    assert cells >= 350


async def test_every_form_by_everybody(steady: Deployment) -> None:
    place = town(steady)
    async with steady.bot():
        steady.guild.delete_role(place.former_role)
        page = await opened(place, "setup")
        for identity in IDENTITIES:
            for name, texts, rank in FORMS:
                before = stored(steady)
                made = await place.submit(identity, page, form_of(name, texts))
                is_theirs = rank in identity.allowed or (
                    rank == "owner" and "owner" in identity.allowed
                )
                cell = (identity.name, name, made.content)
                is_denied = is_denial(made.content) and made.message is not page
                assert is_denied is not is_theirs, cell
                is_change = is_theirs and name == "setup:numbers"
                assert is_change or stored(steady) == before, cell


async def test_what_waits_for_a_yes_is_done_for_nobody_else(steady: Deployment) -> None:
    place = town(steady)
    far = steady.guild.add_channel("far")
    async with steady.bot():
        steady.guild.delete_role(place.former_role)
        asked = {
            "Change it": await opened(place, "config access", allowed_channel_ids=far),
            "Use it": await opened(place, "persona import", file=("p.txt", b"Mine")),
            YES: await opened(place, "privacy server delete"),
        }
        before = stored(steady)
        for label, message in asked.items():
            for identity, bend in replays():
                for each in (label, "Leave it"):
                    part = message.component(each)
                    data = {"component_type": 2, "custom_id": part["custom_id"], "id": part["id"]}
                    made = await place.press(identity, message, data, bend=bend)
                    cell = (identity.name, bend, each, made.content)
                    assert is_denial(made.content), cell
                    assert stored(steady) == before, cell
        page = await opened(place, "setup")
        for custom_id in ("clawbot:yes", "clawbot:no", "clawbot:edit", "f" * 32):
            forged = {"component_type": 2, "custom_id": custom_id, "id": 1}
            place.send(ADMINISTRATOR, forged, interaction_types.COMPONENT, on=page)
        administrator = place.people["administrator"]
        for label in ("Change it", "Use it"):
            pressed = await administrator.click(asked[label], label)
            await pressed.wait_answer()
            assert "is now" in pressed.content
        assert len(stored(steady)) == len(before) + 4


async def test_a_page_taken_elsewhere_changes_only_what_is_there(steady: Deployment) -> None:
    place = town(steady)
    den = place.elsewhere.add_channel("den")
    identity = Identity("manager elsewhere", MANAGER)
    me = place.people[identity.name]
    async with steady.bot():
        page = await opened(place, "setup")
        data = part_of("way", STRING_SELECT, ("mention thread",), me)

        def bend(body: dict[str, Any]) -> None:
            shown = {**data, "type": STRING_SELECT, "options": [{"label": "x", "value": "x"}]}
            body["message"]["components"] = [{"type": 1, "id": 1, "components": [shown]}]

        kind = interaction_types.COMPONENT
        made = place.send(identity, data, kind, on=page, bend=bend, where=den)
        await made.wait_answer()
        changed = stored(steady)
        assert changed
        assert not any(str(steady.guild.id) in map(str, row) for row in changed)
    assert "manager" not in MEMBER
