"""What is counted, by labels of fixed sets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric

from bot.chat.account import Account, PromptSizes
from bot.core.domain import Origin
from bot.core.errors import BotError, error_kind, error_kinds
from bot.core.ports import Outcome, ServerState
from bot.core.record import QuestionRecord, Span
from bot.idle.warm import Cost
from bot.lmstudio.errors import ModelCrashedError
from bot.ops.metrics import Metrics, Sources, route_of
from tests.architecture.sources import ROOT
from tests.support.builders import question
from tests.support.clock import FakeClock


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Return one figure."""
    return metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def record(clock: FakeClock) -> QuestionRecord:
    """An answered question."""
    return replace(
        Account(question(), clock, PromptSizes()).close(Outcome.DELIVERED),
        spans={Span.READ: 0.4, Span.WRITE: 12.0},
        first_word_s=0.45,
        prompt_tokens=900,
        read_tokens=300,
        reread_tokens=100,
        written_tokens=312,
        retries=("model_crashed", "broken_off"),
    )


def test_each_instance_counts_for_itself() -> None:
    one, other = Metrics(), Metrics()
    one.accepted(Origin.MENTION)
    assert sample(one, "clawbot_questions_accepted_total", origin="mention") == 1
    assert sample(other, "clawbot_questions_accepted_total", origin="mention") == 0


def test_every_value_of_a_label_is_there_from_the_start() -> None:
    metrics = Metrics()
    for outcome in Outcome:
        assert sample(metrics, "clawbot_questions_ended_total", outcome=outcome.value) == 0
    for span in Span:
        assert sample(metrics, "clawbot_question_stage_seconds_count", stage=span.value) == 0
    assert (
        sample(metrics, "clawbot_questions_failed_total", kind=error_kind(ModelCrashedError())) == 0
    )
    assert sample(metrics, "clawbot_model_retries_total", cause="only_thinking") == 0


def test_all_of_a_question_is_counted_from_its_record(record: QuestionRecord) -> None:
    metrics = Metrics()
    metrics.question(record)
    assert sample(metrics, "clawbot_questions_ended_total", outcome="delivered") == 1
    assert sample(metrics, "clawbot_question_stage_seconds_sum", stage="read") == 0.4
    assert sample(metrics, "clawbot_question_stage_seconds_bucket", stage="write", le="10.0") == 0
    assert sample(metrics, "clawbot_question_stage_seconds_count", stage="think") == 0
    assert sample(metrics, "clawbot_question_first_word_seconds_bucket", le="0.5") == 1
    assert sample(metrics, "clawbot_prompt_tokens_total") == 900
    assert sample(metrics, "clawbot_prompt_tokens_read_total") == 300
    assert sample(metrics, "clawbot_prompt_tokens_reread_total") == 100
    assert sample(metrics, "clawbot_written_tokens_total") == 312
    assert sample(metrics, "clawbot_model_retries_total", cause="model_crashed") == 1
    assert sample(metrics, "clawbot_model_retries_total", cause="broken_off") == 1


def test_a_failure_is_counted_by_its_kind(record: QuestionRecord) -> None:
    metrics = Metrics()
    metrics.question(replace(record, outcome=Outcome.NOTIFIED, failure="model_crashed"))
    assert sample(metrics, "clawbot_questions_failed_total", kind="model_crashed") == 1


def test_what_the_next_start_goes_on_with_is_counted_there(record: QuestionRecord) -> None:
    metrics = Metrics()
    before = sample(metrics, "clawbot_prompt_tokens_total")
    metrics.question(replace(record, outcome=None))
    assert sample(metrics, "clawbot_prompt_tokens_total") == before == 0


