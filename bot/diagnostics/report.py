"""Findings for people: one message on Discord, lines for a terminal, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bot.delivery.splitter import MESSAGE_UNITS
from bot.diagnostics.probe import NOT_TRIED, Section
from bot.diagnostics.values import Fact, Finding, Status, Step

_ASCII: Final = str.maketrans({"“": '"', "”": '"', "’": "'", "…": "..."})

_MARKS: Final = {Status.OK: "✅", Status.WARNING: "⚠️", Status.FAILED: "❌", Status.SKIPPED: "⏭️"}
INDENT: Final = 10
"""Blanks before each further line of a finding in a terminal: the width of its word, and two."""
_WORDS: Final = {
    Status.OK: "ok",
    Status.WARNING: "warning",
    Status.FAILED: "FAILED",
    Status.SKIPPED: "skipped",
}
_UNITS: Final = (
    ("_tokens_s", "tokens/s"),
    ("_tokens", "tokens"),
    ("_ms", "ms"),
    ("_s", "s"),
)


_RATES: Final = {"bytes_s": "", "bytes_s_above": "more than ", "bytes_s_below": "less than "}


def facts_text(facts: Mapping[str, Fact]) -> str:
    """Return what was measured as words: ``round trip 0.4 ms, lost 0 of 5``."""
    return ", ".join(_fact(name, value) for name, value in facts.items())


def _fact(name: str, value: Fact) -> str:
    if name in _RATES:
        return f"sends {_RATES[name]}{float(value) / 1000:,.0f} kB/s"
    unit = ""
    for ending, word in _UNITS:
        if not unit and name.endswith(ending):
            name, unit = name.removesuffix(ending), word
    shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
    if isinstance(value, int | float) and not isinstance(value, bool):
        shown = f"{value:,}"
    return f"{name.replace('_', ' ')} {shown} {unit}".strip()


def discord_text(
    sections: Sequence[Section], *, is_operator: bool = False, is_over: bool = True
) -> str:
    """Return sections as one message of at most 2000 characters: what is wrong first.

    Args:
        sections: What was found so far.
        is_operator: Also show addresses and names.
        is_over: Nothing more will come.
    """
    parts = [_headline(_all(sections), is_over=is_over)]
    parts += [_problem(found, is_operator=is_operator) for found in problems(_all(sections))]
    several = len([one for one in sections if one.findings]) > 1
    for section in sections:
        if lines := _rest(section.findings, is_operator=is_operator):
            title = [f"**{section.title}**"] if several else []
            parts.append("\n".join([*title, *lines]))
    text = "\n\n".join(part for part in parts if part)
    if len(text) <= MESSAGE_UNITS:
        return text
    if is_operator:
        return discord_text(sections, is_over=is_over)
    return text[: MESSAGE_UNITS - 1] + "…"


def _all(sections: Iterable[Section]) -> list[Finding]:
    return [finding for section in sections for finding in section.findings]


def problems(findings: Iterable[Finding]) -> list[Finding]:
    """Return what there is to do something about: failures first."""
    found = [finding for finding in findings if finding.is_problem]
    return sorted(found, key=lambda one: one.status is not Status.FAILED)


def _headline(findings: Sequence[Finding], *, is_over: bool) -> str:
    if not is_over:
        return "🔎 Looking …"
    if problems(findings):
        return ""
    return "✅ **Everything is well.**"


def _problem(finding: Finding, *, is_operator: bool) -> str:
    lines = [f"{_MARKS[finding.status]} **{finding.step}**: {finding.cause}"]
    if finding.advice:
        lines.append(f"➡️ {finding.advice}")
    details = facts_text(finding.facts)
    if is_operator and finding.technical:
        details = f"{details} `{finding.technical}`".strip()
    return "\n".join([*lines, *([f"-# {details}"] if details else [])])


def _rest(findings: Sequence[Finding], *, is_operator: bool) -> list[str]:
    lines = []
    for finding in findings:
        if finding.status is Status.OK:
            details = facts_text(finding.facts)
            if is_operator and finding.technical:
                details = f"`{finding.technical}` {details}".strip()
            shown = finding.cause if finding.step is Step.SERVER else details or finding.cause
            lines.append(f"✅ {finding.step}: {shown}")
    lines += [f"⏭️ {cause} {steps}" for cause, steps in _skipped(findings)]
    return lines


def _skipped(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Return what wasn't tried: one line for what one thing blocked, another for each other cause."""
    blocked, others, names = [], [], []
    for finding in findings:
        if finding.status is not Status.SKIPPED:
            continue
        if finding.cause.startswith(NOT_TRIED.partition("{")[0]):
            blocked.append(str(finding.step))
        else:
            others.append((f"{finding.step}:", finding.cause))
    if blocked:
        names = [("Not tried after that:", f"{', '.join(blocked)}.")]
    return [*others, *names]


def terminal_line(finding: Finding) -> str:
    """Return one finding for a terminal of any encoding; for the operator."""
    took = f" [{finding.duration_s:.2f} s]" if finding.duration_s >= 0.005 else ""
    shown = finding.cause
    details = facts_text(finding.facts)
    if not finding.is_problem and finding.technical:
        details = "; ".join(filter(None, (finding.technical, details)))
    if details:
        shown += f" ({details})"
    lines = [f"{_WORDS[finding.status]:>8}  {finding.step}: {shown}{took}"]
    if finding.advice:
        lines.append(f"{'':>{INDENT}}-> {finding.advice}")
    if finding.is_problem and finding.technical:
        lines.append(f"{'':>{INDENT}}{finding.technical}")
    return plain("\n".join(lines))


def terminal_skipped(findings: Iterable[Finding]) -> list[str]:
    """Return what wasn't tried, for a terminal: one line for what one thing blocked."""
    return [
        plain(f"{_WORDS[Status.SKIPPED]:>8}  {cause} {rest}") for cause, rest in _skipped(findings)
    ]


def plain(text: str) -> str:
    """Return a text that a terminal of any encoding can show."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def json_text(sections: Iterable[Section]) -> str:
    """Return everything that was found as JSON, for a program; for the operator."""
    found = [
        {
            "section": section.title,
            "step": finding.step.name.lower(),
            "status": str(finding.status),
            "cause": finding.cause,
            "advice": finding.advice,
            "facts": dict(finding.facts),
            "detail": finding.technical,
            "duration_s": round(finding.duration_s, 3),
        }
        for section in sections
        for finding in section.findings
    ]
    return json.dumps(
        {"ok": not any(one["status"] == "failed" for one in found), "findings": found}
    )
