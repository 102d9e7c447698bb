"""Discord waits three seconds for a first sign, however long the database or the model's machine takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.discord.values.command_types import SUBCOMMAND, SUBCOMMAND_GROUP
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import running, settings_for

MODEL = "qwen/qwen3-next-80b"
VALUES: dict[str, object] = {
    "model": MODEL,
    "setting": "temperature",
    "value": "0.3",
    "prompt": "Hello?",
    "text": "Be a pirate",
    "address": "127.0.0.1:9",
    "server": 1,
    "file": ("p.txt", b"Be a file"),
}
"""What each required option of a command is given."""


def every_command(discord: DiscordSandbox) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield each registered slash command with its required options."""
    for command in discord.world.commands.scope(None).values():
        if command["type"] == 1:
            yield from _leaves(command["name"], command)


def _leaves(name: str, command: dict[str, Any]) -> Iterator[tuple[str, dict[str, object]]]:
    options = command.get("options") or []
    below = [each for each in options if each["type"] in {SUBCOMMAND, SUBCOMMAND_GROUP}]
    for each in below:
        yield from _leaves(f"{name} {each['name']}", each)
    if not below:
        yield name, {each["name"]: VALUES[each["name"]] for each in options if each.get("required")}


async def _answered(discord: DiscordSandbox, ada: Person, channel: Channel, text: str) -> Message:
    asked = await ada.mention(channel, text)
    return await discord.wait_reply(asked, until=lambda reply: bool(reply.components))


async def test_every_command_and_what_changes_something_is_acknowledged_before_it_is_done(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    owner = discord.owner
    guild = discord.add_guild("Home", owner=owner)
    channel = guild.add_channel("general")
    lm.answer(Answer("Fine."))
    async with running(settings_for(discord, lm, tmp_path)):
        await discord.wait_command("config")
        reply = await _answered(discord, owner, channel, "Hello?")
        page = await owner.slash(channel, "setup")
        question = await owner.slash(channel, "privacy delete")
        shown = [await each.wait_content() for each in (page, question)]
        await lm.blackhole()
        for name, options in every_command(discord):
            used = await (await owner.slash(channel, name, **options)).wait_response()
            assert used.deferred is not (name == "persona edit"), name
        menu = await owner.context_menu(reply, "Ask about this")
        part = f"clawbot:setup:model:{owner.id}"
        chosen = await owner.select(shown[0], part, [MODEL])
        done = await owner.click(shown[1], "Delete it")
        for used in (menu, chosen, done):
            assert (await used.wait_response()).deferred
