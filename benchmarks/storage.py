"""The database under a flood: bytes for each question, its size on the disk, pauses of its thread.

``python -m benchmarks storage [--questions N] [--person-mib N]``

Questions, answers and thinking are at the limits of what Discord and the bot take. A clock of the
benchmark's own moves at the rate limit's pace, thirty questions a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.table import percentile, print_table
from bot.core.domain import (
    ChannelId,
    GuildId,
    IncomingMessage,
    MessageId,
    Origin,
    Person,
    Place,
    PlaceKind,
    Question,
    QuestionId,
    UserId,
)
from bot.core.ports import Outcome
from bot.storage.database import open_database
from bot.storage.journal import SqlJournal
from bot.storage.tidying_sql import MIB, Bounds
from config.settings import StoreSettings

PACE_S = 2.0
SCRIPTS = {"Latin": (0x61, 0x7A), "Chinese": (0x4E00, 0x9FA5), "emoji": (0x1F600, 0x1F64F)}
OTHERS = UserId(2)
STOCK_CHARS = 200_000
TOLD_EVERY = 500


class FloodClock:
    """A clock that only the benchmark moves; whoever sleeps on it waits for the end."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def monotonic(self) -> float:
        """Return the seconds that passed."""
        return self.passed_s

    def now(self) -> datetime:
        """Return a fixed day plus what passed."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def told(self, now: datetime) -> timedelta:
        """Return how far this clock is behind, and go on by it."""
        return now - self.now()

    async def sleep(self, delay_s: float) -> None:
        """Wait until cancelled, however short the delay."""
        del delay_s
        await asyncio.Event().wait()

    def timeout(self, limit_s: float) -> AbstractAsyncContextManager[object]:
        """Return a context that is never cancelled."""
        del limit_s
        return asyncio.timeout(None)

    def call_later(self, delay_s: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        """Return a timer that is never due."""
        del delay_s
        timer = asyncio.get_running_loop().call_later(0, call)
        timer.cancel()
        return timer


class Writer:
    """Writes texts of one script, each a part of a long one that is made once."""

    def __init__(self, script: str) -> None:
        low, high = SCRIPTS[script]
        self._rng = random.Random(1)
        letters = [chr(code) for code in range(low, min(high, low + 500))]
        self._all = "".join(self._rng.choices(letters, k=STOCK_CHARS))

    def text(self, chars: int) -> str:
        """Return a text of so many characters."""
        start = self._rng.randrange(STOCK_CHARS - chars)
        return self._all[start : start + chars]


def _question(number: int, asker: UserId, text: str, at: datetime) -> Question:
    person = Person(asker, "Somebody")
    place = Place(PlaceKind.GUILD_TEXT, ChannelId(5), GuildId(7))
    message = IncomingMessage(MessageId(number), place, person, text, at)
    return Question(QuestionId(number), Origin.MENTION, place, person, text, at, message=message)


async def _ask(journal: SqlJournal, asked: Question, answer: str, thinking: str) -> float:
    """Take one question from its acceptance to its end; return the seconds of the longest step."""
    longest_s = 0.0
    chunks = [answer[i : i + 2000] for i in range(0, len(answer), 2000)]
    for step in (
        journal.accept(asked),
        journal.start(asked.id),
        journal.posted(asked.id, [MessageId(asked.id * 10 + i) for i in range(6)]),
        journal.answered(asked.id, chunks, thinking=thinking, details="a model · 30 tokens/s"),
        journal.close(asked.id, Outcome.DELIVERED),
    ):
        began_s = time.perf_counter()
        await step
        longest_s = max(longest_s, time.perf_counter() - began_s)
    return longest_s


async def _flood(path: Path, script: str, count: int, bounds: Bounds) -> tuple[object, ...]:
    clock, writer = FloodClock(), Writer(script)
    most = 0
    steps: list[float] = []
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30, bounds)
        await _ask(journal, _question(1, OTHERS, "Hello?", clock.now()), "Hi.", "")
        for number in range(2, count + 2):
            clock.passed_s += PACE_S
            asked = _question(number, UserId(9), writer.text(4000), clock.now())
            thinking = writer.text(30_000)
            steps.append(await _ask(journal, asked, writer.text(12_000), thinking))
            most = max(most, _size(path))
            if number % TOLD_EVERY == 0:
                print(f"{script}: {number:,} of {count:,} questions", flush=True)
        await database.reclaim()
        is_kept = await journal.entry(QuestionId(1)) is not None
    last = _size(path)
    return (
        script,
        count,
        most / MIB,
        last / MIB,
        percentile(steps, 50) * 1000,
        max(steps) * 1000,
        "yes" if is_kept else "NO",
    )


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.iterdir())


async def _one(path: Path, script: str) -> tuple[object, ...]:
    """Return the bytes of one question at the limits, from a file that holds a hundred."""
    clock, writer = FloodClock(), Writer(script)
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        for number in range(1, 101):
            asked = _question(number, UserId(9), writer.text(4000), clock.now())
            await _ask(journal, asked, writer.text(12_000), writer.text(30_000))
    return script, _size(path) / 100 / 1000


def main(argv: list[str]) -> int:
    """Print both tables; returns 1 if somebody else's question was deleted for the flood."""
    parser = argparse.ArgumentParser(prog="benchmarks storage")
    parser.add_argument("--questions", type=int, default=3000, help="questions of the flood")
    parser.add_argument("--person-mib", type=int, default=32, help="bound of one person")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        sizes = [asyncio.run(_one(_fresh(folder, f"one-{s}"), s)) for s in SCRIPTS]
        bounds = Bounds.of(StoreSettings(max_person_mib=options.person_mib, reserve_mib=0))
        floods = [
            asyncio.run(_flood(_fresh(folder, f"flood-{s}"), s, options.questions, bounds))
            for s in SCRIPTS
        ]
    print_table("One question at the limits, kept", ("script", "kB on the disk"), sizes)
    print_table(
        f"One person's flood, bound {options.person_mib} MiB",
        (
            "script",
            "questions",
            "most on the disk (MiB)",
            "at the end (MiB)",
            "slowest step of a question, median (ms)",
            "of all (ms)",
            "another's question kept",
        ),
        floods,
    )
    return 0 if all(row[-1] == "yes" for row in floods) else 1


def _fresh(folder: str, name: str) -> Path:
    path = Path(folder, name)
    path.mkdir()
    return path / "clawbot.db"
