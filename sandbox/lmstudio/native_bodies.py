"""The native routes' bodies: checked strictly, also for unknown keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.lmstudio import errors
from sandbox.lmstudio.errors import RefusalError


def checked(
    body: object, fields: Mapping[str, tuple[type, ...]], required: Sequence[str]
) -> dict[str, Any]:
    """Return a body that has what it must have, and nothing else.

    Raises:
        RefusalError: With LM Studio's text.
    """
    given = body if isinstance(body, dict) else {}
    for name in required:
        if name not in given:
            message = f'"{name}" is required'
            raise RefusalError(
                errors.native(message, code="missing_required_parameter", param=name)
            )
    unknown = [name for name in given if name not in fields]
    if unknown:
        names = ", ".join(f"'{name}'" for name in unknown)
        message = f"Unrecognized key(s) in object: {names}"
        raise RefusalError(errors.native(message, code="unrecognized_keys"))
    for name, value in given.items():
        right = isinstance(value, fields[name]) and (
            bool in fields[name] or not isinstance(value, bool)
        )
        if not right:
            message = f"Invalid type for '{name}'"
            raise RefusalError(errors.native(message, code="invalid_type", param=name))
    return given
