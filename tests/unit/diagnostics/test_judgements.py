"""Each state of affairs has its sentence."""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest

from bot.diagnostics.completion import Heard
from bot.diagnostics.completion import judge as judge_completion
from bot.diagnostics.link import Fetched
from bot.diagnostics.models import Inventory, Seen, judge, read_names, read_native, read_v0
from bot.diagnostics.reach import Knock, classify, refusal, worst
from bot.diagnostics.server import judge_path, judge_token
from bot.diagnostics.values import Status, one_line

COLD = Seen("a/cold", is_chat=True, loaded=False)
WARM = Seen("b/warm", is_chat=True, loaded=True, context_tokens=8192, parallel=4)
EMBED = Seen("c/embed", is_chat=False, loaded=False)


def fetched(body: object, status: int = 200) -> Fetched:
    return Fetched(status, "application/json", json.dumps(body).encode(), 0.001)


@pytest.mark.parametrize(
    ("exc", "how"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Knock.REFUSED),
        (TimeoutError(), Knock.TIMED_OUT),
        (OSError(errno.ETIMEDOUT, "x"), Knock.TIMED_OUT),
        (OSError(errno.EHOSTUNREACH, "x"), Knock.UNREACHABLE),
        (OSError(errno.ENETUNREACH, "x"), Knock.UNREACHABLE),
        (PermissionError(errno.EACCES, "x"), Knock.FORBIDDEN),
        (ConnectionResetError(errno.ECONNRESET, "x"), Knock.REFUSED),
    ],
)
def test_ways_to_fail_a_connection_are_told_apart(exc: OSError, how: Knock) -> None:
    assert classify(exc) is how


@pytest.mark.parametrize(
    ("address", "how", "cause", "advice"),
    [
        ("127.0.0.1", Knock.REFUSED, "the bot's own machine", "localhost means the bot's own"),
        ("::1", Knock.REFUSED, "the bot's own machine", "localhost means the bot's own"),
        ("192.168.1.20", Knock.REFUSED, "nothing listens", "Serve on Local Network"),
        ("192.168.1.20", Knock.TIMED_OUT, "firewall", "allow LM Studio in its firewall"),
        ("100.101.1.1", Knock.TIMED_OUT, "firewall", "belongs to a VPN"),
        ("192.168.1.20", Knock.UNREACHABLE, "no way", "no VPN takes the traffic"),
        ("fe80::1%eth0", Knock.FORBIDDEN, "forbids", "outgoing"),
    ],
)
def test_a_failed_connection_names_cause_and_cure(
    address: str, how: Knock, cause: str, advice: str
) -> None:
    finding = refusal(address, how)
    assert cause in finding.cause
    assert advice in finding.advice
    assert address not in finding.cause + finding.advice


def test_a_refusal_says_more_than_a_silence() -> None:
    assert worst([Knock.TIMED_OUT, Knock.REFUSED, Knock.UNREACHABLE]) is Knock.REFUSED


@pytest.mark.parametrize(
    ("models", "offered", "configured", "status", "cause"),
    [
        ((), (), None, Status.FAILED, "no model to offer"),
        ((EMBED,), ("c/embed",), None, Status.FAILED, "Only embedding models"),
        ((COLD,), (), None, Status.FAILED, "just-in-time loading is off"),
        ((COLD,), ("a/cold",), None, Status.WARNING, "first question loads it"),
        ((COLD, WARM), (), None, Status.OK, "A model is loaded."),
        ((COLD, WARM), (), "a/cold", Status.FAILED, "just-in-time loading is off"),
        ((COLD, WARM), ("a/cold",), "a/cold", Status.WARNING, "first question loads it"),
        ((WARM,), (), "x/none", Status.FAILED, "The configured model isn't there."),
        ((WARM,), (), "c/embed", Status.FAILED, "The configured model isn't there."),
        ((WARM, WARM), (), None, Status.WARNING, "Several models are loaded"),
    ],
)
def test_models(
    models: tuple[Seen, ...],
    offered: tuple[str, ...],
    configured: str | None,
    status: Status,
    cause: str,
) -> None:
    finding = judge(Inventory(models, offered), configured)
    assert finding.status is status
    assert cause in finding.cause


