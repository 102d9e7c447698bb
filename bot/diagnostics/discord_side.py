"""Discord's side of a diagnosis, from plain values that the cog gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bot.core.permissions import NEEDED, listed, missing
from bot.diagnostics.values import Finding, Status, Step

_SLOW_GATEWAY_S = 0.5
_SLOW_REST_S = 1.0


@dataclass(frozen=True, slots=True)
class DiscordFacts:
    """What the cog knows of Discord at this moment.

    Attributes:
        gateway_latency_s: Heartbeat to acknowledgement; ``None`` or NaN before the first.
        heartbeat_pause_s: Time between two heartbeats. A latency as long is no measurement:
            discord.py notes in another thread when a heartbeat was sent, so that a quick
            acknowledgement is counted from the heartbeat before.
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
    heartbeat_pause_s: float = math.inf


def discord_findings(facts: DiscordFacts) -> tuple[Finding, ...]:
    """Return one finding each for gateway, REST, permissions here and the intent."""
    gateway_s = facts.gateway_latency_s
    if gateway_s is not None and gateway_s >= facts.heartbeat_pause_s:
        gateway_s = None
    return (
        _latency(Step.GATEWAY, gateway_s, _SLOW_GATEWAY_S),
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
            f"Take Administrator away; {listed(NEEDED.values())} do.",
        )
    needed, useful = missing(held, is_thread=facts.is_thread)
    advice = "Give it to the bot's role in this channel's settings."
    if needed:
        cause = f"The bot can't answer here: it lacks {listed(needed)}."
        return Finding(Step.PERMISSIONS, Status.FAILED, cause, advice)
    if useful:
        cause = f"The bot can answer here, but lacks {listed(useful)}."
        return Finding(Step.PERMISSIONS, Status.WARNING, cause, advice)
    return Finding(Step.PERMISSIONS, Status.OK, "The bot has all it needs here.")


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
