"""Each state of affairs has its sentence."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from typing import Any

import pytest

from bot.diagnostics.completion import Heard, judge_speed
from bot.diagnostics.completion import judge as judge_completion
from bot.diagnostics.discord_side import RestAnswer, judge_rest
from bot.diagnostics.models import judge
from bot.diagnostics.reach import SAMPLES, Knock, Signs, classify, judge_open, refusal, worst
from bot.diagnostics.server import judge_path, judge_token
from bot.diagnostics.values import Finding, Status, one_line
from bot.lmstudio import errors, failures
from bot.lmstudio.catalogue import NAMES_ONLY, name_to_send, read_catalogue
from bot.lmstudio.transport import Reply

Row = dict[str, Any]


def a_model(key: str, *instances: str, kind: str = "llm", **config: int) -> Row:
    """Return an entry of LM Studio's native list."""
    copies = [{"id": name, "config": config} for name in instances]
    return {"key": key, "type": kind, "loaded_instances": copies}


COLD = a_model("a/cold")
WARM = a_model("b/warm", "b/warm", context_length=8192, parallel=4)
OTHER = a_model("d/other", "d/other", context_length=8192, parallel=4)
EMBED = a_model("c/embed", kind="embedding")


def judged(models: Sequence[Row], offered: Sequence[str], configured: str | None) -> Finding:
    """Return what is said of a native list and the names at ``/v1/models``."""
    names = {"data": [{"id": name} for name in offered]}
    return judge(
        read_catalogue(0, {"models": list(models)}), read_catalogue(NAMES_ONLY, names), configured
    )


def a_reply(body: object, status: int = 200) -> Reply:
    return Reply(status, "application/json", json.dumps(body).encode())


@pytest.mark.parametrize(
    ("exc", "how"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Knock.REFUSED),
        (TimeoutError(), Knock.TIMED_OUT),
        (OSError(errno.ETIMEDOUT, "x"), Knock.TIMED_OUT),
        (OSError(errno.EHOSTUNREACH, "x"), Knock.AWAY),
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
        ("192.168.1.20", Knock.TIMED_OUT, "off or asleep", "allow LM Studio in its firewall"),
        ("192.168.1.20", Knock.AWAY, "off or asleep", "Wake the machine"),
        ("100.101.1.1", Knock.TIMED_OUT, "belongs to a VPN", "VPN is up"),
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


def test_a_way_through_a_vpn_is_named_where_nothing_answers() -> None:
    for how in (Knock.TIMED_OUT, Knock.AWAY, Knock.UNREACHABLE):
        finding = refusal("192.168.1.20", how, Signs(is_through_vpn=True))
        assert "through a VPN" in finding.cause
        assert "leave out the local network" in finding.advice


def test_an_address_of_a_vpn_that_is_off_here_is_named_whoever_answers_in_its_place() -> None:
    for how in Knock:
        if how is Knock.OPEN:
            continue
        assert "this machine isn't in it" in refusal("100.101.1.1", how, Signs(is_alive=True)).cause
        inside = refusal("100.101.1.1", how, Signs(is_alive=True, is_through_vpn=True))
        assert "isn't in it" not in inside.cause


def test_a_machine_that_may_be_asleep_is_offered_to_be_woken_where_the_bot_can() -> None:
    for how in (Knock.TIMED_OUT, Knock.AWAY):
        assert "CLAWBOT_LMSTUDIO__WAKE" in refusal("192.168.1.20", how).advice
        advice = refusal("192.168.1.20", how, can_wake=True).advice
        assert "Wake it with /model wake" in advice
        assert "CLAWBOT" not in advice
    assert "/model wake" not in refusal("192.168.1.20", Knock.REFUSED, can_wake=True).advice


def test_an_ipv6_address_that_refuses_at_once_is_no_finding_and_a_silent_one_is() -> None:
    def judged(how: Knock) -> Finding:
        return judge_open([("::1", how), ("127.0.0.1", Knock.OPEN)], [0.001] * SAMPLES)

    assert judged(Knock.REFUSED).status is Status.OK
    assert "IPv6 address where nothing answers" in judged(Knock.TIMED_OUT).cause


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
        ((COLD, WARM), (), "warm", Status.OK, "A model is loaded."),
        ((COLD, WARM), (), "B/Warm", Status.OK, "A model is loaded."),
        ((WARM,), (), "x/none", Status.FAILED, "The configured model isn't there."),
        ((WARM,), (), "c/embed", Status.FAILED, "The configured model isn't there."),
        ((COLD, WARM), ("b/warm",), "a/cold", Status.FAILED, "just-in-time loading is off"),
        ((COLD, EMBED), ("c/embed",), None, Status.FAILED, "just-in-time loading is off"),
        ((WARM, OTHER), (), None, Status.WARNING, "Several models are loaded"),
    ],
)
def test_models(
    models: tuple[Row, ...],
    offered: tuple[str, ...],
    configured: str | None,
    status: Status,
    cause: str,
) -> None:
    finding = judged(models, offered, configured)
    assert finding.status is status
    assert cause in finding.cause


def test_a_missing_model_is_named_beside_those_that_are_there() -> None:
    for configured in ("x/none", "b/wrm"):
        finding = judged([COLD, WARM], (), configured)
        assert finding.technical == f"{configured} is configured; there is b/warm, a/cold"


def test_a_part_of_one_models_name_leads_to_that_model() -> None:
    gemma = a_model("google/gemma-3-27b", "google/gemma-3-27b")
    assert "`google/gemma-3-27b`" in judged([gemma, WARM], (), "gemma").advice
    several = judged([gemma, a_model("google/gemma-3-4b")], (), "gemma")
    assert "`google/gemma" not in several.advice


