"""``/persona``: seen as the model gets it before it holds, and taken along as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Interaction, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for


@dataclass
class PersonaCommands:
    """Where Ada writes personas."""

    ada: Person
    channel: Channel

    async def use(self, name: str, **options: object) -> Interaction:
        """Use a command and wait for its answer: words, or a form."""
        made = await self.ada.slash(self.channel, f"persona {name}", **options)
        return await made.wait_answer()

    async def held(self) -> str:
        """Return what holds here."""
        return (await self.use("show")).content

    async def send(self, form: Interaction, text: str) -> Interaction:
        """Send a form off and wait for the preview."""
        made = await self.ada.submit(form, {"Persona": text})
        await made.wait_content()
        return made

    async def press(self, shown: Interaction, label: str) -> Interaction:
        """Press a button of a preview."""
        assert shown.message is not None
        made = await self.ada.click(shown.message, label)
        return await made.wait_answer()


async def test_a_persona_is_written_seen_and_used(
    discord: DiscordSandbox, ada: Person, channel: Channel, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    persona = PersonaCommands(ada, channel)
    async with running(settings_for(discord, lm, tmp_path)):
        opened = await persona.use("edit", preset="coder")
        assert "software engineer" in str(opened.modal)
        seen = await persona.send(opened, "You are {bot} of #{channel}.")
        for words in (f"of #{channel.name}.", "what the model would get first", "Nothing is chang"):
            assert words in seen.content
        assert "You are {bot} of" not in await persona.held()
        again = await persona.press(seen, "Edit")
        assert "You are {bot} of #{channel}." in str(again.modal)
        left = await persona.press(seen, "Leave it")
        assert "Nothing was changed" in left.content
        better = await persona.send(again, "You are {bot}, a pirate.")
        await persona.press(better, "Use it")
        assert "a pirate" in await persona.held()


async def test_a_persona_is_taken_along_as_a_file(
    discord: DiscordSandbox, ada: Person, channel: Channel, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    persona = PersonaCommands(ada, channel)
    async with running(settings_for(discord, lm, tmp_path)):
        await persona.use("set", text="You are a pirate.")
        exported = await persona.use("export")
        assert exported.message is not None
        [file] = exported.message.attachments
        assert file.data.decode() == "You are a pirate."
        long_file = ("p.txt", ("Ä" * 5000).encode())
        seen = await persona.use("import", file=long_file, scope="channel")
        assert "more characters" in seen.content
        await persona.press(seen, "Use it")
        assert "ÄÄÄ" in await persona.held()
        exported = await persona.use("export")
        assert exported.message is not None
        assert exported.message.attachments[0].data.decode() == "You are a pirate.", "the server's"
        assert "/persona export" in (await persona.use("edit", scope="channel")).content
        seen = await persona.use("import", file=("p.txt", "You are Jörg.".encode("utf-16")))
        assert "You are Jörg." in seen.content
        for data, words in (
            (b"\xff\xfe\x00", "no plain text"),
            (b"", "no plain text"),
            (b"x" * 24_001, "too large"),
            (b"x" * 6_001, "at most 6000 characters"),
            (b"x" * 6_001, "this one has 6001"),
            (b"You are kind.\x0cTruly.", "without control characters"),
        ):
            refused = await persona.use("import", file=("p.txt", data))
            assert words in refused.content, (words, refused.content)


async def test_what_is_no_placeholder_and_what_may_be_a_presets_name_is_told(
    discord: DiscordSandbox, ada: Person, channel: Channel, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    persona = PersonaCommands(ada, channel)
    async with running(settings_for(discord, lm, tmp_path)):
        done = await persona.use("set", text="You are {bot} for {name} on {Datum}: {{x}} ${y} {1}.")
        assert "{name} and {Datum} aren't filled in" in done.content
        assert "{bot}, {server}, {channel}, {user}, {date} and {time}" in done.content
        form = await persona.use("edit")
        seen = await persona.send(form, "You are {bot}, a friend of {name}.")
        assert "{name} isn't filled in" in seen.content
        seen = await persona.send(form, "You are {bot}, a friend of {user}.")
        assert "filled in" not in seen.content
        done = await persona.use("set", text="pirate")
        assert "presets of these names: helper" in done.content
        done = await persona.use("set", text="あなたは親切な先生です。")
        assert "⚠️" not in done.content
        cleared = await persona.use("clear")
        assert cleared.content.startswith("Removed. **system_prompt** `You are")
        assert "from the default" in cleared.content
