"""What two processes with one database do with the model and its machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from tests.postgres.test_sharing import Harbour, harbour, is_whole
from tests.support.process import logged

__all__ = ["harbour"]


@asynccontextmanager
async def two_of(
    harbour: Harbour, **extra: str
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, asyncio.subprocess.Process], None]:
    """Run two processes, of which the first has shards 0 and 1, the second 2 and 3."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(harbour.process("a", environment=extra))
        await logged(first, b"online as")
        second = await stack.enter_async_context(harbour.process("b", environment=extra))
        await logged(first, b"left shard 2")
        await logged(second, b"online as")
        yield first, second


async def test_a_server_that_is_taken_out_by_one_process_is_out_in_the_other(
    harbour: Harbour,
) -> None:
    ada, discord, channels = harbour.ada, harbour.discord, harbour.channels
    async with two_of(harbour, CLAWBOT_OWNER_IDS=str(ada.id)):
        used = await ada.slash(channels[0], "model drain", server=1)
        await discord.wait_until(lambda: "Server 1 is taken out." in used.content)
        asked = await ada.mention(channels[3], "How many ships answered?")
        reply = await discord.wait_reply(asked)
        report = await ada.slash(channels[3], "diag queue")
        await report.wait_content()
        assert "Server 1: taken out by an owner" in report.content
        back = await ada.slash(channels[2], "model undrain", server=1)
        await back.wait_content()
        await discord.wait_until(partial(is_whole, reply))


async def test_the_operator_is_told_that_copies_are_loaded_by_one_process_only(
    harbour: Harbour,
) -> None:
    copies = {"CLAWBOT_LMSTUDIO__EXTRA_COPIES": "1", "CLAWBOT_LMSTUDIO__MEMORY_GIB": "64"}
    async with harbour.process("a", environment=copies) as process:
        await logged(process, b"CLAWBOT_LMSTUDIO__EXTRA_COPIES does nothing")
