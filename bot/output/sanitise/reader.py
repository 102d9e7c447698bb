"""A text that is read step by step while it arrives, and the code in it.

What stands outside of code is for the subclass to read.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from bot.output.markup import prefixes
from bot.output.sanitise.code import INLINE_CHARS, CodeDoubt, LiveBreaker
from bot.output.sanitise.links import REMOVED
from bot.output.sanitise.policy import OutputPolicy

LIVELY: Final = frozenset("<@-!&/%\\")
"""Signs that may make what follows them live."""

_TAIL_CHARS: Final = 64
_TICKS: Final = re.compile("`+")
_FENCE: Final = re.compile("`{3,}")
_ANSI: Final = re.compile(r"ansi(?![\w+.#\-])", re.IGNORECASE)
_ANSI_PARTIALS: Final = prefixes(["ansi."])
_NAME_LINE: Final = re.compile(r"[\w+\-.#]{1,80}+\n")
_ADDRESS_END: Final = re.compile(r"[\s<]")


class CodeReader(ABC):
    """Reads on from a position in a buffer; each step says whether it got anywhere.

    Args:
        policy: What an answer may contain.
    """

    def __init__(self, policy: OutputPolicy) -> None:
        self._policy = policy
        self._buf = ""
        self._pos = 0
        self._ended = False
        self._out: list[str] = []
        self._tail = ""
        self._line_start = True
        self._mode: Callable[[], bool] = self._text
        self._doubt = CodeDoubt()
        self._unread: list[str] = []
        self._breaker: LiveBreaker | None = None
        self._fenced: list[str] = []
        self._in_address = False
        self._checked = 0

    @abstractmethod
    def _text(self) -> bool:
        """Read what stands outside of code."""

    def feed(self, text: str, *, ended: bool = False) -> str:
        """Return what can be given out now."""
        self._buf += text
        self._ended = ended
        while self._pos < len(self._buf) and self._mode():
            pass
        if ended and self._breaker is not None:
            self._emit_code(self._breaker.feed("", ended=True))
        self._buf = self._buf[self._pos :]
        self._pos = 0
        out = "".join(self._out)
        self._out.clear()
        return out

    def _emit(self, text: str) -> bool:
        self._unread.append(text)
        if self._in_address:
            self._in_address = _ADDRESS_END.search(text) is None
        return self._emit_code(text)

    def _emit_code(self, text: str) -> bool:
        self._out.append(text)
        self._tail = (self._tail + text)[-_TAIL_CHARS:]
        return True

    def _literal(self, chars: int) -> bool:
        end = self._pos + chars
        self._emit(self._buf[self._pos : end])
        self._pos = end
        self._checked = max(0, self._checked - chars)
        return True

    def _replace(self, chars: int, text: str) -> bool:
        self._pos += chars
        self._checked = 0
        return self._emit(text)

    def _again(self, chars: int, text: str) -> bool:
        """Put text in place of the next characters, and read it like any other.

        It must not become live together with what stands before it.
        """
        text = text or REMOVED
        if self._tail[-1:] in LIVELY:
            text = f" {text}"
        self._buf = text + self._buf[self._pos + chars :]
        self._pos = 0
        self._checked = 0
        return True

    def _ticks(self) -> bool:
        run = _TICKS.match(self._buf, self._pos)
        end = run.end() if run else self._pos + 1
        if end == len(self._buf) and not self._ended:
            return False
        count = end - self._pos
        self._doubt.read("".join(self._unread))
        self._unread.clear()
        if self._in_address:
            self._doubt.is_unsettled = True
        if count < 3:
            return self._inline_code(count, end)
        self._mode = self._fence_name
        closers = () if self._doubt.doubts_fence() else self._doubt.closers()
        if closers or self._doubt.doubts_fence():
            invites = self._policy.allow_invites
            self._breaker = LiveBreaker(allow_invites=invites, closers=closers)
        self._pos = end
        return self._emit_code("```")

    def _inline_code(self, count: int, start: int) -> bool:
        """Read a whole piece of inline code, or backticks that open none."""
        buf = self._buf
        limit = start + INLINE_CHARS + count
        blank = buf.find("\n\n", start, limit)
        limit = blank if blank >= 0 else limit
        close = next((r for r in _TICKS.finditer(buf, start, limit) if len(r[0]) == count), None)
        is_whole = self._ended or len(buf) > (close.end() if close else limit)
        if not is_whole:
            return False
        if close is None:
            self._doubt.is_unsettled = True
            return self._literal(count)
        content = buf[start : close.start()]
        if self._doubt.doubts_inline(content):
            breaker = LiveBreaker(allow_invites=self._policy.allow_invites)
            content = breaker.feed(content, ended=True)
        self._pos = close.end()
        self._line_start = False
        return self._emit_code(f"{close[0]}{content}{close[0]}")

    def _fence_name(self) -> bool:
        rest = self._buf[self._pos : self._pos + 5]
        if rest.lower() in _ANSI_PARTIALS and not self._ended:
            return False
        if _ANSI.match(rest):
            self._pos += 4
            self._emit_code("text")
            self._fenced.append("text")
        self._mode = self._fence
        return True

    def _fence(self) -> bool:
        found = _FENCE.search(self._buf, self._pos)
        end = found.start() if found else len(self._buf)
        if found is None and not self._ended:
            end = len(self._buf.rstrip("`"))
        if end > self._pos:
            return self._fence_body(end)
        if found is None or (found.end() == len(self._buf) and not self._ended):
            return False
        return self._fence_close(found.end())

    def _fence_body(self, end: int) -> bool:
        text = self._buf[self._pos : end]
        self._pos = end
        self._fenced.append(text)
        return self._emit_code(self._breaker.feed(text) if self._breaker else text)

    def _fence_close(self, end: int) -> bool:
        if self._breaker is not None:
            self._emit_code(self._breaker.feed("", ended=True))
        content = "".join(self._fenced)
        name = _NAME_LINE.match(content)
        if not content[name.end() if name else 0 :].strip("\n"):
            self._emit_code(" ")  # or the closing backticks would be the content
        self._doubt.end_fence(content)
        self._fenced.clear()
        self._breaker = None
        self._mode = self._text
        self._line_start = False
        self._pos = end
        return self._emit_code("```")
