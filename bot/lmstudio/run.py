"""One question: asked, mended, asked again, until there is an answer or one clear failure.

``Run.events`` is the whole story: choose a server, ask it, pass on what comes; and after a failure
decide: a remedy, a model to load, another server or model, a wait, or the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from bot.core.clock import Clock, within
from bot.core.domain import (
    ChatEvent,
    ChatRequest,
    ChatTurn,
    Completed,
    Counted,
    FinishReason,
    LoadOptions,
    ModelInfo,
    Restarted,
    Retried,
    Stage,
    StageKind,
    TextDelta,
    Usage,
)
from bot.core.errors import BackendError, error_kind
from bot.core.tasks import end_tasks
from bot.lmstudio import errors, loading
from bot.lmstudio.catalogue import name_to_send
from bot.lmstudio.completion import (
    REASONING_EFFORTS,
    CompletionDecoder,
    Plan,
    encode_body,
    fitting,
    normalise,
)
from bot.lmstudio.learned import Cause, LearnedCapabilities, Read, ReadingSpeed
from bot.lmstudio.names import is_same_model, quantisation, shown
from bot.lmstudio.nodes import Fleet, Node
from bot.lmstudio.recovery import Retries, recover, without_images
from bot.lmstudio.transport import (
    CONNECT_LIMIT_S,
    Exchange,
    Reached,
    TimeLimits,
    first_token_patience_s,
)
from config.settings import LMStudioSettings

_log = logging.getLogger(__name__)

SILENTLY_CUT_SHARE: Final = 0.6
"""Reported prompt tokens below this share of the estimate mean that the server cut the prompt."""

_LEAST_ESTIMATE_TOKENS: Final = 1000

OTHER_MODEL: Final = "Another model than the one I'm set to use answered this."
NEAR_NAME: Final = "The model I'm set to use is listed as `{key}`, so I take that."
CUT_BY_SERVER: Final = (
    "The model's server left out a part of our conversation, because it was too long for it."
)

_REASONS: Final = {
    "length": FinishReason.LENGTH,
    "contextLengthReached": FinishReason.LENGTH,
    "maxPredictedTokensReached": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
}
UNKNOWN: Final = "The model's server reported a fault here."
_LINES: Final[tuple[tuple[type[BackendError], str], ...]] = (
    (errors.ContextOverflowError, "What the model can read at once is full here."),
    (errors.PoolFullError, "The memory that all running answers share was full here."),
    (errors.OutOfMemoryError, "The model's machine ran out of memory here."),
    (errors.ModelUnloadedError, "The model was unloaded here."),
    (errors.ModelCrashedError, "The model crashed here."),
    (errors.ComputeError, "The model had a fault while computing here."),
    (errors.OutputParserError, "The model's server couldn't read what the model wrote here."),
    (errors.StalledError, "The model stopped in the middle here."),
    (errors.TotalTimeoutError, "I stopped here: this took longer than I may wait."),
    (errors.TruncatedStreamError, "The connection to the model broke here."),
    (errors.DisconnectedError, "The connection to the model broke here."),
    (errors.BackendUnavailableError, "The connection to the model broke here."),
    (errors.BadResponseError, "The model's server sent something I can't read here."),
    (errors.TlsError, "The connection to the model broke here."),
    (errors.ServerFaultError, UNKNOWN),
    (errors.ChannelError, "The model's engine broke off here."),
    (errors.InvalidRequestError, UNKNOWN),
)


def line_for(error: BackendError) -> str:
    """Return one sentence on why an answer ends where it does: what is known of the failure."""
    line = next((line for kind, line in _LINES if isinstance(error, kind)), None)
    return line or f"{error.user_text.partition('. ')[0].rstrip('.')}."


def may_go_on(error: BackendError) -> bool:
    """Return whether asking again at once may bring the rest of an answer.

    Where time or room is used up it can't, and what is configured wrongly stays so.
    """
    return error.can_retry and not isinstance(error, errors.TotalTimeoutError)


def findings(
    node: Node, info: ModelInfo | None, plan: Plan, decoder: CompletionDecoder, instance: str
) -> list[str]:
    """Return sentences for the person about how a request was answered.

    Args:
        node: Who answered.
        info: The model that was asked for, as listed.
        plan: What was asked.
        decoder: What came.
        instance: The name that the request named; empty when it named none.
    """
    found = []
    if plan.model is not None and info is not None and node.is_first_near(plan.model):
        _log.warning("the model %.200r is taken for %.200r", plan.model, info.key)
        found.append(NEAR_NAME.format(key=shown(info.key)))
    listed = () if info is None else (info.key, *info.instance_ids)
    expected = {name for name in (plan.model, instance, *listed) if name}
    by = decoder.model
    is_known = by is None or by in expected or any(is_same_model(by, name) for name in expected)
    if plan.model is not None and not is_known:
        found.append(OTHER_MODEL)
    if was_cut(plan, decoder.usage, info.context_tokens if info else None):
        found.append(CUT_BY_SERVER)
    return found


def was_cut(plan: Plan, usage: Usage | None, context_tokens: int | None) -> bool:
    """Return whether the server read much less than it was sent, for lack of room.

    LM Studio's default overflow policy drops the middle of a conversation without an error.

    Args:
        plan: What was asked.
        usage: The tokens that the server counted, where it did.
        context_tokens: The model's context length, where known: what fits isn't cut, however few
            tokens it turns out to have.
    """
    if usage is None or not usage.prompt_tokens or plan.prompt_tokens < _LEAST_ESTIMATE_TOKENS:
        return False
    is_short = usage.prompt_tokens < plan.prompt_tokens * SILENTLY_CUT_SHARE
    return is_short and (
        context_tokens is None or plan.prompt_tokens + plan.max_tokens > context_tokens
    )


_MOSTLY_FRESH: Final = 0.5
_MOST_OFF: Final = 4

MAX_REQUESTS: Final = 16
"""Requests that one question may cost in all, whatever happens."""

_POOL_WAIT_S: Final = 60.0
"""Seconds to wait for other answers to end when the shared context is full."""

_SMALL_CONTEXTS: Final = (8192, 4096, 2048)
"""Tokens; what a model is loaded with when it can't be with more."""

