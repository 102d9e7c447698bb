"""Separates thinking from answer while the text is still arriving.

One pass over the text with a bounded look-behind: what can't be part of a marker goes out at once,
what may become one waits until it is decided. ``markup`` holds the markers, ``participants`` the
names, ``reasoning_visible`` reads what is no markup; this module says what the markup means.
"""

from __future__ import annotations

import re
from typing import Final

from bot.domain import FinishReason
from bot.reply import reasoning_block as blocks
from bot.reply.markup import MARKER, MARKERS, UNKNOWN_TOKEN, Kind, Marker, canonical, is_prose
from bot.reply.participants import Labels
from bot.reply.reasoning_block import Block
from bot.reply.reasoning_kept import KeptThinking
from bot.reply.reasoning_start import read_role
from bot.reply.reasoning_visible import MARKER_CHARS, VisibleReader

_AFTER_CHARS: Final = 12
_HEADER_CHARS: Final = 240
_HEADER_END: Final = "<|message|>"
_CHANNEL: Final = re.compile(r"<\|channel\|>\s*(\w+)")
_NAMED: Final = re.compile(
    r"(?:<\|start\|>\s*+\w*+)?+(?:<\|channel\|>)?+\s*+(?:analysis|commentary|final)?+"
)
_LATE_FINAL: Final = re.compile(r"<\|channel\|>\s*final\b[^<]{0,40}<\|message\|>")
_LATE_CHARS: Final = 100
_BYTES: Final = {"<0x0A>": "\n", "<0x09>": "\t", "<0x20>": " "}
_SPOKEN_OF: Final = frozenset({Kind.OPEN, Kind.CLOSE, Kind.TOOL, Kind.WRAP})


class ReasoningFilter(VisibleReader):
    """Takes raw text, gives back the part that belongs to the answer.

    Args:
        labels: Names before a colon.
        kept: Where the thinking goes.
        expect_missing_opening: Hold all text until a closing tag or the end.

    Attributes:
        was_reset: What was given out before has turned out to be thinking; the caller clears this.
        saw_orphan_close: A closing tag came without its opening one.
        saw_open: A block of thinking was opened.
        may_restore: At the reset a proper block had come before: if nothing follows, the text given
            out before was the answer after all.
    """

    def __init__(self, labels: Labels, kept: KeptThinking, *, expect_missing_opening: bool) -> None:
        super().__init__(labels, expect_missing_opening=expect_missing_opening)
        self._kept = kept
        self._block = blocks.HARMONY
        self._depth = 0
        self._wraps: list[str] = []
        self._struck = 0
        self._final_seen = False
        self.was_reset = False
        self.saw_orphan_close = False
        self.saw_open = False
        self.may_restore = False

    @property
    def is_thinking(self) -> bool:
        """Whether the text is inside thinking right now, as far as one can tell."""
        if self._mode == self._hidden:
            return self._block.is_thinking
        return self._mode == self._header or (self._expecting and self._started)

    @property
    def is_plain(self) -> bool:
        """Whether text without any special character would pass unchanged."""
        return (
            self._started
            and not (self._buf or self._line_start or self._expecting)
            and self._mode == self._visible
            and self._tail[-1:] not in ".!?"
        )

    def passed(self, text: str) -> None:
        """Take note of text that the caller let pass while ``is_plain`` was true."""
        self._remember(text)

    def separate_field(self) -> None:
        """Take note that the server separates the thinking itself: nothing need be held."""
        self.saw_open = True
        if self._expecting:
            self._release()

    def feed(self, text: str) -> str:
        """Return what ``text`` adds to the answer since the last reset."""
        self._buf += text
        while self._pos < len(self._buf) and self._mode():
            pass
        self._buf = self._buf[self._pos :]
        self._pos = 0
        out = "".join(self._out)
        self._out.clear()
        return out

    def close(self, reason: FinishReason) -> str:
        """End the text and return what may still be shown."""
        self._ended = True
        is_whole = reason in {FinishReason.STOP, FinishReason.TOOL_CALLS}
        out = self.feed("")
        if is_whole and self._mode == self._hidden and self._block.is_thinking:
            self._mode = self._visible
            out += self.feed(self._kept.since_mark())
        if self._held and not is_whole:
            self._kept.add("".join(self._held))
            self._held.clear()
        self._release()
        return out + self.feed("")

    def _release(self) -> None:
        self._expecting = False
        self._out.extend(self._held)
        self._held.clear()

    # --- markers in visible text

    def _marker(self) -> bool:
        found = MARKER.match(self._buf, self._pos)
        if found is None:
            return False if self._may_grow() else self._text_after_all(1)
        text = canonical(found)
        end = found.end()
        if text in _BYTES:
            self._pos = end
            return self._emit(_BYTES[text]) if self._started else True
        marker = MARKERS.get(text, UNKNOWN_TOKEN)
        if marker.kind in _SPOKEN_OF and (self._started or not marker.is_weak):
            after = self._buf[end : end + _AFTER_CHARS]
            prose = is_prose(self._line, after, ended=self._ended)
            if prose is None:
                return False
            if prose:
                return self._text_after_all(end - self._pos)
        return self._read_marker(text, marker, end)

    def _read_marker(self, text: str, marker: Marker, end: int) -> bool:
        if marker.kind is Kind.WRAP:
            return self._wrap(text, marker, end)
        is_inside = self._started and self._line.strip() != ""
        if marker.is_weak and is_inside and not self._expecting:
            return self._text_after_all(end - self._pos)
        if marker.kind is Kind.HEADER:
            self._mode = self._header
            return True
        after = self._buf[end : end + 1]
        is_weak = self._started and (marker.is_weak or (is_inside and after == " "))
        if marker.kind is Kind.TURN:
            return self._turn(text, end)
        self._pos = end
        if marker.kind in {Kind.OPEN, Kind.TOOL}:
            is_thinking = marker.kind is Kind.OPEN
            return self._hide(
                Block(marker.closers, marker.openers, is_thinking, is_thinking and is_weak)
            )
        if marker.kind is Kind.CLOSE:
            return self._orphan()
        if marker.kind is Kind.END:
            return self._end_token(text)
        self._struck += text == "<s>" and self._started
        return True

    def _wrap(self, text: str, marker: Marker, end: int) -> bool:
        if marker.closers and not self._started:
            self._wraps.append(marker.closers[0])
        elif text in self._wraps:
            self._wraps.remove(text)
        else:
            return self._text_after_all(end - self._pos)
        self._pos = end
        return True

    def _turn(self, text: str, end: int) -> bool:
        if self._started:
            return self._finish()
        if (
            text.lower()
            .strip("<|｜>[]")
            .startswith(("user", "assistant", "system", "inst", "<sys"))
        ):
            self._pos = end
            return True
        role = read_role(self._buf[end : end + MARKER_CHARS], ended=self._ended)
        if role is None:
            return False
        chars, is_own = role
        self._pos = end + chars
        return True if is_own else self._finish()

    def _end_token(self, text: str) -> bool:
        if text == "</s>" and self._struck:
            self._struck -= 1
            return True
        return self._finish() if self._started else True

    def _orphan(self) -> bool:
        """What was visible so far was thinking, and the answer begins here."""
        if not self._started:
            self._expecting = False
            return True
        if self._expecting:
            self._kept.begin_block()
            self._kept.add("".join(self._held))
            self._held.clear()
            self._expecting = False
        else:
            self.was_reset = True
            self.may_restore = self.saw_open
            self._out.clear()
        self.saw_orphan_close = True
        self._restart()
        return True

    # --- hidden stretches

    def _hide(self, block: Block) -> bool:
        if not self._started:
            self._expecting = False
        self._block = block
        self._depth = 1
        self._mode = self._hidden
        if block.is_thinking:
            self.saw_open = True
            self._kept.begin_block()
            if block.is_restorable:
                self._kept.mark()
        return True

    def _hidden(self) -> bool:
        buf, pos = self._buf, self._pos
        found = self._block.find(buf, pos)
        if found is None:
            end = len(buf) if self._ended else self._block.held_from(buf, pos)
            self._keep(buf[pos:end])
            self._pos = end
            return False
        self._keep(buf[pos : found.start()])
        self._pos = found.start()
        text, end = found[0], found.end()
        if text[0] in "<[◁" and not self._block.keeps_closer:
            after = buf[end : end + _AFTER_CHARS]
            prose = is_prose(self._kept.current_line, after, ended=self._ended)
            if prose is None:
                return False
            if prose:
                self._keep(text)
                self._pos = end
                if not self._block.is_opener(text):
                    self._kept.mark()
                return True
        return self._inner(text, end)

    def _inner(self, text: str, end: int) -> bool:
        if self._block.is_opener(text):
            self._depth += 1
        else:
            self._depth -= 1
            if self._depth == 0:
                self._mode = self._visible
                if not (self._block.keeps_closer and text in {"<|start|>", "<|channel|>"}):
                    self._pos = end
                return True
            self._kept.mark()
        self._pos = end
        return True

    def _keep(self, text: str) -> None:
        if text and self._block.is_thinking:
            self._kept.add(text)

    # --- harmony

    def _header(self) -> bool:
        buf, pos = self._buf, self._pos
        end = buf.find(_HEADER_END, pos, pos + _HEADER_CHARS)
        if end >= 0:
            self._pos = end + len(_HEADER_END)
            return self._read_header(buf[pos:end])
        if len(buf) - pos < _HEADER_CHARS and "\n" not in buf[pos:] and not self._ended:
            return False
        named = _NAMED.match(buf, pos)
        self._pos = named.end() if named else pos + 1
        return self._read_header(buf[pos : self._pos])

    def _read_header(self, header: str) -> bool:
        self._mode = self._visible
        channel = _CHANNEL.search(header)
        name = channel[1] if channel else ""
        if "to=self" in header or name.startswith("analysis"):
            return self._hide(blocks.HARMONY)
        if name.startswith("commentary") or " to=" in header:
            return self._hide(blocks.HARMONY_TOOL)
        if self._started:
            return self._finish() if self._final_seen else self._late_final()
        self._final_seen = True
        return True

    def _late_final(self) -> bool:
        self._final_seen = True
        return self._orphan()

    # --- after the end

    def _finish(self) -> bool:
        self._mode = self._over
        return True

    def _over(self) -> bool:
        found = None if self._final_seen else _LATE_FINAL.search(self._buf, self._pos)
        if found is None:
            self._pos = max(self._pos, len(self._buf) - _LATE_CHARS)
            return False
        self._pos = found.end()
        self._mode = self._visible
        return self._late_final()
