"""One answer's way from model text to what a person reads: filter, sanitiser, verdict."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum

from bot.domain import FinishReason, TextDelta
from bot.reply.reasoning_memory import ModelMemory
from bot.reply.sanitise_policy import OutputPolicy
from bot.reply.secret_guard import SecretGuard

__all__ = [
    "ModelMemory",
    "OutputPolicy",
    "ReplyPipeline",
    "SecretGuard",
    "Verdict",
    "clean_for_history",
]

_BLOCK = re.compile(r"<think>(.*?)(?:</think>\s*|\Z)", re.DOTALL)


class Verdict(StrEnum):
    """What an answer turned out to be."""

    ANSWER = "answer"
    ONLY_THINKING = "only_thinking"
    EMPTY = "empty"
    CUT = "cut"
    """The answer reached the size cap."""
    REPEATED = "repeated"
    """The model repeated itself without end."""


class ReplyPipeline:
    """Turns the deltas of one answer into text that may be shown at any moment.

    Args:
        policy: Limits of the answer.
        secrets: Values that must never be shown.
        participants: Names of the people in the conversation; a line that begins with one and a
            colon is the model inventing their next message.
        bot_names: The bot's own names, stripped as a prefix of the answer.
        expect_missing_opening: Hold all text until a closing tag or the end.

    Attributes:
        revision: Counts how often ``text`` was replaced rather than extended.
        must_stop: The caller should close the stream: nothing more will be shown.
        saw_orphan_close: A closing tag came without its opening one.
        saw_open: Thinking was opened in the text, or came in a field of its own.
    """

    def __init__(
        self,
        *,
        policy: OutputPolicy,
        secrets: SecretGuard,
        participants: Collection[str] = (),
        bot_names: Collection[str] = (),
        expect_missing_opening: bool = False,
    ) -> None:
        self._policy = policy
        self._secrets = secrets
        self._names = (*participants, *bot_names)
        self._expecting = expect_missing_opening
        self._verdict: Verdict | None = None
        self.revision = 0
        self.must_stop = False
        self.saw_orphan_close = False
        self.saw_open = False
        self._content = ""
        self._reasoning = ""

    def feed(self, delta: TextDelta) -> None:
        """Take what arrived; after ``must_stop`` or ``close`` it is ignored."""
        if self._verdict is not None or self.must_stop:
            return
        self.saw_open = self.saw_open or bool(delta.reasoning)
        self._reasoning += delta.reasoning
        self._content += delta.content
        self.must_stop = len(self.text) >= self._policy.max_chars

    def restart(self) -> None:
        """Forget everything: the request was sent again."""
        self.must_stop = False
        self.saw_orphan_close = False
        self.saw_open = False
        self._content = ""
        self._reasoning = ""

    def close(self, reason: FinishReason) -> None:
        """End the stream: show what may be shown and settle the verdict."""
        if self.text:
            cut = self.must_stop and reason is not FinishReason.TOOL_CALLS
            self._verdict = Verdict.CUT if cut else Verdict.ANSWER
        else:
            self._verdict = Verdict.ONLY_THINKING if self.thinking else Verdict.EMPTY

    @property
    def text(self) -> str:
        """Everything that may be shown so far; it only grows while ``revision`` stays the same."""
        visible = _BLOCK.sub("", self._content).strip()[: self._policy.max_chars]
        return visible.replace("@everyone", "@\u200beveryone").replace("@here", "@\u200bhere")

    @property
    def thinking(self) -> str:
        """What the model thought, bounded, fit to be shown to the asker."""
        inline = "\n".join(_BLOCK.findall(self._content))
        return (self._reasoning + inline).strip()[: self._policy.max_thinking_chars]

    @property
    def is_thinking(self) -> bool:
        """Whether the model is inside its thinking right now."""
        return not self.text and bool(self.thinking)

    @property
    def verdict(self) -> Verdict:
        """What the answer turned out to be; ``ANSWER`` before ``close`` if there is text."""
        return self._verdict or (Verdict.ANSWER if self.text else Verdict.EMPTY)


def clean_for_history(text: str) -> str:
    """Return an answer as it goes back into a prompt: without chrome and without thinking."""
    return _BLOCK.sub("", text).strip()
