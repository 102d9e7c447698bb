"""``/privacy``: what is kept is shown, handed out, deleted for good, and not read where it shall not be."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sqlite3
import types
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.core.clock import Clock
from bot.gateway.client import Services
from cogs.privacy import YES
from sandbox.discord import Channel, DiscordSandbox, Interaction, Message, Permission, Person
from sandbox.discord.faults import Fault
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import running, settings_for
from tests.support.clock import SwiftClock

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
    async def bot(self, clock: Clock | None = None, **extra: str) -> AsyncGenerator[None, None]:
        """Run the bot."""
        settings = settings_for(self.discord, self.lm, self.folder, **extra)
        async with running(settings, clock):
            yield

    async def ask(self, who: Person, text: str, **more: Any) -> Message:
        """Ask, and return the answer once it is whole."""
        reply_to = more.get("reply_to")
        asked = await (
            who.mention(self.channel, text)
            if reply_to is None
            else who.reply(reply_to, f"<@bot> {text}")
        )
        await self.discord.wait_until(lambda: self.is_answered(asked))
        return self.discord.replies(asked)[0]

    def is_answered(self, asked: Message) -> bool:
        """Return whether the whole answer is there."""
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

    async def prompt_with(self, marker: str, after: int) -> str:
        """Wait for the prompt of a question that says something, and return it."""

        def found() -> str:
            prompts = [json.dumps(each.body) for each in self.lm.completions[after:]]
            return next((each for each in prompts if marker in each), "")

        await self.lm.wait_until(found)
        return found()

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


async def test_a_question_whose_thread_is_being_made_is_deleted_with_the_others(town: Town) -> None:
    async with town.bot(CLAWBOT_CHAT__ANSWER_IN="thread"):
        await town.discord.wait_command("privacy")
        slow = town.discord.faults.add(Fault("POST", "/threads", delay_s=4.0))
        asked = await town.use(town.ada, "privacy delete")
        mention = await town.ada.mention(town.channel, f"{WORDS} in a thread")
        await town.discord.wait_until(lambda: slow.played)
        await town.say_yes(town.ada, asked)
        thread = await town.discord.wait_until(lambda: mention.thread)
        assert thread is not None
        await town.discord.wait_until(
            lambda: any(each.author.is_bot for each in thread.messages.values())
        )
        assert town.files_with(WORDS) == []
    assert town.lm.completions == []


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


async def test_an_export_that_takes_several_files_hands_all_of_them_out(town: Town) -> None:
    async with town.bot():
        for number in range(2):
            await town.ask(town.ada, f"{WORDS} {number}")
    with contextlib.closing(sqlite3.connect(town.folder / "clawbot.db")) as database:
        database.execute("UPDATE questions SET thinking = ?", (json.dumps("x" * (5 * 2**20)),))
        database.commit()
    async with town.bot():
        made = await town.use(town.ada, "privacy export")
        await town.discord.wait_until(lambda: len(made.messages) == 2)
    files = [file for each in made.messages for file in each.attachments]
    assert [each.filename for each in files] == ["clawbot-data-1.json", "clawbot-data-2.json"]
    told = [question["text"] for file in files for question in json.loads(file.data)["questions"]]
    assert [WORDS in each for each in told] == [True, True]


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


async def test_an_opt_out_holds_in_every_way_that_words_are_read(town: Town) -> None:
    guild = town.channel.guild
    assert guild is not None
    ways = (
        (_in_a_chain, "for-bob", "mention"),
        (_in_a_summary, "Summarise the conv", "mention"),
        (_in_a_menu, "Explain this message", "mention"),
        (_in_a_file, "for-bob", "mention"),
        (_in_a_forward, "for-bob", "mention"),
        (_in_a_conversation, "for-bob", "every_message"),
    )
    rooms = {way: guild.add_channel(f"room-{number}") for number, (way, *_) in enumerate(ways)}
    for mode in ("mention", "every_message"):
        async with town.bot(CLAWBOT_CHAT__ANSWER_TO=mode):
            await town.use(town.ada, "privacy opt-out")
            for way, marker, its_mode in ways:
                if its_mode != mode:
                    continue
                before = len(town.lm.completions)
                await way(town, rooms[way])
                bobs = await town.prompt_with(marker, before)
                assert WORDS not in bobs, (way, bobs)
                assert "Ada" not in bobs, (way, bobs)


async def _in_a_chain(town: Town, room: Channel) -> None:
    first = await town.ada.say(room, f"{WORDS} first")
    second = await town.bob.reply(first, "in between")
    third = await town.ada.reply(second, f"{WORDS} third")
    await town.bob.reply(third, "<@bot> for-bob")


async def _in_a_summary(town: Town, room: Channel) -> None:
    first = await town.bob.say(room, "from here")
    await town.ada.say(room, f"{WORDS} in the middle")
    await town.bob.context_menu(first, "Summarise from here")


async def _in_a_menu(town: Town, room: Channel) -> None:
    said = await town.ada.say(room, f"{WORDS} about")
    await town.bob.context_menu(said, "Ask about this")


async def _in_a_file(town: Town, room: Channel) -> None:
    said = await town.ada.say(room, "see", files=[("Ada.txt", WORDS.encode())])
    await town.bob.reply(said, "<@bot> for-bob")


async def _in_a_forward(town: Town, room: Channel) -> None:
    said = await town.ada.say(room, f"{WORDS} to be forwarded")
    carried = await town.bob.say(room, forward=said)
    await town.bob.reply(carried, "<@bot> for-bob")


async def _in_a_conversation(town: Town, room: Channel) -> None:
    said = await town.ada.say(room, f"{WORDS} in passing")
    await town.discord.wait_until(lambda: town.is_answered(said))
    await town.bob.mention(room, "for-bob, what was said?")


async def test_a_server_that_was_left_is_forgotten_after_its_days_and_not_when_it_came_back(
    town: Town,
) -> None:
    bot, kept = town.discord.bot_user, town.channel.guild
    assert kept is not None
    left = town.discord.add_guild("Left", owner=town.ada)
    there = left.add_channel("there")
    clock = SwiftClock(1)

    def questions() -> set[int]:
        with contextlib.closing(sqlite3.connect(town.folder / "clawbot.db")) as database:
            return {row[0] for row in database.execute("SELECT guild_id FROM questions")}

    async with town.bot(clock):
        for room in (town.channel, there):
            asked = await town.ada.mention(room, WORDS)
            await town.discord.wait_until(lambda asked=asked: town.is_answered(asked))  # type: ignore[misc]
        for guild in (kept, left):
            guild.remove_member(bot)
    clock.skip(13 * 86_400)
    async with town.bot(clock):
        kept.add_bot(bot)
        await town.use(town.ada, "help")
    assert questions() == {kept.id, left.id}
    clock.skip(2 * 86_400)
    async with town.bot(clock):
        for _ in range(50):
            if questions() == {kept.id}:
                break
            await town.use(town.ada, "help")
    assert questions() == {kept.id}


async def test_a_deletion_forgets_where_direct_messages_were_written(town: Town) -> None:
    async with town.bot():
        for who in (town.ada, town.bob):
            asked = await who.dm("Hello?")
            await town.discord.wait_until(lambda asked=asked: town.is_answered(asked))  # type: ignore[misc]
        channel_id = str(town.ada.dm_channel.id)
        await town.discord.wait_until(lambda: town.files_with(channel_id))
        asked_for = await town.use(town.ada, "privacy delete")
        await town.say_yes(town.ada, asked_for)
        assert town.files_with(channel_id) == []
        assert town.files_with(str(town.bob.dm_channel.id))


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
            assert "Manage Server permission itself" in refused.content
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
