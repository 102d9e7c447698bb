"""Which permissions an answer needs is written down once, and the invitation grants exactly those."""

from __future__ import annotations

import re
from pathlib import Path

import discord
import pytest

from bot.core.errors import DeliveryForbiddenError
from bot.core.permissions import NEEDED, NEEDED_IN_THREADS, USEFUL, listed, missing
from bot.diagnostics.discord_side import DiscordFacts, discord_findings
from bot.diagnostics.values import Status, Step

README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
ALL = {**NEEDED, **NEEDED_IN_THREADS, **USEFUL}


def invited() -> discord.Permissions:
    """Return what the README's invitation grants."""
    found = re.search(r"oauth2/authorize\?\S*&permissions=(\d+)", README)
    assert found is not None
    return discord.Permissions(int(found[1]))


def test_the_invitation_grants_exactly_what_is_asked_for() -> None:
    assert invited() == discord.Permissions(**dict.fromkeys(ALL, True))


def test_the_readme_names_each_permission_of_the_invitation() -> None:
    sentence = README[README.index("It asks for") :].partition(".\n")[0].replace("\n", " ")
    assert [title for title in ALL.values() if title not in sentence] == []


@pytest.mark.parametrize("is_thread", [False, True])
def test_whoever_took_the_invitation_is_told_that_nothing_is_missing(is_thread: bool) -> None:
    granted = invited()
    held = frozenset(name for name in granted.VALID_FLAGS if getattr(granted, name))
    assert missing(held, is_thread=is_thread) == ([], [])
    found = discord_findings(DiscordFacts(0.1, held, is_thread))
    assert next(one for one in found if one.step is Step.PERMISSIONS).status is Status.OK


def test_in_a_voice_channel_connect_is_missing_too() -> None:
    assert missing(NEEDED, is_thread=False, is_voice=True)[0] == ["Connect"]
    assert missing({*NEEDED, "connect"}, is_thread=False, is_voice=True)[0] == []
    found = discord_findings(DiscordFacts(0.1, frozenset(NEEDED), is_voice=True))
    [finding] = [one for one in found if one.step is Step.PERMISSIONS]
    assert finding.status is Status.FAILED
    assert "Connect" in finding.cause


def test_a_refusal_by_discord_names_what_is_needed() -> None:
    assert all(title in DeliveryForbiddenError.admin_hint for title in NEEDED.values())


def test_names_are_listed_as_a_person_does() -> None:
    assert listed(["A"]) == "A"
    assert listed(["A", "B", "C"]) == "A, B and C"
