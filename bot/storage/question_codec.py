"""Questions as what JSON can hold, and back, by the types of their fields.

A field that is added to the values of ``bot.core.domain`` is stored without further ado; one that a
stored question doesn't have yet gets its default. Pydantic's serialisers don't serve here: they refuse
lone surrogates, which people's messages may hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from pydantic import TypeAdapter

from bot.core.domain import Question

_QUESTION: Final = TypeAdapter(Question)


def encode(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    """Return a question, or what a field of it holds, as what JSON can hold."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(encode(item) for item in value)
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    return value


def load_question(stored: str) -> Question:
    """Read the JSON of what ``encode`` gave.

    Raises:
        ValueError: It isn't that (damaged, or from a version that wrote another form).
    """
    try:
        return _QUESTION.validate_python(json.loads(stored))
    except (ValueError, RecursionError) as exc:  # what pydantic says of itself holds people's words
        raise ValueError(f"not a stored question: {type(exc).__name__}") from exc
