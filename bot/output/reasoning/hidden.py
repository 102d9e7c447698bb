"""Reads hidden stretches of model text: to their end, or back into the answer where they have none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.output.participants import Labels
from bot.output.reasoning import block as blocks
from bot.output.reasoning.block import Block
from bot.output.reasoning.kept import KeptThinking
from bot.output.reasoning.prose import SENTENCE_END, is_named, is_prose
from bot.output.reasoning.visible import VisibleReader

_AFTER_CHARS: Final = 12
_STEP_CHARS: Final = 512


class HiddenReader(VisibleReader):
    """Adds to the reader of visible text what goes on inside thinking and tool calls.

    Args:
        labels: Names before a colon.
        kept: Where the thinking goes.
        expect_missing_opening: Hold all text until a closing tag or the end.

    Attributes:
        saw_open: A block of thinking was opened.
    """

    def __init__(self, labels: Labels, kept: KeptThinking, *, expect_missing_opening: bool) -> None:
        super().__init__(labels, expect_missing_opening=expect_missing_opening)
        self._kept = kept
        self._block = blocks.HARMONY
        self._depth = 0
        self._is_quoting = False
        self._raw: list[str] = []
        self._vanished: list[str] = []
        self._blocks_are_text = False
        self.saw_open = False

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

    def _give_back(self) -> Iterator[str]:
        """Read the hidden stretch that never ended as text, where it was none after all."""
        if self._block.is_restorable:
            self._kept.forget_block()
            opening, rest = self._raw[0], "".join(self._raw[1:])
        elif self._block.is_thinking:
            opening, rest = "", self._kept.since_mark()
        else:
            return
        self._mode = self._visible
        self._blocks_are_text = True
        if opening:
            self._started = True
            self._emit(opening)
        self._ended = False
        for start in range(0, len(rest), _STEP_CHARS):
            yield self.feed(rest[start : start + _STEP_CHARS])
        self._ended = True
        yield self.feed("")

    def _hide(self, block: Block, opening: str) -> bool:
        if not self._started and block.is_thinking:
            self._expecting = False
        self._block = block
        self._depth = 1
        self._mode = self._hidden
        self._raw = [opening] if block.is_restorable else []
        if block.is_thinking:
            self.saw_open = True
            self._kept.begin_block()
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
            is_loose = self._block.is_loose(text)
            if prose or is_loose:
                line = self._kept.current_line.strip()
                is_certain = is_named(self._kept.current_line, after)
                is_certain |= is_loose and line != "" and line[-1] not in SENTENCE_END
                is_certain |= is_loose and f"<{text[2:]}" in self._kept.text
                self._keep(text)
                self._pos = end
                if not (is_certain or self._block.is_opener(text)):
                    self._kept.mark()
                return True
        return self._inner(text, end)

    def _inner(self, text: str, end: int) -> bool:
        if self._raw:
            self._raw.append(text)
        if self._block.is_opener(text):
            self._depth += 1
            self._is_quoting = self._kept.current_line.strip() != "" or self._kept.is_introducing
        else:
            self._depth -= 1
            if self._depth == 0:
                return self._unhide(text, end)
            if not self._is_quoting:
                self._kept.mark()
        self._pos = end
        return True

    def _unhide(self, closer: str, end: int) -> bool:
        self._mode = self._visible
        if not self._started:
            self.lead = ""
        if self._raw and not self._started:
            raw = self._raw[:-1] if self._block.keeps_closer else self._raw
            self._vanished.append("".join(raw).strip())
        self._raw = []
        if not (self._block.keeps_closer and closer in {"<|start|>", "<|channel|>"}):
            self._pos = end
        return True

    def _keep(self, text: str) -> None:
        if text and self._raw:
            self._raw.append(text)
        if text and self._block.is_thinking:
            self._kept.add(text)
