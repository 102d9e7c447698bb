"""Discord's side of a diagnosis, from plain values: the same sentences in chat and in the terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bot.core.clock import WRONG_CLOCK_S
from bot.core.permissions import NEEDED, listed, missing
from bot.diagnostics.values import Fact, Finding, Status, Step

_SLOW_GATEWAY_S: Final = 0.5
_SLOW_REST_S: Final = 1.0
_LOG_IN: Final = (407, 511)
"""Statuses by which a proxy or a network asks for a log-in; Discord has neither, and never redirects."""


class NoAnswer(Enum):
    """Why no answer of Discord's came: in words, and what to do."""

    NO_NAME = (
        "The name server doesn't know Discord's address.",
        "Look at this machine's internet connection and its DNS setting.",
    )
    NO_TRUST = (
        "Something on the way puts its own certificate in Discord's place.",
        "Look at a proxy or virus scanner on the way, and at this machine's clock.",
    )
    NO_WAY = (
        "Discord can't be reached.",
        "Look at this machine's internet connection and firewall; if it needs a proxy, set that up.",
    )
    NO_PROXY = (
        "The proxy to Discord doesn't answer, or doesn't let the bot through.",
        "Check address and port in CLAWBOT_DISCORD__PROXY (or HTTPS_PROXY), and what the proxy allows.",
    )
    NO_PROXY_LOGIN = (
        "The proxy to Discord wants another user and password.",
        "Write them into CLAWBOT_DISCORD__PROXY (or HTTPS_PROXY): http://user:password@host:3128, an @ as %40.",
    )


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """What came of asking Discord's REST who the bot is.

    Attributes:
        latency_s: The round trip; ``None`` where no answer came.
        status: HTTP status of the last reply; 0 where none came.
        skew_s: Discord's clock minus ours, by its Date header, if it has one.
        is_foreign: What answered isn't Discord.
        failure: Why no answer came, where none did.
    """

    latency_s: float | None = None
    status: int = 0
    skew_s: float | None = None
    is_foreign: bool = False
    failure: NoAnswer = NoAnswer.NO_WAY


@dataclass(frozen=True, slots=True)
class DiscordFacts:
    """What the cog knows of Discord at this moment.

    Attributes:
        gateway_latency_s: Heartbeat to acknowledgement; ``None`` or NaN before the first.
        heartbeat_pause_s: Time between two heartbeats. A latency as long is no measurement:
            discord.py notes in another thread when a heartbeat was sent, so that a quick
            acknowledgement is counted from the heartbeat before.
        permissions: Names (as discord.py's) that the bot has here; ``None`` in a direct message.
        is_thread: Here is a thread, where Send Messages in Threads counts.
        is_voice: Here is a voice or stage channel, whose chat takes Connect to read.
        has_message_content: The Message Content intent is in force.
    """

    gateway_latency_s: float | None
    permissions: frozenset[str] | None
    is_thread: bool = False
    has_message_content: bool = True
    heartbeat_pause_s: float = math.inf
    is_voice: bool = False


def discord_findings(facts: DiscordFacts) -> tuple[Finding, ...]:
    """Return what needs no request: gateway, permissions here and the intent."""
    gateway_s = facts.gateway_latency_s
    if gateway_s is not None and gateway_s >= facts.heartbeat_pause_s:
        gateway_s = None
    return (
        _latency(Step.GATEWAY, gateway_s, _SLOW_GATEWAY_S),
        judge_intent(is_on=facts.has_message_content),
        _permissions(facts),
    )


def judge_rest(answer: RestAnswer) -> Finding:
    """Tell Discord's own errors, another server in its place, and no network apart."""
    if answer.is_foreign or answer.status in _LOG_IN or 300 <= answer.status < 400:
        return _no_rest(
            "Something other than Discord answers at Discord's address.",
            "Look at the network's log-in page or proxy, and at CLAWBOT_DISCORD_API_BASE.",
        )
    if answer.status == 0:
        return _no_rest(*answer.failure.value)
    facts: dict[str, Fact] = {"status": answer.status}
    if answer.status == 429:
        return _no_rest(
            "Discord answers that this address asks too often.", "Wait a few minutes.", facts
        )
    if answer.status >= 500:
        return _no_rest(
            f"Discord answers with an error of its own (status {answer.status}).",
            "Look at https://discordstatus.com and try again later.",
            facts,
        )
    if answer.status >= 400:
        return _no_rest(
            f"Discord refuses the request (status {answer.status}).",
            "Look at a proxy on the way, if there is one.",
            facts,
        )
    return _latency(Step.REST, answer.latency_s, _SLOW_REST_S)


def _no_rest(cause: str, advice: str, facts: dict[str, Fact] | None = None) -> Finding:
    return Finding(Step.REST, Status.FAILED, cause, advice, facts=facts or {})


def judge_clock(skew_s: float | None) -> Finding | None:
    """Say whether this machine's clock is right; nothing where Discord didn't tell the time.

    Args:
        skew_s: Discord's clock minus ours.
    """
    if skew_s is None:
        return None
    facts: dict[str, Fact] = {"off_s": round(skew_s)}
    if abs(skew_s) <= WRONG_CLOCK_S:
        return Finding(Step.CLOCK, Status.OK, "The clock is right.", facts=facts)
    return Finding(
        Step.CLOCK,
        Status.WARNING,
        wrong_clock(skew_s),
        "Switch on automatic time (NTP) in this machine's settings.",
        facts=facts,
    )


def wrong_clock(skew_s: float) -> str:
    """Say how a clock is wrong by which Discord's is so many seconds ahead."""
    return f"The clock of the bot's machine is {'slow' if skew_s > 0 else 'fast'}."


def _latency(step: Step, latency_s: float | None, slow_s: float) -> Finding:
    if latency_s is None or not math.isfinite(latency_s):
        return Finding(step, Status.SKIPPED, "Not measured yet.")
    facts: dict[str, Fact] = {"latency_ms": round(latency_s * 1000)}
    if latency_s <= slow_s:
        return Finding(step, Status.OK, "Discord answers quickly.", facts=facts)
    return Finding(
        step,
        Status.WARNING,
        "Discord answers slowly.",
        "Check this machine's internet connection, and Discord's status page.",
        facts=facts,
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
            f"Take Administrator away; {listed(NEEDED.values())} are enough.",
        )
    needed, useful = missing(held, is_thread=facts.is_thread, is_voice=facts.is_voice)
    advice = "Give it to the bot's role in this channel's settings."
    if needed:
        cause = f"The bot can't answer here: it lacks {listed(needed)}."
        return Finding(Step.PERMISSIONS, Status.FAILED, cause, advice)
    if useful:
        cause = f"The bot can answer here, but lacks {listed(useful)}."
        return Finding(Step.PERMISSIONS, Status.WARNING, cause, advice)
    return Finding(Step.PERMISSIONS, Status.OK, "The bot has all it needs here.")


def judge_intent(*, is_on: bool) -> Finding:
    """Say whether the bot may read messages that don't mention it."""
    if is_on:
        return Finding(Step.INTENT, Status.OK, "The bot can read the messages around a question.")
    return Finding(
        Step.INTENT,
        Status.WARNING,
        "Without the Message Content intent the bot reads only mentions, replies to it and direct "
        "messages.",
        "Switch on “Message Content Intent” for the application in Discord's developer portal.",
    )
