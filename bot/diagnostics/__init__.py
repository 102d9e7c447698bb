"""The probes behind ``/diag network`` and ``clawbot check``, and their report. No Discord here.

A diagnosis is a list of probes (``probe``): ``walk`` lists those of one LM Studio in their order.
Each gives a ``Finding``; ``report`` shows the same findings on Discord, in a terminal and as JSON.
"""

from bot.diagnostics.discord_side import DiscordFacts, discord_findings, judge_clock, judge_rest
from bot.diagnostics.probe import Section, together
from bot.diagnostics.report import discord_text
from bot.diagnostics.shared import SharedWalks
from bot.diagnostics.storage import folder_findings, storage_findings
from bot.diagnostics.targets import ADDRESSES, TAKEN_OUT, Listed, target_of, titles, with_addresses
from bot.diagnostics.values import Finding, Status, Step, Target
from bot.diagnostics.walk import diagnose, settings_failed

__all__ = [
    "ADDRESSES",
    "TAKEN_OUT",
    "DiscordFacts",
    "Finding",
    "Listed",
    "Section",
    "SharedWalks",
    "Status",
    "Step",
    "Target",
    "diagnose",
    "discord_findings",
    "discord_text",
    "folder_findings",
    "judge_clock",
    "judge_rest",
    "settings_failed",
    "storage_findings",
    "target_of",
    "titles",
    "together",
    "with_addresses",
]
