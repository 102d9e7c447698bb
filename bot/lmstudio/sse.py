"""Server-sent events from bytes, whatever way they are cut.

The format is the WHATWG HTML standard's "Server-sent events", read with bounds: one event and the
whole stream have a size limit, because the other end isn't trusted with our memory. Beyond the
standard, a line that is bare JSON and an ``error:`` field count as data, and an event needs no
blank line before the end of the stream: servers do all three.
"""

from __future__ import annotations

from typing import Final

MAX_EVENT_BYTES: Final = 256 * 1024
"""Largest event; LM Studio's are about 300 bytes."""

MAX_STREAM_BYTES: Final = 4 * 1024 * 1024
"""Largest stream, comments included; about 12,000 deltas."""

_BOM: Final = b"\xef\xbb\xbf"


class SseDecoder:
    """Turn pieces of a byte stream into the data of its events.

    Attributes:
        exceeded: A limit was exceeded; everything after it is ignored.
        received_bytes: Bytes fed so far.
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_data",
        "_event_bytes",
        "_limit_bytes",
        "_partial",
        "exceeded",
        "received_bytes",
    )

    def __init__(self, limit_bytes: int = MAX_STREAM_BYTES) -> None:
        """Start before the first byte.

        Args:
            limit_bytes: Largest size of the whole stream.
        """
        self.exceeded = False
        self.received_bytes = 0
        self._limit_bytes = limit_bytes
        self._partial = bytearray()
        self._data: list[bytes] = []
        self._event_bytes = 0
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next piece and return the data of every event it completed, in order."""
        self.received_bytes += len(chunk)
        if self.exceeded or not chunk:
            return []
        if self.received_bytes > self._limit_bytes:
            self.exceeded = True
            return []
        chunk = self._with_plain_newlines(chunk)
        cut = chunk.rfind(b"\n")
        if cut < 0:
            self._keep(chunk)
            return []
        block = bytes(self._partial) + chunk[:cut] if self._partial else chunk[:cut]
        self._partial.clear()
        if self._at_start:
            self._at_start = False
            block = block.removeprefix(_BOM)
        events = self._lines(block.split(b"\n"))
        self._keep(chunk[cut + 1 :])
        return events

    def skip(self, chunk: bytes) -> bool:
        """Count a piece that is one whole event, read by the caller, if that can be so here.

        Returns:
            False where something of an earlier piece is still open, or a limit would be exceeded;
            the piece must then be fed.
        """
        total_bytes = self.received_bytes + len(chunk)
        if self._partial or self._data or self._at_start or self.exceeded:
            return False
        if total_bytes > self._limit_bytes:
            return False
        self.received_bytes = total_bytes
        self._after_cr = False
        return True

    def finish(self) -> list[bytes]:
        """Return the event that the end of the stream completes, if there is one."""
        if self.exceeded:
            return []
        last = bytes(self._partial)
        self._partial.clear()
        if self._at_start:
            last = last.removeprefix(_BOM)
        return self._lines([last, b""])

    def _with_plain_newlines(self, chunk: bytes) -> bytes:
        """Turn CRLF and lone CR into LF; a CR at the very end may be half of a CRLF."""
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = not chunk
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _keep(self, rest: bytes) -> None:
        self._partial += rest
        if len(self._partial) + self._event_bytes > MAX_EVENT_BYTES:
            self.exceeded = True
            self._partial.clear()
            self._data.clear()

    def _lines(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        data = self._data
        for line in lines:
            if not line:
                if data:
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
                    self._event_bytes = 0
                continue
            if line.startswith(b"data:"):
                value = line[6:] if line.startswith(b"data: ") else line[5:]
            elif line.startswith(b"{"):
                value = line
            elif line.startswith(b"error:"):
                value = b'{"error":' + line[6:] + b"}"
            else:
                continue
            self._event_bytes += len(value)
            if self._event_bytes > MAX_EVENT_BYTES:
                self.exceeded = True
                data.clear()
                break
            data.append(value)
        return events
