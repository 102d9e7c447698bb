"""One request and its answer, watched.

Until the first text, the request runs by itself, because the connection and a model that has been
loaded are told as well; after that, each read is the reader's own. A timer ends a request whose time
is over, whether or not somebody reads. Before the first text the server is asked, every so often,
whether it is still there; as long as it is, silence means that it loads or reads. After that, only
text counts as progress: comments and empty events renew nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import aiohttp
from aiohttp import ClientResponse

from bot.core.clock import Clock, Timer, within
from bot.core.domain import Pace, TextDelta
from bot.core.errors import BackendError
from bot.core.tasks import end_tasks
from bot.lmstudio import errors, failures
from bot.lmstudio.completion import MAX_STREAM_BYTES, CompletionDecoder, parse_json
from bot.lmstudio.transport import Transport

CONNECT_LIMIT_S: Final = 5.0
"""Seconds; a LAN answers in milliseconds, a dropped packet is sent again after 1 and 3."""

LOAD_ALLOWANCE_S: Final = 180.0
"""Seconds; loading 50 to 70 GB from a solid state disk."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Bounds of one request, in seconds.

    Attributes:
        connect_s: Until the connection stands.
        silence_s: Between signs of progress once text came, and between looks at the server before.
        first_token_s: Patience for the first token; longer while the server answers probes.
        total_at_s: Monotonic time of the hard cap.
    """

    connect_s: float
    silence_s: float
    first_token_s: float
    total_at_s: float


def first_token_patience_s(
    least_s: float, expected_s: float, *, queued: float = 0.0, is_loading: bool = False
) -> float:
    """Return the patience for the first token.

    Args:
        least_s: The setting: never less.
        expected_s: Expected reading time of the prompt; doubled, for speed falls with length.
        queued: Requests ahead per slot, each taken as long as this one.
        is_loading: The model must be loaded first.
    """
    patience_s = expected_s * 2 * (1 + max(0.0, queued))
    return max(least_s, patience_s) + (LOAD_ALLOWANCE_S if is_loading else 0.0)


PATH: Final = "/v1/chat/completions"
PROBE_LIMIT_S: Final = 5.0
"""Seconds that a side probe may take; a busy LM Studio still answers a GET at once."""

AFTER_FINISH_S: Final = 2.0
"""Seconds to wait for usage and the end mark once a finish reason came."""

BYTES_PER_TOKEN: Final = 1024
"""Wire bytes per token of ``max_tokens``; a chunk of one token is about 300."""

GONE_AGAIN_S: Final = 2.0
"""Seconds until a server that couldn't be reached is asked once more."""

DRAIN_S: Final = 0.05
"""Seconds to wait for the end of the body after the end mark, to keep the connection."""

_LONGEST_SLEEP_S: Final = 3600.0


class Reached(Enum):
    """What a request has reached before its first text."""

    STARTED = "started"
    CONNECTED = "connected"
    LOADED = "loaded"