FALLBACK_USED: Final = "My usual model can't be loaded right now, so another one answered."

_REFRESH_AFTER: Final = (
    errors.NoModelError,
    errors.ModelNotFoundError,
    errors.ModelUnloadedError,
    errors.ModelCrashedError,
    errors.LoadFailedError,
    errors.ContextOverflowError,
    errors.PoolFullError,
)
_ELSEWHERE: Final = (
    errors.BackendUnavailableError,
    errors.DisconnectedError,
    errors.TlsError,
    errors.AddressRefusedError,
    errors.AuthenticationError,
    errors.PermissionDeniedError,
    errors.WrongEndpointError,
    errors.NoModelError,
    errors.ModelNotFoundError,
    errors.NotInMemoryError,
    errors.LoadFailedError,
    errors.ModelCrashedError,
    errors.ComputeError,
    errors.ChannelError,
    errors.ServerFaultError,
    errors.BusyError,
    errors.BadResponseError,
    errors.FirstTokenTimeoutError,
)
"""Failures that another server may not have. A stalled or slow answer isn't among them: there, the
server has the prompt and works on it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to one server.

    Attributes:
        node: The server.
        learned: What is known of its model by experience.
        plan: What is asked, as this server and model can take it.
        instance: The model's name as sent; empty when none is.
        sent: The turns as sent.
        exchange: The request itself.
        is_loading: The model isn't in memory, so that this request loads it.
        fresh_share: The part of the prompt that the model must read, from 0 to 1.
        started_at_s: Monotonic time.
    """

    node: Node
    learned: LearnedCapabilities
    plan: Plan
    instance: str
    sent: tuple[ChatTurn, ...]
    exchange: Exchange
    is_loading: bool
    fresh_share: float
    started_at_s: float


