"""The settings file while the bot runs: an edit is checked and put in force, a broken one reported."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.core.clock import Clock
from bot.storage.settings_store import SettingsStore
from config import names
from config.environment import DOTENV, Sources, read_environment
from config.loader import SettingsError
from config.settings import Settings

_log = logging.getLogger(__name__)

LOOK_S: Final = 2.5
"""Seconds between looks at the files: a look is two calls of ``stat``. An edit holds once two looks have found
the same: editors write a file in parts, or move it away for a moment, and without it nobody is shut out."""

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the operator's settings are read from.

    Attributes:
        read: Reads the environment and the files anew.
        files: The files that may be edited, whether they are there or not.
    """

    read: Callable[[], Sources]
    files: tuple[Path, ...]

    @classmethod
    def of(cls, config_path: str | None, folder: Path = Path()) -> Origin:
        """Return where a process that was started in a folder reads its settings.

        Args:
            config_path: The settings file that the command line named, if it did.
            folder: Where ``.env`` and the default settings file are looked for.
        """

        def read() -> Sources:
            return read_environment(folder=folder, config_path=config_path)

        return cls(read, (folder / DOTENV, Path(read().file_name)))


class Reload:
    """Follows the operator's files.

    Args:
        origin: Where the settings come from.
        settings: What was read at the start.
        store: Puts settings in force, and tells the owners how the last edit went.
        follow: Called once other settings are in force, for what doesn't look at them by itself.
    """

    def __init__(
        self,
        origin: Origin,
        settings: Settings,
        store: SettingsStore,
        follow: Callable[[], None],
    ) -> None:
        self._follow = follow
        self._origin = origin
        self._start = settings
        self._in_force = settings
        self._store = store
        self._seen = _stamp(origin.files)

    async def watch(self, clock: Clock) -> None:
        """Look at the files until cancelled."""
        before = self._seen
        while True:
            await clock.sleep(LOOK_S)
            stamp = _stamp(self._origin.files)
            if stamp == before != self._seen:
                self._seen = stamp
                self._take(self._origin.read())
            before = stamp

    def _take(self, sources: Sources) -> None:
        try:
            settings = sources.load().settings
        except SettingsError as exc:
            self._store.file_state = tuple(
                f"The edited settings aren't used, the last good ones hold: {problem}"
                for problem in exc.problems
            )
            for problem in exc.problems:
                _log.warning("the edited settings aren't used: %s", problem)
            return
        changed = [
            target for target in names.targets() if _differs(target, settings, self._in_force)
        ]
        live = [target for target in changed if names.mark(target).reach]
        new = {target: target.value_in(settings) for target in live}
        self._in_force = names.with_values(self._in_force, new)
        self._store.rebase(self._in_force)
        self._follow()
        waiting = [
            target
            for target in names.targets()
            if not names.mark(target).reach and _differs(target, settings, self._start)
        ]
        self._store.file_state = tuple(
            f"{target.path} was edited: restart me to use it." for target in waiting
        )
        if changed:
            _log.info(
                "the edited settings hold: %s; after a restart: %s",
                ", ".join(target.path for target in live) or "none",
                ", ".join(target.path for target in waiting) or "none",
            )


def _differs(target: names.Target, one: Settings, other: Settings) -> bool:
    return target.value_in(one) != target.value_in(other)


def _stamp(files: tuple[Path, ...]) -> Stamp:
    """Return what tells an edited file from the one seen before."""
    return tuple(map(_file_stamp, files))


def _file_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
