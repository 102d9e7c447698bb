"""Values that no setting may have: refused with what is allowed, whichever way they come in."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from bot.storage.setting_types import SETTING_TYPES, InvalidSettingError
from config import names
from config.loader import SettingsError, load_settings
from tests.support.bad_values import BAD_VALUES

IN_WORDS = (
    "a model's name on one line",
    "a language's name",
    "plain text without control characters",
)
"""What is allowed, where no range says it."""


def _problems(env: Mapping[str, str], file: Mapping[str, object]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        load_settings(env, file, require_token=False)
    return refused.value.problems


def test_every_setting_has_bad_values() -> None:
    assert set(BAD_VALUES) == set(SETTING_TYPES)
    assert sum(map(len, BAD_VALUES.values())) >= 80


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_bad_value_is_refused_with_what_is_allowed_whichever_way_it_comes(name: str) -> None:
    kind = SETTING_TYPES[name]
    section, field = kind.target.section, kind.target.field
    for value in BAD_VALUES[name]:
        with pytest.raises(InvalidSettingError) as refused:
            kind.parse(value)
        assert kind.allowed in refused.value.sentence, value
        if not value:
            continue  # an empty variable counts as none
        with pytest.raises(InvalidSettingError):  # as an edited database would have it
            kind.load(json.dumps(value))
        for said in (
            _problems({kind.target.general_name: value}, {}),
            _problems({}, {section: {field: value}}),
        ):
            reasons = (names.allowed(kind.target), *IN_WORDS)
            assert any(each in line for line in said for each in reasons), (value, said)
