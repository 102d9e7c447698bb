"""Files decoded in processes of their own: few at a time, bounded, killed when they take too long.

A file that unfolds without end, or a library that loops over it, then costs a process that is
thrown away, and never a thread or the memory of this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from asyncio.subprocess import Process
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from bot.core import child_process
from bot.core.clock import Clock, within
from bot.core.tasks import TaskOwner
from bot.prompt.attachments import decoder_process as child
from bot.prompt.attachments.decoding import TOO_LARGE, TOO_LONG, Decoded
from bot.prompt.attachments.fair_gate import FairGate, Share
from bot.prompt.attachments.kinds import FileKind

_log = logging.getLogger(__name__)

BUSY: Final = "too many files are being read at the moment"
OVERSPENT: Final = "your files have taken me too long lately; try again in a few minutes"
UNABLE: Final = "I can't read files at the moment"

PASSING: Final = frozenset({BUSY, OVERSPENT, UNABLE})
"""Problems that say nothing of the file itself."""

_RESULT_BYTES = 16 * 1024 * 1024
"""Most that is taken from a process: four times the longest text file of the settings."""

_ENDING_S = 2.0
"""How long a process that hung up may take to end, in seconds."""


class Decoder(Protocol):
    """Turns a file's bytes into something a model can read."""

    def prepare(self, kind: FileKind) -> None:
        """Make ready for a file that is being downloaded."""
        ...

    async def decode(self, kind: FileKind, data: bytes, *, is_cut: bool, share: Share) -> Decoded:
        """Decode a file, or say why it can't be used; never raises for bad files.

        Args:
            kind: What to take it for.
            data: The file, or its beginning.
            is_cut: There is more of it than ``data``.
            share: Whose time it takes.
        """
        ...


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """What decoding may take.

    Attributes:
        processes: At the same time; one person has at most one of them.
        memory_bytes: Of one process, beyond what it starts with.
        cpu_s: Processor time of one file, in whole seconds.
        wall_s: Time of one file on the clock, in seconds; a busy machine needs more than ``cpu_s``.
        wait_s: Longest wait for a process, in seconds.
        person_s: Time that one person's files may take, in seconds; a tenth comes back.
        idle_s: How long an idle process is kept, in seconds.
        files: Files after which a process is replaced, so that nothing builds up in it.
    """

    processes: int = 2
    memory_bytes: int = 256 * 1024 * 1024
    cpu_s: int = 6
    wall_s: float = 15.0
    wait_s: float = 30.0
    person_s: float = 30.0
    idle_s: float = 60.0
    files: int = 50


@dataclass(slots=True, eq=False)
class _Helper:
    """A process that decodes.

    Attributes:
        files: How many it has had.
        rest: Ends it when nothing comes for a while.
    """

    process: Process
    files: int = 0
    rest: asyncio.Future[Any] | None = None


