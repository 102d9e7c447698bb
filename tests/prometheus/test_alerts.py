"""Each alert, by ``promtool``: it is silent on a healthy bot, and fires when it should."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.prometheus.server import FOLDER, promtool

RULES = FOLDER / "alerts.yml"
JOB = 'job="clawbot"'
FIRST_WORD = "clawbot_question_first_word_seconds"
LAG = "clawbot_event_loop_lag_seconds"

Series = dict[str, str]
"""Values from minute 0 on, in promtool's notation, by series."""

HEALTHY: Series = {
    f"up{{{JOB}}}": "1x70",
    f'clawbot_leader{{{JOB},instance="a"}}': "1x70",
    f'clawbot_leader{{{JOB},instance="b"}}': "0x70",
    f"clawbot_discord_online{{{JOB}}}": "1x70",
    f'clawbot_model_server_up{{{JOB},server="1"}}': "1x70",
    f'clawbot_model_server_circuit{{{JOB},server="1",state="open"}}': "0x70",
    f'clawbot_questions_failed_total{{{JOB},kind="model_crashed"}}': "0x70",
    f'clawbot_questions_ended_total{{{JOB},outcome="delivered"}}': "0+2x70",
    f'{FIRST_WORD}_bucket{{{JOB},le="5.0"}}': "0+2x70",
    f'{FIRST_WORD}_bucket{{{JOB},le="120.0"}}': "0+2x70",
    f'{FIRST_WORD}_bucket{{{JOB},le="+Inf"}}': "0+2x70",
    f"{FIRST_WORD}_count{{{JOB}}}": "0+2x70",
    f"clawbot_queue_waiting_questions{{{JOB}}}": "1x70",
    f'clawbot_discord_requests_total{{{JOB},method="POST",route="/x",status="429"}}': "0x70",
    f"clawbot_store_failing{{{JOB}}}": "0x70",
    f"clawbot_store_pending_writes{{{JOB}}}": "2x70",
    f'{LAG}_bucket{{{JOB},le="2.0"}}': "0+60x70",
    f"{LAG}_count{{{JOB}}}": "0+60x70",
    f"process_resident_memory_bytes{{{JOB}}}": "120000000x70",
}
ILL: dict[str, Series] = {
    "ClawbotDown": {f"up{{{JOB}}}": "0x70"},
    "ClawbotNobodyAnswers": {f'clawbot_leader{{{JOB},instance="a"}}': "0x70"},
    "ClawbotDiscordOffline": {f"clawbot_discord_online{{{JOB}}}": "0x70"},
    "ClawbotModelAway": {f'clawbot_model_server_up{{{JOB},server="1"}}': "0x70"},
    "ClawbotCircuitOpen": {
        f'clawbot_model_server_circuit{{{JOB},server="1",state="open"}}': "1x70"
    },
    "ClawbotQuestionsFail": {
        f'clawbot_questions_failed_total{{{JOB},kind="model_crashed"}}': "0+1x70"
    },
    "ClawbotFirstWordSlow": {f'{FIRST_WORD}_bucket{{{JOB},le="5.0"}}': "0x70"},
    "ClawbotQueueStuck": {f'clawbot_questions_ended_total{{{JOB},outcome="delivered"}}': "5x70"},
    "ClawbotDiscordRateLimited": {
        f'clawbot_discord_requests_total{{{JOB},method="POST",route="/x",status="429"}}': "0+9x70"
    },
    "ClawbotStoreFailing": {f"clawbot_store_failing{{{JOB}}}": "1x70"},
    "ClawbotStorePending": {f"clawbot_store_pending_writes{{{JOB}}}": "500x70"},
    "ClawbotLoopLate": {f'{LAG}_bucket{{{JOB},le="2.0"}}': "0+59x70"},
    "ClawbotMemory": {f"process_resident_memory_bytes{{{JOB}}}": "2000000000x70"},
}


def case(series: Series, firing: tuple[str, ...]) -> dict[str, Any]:
    """Return a test of promtool: after an hour, exactly these alerts fire."""
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    query = 'count by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": text} for name, text in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "60m", "exp_samples": expected}],
    }


@pytest.mark.parametrize("name", ["alerts.yml", "prometheus.yml"])
async def test_promtool_accepts_the_files(name: str) -> None:
    kind = "rules" if name == "alerts.yml" else "config"
    code, said = await promtool("check", kind, str(FOLDER / name))
    assert code == 0, said


async def test_each_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    cases = [case(HEALTHY, ())]
    cases += [case({**HEALTHY, **series}, (name,)) for name, series in ILL.items()]
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": cases}))
    code, said = await promtool("test", "rules", str(file))
    assert code == 0, said


def test_no_alert_is_left_out() -> None:
    assert re.findall(r"alert: (\w+)", RULES.read_text()) == list(ILL)
