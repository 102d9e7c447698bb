"""What answers there: HTTP at all, LM Studio, with or without a token."""

from __future__ import annotations

from statistics import median

from bot.core.errors import BackendError
from bot.core.tasks import within
from bot.diagnostics.link import Link, failed
from bot.diagnostics.values import Finding, Limits, Status, Step
from bot.lmstudio import errors
from bot.lmstudio.catalogue import NAMES_ONLY, fetch_catalogue
from bot.lmstudio.transport import GREETING, Reply

_SLOW_ROUND_TRIP_S = 0.15
_LISTING = "/v1/models"
_WRONG_PATH = "LM Studio answers, but the configured address has a wrong path."


async def probe_http(link: Link, limits: Limits) -> tuple[Finding, Reply | None]:
    """Ask for the greeting, and see whether it is HTTP that comes back."""
    began_s = link.clock.monotonic()
    try:
        reply = await link.bare.fetch("GET", GREETING, limit_s=limits.http_s)
    except BackendError as exc:
        return failed(Step.HTTP, exc), None
    took_s = link.clock.monotonic() - began_s
    if 300 <= reply.status < 400:
        cause = "The server sends elsewhere instead of answering, and that is never followed."
        return failed(Step.HTTP, errors.RedirectError(), cause), None
    if reply.status in {502, 503, 504} or (reply.status >= 500 and is_html(reply)):
        cause = "A proxy answers, but LM Studio behind it doesn't."
        return failed(Step.HTTP, errors.ServerFaultError(reply.status), cause), None
    technical = f"status {reply.status}, {took_s * 1000:.0f} ms"
    return Finding(Step.HTTP, Status.OK, "It answers in HTTP.", technical=technical), reply


def is_html(reply: Reply) -> bool:
    """Return whether a reply is a web page."""
    return "html" in reply.content_type or reply.body[:64].lstrip().lower().startswith(b"<")


async def probe_server(link: Link, greeting: Reply, limits: Limits) -> Finding:
    """Tell LM Studio, a wrong path on it, its like, and something else apart."""
    body = greeting.json
    if isinstance(body, dict) and body.get("lmstudio") is True:
        return Finding(Step.SERVER, Status.OK, "It is LM Studio.")
    if greeting.status in {401, 403}:
        return Finding(Step.SERVER, Status.OK, "It asks for a token, as LM Studio does.")
    if link.has_path and _is_unknown_route(greeting):
        return failed(Step.SERVER, errors.WrongEndpointError(), _WRONG_PATH)
    try:
        await within(link.clock, fetch_catalogue(link.bare, NAMES_ONLY), limits.http_s / 2)
    except (BackendError, TimeoutError):
        return _stranger(greeting)
    return Finding(
        Step.SERVER,
        Status.WARNING,
        "It isn't LM Studio, or a very old one, but it speaks the same language.",
        "Update LM Studio if it is one; with another server, model details are unknown.",
    )


def _is_unknown_route(reply: Reply) -> bool:
    """Whether LM Studio says that it has no such route, which it does with status 200."""
    return reply.status == 200 and isinstance(reply.failure, errors.WrongEndpointError)


def _stranger(greeting: Reply) -> Finding:
    kind = "a web page" if is_html(greeting) else f"status {greeting.status}"
    return Finding(
        Step.SERVER,
        Status.FAILED,
        "Something else than LM Studio answers at that port.",
        "Compare address and port with those LM Studio shows in its Developer tab.",
        technical=f"the greeting gave {kind}",
    )


async def probe_path(link: Link, limits: Limits) -> Finding:
    """Time a few round trips that cost the server nothing."""
    trips_s: list[float] = []
    for _ in range(3):
        began_s = link.clock.monotonic()
        try:
            await link.bare.fetch("GET", GREETING, limit_s=limits.path_s / 3)
        except BackendError:
            continue
        trips_s.append(link.clock.monotonic() - began_s)
    return judge_path(trips_s, tried=3)


def judge_path(trips_s: list[float], *, tried: int) -> Finding:
    """Say what round trips tell about the way to the server.

    Args:
        trips_s: Those that came back, in seconds.
        tried: How many were sent.
    """
    if not trips_s:
        cause, advice = "No round trip came back in time.", "See whether the machine is overloaded."
        return Finding(Step.PATH, Status.WARNING, cause, advice)
    middle_s = median(trips_s)
    technical = f"round trip {middle_s * 1000:.1f} ms, {len(trips_s)} of {tried} came back"
    if len(trips_s) < tried:
        cause = "Some round trips were lost or very late."
    elif middle_s > _SLOW_ROUND_TRIP_S:
        cause = "The way to the server is slow."
    else:
        cause = "The way to the server is quick."
        return Finding(Step.PATH, Status.OK, cause, technical=technical)
    advice = "Use a cable instead of Wi-Fi, or move closer to the access point."
    return Finding(Step.PATH, Status.WARNING, cause, advice, technical=technical)


async def probe_token(link: Link, token: str | None, limits: Limits) -> Finding:
    """See whether the token is needed, and whether it is the right one."""
    limit_s = limits.authentication_s / 2
    try:
        given = await link.own.fetch("GET", _LISTING, limit_s=limit_s)
        finding = judge_token(given, configured=token is not None, has_path=link.has_path)
        if finding.status is not Status.OK or token is None:
            return finding
        bare = await link.bare.fetch("GET", _LISTING, limit_s=limit_s)
    except BackendError as exc:
        return failed(Step.AUTHENTICATION, exc)
    if bare.status in {401, 403}:
        return finding
    return Finding(
        Step.AUTHENTICATION,
        Status.WARNING,
        "LM Studio answers without the token too, so anyone in its network can use it.",
        "Switch on “Require Authentication” in LM Studio's server settings.",
    )


def judge_token(given: Reply, *, configured: bool, has_path: bool = False) -> Finding:
    """Say what a listing's status tells about the token.

    Args:
        given: The reply; its body may echo the token and is never shown.
        configured: A token was sent.
        has_path: The configured address goes on after the port.
    """
    failure = given.failure
    if failure is None:
        cause = "The token is right." if configured else "No token is needed."
        return Finding(Step.AUTHENTICATION, Status.OK, cause)
    cause = "The server can't list its models."
    if isinstance(failure, errors.AuthenticationError):
        cause = "LM Studio asks for a token, and none is configured."
        if configured:
            cause = "LM Studio refuses the token."
    elif isinstance(failure, errors.PermissionDeniedError):
        cause = "The token lacks a permission."
    elif _is_unknown_route(given):
        cause = "The server at that port doesn't know the list of models."
        if has_path:
            cause = _WRONG_PATH
    return failed(Step.AUTHENTICATION, failure, cause)
