"""The probes from the bot to the model's words, in their order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, nullcontext
from typing import Final

from bot.core.clock import Clock
from bot.core.errors import ConfigurationError
from bot.diagnostics import reach, server
from bot.diagnostics.completion import (
    ANSWER_S,
    MEASURE_S,
    late_completion,
    probe_completion,
    probe_filter,
    probe_speed,
)
from bot.diagnostics.link import Turn, Way, failed, open_way
from bot.diagnostics.models import probe_models
from bot.diagnostics.probe import NOT_TRIED, Probe, run_probes
from bot.diagnostics.values import Finding, Status, Step, Target
from bot.lmstudio import errors
from bot.lmstudio.transport import Lookup, parse_endpoint, system_lookup

PATIENCE_S: Final = 5.0
"""Longest wait for a turn at the model, in seconds; the rest of the diagnosis is there before."""


def _silent(step: Step) -> Finding:
    return failed(step, errors.SilentServerError())


def probes_for(host: str, *, is_encrypted: bool) -> tuple[Probe[Way], ...]:
    """Return the probes of one server; their limits add up to less than 40 s.

    Args:
        host: As configured, for the operator.
        is_encrypted: The address says https.
    """
    tls = Probe(Step.TLS, server.HTTP_S, server.probe_tls, _silent(Step.TLS), Step.CONNECTION)
    http_s = 0.1 if is_encrypted else server.HTTP_S + 0.1
    connection_s = reach.FIRST_S + reach.SAMPLES * (reach.SAMPLE_S + 0.03)
    return (
        Probe(Step.NAME, 2.5, reach.probe_name, reach.name_late(host)),
        Probe(
            Step.CONNECTION,
            connection_s,
            reach.probe_connection,
            reach.refusal("0.0.0.0", reach.Knock.TIMED_OUT),  # noqa: S104 - no address is bound
            Step.NAME,
        ),
        *((tls,) if is_encrypted else ()),
        Probe(
            Step.HTTP,
            http_s,
            server.probe_http,
            _silent(Step.HTTP),
            Step.TLS if is_encrypted else Step.CONNECTION,
        ),
        Probe(Step.SERVER, 2.5, server.probe_server, _silent(Step.SERVER), Step.HTTP),
        Probe(
            Step.PATH, server.PATH_S, server.probe_path, server.judge_path([], tried=5), Step.SERVER
        ),
        Probe(
            Step.AUTHENTICATION,
            2.5,
            server.probe_token,
            _silent(Step.AUTHENTICATION),
            Step.PATH,
        ),
        Probe(Step.MODELS, 3.5, probe_models, _silent(Step.MODELS), Step.AUTHENTICATION),
        Probe(
            Step.COMPLETION,
            PATIENCE_S + ANSWER_S + 0.5,
            probe_completion,
            late_completion(),
            Step.MODELS,
        ),
        Probe(Step.SPEED, MEASURE_S + 0.2, probe_speed, _silent(Step.SPEED), Step.COMPLETION),
        Probe(Step.FILTER, 0.5, probe_filter, _silent(Step.FILTER), Step.SPEED),
    )


async def diagnose(
    target: Target,
    *,
    clock: Clock,
    lookup: Lookup = system_lookup,
    turn: Turn = lambda _model: nullcontext(""),
    on_addresses: Callable[[tuple[str, ...]], Awaitable[None]] | None = None,
) -> AsyncGenerator[Finding, None]:
    """Look at one LM Studio; yields a finding for each probe as soon as it is known.

    Nothing is sent but to the configured host (and to loopback, where the host is this machine),
    and no redirect is followed. No model is loaded for it. Closing the iterator ends everything at
    once. The whole takes less than 40 s.

    Args:
        target: What to look at.
        clock: For limits and durations.
        lookup: How names are resolved.
        turn: Where the model is asked only when it is this diagnosis's turn.
        on_addresses: Told at the end what the server's name leads to, if models were found there.
    """
    try:
        endpoint = parse_endpoint(target.base_url)
    except ConfigurationError as exc:
        yield Finding(
            Step.SETTINGS,
            Status.FAILED,
            "The configured address of LM Studio isn't a web address.",
            "Write LMSTUDIO_BASE_URL as http://, the machine's address, a colon and the port.",
            technical=str(exc),
        )
        for probe in probes_for("", is_encrypted=False):
            cause = NOT_TRIED.format(step=Step.SETTINGS)
            yield Finding(probe.step, Status.SKIPPED, cause)
        return
    async with AsyncExitStack() as stack:
        way = open_way(target, endpoint, clock, lookup, turn, stack)
        probes = probes_for(endpoint.host, is_encrypted=endpoint.scheme == "https")
        async with aclosing(run_probes(probes, way, clock)) as findings:
            async for finding in findings:
                yield finding
        if on_addresses is not None and way.catalogue is not None:
            await on_addresses(way.addresses)


def settings_failed(exc: ConfigurationError) -> Finding:
    """Return what is so when the certificate settings of a server can't be used."""
    return Finding(
        Step.SETTINGS,
        Status.FAILED,
        "The certificate settings of LM Studio can't be used.",
        "Check CLAWBOT_LMSTUDIO__CA_FILE and CLAWBOT_LMSTUDIO__CERTIFICATE_SHA256.",
        technical=str(exc),
    )
