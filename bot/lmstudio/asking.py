"""One request to one server, from the plan to the last event."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import ChatTurn, Completed, FinishReason, Stage, StageKind
from bot.core.errors import BackendError
from bot.core.tasks import end_tasks, within
from bot.lmstudio import errors, wire
from bot.lmstudio.deadline import CONNECT_LIMIT_S, Limits, first_token_patience_s
from bot.lmstudio.efforts import fitting
from bot.lmstudio.exchange import Exchange
from bot.lmstudio.findings import findings
from bot.lmstudio.health import Cause
from bot.lmstudio.interruptions import line_for, may_go_on
from bot.lmstudio.mailbox import Mailbox
from bot.lmstudio.nodes import Node
from bot.lmstudio.recovery import Plan, without_images
from bot.lmstudio.warmth import Copy
from config.settings import LMStudioSettings

LOADING_LOOK_S: Final = 2.0
"""Seconds between looks at whether a model has been loaded."""

_REASONS: Final = {
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
}


@dataclass(frozen=True, slots=True)
class Work:
    """What all requests of one question share.

    Attributes:
        settings: Timeouts.
        clock: Time.
        mailbox: Where events go.
        temperature: Sampling temperature.
        top_p: Nucleus sampling.
        total_at_s: Monotonic time of the question's hard cap.
        cause: The question, as a circuit tells it from others.
        only_loaded: A model that may be used while it is in memory, but not be loaded.
    """

    settings: LMStudioSettings
    clock: Clock
    mailbox: Mailbox
    temperature: float
    top_p: float
    total_at_s: float
    cause: Cause
    only_loaded: str | None = None


class Ask:
    """One request.

    Attributes:
        has_given: Text or reasoning went out.
        has_shown: Text that a person may have seen went out.
        instance: The name that the request named; empty when it named none.
        is_loading: The model wasn't in memory, so that this request loads it.
        sent: The turns as they went out.
    """

    def __init__(self, work: Work, node: Node, plan: Plan, warm: Copy | None) -> None:
        """Prepare.

        Args:
            work: The question's common part.
            node: The server.
            plan: What to ask.
            warm: The copy of the model that has the conversation in its cache.
        """
        self._work = work
        self._node = node
        self._asked = plan
        self._warm = warm
        self.sent: tuple[ChatTurn, ...] = ()
        self.is_loading = False
        self._first_text = asyncio.Event()
        self._load_is_over = asyncio.Event()
        self.has_given = False
        self.has_shown = False
        self.instance = ""

    async def run(self) -> Completed:
        """Ask and pass on what comes.

        Returns:
            The last event; its reason is INTERRUPTED when the stream broke after text was shown.

        Raises:
            BackendError: It failed before any text was shown.
        """
        async with self._turn_at_loading():
            plan = self._fitted()
            self.instance = self._name() or ""
            exchange = Exchange(
                self._node.transport,
                self._work.clock,
                self._limits(plan),
                max_tokens=plan.max_tokens,
                on_connected=lambda: self._note_connected(plan),
                on_text=self._note_text,
            )
            started_at_s = self._work.clock.monotonic()
            self._work.mailbox.put(Stage(StageKind.CONNECTING))
            try:
                with self._node.running(self.instance, self._work.cause):
                    await exchange.run(self._body(plan))
            except BackendError as exc:
                if not self.has_shown:
                    raise self._as_known(exc, exchange) from exc
                return self._completed(plan, exchange, started_at_s, exc)
            if not self._is_loaded():
                await self._node.refresh()
            self._learn(plan, exchange, started_at_s)
            return self._completed(plan, exchange, started_at_s)

    @property
    def _key(self) -> str | None:
        info = self._node.model(self._asked.model)
        return info.key if info is not None else self._asked.model

    def _name(self) -> str | None:
        """Return the model's name to send: a loaded copy, or what was asked for."""
        asked = self._asked.model
        info = self._node.model(asked)
        if info is None:
            return asked
        if not info.is_loaded:
            return asked if asked is not None and "@" in asked else info.key
        is_exact = asked in info.instance_ids or (asked is not None and "@" in asked)
        if is_exact and asked != info.key:
            return asked
        instance = self._node.instance(info.key, self._warm.instance if self._warm else None)
        return instance.id if instance is not None else info.key

    def _fitted(self) -> Plan:
        """Return the plan as this server and model can take it."""
        plan = self._asked
        traits = self._node.traits(self._key)
        info = self._node.model(plan.model)
        if plan.has_images and (traits.is_blind or (info and info.sees_images is False)):
            plan = without_images(plan)
        effort = plan.reasoning_effort
        if "empty" not in plan.tried:
            effort = fitting(effort, info.reasoning_options if info else ())
        if "reasoning_effort" in traits.refused_fields:
            effort = None
        return replace(
            plan,
            reasoning_effort=effort,
            include_usage=plan.include_usage and "stream_options" not in traits.refused_fields,
            fold_system=plan.fold_system or traits.folds_system,
        )

    def _body(self, plan: Plan) -> bytes:
        self.sent = wire.normalise(plan.turns, fold_system=plan.fold_system)
        return wire.encode_body(
            model=self.instance or None,
            turns=self.sent,
            temperature=self._work.temperature,
            top_p=self._work.top_p,
            max_tokens=plan.max_tokens,
            reasoning_effort=plan.reasoning_effort,
            include_usage=plan.include_usage,
        )

    def _limits(self, plan: Plan) -> Limits:
        settings = self._work.settings
        silence_s = settings.network_timeout_ms / 1000
        speed = self._node.traits(self._key).speed
        return Limits(
            connect_s=min(CONNECT_LIMIT_S, silence_s),
            silence_s=silence_s,
            first_token_s=first_token_patience_s(
                settings.first_token_timeout_s,
                speed.expected_s(plan.prompt_tokens),
                queued=self._node.in_flight / self._node.slots,
                is_loading=self.is_loading,
            ),
            total_at_s=self._work.total_at_s,
        )

    @contextlib.asynccontextmanager
    async def _turn_at_loading(self) -> AsyncGenerator[None, None]:
        """Let one question load a model that isn't loaded; the others wait for it.

        Several cold requests at once would load several copies (lmstudio-bug-tracker #1751).
        """
        node, key = self._node, self._key or ""
        await self._refuse_loading()
        await self._refuse_if_paused()
        while not self._is_loaded():
            await self._refuse_if_paused()
            running = node.loading.get(key)
            if running is None:
                break
            self._work.mailbox.put(Stage(StageKind.LOADING))
            left_s = self._work.total_at_s - self._work.clock.monotonic()
            try:
                await within(self._work.clock, _wait(running), left_s)
            except TimeoutError:
                raise errors.TotalTimeoutError from None
        if self._is_loaded():
            yield
            return
        self.is_loading = True
        node.loading[key] = self._load_is_over
        looking = asyncio.create_task(self._look_for_loaded())
        try:
            yield
        finally:
            await end_tasks(looking)
            self._end_loading()

    def _is_loaded(self) -> bool:
        """Whether the model is loaded, as far as the server says so at all."""
        catalogue = self._node.catalogue
        info = self._node.model(self._asked.model)
        return catalogue is None or info is None or info.is_loaded

    async def _refuse_loading(self) -> None:
        """Refuse a model that would have to be loaded for whom it must not."""
        if self._work.only_loaded is None or self._asked.model != self._work.only_loaded:
            return
        await self._node.refresh()
        info = self._node.model(self._asked.model)
        if info is None or not info.is_loaded:
            raise errors.NotInMemoryError

    async def _refuse_if_paused(self) -> None:
        """Refuse a model that couldn't be loaded a moment ago, unless the server has it by now."""
        traits = self._node.traits(self._key)
        if traits.load.state != "open":
            return
        await self._node.refresh()
        if not self._is_loaded():
            raise traits.load_error or errors.LoadFailedError()
        traits.load.succeed()

    async def _look_for_loaded(self) -> None:
        while not self._is_loaded() and not self.has_given:
            with contextlib.suppress(TimeoutError):
                await within(self._work.clock, _wait(self._first_text), LOADING_LOOK_S)
            await self._node.refresh()
        if not self.has_given:
            tokens = self._asked.prompt_tokens or None
            self._work.mailbox.put(Stage(StageKind.READING, tokens=tokens))
        self._end_loading()

    def _end_loading(self) -> None:
        if self._node.loading.get(self._key or "") is self._load_is_over:
            del self._node.loading[self._key or ""]
        self._load_is_over.set()

    def _note_connected(self, plan: Plan) -> None:
        if self.is_loading and not self._load_is_over.is_set():
            self._work.mailbox.put(Stage(StageKind.LOADING))
        else:
            share = 1.0
            if self._warm is not None and self._warm.instance == self.instance:
                share = self._warm.fresh_share(self.sent)
            tokens = round(plan.prompt_tokens * share) or None
            self._work.mailbox.put(Stage(StageKind.READING, tokens=tokens))

    def _note_text(self, content: str, reasoning: str) -> None:
        self.has_given = True
        self._first_text.set()
        if content and not self.has_shown and not content.isspace():
            self.has_shown = True
        self._work.mailbox.add_text(content, reasoning)

    def _learn(self, plan: Plan, exchange: Exchange, started_at_s: float) -> None:
        key = self._key
        self._node.note_success(key)
        traits = self._node.traits(key)
        traits.folds_system = plan.fold_system
        usage = exchange.decoder.usage
        if usage is not None and exchange.first_text_at_s is not None and not self.is_loading:
            traits.speed.learn(usage.prompt_tokens, exchange.first_text_at_s - started_at_s)
        for name in ("reasoning_effort", "stream_options"):
            if f"no {name}" in plan.tried:
                traits.refused_fields.add(name)

    def _completed(
        self,
        plan: Plan,
        exchange: Exchange,
        started_at_s: float,
        failure: BackendError | None = None,
    ) -> Completed:
        decoder = exchange.decoder
        reason = FinishReason.INTERRUPTED
        if failure is None:
            reason = _REASONS.get(decoder.finish_reason or "", FinishReason.STOP)
        first_at_s = exchange.first_text_at_s
        info = self._node.model(self._asked.model)
        return Completed(
            reason=reason,
            model=decoder.model,
            usage=decoder.usage,
            notices=(*plan.notices, *findings(self._node, plan, decoder, self.instance)),
            first_token_s=None if first_at_s is None else first_at_s - started_at_s,
            total_s=self._work.clock.monotonic() - started_at_s,
            context_tokens=info.context_tokens if info is not None else None,
            sent=plan.turns,
            interruption="" if failure is None else line_for(failure),
            may_go_on=failure is not None and may_go_on(failure),
        )

    def _as_known(self, error: BackendError, exchange: Exchange) -> BackendError:
        """Return what a failure really is.

        A prompt that is too long may end with nothing but its size (lmstudio-bug-tracker #2339).
        """
        info, usage = self._node.model(self._asked.model), exchange.decoder.usage
        if isinstance(error, errors.EmptyAnswerError) and usage and info and info.context_tokens:
            limit = info.context_tokens
            if usage.prompt_tokens >= limit:
                return errors.ContextOverflowError(limit, usage.prompt_tokens)
        return error


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
