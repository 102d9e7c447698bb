"""One database, one thread for it, and an asynchronous face.

Writes of concurrent callers share one transaction: while one is being committed (5 to 20 ms of
fsync on a laptop's disk), the next ones gather. When the storage fails, the database is *degraded*:
callers get ``StoreError`` and go on in memory, the operator gets one line a minute, and the database
is tried again until it works; then whoever kept things in memory writes them back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bot.core.clock import Clock, every
from bot.core.errors import StoreError
from bot.core.tasks import end_tasks, start_shared
from bot.storage.engine import cause, is_storage_fault, parse_location
from bot.storage.worker import CommitResult, Guard, Worker, unguarded

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

DATABASE_FILE: Final = "clawbot.db"
"""The SQLite file's name in the data folder."""

BATCH: Final = 256
"""Writes that share one transaction at most."""

FIRST_PROBE_S: Final = 2.0
LAST_PROBE_S: Final = 60.0
"""Seconds between attempts while degraded, doubling; and between lines about it in the log."""

WATCH_S: Final = 5.0
"""Seconds between looks at the database's file while nobody writes."""

MIB: Final = 1024 * 1024

SHORT: Final = (
    "The disk of the data folder has only {free} MiB left: old questions are being deleted. "
    "Make room, or move the data folder."
)

SHORT_NOW: Final = (
    "The disk of the data folder is nearly full, so old questions are being deleted. Make room, or "
    "move the data folder."
)
DEGRADED: Final = (
    "The database can't be written ({cause}). I go on in memory: changes of settings are refused, and "
    "what is asked now is lost if I am stopped."
)

LIMIT_S: Final = 10.0
"""Seconds of real time that a caller waits for the database's thread; a disk may hang for minutes."""

SLOW_S: Final = 1.0
"""Seconds of real time after which a caller's waiting counts as a first sign of a fault."""

REWRITING_LIMIT_S: Final = 300.0
"""The same for one that has a large file rewritten."""

WriteBack = Callable[[bool], Awaitable[None]]
"""Writes what memory holds, or raises ``StoreError``; told whether the database is a fresh one, which
has nothing. Called while ``is_degraded`` is still true, and must write all the same."""


@dataclass(frozen=True, slots=True)
class _Write:
    work: Callable[[Connection], Any]
    done: asyncio.Future[Any]


