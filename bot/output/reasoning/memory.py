"""What is remembered of each model: whether its answers lack the opening tag of their thinking."""

from __future__ import annotations

import re
from typing import Final, Protocol

from bot.core.recent import Recent

PREFILLED_MODELS: Final = re.compile(
    r"(?:^|[/\-_.])(?:deepseek-r1|r1-distill|r1-0528|qwq)"
    r"|(?:^|[/\-_.])(?:thinking|reasoner)(?:$|[\-_.@:])|nemotron.{0,80}nano|minimax-m2",
    re.IGNORECASE,
)
"""Families whose chat template writes the opening tag into the prompt, so only the closing tag is
generated (SGLang docs, "separate reasoning"; the models' own chat templates)."""


class Finished(Protocol):
    """What the memory needs to know of an answer that has ended."""

    @property
    def saw_orphan_close(self) -> bool:
        """A closing tag came without its opening one."""
        ...

    @property
    def saw_open(self) -> bool:
        """A block of thinking was opened in the text, or came in a field of its own."""
        ...


class ModelMemory:
    """Remembers, per model, whether the opening tag is missing; bounded.

    Args:
        limit: How many models to remember; the least recently learnt one is forgotten.
        saved: What ``dump`` returned earlier; anything else is ignored.
    """

    def __init__(self, limit: int = 256, saved: object = None) -> None:
        known = saved.items() if isinstance(saved, dict) else ()
        self._known = Recent(limit, ((str(model), bool(lacks)) for model, lacks in known))

    def dump(self) -> dict[str, bool]:
        """Return what was learnt, to be given as ``saved`` after a restart."""
        return dict(self._known)

    def expects_missing_opening(self, model: str | None) -> bool:
        """Return whether to hold text until a closing tag; guessed by name until learnt."""
        if model is None:
            return False
        known = self._known.get(model)
        return bool(PREFILLED_MODELS.search(model)) if known is None else known

    def learn(self, model: str | None, pipeline: Finished) -> None:
        """Take note of how an answer of this model went; an answer without thinking says nothing."""
        if model is None or not (pipeline.saw_orphan_close or pipeline.saw_open):
            return
        self._known[model] = pipeline.saw_orphan_close
