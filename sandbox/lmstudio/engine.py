"""The machine behind the routes: resident models, slots, prefix caches, the shared pool."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.lmstudio import errors
from sandbox.lmstudio.downloads import Downloads
from sandbox.lmstudio.errors import RefusalError
from sandbox.lmstudio.tokens import common_prefix
from sandbox.lmstudio.values import ErrorReply, Model, Options, RecordedRequest, Timing

SIMILARITY = 0.10
"""Share of the prompt that must be in a slot's cache for the slot to be chosen (llama-server)."""

TokenKind = Literal["content", "reasoning", "tool", "progress"]


@dataclass(slots=True)
class Slot:
    """One sequence with its cache.

    Attributes:
        cache: Tokens whose keys and values it holds.
        used_at: Counts uses, for least-recently-used.
    """

    number: int
    cache: list[str] = field(default_factory=list)
    used_at: int = 0
    job: Job | None = None


@dataclass(slots=True, eq=False)
class Job:
    """One completion on its way through the machine.

    Attributes:
        pieces: What to generate: kind and text of each token.
        finish: Finish reason once all pieces are out.
        events: What the route sends: a piece, a finish reason, or an error.
        pause_after: Wait for ``woken`` after so many pieces.
        woken: Set by ``resume``, and whenever there is something to notice.
        cancelled: The client has left.
        watched: Events also tell how much of the prompt is read, as ``("progress", "0.5")``.
    """

    prompt: list[str]
    pieces: Sequence[tuple[TokenKind, str]]
    finish: str
    record: RecordedRequest
    events: asyncio.Queue[tuple[TokenKind, str] | str | ErrorReply] = field(
        default_factory=asyncio.Queue
    )
    pause_after: int | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    watched: bool = False
    failure: ErrorReply | None = None
    task: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class Instance:
    """A model in memory.

    Attributes:
        reading: How many prompts are being read.
        batch: Held while a batch is read, where they are read one after the other.
    """

    id: str
    model: Model
    context_tokens: int
    parallel: int
    jit: bool
    ttl_s: float
    slots: list[Slot] = field(default_factory=list)
    waiting: deque[tuple[Job, asyncio.Future[Slot]]] = field(default_factory=deque)
    used_at: float = 0.0
    reading: int = 0
    eval_batch_size: int = 2048
    batch: asyncio.Lock = field(default_factory=asyncio.Lock)
    flash_attention: bool = True

    @property
    def active(self) -> list[Job]:
        """The jobs that hold a slot."""
        return [slot.job for slot in self.slots if slot.job]


async def events_of(job: Job) -> AsyncIterator[tuple[TokenKind, str] | str | ErrorReply]:
    """Yield tokens until a finish reason or an error has been yielded."""
    while True:
        event = await job.events.get()
        yield event
        if not isinstance(event, tuple):
            return


