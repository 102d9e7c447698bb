"""Whatever a server lists, a diagnosis says something sensible about it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bot.diagnostics.link import Fetched
from bot.diagnostics.models import Inventory, judge, read_names, read_native, read_v0
from bot.diagnostics.server import error_text, judge_token
from bot.diagnostics.values import one_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "models",
                    "data",
                    "key",
                    "id",
                    "type",
                    "state",
                    "loaded_instances",
                    "config",
                    "context_length",
                    "parallel",
                    "error",
                    "message",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(JSON, st.none() | st.text(max_size=10))
def test_any_json_is_judged(body: object, configured: str | None) -> None:
    fetched = Fetched(200, "application/json", json.dumps(body).encode(), 0.0)
    error_text(fetched)
    judge_token(fetched, configured=configured is not None)
    names = read_names(fetched)
    for models in (read_native(fetched), read_v0(fetched)):
        if models is not None:
            inventory = Inventory(models, names)
            finding = judge(inventory, configured)
            assert finding.cause
            assert finding.technical.isprintable()
            inventory.usable(configured)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_listing_or_one(body: bytes) -> None:
    fetched = Fetched(200, "text/plain", body, 0.0)
    assert read_native(fetched) is None or b"models" in body
    assert isinstance(fetched.is_html, bool)


@given(st.text(), st.integers(1, 100))
def test_a_line_from_the_other_side_is_short_and_harmless(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable()
    assert not set(line) & set("`@<>")