def test_other_parts_are_asked_at_each_look() -> None:
    metrics, waiting = Metrics(leads=lambda: len(waiting) < 3), [1, 2, 3]
    assert sample(metrics, "clawbot_leader") == 0
    metrics.watch(
        Sources(
            waiting=lambda: len(waiting),
            running=lambda: 2,
            slots=lambda: 4,
            servers=lambda: [ServerState(True, "closed"), ServerState(None, "open", number=2)],
            store_errors=lambda: 7,
            store_pending=lambda: 1,
            is_store_failing=lambda: True,
            is_online=lambda: False,
            read_ahead=lambda: Cost(tokens=900, in_vain=300, cancelled=2),
            summaries=lambda: 3,
            standbys=lambda: 2,
        )
    )
    assert sample(metrics, "clawbot_queue_waiting_questions") == 3
    waiting.pop()
    assert sample(metrics, "clawbot_queue_waiting_questions") == 2
    assert sample(metrics, "clawbot_queue_slots") == 4
    assert sample(metrics, "clawbot_leader") == 1
    assert sample(metrics, "clawbot_standby_processes") == 2
    assert sample(metrics, "clawbot_model_server_up", server="2") == 0
    assert sample(metrics, "clawbot_model_server_circuit", server="2", state="open") == 1
    assert sample(metrics, "clawbot_model_server_circuit", server="2", state="closed") == 0
    assert sample(metrics, "clawbot_store_errors_total") == 7
    assert sample(metrics, "clawbot_store_failing") == 1
    assert sample(metrics, "clawbot_discord_online") == 0
    assert sample(metrics, "clawbot_read_ahead_tokens_total") == 900
    assert sample(metrics, "clawbot_read_ahead_tokens_in_vain_total") == 300
    assert sample(metrics, "clawbot_read_ahead_cancelled_total") == 2
    assert sample(metrics, "clawbot_summaries_total") == 3


def test_the_loops_lag_is_a_histogram() -> None:
    metrics = Metrics()
    metrics.loop_lag(0.02)
    assert sample(metrics, "clawbot_event_loop_lag_seconds_bucket", le="0.01") == 0
    assert sample(metrics, "clawbot_event_loop_lag_seconds_bucket", le="0.025") == 1


def test_requests_count_by_route_and_class_of_status() -> None:
    metrics = Metrics()
    for method, status in (("POST", 200), ("POST", 429), ("BREW", 418), ("GET", 0)):
        metrics.rest_call(method, "/api/v10/channels/123/messages", status)
    name, route = "clawbot_discord_requests_total", "/channels/{id}/messages"
    assert sample(metrics, name, method="POST", route=route, status="2xx") == 1
    assert sample(metrics, name, method="POST", route=route, status="429") == 1
    assert sample(metrics, name, method="other", route=route, status="4xx") == 1
    assert sample(metrics, name, method="GET", route=route, status="none") == 1


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/v10/channels/1/messages/2", "/channels/{id}/messages/{id}"),
        ("/channels/1/typing", "/channels/{id}/typing"),
        (
            "/api/v10/channels/1/messages/2/reactions/➕/@me",
            "/channels/{id}/messages/{id}/reactions/{emoji}/@me",
        ),
        ("/api/v10/interactions/1/aW50ZXI/callback", "/interactions/{id}/{token}/callback"),
        (
            "/api/v10/webhooks/1/aW50ZXI/messages/@original",
            "/webhooks/{id}/{token}/messages/@original",
        ),
        ("/api/v10/users/@me", "/users/@me"),
        ("/", "other"),
        ("/channels/1/messages/somebody's words", "other"),
    ],
)
def test_a_path_is_known_by_its_template(path: str, route: str) -> None:
    assert route_of(path) == route


@given(st.lists(st.text(max_size=20), max_size=6).map("/".join))
def test_no_path_makes_a_label_of_its_own(path: str) -> None:
    route = route_of("/channels/" + path)
    assert route == "other" or route.startswith("/channels/{id}")


def test_a_failure_is_named_by_a_word_of_a_fixed_set() -> None:
    class SomebodysError(ValueError):
        pass

    assert error_kind(SomebodysError("a text")) == "other"
    kinds = error_kinds()
    classes = [BotError]
    while classes:
        found = classes.pop()
        assert error_kind(found.__new__(found)) in kinds
        classes += found.__subclasses__()


def test_the_documented_table_is_what_is_shown() -> None:
    metrics = Metrics()
    metrics.rest_call("GET", "/", 200)
    metrics.watch(
        Sources(
            int, int, int, lambda: [ServerState(True, "closed")], int, int, bool, bool, Cost, int
        )
    )
    rows = [row(family) for family in metrics.registry.collect() if "clawbot" in family.name]
    document = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    assert [line for line in document.splitlines() if line.startswith("| `clawbot_")] == rows


def row(family: Metric) -> str:
    """Return a metric's row of the table."""
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = dict.fromkeys(label for each in family.samples for label in each.labels)
    shown = ", ".join(f"`{label}`" for label in labels if label != "le")
    return f"| `{name}` | {family.type} | {shown} | {family.documentation} |"
