"""Bring one answer to its reader: stage line, growing text, final text, all at Discord's pace.

An answer is owned by ``async with Delivery(...)``. Whoever reads the model calls ``stage`` and
``show``, which only note what is wanted; one task writes, one shows the typing indicator. ``finish``,
``fail`` and ``abort`` end the writing and wait for Discord.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from bot.core.clock import Clock
from bot.core.domain import MessageId, Question, Stage
from bot.core.errors import (
    DeliveryError,
    DeliveryForbiddenError,
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.core.notices import notice
from bot.core.ports import Controls, ReplySink
from bot.core.tasks import end_tasks
from bot.core.wording import plain_reason
from bot.delivery.board import (
    Board,
    OnPosted,
    Operation,
    Part,
    own_lines_of,
    parts_of,
    plan_chunks,
    without_file,
)
from bot.delivery.pacing import ChannelPacer, Rank
from bot.delivery.splitter import split, streaming_cut
from bot.delivery.stage_line import StageClock
from config.settings import DeliverySettings

_log = logging.getLogger(__name__)

EDIT_INTERVAL_S = 1.5
"""Least time between two edits of an answer; a reply of 4 s then needs at most five requests."""

FINAL_PATIENCE_S = 600.0
"""How long a final text is tried while Discord is unavailable."""

FILE_PATIENCE_S = 60.0
"""How long the file of a long answer is tried while Discord doesn't take it; then it is messages."""

_RETRY_S = 5.0
_FOREVER_S = 3600.0

BeforeFinal = Callable[[tuple[str, ...]], Awaitable[None]]
"""Given the final texts before they are delivered, to store them."""

OnOwnLines = Callable[[str], Awaitable[None]]
"""Told of the bot's own lines in what is about to be posted."""


class _FileRefusedError(Exception):
    """Discord doesn't take the file of a long answer."""


