"""Is what must last being kept: the data folder, its room, and the database in it."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.core.errors import ConfigurationError, StoreError
from bot.core.tasks import apart
from bot.diagnostics.values import Finding, Status, Step
from bot.storage.database import DEGRADED
from bot.storage.engine import log_of
from bot.storage.inspection import damage_of, is_newer, leftovers_of, server_problem
from bot.storage.lock import is_in_use
from bot.storage.log_file import read_log
from bot.storage.postgres import TOO_MANY
from config.settings import StoreSettings

if TYPE_CHECKING:
    from bot.storage.lease import Standing

_MIB = 1024 * 1024

_ADVICE = {
    TOO_MANY: "Raise the limit of the database, or of its user: each process takes up to three, and this check one.",
    "": "Check that it runs, and compare host, port, user, password and name in CLAWBOT_DATABASE_URL.",
}
"""What to do about a database server's problem; the last is for all others."""


def storage_findings(state: Sequence[str]) -> tuple[Finding, ...]:
    """Return what a running bot's database says of itself, as findings for its owners.

    Args:
        state: Sentences on what is wrong now.
    """
    if not state:
        return (Finding(Step.STORAGE, Status.OK, "Settings and questions are being saved."),)
    return tuple(_told(sentence) for sentence in state)


def _told(text: str) -> Finding:
    """Make a finding of what happened and, in the sentences after it, what to do."""
    cause, stop, advice = text.partition(". ")
    if text.startswith(DEGRADED.partition("{")[0]):
        return _warning(text, StoreError.admin_hint)
    return _warning(f"{cause}." if stop else cause, advice)


def folder_findings(settings: StoreSettings, database_file: str) -> tuple[Finding, ...]:
    """Look at the data folder before a start, changing nothing; never without a finding.

    Args:
        settings: Where things are kept.
        database_file: The database's name in the folder.
    """
    folder = settings.data_dir
    try:
        found = list(_look(settings, folder, folder / database_file))
    except OSError as exc:
        found = [_unusable(folder, exc.strerror or "no reason given")]
    if found:
        return tuple(found)
    cause = "The data folder is in order."
    if is_in_use(folder):
        cause = "The data folder is in order, and a running Clawbot uses it."
    return (Finding(Step.STORAGE, Status.OK, cause),)


async def probe_database(database_url: str) -> Finding:
    """Try to reach the database server, changing nothing there."""
    from bot.storage.lease import standing_on  # noqa: PLC0415 - nobody else pays for it

    try:
        problem = await apart(partial(server_problem, database_url), name="database-probe")
    except ConfigurationError as exc:
        return _unfit(exc)
    if problem:
        return Finding(
            Step.DATABASE,
            Status.FAILED,
            f"The database server can't be used: {problem}.",
            _ADVICE.get(problem, _ADVICE[""]),
        )
    try:
        standing = await apart(partial(standing_on, database_url), name="database-probe")
    except ConfigurationError as exc:
        return _unfit(exc)
    except StoreError:
        return _answering("")
    return _answering(_who_answers(standing) if standing.holders else "")


def _unfit(exc: ConfigurationError) -> Finding:
    return Finding(Step.DATABASE, Status.FAILED, "The database can't be used.", str(exc))


def _answering(more: str) -> Finding:
    return Finding(Step.DATABASE, Status.OK, f"The database server answers.{more}")


def _who_answers(standing: Standing) -> str:
    if standing.holders > 1:
        return f" {standing.holders} Clawbots share this database."
    count = standing.waiting
    waiting = {0: "none waits", 1: "one waits"}.get(count, f"{count} wait")
    return f" A Clawbot works with this database, and {waiting} to take over from it."


def late_database() -> Finding:
    """Return what is so when the database server takes too long."""
    return Finding(
        Step.DATABASE,
        Status.FAILED,
        "The database server can't be used: it doesn't answer.",
        "Check that it runs, that no firewall drops the connection, and the host and port in "
        "CLAWBOT_DATABASE_URL.",
    )


def _look(settings: StoreSettings, folder: Path, database: Path) -> Iterator[Finding]:
    if not folder.exists():
        nearest = next((parent for parent in folder.absolute().parents if parent.exists()), folder)
        if not nearest.is_dir() or not is_writable(nearest):
            yield _unusable(folder, "it doesn't exist and can't be made")
        else:
            yield from _room(settings, nearest)
        return
    if not folder.is_dir():
        yield _unusable(folder, "it is a file")
        return
    if not is_writable(folder):
        yield _unusable(folder, "this user may not read and write there")
        return
    yield from _privacy(folder)
    yield from _room(settings, folder)
    if settings.database_url is not None:
        return
    if database.exists():
        yield from _database(database)
    elif database.is_symlink():
        yield _unusable(folder, f"{database.name} in it is a link that leads nowhere")


def _room(settings: StoreSettings, folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    if free < settings.reserve_mib * _MIB:
        yield _warning(
            f"The disk of the data folder has only {free // _MIB} MiB left, so old questions will be "
            "deleted.",
            "Make room there, or move the data folder with CLAWBOT_DATA_DIR.",
        )


def is_writable(folder: Path) -> bool:
    """Try to make a file in a folder: file systems and access lists may forbid what the mode allows."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _privacy(folder: Path) -> Iterator[Finding]:
    if sys.platform != "win32" and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield _warning(
            "Other users of this machine can look into the data folder, which holds questions.",
            f"Close it: chmod 700 {folder}",
        )


def _database(database: Path) -> Iterator[Finding]:
    for file in (database, log_of(database)):
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            yield _unusable(database.parent, f"this user may not read and write {file.name} in it")
            return
    if database.is_dir():
        yield _unusable(database.parent, f"{database.name} in it is a folder")
        return
    if database.stat().st_size == 0:
        yield _warning(
            "The database's file is empty: a start begins without settings and earlier questions.",
            f"Put a backup of {database.name} in its place first, if you have one.",
        )
        return
    damage = damage_of(database)
    if not damage and is_newer(database):
        yield Finding(
            Step.STORAGE,
            Status.FAILED,
            "The database was written by a newer version of this program.",
            "Install that version again, or start with an empty data folder.",
        )
    if damage:
        yield Finding(
            Step.STORAGE,
            Status.FAILED,
            "The database is damaged: a start would set it aside and begin a new one, without its "
            "settings and open questions.",
            f"Put a backup of {database.name} in its place first, if you have one.",
            technical=damage,
        )
    elif read_log(log_of(database)).is_damaged:
        yield _warning(
            "The database's log is damaged: a start keeps a copy of it, and goes on without the last "
            "changes of settings and questions in it.",
        )
    for sentence in leftovers_of(database):
        yield _told(sentence)


def _warning(cause: str, advice: str = "") -> Finding:
    return Finding(Step.STORAGE, Status.WARNING, cause, advice)


def _unusable(folder: Path, reason: str) -> Finding:
    return Finding(
        Step.STORAGE,
        Status.FAILED,
        f"The data folder can't be used: {reason}.",
        "Check CLAWBOT_DATA_DIR and the folder's permissions.",
        technical=str(folder),
    )
