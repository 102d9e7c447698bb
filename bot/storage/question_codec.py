"""Questions as what JSON can hold, and back, by the types of their fields.

A field that is added to the values of ``bot.core.domain`` is stored without further ado; one that a
stored question doesn't have yet gets its default. Pydantic's serialisers don't serve here: they refuse
lone surrogates, which people's messages may hold.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

from bot.core.domain import Question


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
        question = _decode(Question, json.loads(stored))
    except (KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError(f"not a stored question: {type(exc).__name__}") from exc
    if not isinstance(question, Question):
        raise ValueError("not a stored question")  # noqa: TRY004 - the content is wrong, not a type
    return question


def _decode(kind: Any, data: Any) -> Any:  # noqa: ANN401 - whatever a field's type is
    if isinstance(kind, NewType):
        return _decode(kind.__supertype__, data)
    if get_origin(kind) in {Union, types.UnionType}:
        inner = next(item for item in get_args(kind) if item is not types.NoneType)
        return None if data is None else _decode(inner, data)
    if get_origin(kind) is not None:
        return _decode_many(kind, data)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        known = {name: data[name] for name in hints if name in data}
        return kind(**{name: _decode(hints[name], item) for name, item in known.items()})
    if kind is datetime:
        return datetime.fromisoformat(data)
    if issubclass(kind, Enum):
        return kind(data)
    if type(data) is not kind:
        raise TypeError(f"{kind.__name__} expected")
    return data


def _decode_many(kind: Any, data: Any) -> Any:  # noqa: ANN401 - whatever a field's type is
    """Read a tuple, a frozen set, or a mapping; JSON has the keys of a mapping as text."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {inner[0](key): _decode(inner[1], item) for key, item in data.items()}
    if not isinstance(data, list):
        raise TypeError("a list expected")
    return origin(_decode(inner[0], item) for item in data)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
