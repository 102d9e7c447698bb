"""Separates thinking from answer while the text is still arriving.

One pass with a bounded look-ahead: ``scanner`` cuts the text into events, this state machine eats
them. What a marker would mean is data (``markup``); whether it is meant or only spoken of, ``spoken``
judges by its place; where hidden text ends, ``hidden`` reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final

from bot.core.domain import FinishReason
from bot.core.fences import TAIL_CHARS, Context
from bot.core.frames import OPEN
from bot.output.markup import (
    MARKER,
    MARKERS,
    ORDINARY_TAGS,
    ROLE_TOKENS,
    SURE_TAGS,
    TURN_ROLES,
    Kind,
    Marker,
    canonical,
    marker_of,
    may_become_marker,
)
from bot.output.participants import FRAME_CHARS, Labels
from bot.output.reasoning import block as blocks
from bot.output.reasoning.beginning import (
    CONTENT_CHARS,
    holds_text,
    read_beginning,
    read_role,
    read_thinking_turn,
    read_token,
)
from bot.output.reasoning.block import Block, loose_closers
from bot.output.reasoning.harmony import HEADER_CHARS, Channel, read_header
from bot.output.reasoning.hidden import HiddenStretch, KeptThinking, Progress
from bot.output.reasoning.place import (
    AFTER_CHARS,
    BULLET,
    ELLIPSIS,
    EXPECTING,
    GLUES,
    NICKNAMES,
    PROSE_NEXT,
    SENTENCE_END,
    TOKENS,
    TURNS,
    UNSPACED,
    Surroundings,
)
from bot.output.reasoning.scanner import (
    MARKER_CHARS,
    MARKS,
    Event,
    Scanner,
    Sign,
)
from bot.output.reasoning.spoken import begins_anew, holds_elements, is_prose, is_spoken_of

_DOTTED: Final = re.compile(r"\w\.\w{1,40}+\.\Z")
"""A dotted name, of which ``assistant`` is the last part."""


LEAD_CHARS: Final = 64
"""Of the blanks in front of an answer, how many are known; only whether they break lines matters."""

_BEGINNING_CHARS: Final = 240
_AFTER_CHARS: Final = 12
_STEP_CHARS: Final = 512
_GLYPHS: Final = {"Ġ": " ", "Ċ": "\n"}
_ENOUGH_OF_WORD: Final = 3
"""Characters that tell a glyph before a word from a Maltese word in capitals."""

_ASCII_BYTE: Final = re.compile("<0x(?!0A|09|20)[0-7]")
"""Bytes that no tokenizer falls back to, for it has a token for each."""

_BYTES: Final = {"<0x0A>": "\n", "<0x09>": "\t", "<0x20>": " "}
_BLOCKS: Final = frozenset({Kind.OPEN, Kind.TOOL})


class State(Enum):
    """Where in the answer the reading is."""

    BEGINNING = "nothing of the answer has come"
    ANSWER = "inside the answer"
    HIDDEN = "inside thinking or a tool call"
    HEADER = "at a harmony header"
    OVER = "behind the end of the answer"


_LATE_FINAL: Final = re.compile(r"<\|channel\|>\s{0,9}+final\b[^<]{0,40}<\|message\|>")
_WATCHED_CHARS: Final = 400
_ROLE_NAME: Final = re.compile(rf"\b(?:{'|'.join(TURN_ROLES)})\b")
_WORD: Final = re.compile(r"\w")


class _Aftermath:
    """Looks at what a model writes on after the end of its answer.

    Attributes:
        was_cut: Words came: the model goes on with somebody else's turn.
        is_over: Enough was seen: nothing that follows can matter.
    """

    def __init__(self) -> None:
        self._text = ""
        self.was_cut = False
        self.is_over = False

    def cut(self) -> None:
        """Take note that another's turn has begun beyond doubt."""
        self.was_cut = self.is_over = True

    def take(self, text: str, *, may_answer: bool, ended: bool) -> int | None:
        """Take what came, and return where in it a late answer begins, if it does.

        Args:
            text: The next piece.
            may_answer: A harmony header may still say that the answer comes only now.
            ended: Nothing more will come.
        """
        if self.is_over:
            return None
        before = len(self._text)
        self._text += text[: _WATCHED_CHARS - before]
        found = _LATE_FINAL.search(self._text) if may_answer else None
        if found is not None and found.end() > before:
            return found.end() - before
        if ended or len(self._text) >= _WATCHED_CHARS:
            self.is_over = len(self._text) >= _WATCHED_CHARS
            bare = _ROLE_NAME.sub("", MARKER.sub("", self._text))
            self.was_cut = _WORD.search(bare) is not None
        return None


