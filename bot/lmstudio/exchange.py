"""One request and its answer, watched.

Two tasks: one talks, one looks at the clock. Before the first token the watcher asks the server,
every so often, whether it is still there; as long as it is, silence means that it loads or reads.
After the first token, only text counts as progress: comments and empty events renew nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp import ClientResponse

from bot.core.clock import Clock
from bot.core.errors import BackendError
from bot.core.tasks import end_tasks, within
from bot.lmstudio import errors, failures
from bot.lmstudio.completion import CompletionDecoder, parse_json
from bot.lmstudio.deadline import Limits
from bot.lmstudio.sse import MAX_STREAM_BYTES
from bot.lmstudio.transport import Transport

PATH: Final = "/v1/chat/completions"
PROBE_LIMIT_S: Final = 5.0
"""Seconds that a side probe may take; a busy LM Studio still answers a GET at once."""

GATHER_AFTER_S: Final = 0.25
"""An answer's first words are read as they come; after this long they may gather."""
GATHER_S: Final = 0.05
"""How long tokens gather between two reads of an answer; edits are 1.5 s apart at least."""
AFTER_FINISH_S: Final = 2.0
"""Seconds to wait for usage and the end mark once a finish reason came."""

BYTES_PER_TOKEN: Final = 1024
"""Wire bytes per token of ``max_tokens``; a chunk of one token is about 300."""

GONE_AGAIN_S: Final = 2.0
"""Seconds until a server that couldn't be reached is asked once more."""

DRAIN_S: Final = 0.05
"""Seconds to wait for the end of the body after the end mark, to keep the connection."""

_LONGEST_SLEEP_S: Final = 3600.0


