"""Addresses of the sandbox, below the origin at which it listens."""

from __future__ import annotations

API_PATH = "/api/v10"
GATEWAY_PATH = "/gateway"


def api_base(origin: str) -> str:
    """Return where REST is, version included."""
    return origin + API_PATH


def gateway_url(origin: str) -> str:
    """Return where the gateway is."""
    return origin.replace("http", "ws", 1) + GATEWAY_PATH


def resume_gateway_url(origin: str) -> str:
    """Return where READY sends those who resume."""
    return f"{gateway_url(origin)}/resume"
