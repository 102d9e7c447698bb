"""Several processes with one database that share the shards and the model's slots."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from sandbox.discord import DiscordSandbox, Message
from sandbox.lmstudio import Answer, LMStudioSandbox, Model, Timing
from tests.e2e.test_asleep import MAC
from tests.e2e.test_shards import SHARDS, Ahead, close, places
from tests.postgres.server import PostgresServer
from tests.support.application import environment_between
from tests.support.process import START_S, clawbot, logged

ANSWER = " ".join(["All eleven ships answered before noon."] * 10) + " The end."
SLOTS = 2
DELIVERED = ("closed", "delivered")


def is_whole(reply: Message) -> bool:
    """Return whether an answer is there to its end."""
    return reply.content.endswith("The end.")


def outcomes(server: PostgresServer, location: str) -> list[tuple[str, str]]:
    """Return what is stored of each question."""
    with server.connection(location) as connection:
        rows = connection.exec_driver_sql("SELECT state, outcome FROM questions").all()
    return [(row[0], row[1]) for row in rows]


def counted_log_ins(server: PostgresServer, location: str) -> list[float]:
    """Return the times of log-ins that are counted against those of a day."""
    with server.connection(location) as connection:
        query = "SELECT value FROM state WHERE key = 'identifies'"
        return list(json.loads(str(connection.exec_driver_sql(query).scalar())))


async def until(condition: Callable[[], bool]) -> None:
    """Ask another program again and again, which announces nothing."""
    async with asyncio.timeout(START_S):
        while not condition():  # noqa: ASYNC110 - nothing here can set an event
            await asyncio.sleep(0.02)


class Harbour:
    """A guild for each shard, the model, and processes that share them.

    Attributes:
        channels: One in the guild of each shard.
        location: Where the processes have the database.
    """

    def __init__(
        self,
        discord: DiscordSandbox,
        lm: LMStudioSandbox,
        folder: Path,
        location: str,
        clock: Ahead,
    ) -> None:
        discord.options.shards, discord.options.max_concurrency = SHARDS, SHARDS
        self.discord = discord
        self.lm = lm
        self.ada = discord.add_user("Ada")
        self.channels = places(discord, self.ada, clock)
        self._folder = folder
        self.location = location

    def process(
        self, name: str, shards: int = SHARDS, environment: Mapping[str, str] = {}
    ) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        """Start a process, and end it."""
        whole = environment_between(
            self.discord,
            self.lm,
            self._folder / name,
            CLAWBOT_DATABASE_URL=self.location,
            CLAWBOT_DISCORD__SHARDS=str(shards),
            CLAWBOT_QUEUE__SLOTS=str(SLOTS),
            **environment,
        )
        return clawbot(folder=self._folder, environment=whole)

    async def ask_everywhere(self, words: str) -> None:
        """Ask in each shard, and wait for the answers."""
        asked = [await self.ada.mention(channel, words) for channel in self.channels.values()]
        for message in asked:
            reply = await self.discord.wait_reply(message, timeout_s=60)
            await self.discord.wait_until(partial(is_whole, reply), timeout_s=60)


@pytest.fixture
async def harbour(location: str, tmp_path: Path) -> AsyncGenerator[Harbour, None]:
    clock = Ahead()
    timing = Timing(prefill_tokens_s=4000, generation_tokens_s=60)
    async with (
        DiscordSandbox(now=clock.now) as discord,
        LMStudioSandbox([Model("qwen/qwen3-4b", parallel=4)], timing) as lm,
    ):
        lm.answer(ANSWER)
        yield Harbour(discord, lm, tmp_path, location, clock)


async def test_each_question_is_answered_once_by_whoever_holds_its_shard(
    server: PostgresServer, location: str, harbour: Harbour
) -> None:
    async with harbour.process("a") as first:
        await logged(first, b"online as")
        await harbour.ask_everywhere("How many ships answered?")
        async with harbour.process("b") as second:
            await logged(second, b"online as")
            await logged(first, b"left shard 3")
            await logged(first, b"left shard 2")
            await harbour.ask_everywhere("And in the evening?")
            lost = next(
                one for one in harbour.discord.gateway.sessions.all() if one.shard == (0, SHARDS)
            )
            harbour.discord.gateway.sessions.remove(lost)
            close(lost, 4009)
            await harbour.ask_everywhere("And a minute later?")
            first.kill()
            await harbour.ask_everywhere("And at noon?")
            async with harbour.process("c") as third:
                await logged(third, b"online as")
                second.terminate()
                await harbour.ask_everywhere("And at night?")
                await until(lambda: outcomes(server, location) == [DELIVERED] * 5 * SHARDS)
    assert len(harbour.discord.bot_messages) == 5 * SHARDS
    assert len(counted_log_ins(server, location)) == len(harbour.discord.identifies)
    assert harbour.lm.options.counters.peak_active <= SLOTS


async def test_what_somebody_has_deleted_by_one_process_is_written_again_by_none(
    server: PostgresServer, location: str, harbour: Harbour
) -> None:
    ada = harbour.ada
    async with harbour.process("a") as first:
        await logged(first, b"online as")
        async with harbour.process("b") as second:
            await logged(first, b"left shard 2")
            await logged(second, b"online as")
            harbour.lm.answer(Answer("Slowly.", pause_after=1))
            asked = await ada.mention(harbour.channels[3], "How many ships answered?")
            await harbour.discord.wait_reply(asked, timeout_s=20)
            used = await ada.slash(harbour.channels[0], "privacy delete")
            await used.wait_content()
            assert used.message is not None
            await ada.click(used.message, "Delete it")
            await harbour.discord.wait_until(
                lambda: "Deleted" in str(used.message and used.message.content), timeout_s=20
            )
            assert outcomes(server, location) == []
            harbour.lm.resume()
            harbour.lm.answer(ANSWER)
            await harbour.ask_everywhere("And at noon?")
            await until(lambda: outcomes(server, location) == [DELIVERED] * SHARDS)


async def test_two_processes_have_one_line(harbour: Harbour) -> None:
    ada, discord, channels = harbour.ada, harbour.discord, harbour.channels
    async with harbour.process("a") as first:
        await logged(first, b"online as")
        async with harbour.process("b") as second:
            await logged(first, b"left shard 2")
            await logged(second, b"online as")
            harbour.lm.answer(Answer(ANSWER, pause_after=1))
            running = [await ada.mention(channels[n], "How many ships?") for n in (0, 3)]
            for message in running:
                await discord.wait_reply(message, timeout_s=20)
            next_one = await ada.mention(channels[2], "And in the evening?")
            shown = await discord.wait_reply(next_one, timeout_s=20)
            await discord.wait_until(lambda: "Next in line" in shown.content, timeout_s=20)
            last = await ada.mention(channels[1], "And at noon?")
            waiting = await discord.wait_reply(last, timeout_s=20)
            await discord.wait_until(lambda: "In line (2nd)" in waiting.content, timeout_s=20)
            for where in (channels[0], channels[3]):
                report = await ada.slash(where, "diag queue")
                await report.wait_content()
                assert "2 being answered on 2 slots, 2 waiting." in report.content
                assert report.content.count("by another process") == 2
            await ada.click(shown, "Stop")
            await discord.wait_until(lambda: "Next in line" in waiting.content, timeout_s=20)
            harbour.lm.answer(ANSWER)
            harbour.lm.resume()
            for message in (*running, last):
                reply = await discord.wait_reply(message, timeout_s=20)
                await discord.wait_until(partial(is_whole, reply), timeout_s=20)
    assert harbour.lm.options.counters.peak_active <= SLOTS


async def test_what_owners_change_in_one_process_holds_in_the_other(harbour: Harbour) -> None:
    ada, discord, lm, channels = harbour.ada, harbour.discord, harbour.lm, harbour.channels

    async def used(command: str, words: str, **options: str | int) -> None:
        interaction = await ada.slash(channels[0], command, **options)
        await discord.wait_until(lambda: words in interaction.content, timeout_s=20)

    extra = {"CLAWBOT_OWNER_IDS": str(ada.id)}
    lm.answer("The end.")
    async with harbour.process("a", environment=extra) as first:
        await logged(first, b"online as")
        async with harbour.process("b", environment=extra) as second:
            await logged(first, b"left shard 2")
            await logged(second, b"online as")
            await used(
                "config set", "temperature", setting="temperature", value="0.3", scope="global"
            )
            await used("persona set", "sailor", text="Speak like a sailor.", scope="global")
            await used("model drain", "taken out", server=1)
            asked = await ada.mention(channels[3], "How many ships answered?")
            reply = await discord.wait_reply(asked, timeout_s=20)
            await discord.wait_until(lambda: "doesn't answer" in reply.content, timeout_s=20)
            assert not lm.completions
            await used("model undrain", "gets questions again", server=1)
            await discord.wait_until(lambda: is_whole(reply), timeout_s=20)
    body = lm.completions[-1].body
    assert isinstance(body, dict)
    assert body["temperature"] == 0.3
    assert "Speak like a sailor." in str(body["messages"])


async def test_what_owners_change_holds_also_where_the_database_has_no_connection_to_hear_of_it(
    server: PostgresServer, location: str, harbour: Harbour
) -> None:
    ada, discord, lm, channels = harbour.ada, harbour.discord, harbour.lm, harbour.channels
    user = location.rpartition("/")[2]
    with server.connection() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {user} LOGIN PASSWORD 'x' CONNECTION LIMIT 5")
        connection.exec_driver_sql(f"ALTER DATABASE {user} OWNER TO {user}")
    harbour.location = server.url(user, user=user, password="x")

    async def reported() -> str:
        report = await ada.slash(channels[3], "diag network")
        await discord.wait_until(lambda: "Storage" in report.content, timeout_s=20)
        return report.content

    extra = {"CLAWBOT_OWNER_IDS": str(ada.id), "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000"}
    lm.answer("The end.")
    async with harbour.process("a", environment=extra) as first:
        await logged(first, b"online as")
        async with harbour.process("b", environment=extra) as second:
            await logged(first, b"left shard 2")
            await logged(second, b"online as")
            used = await ada.slash(
                channels[0], "config set", setting="temperature", value="0.3", scope="global"
            )
            await used.wait_content()
            async with asyncio.timeout(START_S):
                while '"temperature": 0.3' not in json.dumps(
                    [each.body for each in lm.completions]
                ):
                    asked = await ada.mention(channels[3], "How many ships answered?")
                    await discord.wait_reply(asked, until=is_whole, timeout_s=20)
            assert "it has too many connections" in await reported()
            with server.connection() as connection:
                connection.exec_driver_sql(f"ALTER ROLE {user} CONNECTION LIMIT 6")
            await logged(second, b"is heard at once again")
            assert "too many connections" not in await reported()


async def test_another_number_of_shards_holds_once_all_that_had_the_old_one_have_ended(
    server: PostgresServer, location: str, harbour: Harbour
) -> None:
    async with harbour.process("a") as old:
        await logged(old, b"online as")
        async with harbour.process("b", 2 * SHARDS) as new:
            await logged(new, f"there are {SHARDS} shards".encode())
            await logged(new, b"online as")
            await harbour.ask_everywhere("How many ships answered?")
            old.terminate()
            await harbour.ask_everywhere("And in the evening?")
            new.terminate()
            await new.wait()
    async with harbour.process("a", 2 * SHARDS) as new:
        await logged(new, b"online as")
        await harbour.ask_everywhere("And at noon?")
        await until(lambda: outcomes(server, location) == [DELIVERED] * 3 * SHARDS)


async def test_a_deletion_that_was_told_while_nobody_listened_is_heard_afterwards(
    server: PostgresServer, location: str, harbour: Harbour
) -> None:
    """Another process keeps what it tells; the connection that hears it was broken at that moment."""
    async with harbour.process("a") as process:
        await logged(process, b"online as")
        harbour.lm.answer(Answer("Slowly.", pause_after=1))
        asked = await harbour.ada.mention(harbour.channels[3], "How many ships answered?")
        await harbour.discord.wait_reply(asked, timeout_s=20)
        await harbour.lm.wait_until(lambda: _is_busy(harbour.lm), timeout_s=20)
        about = json.dumps(f"person {harbour.ada.id}")
        with server.connection(location) as connection:
            connection.exec_driver_sql(
                "INSERT INTO state VALUES ('deletion:7', %s, extract(epoch FROM now()) * 1000)",
                (about,),
            )
        with server.connection() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
            )
        await harbour.lm.wait_until(lambda: not _is_busy(harbour.lm), timeout_s=20)


async def test_questions_at_two_processes_wake_the_machine_and_are_answered_once_each(
    harbour: Harbour,
) -> None:
    ada, discord, lm = harbour.ada, harbour.discord, harbour.lm
    bob = discord.add_user("Bob")
    for channel in harbour.channels.values():
        assert channel.guild is not None
        channel.guild.add_member(bob)
    lm.answer("Hello.")
    port = await lm.sleep(MAC)
    sleeper = {
        "CLAWBOT_LMSTUDIO__WAKE": f"{MAC}@127.0.0.1:{port}",
        "CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "600",
        "CLAWBOT_QUEUE__BURST_WINDOW_S": "0",
        "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "100",
    }
    async with harbour.process("a", environment=sleeper) as first:
        await logged(first, b"online as")
        async with harbour.process("b", environment=sleeper) as second:
            await logged(first, b"left shard 2")
            await logged(second, b"online as")
            asked = [
                await (ada, bob)[turn % 2].mention(channel, f"Question {4 * turn + number}")
                for turn in range(4)
                for number, channel in enumerate(harbour.channels.values())
            ]
            for message in asked:
                await discord.wait_reply(
                    message, until=lambda m: m.content == "Hello.", timeout_s=60
                )
    assert lm.card is not None
    assert lm.card.packets
    assert len(discord.bot_messages) == len(asked)
    questions = [str(each.body).rsplit("Question ", 1)[1] for each in lm.completions]
    order = [int(re.split(r"\D", each, maxsplit=1)[0]) for each in questions]
    assert sorted(order) == list(range(len(asked)))
    for person_and_channel in range(2 * SHARDS):
        own = [each for each in order if each % (2 * SHARDS) == person_and_channel]
        assert own == sorted(own)


def _is_busy(lm: LMStudioSandbox) -> bool:
    return any(instance.active for instance in lm.engine.instances.values())