def test_a_small_context_is_a_warning_and_details_are_technical() -> None:
    small = a_model("b/warm", "b/warm", context_length=2048)
    assert judged([small], (), None).status is Status.WARNING
    fine = judged([WARM], (), None)
    assert fine.technical == "b/warm"
    assert fine.facts == {"context_tokens": 8192, "parallel": 4}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (None, "b/warm"),
        ("b/warm", "b/warm"),
        ("b/warm:2", "b/warm:2"),
        ("b/warm@q4", "b/warm@q4"),
        ("B/Warm", "b/warm"),
        ("a/cold", "a/cold"),
    ],
)
def test_a_request_names_the_copy_that_is_meant(asked: str | None, sent: str) -> None:
    catalogue = read_catalogue(0, {"models": [COLD, a_model("b/warm", "b/warm", "b/warm:2")]})
    info = catalogue.find(asked)
    assert info is not None
    assert name_to_send(info, asked, next(iter(info.instance_ids), None)) == sent


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
    with pytest.raises(errors.BadResponseError):
        read_catalogue(0, body)


def test_listings_survive_wrong_types() -> None:
    rows: list[Any] = [None, {"key": 3, "type": "llm", "loaded_instances": [{"config": []}, 7]}]
    assert read_catalogue(0, {"models": rows}).models == ()
    odd = {"key": "x", "type": "llm", "loaded_instances": [{"id": "x", "config": []}, 7]}
    (model,) = read_catalogue(0, {"models": [odd]}).models
    assert model.is_loaded
    assert read_catalogue(NAMES_ONLY, {"data": [1, {"id": None}]}).models == ()


@pytest.mark.parametrize(
    ("status", "configured", "cause"),
    [
        (401, True, "refuses the token"),
        (401, False, "asks for a token, and none is configured"),
        (403, True, "lacks a permission"),
        (403, False, "turns the bot away"),
        (500, True, "can't list its models"),
        (200, True, "The token is right."),
        (200, False, "No token is needed."),
    ],
)
def test_the_token(status: int, configured: bool, cause: str) -> None:
    token = "sk-lm-a:b" if configured else None
    assert cause in judge_token(a_reply({"data": []}, status), token=token, is_lmstudio=True).cause


@pytest.mark.parametrize(
    ("trips_s", "status"),
    [
        ([0.001, 0.002, 0.003], Status.OK),
        ([0.3, 0.4, 0.2], Status.WARNING),
        ([0.001], Status.WARNING),
        ([], Status.FAILED),
    ],
)
def test_the_network_path(trips_s: list[float], status: Status) -> None:
    assert judge_path(trips_s, tried=3).status is status


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("Model is unloaded.", "was just unloaded"),
        ('Failed to load model "x". Error: Model loading was stopped', "can't be loaded"),
        ("insufficient system resources", "too little memory"),
        ("The model has crashed without additional information. (Exit code: null)", "crashed"),
        ("Error rendering prompt with jinja template", "can't take this conversation"),
        ("Context size has been exceeded.", "model's memory"),
        ("Permission denied to use plugin", "isn't allowed to do that"),
        ("Unexpected endpoint or method. (POST /x)", "isn't set up as I need it"),
        ("something new", "didn't accept my request"),
    ],
)
def test_a_failed_completion(error: str, cause: str) -> None:
    failure = failures.classify(400, json.dumps({"error": error}))
    finding = judge_completion(Heard(failure=failure), None)
    assert finding.status is Status.FAILED
    assert cause in finding.cause
    assert finding.advice == failure.admin_hint
    assert error not in finding.cause + finding.advice


def test_a_completion_with_rate_without_text_and_by_another_model() -> None:
    well = judge_completion(Heard(tokens=5, first_s=0.5, last_s=0.6), None)
    assert well.status is Status.OK
    assert well.facts == {"first_token_s": 0.5}
    fast = judge_speed(Heard(tokens=5, first_s=0.5, last_s=0.6, prompt_tokens=200))
    assert fast.facts == {"reading_tokens_s": 400, "writing_tokens_s": 40.0}
    slow = judge_speed(Heard(tokens=5, first_s=0.5, last_s=4.5))
    assert slow.status is Status.WARNING
    assert "than it writes" in slow.cause
    assert "to read a short text" in judge_speed(Heard()).cause
    over_a_poor_way = judge_speed(Heard(tokens=5, first_s=0.5, last_s=4.5), is_way_poor=True)
    assert over_a_poor_way.status is Status.OK
    assert "can't be told" in over_a_poor_way.cause
    silent = Heard(failure=errors.EmptyAnswerError())
    assert judge_completion(silent, None).status is Status.WARNING
    assert judge_completion(Heard(tokens=1, model="a:2"), "a").status is Status.OK
    assert judge_completion(Heard(tokens=1, model="b"), "a").status is Status.WARNING


def test_a_model_that_only_thinks_in_so_few_tokens_speaks() -> None:
    thinking = Heard(tokens=8)
    assert judge_completion(thinking, None).status is Status.OK


def test_text_from_the_other_side_becomes_one_short_line() -> None:
    assert one_line("a\nb`<@1>\x1b[0m") == "ab1[0m"
    assert len(one_line("x" * 500)) == 80


@pytest.mark.parametrize("status", [302, 407, 511])
def test_what_discord_never_says_comes_from_something_else(status: int) -> None:
    found = judge_rest(RestAnswer(None, status))
    assert found.status is Status.FAILED
    assert "Something other than Discord" in found.cause
