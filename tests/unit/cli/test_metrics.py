"""What is counted, and who may look."""

from __future__ import annotations

from bot.core.domain import Origin
from bot.core.ports import Outcome
from bot.ops.metrics import Metrics


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Return one figure."""
    return metrics.registry.get_sample_value(name, labels)


def test_each_instance_counts_for_itself() -> None:
    one, other = Metrics(), Metrics()
    one.accepted(Origin.MENTION)
    assert sample(one, "clawbot_questions_accepted_total", origin="mention") == 1
    assert sample(other, "clawbot_questions_accepted_total", origin="mention") == 0


def test_every_outcome_is_there_from_the_start() -> None:
    metrics = Metrics()
    for outcome in Outcome:
        assert sample(metrics, "clawbot_questions_ended_total", outcome=outcome.value) == 0
    metrics.ended(Outcome.STOPPED)
    assert sample(metrics, "clawbot_questions_ended_total", outcome="stopped") == 1


def test_times_are_histograms_in_seconds() -> None:
    metrics = Metrics()
    metrics.first_token(0.4)
    metrics.answer(12)
    assert sample(metrics, "clawbot_first_token_seconds_sum") == 0.4
    assert sample(metrics, "clawbot_first_token_seconds_bucket", le="0.5") == 1
    assert sample(metrics, "clawbot_answer_seconds_bucket", le="10.0") == 0


def test_the_queue_shows_both_figures() -> None:
    metrics = Metrics()
    waiting = [1, 2, 3]
    metrics.watch_queue(lambda: len(waiting), lambda: 2)
    assert sample(metrics, "clawbot_queue_waiting_questions") == 3
    assert sample(metrics, "clawbot_queue_running_questions") == 2


def test_labels_come_from_a_fixed_set() -> None:
    metrics = Metrics()
    for method, status in (("POST", 200), ("POST", 429), ("BREW", 418), ("GET", 0)):
        metrics.rest_call(method, status)
    metrics.failed("DeliveryForbiddenError")
    metrics.failed("a sentence")
    metrics.retry("lmstudio")
    metrics.retry("somebody's name")
    assert sample(metrics, "clawbot_discord_rest_calls_total", method="POST", status="2xx") == 1
    assert sample(metrics, "clawbot_discord_rest_calls_total", method="POST", status="429") == 1
    assert sample(metrics, "clawbot_discord_rest_calls_total", method="other", status="4xx") == 1
    assert sample(metrics, "clawbot_discord_rest_calls_total", method="GET", status="none") == 1
    assert sample(metrics, "clawbot_retries_total", service="lmstudio") == 1
    assert sample(metrics, "clawbot_retries_total", service="other") == 1
    assert sample(metrics, "clawbot_questions_failed_total", kind="DeliveryForbiddenError") == 1
    assert sample(metrics, "clawbot_questions_failed_total", kind="other") == 1
    assert b"somebody" not in metrics.render()
