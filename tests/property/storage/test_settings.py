"""Settings against a plain model of their layers."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.domain import ChannelId, GuildId, Place, PlaceKind, UserId
from bot.core.errors import AdmissionError
from bot.storage.database import open_database
from bot.storage.setting_types import EVERYWHERE, SETTING_TYPES, Scope
from bot.storage.settings_store import SettingsStore
from config.settings import ChatDefaults, LiveSettings, Settings
from tests.support.clock import FakeClock

SCOPES = [
    EVERYWHERE,
    *(Scope.in_guild(GuildId(guild)) for guild in (1, 2)),
    *(Scope.in_channel(ChannelId(channel), GuildId(channel // 10)) for channel in (10, 11, 20)),
]
PLACES = [
    (Place(PlaceKind.DM, ChannelId(90)), (0,)),
    (Place(PlaceKind.GUILD_TEXT, ChannelId(10), GuildId(1)), (3, 1, 0)),
    (Place(PlaceKind.GUILD_TEXT, ChannelId(12), GuildId(1)), (1, 0)),
    (Place(PlaceKind.THREAD, ChannelId(11), GuildId(1), ChannelId(10)), (4, 3, 1, 0)),
    (Place(PlaceKind.GUILD_TEXT, ChannelId(20), GuildId(2)), (5, 2, 0)),
    (Place(PlaceKind.GUILD_TEXT, ChannelId(10), GuildId(2)), (2, 0)),
]
BASE = 999

CHANGES = st.lists(
    st.tuples(st.integers(0, len(SCOPES) - 1), st.none() | st.integers(1, 50)), max_size=25
)


@given(CHANGES, st.integers(0, 25))
@settings(max_examples=25, deadline=None)
def test_the_nearest_layer_holds_also_after_undo_and_restart(
    changes: list[tuple[int, int | None]], undos: int
) -> None:
    asyncio.run(_run(changes, undos))


async def _run(changes: list[tuple[int, int | None]], undos: int) -> None:
    values: list[int | None] = [None] * len(SCOPES)
    history: list[tuple[int, int | None]] = []
    clock = FakeClock()
    base = Settings(chat=ChatDefaults(max_tokens=BASE))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clawbot.db")
        async with open_database(path, clock) as database:
            store = await SettingsStore.open(database, LiveSettings(base))
            at = datetime(2026, 1, 1, tzinfo=UTC)
            for index, value in changes:
                at += timedelta(minutes=1)
                scope = SCOPES[index]
                if value is not None:
                    await store.set(scope, "max_tokens", str(value), UserId(1), at)
                else:
                    done = await store.reset(scope, "max_tokens", UserId(1), at)
                    assert (done is None) is (values[index] is None)
                if value is not None or values[index] is not None:
                    history.append((index, values[index]))
                values[index] = value
            in_guild_1 = [step for step in history if step[0] in {1, 3, 4}]
            for _ in range(undos):
                at += timedelta(minutes=1)
                undone = await store.undo(Scope.in_guild(GuildId(1)), UserId(1), at)
                assert len(undone) == bool(in_guild_1)
                if in_guild_1:
                    index, before = in_guild_1.pop()
                    values[index] = before
            _check(store, values)
        async with open_database(path, clock) as database:
            _check(await SettingsStore.open(database, LiveSettings(base)), values)


def _check(store: SettingsStore, values: list[int | None]) -> None:
    for place, layers in PLACES:
        set_ones = [values[layer] for layer in layers if values[layer] is not None]
        assert store.effective(place).max_tokens == (set_ones[0] if set_ones else BASE)


@given(st.sampled_from(sorted(SETTING_TYPES)), st.text(max_size=60))
def test_whatever_is_typed_is_a_value_in_range_or_a_sentence(name: str, text: str) -> None:
    refusal = None
    value = None
    try:
        value = SETTING_TYPES[name].parse(text)
    except AdmissionError as exc:
        refusal = exc.sentence
    if value is None:
        allowed = SETTING_TYPES[name].allowed.removesuffix(".")
        assert refusal == f"`{name}` must be {allowed}."
    else:
        assert SETTING_TYPES[name].load(SETTING_TYPES[name].dump(value)) == value


@given(st.floats())
def test_numbers_in_and_out_of_range(number: float) -> None:
    try:
        value = SETTING_TYPES["temperature"].parse(format(number, "f"))
    except AdmissionError:
        return
    assert isinstance(value, float)
    assert 0 <= value <= 2
    assert SETTING_TYPES["temperature"].load(SETTING_TYPES["temperature"].dump(value)) == value