def test_a_small_context_is_a_warning_and_details_are_technical() -> None:
    small = Seen("b/warm", is_chat=True, loaded=True, context_tokens=2048)
    assert judge(Inventory((small,), ()), None).status is Status.WARNING
    fine = judge(Inventory((WARM,), (), "list of 9 bytes"), None)
    assert fine.technical == "b/warm, context 8192 tokens, 4 in parallel, list of 9 bytes"


def test_only_a_loaded_model_is_tried() -> None:
    assert Inventory((COLD, WARM), ()).usable(None) == "b/warm"
    assert Inventory((COLD, WARM), ()).usable("a/cold") is None
    twin = Seen("b/warm", is_chat=True, loaded=True, instances=("b/warm:2",))
    assert Inventory((twin,), ()).usable("b/warm:2") == "b/warm:2"


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"models": 3},
        {"data": {}},
        {"error": "Unexpected endpoint or method. (GET /api/v1/models)"},
        {"data": [{"id": "x"}]},
    ],
)
def test_strange_listings_are_no_native_ones(body: object) -> None:
    assert read_native(fetched(body)) is None
    assert read_v0(fetched(body)) is None


def test_listings_survive_wrong_types() -> None:
    rows: list[Any] = [None, {"key": 3, "type": "llm", "loaded_instances": [{"config": []}, 7]}]
    found = read_native(fetched({"models": rows}))
    assert found is not None
    assert found[0].key == "3"
    assert found[0].loaded
    assert read_names(fetched({"data": [1, {"id": None}]})) == ("None",)


@pytest.mark.parametrize(
    ("status", "configured", "cause"),
    [
        (401, True, "refuses the token"),
        (401, False, "asks for a token, and none is configured"),
        (403, True, "lacks a permission"),
        (500, True, "can't list its models"),
        (200, True, "The token is right."),
        (200, False, "No token is needed."),
    ],
)
def test_the_token(status: int, configured: bool, cause: str) -> None:
    assert cause in judge_token(fetched({"data": []}, status), configured=configured).cause


@pytest.mark.parametrize(
    ("trips_s", "status"),
    [
        ([0.001, 0.002, 0.003], Status.OK),
        ([0.3, 0.4, 0.2], Status.WARNING),
        ([0.001], Status.WARNING),
        ([], Status.WARNING),
    ],
)
def test_the_network_path(trips_s: list[float], status: Status) -> None:
    assert judge_path(trips_s, tried=3).status is status


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("Model is unloaded.", "isn't loaded any more"),
        ('Failed to load model "x". Error: Model loading was stopped', "short of memory"),
        ("The model has crashed without additional information. (Exit code: null)", "crashed"),
        ("Error rendering prompt with jinja template", "chat template"),
        ("Context size has been exceeded.", "context is full"),
        ("Permission denied to use plugin", "doesn't allow completions"),
        ("Unexpected endpoint or method. (POST /x)", "route for completions"),
        ("something new", "couldn't complete"),
    ],
)
def test_a_failed_completion(error: str, cause: str) -> None:
    finding = judge_completion(Heard(error=error), None)
    assert finding.status is Status.FAILED
    assert cause in finding.cause
    assert error not in finding.cause + finding.advice


def test_a_completion_with_rate_without_text_and_by_another_model() -> None:
    well = judge_completion(Heard(tokens=5, first_s=0.5, last_s=0.6), None)
    assert well.status is Status.OK
    assert well.technical == "first token after 0.50 s, 40 tokens/s"
    assert judge_completion(Heard(finished=True), None).status is Status.WARNING
    assert judge_completion(Heard(tokens=1, model="a:2"), "a").status is Status.OK
    assert judge_completion(Heard(tokens=1, model="b"), "a").status is Status.WARNING


def test_text_from_the_other_side_becomes_one_short_line() -> None:
    assert one_line("a\nb`<@1>\x1b[0m") == "ab1[0m"
    assert len(one_line("x" * 500)) == 80
