"""What ``/healthz`` and ``/readyz`` say."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.ports import Lead, ServerState
from bot.core.wording import counted
from bot.ops.status_server import PartState

LAG_S = 2.0
"""Seconds that the loop may be late: the watchdog's first mark."""
STUCK_S = 60.0
"""Seconds that the database's thread may be overdue: it gives up a server that vanished sooner
(``bot.storage.postgres``), and a new start, which needs that server, would mend nothing."""


def health(*, lag_s: float, stuck_s: float) -> list[PartState]:
    """Return what only a new start would mend.

    Args:
        lag_s: How late the event loop is, in seconds.
        stuck_s: For how long the database's thread has been overdue, in seconds.
    """
    return [
        PartState("event loop", lag_s <= LAG_S, f"{max(0.0, lag_s):.1f} s late"),
        PartState(
            "database thread",
            stuck_s <= STUCK_S,
            f"overdue for {stuck_s:.0f} s" if stuck_s else "works",
        ),
    ]


def readiness(
    *,
    is_online: bool,
    is_store_failing: bool,
    servers: Sequence[ServerState],
    lead: Lead | None = None,
    is_standing_by: bool = False,
) -> list[PartState]:
    """Return what answering questions needs.

    A model that is away doesn't make the bot unready: questions are taken and held until its machine
    is back. So that is said, and nothing more.

    Args:
        is_online: Discord's session is up.
        is_store_failing: The database can't be written.
        servers: The model's servers.
        lead: Among several processes; ``None`` where there can only be one.
        is_standing_by: Others have all there is to do, so that no session is needed.
    """
    return [
        *([] if lead is None else [PartState("lead", lead.is_sure, _lead(lead))]),
        PartState("discord", *_discord(is_online=is_online, is_standing_by=is_standing_by)),
        PartState(
            "database",
            not is_store_failing,
            "can't be written; going on in memory" if is_store_failing else "writable",
        ),
        PartState("model", True, _model(servers)),
    ]


def standing_by() -> list[PartState]:
    """Return what a process says that waits to take over, which is all that it is to do."""
    return [PartState("lead", True, "another process answers; this one waits to take over")]


def _discord(*, is_online: bool, is_standing_by: bool) -> tuple[bool, str]:
    if is_standing_by:
        return True, "no shard is free; this process takes the next"
    return is_online, "online" if is_online else "no session with Discord yet"


def _lead(lead: Lead) -> str:
    if not lead.is_sure:
        return "nothing is posted until the database says that no other process answers"
    return lead.remark


def _model(servers: Sequence[ServerState]) -> str:
    usable = [server for server in servers if server.is_up and server.circuit != "open"]
    if usable:
        return f"answers on {len(usable)} of {counted(len(servers), 'address', 'addresses')}"
    if any(server.is_up is None for server in servers):
        return "not asked yet"
    return "away; questions are held until it is back"
