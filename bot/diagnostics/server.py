"""What answers there: TLS, HTTP at all, LM Studio or its like, with or without a token."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import median
from typing import Final

from bot.core.errors import BackendError
from bot.diagnostics.link import Way, failed, greets, is_greeting
from bot.diagnostics.reach import LOSSY, SAMPLES, SIGN_S, link_facts
from bot.diagnostics.values import Fact, Finding, Status, Step, one_line
from bot.lmstudio import errors
from bot.lmstudio.catalogue import NAMES_ONLY, ROUTES, fetch_catalogue
from bot.lmstudio.transport import COMPLETIONS, GREETING, Reply, Transport

HTTP_S: Final = 2.9
SAMPLE_S: Final = 0.35
"""Seconds for each round trip of five."""
_SLOW_ROUND_TRIP_S: Final = 0.15
_SLOW_BYTES_S: Final = 125_000
"""Bytes a second (1 Mbit/s) below which a picture of some hundred KB takes seconds to get there."""
LOADS_BYTES: Final = (32_768, 524_288)
"""What is sent to see how much the way carries: more only where the first was quick."""
LOAD_S: Final = 0.55
"""Seconds for each of them."""
PATH_S: Final = SAMPLES * SAMPLE_S + 3 * LOAD_S + 0.1
_LEAST_LOAD_S: Final = 0.01
"""A shorter time measures the two machines, not the way."""
_LISTING: Final = "/v1/models"
_PADDED: Final = b'{"padding":"%b"}'
"""A request without messages: whoever speaks this language refuses it, and no model is touched."""
_NEWEST: Final = "It is LM Studio 0.4 or newer (native API v1)."
_OLDER: Final = (
    "It is LM Studio 0.3 (native API v0), which works; it answers one question at a time, and can't load "
    "models."
)
_OLDEST: Final = "It is an LM Studio before 0.3.6 (no native API), which works; it doesn't tell which model is loaded."
_GENERATIONS: Final = (("0.4", _NEWEST), ("0.3", _OLDER), ("before 0.3.6", _OLDEST))
"""By the first list of models that it knows."""
_KINDS: Final = {
    "llamacpp": ("llama.cpp's server", "it can't load models and tells nothing of thinking"),
    "vllm": ("vLLM", "it can't load models and tells nothing of vision or thinking"),
    "library": ("Ollama", "it tells nothing of context length, vision or thinking"),
}
"""Servers by what they call the owner of a model in ``/v1/models``, and what is missing there."""


async def greet(way: Way) -> Reply | BackendError:
    """Ask for the greeting once; TLS and HTTP are judged by what came of it."""
    if way.greeting is None:
        began_s = way.clock.monotonic()
        try:
            way.greeting = await way.bare.fetch("GET", GREETING, limit_s=HTTP_S)
        except BackendError as exc:
            way.greeting = exc
        way.greeted_s = way.clock.monotonic() - began_s
    return way.greeting


async def probe_tls(way: Way) -> Finding:
    """See whether the encrypted connection stands and is trusted."""
    greeting = await greet(way)
    if isinstance(greeting, errors.TlsError):
        return failed(Step.TLS, greeting)
    if isinstance(greeting, errors.BackendUnavailableError):  # the port is open
        return failed(
            Step.TLS,
            errors.TlsError(),
            "The server ends the encrypted connection while it is being set up.",
            "See in the log of the server, or of the proxy before it, whether it takes only old TLS or "
            "wants a certificate of the bot.",
        )
    return Finding(Step.TLS, Status.OK, "The certificate is trusted.")


async def probe_http(way: Way) -> Finding:
    """See whether it is HTTP that comes back."""
    reply = await greet(way)
    if isinstance(reply, BackendError):
        is_closed = isinstance(reply, errors.DisconnectedError | errors.NotHttpError)
        if is_closed and way.endpoint.scheme == "http" and await _speaks_tls(way):
            return failed(Step.HTTP, errors.TlsError(), *_ONLY_HTTPS)
        return failed(Step.HTTP, reply)
    finding = _in_between(way, reply)
    if finding is not None:
        return finding
    facts = {"reply_ms": round(way.greeted_s * 1000, 1)}
    return Finding(Step.HTTP, Status.OK, "It answers in HTTP.", facts=facts)


_ONLY_HTTPS: Final = (
    "The server takes only https at that port, and the address says http.",
    "Let LMSTUDIO_BASE_URL begin with https.",
)


def _in_between(way: Way, reply: Reply) -> Finding | None:
    """Say what answers in LM Studio's place, where its greeting shows that."""
    status = reply.status
    failure = reply.failure
    if isinstance(failure, errors.TlsError):
        return failed(Step.HTTP, errors.TlsError(), *_ONLY_HTTPS)
    if 300 <= status < 400:
        return _redirected(way, reply.location)
    if status in {407, 511}:
        return failed(
            Step.HTTP,
            errors.PermissionDeniedError(),
            "A proxy or a network's log-in page is on the way, and asks for a log-in.",
            "Let the bot's machine reach LM Studio without that proxy, or log in to the network there.",
        )
    if status == 421:
        return failed(
            Step.HTTP,
            errors.WrongEndpointError(),
            "A proxy answers, but it serves nothing under the name in the address.",
            "Write the name that the proxy serves into LMSTUDIO_BASE_URL.",
        )
    if status >= 400 and isinstance(failure, errors.BusyError | errors.StillLoadingError):
        return failed(Step.HTTP, failure)
    if status >= 500:
        is_proxy = status in {502, 503, 504} or is_html(reply)
        cause = "A proxy answers, but LM Studio behind it doesn't." if is_proxy else ""
        return failed(Step.HTTP, errors.ServerFaultError(status), cause)
    return None


