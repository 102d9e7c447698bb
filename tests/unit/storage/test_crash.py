"""Processes that are killed or run out of disk while they journal."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bot.core.clock import SystemClock
from bot.core.domain import MessageId, PromptCount, QuestionId
from bot.core.ports import Outcome, QuestionState
from bot.storage.database import open_database
from bot.storage.journal import SqlJournal
from tests.unit.storage.questions import question
from tests.unit.storage.recovery import errors_in

ROOT = Path(__file__).parents[3]

JOURNAL = """
import asyncio, sys
from pathlib import Path
from bot.core.clock import SystemClock
from bot.core.domain import PromptCount, QuestionId
from bot.core.ports import Outcome
from bot.storage.database import open_database
from bot.storage.journal import SqlJournal
from tests.unit.storage.recovery import errors_in
from tests.unit.storage.questions import question

async def main():
    async with open_database(Path(sys.argv[1]), SystemClock()) as database:
        journal = await SqlJournal.open(database, SystemClock(), 30)
        for number in range(1, 1_000_000):
            asked = question(number)
            await journal.accept(asked)
            print("accepted", number, flush=True)
            await journal.start(asked.id)
            await journal.posted(asked.id, [number])
            count = PromptCount("a load", 1, "prefix", number, 2, 3)
            await journal.answered(asked.id, [str(number)], count=count)
            print("answered", number, flush=True)
            await journal.close(asked.id, Outcome.DELIVERED)
            print("closed", number, flush=True)

asyncio.run(main())
"""

FULL = """
import asyncio, resource, signal, sys
from pathlib import Path
from bot.core.clock import SystemClock
from bot.storage.database import open_database
from bot.storage.journal import SqlJournal
from tests.unit.storage.recovery import errors_in
from tests.unit.storage.questions import question

async def main():
    async with open_database(Path(sys.argv[1]), SystemClock()) as database:
        journal = await SqlJournal.open(database, SystemClock(), 30)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        number = 0
        while not database.is_degraded:
            number += 1
            assert await journal.accept(question(number, "x" * 4000))
        print(number - 1, flush=True)
        for more in range(number + 1, number + 20):
            assert await journal.accept(question(more))
            assert await journal.start(question(more).id) == 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

asyncio.run(main())
"""


READ = """
import asyncio, resource, signal, sys
from pathlib import Path
from bot.core.clock import SystemClock
from bot.core.domain import GuildId, UserId
from bot.core.errors import StoreError
from bot.storage.database import open_database
from bot.storage.journal import SqlJournal
from bot.storage.setting_types import Scope
from bot.storage.settings_store import SettingsStore
from config.settings import LiveSettings, Settings
from tests.unit.storage.recovery import errors_in
from tests.unit.storage.questions import question

GUILD = Scope.in_guild(GuildId(7))

async def main():
    path, how = Path(sys.argv[1]), sys.argv[2]
    clock = SystemClock()
    if how == "full":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    async with open_database(path, clock) as database:
        store = await SettingsStore.open(database, LiveSettings(Settings()))
        journal = await SqlJournal.open(database, clock, 30)
        if how == "kill":
            await store.set(GUILD, "temperature", "0.3", UserId(1), clock.now())
            await journal.accept(question(1))
            signal.raise_signal(signal.SIGKILL)
        try:
            await store.set(GUILD, "temperature", "0.9", UserId(1), clock.now())
        except StoreError:
            pass
        print(store.stored(GUILD, "temperature").value, len(await journal.pending()), flush=True)
        print(" ".join(database.state), flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

asyncio.run(main())
"""


def _start(script: str, path: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - this interpreter, this file's scripts
        [sys.executable, "-c", script, str(path), *more],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def _journal_until_killed(path: Path, lines: int) -> list[tuple[str, int]]:
    """Let a process journal, kill it after so many lines, and return what it said it had done."""
    with _start(JOURNAL, path) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.read().splitlines()
    events = [line.split() for line in said]
    return [(event[0], int(event[1])) for event in events if len(event) == 2]


@pytest.mark.parametrize("lines", [1, 2, 3, 41])
async def test_what_was_stored_survives_kill_9(
    path: Path, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    said = _journal_until_killed(path, lines)
    async with open_database(path, SystemClock()) as database:
        assert not errors_in(caplog)
        journal = await SqlJournal.open(database, SystemClock(), 30)
        for event, number in said:
            entry = await journal.entry(QuestionId(number))
            assert entry is not None
            assert entry.question == question(number)
            if event != "accepted" and entry.outcome is None:
                assert entry.chunks == (str(number),)
            if event != "accepted":
                counts = await journal.counts_of([MessageId(number)])
                assert counts == {number: PromptCount("a load", 1, "prefix", number, 2, 3)}
            if event == "closed":
                assert (entry.state, entry.outcome) == (QuestionState.CLOSED, Outcome.DELIVERED)
        assert len(await journal.pending()) <= 2


if sys.platform != "win32":  # which has no limit on the size of a process's files

    async def test_a_disk_that_fills_loses_nothing_and_is_written_when_there_is_room(
        path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with _start(FULL, path) as child:
            assert child.stdout is not None
            stored = int(child.stdout.read())
            assert child.wait() == 0
        assert stored >= 1
        async with open_database(path, SystemClock()) as database:
            assert not errors_in(caplog)
            pending = await (await SqlJournal.open(database, SystemClock(), 30)).pending()
        assert [entry.question.id for entry in pending] == list(range(1, stored + 1 + 20))

    @pytest.mark.parametrize("end", ["kill", "stop"])
    def test_settings_and_open_questions_hold_where_nothing_can_be_written_at_the_start(
        path: Path, end: str
    ) -> None:
        with _start(READ, path, "kill") as child:
            assert child.wait() != 0
        if end == "stop":  # which leaves no log beside the database
            sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
            assert not path.with_name("clawbot.db-wal").exists()
        with _start(READ, path, "full") as child:
            assert child.stdout is not None
            said = child.stdout.read().splitlines()
            assert child.wait() == 0
        assert said[0] == "0.3 1"
        assert "can't be written" in said[1]
