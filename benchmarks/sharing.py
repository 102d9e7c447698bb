"""Three processes that share four shards and the model's slots: what happens when one is gone, or asked much.

``python -m benchmarks sharing [--kills 30] [--seed 1] [--minutes 15]``

In each round a question is asked in a server of each shard, by a mention or a command, and the first direct
message of somebody unknown. At a random moment within one answer's time something goes wrong: each process
in turn is killed (SIGKILL); two are killed within a second; one's network to the database is cut; one stands
still for 20 s and then goes on (SIGSTOP, SIGCONT), or all of PostgreSQL for 30 s (each in one round of twenty).
Each question must have one outcome, no more requests may run than there are slots, and all shards must be served
again within 10 s (after a standstill of PostgreSQL: once it is over).

At the end ten people flood the server of one shard while somebody asks in another now and then, with the
three processes and with one: how long that person waits for the first word.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.failover import (
    BAR_S,
    CUT,
    SLOTS,
    STANDSTILL,
    START_S,
    STOPPED,
    TWO_KILLS,
    Cluster,
    Member,
    cluster_in,
    next_fault,
    options_of,
    stand_still,
)
from benchmarks.kill import Asked, print_outcomes, settle
from benchmarks.table import percentile, print_table
from sandbox.discord import Channel, Message, Person
from tests.postgres.server import find_programs, run_server

SHARDS = 4
WAYS = ("mention", "/ask", "mention", "mention")
"""How is asked in the server of each shard."""
LONGEST_S = 2.4
QUIET_S = 1.0
"""For so long all shards must be served before a round begins: none changes hands any more."""
FLOODERS, FLOOD_S, LOOK_S = 10, 40.0, 4.0


def servers(cluster: Cluster) -> list[tuple[Channel, Person]]:
    """Return a channel in a server of each shard, and somebody there."""
    found: dict[int, tuple[Channel, Person]] = {}
    ada = cluster.people["mention"]
    while len(found) < SHARDS:
        guild = cluster.discord.add_guild("Harbour", owner=ada)
        time.sleep(0.0013)  # the next id is of the next millisecond
        found.setdefault((guild.id >> 22) % SHARDS, (guild.add_channel("general"), ada))
    return [found[number] for number in range(SHARDS)]


async def complete(cluster: Cluster, members: list[Member]) -> None:
    """Start whoever is missing, and wait until all have their part."""
    more = {
        "CLAWBOT_DISCORD__SHARDS": str(SHARDS),
        "CLAWBOT_DISCORD__IDENTIFIES_PER_DAY": "900",
        "CLAWBOT_QUEUE__SLOTS": str(SLOTS),
        "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
        "CLAWBOT_QUEUE__PER_GUILD_PER_MINUTE": "1000",
    }
    for member in members:
        await cluster.start(member, **more)
    wanted = ("clawbot_leader 1.0", f"clawbot_standby_processes {len(members) - 1:.1f}")
    async with asyncio.timeout(START_S):
        for member in members:
            while not await member.says(*wanted):  # noqa: ASYNC110 - told by another process
                await asyncio.sleep(0.1)
        since_s, logins = time.monotonic(), -1
        while time.monotonic() - since_s < QUIET_S or not cluster.discord.online:
            if logins != len(cluster.discord.identifies) or not cluster.discord.online:
                since_s, logins = time.monotonic(), len(cluster.discord.identifies)
            await asyncio.sleep(0.05)


async def go_wrong(cluster: Cluster, victim: Member, what: str, rng: random.Random) -> float:
    """Let something go wrong; returns the seconds until all shards were served again."""
    logins, began_s = len(cluster.discord.identifies), time.monotonic()
    if what == STANDSTILL:
        await stand_still(cluster.server)
        began_s = time.monotonic()
    elif what == STOPPED:
        took_s, _ = await asyncio.gather(
            cluster.taken_over(logins, began_s), cluster.stop_for_a_while(victim)
        )
        return took_s
    elif what == CUT:
        victim.is_cut = True
    else:
        await cluster.kill(victim)
    if what == TWO_KILLS:
        await cluster.kill_another(victim, rng)
        began_s = time.monotonic()
    try:
        return await cluster.taken_over(logins, began_s)
    finally:
        victim.is_cut = False


async def ask_everywhere(
    cluster: Cluster, places: list[tuple[Channel, Person]], number: int, rng: random.Random
) -> list[Asked]:
    """Ask in each shard within one answer's time; returns when something is to go wrong."""

    async def ask(way: str, where: Channel, who: Person) -> Asked:
        await asyncio.sleep(rng.uniform(0, LONGEST_S))
        if way == "mention":
            await who.mention(where, "How many ships answered?")
            return Asked(way, where)
        return Asked(way, where, await who.slash(where, "ask", prompt="How many ships?"))

    async def ask_first() -> Asked:
        stranger = cluster.discord.add_user(f"Stranger{number}")
        await asyncio.sleep(rng.uniform(0, LONGEST_S))
        await stranger.dm("How many ships answered?")
        return Asked("first direct message", stranger.dm_channel)

    rooms = [
        (place.guild.add_channel(f"room-{number}-{shard}"), who)
        for shard, (place, who) in enumerate(places)
        if place.guild is not None
    ]
    asking = [ask(way, *room) for way, room in zip(WAYS, rooms, strict=True)]
    return list(await asyncio.gather(*asking, ask_first()))


