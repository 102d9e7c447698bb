"""Any question comes back from storage as it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.domain import Person, Question, RoleId, UserId
from bot.storage.question_codec import encode, load_question
from tests.unit.storage.questions import question


@given(st.from_type(Question))
@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_question_comes_back_as_it_was(asked: Question) -> None:
    stored = json.dumps(encode(asked))
    assert stored.isascii()
    assert load_question(stored) == asked


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: (
    st.lists(inner) | st.dictionaries(st.text(), inner)
)))  # fmt: skip
def test_anything_else_is_a_value_error(data: object) -> None:
    with pytest.raises(ValueError, match="stored question"):
        load_question(json.dumps(data))


@given(st.data())
def test_a_question_with_one_part_replaced_is_refused_or_whole(data: st.DataObject) -> None:
    parts = json.loads(json.dumps(encode(question(1))))
    name = data.draw(st.sampled_from(sorted(parts)))
    parts[name] = data.draw(st.none() | st.booleans() | st.text() | st.just({}) | st.just([]))
    try:
        loaded = load_question(json.dumps(parts))
    except ValueError:
        return
    assert load_question(json.dumps(encode(loaded))) == loaded


def test_a_question_stored_before_a_field_was_added_gets_its_default() -> None:
    parts = json.loads(json.dumps(encode(question(1))))
    for name in ("joined", "since_id", "fresh"):
        del parts[name]
    assert load_question(json.dumps(parts)) == question(1)


RECORDED = """{"id": 1, "origin": "mention", "place": {"kind": "thread", "channel_id": 70, "guild_id": 7,
"parent_id": 6, "category_id": null}, "asker": {"id": 3, "name": "Ada \\ud800", "is_bot": false,
"role_ids": [8], "can_manage_guild": true}, "text": "Why?", "asked_at": "2026-01-02T03:04:05+00:00",
"message": null, "about_id": null, "fresh": false}"""


def test_a_question_recorded_by_an_older_version_is_read() -> None:
    """It has a field that is gone, and lacks fields that came later."""
    asked = load_question(RECORDED)
    assert asked.asker == Person(UserId(3), "Ada \ud800", role_ids=frozenset({RoleId(8)}))
    assert asked.place.parent_id == 6
    assert asked.asked_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert asked.joined == ()
