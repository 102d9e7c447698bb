"""One request and its answer, watched.

Until the first text, the request runs by itself, because the connection and a model that has been
loaded are told as well; after that, each read is the reader's own. One more task looks at the
clock: it ends a request whose time is over, whether or not somebody reads. Before the first text it
asks the server, every so often, whether it is still there; as long as it is, silence means that it
loads or reads. After that, only text counts as progress: comments and empty events renew nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import aiohttp
from aiohttp import ClientResponse

from bot.core.clock import Clock, within
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
        self._limits = limits
        self._response: ClientResponse | None = None
        self._silent_since_s: float | None = None
        self._pace = pace
        self._body_is_whole = asyncio.Event()
        self._is_read = False
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
        watch = asyncio.create_task(self._watch(connected, beginning))
        ahead: dict[asyncio.Future[Any], Reached] = {connected: Reached.CONNECTED}
        if loaded is not None:
            ahead[loaded] = Reached.LOADED
        try:
            yield Reached.STARTED
            while not beginning.done():
                await asyncio.wait({beginning, watch, *ahead}, return_when=asyncio.FIRST_COMPLETED)
                for future in [each for each in ahead if each.done()]:
                    yield ahead.pop(future)
                if watch.done() and not beginning.done():
                    watch.result()
            if beginning.cancelled():
                watch.result()
            text = beginning.result()
            while text is not None:
                yield text
                text = await self._next_text()
            failure = failures.failure_of(self.decoder)
            if failure is not None:
                raise failure
        except BackendError:
            if watch.done():
                watch.result()  # it closed the connection, so its reason is the reason
            raise
        finally:
            await end_tasks(beginning, watch)
            self._hang_up()

    async def _begin(self, body: bytes, connected: asyncio.Future[None]) -> TextDelta | None:
        """Send the request and return the first text; ``None`` where there is none."""

        def note_connected() -> None:
            if not connected.done():
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
                await within(self._clock, self._body_is_whole.wait(), self._pace.gather_s)
        self._silent_since_s = self._clock.monotonic()
        try:
            while decoder.finish_reason is None and not (decoder.is_done or decoder.has_failed):
                chunk = await content.readany()
                if not chunk:
                    break
                text = self._text(*decoder.feed(chunk))
                if text is not None:
                    return text
        except (aiohttp.ClientError, OSError) as exc:
            raise errors.TruncatedStreamError from exc
        finally:
            self._silent_since_s = None
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
            self.has_text.set()
        return TextDelta(content, reasoning)

    async def _watch(
        self, connected: asyncio.Future[None], beginning: asyncio.Task[TextDelta | None]
    ) -> None:
        """End the request, with the reason, once one of its times is over."""
        try:
            await self._keep_limits(connected)
        except BackendError:
            beginning.cancel()
            self._hang_up()
            raise

    async def _keep_limits(self, connected: asyncio.Future[None]) -> None:
        limits = self._limits
        started_at_s = self._clock.monotonic()
        patient_until_s = started_at_s + limits.first_token_s
        probe_at_s = started_at_s + limits.silence_s
        gone = 0
        while True:
            now_s = self._clock.monotonic()
            if now_s >= limits.total_at_s:
                raise errors.TotalTimeoutError
            if not connected.done():
                wake_at_s = started_at_s + limits.connect_s
                if now_s >= wake_at_s:
                    raise errors.ConnectTimedOutError
            elif self.first_text_at_s is not None:
                silent_since_s = now_s if self._silent_since_s is None else self._silent_since_s
                wake_at_s = silent_since_s + limits.silence_s
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

    def _hang_up(self) -> None:
        """Close the connection, or keep it for the next request where the answer was read whole."""
        response = self._response
        if response is not None:
            if not response.content.at_eof():
                response.close()
            response.release()


async def _drain(response: ClientResponse) -> None:
    await response.content.readany()