class Run:
    """The work on one question. Iterate over ``events`` once."""

    def __init__(
        self, fleet: Fleet, clock: Clock, settings: LMStudioSettings, request: ChatRequest
    ) -> None:
        """Prepare.

        Args:
            fleet: The servers.
            clock: Time.
            settings: Timeouts, retries, fallback model.
            request: What to answer.
        """
        self._fleet = fleet
        self._clock = clock
        self._settings = settings
        self._request = request
        self._total_at_s = clock.monotonic() + (request.limit_s or settings.total_timeout_s)
        self._cause = Cause(request.conversation_key, hash(request.turns[-1:]), request.person_id)
        self._plan = Plan(
            model=request.model,
            turns=normalise(request.turns),
            prompt_tokens=request.prompt_tokens,
            max_tokens=request.sampling.max_tokens,
            reasoning_effort=REASONING_EFFORTS.get(request.reasoning),
        )
        self._excluded: frozenset[int] = frozenset()
        self._requests = 0
        self._newest: Ask | None = None

    @cached_property
    def _retries(self) -> Retries:
        """The tries that are left, from the first failure on."""
        settings = self._settings
        return Retries(attempts=settings.retry_attempts, budget_s=settings.retry_budget_s)

    async def events(self) -> AsyncGenerator[ChatEvent, None]:
        """Answer; the last event is ``Completed``.

        ``aclose()`` closes the connection at once.

        Raises:
            BackendError: There is no answer to be had.
        """
        if not self._fleet.is_available():
            self._fleet.look_again()
            raise errors.BackendUnavailableError
        failure: BackendError = errors.BackendUnavailableError()
        while True:
            node = self._choose()
            if node is not None:
                try:
                    async with contextlib.aclosing(self._ask(node)) as answer:
                        async for event in answer:
                            yield event
                except BackendError as exc:
                    failure = exc
                else:
                    return
            async with contextlib.aclosing(self._decide(failure, node)) as stages:
                async for event in stages:
                    yield event
            yield Retried(error_kind(failure))

    def _choose(self) -> Node | None:
        """Return the server to ask; ``None`` where none may be asked any more."""
        return self._fleet.choose(
            self._plan.model,
            self._request.conversation_key,
            self._excluded,
            include_down=self._requests > 0,
        )

    async def _ask(self, node: Node) -> AsyncGenerator[ChatEvent, None]:
        """Ask one server once, and pass on what comes.

        Raises:
            BackendError: It failed before any text could be seen; after that, the answer ends with
                the reason INTERRUPTED instead.
        """
        self._requests += 1
        self._newest = None
        async with contextlib.AsyncExitStack() as stack:
            if "alone" in self._plan.tried:
                await stack.enter_async_context(node.alone)
                with contextlib.suppress(TimeoutError):
                    await within(self._clock, node.idle.wait(), _POOL_WAIT_S)
            if node.catalogue is None:
                await node.refresh()
            self._refuse_ambiguity(node)
            await self._refuse_loading(node)
            while (running := await self._loading_of_others(node)) is not None:
                yield Stage(StageKind.LOADING, expected_wait_s=self._learned(node).load_s)
                await self._wait_for_loading(running)
            ask = self._newest = self._prepare(node)
            loaded = None
            if ask.is_loading:
                key = node.key_of(self._plan.model) or ""
                end_loading = stack.enter_context(node.while_loading(key))
                has_text = ask.exchange.has_text
                loaded = loading.look_while_asking(node, key, self._clock, has_text, end_loading)
                stack.push_async_callback(end_tasks, loaded)
            async with contextlib.aclosing(self._read(ask, loaded)) as answer:
                async for event in answer:
                    yield event

    async def _read(
        self, ask: Ask, loaded: asyncio.Task[None] | None
    ) -> AsyncGenerator[ChatEvent, None]:
        """Send a request and read its answer."""
        node, exchange = ask.node, ask.exchange
        failure: BackendError | None = None
        try:
            with node.running(ask.instance, self._cause):
                body = self._body(ask)
                async with contextlib.aclosing(exchange.events(body, loaded)) as progress:
                    async for event in progress:
                        if isinstance(event, TextDelta):
                            yield event
                        else:
                            yield _stage(ask, event, loaded)
        except BackendError as exc:
            if not exchange.decoder.has_content:
                if exchange.first_text_at_s is not None:
                    yield Restarted()
                raise _as_known(exc, ask) from exc
            failure = exc
        else:
            info = node.model(ask.plan.model)
            if info is not None and not info.is_loaded:
                await node.refresh()
            key = ask.plan.model if info is None else info.key
            _learn_from_answer(ask, key, self._clock.monotonic())
        read = Read(ask.sent, has_answer=not exchange.decoder.has_reasoning)
        self._fleet.note_warm(self._request.conversation_key, node, ask.instance, read)
        yield self._completed(ask, failure)

    async def _decide(
        self, failure: BackendError, node: Node | None
    ) -> AsyncGenerator[ChatEvent, None]:
        """Change the plan or the server after a failure, or wait; then the question is asked again.

        Where no server may be asked any more, the question's own failure is what counts: it isn't
        the machine that is away.

        Raises:
            BackendError: The failure, where nothing is left to do.
        """
        if self._requests >= MAX_REQUESTS or self._clock.monotonic() >= self._total_at_s:
            raise failure
        if node is not None:
            if not self._is_paused(failure, node):
                if counted := await self._learn_from_failure(failure, node):
                    yield counted
                if self._has_remedy(failure, node):
                    return
                for options in self._loads(failure, node):
                    yield Stage(StageKind.LOADING, expected_wait_s=self._learned(node).load_s)
                    if await self._load(node, options):
                        return
                self._pause_loading(failure, node)
            if self._go_elsewhere(failure, node) or self._fall_back(failure):
                return
        delay_s = self._retries.after(failure)
        is_away = isinstance(failure, errors.BackendUnavailableError)
        yield Stage(StageKind.HELD if is_away else StageKind.RETRYING)
        await self._clock.sleep(delay_s)
        self._excluded = frozenset()

    # What is asked of a server.

    def _prepare(self, node: Node) -> Ask:
        info = node.model(self._plan.model)
        learned = node.learned(self._plan.model if info is None else info.key)
        plan = _fitted(self._plan, info, learned)
        home = self._fleet.home(self._request.conversation_key, node)
        instance = name_for(node, info, plan.model, home) or ""
        sent = normalise(plan.turns, fold_system=plan.fold_system)
        is_loading = info is not None and not info.is_loaded
        return Ask(
            node=node,
            learned=learned,
            plan=plan,
            instance=instance,
            sent=sent,
            exchange=Exchange(
                node.transport,
                self._clock,
                self._limits(node, plan, learned.speed, is_loading=is_loading),
                max_tokens=plan.max_tokens,
                pace=self._request.pace,
            ),
            is_loading=is_loading,
            fresh_share=self._fleet.fresh_share(node, instance, sent),
            started_at_s=self._clock.monotonic(),
        )

    def _limits(
        self, node: Node, plan: Plan, speed: ReadingSpeed, *, is_loading: bool
    ) -> TimeLimits:
        settings = self._settings
        silence_s = settings.network_timeout_ms / 1000
        return TimeLimits(
            connect_s=min(CONNECT_LIMIT_S, silence_s),
            silence_s=silence_s,
            first_token_s=first_token_patience_s(
                settings.first_token_timeout_s,
                speed.expected_s(plan.prompt_tokens),
                queued=node.in_flight / node.slots,
                is_loading=is_loading,
            ),
            total_at_s=self._total_at_s,
        )

    def _body(self, ask: Ask) -> bytes:
        return encode_body(
            model=ask.instance or None,
            turns=ask.sent,
            temperature=self._request.sampling.temperature,
            top_p=self._request.sampling.top_p,
            max_tokens=ask.plan.max_tokens,
            reasoning_effort=ask.plan.reasoning_effort,
            include_usage=ask.plan.include_usage,
        )

    def _completed(self, ask: Ask, failure: BackendError | None) -> Completed:
        decoder, first_at_s = ask.exchange.decoder, ask.exchange.first_text_at_s
        info = ask.node.model(ask.plan.model)
        context_tokens = info.context_tokens if info is not None else None
        reason = _REASONS.get(decoder.finish_reason or "", FinishReason.STOP)
        return Completed(
            reason=FinishReason.INTERRUPTED if failure else reason,
            model=decoder.model,
            usage=decoder.usage,
            remarks=(*ask.plan.remarks, *findings(ask.node, info, ask.plan, decoder, ask.instance)),
            first_token_s=None if first_at_s is None else first_at_s - ask.started_at_s,
            total_s=self._clock.monotonic() - ask.started_at_s,
            context_tokens=context_tokens,
            sent=ask.plan.turns,
            prompt_was_cut=was_cut(ask.plan, decoder.usage, context_tokens),
            interruption="" if failure is None else line_for(failure),
            may_go_on=failure is not None and may_go_on(failure),
        )

    # Loading a model, and waiting for it.

    def _must_not_load(self) -> bool:
        """Whether the model may be used while it is in memory, but not be loaded."""
        request = self._request
        is_own = self._plan.model is not None and self._plan.model == request.model
        return is_own and not request.may_load

    def _refuse_ambiguity(self, node: Node) -> None:
        """Refuse a name that several models there have nearly, rather than have one of them guessed."""
        several = node.fitting(self._plan.model)
        if several and node.model(self._plan.model) is None:
            raise errors.AmbiguousModelError(tuple(shown(model.key) for model in several))

    async def _refuse_loading(self, node: Node) -> None:
        """Refuse a model that would have to be loaded for whom it must not."""
        if self._must_not_load() and not await node.lists_as_loaded(self._plan.model):
            raise errors.NotInMemoryError

    async def _loading_of_others(self, node: Node) -> asyncio.Event | None:
        """Return what is set once another question has loaded the model, if one is at it.

        Raises:
            LoadFailedError: It couldn't be loaded a moment ago, and isn't by now.
        """
        info = node.model(self._plan.model)
        learned = node.learned(self._plan.model if info is None else info.key)
        if learned.load.state == "open":
            await node.refresh()
            info = node.model(self._plan.model)
            if info is not None and not info.is_loaded:
                raise learned.load_error or errors.LoadFailedError()
            learned.load.succeed()
        return None if info is None or info.is_loaded else node.loading.get(info.key)

    async def _wait_for_loading(self, running: asyncio.Event) -> None:
        left_s = self._total_at_s - self._clock.monotonic()
        try:
            await within(self._clock, running.wait(), left_s)
        except TimeoutError:
            raise errors.TotalTimeoutError from None

    def _loads(self, error: BackendError, node: Node) -> tuple[LoadOptions, ...]:
        """Return how to load the model, the best way first; each kind once per question.

        Where none is loaded: as the server likes. Where it can't be loaded so: with a smaller
        context that the prompt still fits.
        """
        if self._must_not_load() or not node.can_load:
            return ()
        info, tried = node.model(self._plan.model), self._plan.tried
        if isinstance(error, errors.NoModelError):
            if node.key_of(self._plan.model) is None or "load" in tried:
                return ()
            self._plan = self._plan.having_tried("load")
            return (LoadOptions(),)
        if not isinstance(error, errors.LoadFailedError) or info is None or info.is_loaded:
            return ()
        if "smaller" in tried:
            return ()
        self._plan = self._plan.having_tried("smaller")
        needed = self._plan.prompt_tokens * 1.1 + self._plan.max_tokens
        most = info.max_context_tokens or _SMALL_CONTEXTS[0] * 2
        return tuple(
            LoadOptions(context_length=size) for size in _SMALL_CONTEXTS if needed <= size < most
        )

    async def _load(self, node: Node, options: LoadOptions) -> bool:
        key = node.key_of(self._plan.model) or ""
        left_s = self._total_at_s - self._clock.monotonic()
        try:
            await within(self._clock, loading.load(node, key, options, self._clock), left_s)
        except (BackendError, TimeoutError):
            return False
        return True

    def _is_paused(self, error: BackendError, node: Node) -> bool:
        """Whether the model was left alone because it couldn't be loaded a moment ago."""
        is_load_failure = isinstance(error, errors.LoadFailedError)
        return is_load_failure and self._learned(node).load.state == "open"

    def _pause_loading(self, error: BackendError, node: Node) -> None:
        """Leave a model alone for a while that couldn't be loaded.

        One question that was too much for the memory is no such failure.
        """
        info = node.model(self._plan.model)
        is_loaded = info is not None and info.is_loaded
        was_loading = self._newest is not None and self._newest.is_loading
        is_own = isinstance(error, errors.OutOfMemoryError) and not was_loading
        if isinstance(error, errors.LoadFailedError) and not is_loaded and not is_own:
            learned = self._learned(node)
            learned.load.open()
            learned.load_error = error

    # What a failure changes.

    def _learned(self, node: Node) -> LearnedCapabilities:
        return node.learned(node.key_of(self._plan.model))

    async def _learn_from_failure(self, error: BackendError, node: Node) -> Counted | None:
        """Remember what a failure tells of the model; return the size of the prompt, if it does.

        Where it says that the server's models are others than was thought, these are looked at first.
        """
        if isinstance(error, _REFRESH_AFTER):
            await node.refresh()
        learned, info = self._learned(node), node.model(self._plan.model)
        if type(error) is errors.ImagesRefusedError:
            learned.is_blind = True
        if not isinstance(error, errors.ContextOverflowError):
            return None
        if error.limit_tokens:
            learned.context_tokens = error.limit_tokens
        if info is None:
            return None
        # A refusal without any count says that prompt and answer have as many tokens as the context, or
        # more. Too high a count of the prompt would stay: true ones would be taken for parts of it.
        context_tokens = 0 if error.limit_tokens else info.context_tokens or 0
        tokens = error.prompt_tokens or context_tokens - self._plan.max_tokens
        return Counted(info.key, self._plan.turns, tokens) if tokens > 0 else None

    def _has_remedy(self, error: BackendError, node: Node) -> bool:
        """Change what is asked, where that may help; return whether to ask again at once."""
        info = node.model(self._plan.model)
        changed = recover(error, self._plan, info.context_tokens if info else None)
        if changed is not None:
            self._plan = changed
            return True
        if isinstance(error, errors.PoolFullError):
            self._plan = self._plan.having_tried("alone")
        return info is not None and self._has_other_name(error, node, info)

    def _has_other_name(self, error: BackendError, node: Node, info: ModelInfo) -> bool:
        """Return whether a listed model is to be asked for by another name.

        A quantisation that isn't there is refused as unknown, or as "unloaded" while the model is loaded.
        """
        is_unknown = isinstance(error, errors.ModelNotFoundError)
        asked = self._plan.model
        if asked and quantisation(asked) and asked not in node.refused_names:
            is_odd = isinstance(error, errors.ModelUnloadedError) and info.is_loaded
            if is_unknown or is_odd:
                node.refuse_name(asked)
                return True
        named = self._newest.instance if self._newest is not None else ""
        return is_unknown and named not in {"", asked, info.key, *info.instance_ids}

    def _go_elsewhere(self, error: BackendError, node: Node) -> bool:
        if not isinstance(error, _ELSEWHERE):
            return False
        excluded = self._excluded | {node.index}
        if not self._fleet.has_others(excluded):
            return False
        self._excluded = excluded
        return True

    def _fall_back(self, error: BackendError) -> bool:
        fallback = self._settings.fallback_model
        if not isinstance(error, errors.LoadFailedError | errors.ModelNotFoundError):
            return False
        if fallback is None or fallback == self._plan.model or "fallback" in self._plan.tried:
            return False
        self._excluded = frozenset()
        plan = replace(self._plan, model=fallback).having_tried("fallback")
        self._plan = plan.noting(FALLBACK_USED)
        return True


