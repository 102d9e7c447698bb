"""The probes behind ``/diag network`` and ``clawbot check``, and their report. No Discord here."""

from bot.diagnostics.diagnosis import WALK, diagnose
from bot.diagnostics.discord_side import DiscordFacts, discord_findings
from bot.diagnostics.report import (
    discord_line,
    discord_text,
    has_failed,
    summary,
    terminal_line,
)
from bot.diagnostics.shared import SharedWalks
from bot.diagnostics.storage import folder_findings, storage_findings
from bot.diagnostics.targets import target_of
from bot.diagnostics.values import Finding, Limits, Status, Step, Target

__all__ = [
    "WALK",
    "DiscordFacts",
    "Finding",
    "Limits",
    "SharedWalks",
    "Status",
    "Step",
    "Target",
    "diagnose",
    "discord_findings",
    "discord_line",
    "discord_text",
    "folder_findings",
    "has_failed",
    "storage_findings",
    "summary",
    "target_of",
    "terminal_line",
]
