"""``/privacy``: what is kept is shown, handed out, deleted for good, and not read where it shall not be."""

from __future__ import annotations

import asyncio
import gc
import json
import types
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.gateway.services import Services
from cogs.privacy import YES
from sandbox.discord import Channel, DiscordSandbox, Interaction, Message, Permission, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import running, settings_for

WORDS = "zanzibar-marmalade"


@dataclass
class Town:
    """A bot's surroundings: Ada, whose data it is about, and Bob."""

    discord: DiscordSandbox
    lm: LMStudioSandbox
    ada: Person
    bob: Person
    channel: Channel
    folder: Path

    @asynccontextmanager
    async def bot(self, **extra: str) -> AsyncGenerator[None, None]:
        """Run the bot."""
        settings = settings_for(self.discord, self.lm, self.folder, **extra)
        async with running(settings):
            yield

    async def ask(self, who: Person, text: str, **more: Any) -> Message:
        """Ask, and return the answer once it is whole."""
        reply_to = more.get("reply_to")
        asked = await (
            who.mention(self.channel, text)
            if reply_to is None
            else who.reply(reply_to, f"<@bot> {text}")
        )
        await self.discord.wait_until(lambda: self._is_answered(asked))
        return self.discord.replies(asked)[0]

    def _is_answered(self, asked: Message) -> bool:
        replies = self.discord.replies(asked)
        return bool(replies) and not any(b["label"] == "Stop" for m in replies for b in m.buttons)

    async def use(self, who: Person, name: str, **options: object) -> Interaction:
        """Use a command and wait for what it says."""
        used = await who.slash(self.channel, name, **options)
        await used.wait_content()
        return used

    async def say_yes(self, who: Person, asked: Interaction, expected: str = "Deleted") -> str:
        """Press the button that means yes, and return what stands there in the end."""
        assert asked.message is not None
        message = asked.message
        await who.click(message, YES)
        await self.discord.wait_until(lambda: expected in message.content)
        return message.content

    def files_with(self, words: str) -> list[str]:
        """Return the files of the data folder that hold some words."""
        there = [path for path in self.folder.rglob("*") if path.is_file()]
        return [path.name for path in there if words.encode() in path.read_bytes()]

    @property
    def last_prompt(self) -> str:
        """What the model was sent last."""
        return json.dumps(self.lm.completions[-1].body, ensure_ascii=False)


@pytest.fixture
async def town(
    discord: DiscordSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> AsyncGenerator[Town, None]:
    assert channel.guild is not None
    bob = discord.add_user("Bob")
    channel.guild.add_member(bob)
    async with LMStudioSandbox() as lm:
        lm.answer_with(lambda _: Answer("An answer.", reasoning="Some thinking."))
        yield Town(discord, lm, ada, bob, channel, tmp_path)


_PASSED_OVER = (
    types.ModuleType,
    type,
    types.FunctionType,
    types.FrameType,
    asyncio.AbstractEventLoop,
    asyncio.Task,
    DiscordSandbox,
    LMStudioSandbox,
)


def held_in_memory(words: str) -> Iterator[object]:
    """Yield what holds words among all that hangs on the bot's services."""
    waiting: list[object] = [each for each in gc.get_objects() if isinstance(each, Services)]
    assert waiting
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _PASSED_OVER):
            continue
        seen.add(id(one))
        for each in gc.get_referents(one):
            is_text = isinstance(each, str | bytes)
            if is_text and (words if isinstance(each, str) else words.encode()) in each:
                yield one
            elif not is_text:
                waiting.append(each)
        if isinstance(one, types.MethodType):
            waiting.append(one.__self__)


