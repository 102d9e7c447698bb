"""Findings become lines; Discord's facts become findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.diagnostics import (
    DiscordFacts,
    Finding,
    Status,
    Step,
    discord_findings,
    discord_line,
    discord_text,
    has_failed,
    summary,
    terminal_line,
)

FAILED = Finding(Step.CONNECTION, Status.FAILED, "It is off.", "Wake it.", 1.5, "[10.0.0.1]:1234")
FINE = Finding(Step.NAME, Status.OK, "The name is known.")
ALL = frozenset(
    {
        "view_channel",
        "send_messages",
        "read_message_history",
        "attach_files",
        "add_reactions",
    }
)


def test_a_member_sees_no_address_and_an_operator_does() -> None:
    assert discord_line(FAILED) == "❌ **Connection**: It is off.\n-# Wake it."
    assert "10.0.0.1" in discord_line(FAILED, operator=True)
    assert discord_line(FINE) == "✅ **Name**: The name is known."


def test_a_report_fits_one_message() -> None:
    long = Finding(Step.MODELS, Status.WARNING, "x" * 150, technical="y" * 300)
    text = discord_text([long] * 10, operator=True)
    assert len(text) <= 2000
    assert "y" not in text
    assert len(discord_text([long] * 30)) == 2000


def test_a_terminal_of_any_encoding_can_show_it() -> None:
    line = terminal_line(Finding(Step.NAME, Status.FAILED, "“No” …", "Do → it", 0.5, "ü"))
    assert line.isascii()
    assert line.startswith('  FAILED  Name: "No" ... [0.50 s]')


def test_the_summary_is_the_first_failure_then_the_first_warning() -> None:
    warning = Finding(Step.PATH, Status.WARNING, "Slow.")
    assert summary([FINE, warning, FAILED]) == "It is off."
    assert summary([FINE, warning]) == "Slow."
    assert summary([FINE]) == "Everything is well."
    assert has_failed([FINE, FAILED])
    assert not has_failed([FINE, warning])


def facts(
    *,
    gateway_s: float | None = 0.05,
    permissions: frozenset[str] | None = ALL,
    thread: bool = False,
    content: bool = True,
) -> DiscordFacts:
    return DiscordFacts(gateway_s, 0.2, permissions, thread, content)


def of(step: Step, given: DiscordFacts) -> Finding:
    return next(finding for finding in discord_findings(given) if finding.step is step)


@pytest.mark.parametrize(
    ("latency_s", "status"),
    [
        (0.05, Status.OK),
        (2.0, Status.WARNING),
        (None, Status.SKIPPED),
        (float("nan"), Status.SKIPPED),
        (float("inf"), Status.SKIPPED),
    ],
)
def test_gateway_latency(latency_s: float | None, status: Status) -> None:
    assert of(Step.GATEWAY, facts(gateway_s=latency_s)).status is status


def test_a_latency_of_a_whole_pause_between_heartbeats_is_no_measurement() -> None:
    seen = replace(facts(gateway_s=41.256), heartbeat_pause_s=41.25)
    assert of(Step.GATEWAY, seen).status is Status.SKIPPED


def test_missing_permissions_are_named() -> None:
    held = ALL - {"send_messages", "read_message_history"}
    finding = of(Step.PERMISSIONS, facts(permissions=held))
    assert finding.status is Status.FAILED
    assert "Send Messages and Read Message History" in finding.cause
    useful = of(Step.PERMISSIONS, facts(permissions=ALL - {"attach_files"}))
    assert useful.status is Status.WARNING
    assert of(Step.PERMISSIONS, facts()).status is Status.OK
    assert of(Step.PERMISSIONS, facts(permissions=None)).status is Status.OK
    everything = of(Step.PERMISSIONS, facts(permissions=ALL | {"administrator"}))
    assert everything.status is Status.WARNING


def test_a_thread_has_a_permission_of_its_own() -> None:
    finding = of(Step.PERMISSIONS, facts(thread=True))
    assert "Send Messages in Threads" in finding.cause
    held = ALL - {"send_messages"} | {"send_messages_in_threads"}
    assert of(Step.PERMISSIONS, facts(thread=True, permissions=held)).status is Status.OK


def test_the_message_content_intent() -> None:
    assert of(Step.INTENT, facts()).status is Status.OK
    assert of(Step.INTENT, facts(content=False)).status is Status.WARNING
