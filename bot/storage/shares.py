"""The session by which one of several processes holds its part of the shards and of the model's slots.

Everything held is an advisory lock of the session: the server frees it when the session ends, however,
and shows it to the others. A row says that the process is a member; every transaction that writes looks
for it (``check_member``). Whoever takes over from a member that didn't end in order deletes that row
first, so that a process that was cut off can't write into its successor's work.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, text

from bot.storage.lease import HOLD_KEY, HoldingSession, SupersededError, end_term, pass_term
from bot.storage.migrate import ensure_schema
from bot.storage.postgres import News, announce

_MEMBER, _READY, _SHARD, _SLOT, _IDLE, _TURN, _AGREE = range(0x636C_6100, 0x636C_6107)
"""First keys of advisory locks with two; the second is a number: of the member, the shard, the slot."""

RETURN_S: Final = 2.0
"""Seconds in which a member whose session was lost may take its part again: all sessions end where the server
is started again, and whoever was back first would have taken everything."""
_STALE_MS: Final = 600_000
"""Milliseconds after which the rows of a member without a session, and of a deletion, are tidied away."""

_ROWS: Final = text(
    "SELECT classid::bigint AS class, objid::bigint AS number, pid, pid = pg_backend_pid() AS is_own,"
    " state.value AS line FROM pg_locks LEFT JOIN state ON classid::bigint = :first"
    " AND pid <> pg_backend_pid() AND state.key = 'line:' || objid::text"
    " WHERE locktype = 'advisory' AND granted AND objsubid = 2"
    " AND classid::bigint BETWEEN :first AND :last"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
).bindparams(first=_MEMBER, last=_AGREE)
_TRY: Final = text("SELECT pg_try_advisory_lock(:class, :number)")
_FREE: Final = text("SELECT pg_advisory_unlock(:class, :number)")
_TRY_HOLD: Final = text("SELECT pg_try_advisory_lock_shared(:key)").bindparams(key=HOLD_KEY)
_ALONE: Final = text("SELECT pg_advisory_xact_lock(:class, 0)").bindparams(**{"class": _AGREE})
_FREE_SLOT: Final = text(
    "SELECT number FROM generate_series(0, :most - 1) AS number WHERE NOT EXISTS (SELECT FROM pg_locks"
    " WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = :class AND objid::bigint = number"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
).bindparams(**{"class": _SLOT})
_READ: Final = text("SELECT value FROM state WHERE key = :key")
_IS_MEMBER: Final = text("SELECT 1 FROM state WHERE key = :key FOR SHARE")
_WRITE: Final = text(
    "INSERT INTO state (key, value, updated_at_ms) VALUES (:key, :value, extract(epoch FROM now()) * 1000) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at_ms = excluded.updated_at_ms"
)
_DELETE: Final = text("DELETE FROM state WHERE key = :key")
_HAS_COME: Final = text(
    "SELECT 1 FROM state WHERE key = :key AND updated_at_ms > extract(epoch FROM now()) * 1000 - :ms"
).bindparams(ms=RETURN_S * 1000)
_TIDY: Final = text(
    "DELETE FROM state WHERE (key LIKE 'member:%' OR key LIKE 'line:%' OR key LIKE 'deletion:%') AND updated_at_ms < extract(epoch FROM now()) * 1000 - :ms"
    " AND split_part(key, ':', 2)::bigint NOT IN (SELECT objid::bigint FROM pg_locks"
    " WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = :class)"
).bindparams(ms=_STALE_MS, **{"class": _MEMBER})
_DELETIONS: Final = text(
    "SELECT key, value, (extract(epoch FROM now()) * 1000 - updated_at_ms) / 1000 AS age_s"
    " FROM state WHERE key LIKE 'deletion:%' ORDER BY updated_at_ms"
)
_COUNT: Final = "shards"
"""State: how many shards there are."""


@dataclass(frozen=True, slots=True)
class Member:
    """What one process holds.

    Attributes:
        number: Its own.
        is_ready: It can take shards.
        shards: Those that it serves.
        slots: Those of the model that it may use.
        is_idling: The time in which nobody asks is its to use.
        line: What it tells of its questions; empty where there are none.
    """

    number: int
    is_ready: bool = False
    shards: frozenset[int] = frozenset()
    slots: frozenset[int] = frozenset()
    is_idling: bool = False
    line: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at all members has shown.

    Attributes:
        own: This process's part; ``None`` where it holds nothing.
        others: Those of the others.
    """

    own: Member | None = None
    others: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Deletion:
    """Somebody's data is being deleted, or was just now.

    Attributes:
        number: Its own.
        about: Whose data.
        age_s: Seconds since it was told.
    """

    number: int
    about: str
    age_s: float = 0.0