class Exchange:
    """One request to one server.

    Attributes:
        decoder: What came.
        connected_at_s: Monotonic time of the connection; ``None`` before.
        first_text_at_s: Monotonic time of the first content or reasoning; ``None`` before.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        limits: Limits,
        *,
        max_tokens: int,
        on_connected: Callable[[], None],
        on_text: Callable[[str, str], None],
    ) -> None:
        """Prepare.

        Args:
            transport: The server.
            clock: Time.
            limits: Bounds of this request.
            max_tokens: Longest answer asked for; bounds the bytes that are read.
            on_connected: Called once the connection stands.
            on_text: Called with content and reasoning as they come.
        """
        self._transport = transport
        self._clock = clock
        self._limits = limits
        self._on_connected = on_connected
        self._on_text = on_text
        self.decoder = CompletionDecoder(max(MAX_STREAM_BYTES, max_tokens * BYTES_PER_TOKEN))
        self.connected_at_s: float | None = None
        self.first_text_at_s: float | None = None
        self._progress_at_s = 0.0

    async def run(self, body: bytes) -> None:
        """Send the request and read the answer to its end.

        Raises:
            BackendError: It failed, was cut, took too long, or ended without an answer.
        """
        talk = asyncio.create_task(self._talk(body))
        watch = asyncio.create_task(self._watch(self._clock.monotonic()))
        try:
            await asyncio.wait({talk, watch}, return_when=asyncio.FIRST_COMPLETED)
            (talk if talk.done() else watch).result()
        finally:
            await end_tasks(talk, watch)

    async def _talk(self, body: bytes) -> None:
        response = await self._transport.open("POST", PATH, body, on_connected=self._note_connected)
        self._note_connected()
        is_reusable = False
        try:
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if response.status != 200 or kind.endswith("json") or kind == "text/html":
                await self._take_body(response)
            else:
                await self._take_stream(response)
            is_reusable = response.content.at_eof()
        finally:
            if not is_reusable:
                response.close()
            response.release()
        self._check_end()

    async def _take_body(self, response: ClientResponse) -> None:
        data = await self._transport.read_body(response)
        try:
            reply = parse_json(data)
        except ValueError:
            reply = None
        is_answer = isinstance(reply, dict) and isinstance(reply.get("choices"), list)
        if response.status != 200 or not is_answer or failures.error_in(reply):
            raise failures.classify(response.status, data, response.headers.get("Retry-After"))
        self._note_text(*self.decoder.accept_reply(reply))

    async def _take_stream(self, response: ClientResponse) -> None:
        decoder = self.decoder
        chunks = response.content
        began_s: float | None = None
        try:
            while chunk := await chunks.readany():
                self._note_text(*decoder.feed(chunk))
                if decoder.is_done or decoder.has_failed:
                    break
                if decoder.finish_reason is not None:
                    await self._take_rest(response)
                    break
                if decoder.has_content:
                    now_s = self._clock.monotonic()
                    began_s = now_s if began_s is None else began_s
                    if now_s - began_s >= GATHER_AFTER_S:
                        await self._leave_for_a_moment(response)
        except (aiohttp.ClientError, OSError) as exc:
            if not decoder.has_ended:
                raise errors.TruncatedStreamError from exc
        self._note_text(*decoder.finish())
        if decoder.is_done and not chunks.at_eof():
            with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
                await within(self._clock, _drain(response), DRAIN_S)

    async def _leave_for_a_moment(self, response: ClientResponse) -> None:
        """Leave the socket unread briefly, so that not every token wakes everything up."""
        connection = response.connection
        transport = connection.transport if connection is not None else None
        if transport is None or transport.is_closing():
            return
        transport.pause_reading()
        try:
            await self._clock.sleep(GATHER_S)
        finally:
            transport.resume_reading()

    async def _take_rest(self, response: ClientResponse) -> None:
        """Read usage and end mark, which follow the finish reason at once or never."""
        with contextlib.suppress(TimeoutError):
            await within(self._clock, self._read_rest(response), AFTER_FINISH_S)

    async def _read_rest(self, response: ClientResponse) -> None:
        while chunk := await response.content.readany():
            self._note_text(*self.decoder.feed(chunk))
            if self.decoder.is_done or self.decoder.has_failed:
                return

    def _check_end(self) -> None:
        decoder = self.decoder
        if decoder.has_ended and decoder.has_content:
            return  # an error after a whole answer takes nothing from it
        if decoder.failure is not None:
            raise failures.classify_event(decoder.failure)
        if decoder.is_malformed:
            raise errors.BadResponseError("the stream is malformed or too large")
        if not decoder.has_ended:
            raise errors.TruncatedStreamError
        raise errors.EmptyAnswerError(
            thought=decoder.has_reasoning, hit_length=decoder.finish_reason == "length"
        )

    def _note_connected(self) -> None:
        if self.connected_at_s is None:
            self.connected_at_s = self._clock.monotonic()
            self._on_connected()

    def _note_text(self, content: str, reasoning: str) -> None:
        if not content and not reasoning:
            return
        self._progress_at_s = self._clock.monotonic()
        if self.first_text_at_s is None:
            self.first_text_at_s = self._progress_at_s
        self._on_text(content, reasoning)

    async def _watch(self, started_at_s: float) -> None:
        limits = self._limits
        patient_until_s = started_at_s + limits.first_token_s
        probe_at_s = started_at_s + limits.silence_s
        gone = 0
        while True:
            now_s = self._clock.monotonic()
            if now_s >= limits.total_at_s:
                raise errors.TotalTimeoutError
            if self.connected_at_s is None:
                wake_at_s = started_at_s + limits.connect_s
                if now_s >= wake_at_s:
                    raise errors.ConnectTimedOutError
            elif self.first_text_at_s is not None:
                wake_at_s = self._progress_at_s + limits.silence_s
                if now_s >= wake_at_s:
                    raise errors.StalledError
            else:
                if now_s >= min(probe_at_s, patient_until_s):
                    answers, gone = await self._probe(gone)
                    probe_at_s = now_s + (
                        min(limits.silence_s, GONE_AGAIN_S) if gone else limits.silence_s
                    )
                    if now_s >= patient_until_s:
                        if not answers:
                            raise errors.FirstTokenTimeoutError
                        patient_until_s = probe_at_s
                wake_at_s = min(probe_at_s, patient_until_s)
            wake_at_s = min(wake_at_s, limits.total_at_s, now_s + _LONGEST_SLEEP_S)
            await self._clock.sleep(max(0.01, wake_at_s - self._clock.monotonic()))

    async def _probe(self, gone: int) -> tuple[bool, int]:
        """Ask whether the server is there; twice not reachable in a row means that it is gone."""
        try:
            return await self._transport.answers(PROBE_LIMIT_S), 0
        except errors.BackendUnavailableError:
            if gone:
                raise
            return False, gone + 1
        except BackendError:
            return False, gone


async def _drain(response: ClientResponse) -> None:
    await response.content.readany()
