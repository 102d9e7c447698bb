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

    Anybody can have a model write a tag. So what one person's answer says holds for that person at
    once, and for the others when a second person's answer says it too.

    Args:
        limit: How many models to remember; the least recently learnt one is forgotten.
        saved: What ``dump`` returned earlier; anything else is ignored.
    """

    def __init__(self, limit: int = 256, saved: object = None) -> None:
        self._known: Recent[str, bool] = Recent(limit)
        self._doubts: Recent[str, tuple[int, bool]] = Recent(limit)
        for model, stored in saved.items() if isinstance(saved, dict) else ():
            if isinstance(stored, bool):
                self._known[str(model)] = stored
            elif isinstance(stored, list) and list(map(type, stored)) == [int, bool]:
                self._doubts[str(model)] = stored[0], stored[1]

    def dump(self) -> dict[str, object]:
        """Return what was learnt, to be given as ``saved`` after a restart."""
        doubts = {model: list(doubt) for model, doubt in self._doubts.items()}
        return {**doubts, **self._known}

    def expects_missing_opening(self, model: str | None, person_id: int = 0) -> bool:
        """Return whether to hold text until a closing tag; guessed by name until learnt.

        Args:
            model: Which one answers.
            person_id: Whom its answer is for.
        """
        if model is None:
            return False
        doubter_id, doubt = self._doubts.get(model, (None, False))
        return doubt if doubter_id == person_id else self._belief(model)

    def learn(self, model: str | None, pipeline: Finished, person_id: int = 0) -> None:
        """Take note of how an answer of this model went; an answer without thinking says nothing.

        Args:
            model: Which one answered.
            pipeline: Its answer.
            person_id: Whom the answer was for.
        """
        if model is None or not (pipeline.saw_orphan_close or pipeline.saw_open):
            return
        says = pipeline.saw_orphan_close
        doubter_id, doubt = self._doubts.pop(model, (person_id, says))
        if says == self._belief(model) or (doubt == says and doubter_id != person_id):
            self._known[model] = says
        else:
            self._doubts[model] = person_id, says

    def teach(self, model: str, *, is_missing: bool) -> None:
        """Note what a question of the bot's own has shown: it holds for everybody at once."""
        self._doubts.pop(model, None)
        self._known[model] = is_missing

    def forget(self, model: str) -> None:
        """Forget a model, whose template may be another from now on."""
        self._doubts.pop(model, None)
        self._known.pop(model, None)

    def _belief(self, model: str) -> bool:
        known = self._known.get(model)
        return bool(PREFILLED_MODELS.search(model)) if known is None else known
