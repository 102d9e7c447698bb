"""Findings as lines: for Discord, and for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from bot.delivery.splitter import MESSAGE_UNITS
from bot.diagnostics.values import Finding, Status

_ASCII = str.maketrans({"“": '"', "”": '"', "’": "'", "…": "..."})

_MARKS = {Status.OK: "✅", Status.WARNING: "⚠️", Status.FAILED: "❌", Status.SKIPPED: "⏭"}
_WORDS = {
    Status.OK: "ok",
    Status.WARNING: "warning",
    Status.FAILED: "FAILED",
    Status.SKIPPED: "skipped",
}


def discord_line(finding: Finding, *, operator: bool = False) -> str:
    """Return one finding in Discord's markdown, at most a few hundred characters.

    Args:
        finding: What was found.
        operator: Also show addresses and numbers.
    """
    line = f"{_MARKS[finding.status]} **{finding.step}**: {finding.cause}"
    if operator and finding.technical:
        line += f" (`{finding.technical}`)"
    return f"{line}\n-# {finding.advice}" if finding.advice else line


def discord_text(findings: Iterable[Finding], *, operator: bool = False) -> str:
    """Return findings as one message of at most 2000 characters.

    Details are left out first where it would be longer, then what follows.
    """
    found = list(findings)
    detailed = "\n".join(discord_line(finding, operator=operator) for finding in found)
    if len(detailed) <= MESSAGE_UNITS:
        return detailed
    plain = "\n".join(discord_line(finding) for finding in found)
    return plain if len(plain) <= MESSAGE_UNITS else plain[: MESSAGE_UNITS - 1] + "…"


def terminal_line(finding: Finding) -> str:
    """Return one finding for a terminal of any encoding; for the operator."""
    took = f" [{finding.duration_s:.2f} s]" if finding.duration_s >= 0.005 else ""
    lines = [f"{_WORDS[finding.status]:>8}  {finding.step}: {finding.cause}{took}"]
    if finding.technical:
        lines.append(f"{'':>10}{finding.technical}")
    if finding.advice:
        lines.append(f"{'':>10}-> {finding.advice}")
    return "\n".join(lines).translate(_ASCII).encode("ascii", "backslashreplace").decode()


def summary(findings: Iterable[Finding]) -> str:
    """Return one sentence over all: the first failure, else the first warning, else all well."""
    found = list(findings)
    for status in (Status.FAILED, Status.WARNING):
        for finding in found:
            if finding.status is status:
                return finding.cause
    return "Everything is well."


def has_failed(findings: Iterable[Finding]) -> bool:
    """Return whether any step failed."""
    return any(finding.status is Status.FAILED for finding in findings)
