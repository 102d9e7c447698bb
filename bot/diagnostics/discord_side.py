"""Discord's side of a diagnosis, from plain values that the cog gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bot.diagnostics.values import Finding, Status, Step

_SLOW_GATEWAY_S = 0.5
_SLOW_REST_S = 1.0

NEEDED: dict[str, str] = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "read_message_history": "Read Message History",
}
"""Permissions without which there are no answers: discord.py's name, Discord's name."""

USEFUL: dict[str, str] = {
    "attach_files": "Attach Files",
    "embed_links": "Embed Links",
    "add_reactions": "Add Reactions",
}
"""Permissions without which something is missing."""


@dataclass(frozen=True, slots=True)
class DiscordFacts:
    """What the cog knows of Discord at this moment.

    Attributes:
        gateway_latency_s: Heartbeat to acknowledgement; ``None`` or NaN before the first.
        rest_latency_s: A REST request's round trip, if one was timed.
        permissions: Names (as discord.py's) that the bot has here; ``None`` in a direct message.
        is_thread: Here is a thread, where Send Messages in Threads counts.
        has_message_content: The Message Content intent is in force.
    """

    gateway_latency_s: float | None
    rest_latency_s: float | None
    permissions: frozenset[str] | None
    is_thread: bool = False
    has_message_content: bool = True


def discord_findings(facts: DiscordFacts) -> tuple[Finding, ...]:
    """Return one finding each for gateway, REST, permissions here and the intent."""
    return (
        _latency(Step.GATEWAY, facts.gateway_latency_s, _SLOW_GATEWAY_S),
        _latency(Step.REST, facts.rest_latency_s, _SLOW_REST_S),
        _permissions(facts),
        _intent(facts),
    )


def _latency(step: Step, latency_s: float | None, slow_s: float) -> Finding:
    if latency_s is None or not math.isfinite(latency_s):
        return Finding(step, Status.SKIPPED, "Not measured yet.")
    technical = f"{latency_s * 1000:.0f} ms"
    if latency_s <= slow_s:
        return Finding(step, Status.OK, "Discord answers quickly.", technical=technical)
    return Finding(
        step,
        Status.WARNING,
        "Discord answers slowly.",
        "Check this machine's internet connection, and Discord's status page.",
        technical=technical,
    )


def _permissions(facts: DiscordFacts) -> Finding:
    held = facts.permissions
    if held is None:
        return Finding(Step.PERMISSIONS, Status.OK, "A direct message needs no permissions.")
    if "administrator" in held:
        return Finding(
            Step.PERMISSIONS,
            Status.WARNING,
            "The bot is an administrator here, which is far more than it needs.",
            "Take Administrator away; View Channel, Send Messages and Read Message History do.",
        )
    needed = dict(NEEDED)
    if facts.is_thread:
        del needed["send_messages"]
        needed["send_messages_in_threads"] = "Send Messages in Threads"
    missing = _missing(needed, held)
    if missing:
        return Finding(
            Step.PERMISSIONS,
            Status.FAILED,
            f"The bot can't answer here: it lacks {_list(missing)}.",
            "Give it to the bot's role in this channel's settings.",
        )
    wanting = _missing(USEFUL, held)
    if wanting:
        return Finding(
            Step.PERMISSIONS,
            Status.WARNING,
            f"The bot can answer here, but lacks {_list(wanting)}.",
            "Give it to the bot's role in this channel's settings.",
        )
    return Finding(Step.PERMISSIONS, Status.OK, "The bot has all it needs here.")


def _missing(wanted: dict[str, str], held: frozenset[str]) -> list[str]:
    return [shown for name, shown in wanted.items() if name not in held]


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _intent(facts: DiscordFacts) -> Finding:
    if facts.has_message_content:
        return Finding(Step.INTENT, Status.OK, "The bot can read the messages around a question.")
    return Finding(
        Step.INTENT,
        Status.WARNING,
        "Without the Message Content intent the bot reads only mentions, replies to it and direct "
        "messages.",
        "Switch on “Message Content Intent” for the application in Discord's developer portal.",
    )
