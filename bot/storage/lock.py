"""The data folder: made private, checked, and held by one process at a time."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from bot.core.clock import Clock, every
from bot.core.errors import ConfigurationError, DependencyError
from bot.core.tasks import apart

_log = logging.getLogger(__name__)

LOCK_NAME: Final = "clawbot.lock"
"""The file in the data folder that is locked; it stays there, empty."""

LOOK_S: Final = 5.0
"""Seconds between looks at the lock file."""


class HeldFolder:
    """A data folder and this process's lock on it.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._is_told = False

    def take(self) -> bool:
        """Lock the file that has the lock's name now; False where another process holds it.

        Raises:
            OSError: The file can't be made or opened.
        """
        descriptor, is_ours = _open_lock_file(self.path / LOCK_NAME), False
        try:
            is_ours = _lock(descriptor)
        finally:
            if not is_ours:
                os.close(descriptor)
        if is_ours:
            self.let_go()
            self._descriptor = descriptor
        return is_ours

    def watch(self, clock: Clock) -> Coroutine[Any, Any, None]:
        """Keep the lock for ever, looking now and then; a look that hangs holds up nothing else.

        Raises:
            DependencyError: Another process holds the folder.
        """
        return every(clock, LOOK_S, partial(apart, self.keep, name="lock"))

    def keep(self) -> None:
        """Take the lock again where its file was deleted or replaced.

        Raises:
            DependencyError: Another process was faster, and holds the folder.
        """
        try:
            if self._is_held():
                return
            if not self.take():
                self._take_own()
                return
        except OSError as exc:
            if not self._is_told:
                self._is_told = True
                reason = exc.strerror or "no reason given"
                _log.error("the data folder's lock file is gone and can't be made (%s)", reason)
            return
        self._is_told = False
        _log.warning("the data folder's lock file was deleted; it is made and held again")

    def _take_own(self) -> None:
        """Take the lock again where this process itself may be who has it.

        Some file systems give the same file another number at each look; then nothing was deleted.

        Raises:
            DependencyError: Another process has it.
            OSError: The file can't be made or opened.
        """
        self.let_go()
        if not self.take():
            raise DependencyError(
                f"The lock file of the data folder {self.path} was deleted, and another Clawbot "
                "has the folder since: this one ends. Start only one."
            )

    def let_go(self) -> None:
        """Drop the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _is_held(self) -> bool:
        """Return whether the file under the lock's name is the one that is locked."""
        try:
            named = (self.path / LOCK_NAME).stat()
        except FileNotFoundError:
            return False
        return self._descriptor is not None and os.path.samestat(named, os.fstat(self._descriptor))


@contextmanager
def data_folder(folder: Path) -> Iterator[HeldFolder]:
    """Make the data folder if needed and hold it until the end of the ``with`` block.

    The system drops the lock when the process ends, however it ends.

    Args:
        folder: Created with mode 0700 where the system knows modes.

    Raises:
        ConfigurationError: The folder can't be made or used.
        DependencyError: Another process holds it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = HeldFolder(folder)
        is_ours = held.take()
    except OSError as exc:
        is_file = isinstance(exc, FileExistsError | NotADirectoryError)
        reason = "it is a file" if is_file else (exc.strerror or "no reason given").lower()
        raise ConfigurationError(
            f"I can't use the data folder {folder} ({reason}): "
            "check CLAWBOT_DATA_DIR and the folder's permissions."
        ) from exc
    if not is_ours:
        raise DependencyError(
            f"Another Clawbot is already running with the data folder {folder}: "
            "stop it first, or give this one a CLAWBOT_DATA_DIR of its own."
        )
    try:
        yield held
    finally:
        held.let_go()


def is_in_use(folder: Path) -> bool:
    """Return whether a running process holds the folder; looks without making anything."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def _open_lock_file(path: Path) -> int:
    """Open the lock file; read-only where it exists and nothing may be written."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        try:
            return os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise exc from None  # why it can't be made says more than that it isn't there


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        """Take the lock without waiting; the byte locked lies beyond the empty file's end."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        """Take the lock without waiting."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
