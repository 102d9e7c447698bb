"""The sanitiser: characters, secrets, layout, markup and size, one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bot.output.layout import DiscordLayout
from bot.output.sanitise.chars import CharCleaner
from bot.output.sanitise.markdown import MarkdownGuard, fence_end
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.secret_guard import SecretGuard, SecretStream

_EDGE_CHARS: Final = 16
STEP_CHARS: Final = 512
"""How much is read at once: what a stage rewrites in its buffer costs no more than this, and a
reader of adversarial text can let others have their turn after some ten milliseconds of work."""

_CLINGS: Final = re.compile(
    "[\u0300-\u036f\u200c\u200d\u20d0-\u20ff\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
"""Characters that belong to the one before them."""


class Sanitiser:
    """Makes text harmless while it arrives; what has been given out stays as it is.

    Attributes:
        is_full: The size cap is reached; nothing more is given out.
    """

    def __init__(self, policy: OutputPolicy, secrets: SecretGuard) -> None:
        self._chars = CharCleaner(policy.max_emoji)
        self._secrets = SecretStream(secrets)
        self._layout = DiscordLayout()
        self._markdown = MarkdownGuard(policy)
        self._room = policy.max_chars
        self._edge = ""
        self._space: list[str] = []
        self._started = False
        self.is_full = False

    def feed(self, text: str, *, ended: bool = False) -> str:
        """Return what can be given out now; with ``ended``, all that ever will be."""
        if self.is_full:
            return ""
        if len(text) <= STEP_CHARS:
            return self._feed(text, ended=ended)
        return "".join(self.steps(text, ended=ended))

    def steps(self, text: str, *, ended: bool = False) -> Iterator[str]:
        """Yield what ``feed`` returns, each time after a bounded amount of work."""
        for start in range(0, max(1, len(text)), STEP_CHARS):
            if self.is_full:
                break
            piece = text[start : start + STEP_CHARS]
            is_last = ended and start + STEP_CHARS >= len(text)
            yield self._feed(piece, ended=is_last)

    def _feed(self, text: str, *, ended: bool) -> str:
        text = self._chars.feed(text, ended=ended)
        text = self._secrets.feed(text, ended=ended)
        text = self._layout.feed(text, ended=ended)
        text = self._markdown.feed(text, ended=ended)
        return self._fit(self._trimmed(text), ended=ended)

    def _trimmed(self, text: str) -> str:
        shown = text.rstrip()
        if not shown:
            if text and self._started:
                self._space.append(text)
            return ""
        before = "".join(self._space) if self._started else ""
        self._space = [text[len(shown) :]] if len(shown) < len(text) else []
        shown = before + shown if self._started else shown.lstrip()
        self._started = True
        return shown

    def _fit(self, text: str, *, ended: bool) -> str:
        if self.is_full:
            return ""
        text = self._edge + text
        self._edge = ""
        if len(text) > self._room:
            self.is_full = True
            end = self._room
            while end > 0 and (_CLINGS.match(text[end]) or text[end - 1] == "\u200d"):
                end -= 1
            return text[:end].rstrip()
        if not ended and len(text) > self._room - _EDGE_CHARS:
            end = max(0, self._room - _EDGE_CHARS)
            self._edge = text[end:]
            text = text[:end]
        self._room -= len(text)
        return text


def make_harmless(text: str, *, policy: OutputPolicy, secrets: SecretGuard) -> str:
    """Return a whole text made harmless, with every fence closed."""
    clean = Sanitiser(policy, secrets).feed(text, ended=True)
    return clean + fence_end(clean)