class Engine:
    """Loads models and runs completions in the machine's time."""

    def __init__(
        self,
        models: Sequence[Model],
        timing: Timing,
        options: Options,
        changed: Callable[[], None],
    ) -> None:
        self.models = {model.key: model for model in models}
        self.timing = timing
        self.options = options
        self.instances: dict[str, Instance] = {}
        self.loading: dict[str, asyncio.Task[Instance]] = {}
        self.conversations: dict[str, list[dict[str, Any]]] = {}
        self.downloads = Downloads(self._downloaded)
        self._changed = changed
        self._uses = 0
        self._tasks: set[asyncio.Task[None]] = set()
        for model in models:
            if model.loaded:
                self._add_instance(model, model.context_tokens, jit=False)

    async def pause(self, model_s: float) -> None:
        """Wait for so many of the machine's seconds."""
        await asyncio.sleep(self.timing.real_s(model_s))

    def _add_instance(self, model: Model, context_tokens: int, *, jit: bool) -> Instance:
        number = 2
        name = model.key
        while name in self.instances:
            name = f"{model.key}:{number}"
            number += 1
        instance = Instance(name, model, context_tokens, model.parallel, jit, self.options.ttl_s)
        instance.slots = [Slot(number) for number in range(model.parallel)]
        instance.used_at = time.monotonic()
        self.instances[name] = instance
        return instance

    def _downloaded(self, key: str) -> None:
        self.models[key] = Model(key, loaded=False)
        self._changed()

    async def load(
        self,
        model: Model,
        *,
        context_tokens: int | None = None,
        jit: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> Instance:
        """Load one more instance of a model; takes the load time.

        Args:
            model: Which one.
            context_tokens: Context length; the model's own when not given.
            jit: A request asked for it.
            progress: Told four times how much of it is loaded, from 0 to 1.

        Raises:
            RefusalError: There isn't enough memory for this context length.
        """
        wanted = context_tokens or model.context_tokens
        for quarter in range(1, 5):
            await self.pause(self.timing.load_s / 4)
            if progress is not None:
                progress(quarter / 4)
        limits = (model.loadable_context_tokens, self.options.memory_tokens)
        if any(limit is not None and wanted > limit for limit in limits):
            raise RefusalError(errors.load_failed(model.key, errors.GUARDRAIL_REASON))
        if jit and self.options.only_last_jit:
            for other in [one for one in self.instances.values() if one.jit]:
                self.unload(other.id)
        self.options.counters.loads += 1
        instance = self._add_instance(model, wanted, jit=jit)
        self._changed()
        return instance

    async def load_just_in_time(self, model: Model) -> Instance:
        """Load a model that a request asked for; requests at once share the load."""
        context = self.options.jit_context_tokens
        if self.options.jit_race:
            return await self.load(model, context_tokens=context, jit=True)
        task = self.loading.get(model.key)
        if task is None:
            task = asyncio.create_task(self.load(model, context_tokens=context, jit=True))
            self.loading[model.key] = task
            task.add_done_callback(lambda _: self.loading.pop(model.key, None))
        return await asyncio.shield(task)

    def unload(self, instance_id: str, reply: ErrorReply = errors.UNLOADED) -> bool:
        """Drop an instance with its caches; what it was doing ends with ``reply``."""
        instance = self.instances.pop(instance_id, None)
        if instance is None:
            return False
        self.options.counters.unloads += 1
        self.fail_active(instance, reply)
        for job, future in instance.waiting:
            job.failure = reply
            if not future.done():
                future.set_exception(RefusalError(reply))
        instance.waiting.clear()
        self._changed()
        return True

    def fail_active(self, instance: Instance, reply: ErrorReply) -> None:
        """End all running jobs of an instance with an error."""
        for job in instance.active:
            job.failure = job.failure or reply
            job.woken.set()

    def resume(self) -> None:
        """Let all jobs go on that pause, or will."""
        for instance in self.instances.values():
            for job in [*instance.active, *(job for job, _ in instance.waiting)]:
                job.woken.set()

    def expire(self) -> None:
        """Unload what was loaded just in time and has been idle for too long."""
        now = time.monotonic()
        for instance in list(self.instances.values()):
            idle_s = now - instance.used_at
            over = not self.timing.instant and idle_s > self.timing.real_s(instance.ttl_s)
            if instance.jit and over and not instance.active and not instance.waiting:
                self.unload(instance.id)

    def submit(self, instance: Instance, job: Job) -> None:
        """Start a job; its events arrive in ``job.events``."""
        task = asyncio.create_task(self._run(instance, job))
        job.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End all work and forget all models."""
        tasks: list[asyncio.Task[None] | asyncio.Task[Instance]] = [*self._tasks]
        tasks += self.loading.values()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.instances.clear()

    async def _run(self, instance: Instance, job: Job) -> None:
        slot: Slot | None = None
        try:
            slot = await self._wait_for_slot(instance, job)
            instance.reading += 1
            try:
                await self._prefill(instance, slot, job)
            finally:
                instance.reading -= 1
            await self._generate(instance, slot, job)
        except RefusalError as refusal:
            job.events.put_nowait(refusal.reply)
        finally:
            if slot is not None:
                slot.job = None
                if not self.options.cache_prompt:
                    slot.cache = []
            instance.used_at = time.monotonic()
            self._serve_waiting(instance)
            self._changed()

    async def _wait_for_slot(self, instance: Instance, job: Job) -> Slot:
        free = [slot for slot in instance.slots if slot.job is None]
        if free and not instance.waiting:
            return self._choose_slot(instance, free, job)
        future: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        entry = (job, future)
        instance.waiting.append(entry)
        self._changed()
        try:
            return await future
        finally:
            if entry in instance.waiting:
                instance.waiting.remove(entry)

    def client_left(self, instance: Instance, job: Job) -> None:
        """Note that a job's client has gone; a job still in line is dropped at once."""
        job.cancelled = True
        job.woken.set()
        for waiting, future in instance.waiting:
            if waiting is job and not future.done():
                future.set_exception(RefusalError(errors.UNLOADED))

    def _serve_waiting(self, instance: Instance) -> None:
        while instance.waiting:
            free = [slot for slot in instance.slots if slot.job is None]
            if not free:
                return
            job, future = instance.waiting.popleft()
            if not future.done():
                future.set_result(self._choose_slot(instance, free, job))

    def _choose_slot(self, instance: Instance, free: list[Slot], job: Job) -> Slot:
        """Choose by common prefix if it is worth it, else the least recently used."""
        best = max(free, key=lambda slot: common_prefix(slot.cache, job.prompt))
        if common_prefix(best.cache, job.prompt) < SIMILARITY * len(job.prompt):
            best = min(free, key=lambda slot: slot.used_at)
        self._uses += 1
        best.used_at = self._uses
        best.job = job
        job.record.slot = best.number
        job.record.started_at = time.monotonic()
        counters = self.options.counters
        counters.peak_active = max(counters.peak_active, len(instance.active))
        return best

    async def _prefill(self, instance: Instance, slot: Slot, job: Job) -> None:
        total = len(job.prompt)
        kept = min(common_prefix(slot.cache, job.prompt), max(0, total - 1))
        if instance.model.hybrid and kept < len(slot.cache):
            kept = 0
        slot.cache = job.prompt[:kept]
        job.record.reread_tokens = total - kept
        due = time.monotonic()
        while len(slot.cache) < total:
            start = len(slot.cache)
            end = min(total, start + self.timing.batch_tokens)
            due = await self._read_batch(instance, due, self.timing.prefill_s(start, end))
            slot.cache.extend(job.prompt[start:end])
            if job.watched:
                job.events.put_nowait(("progress", str(end / total)))
            self._check(instance, job, prefill=True)

    async def _read_batch(self, instance: Instance, due: float, model_s: float) -> float:
        """Wait until a batch is read; return when that was due."""
        async with contextlib.AsyncExitStack() as stack:
            if self.timing.one_batch:
                await stack.enter_async_context(instance.batch)
                due = time.monotonic()
            due += self.timing.real_s(model_s)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        return due

    async def _generate(self, instance: Instance, slot: Slot, job: Job) -> None:
        due = time.monotonic()
        for number, piece in enumerate(job.pieces):
            if number == job.pause_after:
                await job.woken.wait()
                self._check(instance, job)
                due = time.monotonic()
            if len(slot.cache) >= instance.context_tokens:
                job.events.put_nowait("length")
                return
            job.events.put_nowait(piece)
            slot.cache.append(piece[1])
            timing = self.timing
            drag = timing.decode_slowdown * (len(instance.active) - 1)
            drag += timing.prefill_drag * instance.reading
            due += timing.real_s((1 + drag) / timing.generation_tokens_s)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._check(instance, job)
        job.events.put_nowait(job.finish)

    def _check(self, instance: Instance, job: Job, *, prefill: bool = False) -> None:
        """Look at what event meanwhile: a failure, a client gone, a full pool.

        Raises:
            RefusalError: The job ends here.
        """
        if job.failure:
            raise RefusalError(job.failure)
        if job.cancelled and not (prefill and self.timing.cancel_finishes_prompt):
            raise RefusalError(errors.UNLOADED)
        if self._fits(instance):
            return
        self.fail_active(instance, errors.POOL_FULL)
        raise RefusalError(errors.POOL_FULL)

    def _fits(self, instance: Instance) -> bool:
        """Make room in the pool by dropping idle caches, the oldest first."""
        total = sum(len(slot.cache) for slot in instance.slots)
        if total <= instance.context_tokens:
            return True
        for slot in sorted(instance.slots, key=lambda one: one.used_at):
            if slot.job is None and slot.cache:
                total -= len(slot.cache)
                slot.cache = []
                if total <= instance.context_tokens:
                    return True
        return len(instance.active) <= 1
