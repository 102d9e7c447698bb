"""All routes but the completions: greeting, listings, load, unload, and the unknown ones."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.lmstudio import errors, listing, other_servers, wire
from sandbox.lmstudio.engine import Engine
from sandbox.lmstudio.errors import RefusalError
from sandbox.lmstudio.native_bodies import checked
from sandbox.lmstudio.values import ErrorReply, RecordedRequest

_JSON = {"Content-Type": "application/json; charset=utf-8"}
_LOAD_FIELDS: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "context_length": (int,),
    "eval_batch_size": (int,),
    "flash_attention": (bool,),
    "num_experts": (int,),
    "offload_kv_cache_to_gpu": (bool,),
    "echo_load_config": (bool,),
    "parallel": (int,),
    "ttl": (int,),
}
_DOWNLOAD_FIELDS: dict[str, tuple[type, ...]] = {"model": (str,), "quantization": (str,)}
_STATUS = "/api/v1/models/download/status/"


@dataclass(slots=True)
class Native:
    """Answers one request against the machine."""

    engine: Engine

    async def answer(self, record: RecordedRequest) -> web.Response:
        """Return the reply to any request that is no completion.

        Raises:
            RefusalError: With the error to send.
        """
        engine = self.engine
        await engine.pause(engine.timing.reply_s)
        engine.expire()
        found: object
        if engine.options.flavour == "lmstudio":
            found = await self._find(record.method, record.path, record.body)
        else:
            found = other_servers.find(engine, record.method, record.path)
        if isinstance(found, ErrorReply):
            raise RefusalError(found)
        if found is None:
            raise RefusalError(errors.unexpected_endpoint(record.method, record.path))
        return web.Response(body=wire.dumps(found), headers=_JSON)

    async def _find(self, method: str, path: str, body: object) -> dict[str, Any] | None:
        engine = self.engine
        if path.startswith("/api/v1/"):
            return None if engine.options.era == "0.3" else await self._v1(method, path, body)
        if method not in {"GET", "HEAD"}:
            return None
        if path == "/lmstudio-greeting":
            return {"lmstudio": True}
        if path == "/v1/models":
            return listing.openai_models(engine)
        if path == "/api/v0/models":
            return listing.v0_models(engine)
        model = engine.models.get(path.removeprefix("/api/v0/models/"))
        return listing.v0_model(engine, model) if model else None

    async def _v1(self, method: str, path: str, body: object) -> dict[str, Any] | None:
        if (method, path) == ("GET", "/api/v1/models"):
            return listing.v1_models(self.engine)
        if (method, path) == ("POST", "/api/v1/models/load"):
            return await self._load(body)
        if (method, path) == ("POST", "/api/v1/models/unload"):
            return self._unload(body)
        if (method, path) == ("POST", "/api/v1/models/download"):
            return self._download(body)
        if method == "GET" and path.startswith(_STATUS):
            return self.engine.downloads.status(path.removeprefix(_STATUS))
        return None

    def _download(self, body: object) -> dict[str, Any]:
        wanted = checked(body, _DOWNLOAD_FIELDS, ("model",))
        if "quantization" in wanted and "://" not in wanted["model"]:
            message = "'quantization' is only supported for Hugging Face links"
            raise RefusalError(errors.native(message, param="quantization"))
        models = self.engine.models
        return self.engine.downloads.start(wanted["model"], has=lambda key: key in models)

    async def _load(self, body: object) -> dict[str, Any]:
        wanted = checked(body, _LOAD_FIELDS, ("model",))
        model = self.engine.models.get(wanted["model"])
        if model is None:
            raise RefusalError(
                errors.native(
                    f"Model {wanted['model']} not found in downloaded models",
                    status=404,
                    kind="model_not_found",
                )
            )
        began = time.monotonic()
        try:
            instance = await self.engine.load(model, context_tokens=wanted.get("context_length"))
        except RefusalError as refusal:
            message = refusal.reply.message
            raise RefusalError(
                errors.native(message, status=500, kind="model_load_failed")
            ) from refusal
        instance.eval_batch_size = wanted.get("eval_batch_size", instance.eval_batch_size)
        instance.flash_attention = wanted.get("flash_attention", instance.flash_attention)
        timing = self.engine.timing
        seconds = timing.load_s if timing.instant else time.monotonic() - began
        found: dict[str, Any] = {
            "type": model.kind,
            "instance_id": instance.id,
            "load_time_seconds": round(seconds, 3),
            "status": "loaded",
        }
        if wanted.get("echo_load_config"):
            found["load_config"] = listing.instance_config(instance)
        return found

    def _unload(self, body: object) -> dict[str, Any]:
        wanted = checked(body, {"instance_id": (str,)}, ("instance_id",))
        name = wanted["instance_id"]
        if not self.engine.unload(name):
            raise RefusalError(
                errors.native(
                    f"Model with instance identifier '{name}' is not loaded.",
                    status=404,
                    kind="model_not_found",
                )
            )
        return {"instance_id": name}
