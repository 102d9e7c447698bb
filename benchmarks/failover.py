"""Three processes with one PostgreSQL database, of which one answers: what happens when it is gone.

``python -m benchmarks failover [--kills 100] [--seed 1] [--minutes 20]``

In each round the questions of ``benchmarks kill`` are asked, and at a random moment within one answer's
time something goes wrong: the process that answers is killed (SIGKILL), another one, too, within a
second; its network to the database is cut; or it stands still for 20 s and then goes on (SIGSTOP,
SIGCONT), or all of PostgreSQL for 30 s (each in one round of twenty). Each question must have one outcome, no more requests may run than there are slots,
and another process must answer within 10 s (after a standstill: once it is over).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import signal
import socket
import tempfile
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil

from benchmarks._rig import launch
from benchmarks.kill import (
    ANSWER,
    KINDS,
    Asked,
    Round,
    ask_all,
    print_outcomes,
    settle,
    unsettled,
)
from benchmarks.table import percentile, print_table
from sandbox.discord import DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox, Model, Timing
from tests.postgres.server import PostgresServer, find_programs, run_server
from tests.support.links import proxy

NAMES = ("one", "two", "three")
SLOTS = 3
"""What the bots may ask at once; the model would take more, so that it would be seen."""
PARALLEL = 8
STANDSTILL_S = 30.0
STOPPED_S = 20.0
BAR_S = 10.0
START_S, TAKEOVER_S, ROUND_S = 60.0, 60.0, 30.0
"""Longest waits for processes that start, for a successor, and for a round's outcomes, in seconds."""
KILL, TWO_KILLS, CUT, STOPPED, STANDSTILL = (
    "killed",
    "killed, and another one within a second",
    "cut off from the database",
    "stopped for 20 s, and goes on",
    "PostgreSQL stands still",
)


@dataclass
class Member:
    """One process, its own way to the database, and where it tells how it does."""

    name: str
    port: int
    url: str = ""
    is_cut: bool = False
    process: asyncio.subprocess.Process | None = None

    def late_s(self, _bytes: int) -> float:
        """Return how long what it sends to the database is held back, in seconds."""
        return 3600.0 if self.is_cut else 0.0

    async def says(self, *lines: str) -> bool:
        """Return whether its metrics have all these lines."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        limit = aiohttp.ClientTimeout(total=1.0)
        try:
            async with aiohttp.ClientSession(timeout=limit) as session, session.get(url) as told:
                return set(lines) <= set((await told.text()).splitlines())
        except (aiohttp.ClientError, TimeoutError):
            return False


@dataclass
class Cluster:
    """Everything that runs."""

    discord: DiscordSandbox
    lm: LMStudioSandbox
    server: PostgresServer
    folder: Path
    people: dict[str, Person]
    members: list[Member] = field(default_factory=list)
    kills: int = 0

    async def complete(self) -> Member:
        """Start whoever is missing, and return who answers, once all are in their place."""
        more = {
            "CLAWBOT_DISCORD__IDENTIFIES_PER_DAY": "900",
            "CLAWBOT_QUEUE__SLOTS": str(SLOTS),
        }
        for member in self.members:
            await self.start(member, **more)
        wanted = (
            "clawbot_leader 1.0",
            "clawbot_discord_online 1.0",
            f"clawbot_standby_processes {len(self.members) - 1:.1f}",
        )
        async with asyncio.timeout(START_S):
            while True:
                for member in self.members:
                    if await member.says(*wanted):
                        return member
                await asyncio.sleep(0.1)

    async def start(self, member: Member, **more: str) -> None:
        """Start a process that doesn't run, with further settings."""
        if member.process is not None and member.process.returncode is None:
            return
        own = {
            "CLAWBOT_DATABASE_URL": member.url,
            "CLAWBOT_METRICS_ADDR": f"127.0.0.1:{member.port}",
        }
        data = self.folder / member.name
        member.process = await launch(self.discord, self.lm, data, **own, **more)

    async def kill(self, member: Member) -> None:
        """Kill a process."""
        self.kills += 1
        if member.process is not None:
            member.process.kill()
            await member.process.wait()

    async def kill_another(self, first: Member, rng: random.Random) -> None:
        """Kill one more process, within a second."""
        await asyncio.sleep(rng.uniform(0.2, 0.9))
        await self.kill(rng.choice([one for one in self.members if one is not first]))

    async def stop_for_a_while(self, member: Member) -> None:
        """Have a process stand still, and go on later."""
        assert member.process is not None  # noqa: S101 - complete
        member.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(STOPPED_S)
        finally:
            member.process.send_signal(signal.SIGCONT)

    async def answers_again(self) -> None:
        """Wait until one of them holds the database."""
        async with asyncio.timeout(TAKEOVER_S):
            for member in itertools.cycle(self.members):
                if await member.says("clawbot_leader 1.0"):
                    return
                await asyncio.sleep(0.05)

    async def taken_over(self, sessions: int, since_s: float) -> float:
        """Return how long it took until another session with Discord was there, in seconds."""
        async with asyncio.timeout(TAKEOVER_S):
            await self.discord.wait_until(
                lambda: len(self.discord.identifies) > sessions and self.discord.online,
                timeout_s=TAKEOVER_S,
            )
        return time.monotonic() - since_s

    async def end_round(self, questions: list[Asked]) -> None:
        """Wait until each question has an outcome, for the time of one round at most."""
        with contextlib.suppress(TimeoutError):
            await self.discord.wait_until(
                lambda: not unsettled(self.discord, questions), timeout_s=ROUND_S
            )


