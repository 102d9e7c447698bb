"""What answers there: HTTP at all, LM Studio, with or without a token."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from bot.diagnostics.link import Fetched, Link, LinkError, Trouble
from bot.diagnostics.values import Finding, Limits, Status, Step

GREETING = "/lmstudio-greeting"
_SLOW_ROUND_TRIP_S = 0.15

_TROUBLE_TEXTS = {
    Trouble.TLS_ON_PLAIN: (
        "The address says https, but the server doesn't speak TLS.",
        "Write http:// in LMSTUDIO_BASE_URL; LM Studio itself never speaks https.",
    ),
    Trouble.CERTIFICATE: (
        "The server's certificate isn't trusted.",
        (
            "Give its CA with CLAWBOT_LMSTUDIO__CA_FILE or its fingerprint with "
            "CLAWBOT_LMSTUDIO__CERTIFICATE_SHA256."
        ),
    ),
    Trouble.NOT_HTTP: (
        "Something answers at that port, but not in plain HTTP.",
        "Compare the port with the one LM Studio shows; if a TLS proxy stands there, write https://.",
    ),
    Trouble.CLOSED: (
        "The server closes the connection without an answer.",
        "Compare the port with the one LM Studio shows, and restart its server.",
    ),
    Trouble.SILENT: (
        "The server accepts the connection, but doesn't answer.",
        "Restart the server in LM Studio; if the machine is overloaded, give it a moment.",
    ),
    Trouble.TOO_LARGE: (
        "The server sends far more than it should.",
        "Compare the port: that may not be LM Studio.",
    ),
}


def broken(step: Step, error: LinkError) -> Finding:
    """Put a failed exchange into words."""
    cause, advice = _TROUBLE_TEXTS[error.trouble]
    return Finding(step, Status.FAILED, cause, advice, technical=error.trouble.name.lower())


def error_text(fetched: Fetched) -> str:
    """Return the words of an error body in any of LM Studio's forms; empty without one."""
    body = fetched.json
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""


async def probe_http(link: Link, limits: Limits) -> tuple[Finding, Fetched | None]:
    """Ask for the greeting, and see whether it is HTTP that comes back."""
    try:
        fetched = await link.get(GREETING, limit_s=limits.http_s)
    except LinkError as exc:
        return broken(Step.HTTP, exc), None
    technical = f"status {fetched.status}, {fetched.duration_s * 1000:.0f} ms"
    if 300 <= fetched.status < 400:
        cause = "The server sends elsewhere instead of answering, and that is never followed."
        advice = "Write the final address into LMSTUDIO_BASE_URL, without any redirect."
        return Finding(Step.HTTP, Status.FAILED, cause, advice, technical=technical), None
    if fetched.status in {502, 503, 504} or (fetched.status >= 500 and fetched.is_html):
        cause = "A proxy answers, but LM Studio behind it doesn't."
        advice = "Start LM Studio's server and check where the proxy sends requests."
        return Finding(Step.HTTP, Status.FAILED, cause, advice, technical=technical), None
    return Finding(Step.HTTP, Status.OK, "It answers in HTTP.", technical=technical), fetched


async def probe_server(link: Link, greeting: Fetched, limits: Limits) -> Finding:
    """Tell LM Studio, a wrong path on it, its like, and something else apart."""
    body = greeting.json
    if isinstance(body, dict) and body.get("lmstudio") is True:
        return Finding(Step.SERVER, Status.OK, "It is LM Studio.")
    if greeting.status in {401, 403}:
        return Finding(Step.SERVER, Status.OK, "It asks for a token, as LM Studio does.")
    if link.has_path and "Unexpected endpoint" in error_text(greeting):
        return Finding(
            Step.SERVER,
            Status.FAILED,
            "LM Studio answers, but the configured address has a wrong path.",
            "Remove everything after the port from LMSTUDIO_BASE_URL; /v1 is added by itself.",
        )
    try:
        listed = await link.get("/v1/models", limit_s=limits.http_s / 2, authorised=False)
    except LinkError:
        return _stranger(greeting)
    found = listed.json
    if isinstance(found, dict) and isinstance(found.get("data"), list):
        return Finding(
            Step.SERVER,
            Status.WARNING,
            "It isn't LM Studio, or a very old one, but it speaks the same language.",
            "Update LM Studio if it is one; with another server, model details are unknown.",
        )
    return _stranger(greeting)


def _stranger(greeting: Fetched) -> Finding:
    kind = "a web page" if greeting.is_html else f"status {greeting.status}"
    return Finding(
        Step.SERVER,
        Status.FAILED,
        "Something else than LM Studio answers at that port.",
        "Compare address and port with those LM Studio shows in its Developer tab.",
        technical=f"the greeting gave {kind}",
    )


async def probe_path(link: Link, limits: Limits) -> Finding:
    """Time a few round trips that cost the server nothing."""
    trips: list[float] = []
    for _ in range(3):
        try:
            fetched = await link.get(GREETING, limit_s=limits.path_s / 3)
        except LinkError:
            continue
        trips.append(fetched.duration_s)
    return judge_path(trips, tried=3)


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
    try:
        given = await link.get("/v1/models", limit_s=limits.authentication_s / 2, authorised=True)
        finding = judge_token(given, configured=token is not None, has_path=link.has_path)
        if finding.status is not Status.OK or token is None:
            return finding
        bare = await link.get("/v1/models", limit_s=limits.authentication_s / 2)
    except LinkError as exc:
        return broken(Step.AUTHENTICATION, exc)
    if bare.status in {401, 403}:
        return finding
    return Finding(
        Step.AUTHENTICATION,
        Status.WARNING,
        "LM Studio answers without the token too, so anyone in its network can use it.",
        "Switch on “Require Authentication” in LM Studio's server settings.",
    )


def judge_token(given: Fetched, *, configured: bool, has_path: bool = False) -> Finding:
    """Say what a listing's status tells about the token.

    Args:
        given: The reply; its body may echo the token and is never shown.
        configured: A token was sent.
        has_path: The configured address goes on after the port.
    """
    finding = Finding(Step.AUTHENTICATION, Status.FAILED, "")
    if given.status == 401 and configured:
        return replace(
            finding,
            cause="LM Studio refuses the token.",
            advice="Make a new token in LM Studio's server settings and put it into "
            "LMSTUDIO_API_TOKEN.",
        )
    if given.status == 401:
        return replace(
            finding,
            cause="LM Studio asks for a token, and none is configured.",
            advice="Make one in LM Studio's server settings (Manage Tokens) and put it into "
            "LMSTUDIO_API_TOKEN.",
        )
    if given.status == 403:
        return replace(
            finding,
            cause="The token lacks a permission.",
            advice="Give the token the permission to list and use models in LM Studio's server "
            "settings.",
        )
    if given.status >= 300:
        return replace(
            finding,
            cause="The server can't list its models.",
            advice="Restart the server in LM Studio and look at its log.",
            technical=f"status {given.status}",
        )
    if "Unexpected endpoint" in error_text(given):
        return _no_listing(finding, has_path=has_path)
    cause = "The token is right." if configured else "No token is needed."
    return Finding(Step.AUTHENTICATION, Status.OK, cause)


def _no_listing(finding: Finding, *, has_path: bool) -> Finding:
    if has_path:
        return replace(
            finding,
            cause="LM Studio answers, but the configured address has a wrong path.",
            advice="Remove everything after the port from LMSTUDIO_BASE_URL.",
        )
    return replace(
        finding,
        cause="The server at that port doesn't know the list of models.",
        advice="Compare address and port with those LM Studio shows, and update LM Studio.",
    )