def _fitted(plan: Plan, info: ModelInfo | None, learned: LearnedCapabilities) -> Plan:
    """Return a plan as the model can take it."""
    is_blind = learned.is_blind or (info is not None and info.sees_images is False)
    if is_blind and plan.has_images:
        plan = without_images(plan)
    effort = fitting(plan.reasoning_effort, info.reasoning_options if info else None)
    if "reasoning_effort" in learned.refused_fields:
        effort = None
    return replace(
        plan,
        reasoning_effort=effort,
        include_usage=plan.include_usage and "stream_options" not in learned.refused_fields,
        fold_system=plan.fold_system or learned.folds_system,
    )


def name_for(node: Node, info: ModelInfo | None, asked: str | None, home: str | None) -> str | None:
    """Return the model's name to send: a loaded copy, or what was asked for."""
    if info is None:
        return asked
    instance = node.instance(info.key, home)
    copy_id = info.key if instance is None else instance.id
    if asked is None or asked in node.refused_names:
        return copy_id
    return name_to_send(info, asked, copy_id)


def _stage(ask: Ask, reached: Reached, loaded: asyncio.Task[None] | None) -> Stage:
    """Return what the question waits for, once a request has come so far."""
    if reached is Reached.STARTED:
        return Stage(StageKind.CONNECTING)
    if loaded is not None and not loaded.done():
        return Stage(StageKind.LOADING, expected_wait_s=ask.learned.load_s)
    share = ask.fresh_share if reached is Reached.CONNECTED else 1.0
    tokens = round(ask.plan.prompt_tokens * share)
    speed = ask.learned.speed
    expected_s = speed.expected_s(tokens) if speed.is_known else None
    return Stage(StageKind.READING, tokens=tokens or None, expected_wait_s=expected_s)


