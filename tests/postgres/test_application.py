"""The whole application on a PostgreSQL server that is away for a while."""

from __future__ import annotations

from pathlib import Path

from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import Answer, LMStudioSandbox, Model
from tests.postgres.server import PostgresServer
from tests.support.application import running, settings_for


async def test_questions_are_answered_once_while_the_database_is_away(
    server: PostgresServer, location: str, tmp_path: Path
) -> None:
    async with DiscordSandbox() as discord, LMStudioSandbox([Model("qwen/qwen3-4b")]) as lm:
        ada = discord.add_user("Ada")
        channel = discord.add_guild("Home", owner=ada).add_channel("general")
        settings = settings_for(discord, lm, tmp_path, CLAWBOT_DATABASE_URL=location)
        answers = ("Paris.", "Rome.", "Oslo.")
        lm.script(*(Answer(answer) for answer in answers))

        async def ask(answer: str) -> None:
            asked = await ada.mention(channel, "And the capital of the next one?")
            reply = await discord.wait_reply(asked)
            await discord.wait_until(lambda: reply.content == answer)

        async with running(settings):
            await ask("Paris.")
            server.stop()
            await ask("Rome.")
            server.start()
        async with running(settings):
            await ask("Oslo.")
        assert [message.content for message in discord.bot_messages] == list(answers)
        with server.connection(location) as connection:
            stored = connection.exec_driver_sql("SELECT state, outcome FROM questions").all()
    assert [tuple(row) for row in stored] == [("closed", "delivered")] * 3
