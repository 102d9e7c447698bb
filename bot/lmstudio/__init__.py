"""The LM Studio client: the wire, its failures, retries, health, several servers."""

from __future__ import annotations

from bot.lmstudio.backend import LMStudioBackend, open_backend
from bot.lmstudio.errors import BackendUnavailableError

__all__ = ["BackendUnavailableError", "LMStudioBackend", "open_backend"]