class DecoderPool:
    """Decodes in processes that are started when needed; an async context manager that ends them."""

    def __init__(self, clock: Clock, limits: DecoderLimits | None = None) -> None:
        self._clock = clock
        self._limits = limits or DecoderLimits()
        self._gate = FairGate(clock, places=self._limits.processes, places_person=1)
        self._tasks = TaskOwner()
        self._idle: list[_Helper] = []
        self._all: set[_Helper] = set()
        self._coming: asyncio.Future[Any] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.cancel()
        await asyncio.gather(*map(self._end, list(self._all)))

    def prepare(self, kind: FileKind) -> None:
        """Start a process while the file is downloaded, unless there is one."""
        if not self._all and self._coming is None:
            self._coming = self._tasks.watched(self._bring(kind), name="start-decoder")

    async def decode(self, kind: FileKind, data: bytes, *, is_cut: bool, share: Share) -> Decoded:
        """Decode a file in its turn; see ``Decoder``.

        Cancellation: The process that works on it is killed.
        """
        if self._is_overspent(share):
            return Decoded(problem=OVERSPENT)
        async with contextlib.AsyncExitStack() as stack:
            place = stack.enter_async_context(self._gate.place(share))
            try:
                await within(self._clock, place, self._limits.wait_s)
                if self._is_overspent(share):  # by the files that went first
                    return Decoded(problem=OVERSPENT)
                helper = await self._take(kind)
            except TimeoutError:
                return Decoded(problem=BUSY)
            except OSError as exc:
                _log.warning("no process to decode files in: %s", exc)
                return Decoded(problem=UNABLE)
            return await self._decode(helper, kind, data, is_cut=is_cut)

    def _is_overspent(self, share: Share) -> bool:
        return self._gate.used_s(share.person_id) > self._limits.person_s

    async def _decode(
        self, helper: _Helper, kind: FileKind, data: bytes, *, is_cut: bool
    ) -> Decoded:
        """Have a process decode a file; a process that may have suffered gets no other."""
        helper.files += 1
        is_spent = True
        try:
            work = _ask(helper.process, kind, data, is_cut=is_cut)
            decoded, is_spent = await within(self._clock, work, self._limits.wall_s)
        except TimeoutError:
            _log.info("a file (%s, %d bytes) took too long: given up", kind, len(data))
            return Decoded(problem=TOO_LONG)
        except (EOFError, OSError, ValueError):
            _log.info("a file (%s, %d bytes) ended its process", kind, len(data))
            return Decoded(problem=await self._why(helper))
        finally:
            if is_spent or helper.files >= self._limits.files:
                self._tasks.start(self._end(helper), name="end-decoder")
            else:
                self._rest(helper)
        return decoded

    async def _take(self, kind: FileKind) -> _Helper:
        """Return an idle process, or a new one.

        Raises:
            OSError: The system has none to give.
        """
        if self._coming is not None and not self._idle:
            await asyncio.wait({self._coming})
        while self._idle:
            helper = self._idle.pop()
            if helper.rest is not None:
                helper.rest.cancel()
            if helper.process.returncode is None:
                return helper
            self._all.discard(helper)
        return await self._start(kind)

    async def _bring(self, kind: FileKind) -> None:
        """Start a process ahead of its file; where that fails, the file's turn says so."""
        try:
            self._rest(await self._start(kind))
        except OSError as exc:
            _log.debug("no process to decode files in yet: %s", exc)
        finally:
            self._coming = None

    async def _start(self, kind: FileKind) -> _Helper:
        process = await child_process.start(
            *("-S", "-B", "-m", child.__name__),
            *(kind.value, str(self._limits.memory_bytes), str(self._limits.cpu_s)),
        )
        helper = _Helper(process)
        self._all.add(helper)
        return helper

    def _rest(self, helper: _Helper) -> None:
        self._idle.append(helper)
        helper.rest = self._tasks.watched(self._end_later(helper), name="idle-decoder")

    async def _end_later(self, helper: _Helper) -> None:
        await self._clock.sleep(self._limits.idle_s)
        self._idle.remove(helper)
        await self._end(helper)

    async def _end(self, helper: _Helper) -> None:
        process = helper.process
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(OSError):
            await process.communicate()
        self._all.discard(helper)

    async def _why(self, helper: _Helper) -> str:
        """Return why a process has ended by itself, or as good as ended."""
        code = helper.process.returncode
        if code is None:
            try:
                code = await within(self._clock, helper.process.wait(), _ENDING_S)
            except TimeoutError:
                return child.DAMAGED
        if code == -getattr(signal, "SIGXCPU", 0):
            return TOO_LONG
        if code == -getattr(signal, "SIGKILL", 0):  # by the system, for want of memory
            return TOO_LARGE
        _log.warning("a process that decodes files ended with code %d", code)
        return child.DAMAGED


async def _ask(
    process: Process, kind: FileKind, data: bytes, *, is_cut: bool
) -> tuple[Decoded, bool]:
    """Hand a file over; returns what came of it, and whether the process should get no other.

    Raises:
        EOFError: The process ended before it had answered.
        OSError: As above.
        ValueError: What it wrote is no answer.
    """
    if process.stdin is None or process.stdout is None:
        raise ValueError("the process has no pipes")
    process.stdin.write(child.HEADER.pack(kind.value[0].encode(), is_cut, len(data)))
    process.stdin.write(data)
    await process.stdin.drain()
    header = await process.stdout.readexactly(child.HEADER.size)
    letter, flags, length = child.HEADER.unpack(header)
    if length > _RESULT_BYTES:
        raise ValueError("the answer is too long")
    text = (await process.stdout.readexactly(length)).decode()
    return _answer(letter, text, is_cut=bool(flags & child.IS_CUT)), bool(flags & child.IS_SPENT)


def _answer(letter: bytes, text: str, *, is_cut: bool) -> Decoded:
    if letter == child.PROBLEM:
        return Decoded(problem=text)
    if letter == child.TEXT:
        return Decoded(text, is_cut=is_cut)
    if letter == child.IMAGE and text.startswith("data:image/"):
        return Decoded(image=text)
    raise ValueError("the answer is of no known kind")