def _redirected(way: Way, location: str) -> Finding:
    """Say where a redirect leads, to the operator; to the same machine's https is a case of its own."""
    cause = "The server redirects to another address, which the bot never follows."
    finding = failed(Step.HTTP, errors.RedirectError(), cause)
    if location.lower().startswith(f"https://{way.endpoint.host}"):
        finding = failed(Step.HTTP, errors.TlsError(), *_ONLY_HTTPS)
    return replace(finding, technical=one_line(f"redirect to {location}"))


async def _speaks_tls(way: Way) -> bool:
    """Return whether TLS is spoken there, trusted or not."""
    transport = Transport(replace(way.endpoint, scheme="https"), way.clock, way.resolver)
    way.stack.push_async_callback(transport.aclose)
    try:
        await transport.fetch("GET", GREETING, limit_s=SIGN_S)
    except BackendError as exc:
        return isinstance(exc, errors.CertificateError)
    return True


def is_html(reply: Reply) -> bool:
    """Return whether a reply is a web page."""
    return "html" in reply.content_type or reply.body[:64].lstrip().lower().startswith(b"<")


async def probe_server(way: Way) -> Finding:
    """Tell LM Studio, a wrong path on it, its like, and something else apart."""
    greeting = way.greeting
    if not isinstance(greeting, Reply):
        return failed(Step.SERVER, errors.SilentServerError())
    if is_greeting(greeting):
        return await _of_generation(way)
    if greeting.status in {401, 403}:
        return _kept_shut(greeting)
    if way.endpoint.prefix and (_is_unknown_route(greeting) or await _is_at_the_root(way)):
        cause = "LM Studio answers, but the configured address has a wrong path."
        return failed(Step.SERVER, errors.WrongEndpointError(), cause)
    return await _by_listing(way, greeting)


async def _by_listing(way: Way, greeting: Reply) -> Finding:
    """Tell by its list of models what a server is that doesn't greet."""
    try:
        listing = await way.own.fetch("GET", _LISTING, limit_s=HTTP_S / 2)
        if listing.status in {401, 403} and not is_html(listing):
            return _kept_shut(listing)
        owners = _owners(listing.json)
        known = next((_KINDS[owner] for owner in owners if owner in _KINDS), None)
        if known is None:
            await fetch_catalogue(way.own, NAMES_ONLY)
    except BackendError:
        return await _stranger(way, greeting)
    if known is not None:
        name, missing = known
        return Finding(Step.SERVER, Status.OK, f"It is {name}, which works; {missing}.")
    if not any(owner.startswith("organization") for owner in owners):
        cause = "It isn't LM Studio, but it speaks the same language, which works; it tells little of its models."
        return Finding(Step.SERVER, Status.OK, cause)
    return Finding(
        Step.SERVER,
        Status.WARNING,
        "It is a very old LM Studio, or a proxy before it doesn't pass all paths on.",
        "Update LM Studio, or let the proxy pass on whatever it is asked.",
    )


def _kept_shut(reply: Reply) -> Finding:
    cause = "It asks for a token, as LM Studio does."
    if is_html(reply):
        cause = "A proxy in front of it asks for a log-in."
    return Finding(Step.SERVER, Status.OK, cause)


async def _of_generation(way: Way) -> Finding:
    """Tell LM Studio's generations apart by which lists of models they know; a refusal knows it too."""
    try:
        if not await _knows(way, _LISTING):
            return failed(
                Step.SERVER,
                errors.WrongEndpointError(),
                "LM Studio answers, but what is asked under /v1 doesn't get there.",
                "Let the proxy before LM Studio pass paths on as they are (nginx: no path after "
                "proxy_pass's port).",
            )
        source = 0
        while source < NAMES_ONLY and not await _knows(way, ROUTES[source][0]):
            source += 1
    except BackendError:
        return Finding(Step.SERVER, Status.OK, "It is LM Studio.")
    generation, cause = _GENERATIONS[source]
    return Finding(Step.SERVER, Status.OK, cause, facts={"generation": generation})