@dataclass(slots=True)
class _Session:
    is_own: bool
    line: str = ""
    held: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def member(self) -> Member | None:
        numbers = self.held[_MEMBER]
        if not numbers:
            return None
        return Member(
            max(numbers),
            is_ready=bool(self.held[_READY]),
            shards=frozenset(self.held[_SHARD]),
            slots=frozenset(self.held[_SLOT]),
            is_idling=bool(self.held[_IDLE]),
            line=self.line,
        )


class ShareSession(HoldingSession):
    """A session that is a member."""

    def join(self, member: int) -> bool | None:
        """Become a member, in a database that is made where it is empty.

        Returns:
            ``None`` where a process leads that shares nothing. Otherwise whether the last one of those
            ended in order, or ``settled`` was called since.
        """

        def join(connection: Connection) -> bool | None:
            if not connection.execute(_TRY_HOLD).scalar():
                return None
            connection.execute(_ALONE)
            ensure_schema(connection)
            connection.execute(_TIDY)
            _lock(connection, _MEMBER, member)
            _write(connection, _member_key(member), 1)
            return pass_term(connection)

        return self.run(join)

    def settled(self) -> None:
        """Say that the last process that led has surely ended what it did."""
        self.run(end_term)

    def return_(
        self, member: int, shards: Iterable[int], slots: Iterable[int], *, is_ready: bool
    ) -> bool:
        """Take again what a lost session held; return whether all of it is there.

        Not a shard that was noted as left before the session broke: another may have it by now.
        """
        wanted = [(_MEMBER, member), *((_SLOT, n) for n in slots)]
        if is_ready:
            wanted.append((_READY, member))

        def take(connection: Connection) -> bool:
            if not connection.execute(_TRY_HOLD).scalar() or not _is_member(connection, member):
                return False
            _write(connection, _member_key(member), 1)
            still = [(_SHARD, n) for n in shards if _has(connection, n, member)]
            return all(_lock(connection, *each) for each in (*wanted, *still))

        return self.run(take)

    def is_superseded(self, member: int) -> bool:
        """Return whether another member has taken over from this one."""
        return not self.run(lambda connection: _is_member(connection, member))

    def look(self) -> Sight:
        """Return what all members hold."""
        return self.run(_look)

    def agree(self, member: int, count: int) -> int:
        """Be ready to take shards; return how many there are: as the others have it, if there are any."""

        def agree(connection: Connection) -> int:
            connection.execute(_ALONE)
            agreed = _read(connection, _COUNT)
            if not isinstance(agreed, int) or not any(
                each.is_ready for each in _look(connection).others
            ):
                agreed = count
                _write(connection, _COUNT, count)
            _lock(connection, _READY, member)
            return agreed

        return self.run(agree)

    def take_shard(self, shard: int, member: int, *, only_left: bool = False) -> bool | None:
        """Take a shard that nobody holds.

        Args:
            shard: Its number.
            member: Who takes it.
            only_left: Not from one who may come back.

        Returns:
            ``None`` where somebody does, or has come within ``RETURN_S``. Otherwise whether the last one to hold
            it has given it up in order; if not, that one writes nothing any more.
        """

        def take(connection: Connection) -> bool | None:
            before = _unended(connection, shard, member)
            if before is not None and (only_left or _has_come(connection, before)):
                return None
            if not _lock(connection, _SHARD, shard):
                return None
            before = _unended(connection, shard, member)
            if before is not None:
                connection.execute(_DELETE, {"key": _member_key(before)})
            _note(connection, shard, member, is_left=False)
            return before is None

        return self.run(take)

    def note_left(self, shard: int, member: int) -> None:
        """Say that nothing is done for a shard any more, before it is free."""
        self.run(lambda connection: _leave(connection, shard, member))

    def free_shard(self, shard: int) -> None:
        """Let another member take a shard."""
        self.run(lambda connection: _unlock(connection, _SHARD, shard))

    def leave(self, member: int, shards: Iterable[int]) -> None:
        """Say that this process ends in order."""

        def leave(connection: Connection) -> None:
            for shard in shards:
                _leave(connection, shard, member)
            for key in (_member_key(member), _line_key(member)):
                connection.execute(_DELETE, {"key": key})

        self.run(leave)

    def take_slot(self, most: int, blocked: Iterable[int]) -> int | None:
        """Take a slot of the model that isn't blocked; ``None`` where all are in use."""

        def take(connection: Connection) -> int | None:
            found = connection.execute(_FREE_SLOT, {"most": most}).scalars().all()
            free = (n for n in found if n not in blocked)
            return next((n for n in free if _lock(connection, _SLOT, n)), None)

        return self.run(take)

    def tell(self, member: int, line: str, freed: Iterable[int]) -> None:
        """Tell the others of a member's line, of which nothing is kept where it is empty, and give slots back."""

        def tell(connection: Connection) -> None:
            if line:
                _write(connection, _line_key(member), line)
            else:
                connection.execute(_DELETE, {"key": _line_key(member)})
            for slot in freed:
                _unlock(connection, _SLOT, slot)
            announce(connection, News.SLOTS)

        self.run(tell)

    def try_idle(self) -> bool:
        """Take the time in which nobody asks; return whether it was free."""
        return self.run(lambda connection: _lock(connection, _IDLE, 0))

    def end_idle(self) -> None:
        """Leave the time in which nobody asks to others."""

        def leave(connection: Connection) -> None:
            _unlock(connection, _IDLE, 0)
            announce(connection, News.SLOTS)

        self.run(leave)

    def try_turn(self, number: int) -> bool:
        """Take the turn to log in, of those that exclude each other; return whether it was free."""
        return self.run(lambda connection: _lock(connection, _TURN, number))

    def end_turn(self, number: int) -> None:
        """Let the next one log in."""
        self.run(lambda connection: _unlock(connection, _TURN, number))


