"""The walk from the bot to the model's first token, one finding at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import replace
from typing import TypeVar

from bot.core.clock import Clock
from bot.core.errors import ConfigurationError
from bot.diagnostics import reach
from bot.diagnostics.completion import probe_completion
from bot.diagnostics.link import linked
from bot.diagnostics.models import probe_models
from bot.diagnostics.server import probe_http, probe_path, probe_server, probe_token
from bot.diagnostics.values import Finding, Limits, Status, Step, Target
from bot.lmstudio.catalogue import name_to_send
from bot.lmstudio.endpoints import Endpoint, parse_endpoint
from bot.lmstudio.pinning import Lookup, PinnedResolver, system_lookup

T = TypeVar("T")

Turn = Callable[[str], AbstractAsyncContextManager[str]]
"""Waits until a model may be asked for a few tokens, and holds that slot; called with the model's
key. Gives a sentence that says why not, or nothing."""

WALK = (
    Step.NAME,
    Step.CONNECTION,
    Step.HTTP,
    Step.SERVER,
    Step.PATH,
    Step.AUTHENTICATION,
    Step.MODELS,
    Step.COMPLETION,
)
"""The steps of ``diagnose``, each exactly once in this order."""


async def diagnose(
    target: Target,
    *,
    clock: Clock,
    limits: Limits | None = None,
    lookup: Lookup = system_lookup,
    turn: Turn = lambda _model: nullcontext(""),
) -> AsyncGenerator[Finding, None]:
    """Look at one LM Studio; yields a finding per step of ``WALK`` as soon as it is known.

    Nothing is sent but to the configured server, and no redirect is followed. No model is loaded
    for it. Closing the iterator ends everything at once. The whole takes at most 25 s, and as long as
    ``turn`` waits.

    Args:
        target: What to look at.
        clock: For durations.
        limits: How long each step may take.
        lookup: How names are resolved.
        turn: Where the model is asked only when it is this diagnosis's turn.
    """
    walk = _Walk(target, clock, limits or Limits(), lookup, turn)
    last = WALK[0]
    async with aclosing(walk.run()) as findings:
        async for finding in findings:
            last = finding.step
            yield finding
            if finding.status is Status.FAILED:
                break
    for step in WALK[WALK.index(last) + 1 :]:
        cause = f"Not tried, because the step “{last}” failed."
        yield Finding(step, Status.SKIPPED, cause)


class _Walk:
    """The steps in order; the caller stops asking after the first that fails."""

    def __init__(
        self, target: Target, clock: Clock, limits: Limits, lookup: Lookup, turn: Turn
    ) -> None:
        self._target = target
        self._clock = clock
        self._limits = limits
        self._lookup = lookup
        self._turn = turn

    async def _timed(self, work: Awaitable[tuple[Finding, T]]) -> tuple[Finding, T]:
        began = self._clock.monotonic()
        finding, found = await work
        return replace(finding, duration_s=self._clock.monotonic() - began), found

    async def _alone(self, work: Awaitable[Finding]) -> Finding:
        began = self._clock.monotonic()
        finding = await work
        return replace(finding, duration_s=self._clock.monotonic() - began)

    async def run(self) -> AsyncGenerator[Finding, None]:
        limits = self._limits
        try:
            endpoint = parse_endpoint(self._target.base_url)
        except ConfigurationError:
            yield reach.BAD_ADDRESS
            return
        resolver = PinnedResolver(endpoint.host, self._lookup)
        finding, addresses = await self._timed(
            reach.resolve(resolver, endpoint.host, limits.name_s, self._clock)
        )
        yield finding
        yield await self._alone(reach.connect(addresses, endpoint.port, limits.connect_s))
        async with aclosing(self._over_http(endpoint, resolver)) as findings:
            async for finding in findings:
                yield finding

    async def _over_http(
        self, endpoint: Endpoint, resolver: PinnedResolver
    ) -> AsyncGenerator[Finding, None]:
        target, limits = self._target, self._limits
        async with linked(target, endpoint, resolver, self._clock) as link:
            finding, greeting = await self._timed(probe_http(link, limits))
            yield finding
            if greeting is None:
                return
            yield await self._alone(probe_server(link, greeting, limits))
            yield await self._alone(probe_path(link, limits))
            yield await self._alone(probe_token(link, target.api_token, limits))
            finding, catalogue = await self._timed(probe_models(link, target.model, limits))
            yield finding
            info = catalogue.find(target.model) if catalogue else None
            if info is None or not info.is_loaded:
                cause = "Not tried, because it would load a model."
                yield Finding(Step.COMPLETION, Status.SKIPPED, cause)
                return
            model = name_to_send(info, target.model, info.instance_ids[0])
            async with self._turn(model) as refusal:
                if refusal:
                    yield Finding(Step.COMPLETION, Status.SKIPPED, refusal, is_personal=True)
                    return
                yield await self._alone(probe_completion(link, model, target.model, limits))