class Delivery:
    """One answer on its way; see the module's description.

    Args:
        sink: The way to Discord.
        pacer: The pacer of the question's channel.
        clock: Time.
        question: What is being answered.
        settings: How answers appear.
        live_controls: Buttons while the answer is being written; ``None`` for none.
        posted: Messages of this answer that a previous run posted: they are edited,
            and deleted where they are too many.
        on_posted: Awaited with all message ids whenever a message comes or goes.
        on_own_lines: Awaited before a sentence of our own is posted in an answer's place.
        on_gone: Called once the reader can't be reached any more: stop the model at once.

    Attributes:
        gone: Set when the reader can't be reached any more.
        gone_reason: Why.
    """

    def __init__(  # noqa: PLR0913 - what an answer needs, each by name
        self,
        *,
        sink: ReplySink,
        pacer: ChannelPacer,
        clock: Clock,
        question: Question,
        settings: DeliverySettings,
        live_controls: Controls | None = None,
        posted: Sequence[MessageId] = (),
        on_posted: OnPosted | None = None,
        on_own_lines: OnOwnLines | None = None,
        on_gone: Callable[[], object] | None = None,
    ) -> None:
        self._pacer = pacer
        self._clock = clock
        self._key = question.id
        self._settings = settings
        self._live_controls = live_controls
        self._on_own_lines = on_own_lines
        self._on_gone = on_gone
        self._board = Board(sink, clock, question.id, posted=posted, on_posted=on_posted)
        now_s = clock.monotonic()
        self._stages = StageClock(now_s, settings.stage_after_s)
        self._source: Callable[[], str] | None = None
        self._text = ""
        self._has_news = False
        self._has_words = False
        self._edit_due_s = now_s
        self._is_muted = False
        self._is_ending = False
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._request: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()
        self.gone_reason: DeliveryError | None = None

    async def __aenter__(self) -> Self:
        self._pacer.join(self._key)
        name = f"delivery-{self._key}"
        self._tasks = [
            asyncio.create_task(self._write(), name=name),
            asyncio.create_task(self._type(), name=f"{name}-typing"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_ending = True
        await end_tasks(*self._tasks, *([] if self._request is None else [self._request]))
        self._pacer.leave(self._key)

    @property
    def message_ids(self) -> tuple[MessageId, ...]:
        """The messages posted so far, in order."""
        return self._board.message_ids

    def lost(self, message_id: MessageId) -> None:
        """Note that somebody else has deleted a message of the answer."""
        self._board.lost(message_id)

    def stage(self, stage: Stage) -> None:
        """Note what the question waits for; shown only while there is no text."""
        now_s = self._clock.monotonic()
        if self._stages.stage is None:
            self._wake.set()
        self._stages.note(stage, now_s)

    def show(self, text: str) -> None:
        """Note the whole visible text so far; it replaces what was shown before."""
        self.show_growing(lambda: text)

    def show_growing(self, source: Callable[[], str]) -> None:
        """Note that there is text, or more of it.

        Args:
            source: Returns the whole visible text so far. It is asked only when something can be
                written, so that the work for each token doesn't grow with the answer.
        """
        self._source = source
        if not self._has_news:
            self._has_news = True
            self._wake.set()

    def _plan(self, text: str, remarks: Sequence[str]) -> tuple[str, ...]:
        """Return the texts to deliver, in the form in which they are stored."""
        return plan_chunks(text, remarks, max_messages=self._settings.max_messages)

    async def finish(
        self,
        text: str,
        *,
        controls: Controls | None = None,
        remarks: Sequence[str] = (),
        before_final: BeforeFinal | None = None,
    ) -> None:
        """Deliver the final text and wait until it stands.

        Args:
            text: The whole visible answer.
            controls: Buttons below it.
            remarks: What is said about the answer, each on a quiet line.
            before_final: Awaited with the final texts before anything of them is sent.

        Raises:
            TargetGoneError: There is nobody to deliver to.
            DeliveryForbiddenError: The bot may not write there.
            DeliveryUnavailableError: Discord didn't take it for ``FINAL_PATIENCE_S``.
        """
        chunks = self._plan(text, remarks)
        if before_final is not None:
            await before_final(chunks)
        await self.deliver(chunks, controls=controls)

    async def deliver(self, chunks: Sequence[str], *, controls: Controls | None = None) -> None:
        """Deliver final texts as stored: what ``finish`` does last, and recovery does alone.

        Raises:
            DeliveryError: As ``finish`` does.
        """
        await self._end_writing()
        if self.gone_reason is not None:
            raise self.gone_reason
        parts = parts_of(chunks)
        try:
            try:
                await self._settle(parts, controls)
            except _FileRefusedError as exc:
                _log.info("no file (%s); sent as messages", exc)
                parts = without_file(chunks)
                await self._settle(parts, controls)
        except (TargetGoneError, DeliveryForbiddenError, DeliveryUnavailableError):
            raise
        except DeliveryError as exc:
            await self._refused(exc, parts, controls)

    async def fail(
        self,
        sentence: str,
        *,
        controls: Controls | None = None,
        before_final: BeforeFinal | None = None,
    ) -> None:
        """Say one sentence instead of an answer, or below the part of it that stands already.

        Args:
            sentence: What to say.
            controls: Buttons below it.
            before_final: Awaited with the final texts before anything of them is sent.

        Raises:
            DeliveryError: As ``finish`` does.
        """
        text = self._read_text().strip()
        chunks = self._plan(text, (sentence,)) if text else (notice(sentence),)
        if before_final is not None:
            await before_final(chunks)
        await self._note(own_lines_of(chunks, (sentence,)) if text else chunks[0])
        await self.deliver(chunks, controls=controls)

    async def abort(self) -> bool:
        """Take back whatever was posted; never raises for Discord.

        Whoever may not write in a channel any more may still delete what is their own there.

        Returns:
            False if Discord let some of it stand.
        """
        await self._end_writing()
        while (operation := self._board.next_operation((), None, prune=True)) is not None:
            try:
                await self._paced(operation)
            except DeliveryError as exc:
                _log.info("an answer could not be taken back (%s)", plain_reason(exc))
                return False
        return True

    async def _end_writing(self) -> None:
        """Let a request under way end, and make no more from the background."""
        self._is_ending = True
        self._wake.set()
        if self._request is not None:
            await asyncio.wait((self._request,))
            await asyncio.gather(self._request, return_exceptions=True)
        if self._tasks:
            writer, typist = self._tasks
            typist.cancel()
            # Not ``gather``, which would hand a cancellation on: a post that is cut off may stand all
            # the same, and nobody would know of it.
            await asyncio.wait((typist, writer))
            self._tasks.clear()
            _, failure = await asyncio.gather(typist, writer, return_exceptions=True)
            if isinstance(failure, Exception):
                # The final text needs no interim edits.
                _log.error("the interim edits failed", exc_info=failure)

    async def _settle(self, parts: Sequence[Part], controls: Controls | None) -> None:
        began_s = self._clock.monotonic()
        while (operation := self._board.next_operation(parts, controls, prune=True)) is not None:
            try:
                await self._paced(operation)
            except EditExhaustedError:
                await self._board.replace(operation.index)
            except (DeliveryForbiddenError, DeliveryRejectedError) as exc:
                if operation.has_file:
                    raise _FileRefusedError(str(exc)) from exc
                raise
            except DeliveryUnavailableError as exc:
                delay_s = max(_RETRY_S, exc.retry_after_s or 0.0)
                waited_s = self._clock.monotonic() + delay_s - began_s
                if operation.has_file and waited_s > FILE_PATIENCE_S:
                    raise _FileRefusedError(str(exc)) from exc
                if waited_s > FINAL_PATIENCE_S:
                    raise
                await self._clock.sleep(delay_s)

    async def _paced(self, operation: Operation) -> None:
        """Make one request at the next moment the channel has free; finals never ask."""
        now_s = self._clock.monotonic()
        at_s = self._pacer.book(now_s, self._key)
        if at_s > now_s:
            await self._clock.sleep(at_s - now_s)
        self._request = asyncio.create_task(self._perform(operation))
        await asyncio.wait((self._request,))  # goes on when this is cancelled, as interim ones do
        self._request.result()

    async def _perform(self, operation: Operation) -> None:
        try:
            await self._board.perform(operation)
        except (TargetGoneError, DeliveryForbiddenError) as exc:
            if isinstance(exc, TargetGoneError) or not operation.has_file:
                self._set_gone(exc)
            raise
        except DeliveryUnavailableError as exc:
            self._pacer.slowed(self._clock.monotonic(), exc.retry_after_s or 0.0)
            raise
        if self._board.was_slow:
            self._pacer.slowed(self._clock.monotonic())

    async def _refused(
        self, exc: DeliveryError, parts: Sequence[Part], controls: Controls | None
    ) -> None:
        """Say once that Discord refused a message of the answer: in its place, or as one of its own."""
        await self._note(notice(exc.sentence))
        refused = self._board.next_operation(parts, controls, prune=True)
        if refused is not None and refused.index < len(self._board.message_ids):
            await self._settle((*parts[: refused.index], Part(notice(exc.sentence))), None)
        else:
            await self._board.notice(exc.sentence)

    async def _note(self, own_lines: str) -> None:
        if self._on_own_lines is not None:
            await self._on_own_lines(own_lines)

    def _set_gone(self, exc: DeliveryError) -> None:
        self.gone_reason = exc
        self.gone.set()
        self._wake.set()
        if self._on_gone is not None:
            self._on_gone()

    async def _write(self) -> None:
        """Write stage line and growing text until the end; the owner of all interim requests."""
        while not self._is_ending and not self.gone.is_set():
            now_s = self._clock.monotonic()
            operation, rank = self._wanted(now_s)
            if operation is None:
                self._pacer.withdraw(self._key)
                await self._wait(self._idle_s(now_s))
                continue
            delay_s = self._pacer.ask(now_s, self._key, rank)
            if delay_s > 0:
                await self._wait(delay_s)
                continue
            await self._write_operation(operation, rank)

    def _wanted(self, now_s: float) -> tuple[Operation | None, Rank]:
        """Return the next interim request that is due, if any."""
        rank = Rank.INTERIM if self._has_words else Rank.FIRST
        if self._is_muted:
            return None, rank
        if self._source is not None:
            if not self._has_news or now_s < self._edit_due_s:
                return None, rank
            operation = self._board.next_operation(
                self._growing(), self._live_controls, prune=False
            )
            self._has_news = operation is not None
            return operation, rank
        line = self._stages.line(now_s)
        if line is None:
            return None, Rank.STAGE
        return self._board.next_operation(
            (Part(line),), self._live_controls, prune=False
        ), Rank.STAGE

    def _read_text(self) -> str:
        """Return the text so far; the last one when the model began anew and wrote none yet."""
        if self._source is not None:
            self._text = self._source() or self._text
        return self._text

    def _growing(self) -> list[Part]:
        """Return the messages of the text so far; the last that is allowed waits for the final."""
        most = max(1, self._settings.max_messages - 1)
        return [Part(piece) for piece in split(streaming_cut(self._read_text()))[:most]]

    async def _write_operation(self, operation: Operation, rank: Rank) -> None:
        """Make one interim request; a failure costs an edit, never the answer."""
        try:
            await self._perform(operation)
            self._has_words = self._has_words or rank is Rank.FIRST
        except (TargetGoneError, DeliveryForbiddenError):
            return
        except EditExhaustedError:
            await self._board.replace(operation.index)
        except DeliveryUnavailableError as exc:
            _log.info("an interim edit failed (%s)", plain_reason(exc))
        except DeliveryError as exc:
            _log.warning("no more interim edits (%s)", plain_reason(exc))
            self._is_muted = True
        now_s = self._clock.monotonic()
        if rank is Rank.STAGE:
            self._stages.written(now_s)
        else:
            self._edit_due_s = now_s + EDIT_INTERVAL_S

    def _idle_s(self, now_s: float) -> float:
        """Return how long nothing can become due, unless somebody wakes the writer."""
        has_text = self._source is not None
        if self._is_muted or (has_text and not self._has_news):
            return _FOREVER_S
        if has_text:
            return max(self._edit_due_s - now_s, 0.0)
        return _FOREVER_S if self._stages.stage is None else self._stages.due_in(now_s)

    async def _wait(self, delay_s: float) -> None:
        """Wait until woken, at most ``delay_s``."""
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(delay_s):
                await self._wake.wait()
        self._wake.clear()

    async def _type(self) -> None:
        """Keep the channel's typing indicator up until there are words; the pacer shares it among all."""
        is_first = True
        while not self._has_words:
            now_s = self._clock.monotonic()
            if self._pacer.typing_in(now_s) <= 0 and (is_first or self._stages.is_working):
                self._pacer.typed(now_s)
                try:
                    await self._board.typing()
                except (TargetGoneError, DeliveryForbiddenError) as exc:
                    self._set_gone(exc)
                    return
                except DeliveryError as exc:
                    _log.debug("no typing indicator: %s", exc)
            is_first = False
            await self._clock.sleep(max(1.0, self._pacer.typing_in(self._clock.monotonic())))