async def go_wrong(cluster: Cluster, leader: Member, what: str, rng: random.Random) -> float:
    """Let something go wrong; returns the seconds until another process answered."""
    sessions, began_s = len(cluster.discord.identifies), time.monotonic()
    if what == CUT:
        leader.is_cut = True
        try:
            return await cluster.taken_over(sessions, began_s)
        finally:
            leader.is_cut = False
    if what == STANDSTILL:
        await stand_still(cluster.server)
        began_s = time.monotonic()
        await cluster.answers_again()
        return time.monotonic() - began_s
    if what == STOPPED:
        took_s, _ = await asyncio.gather(
            cluster.taken_over(sessions, began_s), cluster.stop_for_a_while(leader)
        )
        return took_s
    await cluster.kill(leader)
    if what == TWO_KILLS:
        await cluster.kill_another(leader, rng)
        began_s = time.monotonic()
    return await cluster.taken_over(sessions, began_s)


async def stand_still(server: PostgresServer) -> None:
    """Have PostgreSQL answer nothing for a while."""
    first = psutil.Process(server.pid)
    processes = [first, *first.children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(STANDSTILL_S)
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def cluster_in(folder: Path, server: PostgresServer) -> AsyncGenerator[Cluster, None]:
    """Start the stand-ins and the ways to the database; whatever was started is ended."""
    timing = Timing(prefill_tokens_s=4000, generation_tokens_s=70)
    location = server.new_database()
    async with (
        DiscordSandbox(rest_delay_s=0.02) as discord,
        LMStudioSandbox([Model("qwen/qwen3-next-80b", parallel=PARALLEL)], timing) as lm,
        contextlib.AsyncExitStack() as stack,
    ):
        lm.answer(ANSWER)
        people = {kind: discord.add_user(f"Person{n}") for n, kind in enumerate(KINDS)}
        guild = discord.add_guild("Home", owner=people[KINDS[0]])
        for person in people.values():
            guild.add_member(person)
        cluster = Cluster(discord, lm, server, folder, people)
        for name in NAMES:
            member = Member(name, _free_port())
            way = await stack.enter_async_context(proxy(server.port, delay=member.late_s))
            member.url = location.replace(f":{server.port}/", f":{way}/")
            cluster.members.append(member)
        try:
            yield cluster
        finally:
            for member in cluster.members:
                if member.process is not None and member.process.returncode is None:
                    member.process.kill()
                    await member.process.wait()


async def measure(options: argparse.Namespace) -> int:
    """Run all rounds and print the tables; the exit code is 1 when a promise was broken."""
    programs = find_programs()
    if programs is None:
        print("PostgreSQL's programs aren't installed here.")
        return 2
    rng = random.Random(options.seed)
    asked: list[Asked] = []
    times: dict[str, list[float]] = {}
    until_s = time.monotonic() + 60 * options.minutes
    with run_server(programs) as server, tempfile.TemporaryDirectory() as folder:
        async with cluster_in(Path(folder), server) as cluster:
            number = 0
            while cluster.kills < options.kills and time.monotonic() < until_s:
                what = next_fault(number, rng)
                times.setdefault(what, []).append(await _round(cluster, what, number, rng, asked))
                print(f"{cluster.kills} kills; {what}: {times[what][-1]:.1f} s", flush=True)
                number += 1
            bad = await settle(cluster.discord, asked)
            peak = cluster.lm.options.counters.peak_active
            print_outcomes(f"{cluster.kills} kills, seed {options.seed}", asked, cluster.discord)
    rows = [[what, len(s), percentile(s, 50), max(s), BAR_S] for what, s in times.items()]
    headers = ["the process that answers is", "times", "median (s)", "longest (s)", "bar (s)"]
    print_table("until another one is online, or the same one answers again", headers, rows)
    print(f"\nmost requests at once: {peak} (slots: {SLOTS})")
    is_late = any(max(seconds) > BAR_S for seconds in times.values())
    return 1 if bad or is_late or peak > SLOTS else 0


def next_fault(number: int, rng: random.Random) -> str:
    """Choose what goes wrong in a round."""
    if number % 20 == 9:
        return STANDSTILL
    if number % 20 == 4:
        return STOPPED
    return rng.choices([KILL, TWO_KILLS, CUT], weights=[6, 2, 2])[0]


async def _round(
    cluster: Cluster, what: str, number: int, rng: random.Random, asked: list[Asked]
) -> float:
    leader = await cluster.complete()
    questions = await ask_all(Round(cluster.discord, cluster.people, number), rng)
    for each in questions:
        each.note_kill(cluster.discord)
    asked += questions
    took_s = await go_wrong(cluster, leader, what, rng)
    await cluster.end_round(questions)
    return took_s


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def options_of(argv: list[str], name: str, kills: int, minutes: float) -> argparse.Namespace:
    """Read the options of a benchmark that kills, with its defaults."""
    parser = argparse.ArgumentParser(prog=f"benchmarks {name}")
    parser.add_argument("--kills", type=int, default=kills)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--minutes", type=float, default=minutes, help="no further round after so many"
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    return asyncio.run(measure(options_of(argv, "failover", 100, 20.0)))
