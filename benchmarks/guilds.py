"""How much memory the bot takes in one, a hundred and a thousand servers, with one shard and with 16.

``python -m benchmarks guilds [--members 1000]``

Each server has as many members, 20 channels and 10 roles; then each of up to 50 servers asks one question.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from benchmarks._rig import running_bot
from benchmarks.table import print_table
from sandbox.discord import DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox, Model
from sandbox.lmstudio.values import INSTANT

CASES = ((1, 1), (100, 1), (1000, 1), (1000, 16))
"""Servers and shards."""
CHANNELS, ROLES, ASKED = 20, 10, 50
ENVIRONMENT = {"CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000"}
ANSWER_S = 60.0


def furnish(discord: DiscordSandbox, people: list[Person], guilds: int) -> None:
    """Found the servers, with everybody in each."""
    for number in range(guilds):
        guild = discord.add_guild(f"Harbour {number}", owner=people[0])
        for person in people[1:]:
            guild.add_member(person)
        for name in range(CHANNELS):
            guild.add_channel(f"room-{name}")
        for name in range(ROLES):
            guild.add_role(f"Role {name}")


async def run_case(guilds: int, shards: int, members: int) -> list[object]:
    """Return a row of the table."""
    discord = DiscordSandbox()
    discord.options.shards = discord.options.max_concurrency = shards
    people = [discord.add_user(f"Person {number}") for number in range(members)]
    furnish(discord, people, guilds)
    async with discord, LMStudioSandbox([Model("qwen/qwen3-4b")], INSTANT) as lm:
        lm.answer("All eleven ships answered.")
        more = {**ENVIRONMENT, "CLAWBOT_DISCORD__SHARDS": str(shards)}
        async with running_bot(discord, lm, **more) as bot:
            await discord.wait_command("ask", timeout_s=ANSWER_S)
            for guild in list(discord.world.guilds.values())[:ASKED]:
                channel = next(iter(guild.channels.values()))
                asked = await people[1].mention(channel, "How many ships?")
                await discord.wait_reply(asked, timeout_s=ANSWER_S)
            return [guilds, shards, bot.online_s, bot.memory_mib(), bot.cpu_s()]


async def measure(options: argparse.Namespace) -> None:
    """Run every case and print the table."""
    rows = []
    for guilds, shards in CASES:
        began_s = time.perf_counter()
        rows.append(await run_case(guilds, shards, options.members))
        print(
            f"{guilds} servers, {shards} shards: {time.perf_counter() - began_s:.0f} s", flush=True
        )
    headers = ["servers", "shards", "online (s)", "memory (MiB)", "processor (s)"]
    print_table(f"{options.members} members each", headers, rows)


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks guilds")
    parser.add_argument("--members", type=int, default=1000)
    asyncio.run(measure(parser.parse_args(argv)))
    return 0
