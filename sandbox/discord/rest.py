"""The REST front: finds the route, checks the token, plays faults, keeps limits, answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from sandbox.discord.errors import ApiError
from sandbox.discord.faults import Fault
from sandbox.discord.messages import JsonObject, Message
from sandbox.discord.model import Channel, Guild
from sandbox.discord.permissions import Permission
from sandbox.discord.records import RequestRecord
from sandbox.discord.uploads import Upload

if TYPE_CHECKING:
    from sandbox.discord.server import DiscordSandbox
    from sandbox.discord.world import World

MAX_REQUEST_BYTES = 25 * 1024 * 1024
_VIA = {"Via": "1.1 google"}
_NOTED = ("User-Agent", "Content-Type", "X-Audit-Log-Reason")


@dataclass
class Call:
    """One request on its way to a handler."""

    sandbox: DiscordSandbox
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    files: Mapping[str, Upload]

    @property
    def world(self) -> World:
        """The world that it acts on."""
        return self.sandbox.world

    def id(self, name: str) -> int:
        """Return a snowflake of the path.

        Raises:
            ApiError: 50035, it is none.
        """
        return snowflake(self.params[name], name)

    def object(self) -> JsonObject:
        """Return the body, which must be a JSON object.

        Raises:
            ApiError: 50035 or 50109, it is none.
        """
        if isinstance(self.body, dict):
            return self.body
        error = {
            "code": "DICT_TYPE_CONVERT",
            "message": "Only dictionaries may be used in a DictType",
        }
        raise ApiError(50035, errors={"_errors": [error]})

    def channel(self, wanted: int = 0) -> Channel:
        """Return the channel of the path, which the bot must see and have these permissions in.

        Raises:
            ApiError: 10003, 50001 or 50013.
        """
        channel = self.world.channels.get(self.id("channel_id"))
        if channel is None:
            raise ApiError(10003)
        return self.allowed(channel, wanted)

    def allowed(self, channel: Channel, wanted: int) -> Channel:
        """Return the channel if the bot sees it and has these permissions.

        Raises:
            ApiError: 50001 or 50013.
        """
        if not self.world.bot_may(channel, Permission.VIEW_CHANNEL):
            raise ApiError(50001)
        if wanted and not self.world.bot_may(channel, wanted):
            raise ApiError(50013)
        return channel

    def message(self, channel: Channel, name: str = "message_id") -> Message:
        """Return the message of the path.

        Raises:
            ApiError: 10008.
        """
        message = channel.messages.get(self.id(name))
        if message is None:
            raise ApiError(10008)
        return message

    def guild(self) -> Guild:
        """Return the guild of the path, in which the bot must be.

        Raises:
            ApiError: 10004.
        """
        guild = self.world.guilds.get(self.id("guild_id"))
        if guild is None or self.world.bot_user.id not in guild.members:
            raise ApiError(10004)
        return guild


Result = JsonObject | list[Any] | None
Handler = Callable[[Call], Result]


def snowflake(value: object, path: str) -> int:
    """Return a snowflake as an int.

    Raises:
        ApiError: 50035 at ``path``.
    """
    text = str(value)
    if text.isascii() and text.isdigit() and len(text) <= 20:
        return int(text)
    error = {"code": "NUMBER_TYPE_COERCE", "message": f'Value "{text[:100]}" is not snowflake.'}
    raise ApiError(50035, errors={path: {"_errors": [error]}})


@dataclass(frozen=True)
class Route:
    """A method and template, and who answers it.

    Attributes:
        limit: Route class of ``buckets.DEFAULT_LIMITS``.
        status: Status of a success with a body; without one it is 204.
        token: False: no Authorization is asked (interaction callbacks, webhooks).
    """

    method: str
    template: str
    handler: Handler
    limit: str = "other"
    status: int = 200
    token: bool = True
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.template.strip("/").split("/")))

    def match(self, parts: tuple[str, ...]) -> dict[str, str] | None:
        """Return the path's parameters if it fits the template."""
        found: dict[str, str] = {}
        for mine, given in zip(self.parts, parts, strict=True):
            if mine[0] == "{":
                found[mine[1:-1]] = given
            elif mine != given:
                return None
        return found


class Router:
    """Finds routes by number of parts."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[int, list[Route]] = {}
        for route in sorted(routes, key=lambda each: each.template.count("{")):
            self._routes.setdefault(len(route.parts), []).append(route)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route and its parameters.

        Raises:
            ApiError: 405, the path exists with other methods only.
        """
        parts = tuple(unquote(part) for part in path.strip("/").split("/"))
        other = False
        for route in self._routes.get(len(parts), ()):
            params = route.match(parts)
            if params is None:
                continue
            if route.method == method:
                return route, params
            other = True
        if other:
            raise ApiError(0, status=405, message="405: Method Not Allowed")
        return None


