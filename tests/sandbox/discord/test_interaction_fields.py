"""What a response's message and a callback's answer tell about the interaction."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.discord import Channel, DiscordSandbox, Interaction, Message, Person
from tests.sandbox.discord.clients import Rest

GO = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Go", "custom_id": "go"}]}
NAME = {"type": 1, "components": [{"type": 4, "style": 1, "label": "Name", "custom_id": "n"}]}


class Asked:
    """A used command, and what the bot does about it."""

    def __init__(self, discord: DiscordSandbox, rest: Rest) -> None:
        self._base = f"/webhooks/{discord.bot_user.id}"
        self._rest = rest

    async def respond(self, made: Interaction, kind: int, **data: object) -> Any:
        """Return the callback's answer."""
        path = f"/interactions/{made.id}/{made.token}/callback?with_response=true"
        return (await self._rest("POST", path, {"type": kind, "data": data})).body

    async def follow(self, made: Interaction, text: str) -> Any:
        """Return the follow-up."""
        return (await self._rest("POST", f"{self._base}/{made.token}", {"content": text})).body


@pytest.fixture
async def bot(discord: DiscordSandbox, rest: Rest) -> Asked:
    commands = [
        {"name": "ask", "description": "d"},
        {"name": "About this", "type": 3},
        {"name": "About them", "type": 2},
    ]
    await rest("PUT", f"/applications/{discord.bot_user.id}/commands", commands)
    return Asked(discord, rest)


async def test_a_commands_message_names_who_used_it_and_no_command(
    bot: Asked, channel: Channel, ada: Person
) -> None:
    used = await ada.slash(channel, "ask")
    told = await bot.respond(used, 4, content="hi")
    about = told["resource"]["message"]["interaction_metadata"]
    assert (about["id"], about["type"]) == (str(used.id), 2)
    assert about["user"]["id"] == str(ada.id)
    assert "name" not in about
    assert channel.guild is not None
    assert about["authorizing_integration_owners"] == {"0": str(channel.guild.id)}
    further = await bot.follow(used, "more")
    assert (
        further["interaction_metadata"]["original_response_message_id"]
        == told["interaction"]["response_message_id"]
    )


async def _shown(bot: Asked, channel: Channel, ada: Person) -> Message:
    """Return a response with a button."""
    used = await ada.slash(channel, "ask")
    await bot.respond(used, 4, content="press", components=[GO])
    return await used.wait_content()


async def test_a_buttons_message_names_the_message_it_is_on(
    bot: Asked, channel: Channel, ada: Person
) -> None:
    shown = await _shown(bot, channel, ada)
    clicked = await ada.click(shown, "Go")
    told = await bot.respond(clicked, 4, content="pressed")
    about = told["resource"]["message"]["interaction_metadata"]
    assert (about["type"], about["interacted_message_id"]) == (3, str(shown.id))


async def test_a_modals_message_names_what_opened_it(
    bot: Asked, channel: Channel, ada: Person
) -> None:
    clicked = await ada.click(await _shown(bot, channel, ada), "Go")
    opened = await bot.respond(clicked, 9, custom_id="m", title="t", components=[NAME])
    assert "resource" not in opened
    sent = await ada.submit(clicked, {"Name": "Ada"})
    ids = [part["id"] for row in sent.data["components"] for part in (row, *row["components"])]
    assert ids == [1, 2]
    told = await bot.respond(sent, 4, content="thanks")
    about = told["resource"]["message"]["interaction_metadata"]
    assert about["type"] == 5
    assert about["triggering_interaction_metadata"]["id"] == str(clicked.id)


async def test_a_menus_message_names_what_it_was_opened_on(
    bot: Asked, channel: Channel, ada: Person
) -> None:
    said = await ada.say(channel, "words")
    on_message = await ada.context_menu(said, "About this")
    told = await bot.respond(on_message, 4, content="hi")
    about = told["resource"]["message"]["interaction_metadata"]
    assert about["target_message_id"] == str(said.id)
    on_person = await ada.context_menu(ada, "About them", channel)
    told = await bot.respond(on_person, 4, content="hi")
    about = told["resource"]["message"]["interaction_metadata"]
    assert about["target_user"]["id"] == str(ada.id)


@pytest.mark.parametrize(("kind", "has_resource"), [(4, True), (5, False), (6, False), (7, True)])
async def test_only_a_message_that_is_there_is_a_resource(
    bot: Asked, channel: Channel, ada: Person, kind: int, has_resource: bool
) -> None:
    clicked = await ada.click(await _shown(bot, channel, ada), "Go")
    told = await bot.respond(clicked, kind, content="x")
    assert ("resource" in told) is has_resource
    assert told["interaction"]["id"] == str(clicked.id)
    assert told["interaction"]["response_message_id"]
