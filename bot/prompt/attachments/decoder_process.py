"""The process that strangers' files are decoded in: ``python -m bot.prompt.attachments.decoder_process``.

It knows no secrets, opens no connection, writes no file, and bounds its own memory and processor
time before it reads the first byte of a file. Whoever started it bounds the time on the clock from
outside, and ends it by closing its input.

Both directions carry a header and so many bytes. To it: the kind of a file, whether there is more of
it, and its bytes. From it: what came of it, whether only a part was read, and text in UTF-8. After
a file that took all its time or much memory the process asks to be replaced.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from types import FrameType
from typing import BinaryIO, Final

from bot.prompt.attachments.decoding import TOO_LONG, Decoded, OutOfTimeError, decode
from bot.prompt.attachments.kinds import FileKind

HEADER: Final = Struct(">cBI")
"""A letter, flags, and the length of what follows, in bytes."""

KINDS: Final = {kind.value[0].encode(): kind for kind in FileKind if kind is not FileKind.OTHER}
"""The letters to it."""

TEXT, IMAGE, PROBLEM = b"t", b"i", b"!"
"""The letters from it."""

IS_CUT, IS_SPENT = 1, 2
"""The flags: there is more of the file; the process isn't to be used again."""

DAMAGED: Final = "it is damaged"

_LIBRARIES: Final = {
    FileKind.IMAGE: [f"PIL.{name}ImagePlugin" for name in ("Png", "Jpeg", "Gif", "WebP", "Bmp")],
    FileKind.PDF: ["pypdf"],
    FileKind.TEXT: [],
}
_GRACE_S = 2
"""Processor seconds between asking the work to end and the system ending the process."""

_PAUSE_S = 1.0
_NICENESS = 5
_OPEN_FILES = 32
_AGAIN_S = 0.5
"""A library may catch what the timer raises: it raises again."""


def main(arguments: list[str]) -> None:
    """Decode what comes on standard input until it is closed.

    Args:
        arguments: The kind of the first file, the memory to decode in, in bytes, and the processor
            time of a file, in whole seconds.
    """
    first, memory_bytes, cpu_s = FileKind(arguments[0]), int(arguments[1]), int(arguments[2])
    source, sink = sys.stdin.buffer, _own_output()
    _load(first)
    _restrict(memory_bytes)
    while len(header := source.read(HEADER.size)) == HEADER.size:
        letter, flags, length = HEADER.unpack(header)
        data = source.read(length)
        if len(data) < length:
            return
        job = _Job(cpu_s, memory_bytes // 2)
        decoded = job.decode(KINDS[letter], data, is_cut=bool(flags & IS_CUT))
        _write(sink, decoded, is_spent=job.is_spent)
        _use_a_pause(source)


class _Job:
    """One file, and what it did to the process.

    Args:
        cpu_s: Processor time it may take, in seconds.
        memory_bytes: Memory that the process may be seen with afterwards.
    """

    def __init__(self, cpu_s: int, memory_bytes: int) -> None:
        self._cpu_s = cpu_s
        self._memory_bytes = memory_bytes
        self.is_spent = False

    def decode(self, kind: FileKind, data: bytes, *, is_cut: bool) -> Decoded:
        """Decode the file, whatever a library makes of it."""
        try:
            with self._bounded():
                return decode(kind, data, is_cut=is_cut)
        except OutOfTimeError:
            return Decoded(problem=TOO_LONG)
        # The outer seam of one file: what nobody foresaw is that file's problem.
        except Exception:  # noqa: BLE001
            self.is_spent = True
            return Decoded(problem=DAMAGED)

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        """Raise ``OutOfTimeError`` after so much processor time, and end the process a little later.

        Windows has neither clock; there the time on the clock is the only bound.
        """
        if sys.platform == "win32":
            yield
            return
        import resource  # noqa: PLC0415 - not on Windows

        usage = resource.getrusage(resource.RUSAGE_SELF)
        most_s = int(usage.ru_utime + usage.ru_stime) + self._cpu_s + _GRACE_S
        resource.setrlimit(resource.RLIMIT_CPU, (most_s, resource.RLIM_INFINITY))
        signal.signal(signal.SIGPROF, self._stop)
        signal.setitimer(signal.ITIMER_PROF, self._cpu_s, _AGAIN_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.is_spent = self.is_spent or _memory_in_use()[1] > self._memory_bytes

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.is_spent = True
        raise OutOfTimeError


def _use_a_pause(source: BinaryIO) -> None:
    """Load what a file of another kind will need, once nothing comes for a while."""
    if sys.platform == "win32":
        return  # there a pipe can't be waited for
    if not select.select([source], [], [], _PAUSE_S)[0]:
        for kind in KINDS.values():
            _load(kind)


def _load(kind: FileKind) -> None:
    for name in _LIBRARIES[kind]:
        importlib.import_module(name)


def _write(sink: BinaryIO, decoded: Decoded, *, is_spent: bool) -> None:
    letter = PROBLEM if decoded.problem else IMAGE if decoded.image else TEXT
    payload = (decoded.problem or decoded.image or decoded.text).encode("utf-8", "replace")
    flags = IS_CUT * decoded.is_cut + IS_SPENT * is_spent
    sink.write(HEADER.pack(letter, flags, len(payload)))
    sink.write(payload)
    sink.flush()


def _restrict(memory_bytes: int) -> None:
    """Give up what decoding doesn't need, as far as the system can take it.

    Args:
        memory_bytes: What may be used beyond what is in use now.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the whole terminal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # whoever started it closes the input
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    os.nice(_NICENESS)
    with contextlib.suppress(OSError):  # Linux: when memory runs out, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_AS: _memory_in_use()[0] + memory_bytes,
    }
    for limit, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # macOS doesn't know all of them
            resource.setrlimit(limit, (most, most))


def _memory_in_use() -> tuple[int, int]:
    """Return this process's address space and resident memory, in bytes (Linux: proc(5), statm).

    Elsewhere nothing says so: then it is a guess for a Python with libraries.
    """
    try:
        total, resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[:2]
    except (OSError, ValueError):
        return 512 * 1024 * 1024, 0
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    return int(total) * page_bytes, int(resident) * page_bytes


def _own_output() -> BinaryIO:
    """Return standard output for answers alone; what a library prints goes nowhere."""
    own = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return own


if __name__ == "__main__":
    main(sys.argv[1:])