_MOST_CLOSERS: Final = 8


_QUOTED: Final = ('"', "'", "`")


def _opens_text(place: Surroundings) -> bool:
    """Return whether a text of several lines begins at a place, by a quote that its line doesn't end."""
    if place.line.endswith(('"""', "'''")):
        return True
    line, newline, _ = place.after.partition("\n")
    return newline != "" and place.line.endswith(_QUOTED) and place.line[-1] not in line


class Examples:
    """Markers that were text, and the other halves of theirs that are still to come."""

    def __init__(self) -> None:
        self._closers: list[tuple[str, str]] = []
        self._mentioned: set[str] = set()
        self._shown: set[str] = set()
        self._in_turn = False
        self._on_line = ""

    def holds(self, text: str, kind: Kind, place: Surroundings) -> bool:
        """Return whether a marker belongs to an example that has begun.

        Args:
            text: The marker's canonical text.
            kind: What it would mean.
            place: Where it stands.
        """
        line = place.line
        if any(
            text == closer and opener.lower() in line.lower() for closer, opener in self._closers
        ):
            return True
        is_near = self._in_turn or (self._on_line != "" and self._on_line.lower() in line.lower())
        is_first = self._in_turn and not line.strip() and self._on_line in place.previous
        return (is_near and kind in TOKENS) or (is_first and kind is Kind.OPEN)

    def ends_answer(self, text: str, place: Surroundings) -> bool:
        """Return whether a token ends the whole answer, whatever example stands before it.

        It is the last thing there is, and stands right behind a word; where one like it was text
        before, behind a word that no name of a thing can follow without a blank.
        """
        last = place.line[-1:]
        if place.after.strip() or last.isspace() or last in EXPECTING:
            return False
        if text not in self._shown:
            return True
        is_apart = last in SENTENCE_END or UNSPACED.match(last) is None
        return last != "" and is_apart and not (self._in_turn or self._awaits(text))

    def _awaits(self, text: str) -> bool:
        return any(closer == text for closer, _ in self._closers)

    def has_opened(self, text: str) -> bool:
        """Return whether the other half of a closing marker was text, on whatever line."""
        return text in self._mentioned

    def note(self, text: str, marker: Marker, place: Surroundings, *, same_line: bool) -> None:
        """Take note of a marker that is text.

        Args:
            text: Its canonical text.
            marker: What it would mean.
            place: Where it stands.
            same_line: What belongs to it counts on its own line only.
        """
        is_item = BULLET.fullmatch(place.line) is not None and place.after.startswith("\n")
        is_in_line = place.line.strip(" \t>") != "" and not (place.follows_spoken or is_item)
        is_block = marker.kind in TOKENS or place.after.startswith("\n")
        is_in_line = is_in_line and not (is_block and place.is_announced)
        is_in_line = is_in_line and not _opens_text(place)
        is_mentioned = is_in_line and place.after[:1] in set(PROSE_NEXT)
        is_mentioned = is_mentioned and place.line[-1] not in GLUES
        is_mentioned = is_mentioned and ELLIPSIS.match(place.after) is None
        self._mentioned.update(marker.closers)
        self._shown.add(text)
        open_since = [i for i, (closer, _) in enumerate(self._closers) if closer == text]
        if open_since:
            del self._closers[open_since[-1]]
        elif text == "<s>" or (marker.closers and not is_mentioned):
            closer = "</s>" if text == "<s>" else marker.closers[0]
            opener = text.rstrip(">") if is_in_line or same_line else ""
            self._closers = [*self._closers[-_MOST_CLOSERS:], (closer, opener)]
        is_glued = marker.kind is Kind.DROP and place.after[:1].isalnum()
        if is_glued or (marker.kind in TURNS and text not in NICKNAMES):
            self._in_turn = not same_line and (self._in_turn or not is_in_line)
            self._on_line = text
        elif marker.kind is Kind.END:
            self._in_turn = False