class Database:
    """An open database. Made by ``open_database``.

    Attributes:
        is_degraded: The storage fails at the moment; memory is all there is.
        errors: How often the storage has failed.
        remark: What else the operator must know of it now; empty for nothing.
        beginnings: How often it was begun anew, or another one was found in its place.
    """

    def __init__(
        self,
        worker: Worker,
        clock: Clock,
        limit_s: float = LIMIT_S,
        on_fault: Callable[[], object] = lambda: None,
    ) -> None:
        self.is_degraded = False
        self.errors = 0
        self.remark = ""
        self.beginnings = 0
        self._worker = worker
        self._clock = clock
        self._limit_s = limit_s
        self._on_fault = on_fault
        self._stuck_since_s: float | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        self._queue: deque[_Write] = deque()
        self._commit: asyncio.Future[CommitResult] | None = None
        self._write_backs: list[WriteBack] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._prober: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._logged_s: float | None = None
        self._is_fresh = False
        self._is_closed = self._is_closing = False
        self._is_short = False
        self._has_traces = False
        self._rewriting: asyncio.Future[Any] | None = None
        self._fault = ""

    @property
    def is_stuck(self) -> bool:
        """Whether the thread hasn't come back from its last work within the limit."""
        return self._stuck_since_s is not None

    @property
    def stuck_s(self) -> float:
        """For how long that has been so, in seconds."""
        since_s = self._stuck_since_s
        return 0.0 if since_s is None else self._clock.monotonic() - since_s

    @property
    def pending(self) -> int:
        """Writes that are handed in and not begun."""
        return len(self._queue)

    @property
    def state(self) -> list[str]:
        """What is wrong with the storage now, one sentence each; empty when all is well."""
        found = []
        if self.is_degraded:
            found.append(DEGRADED.format(cause=self._fault))
        if self._is_short:
            found.append(SHORT_NOW)
        if self.remark:
            found.append(self.remark)
        return [*found, *self._worker.leftovers()]

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run statements that change nothing.

        Args:
            work: Called in the database's thread, inside a transaction.

        Raises:
            StoreError: The storage failed.
        """
        return await self._call(lambda: self._worker.read(work))

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """Run statements and commit them, together with other callers' where that needs no waiting.

        Args:
            work: Called in the database's thread, inside a transaction; called again on its own
                when another caller's work spoilt the shared transaction, so it must not keep state.

        Raises:
            StoreError: The storage failed; nothing of this work was kept.
        """
        self._check_open()
        done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._queue.append(_Write(work, done))
        self._commit_next()
        return await self._bounded(done)

    async def missing_room(self, reserve_bytes: int) -> int:
        """Return how many bytes the disk has less than the reserve; 0 where that can't be known.

        Raises:
            StoreError: The thread hangs.
        """
        free = await self._call(self._worker.free_bytes)
        if free is None:
            return 0
        missing = max(0, reserve_bytes - free)
        if missing and not self._is_short:
            self._tell([SHORT.format(free=free // MIB)])
        elif self._is_short and not missing:
            self._tell(["The disk has enough room again."])
        self._is_short = bool(missing)
        return missing

    async def reclaim(self) -> None:
        """Give the room of what was deleted back to the disk, in small steps between the writes.

        Raises:
            StoreError: The storage failed.
        """
        has_more = True
        while has_more:
            has_more = await self._call(self._worker.reclaim)

    async def overwrite_deleted(self) -> bool:
        """See to it that the file and its log hold nothing of what was deleted.

        Where another program reads the file just then, that is tried again every ``WATCH_S`` seconds.

        Returns:
            Whether it is done.

        Raises:
            StoreError: The storage failed.
        """
        self._has_traces = not await self._call(self._worker.overwrite_deleted, REWRITING_LIMIT_S)
        return not self._has_traces

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work on the database in the background; closing the database cuts it off."""
        self._own(start_shared(work, name="database"))

    def on_recovery(self, write_back: WriteBack) -> None:
        """Register what is to be called when the storage works again, and before it is closed."""
        self._write_backs.append(write_back)

    def _commit_next(self) -> None:
        if self._commit is not None or not self._queue or self._is_closed:
            return
        batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        loop = asyncio.get_running_loop()
        works = [write.work for write in batch]
        self._commit = loop.run_in_executor(self._thread, self._worker.commit, works)
        self._commit.add_done_callback(
            lambda result: self._committed(batch, result), context=Context()
        )

    def _committed(self, batch: list[_Write], commit: asyncio.Future[CommitResult]) -> None:
        self._commit = None
        self._stuck_since_s = None
        result = commit.result()
        for write, outcome in zip(batch, result.outcomes, strict=True):
            if write.done.done():
                continue
            if outcome.error is None:
                write.done.set_result(outcome.value)
            else:
                write.done.set_exception(_as_store_error(outcome.error))
        self._tell(result.reports)
        if result.is_fresh:
            self._is_fresh = True
            self.beginnings += 1
            self.spawn(self._write_back())
        if result.fault is not None:
            self._degrade(result.fault)
        self._commit_next()

    async def _call(self, function: Callable[[], _T], limit_s: float | None = None) -> _T:
        self._check_open()
        call = asyncio.get_running_loop().run_in_executor(self._thread, function)
        call.add_done_callback(self._came_back)
        if limit_s is not None:
            self._rewriting = call
        try:
            return await self._bounded(call, limit_s)
        except (SQLAlchemyError, OSError) as exc:
            if not is_storage_fault(exc):
                raise
            self._degrade(exc)
            raise StoreError(f"reading failed: {cause(exc)}") from exc

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError("the database is closed")
        if self.is_stuck:
            raise StoreError("the database hangs")

    async def _bounded(self, done: asyncio.Future[_T], limit_s: float | None = None) -> _T:
        """Wait for the thread, but no longer than the limit; what it does is done all the same."""
        done.add_done_callback(_retrieve)
        if not done.done():
            limit_s = self._limit_s if limit_s is None else limit_s
            await asyncio.wait((done,), timeout=min(SLOW_S, limit_s))
            if not done.done():
                self._on_fault()
                await asyncio.wait((done,), timeout=max(0.0, limit_s - SLOW_S))
        rewriting = self._rewriting
        if not (done.done() or rewriting is None or rewriting.done() or rewriting is done):
            # There is one thread: who comes while a large file is rewritten waits for that, too.
            await asyncio.wait((rewriting,), timeout=REWRITING_LIMIT_S)
            await asyncio.wait((done,), timeout=self._limit_s)
        if done.done():
            return done.result()
        self._hangs()
        self._degrade(TimeoutError(f"no answer within {self._limit_s:g} s"))
        raise StoreError("the database hangs")

    def _hangs(self) -> None:
        if self._stuck_since_s is None:
            self._stuck_since_s = self._clock.monotonic()

    def _came_back(self, _call: asyncio.Future[Any]) -> None:
        self._stuck_since_s = None

    def _tell(self, reports: Sequence[str]) -> None:
        for report in reports:
            _log.error("%s", report)

    def _degrade(self, exc: BaseException) -> None:
        if self._is_closed:
            return
        self.errors += 1
        if self.is_degraded:
            return
        self.is_degraded = True
        self._on_fault()
        self._fault = cause(exc)
        self._log_fault(
            "The database can't be written (%s); going on in memory. clawbot check says what to do",
            exc,
        )
        if not self._is_closing and (self._prober is None or self._prober.done()):
            self._prober = start_shared(self._probe(), name="database-probe")
            self._own(self._prober)

    def _log_fault(self, message: str, exc: BaseException) -> None:
        """Log a line, at most one a minute."""
        now_s = self._clock.monotonic()
        if self._logged_s is None or now_s - self._logged_s >= LAST_PROBE_S:
            self._logged_s = now_s
            _log.error(message, cause(exc))

    async def _probe(self) -> None:
        """Try until a write works and all that memory holds is written."""
        delay_s = FIRST_PROBE_S
        while self.is_degraded:
            await self._clock.sleep(delay_s)
            delay_s = min(LAST_PROBE_S, delay_s * 2)
            try:
                await self.write(self._worker.probe)
                await self._write_back()
            except StoreError as exc:
                self._log_fault("The database still fails (%s)", exc)
            else:
                self.is_degraded = False
                _log.warning("The database works again, and has what memory held")
        # What came while the last ones were written.
        await self._write_back()

    async def _write_back(self) -> None:
        is_fresh, self._is_fresh = self._is_fresh, False
        try:
            for write_back in tuple(self._write_backs):
                await write_back(is_fresh)
        except StoreError:
            self._is_fresh = self._is_fresh or is_fresh
            raise

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            self._log_fault("Writing back failed (%s)", exc)

    async def start(self) -> None:
        """Connect and bring the schema up to date.

        Raises:
            ConfigurationError: URL, permissions or schema are wrong.
            DependencyError: The database server doesn't answer.
        """
        loop = asyncio.get_running_loop()
        started = await loop.run_in_executor(self._thread, self._worker.start)
        self._tell(started.reports)
        if started.fault is not None:
            self._degrade(started.fault)
        if self._worker.has_file:
            self._watcher = loop.create_task(every(self._clock, WATCH_S, self._watch))

    async def _watch(self) -> None:
        """Commit nothing, which notices a file that is gone while nobody writes."""
        if not self.is_degraded and self._commit is None:
            with suppress(StoreError):
                await self.write(lambda _connection: None)
                if self._has_traces:
                    await self.overwrite_deleted()

    async def close(self) -> None:
        """Finish the writes that were handed in, then let go of the file and the thread."""
        self._is_closing = True  # what fails from now on is tried no more
        await end_tasks(*self._tasks, *([self._watcher] if self._watcher is not None else []))
        with suppress(StoreError):
            await self._write_back()
        while self._commit is not None and not self.is_stuck:
            await self._settled(self._commit)
        self._is_closed = True
        loop = asyncio.get_running_loop()
        stopping = loop.run_in_executor(self._thread, self._worker.stop)
        stopping.add_done_callback(_retrieve)
        if not self.is_stuck:
            await self._settled(stopping)
        self._thread.shutdown(wait=False)

    async def _settled(self, work: asyncio.Future[Any]) -> None:
        """Wait for the thread as long as the limit allows, and let callbacks run."""
        done, _ = await asyncio.wait((work,), timeout=self._limit_s)
        if not done:
            self._hangs()
        await asyncio.sleep(0)


