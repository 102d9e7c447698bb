"""The reasons for which a turn ends before its answer does."""

from __future__ import annotations

from enum import StrEnum


class Ending(StrEnum):
    """Why a turn ends before its answer does."""

    STOPPED = "stopped"
    GONE = "gone"
    MERGED = "merged"
    SUPERSEDED = "superseded"
    RESTART = "restart"
