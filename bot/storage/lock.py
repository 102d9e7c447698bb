"""The data folder: made private, checked, and held by one process at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bot.core.errors import ConfigurationError, DependencyError

LOCK_NAME: Final = "clawbot.lock"
"""The file in the data folder that is locked; it stays there, empty."""


@contextmanager
def data_folder(folder: Path) -> Iterator[Path]:
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
        descriptor = _open_lock_file(folder / LOCK_NAME)
    except OSError as exc:
        is_file = isinstance(exc, FileExistsError | NotADirectoryError)
        reason = "it is a file" if is_file else (exc.strerror or "no reason given").lower()
        raise ConfigurationError(
            f"I can't use the data folder {folder} ({reason}): "
            "check CLAWBOT_DATA_DIR and the folder's permissions."
        ) from exc
    try:
        if not _lock(descriptor):
            raise DependencyError(
                f"Another Clawbot is already running with the data folder {folder}: "
                "stop it first, or give this one a CLAWBOT_DATA_DIR of its own."
            )
        yield folder
    finally:
        os.close(descriptor)


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
