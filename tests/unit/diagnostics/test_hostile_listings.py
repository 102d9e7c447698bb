"""Whatever a server lists, a diagnosis says something sensible about it."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.diagnostics.models import judge, smaller_model
from bot.diagnostics.server import is_html, judge_token
from bot.diagnostics.values import one_line
from bot.lmstudio.catalogue import NAMES_ONLY, ROUTES, Catalogue, read_catalogue
from bot.lmstudio.errors import BadResponseError
from bot.lmstudio.transport import Reply

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


def listings(body: object) -> list[Catalogue]:
    """Return what each kind of list takes a body for."""
    found = []
    for source in range(NAMES_ONLY + 1):
        with contextlib.suppress(BadResponseError):
            found.append(read_catalogue(source, body))
    return found


@given(JSON, st.none() | st.text(max_size=10))
@example({"models": None, "data": [{"id": "\x08"}]}, None)
def test_any_json_is_judged(body: object, configured: str | None) -> None:
    reply = Reply(200, "application/json", json.dumps(body).encode())
    assert judge_token(reply, token=configured, is_lmstudio=True).cause
    found = listings(reply.json)
    for catalogue in found:
        for offered in found:
            finding = judge(catalogue, offered, configured)
            assert finding.cause
            assert finding.technical.isprintable()


FIELDS = {
    0: (
        *("key", "type", "loaded_instances", "capabilities", "max_context_length", "size_bytes"),
        *("variants", "selected_variant", "quantization", "params_string"),
    ),
    1: ("id", "type", "state", "loaded_context_length", "max_context_length", "quantization"),
    2: ("id", "meta", "max_model_len", "owned_by"),
}
"""What each kind of list has about a model; the first names it."""


ODD: tuple[object, ...] = (
    *(None, True, -7, 7, 2**70, 1.5, float("nan"), "", "4096", "x" * 5000, "\ud800"),
    *([], [7], [[]], [None], [{}], {}, {"id": 7}, {"vision": "yes", "reasoning": [1]}),
    *([{"id": "x", "config": 7}], [{"id": "x", "config": {"parallel": "4", "context_length": -1}}]),
    {"reasoning": {"allowed_options": 7}, "n_ctx": "8192", "n_ctx_train": {}},
)


@pytest.mark.parametrize("source", sorted(FIELDS))
def test_a_model_that_can_be_named_is_listed_whatever_else_is_said_of_it(source: int) -> None:
    name, *others = FIELDS[source]
    field = ROUTES[source][1]
    for other in others:
        for odd in ODD:
            found = read_catalogue(source, {field: [{name: "a/model", other: odd}]})
            assert [model.key for model in found.models] == ["a/model"], (other, odd)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_listing_or_one(body: bytes) -> None:
    reply = Reply(200, "text/plain", body)
    assert not listings(reply.json) or b"models" in body or b"data" in body
    assert isinstance(is_html(reply), bool)


@given(st.text(), st.integers(1, 100))
def test_a_line_from_the_other_side_is_short_and_harmless(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable()
    assert not set(line) & set("`@<>")


def test_a_models_name_is_shown_as_code_so_that_none_makes_a_link() -> None:
    name = "qwen/[free nitro](https://evil.test)`@e"
    sizes = {name: 8_000_000_000, "big/one": 48_000_000_000}
    rows = [{"type": "llm", "key": key, "size_bytes": size} for key, size in sizes.items()]
    catalogue = read_catalogue(0, {"models": rows})
    near = judge(catalogue, catalogue, "evil.tes)`")
    smaller = smaller_model(catalogue, catalogue.find("big/one"))
    for shown in (near.advice, smaller):
        assert "evil" in shown
        outside = "".join(shown.split("`")[::2])
        assert "evil" not in outside
        assert "@" not in shown
