"""One question: asked, mended, asked again, until there is an answer or one clear failure."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import ChatRequest, Counted, Restarted, Stage, StageKind
from bot.core.errors import BackendError
from bot.core.tasks import within
from bot.lmstudio import errors, loading, wire
from bot.lmstudio.asking import Ask, Work
from bot.lmstudio.fleet import Fleet
from bot.lmstudio.health import Cause
from bot.lmstudio.mailbox import Mailbox
from bot.lmstudio.nodes import Node, Traits
from bot.lmstudio.recovery import Plan, recover
from bot.lmstudio.retry import RetryPolicy
from config.settings import LMStudioSettings

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


class Answering:
    """The work on one question."""

    def __init__(
        self,
        fleet: Fleet,
        clock: Clock,
        settings: LMStudioSettings,
        request: ChatRequest,
        mailbox: Mailbox,
    ) -> None:
        """Prepare.

        Args:
            fleet: The servers.
            clock: Time.
            settings: Timeouts, retries, fallback model.
            request: What to answer.
            mailbox: Where events go.
        """
        self._fleet = fleet
        self._clock = clock
        self._settings = settings
        self._key = request.conversation_key
        self._mailbox = mailbox
        self._work = Work(
            settings=settings,
            clock=clock,
            mailbox=mailbox,
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            total_at_s=clock.monotonic() + (request.limit_s or settings.total_timeout_s),
            cause=Cause(request.conversation_key, hash(request.turns[-1:])),
            only_loaded=None if request.may_load else request.model,
        )
        self._plan = Plan(
            model=request.model,
            turns=wire.normalise(request.turns),
            prompt_tokens=request.prompt_tokens,
            max_tokens=request.sampling.max_tokens,
            reasoning_effort=wire.REASONING_EFFORTS.get(request.reasoning),
        )
        self._excluded: frozenset[int] = frozenset()
        self._requests = 0
        self._named = ""
        self._was_loading = False
        self._failure: BackendError = errors.BackendUnavailableError()

    async def run(self) -> None:
        """Answer; the last event is ``Completed``.

        Raises:
            BackendError: There is no answer to be had.
        """
        if not self._fleet.is_available():
            self._fleet.look_again()
            raise errors.BackendUnavailableError
        policy = RetryPolicy(
            self._clock,
            attempts=self._settings.retry_attempts,
            budget_s=self._settings.retry_budget_s,
        )
        await policy.retrying(self._before_retry)(self._attempt)

    async def _attempt(self) -> None:
        """Ask until it is answered, or no remedy and no other server is left.

        Where no server may be asked any more, the question's own failure is what counts: it isn't
        the machine that is away.
        """
        while self._requests < MAX_REQUESTS:
            node = self._fleet.choose(
                self._plan.model, self._key, self._excluded, desperate=self._requests > 0
            )
            if node is None:
                break
            self._requests += 1
            try:
                await self._ask(node)
            except BackendError as exc:
                self._failure = exc
                if self._clock.monotonic() >= self._work.total_at_s:
                    raise
                if not await self._mend(exc, node):
                    raise
            else:
                return
        raise self._failure

    async def _ask(self, node: Node) -> None:
        async with contextlib.AsyncExitStack() as stack:
            if "alone" in self._plan.tried:
                await stack.enter_async_context(node.alone)
                with contextlib.suppress(TimeoutError):
                    await within(self._clock, node.idle.wait(), _POOL_WAIT_S)
            if node.catalogue is None:
                await node.refresh()
            ask = Ask(self._work, node, self._plan, self._fleet.warm_copy(self._key, node))
            try:
                completed = await ask.run()
            except BackendError:
                self._named = ask.instance
                self._was_loading = ask.is_loading
                if ask.has_given:
                    self._mailbox.put(Restarted())
                raise
        self._fleet.note_warm(self._key, node, ask.instance, ask.sent)
        self._mailbox.put(completed)

    async def _mend(self, error: BackendError, node: Node) -> bool:
        """Change the plan or the server after a failure; return whether to ask again at once."""
        traits = self._traits(node)
        if isinstance(error, errors.LoadFailedError) and traits.load.state == "open":
            return self._go_elsewhere(error, node) or self._fall_back(error)
        if isinstance(error, _REFRESH_AFTER):
            await node.refresh()
        self._learn(error, traits)
        info = node.model(self._plan.model)
        if isinstance(error, errors.ContextOverflowError) and error.prompt_tokens and info:
            self._mailbox.put(Counted(info.key, self._plan.turns, error.prompt_tokens))
        changed = recover(error, self._plan, info.context_tokens if info else None)
        if changed is not None:
            self._plan = changed
            return True
        if isinstance(error, errors.PoolFullError):
            self._plan = self._plan.having_tried("alone")
        if await self._heal(error, node):
            return True
        if isinstance(error, errors.LoadFailedError) and self._cannot_load(error, node):
            traits.load.open()
            traits.load_error = error
        return self._go_elsewhere(error, node) or self._fall_back(error)

    def _traits(self, node: Node) -> Traits:
        info = node.model(self._plan.model)
        return node.traits(info.key if info is not None else self._plan.model)

    @staticmethod
    def _learn(error: BackendError, traits: Traits) -> None:
        """Remember what a failure tells of the model itself."""
        if isinstance(error, errors.ContextOverflowError) and error.limit_tokens:
            traits.context_tokens = error.limit_tokens
        if type(error) is errors.ImagesRefusedError:
            traits.is_blind = True

    async def _heal(self, error: BackendError, node: Node) -> bool:
        """Mend what is wrong on the server: the model's name there, or that it isn't loaded."""
        if isinstance(error, errors.ModelNotFoundError):
            info = node.model(self._plan.model)
            names = {"", self._plan.model, *((info.key, *info.instance_ids) if info else ())}
            return info is not None and self._named not in names
        if isinstance(error, errors.NoModelError):
            return await self._load(node)
        return isinstance(error, errors.LoadFailedError) and await self._load_smaller(node)

    def _cannot_load(self, error: errors.LoadFailedError, node: Node) -> bool:
        """Whether it was loading that failed, and not one question that was too much for memory."""
        info = node.model(self._plan.model)
        is_loaded = info is not None and info.is_loaded
        is_own = isinstance(error, errors.OutOfMemoryError) and not self._was_loading
        return not is_loaded and not is_own

    def _go_elsewhere(self, error: BackendError, node: Node) -> bool:
        if not isinstance(error, _ELSEWHERE):
            return False
        excluded = self._excluded | {node.index}
        if self._fleet.choose(self._plan.model, self._key, excluded) is None:
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

    def _may_load(self, node: Node) -> bool:
        is_guarded = self._plan.model is not None and self._plan.model == self._work.only_loaded
        return node.can_load and not is_guarded

    async def _load(self, node: Node) -> bool:
        """Load the model that was asked for, or the only one there is; once per question."""
        info = node.model(self._plan.model)
        key = info.key if info is not None else self._plan.model
        if key is None or "load" in self._plan.tried or not self._may_load(node):
            return False
        self._plan = self._plan.having_tried("load")
        return await self._try_loading(node, key, loading.LoadOptions())

    async def _load_smaller(self, node: Node) -> bool:
        """Load with a smaller context that the prompt still fits; once per question."""
        info = node.model(self._plan.model)
        if info is None or info.is_loaded or "smaller" in self._plan.tried:
            return False
        if not self._may_load(node):
            return False
        self._plan = self._plan.having_tried("smaller")
        needed = self._plan.prompt_tokens * 1.1 + self._plan.max_tokens
        most = info.max_context_tokens or _SMALL_CONTEXTS[0] * 2
        for size in _SMALL_CONTEXTS:
            options = loading.LoadOptions(context_length=size)
            if needed <= size < most and await self._try_loading(node, info.key, options):
                return True
        return False

    async def _try_loading(self, node: Node, key: str, options: loading.LoadOptions) -> bool:
        self._mailbox.put(Stage(StageKind.LOADING))
        left_s = self._work.total_at_s - self._clock.monotonic()
        try:
            await within(self._clock, loading.load(node, key, options), left_s)
        except (BackendError, TimeoutError):
            return False
        return True

    def _before_retry(self, error: BaseException | None) -> None:
        self._excluded = frozenset()
        is_away = isinstance(error, errors.BackendUnavailableError)
        self._mailbox.put(Stage(StageKind.HELD if is_away else StageKind.RETRYING))


async def answer(
    fleet: Fleet, clock: Clock, settings: LMStudioSettings, request: ChatRequest, mailbox: Mailbox
) -> None:
    """Answer a question into a mailbox, and close it whatever happens.

    Raises:
        BackendError: There is no answer to be had.
    """
    try:
        await Answering(fleet, clock, settings, request, mailbox).run()
    finally:
        mailbox.close()