@asynccontextmanager
async def open_database(
    location: str | Path,
    clock: Clock,
    limit_s: float = LIMIT_S,
    *,
    guard: Guard = unguarded,
    on_fault: Callable[[], object] = lambda: None,
) -> AsyncGenerator[Database, None]:
    """Open a database for as long as the ``async with`` block lasts.

    Args:
        location: A file path (SQLite) or an SQLAlchemy URL.
        clock: For timestamps and the pace of recovery.
        limit_s: How long a caller waits for the disk, in seconds.
        guard: What each transaction that writes begins with; it raises where nothing may be written.
        on_fault: Called as soon as the storage fails, or has let somebody wait for ``SLOW_S``.

    Raises:
        ConfigurationError: URL, permissions or schema are wrong.
        DependencyError: The database server doesn't answer.
    """
    database = Database(Worker(parse_location(location), clock, guard), clock, limit_s, on_fault)
    try:
        await database.start()
        yield database
    finally:
        await database.close()


def _retrieve(done: asyncio.Future[Any]) -> None:
    """Look at a failure that its caller no longer waits for, so that asyncio doesn't complain."""
    if not done.cancelled():
        done.exception()


def _as_store_error(exc: BaseException) -> BaseException:
    """Wrap what the database raised; a fault in our own work stays what it is."""
    if not exc.__class__.__module__.startswith("sqlalchemy") and not isinstance(exc, OSError):
        return exc
    error = StoreError(f"writing failed: {cause(exc)}")
    error.__cause__ = getattr(exc, "orig", None) or exc
    return error
