"""A hidden stretch of model text: where it ends, and how much of the text might be its end."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final

from bot.output.markup import (
    DETAILS,
    FINAL_OPENER,
    HARMONY_CLOSERS,
    RESPONSE_PHRASES,
    Kind,
    block_pattern,
    marker_of,
    may_become_marker,
    prefixes,
)

_LOOK_BACK_CHARS = 200
_MOST_BLOCKS: Final = 256
"""Kinds of blocks whose patterns are kept: a model may make up names of tokens."""

_LIKE: Final = ("</think>", "</thinking>", "</thought>", "</reasoning>", "<answer>", "<final_answer>", "</think\n", "[/think]", "[/THINK]", "<\\think>", "<\\/think>", "&lt;/think&gt;", "<|/think|>", "<|/thinking|>", "<think/>", *("<|end_of_thought|>", "<|end_think|>", "<|end_thinking|>", "<|think_end|>", "<|END_THINKING|>", "<end_think>", "</seed:think>", "<channel|>", "◁/think▷"), "<|im_start|>assistant\n", "<|channel|>final<|message|>")  # fmt: skip
_TAG_NAME: Final = re.compile(r"< ?(/?) ?([\w:\-]+)")


@dataclass(frozen=True, slots=True)
class Block:
    """How a hidden stretch ends.

    Attributes:
        closers: Canonical texts that end it; none when only the end of the stream does.
        openers: Canonical texts that open the same stretch again inside it.
        is_thinking: Kept as thinking; otherwise dropped (tool calls).
        is_restorable: Weak evidence: if it never closes, or nothing else comes, it is the answer.
        keeps_closer: The closer is itself a marker to be read (a harmony header).
        loose: Closers of a like tag: where the stretch never ends, it ended there.
        breaks: Closers that are none where what follows them goes on with the stretch.
        goes_on: What such text begins with, in lower case.
        is_open: At a break it has only ended if no other end comes.
    """

    closers: tuple[str, ...]
    openers: tuple[str, ...] = ()
    is_thinking: bool = True
    is_restorable: bool = False
    keeps_closer: bool = False
    loose: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    goes_on: re.Pattern[str] | None = None
    is_open: bool = False

    def find(self, text: str, start: int) -> re.Match[str] | None:
        """Return the next closer or inner opener from ``start`` on, or what code begins and ends with."""
        texts = self.closers + self.loose + self.openers
        return _pattern(texts, follows_code=self.may_quote).search(text, start) if texts else None

    def held_from(self, text: str, start: int) -> int:
        """Return where a closer that is still incomplete may begin; the length if nowhere."""
        if not self.closers:
            return len(text)
        held = len(text)
        for mark in "<[◁":
            begin = text.rfind(mark, max(start, len(text) - _LOOK_BACK_CHARS))
            if begin >= 0 and may_become_marker(text[begin:]):
                held = min(held, begin)
        partials, longest = _partials(self.closers + self.loose + self.openers)
        for begin in range(max(start, len(text) - longest), held):
            if text[begin:].lower() in partials:
                return begin
        return held

    @property
    def may_quote(self) -> bool:
        """Whether its closers may be quoted in it, as in thinking about markup."""
        return self.is_thinking and not self.keeps_closer and self.closers[0][0] in "<[◁&\\"

    def may_end(self, after: str) -> bool:
        """Return whether a line's end and what follows it may become a longer end, in lower case."""
        return f"\n{after}" in _partials(self.closers)[0]

    def is_loose(self, text: str) -> bool:
        """Return whether a match of ``find`` would end a stretch of a like tag."""
        return bool(self.loose) and _key(text) in self.loose

    def is_opener(self, text: str) -> bool:
        """Return whether a match of ``find`` opens the stretch again rather than ends it."""
        return _key(text) in {opener.lower() for opener in self.openers}


def loose_closers(opener: str) -> tuple[str, ...]:
    """Return what a model that began with this tag ends its thinking with by mistake."""
    marker = marker_of(opener)
    own = {closer.lower() for closer in (*marker.closers, f"{opener[0]}/{opener[1:]}")}
    is_sure = (
        marker.kind is Kind.OPEN and not marker.is_weak and opener not in {"<|channel>", DETAILS}
    )
    return tuple(text for text in _LIKE if text.lower() not in own) if is_sure else ()


def _key(text: str) -> str:
    name = _TAG_NAME.match(text)
    return f"<{name[1]}{name[2].lower()}>" if name and text[-2:] != "/>" else text.lower()


@functools.lru_cache(_MOST_BLOCKS)
def _pattern(texts: tuple[str, ...], *, follows_code: bool) -> re.Pattern[str]:
    return block_pattern((*texts, "`", "\n") if follows_code else texts)


@functools.lru_cache(_MOST_BLOCKS)
def _partials(texts: tuple[str, ...]) -> tuple[frozenset[str], int]:
    lowered = [text.lower() for text in texts]
    return prefixes(lowered), max(map(len, lowered)) - 1


HARMONY = Block(HARMONY_CLOSERS, keeps_closer=True)
HARMONY_TOOL = Block(HARMONY_CLOSERS, is_thinking=False, keeps_closer=True)
HARMONY_REMARK = Block(HARMONY_CLOSERS, is_thinking=False, is_restorable=True, keeps_closer=True)
STRIPPED = Block(("assistantfinal",))
"""Harmony whose special tokens were removed: the words of its headers stand glued to the text."""
STRIPPED_LINE = Block(("assistantfinal", "assistant\nfinal\n"), is_restorable=True)
GRANITE = Block(RESPONSE_PHRASES, is_restorable=True)
APRIEL = Block((FINAL_OPENER,), is_restorable=True)
HYPERCLOVA = Block(("<|im_end|>",), is_restorable=True)
"""A turn of the model whose role, ``assistant/think``, stands in the prompt but for its end."""
RESULT = Block(
    ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<turn|>", "<end_of_turn>"),
    is_thinking=False,
    is_restorable=True,
)
"""The turn with a result that a model makes up behind its own call."""
BARE_THOUGHT = Block(("<channel|>",), is_restorable=True)
"""Gemma's channel whose opening token was removed, down to its name on a line of its own."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the beginning of a text says.

    Attributes:
        chars: How many characters to leave out.
        block: The thinking that begins after them, if any.
    """

    chars: int
    block: Block | None = None


PLAIN: Final = Beginning(0)
