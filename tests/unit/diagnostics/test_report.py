"""Findings become lines; Discord's facts become findings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.diagnostics.discord_side import DiscordFacts, discord_findings
from bot.diagnostics.probe import Section
from bot.diagnostics.report import discord_text, json_text, problems, terminal_line
from bot.diagnostics.values import Finding, Status, Step

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


SKIPPED = Finding(Step.HTTP, Status.SKIPPED, "Not tried, because “Connection” must work first.")


def shown(*findings: Finding, **more: bool) -> str:
    return discord_text([Section("LM Studio", findings)], **more)


def test_a_member_sees_no_address_and_an_operator_does() -> None:
    assert shown(FAILED) == "❌ **Connection**: It is off.\n➡️ Wake it."
    assert "10.0.0.1" in shown(FAILED, is_operator=True)
    assert shown(FINE) == "✅ **Everything is well.**\n\n✅ Name: The name is known."


def test_what_is_wrong_comes_first_and_what_was_not_tried_takes_one_line() -> None:
    warning = Finding(Step.PATH, Status.WARNING, "It is slow.", "Use a cable.")
    text = shown(FINE, warning, FAILED, SKIPPED, replace(SKIPPED, step=Step.MODELS))
    lines = [line for line in text.split("\n") if line]
    assert lines[0].startswith("❌ **Connection**")
    assert lines[2].startswith("⚠️ **Network path**")
    assert lines[-1] == "⏭️ Not tried after that: HTTP, Models."


def test_a_report_that_grows_says_that_more_will_come() -> None:
    assert shown(FINE, is_over=False).startswith("🔎 Looking")
    assert "Looking" not in shown(FAILED)


def test_a_report_fits_one_message() -> None:
    long = Finding(Step.MODELS, Status.WARNING, "x" * 150, technical="y" * 300)
    text = shown(*[long] * 10, is_operator=True)
    assert len(text) <= 2000
    assert "y" not in text
    assert len(shown(*[long] * 30)) == 2000


def test_facts_are_words_for_people_and_values_for_programs() -> None:
    facts = {"round_trip_ms": 0.4, "bytes_s": 120000, "context_tokens": 8192, "vision": False}
    finding = replace(FINE, facts=facts)
    words = "round trip 0.4 ms, sends 120 kB/s, context 8,192 tokens, vision no"
    assert words in shown(finding)
    assert words in terminal_line(finding)
    parsed = json.loads(json_text([Section("LM Studio", (finding, FAILED))]))
    assert parsed["ok"] is False
    assert parsed["findings"][0]["facts"] == facts
    assert parsed["findings"][1]["step"] == "connection"


def test_a_terminal_of_any_encoding_can_show_it() -> None:
    line = terminal_line(Finding(Step.NAME, Status.FAILED, "“No” …", "Do → it", 0.5, "ü"))
    assert line.isascii()
    assert line.startswith('  FAILED  Name: "No" ... [0.50 s]')


def test_what_there_is_to_do_is_listed_failures_first() -> None:
    warning = Finding(Step.PATH, Status.WARNING, "Slow.")
    assert problems([FINE, warning, FAILED]) == [FAILED, warning]
    assert problems([FINE, warning]) == [warning]
    assert problems([FINE]) == []


def facts(
    *,
    gateway_s: float | None = 0.05,
    permissions: frozenset[str] | None = ALL,
    thread: bool = False,
    content: bool = True,
) -> DiscordFacts:
    return DiscordFacts(gateway_s, permissions, thread, content)


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
