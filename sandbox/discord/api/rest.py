"""The REST API: finds the route, checks the token, plays faults, keeps limits, answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web

from sandbox.discord.api.body import read_body
from sandbox.discord.api.buckets import Buckets
from sandbox.discord.api.request import ApiRequest, Result
from sandbox.discord.api.router import Route, Router
from sandbox.discord.faults import Fault, Faults
from sandbox.discord.gateway.identify_budget import IdentifyBudget
from sandbox.discord.options import Options
from sandbox.discord.records import Records, RequestRecord
from sandbox.discord.state.token import BotToken
from sandbox.discord.state.world import World
from sandbox.discord.values.errors import ApiError

_VIA = {"Via": "1.1 google"}
_NOTED = ("User-Agent", "Content-Type", "X-Audit-Log-Reason")


@dataclass(frozen=True)
class RestApi:
    """Answers everything below ``/api/v10``.

    Attributes:
        router: Finds the handlers.
        world: What they act on.
        options: Figures and switches of the sandbox.
        budget: How often the bot may still IDENTIFY.
        records: Where requests are recorded.
        faults: What shall go wrong.
        buckets: The rate limits.
        token: The bot's token.
        stopping: Is set when the sandbox stops: requests that hang end then.
    """

    router: Router
    world: World
    options: Options
    budget: IdentifyBudget
    records: Records
    faults: Faults
    buckets: Buckets
    token: BotToken
    stopping: asyncio.Event

    async def serve(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer one request."""
        body, files, broken = await read_body(request)
        record = RequestRecord(
            self.world.monotonic(),
            request.method,
            path,
            path,
            dict(request.query),
            body,
            tuple(upload.filename for upload in files.values()),
            {name: request.headers[name] for name in _NOTED if name in request.headers},
        )
        self.records.requests.append(record)
        self.world.changes.notify()
        try:
            route, params = self._find(record)
        except ApiError as error:
            return self._answer(record, error.status, error.body(), {})
        record.route = route.template
        fault = self.faults.take(record.method, route.template, path)
        delay_s = self.options.rest_delay_s / 2
        if delay_s:
            await asyncio.sleep(delay_s)
        if fault is not None:
            await fault.wait("before")
            record.fault = fault.name
            if fault.when == "before" and not fault.lets_through:
                return await self._play(fault, request, record)
        call = ApiRequest(self.world, self.options, self.budget, params, request.query, body, files)
        answer = self._act(route, call, request, record, broken)
        if delay_s:
            await asyncio.sleep(delay_s)
        if fault is not None:
            await fault.wait("after")
            if fault.when == "after" and not fault.lets_through:
                return await self._play(fault, request, record)
        record.answered_at = self.world.monotonic()
        return answer

    def _find(self, record: RequestRecord) -> tuple[Route, dict[str, str]]:
        try:
            found = self.router.find(record.method, record.path)
        except ApiError:
            self.records.unexpected.append(f"{record.method} {record.path}")
            raise
        if found is None:
            self.records.unexpected.append(f"{record.method} {record.path}")
            raise ApiError(0, status=404, message="404: Not Found")
        return found

    def _act(
        self,
        route: Route,
        call: ApiRequest,
        request: web.BaseRequest,
        record: RequestRecord,
        broken: ApiError | None,
    ) -> web.Response:
        headers: dict[str, str] = {}
        try:
            if route.token:
                self._authorise(request)
            limits = self.buckets.count(
                route.limit, _major(call.params), interaction=not route.token
            )
            headers = limits.headers
            if limits.retry_after_s is not None:
                return self._limited(record, limits.retry_after_s, limits.scope, headers)
            if broken is not None:
                raise broken
            result = self._handle(route, call, record)
        except ApiError as error:
            return self._answer(record, error.status, error.body(), headers)
        if result is None:
            return self._answer(record, 204, None, headers)
        return self._answer(record, route.status, result, headers)

    def _handle(self, route: Route, call: ApiRequest, record: RequestRecord) -> Result:
        try:
            return route.handler(call)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # The seam to bodies of any shape: Discord refuses what it can't make sense of.
            self.records.unexpected.append(f"{record.method} {record.path}: {error!r}")
            raise ApiError(50035, errors={}) from error

    def _authorise(self, request: web.BaseRequest) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bot" or not self.token.accepts(token):
            raise ApiError(0, status=401, message="401: Unauthorized")

    def _limited(
        self, record: RequestRecord, retry_after_s: float, scope: str, headers: dict[str, str]
    ) -> web.Response:
        body = {
            "message": "You are being rate limited.",
            "code": 0,
            "retry_after": round(retry_after_s, 3),
            "global": scope == "global",
        }
        headers |= {"Retry-After": str(int(retry_after_s) + 1), "X-RateLimit-Scope": scope}
        return self._answer(record, 429, body, headers)

    async def _play(
        self, fault: Fault, request: web.BaseRequest, record: RequestRecord
    ) -> web.StreamResponse:
        if fault.hang:
            record.status = 0
            record.answered_at = None
            await self.stopping.wait()
        if fault.reset or fault.hang:
            record.status = 0
            record.answered_at = None
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return self._answer(record, fault.status, fault.body, dict(fault.headers), fault)

    def _answer(
        self,
        record: RequestRecord,
        status: int,
        body: object,
        headers: Mapping[str, str],
        fault: Fault | None = None,
    ) -> web.Response:
        record.status = status
        record.answered_at = self.world.monotonic()
        if status >= 400 and isinstance(body, dict):
            record.code = int(body.get("code", 0))
        self.world.changes.notify()
        date = formatdate(self.world.now() + self.options.date_off_s, usegmt=True)
        all_headers = {**headers, "Date": date, **({} if fault and not fault.via else _VIA)}
        if status == 204:
            return web.Response(status=204, headers=all_headers)
        if fault is not None and isinstance(body, str):
            all_headers["Content-Type"] = fault.content_type
            return web.Response(status=status, body=body.encode(), headers=all_headers)
        all_headers["Content-Type"] = "application/json"
        content = json.dumps(body, separators=(",", ":")).encode()
        return web.Response(status=status, body=content, headers=all_headers)


def _major(params: Mapping[str, str]) -> str:
    for name in ("channel_id", "guild_id", "interaction_token"):
        if name in params:
            return params[name]
    return ""
