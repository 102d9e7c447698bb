"""The LM Studio client: the wire, its failures, retries, health, several servers."""

from __future__ import annotations

from bot.lmstudio.backend import LMStudioBackend, open_backend
from bot.lmstudio.errors import BackendUnavailableError
from bot.lmstudio.nodes import NodeStatus

__all__ = ["BackendUnavailableError", "LMStudioBackend", "NodeStatus", "open_backend"]
