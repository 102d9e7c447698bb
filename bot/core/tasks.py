"""Tasks that belong to somebody, which question they work for, and work that is done in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, ContextVar
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")
_log = logging.getLogger(__name__)


class TaskOwner:
    """Keeps background tasks alive, logs what they raise, and ends them together."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, Any], *, name: str) -> None:
        """Run ``work`` in the background under this owner."""
        _ = self.watched(work, name=name)

    def watched(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Future[Any]:
        """Run ``work`` like ``start``, and return it for somebody to wait for."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            _log.error("background task %s failed", task.get_name(), exc_info=exc)

    async def wait(self, timeout_s: float) -> bool:
        """Wait for all tasks at most ``timeout_s`` seconds; True if none is left."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout_s)
        return not self._tasks

    async def cancel(self) -> None:
        """Cancel every task and wait until each has ended."""
        await end_tasks(*self._tasks)


async def end_tasks(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have ended, whatever they end with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


_log_ids: ContextVar[tuple[int | None, int | None, int | None]] = ContextVar(
    "log_ids", default=(None, None, None)
)


@contextlib.contextmanager
def log_context(
    *, question_id: int | None = None, guild_id: int | None = None, channel_id: int | None = None
) -> Iterator[None]:
    """Stamp every log record of this task, and of tasks it starts, with these ids.

    Args:
        question_id: The question being worked on.
        guild_id: Its guild; ``None`` in a DM.
        channel_id: Its channel.
    """
    before = _log_ids.set((question_id, guild_id, channel_id))
    try:
        yield
    finally:
        _log_ids.reset(before)


def log_ids() -> tuple[int | None, int | None, int | None]:
    """Return the question, the guild and the channel that the running task works for."""
    return _log_ids.get()


def start_shared(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start work that serves everybody, whoever happens to need it first.

    It takes over no context variable, so that no log line of it is said to be of that one question.
    The caller keeps the task.
    """
    return asyncio.get_running_loop().create_task(work, name=name, context=Context())


async def apart(work: Callable[[], T], *, name: str) -> T:
    """Return what ``work`` returns, in a thread of its own that may hang for ever.

    Neither the loop nor the end of the process waits for it; cancelling only gives its result up.

    Raises:
        Exception: What ``work`` raised.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: Callable[[], None]) -> None:
        if not done.done():
            result()

    def run() -> None:
        try:
            result = partial(done.set_result, work())
        except Exception as exc:  # noqa: BLE001 - the seam of the thread
            result = partial(done.set_exception, exc)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done


class KeyedLocks:
    """One lock per key, forgotten when nobody holds or awaits it; waiters are served in order."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[int, ...], asyncio.Lock] = WeakValueDictionary()

    def of(self, *key: int) -> asyncio.Lock:
        """Return the lock of a key; it lives as long as somebody refers to it."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock
