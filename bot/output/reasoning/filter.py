"""Separates thinking from answer while the text is still arriving.

One pass over the text with a bounded look-behind: what can't be part of a marker goes out at once,
what may become one waits until it is decided. ``markup`` holds the markers, ``participants`` the
names, ``reasoning_visible`` reads what is no markup; this module says what the markup means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.core.domain import FinishReason
from bot.output.markup import (
    MARKER,
    MARKERS,
    ROLE_TOKENS,
    UNKNOWN_TOKEN,
    Kind,
    Marker,
    canonical,
)
from bot.output.participants import Labels
from bot.output.reasoning import block as blocks
from bot.output.reasoning.block import Block, loose_closers
from bot.output.reasoning.end import Aftermath
from bot.output.reasoning.harmony import Channel, read_header
from bot.output.reasoning.hidden import HiddenReader
from bot.output.reasoning.kept import KeptThinking
from bot.output.reasoning.prose import is_prose
from bot.output.reasoning.spoken import (
    AFTER_CHARS,
    Examples,
    begins_anew,
    holds_elements,
    is_spoken_of,
)
from bot.output.reasoning.start import read_role
from bot.output.reasoning.visible import MARKER_CHARS

_AFTER_CHARS: Final = 12
_BYTES: Final = {"<0x0A>": "\n", "<0x09>": "\t", "<0x20>": " "}
_BLOCKS: Final = frozenset({Kind.OPEN, Kind.TOOL})


class ReasoningFilter(HiddenReader):
    """Takes raw text, gives back the part that belongs to the answer.

    Args:
        labels: Names before a colon.
        kept: Where the thinking goes.
        expect_missing_opening: Hold all text until a closing tag or the end.

    Attributes:
        was_reset: What was given out before has turned out to be thinking; the caller clears this.
        saw_orphan_close: A closing tag came without its opening one.
        may_restore: At the reset a proper block had come before: if nothing follows, the text given
            out before was the answer after all.
    """

    def __init__(self, labels: Labels, kept: KeptThinking, *, expect_missing_opening: bool) -> None:
        super().__init__(labels, kept, expect_missing_opening=expect_missing_opening)
        self._wraps: list[str] = []
        self._examples = Examples()
        self._held_openers = 0
        self._aftermath = Aftermath()
        self._final_seen = False
        self.was_reset = False
        self.saw_orphan_close = False
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

    @property
    def has_ended(self) -> bool:
        """Whether the model has ended its answer itself, so that none of the rest is shown."""
        return self._mode == self._over

    @property
    def is_over(self) -> bool:
        """Whether nothing that still comes can be shown."""
        return self.has_ended and self._aftermath.is_over

    @property
    def was_cut(self) -> bool:
        """Whether the model went on with somebody else's turn, and that was left out."""
        return self.has_ended and self._aftermath.was_cut

    def passed(self, text: str) -> None:
        """Take note of text that the caller let pass while ``is_plain`` was true."""
        self._remember(text)

    def separate_field(self) -> None:
        """Take note that the server separates the thinking itself: nothing need be held."""
        self.saw_open = True
        if self._expecting:
            self._release()

    def close(self, reason: FinishReason) -> str:
        """End the text and return what may still be shown."""
        return "".join(self.closing(reason))

    def closing(self, reason: FinishReason) -> Iterator[str]:
        """Yield what ``close`` returns, piece by piece."""
        self._ended = True
        is_whole = reason in {FinishReason.STOP, FinishReason.TOOL_CALLS}
        yield self.feed("")
        if is_whole and self._mode == self._hidden:
            yield from self._give_back()
        if self._held and not is_whole:
            self._kept.add("".join(self._held))
            self._held.clear()
        self._release()
        yield self.feed("")
        if self.has_ended:
            self._aftermath.take("", may_answer=False, ended=True)
        if is_whole and not self._started and self._vanished:
            yield "\n".join(self._vanished)

    def _release(self) -> None:
        self._expecting = False
        self._out.extend(self._held)
        self._held.clear()

    # --- markers in visible text

    def _marker(self) -> bool:
        found = MARKER.match(self._buf, self._pos)
        if found is None:
            return False if self._may_grow() else self._text_after_all(1)
        text, end = canonical(found), found.end()
        if text in _BYTES:
            return self._byte(text, end)
        marker = MARKERS.get(text, UNKNOWN_TOKEN)
        is_text = self._is_text(text, marker, found[0])
        if is_text is None:
            return False
        if is_text:
            return self._spoken(text, marker, end)
        return self._read_marker(text, marker, end)

    def _byte(self, text: str, end: int) -> bool:
        prose = is_prose(self._line, self._buf[end : end + _AFTER_CHARS], ended=self._ended)
        if prose is None:
            return False
        if prose and self._line.strip():
            return self._text_after_all(end - self._pos)
        self._pos = end
        return self._emit(_BYTES[text]) if self._started else True

    def _is_text(self, text: str, marker: Marker, raw: str) -> bool | None:
        """Return whether a marker is text where it stands; ``None`` until that is certain."""
        if raw.endswith("/>") or (self._blocks_are_text and marker.kind in _BLOCKS):
            return True
        if self._started and marker.is_weak and text not in self._wraps:
            return True
        if marker.is_weak and marker.kind is Kind.OPEN:
            holds_markup = holds_elements(self._buf, self._pos + len(raw), ended=self._ended)
            if holds_markup is not False:
                return holds_markup
        if self._started and self._examples.holds(text, marker.kind, self._line):
            return True
        end = self._pos + len(raw)
        place = self._place(self._buf[end : end + AFTER_CHARS])
        return is_spoken_of(text, marker.kind, place)

    def _spoken(self, text: str, marker: Marker, end: int) -> bool:
        """Let a marker pass as the text it is."""
        if self._started or text == "<s>":
            place = self._place(self._buf[end : end + 1])
            if self._expecting and marker.kind is Kind.OPEN and not marker.is_weak:
                self._held_openers += place.line.strip() == ""
            self._examples.note(text, marker, place, same_line=self._expecting)
        self._text_after_all(end - self._pos)
        self._is_after_spoken = True
        return True

    def _read_marker(self, text: str, marker: Marker, end: int) -> bool:
        if marker.kind is Kind.WRAP:
            return self._wrap(text, marker, end)
        if marker.kind is Kind.HEADER:
            self._mode = self._header
            return True
        if marker.kind is Kind.TURN:
            return self._turn(text, end)
        opening = self._buf[self._pos : end]
        self._pos = end
        if marker.kind in _BLOCKS:
            is_thinking = marker.kind is Kind.OPEN
            is_late = (
                self._started and bool(marker.closers) and not begins_anew(text, self._place(""))
            )
            is_weak = not self._started and (marker.is_weak or not is_thinking)
            block = Block(
                marker.closers,
                marker.openers,
                is_thinking,
                is_late or is_weak,
                loose=loose_closers(text),
            )
            return self._hide(block, opening)
        if marker.kind is Kind.CLOSE:
            return self._orphan()
        if marker.kind is Kind.END and self._started:
            return self._finish()
        return True

    def _wrap(self, text: str, marker: Marker, end: int) -> bool:
        if marker.closers and not self._started:
            self._wraps.append(marker.closers[0])
        elif text in self._wraps:
            self._wraps.remove(text)
        else:
            return self._spoken(text, marker, end)
        self._pos = end
        return True

    def _turn(self, text: str, end: int) -> bool:
        if self._started:
            return self._finish()
        if text in ROLE_TOKENS:
            self._pos = end
            return True
        role = read_role(self._buf[end : end + MARKER_CHARS], ended=self._ended)
        if role is None:
            return False
        chars, is_own = role
        if not is_own:
            self._started = True
            return self._spoken(text, MARKERS[text], end)
        self._pos = end + chars
        return True

    def _orphan(self) -> bool:
        """What was visible so far was thinking, and the answer begins here."""
        if not self._started:
            self._expecting = False
            return True
        if self._expecting:
            self._kept.begin_block()
            self._kept.add("".join(self._held))
            self._held.clear()
            # A quoted opening in the thinking has a closing of its own, so that another may follow.
            self._expecting = self._held_openers > 0
            self._held_openers = 0
        else:
            self.was_reset = True
            self.may_restore = self.saw_open
            self._out.clear()
        self.saw_orphan_close = True
        self._vanished.clear()
        self._examples = Examples()
        self._restart()
        return True

    # --- harmony

    def _header(self) -> bool:
        header = read_header(self._buf, self._pos, ended=self._ended)
        if header is None:
            return False
        self._pos = header.end
        self._mode = self._visible
        block = {
            Channel.THINKING: blocks.HARMONY,
            Channel.TOOL: blocks.HARMONY_TOOL,
            Channel.REMARK: blocks.HARMONY_TOOL if self._started else blocks.HARMONY_REMARK,
        }.get(header.channel)
        if block is not None:
            return self._hide(block, "")
        if header.channel is Channel.STRANGER:
            return self._finish() if self._started else True
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

    def _cut(self) -> bool:
        self._aftermath.cut()
        return self._finish()

    def _over(self) -> bool:
        start = self._aftermath.take(
            self._buf[self._pos :], may_answer=not self._final_seen, ended=False
        )
        if start is None:
            self._pos = len(self._buf)
            return False
        self._pos += start
        self._mode = self._visible
        self._aftermath = Aftermath()
        return self._late_final()