class RestFront:
    """Answers everything below ``/api/v10``."""

    def __init__(self, sandbox: DiscordSandbox, router: Router) -> None:
        self._sandbox = sandbox
        self._router = router

    async def serve(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer one request."""
        sandbox = self._sandbox
        body, files, broken = await _read(request)
        record = RequestRecord(
            sandbox.world.monotonic(),
            request.method,
            path,
            path,
            dict(request.query),
            body,
            tuple(upload.filename for upload in files.values()),
            {name: request.headers[name] for name in _NOTED if name in request.headers},
        )
        sandbox.requests.append(record)
        sandbox.world.touch()
        try:
            route, params = self._find(record)
        except ApiError as error:
            return self._answer(record, error.status, error.body(), {})
        record.route = route.template
        fault = sandbox.faults.take(record.method, route.template, path)
        delay_s = sandbox.rest_delay_s / 2
        if delay_s or (fault and fault.delay_s):
            await asyncio.sleep(delay_s + (fault.delay_s if fault else 0))
        if fault is not None:
            record.fault = fault.name
            if fault.when == "before" and (fault.status or fault.reset or fault.hang):
                return await self._play(fault, request, record)
        call = Call(sandbox, params, request.query, body, files)
        answer = self._act(route, call, request, record, broken)
        if delay_s:
            await asyncio.sleep(delay_s)
            record.answered_at = sandbox.world.monotonic()
        if fault is not None and fault.when == "after":
            return await self._play(fault, request, record)
        return answer

    def _find(self, record: RequestRecord) -> tuple[Route, dict[str, str]]:
        try:
            found = self._router.find(record.method, record.path)
        except ApiError:
            self._sandbox.unexpected.append(f"{record.method} {record.path}")
            raise
        if found is None:
            self._sandbox.unexpected.append(f"{record.method} {record.path}")
            raise ApiError(0, status=404, message="404: Not Found")
        return found

    def _act(
        self,
        route: Route,
        call: Call,
        request: web.BaseRequest,
        record: RequestRecord,
        broken: ApiError | None,
    ) -> web.Response:
        sandbox = self._sandbox
        headers: dict[str, str] = {}
        try:
            if route.token:
                self._authorise(request)
            verdict = sandbox.buckets.judge(
                route.limit, _major(call.params), interaction=not route.token
            )
            headers = verdict.headers
            if verdict.retry_after_s is not None:
                return self._limited(record, verdict.retry_after_s, verdict.scope, headers)
            if broken is not None:
                raise broken
            result = self._handle(route, call, record)
        except ApiError as error:
            return self._answer(record, error.status, error.body(), headers)
        if result is None:
            return self._answer(record, 204, None, headers)
        return self._answer(record, route.status, result, headers)

    def _handle(self, route: Route, call: Call, record: RequestRecord) -> Result:
        try:
            return route.handler(call)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # The seam to bodies of any shape: Discord refuses what it can't make sense of.
            self._sandbox.unexpected.append(f"{record.method} {record.path}: {error!r}")
            raise ApiError(50035, errors={}) from error

    def _authorise(self, request: web.BaseRequest) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bot" or not self._sandbox.is_token(token):
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
            await self._sandbox.stopping.wait()
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
        record.answered_at = self._sandbox.world.monotonic()
        if status >= 400 and isinstance(body, dict):
            record.code = int(body.get("code", 0))
        self._sandbox.world.touch()
        all_headers = {**headers, **({} if fault and not fault.via else _VIA)}
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


async def _read(request: web.BaseRequest) -> tuple[Any, dict[str, Upload], ApiError | None]:
    """Return the parsed body, the files, and the refusal of a body that can't be parsed."""
    if (request.content_length or 0) > MAX_REQUEST_BYTES:
        return None, {}, ApiError(40005)
    if request.content_type.startswith("multipart/"):
        return await _read_multipart(request)
    raw = await request.read()
    return _parse(raw)


def _parse(raw: bytes) -> tuple[Any, dict[str, Upload], ApiError | None]:
    if not raw:
        return None, {}, None
    try:
        return json.loads(raw), {}, None
    except ValueError:
        return None, {}, ApiError(50109)


async def _read_multipart(
    request: web.BaseRequest,
) -> tuple[Any, dict[str, Upload], ApiError | None]:
    body: Any = None
    refusal: ApiError | None = None
    files: dict[str, Upload] = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        data = bytes(await part.read(decode=False))
        if part.name == "payload_json":
            body, _, refusal = _parse(data)
        elif part.name is not None and part.filename is not None:
            files[part.name] = Upload(part.filename, part.headers.get("Content-Type"), data)
    return body, files, refusal