async def flooded(cluster: Cluster, places: list[tuple[Channel, Person]]) -> list[float]:
    """Flood one shard's server, and return how long somebody in another's waits for the first word."""
    people = [cluster.discord.add_user(f"Flooder{n}") for n in range(FLOODERS)]
    where, (there, asker) = places[1][0], places[2]
    assert where.guild is not None  # noqa: S101 - servers
    for person in people:
        where.guild.add_member(person)
    waits: list[float] = []
    until_s = time.monotonic() + FLOOD_S

    async def flood(person: Person) -> None:
        while time.monotonic() < until_s:
            question = await person.mention(where, "How many ships answered?")
            with contextlib.suppress(TimeoutError):
                reply = await cluster.discord.wait_reply(question, timeout_s=60)
                await cluster.discord.wait_until(partial(_is_whole, reply), timeout_s=60)

    async def look() -> None:
        while time.monotonic() < until_s:
            await asyncio.sleep(LOOK_S)
            asked_s = time.monotonic()
            question = await asker.mention(there, "How many ships answered?")
            reply = await cluster.discord.wait_reply(question, timeout_s=60)
            await cluster.discord.wait_until(partial(_has_words, reply), timeout_s=60)
            waits.append(time.monotonic() - asked_s)

    await asyncio.gather(look(), *map(flood, people))
    return waits


def _is_whole(reply: Message) -> bool:
    return reply.content.endswith("The end.")


def _has_words(reply: Message) -> bool:
    return "eleven" in reply.content


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
            cluster.discord.options.shards = SHARDS
            cluster.discord.options.max_concurrency = SHARDS
            places = servers(cluster)
            victims = itertools.cycle(cluster.members)
            for number in itertools.count():
                if cluster.kills >= options.kills or time.monotonic() > until_s:
                    break
                await complete(cluster, cluster.members)
                what = next_fault(number, rng)
                questions = await ask_everywhere(cluster, places, number, rng)
                for each in questions:
                    each.note_kill(cluster.discord)
                asked += questions
                took_s = await go_wrong(cluster, next(victims), what, rng)
                times.setdefault(what, []).append(took_s)
                print(f"{cluster.kills} kills; {what}: {took_s:.1f} s", flush=True)
                await cluster.end_round(questions)
            bad = await settle(cluster.discord, asked)
            print_outcomes(f"{cluster.kills} kills, seed {options.seed}", asked, cluster.discord)
            waits = await _bystander(cluster, places)
            peak = cluster.lm.options.counters.peak_active
    rows = [[what, len(s), percentile(s, 50), max(s), BAR_S] for what, s in times.items()]
    headers = ["a process is", "times", "median (s)", "longest (s)", "bar (s)"]
    print_table("until all shards are served again", headers, rows)
    rows = [[who, len(s), percentile(s, 50), max(s)] for who, s in waits.items()]
    print_table(
        "a bystander's first word in a flood",
        ["answered by", "times", "median (s)", "longest (s)"],
        rows,
    )
    print(f"\nmost requests at once: {peak} (slots: {SLOTS})")
    is_late = any(max(seconds) > BAR_S for seconds in times.values())
    shared, alone = (percentile(seconds, 50) for seconds in waits.values())
    return 1 if bad or is_late or peak > SLOTS or shared > 2 * alone else 0


async def _bystander(
    cluster: Cluster, places: list[tuple[Channel, Person]]
) -> dict[str, list[float]]:
    await complete(cluster, cluster.members)
    shared = await flooded(cluster, places)
    for member in cluster.members[1:]:
        await cluster.kill(member)
    await complete(cluster, cluster.members[:1])
    return {"three processes": shared, "one process": await flooded(cluster, places)}


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    return asyncio.run(measure(options_of(argv, "sharing", 30, 15.0)))
