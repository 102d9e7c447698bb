"""Files on their way in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Upload:
    """An uploaded file."""

    filename: str
    content_type: str | None
    data: bytes
