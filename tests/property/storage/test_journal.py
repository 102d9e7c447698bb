"""The journal against a plain dictionary, with restarts, a disk that fills and files that vanish."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.core.domain import MessageId, PromptCount, QuestionId
from bot.core.ports import JournalEntry, Outcome, QuestionState
from bot.storage.database import Database, open_database
from bot.storage.journal import SqlJournal
from tests.support.clock import FakeClock, settle
from tests.unit.storage.questions import question

_T = TypeVar("_T")

MEMORY = Path("/dev/shm")  # noqa: S108 - each run makes a private folder of its own in it
"""Where writes needn't wait for a disk; any folder will do where there is none."""
IDS = st.integers(1, 5)
SIZES = st.integers(0, 2**31)
COUNTS = st.none() | st.builds(
    PromptCount, st.text(max_size=9), st.none() | SIZES, st.text(max_size=9), SIZES, SIZES, SIZES
)


class JournalMachine(RuleBasedStateMachine):
    """Every call on the journal in any order, a restart, a full disk or lost files between any two."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.model: dict[int, JournalEntry] = {}
        self.message = 1000
        self.opened: Any = None
        self.database: Database
        self.journal: SqlJournal

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        self.run(self._open())

    async def _open(self) -> None:
        path = Path(self.folder.name, "clawbot.db")
        self.opened = open_database(path, self.clock)
        self.database = await self.opened.__aenter__()
        self.journal = await SqlJournal.open(self.database, self.clock, 30)

    async def _close(self) -> None:
        await self.opened.__aexit__(None, None, None)

    def teardown(self) -> None:
        if self.opened is not None:
            self.run(self._close())
        self.runner.close()
        self.folder.cleanup()

    @rule()
    def restart(self) -> None:
        self.run(self._set_pages(1_000_000))
        self.run(self._close())
        self.run(self._open())

    @rule()
    def disk_fills(self) -> None:
        self.run(self._set_pages(1))

    @rule()
    def disk_is_freed(self) -> None:
        self.run(self._set_pages(1_000_000))

    @rule(name=st.sampled_from(["clawbot.db*", "clawbot.db", "clawbot.db-wal"]))
    def files_are_deleted(self, name: str) -> None:
        if sys.platform != "win32":  # where a file that is open can't be deleted
            for file in Path(self.folder.name).glob(name):
                file.unlink()

    @rule()
    def minutes_pass(self) -> None:
        self.run(self._minutes_pass())

    async def _minutes_pass(self) -> None:
        for _ in range(4):
            await self.clock.advance(60)
            while self.database._commit is not None:
                await asyncio.wait((self.database._commit,))
                await settle()

    async def _set_pages(self, pages: int) -> None:
        pragma = f"PRAGMA max_page_count = {pages}"
        await self.database.read(lambda c: c.exec_driver_sql(pragma).scalar())

    @rule(number=IDS, size=st.sampled_from([0, 5000]))
    def accept(self, number: int, size: int) -> None:
        asked = question(number, "x" * size)
        is_new = self.run(self.journal.accept(asked))
        assert is_new is (number not in self.model)
        if is_new:
            self.model[number] = JournalEntry(asked, QuestionState.ACCEPTED)

    @rule(number=IDS)
    def start(self, number: int) -> None:
        attempt = self.run(self.journal.start(QuestionId(number)))
        entry = self.model.get(number)
        if entry is None:
            assert attempt == 1
        elif entry.state is not QuestionState.CLOSED:
            is_final = entry.state is QuestionState.ANSWERED
            state = entry.state if is_final else QuestionState.RUNNING
            self.model[number] = replace(entry, state=state, attempts=entry.attempts + 1)
            assert attempt == entry.attempts + 1

    @rule(number=IDS, count=st.integers(0, 3))
    def posted(self, number: int, count: int) -> None:
        self.message += 10
        ids = tuple(MessageId(self.message + index) for index in range(count))
        self.run(self.journal.posted(QuestionId(number), ids))
        self._change(number, posted=ids)

    @rule(
        number=IDS,
        chunks=st.lists(st.text(max_size=20), max_size=3),
        thinking=st.text(),
        count=COUNTS,
    )
    def answered(
        self, number: int, chunks: list[str], thinking: str, count: PromptCount | None
    ) -> None:
        self.run(self.journal.answered(QuestionId(number), chunks, thinking=thinking, count=count))
        state = QuestionState.ANSWERED
        self._change(number, state=state, chunks=tuple(chunks), thinking=thinking, count=count)

    @rule(number=IDS, outcome=st.sampled_from(Outcome))
    def close(self, number: int, outcome: Outcome) -> None:
        self.run(self.journal.close(QuestionId(number), outcome))
        self._change(number, state=QuestionState.CLOSED, outcome=outcome, chunks=())

    def _change(self, number: int, **values: Any) -> None:
        entry = self.model.get(number)
        if entry is not None and entry.state is not QuestionState.CLOSED:
            self.model[number] = replace(entry, **values)

    @invariant()
    def the_journal_says_what_the_model_says(self) -> None:
        if self.opened is None:
            return
        for number in range(1, 6):
            entry = self.run(self.journal.entry(QuestionId(number)))
            plain = None if entry is None else replace(entry, updated_at=None)
            assert plain == self.model.get(number)
        unfinished = [n for n, e in self.model.items() if e.state is not QuestionState.CLOSED]
        pending = self.run(self.journal.pending())
        assert [entry.question.id for entry in pending] == sorted(unfinished)

    @invariant()
    def counts_are_found_by_what_was_posted(self) -> None:
        posted = [message_id for entry in self.model.values() for message_id in entry.posted]
        if self.opened is None or not posted:
            return
        found = self.run(self.journal.counts_of(posted))
        for entry in self.model.values():
            for message_id in entry.posted:
                assert found.get(message_id) == entry.count

    @invariant()
    def posts_lead_to_their_questions(self) -> None:
        for number, expected in self.model.items():
            for message_id in expected.posted:
                entry = self.run(self.journal.entry_of_message(message_id))
                assert entry is not None
                assert entry.question.id == number


JournalMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestJournal = JournalMachine.TestCase