async def test_after_delete_nothing_of_a_persons_words_is_left(town: Town) -> None:
    async with town.bot():
        await town.ask(town.ada, f"{WORDS} one")
        answer = await town.ask(town.bob, "something else")
        await town.bob.say(town.channel, "and a word between")
        town.lm.answer(Answer("Slowly.", pause_after=1))
        running_one = await town.ada.mention(town.channel, f"{WORDS} two")
        await town.discord.wait_reply(running_one)
        shown = await town.use(town.ada, "privacy show")
        assert "2 questions" in shown.content
        assert "1 without an answer" in shown.content
        assert list(held_in_memory(WORDS))
        asked = await town.use(town.ada, "privacy delete")
        assert asked.ephemeral
        done = await town.say_yes(town.ada, asked)
        assert "2 questions" in done
        assert "Stopped: 1" in done
        assert "traces" not in done
        assert town.files_with(WORDS) == []
        gc.collect()
        assert [type(each) for each in held_in_memory(WORDS)] == []
        town.lm.resume()
        pressed = await town.bob.click(answer, "Show thinking")
        await pressed.wait_content()
        assert "Some thinking" in pressed.content
        nothing = await town.use(town.ada, "privacy show")
        assert "No questions" in nothing.content
    assert town.files_with(WORDS) == []


async def test_an_export_holds_a_persons_own_words_and_nobody_elses(town: Town) -> None:
    async with town.bot():
        await town.ask(town.ada, f"{WORDS} one")
        await town.ask(town.bob, "bobs-words for nobody")
        made = await town.use(town.ada, "privacy export")
        assert made.ephemeral
        assert made.message is not None
        [file] = made.message.attachments
        exported = json.loads(file.data)
    assert exported["person"] == str(town.ada.id)
    [question] = exported["questions"]
    assert WORDS in question["text"]
    assert question["thinking"] == "Some thinking."
    assert "bobs-words" not in file.data.decode()
    assert "Bob" not in file.data.decode()


async def test_who_opted_out_is_read_in_their_own_questions_only(town: Town) -> None:
    async with town.bot():
        await town.use(town.ada, "privacy opt-out")
        said = await town.ada.say(town.channel, f"{WORDS} said aside")
        await town.ask(town.bob, "what about this?", reply_to=said)
        assert WORDS not in town.last_prompt
        assert "doesn't want others' questions to read it" in town.last_prompt
        assert "Ada" not in town.last_prompt
        await town.ask(town.ada, "and for me?", reply_to=said)
        assert WORDS in town.last_prompt
    async with town.bot():
        await town.ask(town.bob, "and after a restart?", reply_to=said)
        assert WORDS not in town.last_prompt
        await town.use(town.ada, "privacy opt-in")
        await town.ask(town.bob, "and now?", reply_to=said)
        assert WORDS in town.last_prompt


async def test_a_servers_data_is_for_who_manages_it_itself(town: Town) -> None:
    guild = town.channel.guild
    assert guild is not None
    carol, dan = town.discord.add_user("Carol"), town.discord.add_user("Dan")
    role = guild.add_role("Settings")
    guild.add_member(carol, permissions=Permission.MANAGE_GUILD)
    guild.add_member(dan, roles=[role])
    async with town.bot():
        await town.ask(town.ada, f"{WORDS} one")
        await town.use(carol, "config set", setting="admin_role_ids", value=str(role.id))
        for who in (town.bob, dan):
            refused = await town.use(who, "privacy server delete")
            assert "Manage Server" in refused.content
        shown = await town.use(carol, "privacy server show")
        assert "1 question" in shown.content
        asked = await town.use(carol, "privacy server delete")
        assert asked.message is not None
        guild.remove_member(carol)
        guild.add_member(carol)
        late = await carol.click(asked.message, YES)
        await late.wait_content()
        assert "Manage Server" in late.content
        assert town.files_with(WORDS)
        guild.remove_member(carol)
        guild.add_member(carol, permissions=Permission.MANAGE_GUILD)
        await town.say_yes(carol, asked)
        assert town.files_with(WORDS) == []
        told = await town.use(carol, "config show")
        assert "admin_role_ids `none`" in told.content or "admin_role_ids" not in told.content
