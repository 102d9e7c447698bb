"""Whatever is written, the loader ends in settings or in lines."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import names
from config.environment import read_environment
from config.loader import LoadResult, SettingsError, load_settings

NAMES = sorted(names.environment_names())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from([*names.FLAT_KEYS, "chat", "lmstudio", "discord", "store"]) | st.text(
    max_size=8
)
SECTIONS = st.dictionaries(
    st.sampled_from([target.field for target in names.targets()]), JSON, max_size=4
)


def problems(load: Callable[[], LoadResult]) -> tuple[str, ...]:
    """Return what loading found wrong; nothing when it ended in settings."""
    try:
        load()
    except SettingsError as exc:
        return exc.problems or ("",)
    return ()


def are_lines(found: tuple[str, ...]) -> bool:
    """Tell whether each problem is one line with something on it."""
    return all(line and len(line.splitlines()) == 1 for line in found)


@given(
    st.dictionaries(st.sampled_from(NAMES), st.text(max_size=40), max_size=5),
    st.dictionaries(KEYS, JSON | SECTIONS, max_size=5),
)
def test_any_sources_end_in_settings_or_in_lines(
    env: dict[str, str], file: dict[str, object]
) -> None:
    assert are_lines(problems(lambda: load_settings(env, file)))


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789", min_size=1, max_size=20))
def test_an_unknown_variable_is_always_reported(rest: str) -> None:
    name = f"CLAWBOT_{rest}X_"
    (line,) = problems(lambda: load_settings({name: "1"}))
    assert line.startswith(f"{name}: unknown; did you mean ")


MODELS = st.text(st.characters(codec="utf-8"), min_size=1).filter(
    lambda name: name.isprintable() and name[:200].strip() and ".." not in name
)


@given(st.floats(0, 2), st.integers(1, 131_072), MODELS)
def test_what_is_in_range_is_kept_exactly(temperature: float, max_tokens: int, model: str) -> None:
    file = {"temperature": temperature, "max_tokens": max_tokens, "model": model[:200]}
    chat = load_settings({}, json.loads(json.dumps(file))).settings.chat
    assert (chat.temperature, chat.max_tokens, chat.model) == (temperature, max_tokens, model[:200])


@given(dotenv=st.binary(max_size=200), file=st.binary(max_size=200))
def test_any_bytes_end_in_settings_or_in_lines(
    tmp_path_factory: pytest.TempPathFactory, dotenv: bytes, file: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / ".env").write_bytes(dotenv)
    (folder / "clawbot.json").write_bytes(file)
    assert are_lines(problems(read_environment({}, folder=folder).load))