class ReasoningFilter:
    """Takes raw text, gives back the part that belongs to the answer.

    Args:
        labels: Names before a colon.
        kept: Where the thinking goes.
        expect_missing_opening: Hold all text until a closing tag or the end.

    Attributes:
        was_reset: What was given out before has turned out to be thinking; the caller clears this.
        saw_open: A block of thinking was opened.
        saw_orphan_close: A closing tag came without its opening one.
        may_restore: At the reset a proper block had come before: if nothing follows, the text given
            out before was the answer after all.
        lead: The blanks in front of the answer, which are left out.
        is_over: Nothing that still comes can be shown.
    """

    def __init__(self, labels: Labels, kept: KeptThinking, *, expect_missing_opening: bool) -> None:
        self._labels = labels
        self._kept = kept
        self._expecting = expect_missing_opening
        self._scanner = Scanner()
        self._stretch: HiddenStretch | None = None
        self._aftermath = _Aftermath()
        self._wraps: list[str] = []
        self._used: set[str] = set()
        self._vanished: list[str] = []
        self._held: list[str] = []
        self._out: list[str] = []
        self._held_end: int | None = None
        self._held_openers = 0
        self._quoted_end: int | None = None
        self._blocks_are_text = False
        self._final_seen = False
        self.was_reset = False
        self.saw_open = False
        self.saw_orphan_close = False
        self.may_restore = False
        self.is_over = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._state = State.BEGINNING
        self._started = False
        self._context = Context()
        self._examples = Examples()
        self._at_line_start = False
        self._is_after_spoken = False
        self._is_after_glyph = False
        self.lead = ""

    @property
    def is_thinking(self) -> bool:
        """Whether the text is inside thinking right now, as far as one can tell."""
        if self._state is State.HIDDEN and self._stretch is not None:
            return self._stretch.block.is_thinking
        return self._state is State.HEADER or (self._expecting and self._started)

    @property
    def is_in_fence(self) -> bool:
        """Whether the answer is inside a code block."""
        return self._context.in_fence

    @property
    def has_ended(self) -> bool:
        """Whether the model has ended its answer itself, so that none of the rest is shown."""
        return self._state is State.OVER

    @property
    def was_cut(self) -> bool:
        """Whether the model went on with somebody else's turn, and that was left out."""
        return self.has_ended and self._aftermath.was_cut

    def separate_field(self) -> None:
        """Take note that the server separates the thinking itself: nothing need be held."""
        self.saw_open = True
        if self._expecting:
            self._release()

    def feed(self, text: str) -> str:
        """Return what ``text`` adds to the answer since the last reset."""
        scanner, context = self._scanner, self._context
        is_inside = self._state is State.ANSWER and not self._at_line_start
        if is_inside and not (context.in_fence or context.in_inline) and scanner.take_plain(text):
            context.read(text)
            self._hand_out(text)
        else:
            scanner.add(text)
            while not scanner.is_empty and self._step():
                pass
        out = "".join(self._out)
        self._out.clear()
        return out

    def close(self, reason: FinishReason) -> str:
        """End the text and return what may still be shown."""
        return "".join(self.closing(reason))

    def closing(self, reason: FinishReason) -> Iterator[str]:
        """Yield what ``close`` returns, piece by piece."""
        is_whole = reason in {FinishReason.STOP, FinishReason.TOOL_CALLS}
        if not is_whole:
            self._scanner.drop_partial()
        self._scanner.ended = True
        yield self.feed("")
        if is_whole and self._state is State.HIDDEN:
            yield from self._give_back()
        if self._held and not is_whole:
            self._kept.add("".join(self._held))
            self._held.clear()
        if is_whole and self._expecting and self._quoted_end is not None:
            yield from self._end_in_code(self._quoted_end)
        if is_whole and self._expecting and self._held_end is not None:
            yield from self._read_held()
        self._release()
        yield self.feed("")
        if self.has_ended:
            self._aftermath.take("", may_answer=False, ended=True)
        if is_whole and not self._started and self._vanished:
            yield "\n".join(self._vanished)

    def _give_back(self) -> Iterator[str]:
        """Read the hidden stretch that never ended as text, where it was none after all."""
        given = self._stretch.give_back() if self._stretch is not None else None
        if given is None:
            return
        opening, rest = given
        self._blocks_are_text = True
        self._started = self._started or opening != ""
        self._go_on()
        if opening[:1] in set("`~"):
            rest = opening + rest  # it opens a block of code
        elif opening:
            self._emit(opening)
        elif self._expecting:
            self._read_orphan()
        yield from self._read_again(rest)

    def _end_in_code(self, end: int) -> Iterator[str]:
        """End the thinking at a closing tag in code, where that code never ends."""
        if self._context.in_fence:
            rest = "".join(self._held[end:])
            del self._held[end:]
            self._held_openers = 0
            self._read_orphan()
            yield from self._read_again(rest)

    def _read_held(self) -> Iterator[str]:
        """Read all that was held as the answer it was, since what may end one may be an example in it."""
        held = "".join(self._held)
        self._held.clear()
        self._held_end = None
        self._expecting = False
        self._begin_anew()
        yield from self._read_again(held)

    def _read_again(self, text: str) -> Iterator[str]:
        """Read text that came before, now that all has come."""
        self._scanner.ended = False
        for start in range(0, len(text), _STEP_CHARS):
            yield self.feed(text[start : start + _STEP_CHARS])
        self._scanner.ended = True
        yield self.feed("")

    def _release(self) -> None:
        """Give out what was held: it was the answer, up to its end if it has one."""
        self._expecting = False
        self._out.extend(self._held[: self._held_end])
        if self._held_end is not None:
            self._aftermath.take(
                "".join(self._held[self._held_end :]), may_answer=False, ended=True
            )
            self._finish()
        self._held.clear()

    def _step(self) -> bool:
        """Read on from the scanner's position; return whether it got anywhere."""
        match self._state:
            case State.ANSWER:
                return self._read_answer()
            case State.BEGINNING:
                return self._read_beginning()
            case State.HIDDEN:
                return self._read_hidden()
            case State.HEADER:
                return self._read_header()
            case State.OVER:
                return self._read_over()

    def _go_on(self) -> bool:
        """Return to where the hidden text, or the header, was met."""
        self._state = State.ANSWER if self._started else State.BEGINNING
        return True

    # --- visible text

    def _read_beginning(self) -> bool:
        scanner = self._scanner
        rest = scanner.ahead(_BEGINNING_CHARS)
        blanks = rest[: len(rest) - len(rest.lstrip())]
        if blanks:
            self.lead = (self.lead + scanner.skip(len(blanks)))[:LEAD_CHARS]
            return True
        is_frame = self._read_frame()
        if is_frame is not False:
            return is_frame is True
        if rest[:2] in {".", ".\n"} and (self.saw_open or self.saw_orphan_close):
            return self._read_dot(rest)
        if rest.startswith("-# <"):
            scanner.skip(len("-# "))  # the sanitiser takes it away, too
            return True
        event = scanner.marker() if rest[0] in MARKS else scanner.emphasised_marker()
        if event is None or event.sign is Sign.MARKER:
            return event is not None and self._read_marker(event)
        beginning = read_beginning(rest, ended=scanner.ended)
        label_chars = self._labels.own_prefix(rest, ended=scanner.ended)
        if beginning is None or label_chars is None:
            return False
        if beginning.block is not None:
            return self._hide(beginning.block, scanner.skip(beginning.chars))
        if beginning.chars or label_chars:
            scanner.skip(max(beginning.chars, label_chars))
            return True
        return self._begin_answer(rest)

    def _read_dot(self, rest: str) -> bool:
        """Leave out the full stop on a line of its own that Qwen3 writes behind thinking cut short.

        Where an answer goes on, it may be that of the sentence before.
        """
        if len(rest) > 1:
            self.lead += self._scanner.skip(1)
        elif self._scanner.ended:
            self._start()
        return len(rest) > 1 or self._scanner.ended

    def _begin_answer(self, rest: str) -> bool:
        """Begin the answer, without a glyph that stands for a blank before its first word."""
        if rest[0] in _GLYPHS:
            if len(rest) < _ENOUGH_OF_WORD and not self._scanner.ended:
                return False
            if rest[1:2] in _GLYPHS or (rest[1:2].isupper() and not rest[2:3].isupper()):
                self._scanner.skip(1)
                return True
        self._start()
        return True

    def _start(self) -> None:
        self._started = True
        self._state = State.ANSWER

    def _read_answer(self) -> bool:
        if self._at_line_start:
            return self._read_line_start()
        scanner, context = self._scanner, self._context
        event = scanner.next_in_answer(is_code=context.is_code)
        if event is None:
            return False
        match event.sign:
            case Sign.TEXT:
                return self._pass(event.text)
            case Sign.NEWLINE:
                self._end_line()
            case Sign.TICKS:
                context.read_ticks(len(event.text), scanner.ahead(1, len(event.text)))
                self._is_after_spoken = False
            case Sign.GLYPH:
                return self._read_glyph(event.text)
            case Sign.ROLE:
                is_part = _DOTTED.search(context.tail) is not None
                return self._pass(event.text[0]) if is_part else self._cut(event.text)
            case Sign.MARKER:
                return self._read_marker(event)
        return self._give(scanner.skip(len(event.text)))

    def _end_line(self) -> None:
        """End a line, and remember a closing tag of thinking that stands alone on it in code."""
        if self._expecting and self._context.in_fence:
            found = MARKER.fullmatch(self._context.line.strip())
            if found and marker_of(canonical(found)).kind is Kind.CLOSE:
                self._quoted_end = len(self._held)
        self._context.read_newline()
        self._at_line_start = True
        self._is_after_glyph = False

    def _read_line_start(self) -> bool:
        """Read a frame of ours or a marker in emphasis, where the line begins with one."""
        if not self._context.in_fence:
            is_frame = self._read_frame()
            if is_frame is not False:
                return is_frame is True
            event = self._scanner.emphasised_marker()
            if event is None:
                return False
            if event.sign is Sign.MARKER:
                return self._read_marker(event)
        self._at_line_start = False
        return True

    def _read_glyph(self, glyph: str) -> bool:
        before = self._context.tail[-1:]
        is_behind_word = before.isalpha() and not before.isupper()
        is_behind_word |= before in set("0123456789.,;:!?)]") and before != ""
        stands_for_blank = is_behind_word or self._is_after_glyph
        self._scanner.skip(1)
        self._emit(_GLYPHS[glyph] if stands_for_blank else glyph)
        self._is_after_glyph = stands_for_blank
        return True

    def _read_frame(self) -> bool | None:
        """Read one of our own frames at the start of a line; ``None`` until it is certain."""
        rest = self._scanner.ahead(FRAME_CHARS)
        if rest[0] not in {OPEN, "["}:
            return False
        frame = self._labels.frame(rest, ended=self._scanner.ended, is_first=not self._started)
        if frame is None:
            return None
        if frame.is_turn and self._started:
            return self._cut(rest[: frame.chars])
        self._scanner.skip(frame.chars)
        return frame.chars > 0

    def _pass(self, text: str) -> bool:
        """Let the text at the position through."""
        self._at_line_start = False
        self._scanner.skip(len(text))
        return self._emit(text)

    def _emit(self, text: str) -> bool:
        self._context.read(text)
        return self._hand_out(text)

    def _hand_out(self, text: str) -> bool:
        """Give out text that the context knows of."""
        self._is_after_glyph = False
        if self._is_after_spoken or self._stretch is not None:
            is_blank = text.isspace()
            self._is_after_spoken = self._is_after_spoken and is_blank
            self._stretch = self._stretch if is_blank else None
        return self._give(text)

    def _give(self, text: str) -> bool:
        (self._held if self._expecting else self._out).append(text)
        return True

    # --- markers in visible text

    def _read_marker(self, event: Event) -> bool:
        name = event.name
        if name in _BYTES:
            return self._read_byte(event)
        marker = marker_of(name)
        is_text = self._is_text(event, marker)
        if is_text is None:
            return False
        if is_text:
            return self._let_through(event, marker)
        if marker.kind is Kind.WRAP:
            return self._read_wrap(event, marker)
        if marker.kind is Kind.HEADER:
            self._state = State.HEADER
            return True
        if marker.kind is Kind.TURN:
            return self._read_turn(event)
        if marker.kind in _BLOCKS and not event.text.endswith("/>"):
            return self._open(event, marker)
        return self._leave_out(event, marker)

    def _leave_out(self, event: Event, marker: Marker) -> bool:
        """Leave out a marker that frames nothing, and do what it says."""
        if not self._started and marker.kind is Kind.DROP and event.name not in MARKERS:
            return self._read_unlisted(event)
        self._scanner.skip(len(event.text))
        if marker.kind is Kind.CLOSE:
            return self._read_orphan()
        is_end = marker.kind is Kind.END and self._started
        return self._finish(event.text) if is_end else True

    def _read_unlisted(self, event: Event) -> bool:
        """Leave out a token that no list holds, in front of the answer, with the thoughts it frames."""
        content = self._scanner.ahead(CONTENT_CHARS, len(event.text))
        found = read_token(event.name, content, ended=self._scanner.ended)
        if found is None:
            return False
        opening = self._scanner.skip(len(event.text))
        return found.block is None or self._hide(found.block, opening)

    def _read_byte(self, event: Event) -> bool:
        after = self._scanner.ahead(_AFTER_CHARS, len(event.text))
        is_text = is_prose(self._context.line, after, ended=self._scanner.ended)
        if is_text is None:
            return False
        self._scanner.skip(len(event.text))
        if self._is_after_spoken or (is_text and self._context.line.strip()):
            return self._emit(event.text)
        return self._emit(_BYTES[event.name]) if self._started else True

    def _is_text(self, event: Event, marker: Marker) -> bool | None:
        """Return whether a marker is text where it stands; ``None`` until that is certain."""
        if not (self._scanner.ended or self._scanner.ahead(1, len(event.text))):
            return None
        if marker.kind is Kind.WRAP and not marker.closers and event.name not in self._wraps:
            return not self._started or self._is_no_end_of_answer(event)
        if self._is_text_anywhere(event, marker):
            return True
        is_content = self._holds_text(event, marker)
        return self._is_text_here(event, marker) if is_content is False else is_content

    def _is_text_here(self, event: Event, marker: Marker) -> bool | None:
        """Return whether a marker is text because of what surrounds it."""
        place = self._place(event, AFTER_CHARS)
        is_last = not place.after.strip()
        if is_last and marker.kind is Kind.END and self._started:
            if not place.has_ended:
                return None
            if self._examples.ends_answer(event.name, place):
                return False
        if self._started and self._examples.holds(event.name, marker.kind, place):
            return True
        if event.name in self._wraps and (not place.line.strip() or (is_last and place.has_ended)):
            return False
        return is_spoken_of(event.name, marker, place)

    def _is_text_anywhere(self, event: Event, marker: Marker) -> bool:
        """Return whether a marker is text as it is written, whatever surrounds it."""
        is_call_end = marker.kind is Kind.DROP and marker.is_tag
        if self._blocks_are_text and (marker.kind in _BLOCKS or is_call_end):
            return True
        if event.text.endswith("/>") and not self._is_empty_thought(event):
            return True
        inner = event.text.strip("</> ")
        if marker.is_tag and " " in inner and (marker.is_weak or "=" not in inner):
            return True
        if _ASCII_BYTE.match(event.name):
            return True
        is_code = self._context.is_indented_code and not self._expecting
        is_weak = marker.is_weak and event.name not in self._wraps
        is_end = event.name.startswith("[/") and not self._examples.has_opened(event.name)
        is_weak = is_weak and not (is_end and self._expecting)
        if self._started and (is_code or is_weak):
            return True
        return event.lead != "" and not (marker.closers or marker.kind is Kind.CLOSE)

    def _is_no_end_of_answer(self, event: Event) -> bool | None:
        """Return whether the end of a wrapping that never began is text; ``None`` if not yet known."""
        place = self._place(event, AFTER_CHARS)
        if place.words != place.line or place.has_example:
            return True
        rest = place.after.strip()
        following = MARKER.match(rest)
        if following is not None:
            return marker_of(canonical(following)).kind is not Kind.END
        if place.has_ended or (rest and not may_become_marker(rest)):
            return rest != ""
        return None

    def _is_empty_thought(self, event: Event) -> bool:
        """Return whether a tag stands for thinking that was left out, in front of the answer."""
        is_plain = event.name in SURE_TAGS and event.text[:-2].rstrip() == event.name[:-1]
        return (
            is_plain
            and not self._started
            and self._scanner.ahead(1, len(event.text)) not in PROSE_NEXT
        )

    def _holds_markup(self, event: Event, marker: Marker) -> bool | None:
        """Return whether a tag that is a word of other markup, too, holds elements of such."""
        if not (marker.is_weak or event.name[1:-1] in ORDINARY_TAGS) or not marker.closers:
            return False
        inside = self._scanner.ahead(TAIL_CHARS, len(event.text))
        is_expected = marker.kind is Kind.OPEN or self.saw_open or self.saw_orphan_close
        return holds_elements(inside, ended=self._scanner.ended, is_indented=is_expected)

    def _holds_text(self, event: Event, marker: Marker) -> bool | None:
        """Return whether a tag holds what a file does: elements, a value or a sentence."""
        holds_markup = self._holds_markup(event, marker)
        if holds_markup is not False:
            return holds_markup
        is_doubtful = marker.is_tag and (marker.is_weak or event.name[1:-1] in ORDINARY_TAGS)
        if self._started or self._expecting or not (is_doubtful and marker.closers):
            return False
        inside = self._scanner.ahead(MARKER_CHARS, len(event.text))
        is_named = marker.kind is Kind.OPEN
        return holds_text(inside, marker.closers[0], ended=self._scanner.ended, is_named=is_named)

    def _place(self, event: Event, chars: int) -> Surroundings:
        return Surroundings(
            self._context.line,
            self._context.before,
            self._scanner.ahead(chars, len(event.text)),
            is_started=self._started,
            follows_spoken=self._is_after_spoken,
            has_ended=self._scanner.ended,
            is_habit=event.name in self._used,
            is_end_expected=self._expecting,
            has_thought=self.saw_open or self.saw_orphan_close,
            has_example=self._examples.has_opened(event.name),
            previous=self._context.previous,
            above=self._context.above,
        )

    def _let_through(self, event: Event, marker: Marker) -> bool:
        """Let a marker pass as the text it is."""
        place = self._place(event, AFTER_CHARS)
        if self._expecting and marker.kind is Kind.OPEN and not marker.is_weak:
            self._held_openers += place.line.strip() == ""
        is_whole = event.text.endswith("/>")
        if not is_whole and (
            self._started or marker.closers or event.name in {"<s>", "<|channel|>"}
        ):
            self._examples.note(event.name, marker, place, same_line=self._expecting)
        self._start()
        self._pass(event.text)
        self._is_after_spoken = True
        return True

    def _open(self, event: Event, marker: Marker) -> bool:
        is_thinking = marker.kind is Kind.OPEN
        place = self._place(event, 0)
        is_late = self._started and bool(marker.closers) and not begins_anew(event.name, place)
        is_weak = not self._started and (marker.is_weak or not is_thinking)
        block = Block(
            marker.closers,
            marker.openers,
            is_thinking,
            is_late or is_weak,
            loose=loose_closers(event.name),
        )
        if is_thinking and not marker.is_weak:
            self._used.add(event.name)
        return self._hide(block, self._scanner.skip(len(event.text)))

    def _read_wrap(self, event: Event, marker: Marker) -> bool:
        if marker.closers:
            if self._started:
                return self._let_through(event, marker)
            self._wraps.append(marker.closers[0])
        elif event.name in self._wraps:
            self._wraps.remove(event.name)
        self._scanner.skip(len(event.text))
        return True

    def _read_turn(self, event: Event) -> bool:
        role = (0, True)
        if event.name not in ROLE_TOKENS:
            after = self._scanner.ahead(MARKER_CHARS, len(event.text))
            thinking = None if self._started else read_thinking_turn(event.name, after)
            if thinking is not None and thinking.block is not None:
                opening = self._scanner.skip(len(event.text) + thinking.chars)
                return self._hide(thinking.block, opening)
            found = read_role(after, ended=self._scanner.ended)
            if found is None:
                return False
            role = found
        chars, is_own = role
        is_next = self._started and not (is_own and chars and self._is_behind_thinking())
        if not (is_next or is_own) and self._vanished:
            return self._hide(blocks.RESULT, self._scanner.skip(len(event.text) + chars))
        if not (is_next or is_own):
            self._start()
            return self._let_through(event, marker_of(event.name))
        opening = self._scanner.skip(len(event.text) + chars)
        return self._finish(opening) if is_next else True

    def _is_behind_thinking(self) -> bool:
        """Whether thinking has just ended, so that a header of the model's own goes on with it."""
        return self._stretch is not None and self._stretch.block.is_thinking

    def _read_orphan(self) -> bool:
        """What was visible so far was thinking, and the answer begins here."""
        if not self._started:
            self._expecting = False
            return True
        if self._expecting:
            self._kept.begin_block()
            self._kept.add("".join(self._held))
            self._held.clear()
            self._held_end = None
            # A quoted opening in the thinking has a closing of its own, so that another may follow.
            self._expecting = self._held_openers > 0
            self._held_openers = 0
        else:
            self.was_reset = True
            self.may_restore = self.saw_open
            self._out.clear()
        self.saw_orphan_close = True
        self._vanished.clear()
        self._begin_anew()
        return True

    # --- hidden text

    def _hide(self, block: Block, opening: str) -> bool:
        """Begin a hidden stretch behind what opened it."""
        if block.is_thinking:
            self.saw_open = True
            self._expecting = self._expecting and self._started
        self._stretch = HiddenStretch(block, opening, self._kept)
        self._state = State.HIDDEN
        return True

    def _read_hidden(self) -> bool:
        stretch = self._stretch
        if stretch is None:
            return self._go_on()
        progress = stretch.read(self._scanner)
        if progress is not Progress.ENDED:
            return progress is Progress.GOING_ON
        if stretch.is_quoted:
            self._start()
            return self._emit(stretch.whole)
        if self._expecting and stretch.block.is_thinking:
            return self._read_orphan()
        if not self._started:
            self.lead = ""
            if stretch.block.is_restorable:
                self._vanished.append(stretch.whole)
        return self._go_on()

    def _read_header(self) -> bool:
        header = read_header(self._scanner.ahead(HEADER_CHARS), ended=self._scanner.ended)
        if header is None:
            return False
        self._scanner.skip(header.end)
        self._go_on()
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
            return self._finish() if self._final_seen else self._read_late_final()
        self._final_seen = True
        return True

    def _read_late_final(self) -> bool:
        self._final_seen = True
        return self._read_orphan()

    # --- after the end

    def _finish(self, opening: str = "") -> bool:
        """End the answer; where the thinking may still go on, only note that it has ended if not.

        Args:
            opening: What ends it, or begins what follows it.
        """
        if not self._expecting:
            self._state = State.OVER
            return True
        if self._held_end is None:
            self._held_end = len(self._held)
        self._held.append(opening)
        return True

    def _cut(self, opening: str) -> bool:
        """Let nothing more through: another's turn begins here beyond doubt.

        Where the thinking may still go on, it tells of that turn.
        """
        if self._expecting:
            self._finish()
            return self._pass(opening)
        self._aftermath.cut()
        self.is_over = True
        return self._finish()

    def _read_over(self) -> bool:
        rest = self._scanner.rest()
        late = self._aftermath.take(rest, may_answer=not self._final_seen, ended=False)
        self.is_over = self._aftermath.is_over
        if late is None:
            return False
        self._aftermath = _Aftermath()
        self._scanner.add(rest[late:])
        return self._read_late_final()
