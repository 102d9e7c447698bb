"""Having LM Studio download a model (``/api/v1/models/download``, 0.4), and following how far it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args
from urllib.parse import quote

from bot.lmstudio import errors
from bot.lmstudio.catalogue import natural
from bot.lmstudio.nodes import Node

_LIMIT_S: Final = 20.0
_MAX_ID_CHARS: Final = 100
_CATALOGUE_ID: Final = re.compile(r"[\w.-]{1,96}/[\w.@-]{1,96}", re.ASCII)
_HUGGING_FACE: Final = re.compile(r"https://huggingface\.co/[\w.-]{1,96}/[\w.-]{1,96}/?", re.ASCII)
_QUANTISATION: Final = re.compile(r"[\w.-]{1,24}", re.ASCII)

NOT_A_NAME: Final = (
    "That is no model that LM Studio can download. Give its name in LM Studio's catalogue, such as "
    "qwen/qwen3-8b, or its page, such as https://huggingface.co/lmstudio-community/Qwen3-8B-GGUF."
)
LINKS_ONLY: Final = "A quantisation can be chosen only with a page of huggingface.co."
TOO_OLD: Final = "This server can't download models: that needs LM Studio 0.4 or later."

State = Literal["downloading", "paused", "completed", "failed", "already_downloaded"]
_STATES: Final[dict[object, State]] = {state: state for state in get_args(State)}


@dataclass(frozen=True, slots=True)
class Download:
    """How far a download is.

    Attributes:
        job: Its id at the server; empty where there is none.
        done_bytes: How much is there.
        total_bytes: The whole, where known.
        bytes_per_s: How fast it goes, where known.
    """

    job: str
    state: State
    done_bytes: int = 0
    total_bytes: int | None = None
    bytes_per_s: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes by itself."""
        return self.state != "downloading"

    @property
    def left_s(self) -> float | None:
        """Seconds until it is complete, where that can be told."""
        if not self.bytes_per_s or self.total_bytes is None:
            return None
        return max(0, self.total_bytes - self.done_bytes) / self.bytes_per_s


def refusal(model: str, quantisation: str | None) -> str:
    """Return why this can't be asked for; empty where it can.

    Only names of the catalogue and pages of Hugging Face go to the server, which fetches what it is given.
    """
    is_link = _HUGGING_FACE.fullmatch(model) is not None
    if not is_link and not _CATALOGUE_ID.fullmatch(model):
        return NOT_A_NAME
    if quantisation is None:
        return ""
    return "" if is_link and _QUANTISATION.fullmatch(quantisation) else LINKS_ONLY


async def begin(node: Node, model: str, quantisation: str | None = None) -> Download:
    """Have a model downloaded; where that is under way already, it goes on as it is.

    Raises:
        DownloadError: Not by this name, or not by this server.
        BackendError: The server can't be asked.
    """
    if reason := refusal(model, quantisation):
        raise errors.DownloadError(reason)
    body = {"model": model} | ({"quantization": quantisation} if quantisation else {})
    return await _asked(node, "POST", "/api/v1/models/download", json.dumps(body).encode())


async def look(node: Node, job: str) -> Download:
    """Return how far a download is.

    Raises:
        DownloadError: The server knows of none.
        BackendError: The server can't be asked.
    """
    return await _asked(node, "GET", f"/api/v1/models/download/status/{quote(job, safe='')}")


async def _asked(node: Node, method: str, path: str, body: bytes | None = None) -> Download:
    try:
        reply = await node.transport.fetch_json(method, path, body, limit_s=_LIMIT_S)
    except errors.WrongEndpointError:
        raise errors.DownloadError(TOO_OLD) from None
    except (errors.InvalidRequestError, errors.ModelNotFoundError):
        raise errors.DownloadError("LM Studio knows no such model to download.") from None
    found = reply if isinstance(reply, dict) else {}
    state, job = _STATES.get(found.get("status")), found.get("job_id")
    if state is None:
        raise errors.BadResponseError("not a download's status")
    return Download(
        job=job if isinstance(job, str) and len(job) <= _MAX_ID_CHARS else "",
        state=state,
        done_bytes=natural(found.get("downloaded_bytes")) or 0,
        total_bytes=natural(found.get("total_size_bytes")),
        bytes_per_s=_rate(found.get("bytes_per_second")),
    )


def _rate(value: Any) -> float | None:  # noqa: ANN401 - whatever the server sent
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 2**40 else None