def _as_known(error: BackendError, ask: Ask) -> BackendError:
    """Return what a failure really is.

    A prompt that is too long may end with nothing but its size, or with nothing at all
    (lmstudio-bug-tracker #2339); then our own estimate is all there is.
    """
    info, usage = ask.node.model(ask.plan.model), ask.exchange.decoder.usage
    if not isinstance(error, errors.EmptyAnswerError) or info is None or not info.context_tokens:
        return error
    counted = usage.prompt_tokens if usage is not None else 0
    if (counted or ask.plan.prompt_tokens) < info.context_tokens:
        return error
    return errors.ContextOverflowError(info.context_tokens, counted or None)


def fresh_tokens(usage: Usage, fresh_share: float, estimated_tokens: int) -> int:
    """Return how many tokens of a prompt were read: as the server says, or else where most were.

    What is only believed to be in a cache may be lost, which would look like a slow model. A count far
    over the estimate is none.
    """
    if usage.prompt_tokens > _MOST_OFF * max(estimated_tokens, _LEAST_ESTIMATE_TOKENS):
        return 0
    if usage.cached_tokens is not None:
        return usage.prompt_tokens - usage.cached_tokens
    return round(usage.prompt_tokens * fresh_share) if fresh_share > _MOSTLY_FRESH else 0


def _learn_from_answer(ask: Ask, key: str | None, ended_s: float) -> None:
    """Remember what an answer tells of the model."""
    ask.node.note_success(key)
    learned = ask.node.learned(key)
    learned.folds_system = ask.plan.fold_system
    learned.takes_effort = learned.takes_effort or ask.plan.reasoning_effort is not None
    learned.reasoning_field = ask.exchange.decoder.reasoning_field or learned.reasoning_field
    usage, first_text_at_s = ask.exchange.decoder.usage, ask.exchange.first_text_at_s
    if usage is not None and first_text_at_s is not None:
        ask.node.note_pace(key, usage.completion_tokens, ended_s - first_text_at_s)
    if usage is not None and first_text_at_s is not None and not ask.is_loading:
        fresh = fresh_tokens(usage, ask.fresh_share, ask.plan.prompt_tokens)
        is_certain = usage.cached_tokens is not None
        learned.speed.learn(fresh, first_text_at_s - ask.started_at_s, is_certain=is_certain)
    for name in ("reasoning_effort", "stream_options"):
        if f"no {name}" in ask.plan.tried:
            learned.refused_fields.add(name)