def check_member(connection: Connection, member: int) -> None:
    """Begin a transaction that writes: look whether nobody has taken over from a member.

    Raises:
        SupersededError: Somebody has.
    """
    if not _is_member(connection, member):
        raise SupersededError("another process has taken over")


def tell_deletion(connection: Connection, deletion: Deletion) -> None:
    """Tell other processes of a deletion: those that listen, and until it ends those that do so later."""
    _write(connection, _deletion_key(deletion), deletion.about)
    announce(connection, News.FORGET, f"{deletion.number} {deletion.about}")


def deletions(connection: Connection) -> list[Deletion]:
    """Return the deletions that were told and haven't ended, oldest first."""
    return [
        Deletion(int(row.key.partition(":")[2]), json.loads(row.value), float(row.age_s))
        for row in connection.execute(_DELETIONS)
    ]


def end_deletion(connection: Connection, deletion: Deletion) -> None:
    """Keep nothing more of a deletion."""
    connection.execute(_DELETE, {"key": _deletion_key(deletion)})


def _is_member(connection: Connection, member: int) -> bool:
    return bool(connection.execute(_IS_MEMBER, {"key": _member_key(member)}).scalar())


def _has_come(connection: Connection, member: int) -> bool:
    return bool(connection.execute(_HAS_COME, {"key": _member_key(member)}).scalar())


def _unended(connection: Connection, shard: int, member: int) -> int | None:
    """Return the last other member to hold a shard, unless it has given that up in order."""
    noted = _read(connection, _shard_key(shard))
    if not isinstance(noted, Mapping) or noted.get("left") or noted["member"] == member:
        return None
    return int(noted["member"])


def _has(connection: Connection, shard: int, member: int) -> bool:
    """Return whether a member is the last to hold a shard, and hasn't given it up."""
    return bool(_read(connection, _shard_key(shard)) == {"member": member, "left": False})


def _leave(connection: Connection, shard: int, member: int) -> None:
    """Note a shard as left, unless that was noted before: it may be another's by now."""
    if _has(connection, shard, member):
        _note(connection, shard, member, is_left=True)


def _look(connection: Connection) -> Sight:
    sessions: dict[int, _Session] = {}
    for row in connection.execute(_ROWS):
        session = sessions.setdefault(row.pid, _Session(row.is_own))
        session.held[row[0]].add(row.number)
        if row.line is not None:
            session.line = json.loads(row.line)
    found = [(each.is_own, each.member()) for each in sessions.values()]
    return Sight(
        next((member for is_own, member in found if is_own), None),
        tuple(member for is_own, member in found if member is not None and not is_own),
    )


def _lock(connection: Connection, of: int, number: int) -> bool:
    return bool(connection.execute(_TRY, {"class": of, "number": number}).scalar())


def _unlock(connection: Connection, of: int, number: int) -> None:
    connection.execute(_FREE, {"class": of, "number": number})


def _note(connection: Connection, shard: int, member: int, *, is_left: bool) -> None:
    _write(connection, _shard_key(shard), {"member": member, "left": is_left})


def _read(connection: Connection, key: str) -> Any:  # noqa: ANN401 - as stored
    stored = connection.execute(_READ, {"key": key}).scalar()
    return None if stored is None else json.loads(stored)


def _write(connection: Connection, key: str, value: object) -> None:
    connection.execute(_WRITE, {"key": key, "value": json.dumps(value)})


def _member_key(member: int) -> str:
    return f"member:{member}"


def _line_key(member: int) -> str:
    return f"line:{member}"


def _deletion_key(deletion: Deletion) -> str:
    return f"deletion:{deletion.number}"


def _shard_key(shard: int) -> str:
    return f"shard:{shard}"
