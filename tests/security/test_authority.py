"""Who may do what: every command, choice and button against every kind of person."""

from __future__ import annotations

from typing import Any

import pytest

from cogs import _actions
from sandbox.discord import Interaction, Message, Person
from sandbox.discord.values import interaction_types
from sandbox.lmstudio import Answer
from tests.security.deployment import Deployment
from tests.security.town import (
    ALL,
    IDENTITIES,
    LONG_S,
    Identity,
    Town,
    asked_of,
    is_denial,
    stored,
    town,
)

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
    ("persona edit", {}),
    ("persona edit", {"preset": "coder", "scope": "channel"}),
    ("persona export", {}),
    ("persona import", {"file": ("p.txt", b"Be a file")}),
)
OWNER_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("config set", {"setting": "temperature", "value": "0.41", "scope": "global"}),
    ("config show", {"scope": "global"}),
    ("config reset", {"setting": "top_p", "scope": "global"}),
    ("config undo", {"scope": "global"}),
    ("config limits", {"max_waiting": 99}),
    ("config everywhere", {"dm_policy": "open"}),
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
    ("persona edit", {"scope": "global"}),
    ("persona export", {"scope": "global"}),
    ("persona import", {"scope": "global", "file": ("p.txt", b"Be a file")}),
)
MEMBER_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ask", {"prompt": "Hello"}),
    ("stop", {}),
    ("help", {}),
    ("diag model", {}),
    ("diag queue", {}),
    ("diag channel", {}),
)
OWN_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("privacy show", {}),
    ("privacy export", {}),
    ("privacy delete", {}),
    ("privacy opt-out", {}),
    ("privacy opt-in", {}),
)
ITSELF_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("privacy server show", {}),
    ("privacy server delete", {}),
    ("privacy server export", {}),
)
CHOICES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("config set", "value", {"setting": "model"}),
    ("config set", "scope", {"setting": "temperature", "value": "1"}),
    ("config reset", "scope", {"setting": "temperature"}),
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
    ("config everywhere", "allowed_guild_ids", {}),
    ("model load", "model", {}),
    ("model unload", "model", {}),
    ("model allow", "model", {}),
)

ROWS = (
    *((name, options, "manager") for name, options in MANAGER_COMMANDS),
    *((name, options, "owner") for name, options in OWNER_COMMANDS),
    *(
        (name, options, "here" if name == "diag channel" else "member")
        for name, options in MEMBER_COMMANDS
    ),
    *((name, options, "own") for name, options in OWN_COMMANDS),
    *((name, options, "itself") for name, options in ITSELF_COMMANDS),
)
PARTS = 3
"""A person may use thirty commands a minute, so each part has a bot of its own."""


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_command_by_everybody(steady: Deployment, part: int) -> None:
    place = town(steady)
    rows = ROWS[part * len(ROWS) // PARTS : (part + 1) * len(ROWS) // PARTS]
    async with steady.bot():
        steady.guild.delete_role(place.former_role)
        for identity in IDENTITIES:
            for row in rows:
                await check_command(place, identity, *row)
    assert len(rows) * len(IDENTITIES) >= 300


async def check_command(
    place: Town, identity: Identity, name: str, options: dict[str, Any], rank: str
) -> None:
    """Check one cell: done or refused as the table says, and without effect where it isn't theirs."""
    steady = place.deployment
    before = stored(steady), asked_of(steady)
    made = await place.try_(identity, name, options)
    cell = (identity, name, options, made.content)
    is_denied = is_denial(made.content)
    assert is_denied == (rank not in identity.allowed), cell
    is_public = name == "ask" and not is_denied
    assert made.ephemeral or made.modal is not None or is_public, cell
    if is_denied:
        assert (stored(steady), asked_of(steady)) == before, cell
    if rank in {"own", "member", "here", "itself"}:
        assert stored(steady) == before[0], cell


async def test_choices_are_offered_only_to_whom_they_are_of_use(steady: Deployment) -> None:
    place = town(steady)
    rows = [(*choice, "manager") for choice in CHOICES]
    rows += [(*choice, "owner") for choice in OWNER_CHOICES]
    async with steady.bot():
        steady.guild.delete_role(place.former_role)
        await place.try_(IDENTITIES[0], "model list", {})
        for identity in IDENTITIES:
            for name, option, others, rank in rows:
                data = place.data_of(name, {**others, option: "q", **needed(name)})
                focus(data, option)
                kind = interaction_types.AUTOCOMPLETE
                made = place.send(identity, data, kind, bend=identity.bend)
                await made.wait_response(timeout_s=LONG_S)
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


LABELS = ("Show thinking", "Details", "Regenerate", "Continue")


async def test_buttons_by_others_and_after_a_restart(steady: Deployment) -> None:
    place = town(steady)
    moderator = steady.discord.add_user("moderator")
    steady.guild.add_member(moderator, permissions="manage_messages")
    member = place.people["member"]
    others = [place.people[n] for n in ("manager", "manager elsewhere", "blocked")]
    steady.lm.answer(Answer("The answer.", reasoning="Deep thought.", finish="length"))
    async with steady.bot():
        asked = await member.mention(place.rooms["member"], "Hello")
        await steady.until_answered([asked])
        reply = steady.discord.replies(asked)[0]
        await press_as_others(steady, reply, others)
    steady.environment["CLAWBOT_DISCORD__BLOCKED_USER_IDS"] += f",{member.id}"
    async with steady.bot():
        await press_as_others(steady, reply, [*others, member])
        edits = len(steady.lm.completions)
        await member.edit(asked, "<@bot> Hello again, though I am blocked")
        pressed = await moderator.click(reply, "Details")
        await pressed.wait_content()
        assert not is_refused(pressed)
        assert len(steady.lm.completions) == edits


async def press_as_others(steady: Deployment, reply: Message, others: list[Person]) -> None:
    """Press every button as people who may not; nothing may come of it."""
    before = len(steady.lm.completions), reply.content
    for person in others:
        for label in LABELS:
            pressed = await person.click(reply, label)
            await pressed.wait_content()
            assert pressed.ephemeral
            assert is_refused(pressed), (person.user.username, label, pressed.content)
    assert (len(steady.lm.completions), reply.content) == before


def is_refused(pressed: Interaction) -> bool:
    """Tell a refusal from what a button does."""
    return pressed.content == _actions.NOT_YOURS or is_denial(pressed.content)


async def test_a_diagnosis_tells_a_member_no_address(steady: Deployment) -> None:
    place = town(steady)
    async with steady.bot():
        made = await place.try_(Identity("member", ALL), "diag network", {})
        told = await place.try_(Identity("owner", ALL), "diag network", {})
        port = str(steady.lm.port)
        await steady.discord.wait_until(lambda: port in told.content)
        assert port not in made.content
        assert "127.0.0.1" not in made.content