class _Watch:
    """Ends one request once one of its times is over, whether or not somebody reads.

    Args:
        transport: The server.
        clock: Time.
        limits: Bounds of the request.
        end: Ends it, with the reason.

    Attributes:
        is_connected: The connection stands.
        has_text: Text came.
        reading_since_s: Monotonic time since when the reader waits; ``None`` while it doesn't.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        limits: TimeLimits,
        end: Callable[[BackendError], None],
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._limits = limits
        self._end = end
        self._began_s = self._asked_s = clock.monotonic()
        self._ask_at_s = self._began_s + limits.silence_s
        self._patient_until_s = self._began_s + limits.first_token_s
        self._times_gone = 0
        self._asking: asyncio.Task[bool] | None = None
        self._timer: Timer | None = None
        self.is_connected = self.has_text = False
        self.reading_since_s: float | None = None

    def look(self) -> None:
        """Look whether it may go on, from here on until ``close``."""
        if self._timer is not None:
            self._timer.cancel()
        now_s = self._clock.monotonic()
        try:
            next_at_s = min(self._next_at_s(now_s), self._limits.total_at_s)
        except BackendError as exc:
            self._end(exc)
        else:
            left_s = min(max(0.01, next_at_s - now_s), _LONGEST_SLEEP_S)
            self._timer = self._clock.call_later(left_s, self.look)

    async def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            await end_tasks(self._asking)

    def _next_at_s(self, now_s: float) -> float:
        """Return when a time may be over.

        Raises:
            BackendError: One is.
        """
        limits = self._limits
        if now_s >= limits.total_at_s:
            raise errors.TotalTimeoutError
        if not self.is_connected:
            next_at_s = self._began_s + limits.connect_s
            if now_s >= next_at_s:
                raise errors.ConnectTimedOutError
            return next_at_s
        if self.has_text:
            since_s = now_s if self.reading_since_s is None else self.reading_since_s
            if now_s >= since_s + limits.silence_s:
                raise errors.StalledError
            return since_s + limits.silence_s
        return self._first_text_at_s(now_s)

    def _first_text_at_s(self, now_s: float) -> float:
        """Ask the server whether it is there when that is due; as long as it is, patience is renewed."""
        asking = self._asking
        if asking is not None and asking.done():
            self._asking = None
            is_there = asking.result()
            pause_s = self._limits.silence_s
            self._ask_at_s = self._asked_s + (
                min(pause_s, GONE_AGAIN_S) if self._times_gone else pause_s
            )
            if self._asked_s >= self._patient_until_s:
                if not is_there:
                    raise errors.FirstTokenTimeoutError
                self._patient_until_s = self._ask_at_s
        next_at_s = min(self._ask_at_s, self._patient_until_s)
        if self._asking is None and now_s >= next_at_s:
            self._asked_s = now_s
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(lambda task: None if task.cancelled() else self.look())
        return math.inf if self._asking is not None else next_at_s

    async def _ask(self) -> bool:
        """Ask whether the server is there; twice not reachable in a row means that it is gone."""
        try:
            answers = await self._transport.answers(PROBE_LIMIT_S)
        except errors.BackendUnavailableError:
            if self._times_gone:
                raise
            self._times_gone += 1
            return False
        except BackendError:
            return False
        self._times_gone = 0
        return answers


class Exchange:
    """One request to one server.

    Attributes:
        decoder: What came.
        first_text_at_s: Monotonic time of the first content or reasoning; ``None`` before.
        has_text: Set from then on.
    """

    def __init__(
        self, transport: Transport, clock: Clock, limits: TimeLimits, *, max_tokens: int, pace: Pace
    ) -> None:
        """Prepare.

        Args:
            transport: The server.
            clock: Time.
            limits: Bounds of this request.
            max_tokens: Longest answer asked for; bounds the bytes that are read.
            pace: How soon text is wanted.
        """
        self._transport = transport
        self._clock = clock
        self._response: ClientResponse | None = None
        self._beginning: asyncio.Task[TextDelta | None] | None = None
        self._watch = _Watch(transport, clock, limits, self._end)
        self._out_of_time: BackendError | None = None
        self._pace = pace
        self._body_is_whole = asyncio.Event()
        self._is_over = self._is_read = False
        self.decoder = CompletionDecoder(max(MAX_STREAM_BYTES, max_tokens * BYTES_PER_TOKEN))
        self.first_text_at_s: float | None = None
        self.has_text = asyncio.Event()

    async def events(
        self, body: bytes, loaded: asyncio.Future[Any] | None = None
    ) -> AsyncGenerator[Reached | TextDelta, None]:
        """Send the request and read the answer to its end.

        ``aclose()`` closes the connection at once.

        Args:
            body: The request.
            loaded: Done once the model is loaded, where it isn't yet.

        Raises:
            BackendError: It failed, was cut, took too long, or ended without an answer.
        """
        connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        beginning = asyncio.create_task(self._begin(body, connected))
        ahead: dict[asyncio.Future[Any], Reached] = {connected: Reached.CONNECTED}
        if loaded is not None:
            ahead[loaded] = Reached.LOADED
        self._beginning = beginning
        self._watch.look()
        try:
            yield Reached.STARTED
            while not beginning.done():
                await asyncio.wait({beginning, *ahead}, return_when=asyncio.FIRST_COMPLETED)
                for future in [each for each in ahead if each.done()]:
                    yield ahead.pop(future)
            if self._out_of_time is not None:
                raise self._out_of_time
            text = beginning.result()
            while text is not None:
                yield text
                text = await self._next_text()
            if not self.decoder.is_whole:
                failure = failures.failure_of(self.decoder)
                if failure is not None:
                    raise failure
        except BackendError as exc:
            raise (
                self._out_of_time or exc
            ) from exc  # that closed the connection, so it is the reason
        finally:
            await self._watch.close()
            await end_tasks(beginning)
            self._hang_up()

    def _end(self, reason: BackendError) -> None:
        """End the request because one of its times is over."""
        self._out_of_time = reason
        if self._beginning is not None:
            self._beginning.cancel()
        self._hang_up()

    async def _begin(self, body: bytes, connected: asyncio.Future[None]) -> TextDelta | None:
        """Send the request and return the first text; ``None`` where there is none."""

        def note_connected() -> None:
            if not connected.done():
                self._watch.is_connected = True
                connected.set_result(None)

        response = await self._transport.open("POST", PATH, body, on_connected=note_connected)
        self._response = response
        response.content.on_eof(self._body_is_whole.set)
        note_connected()
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if response.status != 200 or kind.endswith("json") or kind == "text/html":
            return await self._whole_reply(response)
        return await self._next_text()

    async def _whole_reply(self, response: ClientResponse) -> TextDelta | None:
        self._is_read = True
        data = await self._transport.read_body(response)
        try:
            reply = parse_json(data)
        except ValueError:
            reply = None
        is_answer = isinstance(reply, dict) and isinstance(reply.get("choices"), list)
        if response.status != 200 or not is_answer or failures.error_in(reply):
            raise failures.classify(response.status, data, response.headers.get("Retry-After"))
        return self._text(*self.decoder.accept_reply(reply))

    async def _next_text(self) -> TextDelta | None:
        """Read on and return what text came; ``None`` at the end.

        Time that the reader spends with a text isn't the server's silence.
        """
        if self._is_read or self._response is None:
            return None
        decoder, content = self.decoder, self._response.content
        if self._pace.gather_s and not self._body_is_whole.is_set():
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(self._pace.gather_s):
                    await self._body_is_whole.wait()
        self._watch.reading_since_s = self._clock.monotonic()
        try:
            while not self._is_over:
                chunk = await content.readany()
                pieces = decoder.feed(chunk)
                has_ended = decoder.finish_reason is not None or decoder.is_done
                self._is_over = not chunk or has_ended or decoder.has_failed
                text = self._text(*pieces)
                if text is not None:
                    return text
        except (aiohttp.ClientError, OSError) as exc:
            raise errors.TruncatedStreamError from exc
        finally:
            self._watch.reading_since_s = None
        self._is_read = True
        return await self._last_text(self._response)

    async def _last_text(self, response: ClientResponse) -> TextDelta | None:
        """Read usage and end mark, which follow the finish reason at once or never."""
        decoder = self.decoder
        texts: list[tuple[str, str]] = []
        with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
            if decoder.finish_reason is not None and not (decoder.is_done or decoder.has_failed):
                await within(self._clock, self._read_rest(response, texts), AFTER_FINISH_S)
        texts.append(decoder.finish())
        if decoder.is_done and not response.content.at_eof():
            with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
                await within(self._clock, _drain(response), DRAIN_S)
        contents, thoughts = zip(*texts, strict=True)
        return self._text("".join(contents), "".join(thoughts))

    async def _read_rest(self, response: ClientResponse, texts: list[tuple[str, str]]) -> None:
        while chunk := await response.content.readany():
            texts.append(self.decoder.feed(chunk))
            if self.decoder.is_done or self.decoder.has_failed:
                return

    def _text(self, content: str, reasoning: str) -> TextDelta | None:
        """Return what came as an event; ``None`` for nothing."""
        if not content and not reasoning:
            return None
        if self.first_text_at_s is None:
            self.first_text_at_s = self._clock.monotonic()
            self._watch.has_text = True
            self.has_text.set()
        return TextDelta(content, reasoning)

    def _hang_up(self) -> None:
        """Close the connection, or keep it for the next request where the answer was read whole."""
        response = self._response
        if response is not None:
            if not response.content.at_eof():
                response.close()
            response.release()


async def _drain(response: ClientResponse) -> None:
    await response.content.readany()
