"""Two processes with one database: what is done once nobody has asked any of them for long."""

from __future__ import annotations

import sys
from pathlib import Path

from config.settings import Settings
from sandbox.discord import Channel, DiscordSandbox
from sandbox.lmstudio import LMStudioSandbox, Model, Timing
from tests.e2e.test_shards import SHARDS, Ahead, places
from tests.postgres.test_sharing import ANSWER, is_whole, until
from tests.support.application import running, settings_for
from tests.support.clock import SwiftClock


async def test_models_leave_the_memory_and_their_machine_is_suspended_once_and_not_while_either_answers(
    location: str, tmp_path: Path
) -> None:
    """An answer lasts longer than the others may be idle; unloading its model would cut it."""
    ahead = Ahead()
    suspended, script = tmp_path / "suspended", tmp_path / "suspend.py"
    script.write_text(f"open({str(suspended)!r}, 'a').write('x')")
    async with (
        DiscordSandbox(now=ahead.now) as discord,
        LMStudioSandbox([Model("qwen/qwen3-4b")], Timing(generation_tokens_s=6.5)) as lm,
    ):
        discord.options.shards, discord.options.max_concurrency = SHARDS, SHARDS
        ada = discord.add_user("Ada")
        channels = places(discord, ada, ahead)
        lm.answer(ANSWER)

        def settings(name: str) -> Settings:
            return settings_for(
                discord, lm, tmp_path / name,
                CLAWBOT_DATABASE_URL=location,
                CLAWBOT_DISCORD__SHARDS=str(SHARDS),
                CLAWBOT_LMSTUDIO__UNLOAD_AFTER_S="60",
                CLAWBOT_LMSTUDIO__SUSPEND_AFTER_S="90",
                CLAWBOT_LMSTUDIO__SUSPEND_COMMAND=f"{sys.executable}, {script}",
            )  # fmt: skip

        def done() -> tuple[int, int]:
            unloads = sum(each.path.endswith("/unload") for each in lm.requests)
            return unloads, len(suspended.read_text()) if suspended.exists() else 0

        async def ask(channel: Channel) -> None:
            asked = await ada.mention(channel, "How many ships answered?")
            await discord.wait_reply(asked, until=is_whole, timeout_s=40)

        async with running(settings("a"), SwiftClock(8)), running(settings("b"), SwiftClock(8)):
            for channel in (channels[3], channels[0]):  # one of each process
                before = done()
                await ask(channel)
                wanted = before[0] + 1, before[1] + 1
                await until(lambda: done() == wanted)  # noqa: B023 - waited for here
                assert not lm.engine.instances
