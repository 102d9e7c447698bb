"""Downloads of models: ``/api/v1/models/download`` and its status."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sandbox.lmstudio import errors
from sandbox.lmstudio.errors import RefusalError

Status = Literal["downloading", "paused", "completed", "failed"]
TOTAL_BYTES = 2_279_145_003
BYTES_PER_SECOND = 50_000_000.0


@dataclass(slots=True)
class Download:
    """One job; nothing moves on by itself."""

    id: str
    key: str
    started_unix_s: float
    status: Status = "downloading"
    downloaded_bytes: int = 0
    completed_unix_s: float | None = None

    def body(self) -> dict[str, Any]:
        """Return what the routes tell of it."""
        found: dict[str, Any] = {
            "job_id": self.id,
            "status": self.status,
            "total_size_bytes": TOTAL_BYTES,
            "downloaded_bytes": self.downloaded_bytes,
            "started_at": _iso(self.started_unix_s),
        }
        if self.status == "downloading":
            left_s = (TOTAL_BYTES - self.downloaded_bytes) / BYTES_PER_SECOND
            found["bytes_per_second"] = BYTES_PER_SECOND
            found["estimated_completion"] = _iso(time.time() + left_s)
        if self.completed_unix_s is not None:
            found["completed_at"] = _iso(self.completed_unix_s)
        return found


@dataclass(slots=True)
class Downloads:
    """All jobs.

    Attributes:
        add: Called with the key of a model that is there now.
    """

    add: Callable[[str], None]
    jobs: dict[str, Download] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def start(self, model: str, *, has: Callable[[str], bool]) -> dict[str, Any]:
        """Begin a download, or go on with the one that runs; returns the reply."""
        key = "/".join(model.rstrip("/").split("/")[-2:]) if "://" in model else model
        if has(key):
            return {"status": "already_downloaded"}
        for job in self.jobs.values():
            if job.key == key and job.status in {"downloading", "paused"}:
                return job.body()
        job = Download(f"job_{next(self.numbers):010x}", key, time.time())
        self.jobs[job.id] = job
        return job.body()

    def status(self, job_id: str) -> dict[str, Any]:
        """Return a job's status.

        Raises:
            RefusalError: There is no such job.
        """
        job = self.jobs.get(job_id)
        if job is None:
            message = f"Download job with id '{job_id}' not found"
            raise RefusalError(errors.native(message, status=404, kind="job_not_found"))
        return job.body()

    def set(self, job_id: str, status: Status, *, share: float = 0.5) -> None:
        """Move a job on.

        Args:
            job_id: Which one.
            status: Its new status; ``completed`` adds the model, not loaded.
            share: How much of it is there, from 0 to 1.
        """
        job = self.jobs[job_id]
        job.status = status
        job.downloaded_bytes = int(TOTAL_BYTES * share)
        if status == "completed":
            job.downloaded_bytes = TOTAL_BYTES
            job.completed_unix_s = time.time()
            self.add(job.key)


def _iso(unix_s: float) -> str:
    text = datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
