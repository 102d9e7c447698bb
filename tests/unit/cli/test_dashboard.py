"""The dashboard's file, read by Grafana's own library of its parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

FILE = Path(__file__).parents[3] / "deploy" / "monitoring" / "dashboard.json"


def read_back(data: dict[str, Any]) -> Any:
    """Return what Grafana's library understands of a dashboard; what it doesn't know is left out."""
    register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(data)))


def lost(given: Any, understood: Any, at: str = "") -> list[str]:
    """Return the places of whatever isn't understood as it was given."""
    if isinstance(given, dict) and isinstance(understood, dict):
        return [
            place
            for key, value in given.items()
            for place in lost(value, understood.get(key), f"{at}/{key}")
        ]
    if isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        pairs = enumerate(zip(given, understood, strict=True))
        return [place for n, (one, other) in pairs for place in lost(one, other, f"{at}/{n}")]
    return [] if given == understood else [at]


def test_grafana_knows_each_field_of_the_dashboard() -> None:
    data = json.loads(FILE.read_text())
    assert lost(data, read_back(data)) == []


@pytest.mark.parametrize("key", ["title", "gridPos", "targets", "fieldConfig"])
def test_a_misspelt_field_would_be_seen(key: str) -> None:
    data = json.loads(FILE.read_text())
    panel = data["panels"][1]
    panel[f"{key}z"] = panel.pop(key)
    assert f"/panels/1/{key}z" in lost(data, read_back(data))


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = json.loads(FILE.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(places)) == len(places)
    assert {x for x, _ in places} == set(range(24))


def test_a_server_that_several_processes_tell_of_is_counted_once() -> None:
    for panel in json.loads(FILE.read_text())["panels"]:
        for target in panel.get("targets", ()):
            assert "sum(clawbot_model_server" not in target["expr"]