async def _knows(way: Way, path: str) -> bool:
    """Return whether a server knows a route."""
    reply = await way.own.fetch("GET", path, limit_s=HTTP_S / 5)
    return not isinstance(reply.failure, errors.WrongEndpointError)


def _owners(listing: object) -> list[str]:
    """Return what a list of models calls the owner of each."""
    rows = listing.get("data") if isinstance(listing, dict) else None
    rows = rows if isinstance(rows, list) else []
    return [str(row.get("owned_by")) for row in rows if isinstance(row, dict)]


async def _is_at_the_root(way: Way) -> bool:
    """Return whether LM Studio answers at the same host and port without the path."""
    root = replace(way.endpoint, prefix="")
    transport = Transport(root, way.clock, way.resolver, tls=way.target.tls)
    return await greets(transport, HTTP_S / 4)


def _is_unknown_route(reply: Reply) -> bool:
    """Whether LM Studio says that it has no such route, which it does with status 200."""
    return reply.status == 200 and isinstance(reply.failure, errors.WrongEndpointError)


async def _stranger(way: Way, greeting: Reply) -> Finding:
    technical = f"the greeting gave status {greeting.status}"
    if not way.endpoint.prefix.endswith(_DEEPER) and await _lists_deeper(way):
        cause = "A server that works answers there, but under /api."
        advice = "Let LMSTUDIO_BASE_URL end with /api."
        finding = failed(Step.SERVER, errors.WrongEndpointError(), cause, advice)
        return replace(finding, technical=technical)
    cause = "Something other than LM Studio answers at that port."
    if is_html(greeting):
        cause = "A web page, such as a router's, answers at that port instead of LM Studio."
    advice = "Compare address and port with those LM Studio shows in its Developer tab."
    return Finding(Step.SERVER, Status.FAILED, cause, advice, technical=technical)


_DEEPER: Final = "/api"


async def _lists_deeper(way: Way) -> bool:
    """Return whether models are listed below ``/api``, as routers on the internet do; without the token."""
    deeper = replace(way.endpoint, prefix=way.endpoint.prefix + _DEEPER)
    transport = Transport(deeper, way.clock, way.resolver, tls=way.target.tls)
    way.stack.push_async_callback(transport.aclose)
    try:
        return bool((await fetch_catalogue(transport, NAMES_ONLY)).models)
    except BackendError:
        return False


async def probe_path(way: Way) -> Finding:
    """Time five round trips that cost the server nothing, and how much the way carries."""
    trips_s: list[float] = []
    for _ in range(SAMPLES):
        began_s = way.clock.monotonic()
        try:
            await way.bare.fetch("GET", GREETING, limit_s=SAMPLE_S)
        except BackendError:
            continue
        trips_s.append(way.clock.monotonic() - began_s)
    carried = await _carried(way) if len(trips_s) == SAMPLES else {}
    finding = judge_path(trips_s, tried=SAMPLES, carried=carried)
    way.is_poor = finding.status is not Status.OK
    return finding


async def _carried(way: Way) -> dict[str, Fact]:
    """Measure how fast a request's bytes get to the server; empty where it doesn't read them.

    They go along in a request that asks for nothing, which a server reads whole before it refuses it.
    """
    facts: dict[str, Fact] = {}
    empty_s = await _refused_after_s(way, 0)
    if empty_s is None or empty_s == math.inf:
        return facts
    for size in LOADS_BYTES:
        whole_s = await _refused_after_s(way, size)
        if whole_s is None:
            break
        if whole_s == math.inf:
            return facts or {"bytes_s_below": round(size / LOAD_S)}
        took_s = max(_LEAST_LOAD_S, whole_s - empty_s)
        name = "bytes_s" if took_s > _LEAST_LOAD_S else "bytes_s_above"
        facts = {name: round(size / took_s)}
        if took_s > LOAD_S * LOADS_BYTES[0] / LOADS_BYTES[1]:
            break
    return facts


async def _refused_after_s(way: Way, size: int) -> float | None:
    """Return after how many seconds a request of so many bytes is refused for what it lacks.

    Infinite where that takes too long; ``None`` where something else comes back.
    """
    body = _PADDED % (b"0" * size)
    began_s = way.clock.monotonic()
    try:
        reply = await way.own.fetch("POST", COMPLETIONS, body, limit_s=LOAD_S)
    except errors.SilentServerError:
        return math.inf
    except BackendError:
        return None
    is_read = reply.status in {400, 422} and isinstance(reply.json, dict)
    return way.clock.monotonic() - began_s if is_read else None


