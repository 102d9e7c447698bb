"""How the sandbox behaves where Discord itself varies."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Options:
    """Figures and switches; they may be changed while the sandbox runs.

    Attributes:
        rest_delay_s: Every REST request's way there and back, in seconds; half of it each.
        heartbeat_interval_ms: What HELLO says.
        heartbeat_grace_s: A bot silent for two intervals and this long is closed with 4009.
        nonce_window_s: How long an enforced nonce is remembered ("the past few minutes").
        date_off_s: How far Discord's clock is ahead of ours, in its Date header, in seconds.
        refuse_old_edits: Edits of messages older than an hour get 30046.
        shards: How many shards GET /gateway/bot recommends.
        max_concurrency: How many shards may IDENTIFY at the same time.
    """

    rest_delay_s: float = 0.0
    heartbeat_interval_ms: int = 41_250
    heartbeat_grace_s: float = 1.0
    nonce_window_s: float = 300.0
    date_off_s: float = 0.0
    refuse_old_edits: bool = False
    shards: int = 1
    max_concurrency: int = 1