def judge_path(
    trips_s: list[float], *, tried: int, carried: Mapping[str, Fact] | None = None
) -> Finding:
    """Say what round trips tell about the way to the server.

    Args:
        trips_s: Those that came back, in seconds.
        tried: How many were sent.
        carried: How many bytes a second it takes: measured, or what they are above or below.
    """
    facts = {**link_facts(trips_s, tried), **(carried or {})}
    if not trips_s:
        cause = "The server answers, but takes far too long even for the shortest reply."
        advice = "See what overloads the model's machine, or holds replies back on the way to it."
        return Finding(Step.PATH, Status.FAILED, cause, advice, facts=facts)
    if len(trips_s) < tried:
        cause = "Some round trips were lost or very late."
        return Finding(Step.PATH, Status.WARNING, cause, LOSSY, facts=facts)
    most_bytes_s = facts.get("bytes_s", facts.get("bytes_s_below", _SLOW_BYTES_S))
    if median(trips_s) > _SLOW_ROUND_TRIP_S or float(most_bytes_s) < _SLOW_BYTES_S:
        cause = "The way to the server is slow."
        advice = "See what else uses the network between the two machines; a cable is quicker than Wi-Fi."
        return Finding(Step.PATH, Status.WARNING, cause, advice, facts=facts)
    return Finding(Step.PATH, Status.OK, "The way to the server is quick.", facts=facts)


async def probe_token(way: Way) -> Finding:
    """See whether the token is needed, and whether it is the right one."""
    token = way.target.api_token
    try:
        given = await _refusal_or_list(way.own)
        finding = judge_token(given, token=token, is_lmstudio=is_greeting(way.greeting))
        if finding.status is not Status.OK or token is None:
            return finding
        bare = await _refusal_or_list(way.bare)
    except BackendError as exc:
        return failed(Step.AUTHENTICATION, exc)
    if bare.status in {401, 403}:
        return finding
    return Finding(
        Step.AUTHENTICATION,
        Status.WARNING,
        "The server answers without the token too, so anyone in its network can use it.",
        "Switch on “Require Authentication” in LM Studio's server settings.",
    )


async def _refusal_or_list(transport: Transport) -> Reply:
    """Return the list of models, or how the token is refused where only the model itself is kept shut.

    llama.cpp's server and routers on the internet list their models to everybody.
    """
    listing = await transport.fetch("GET", _LISTING, limit_s=HTTP_S)
    if listing.failure is not None:
        return listing
    asked = await transport.fetch("POST", COMPLETIONS, _PADDED % b"", limit_s=HTTP_S)
    return asked if asked.status in {401, 403} else listing


_KEPT_OUT: Final = (
    "A proxy before LM Studio turns the bot away.",
    "Let the proxy pass on what the bot's machine asks, without a password.",
)


def judge_token(given: Reply, *, token: str | None, is_lmstudio: bool) -> Finding:
    """Say what a reply's status tells about the token.

    Args:
        given: The reply; its body may echo the token and is never shown.
        token: What was sent.
        is_lmstudio: The server is one beyond doubt.
    """
    failure = given.failure
    if failure is None:
        cause = "The token is right." if token else "No token is needed."
        return Finding(Step.AUTHENTICATION, Status.OK, cause)
    cause, advice = "The server can't list its models.", ""
    if is_html(given) and given.status in {401, 403}:
        cause, advice = _KEPT_OUT
    elif isinstance(failure, errors.AuthenticationError):
        cause, advice = _refused(token, is_lmstudio=is_lmstudio)
    elif isinstance(failure, errors.PermissionDeniedError) and not token:
        cause, advice = _KEPT_OUT
    elif isinstance(failure, errors.PermissionDeniedError):
        cause = "The token lacks a permission."
    return failed(Step.AUTHENTICATION, failure, cause, advice)


def _refused(token: str | None, *, is_lmstudio: bool) -> tuple[str, str]:
    """Return cause and advice for a token that isn't taken; none of LM Studio's has another form."""
    if not token:
        return "The server asks for a token, and none is configured.", ""
    if not is_lmstudio:
        return (
            "The server refuses the token.",
            "Compare LMSTUDIO_API_TOKEN with the key that the server was started with.",
        )
    if not token.startswith("sk-lm-") or "xxxx" in token:
        return (
            (
                "LMSTUDIO_API_TOKEN holds a placeholder or another program's key, not a token of LM "
                "Studio."
            ),
            (
                "Create an API token in LM Studio's server settings, which begins with sk-lm-, and copy "
                "it whole into LMSTUDIO_API_TOKEN."
            ),
        )
    return (
        "LM Studio refuses the token.",
        (
            "Compare LMSTUDIO_API_TOKEN with the one in LM Studio's server settings, or create a new one "
            "there."
        ),
    )
