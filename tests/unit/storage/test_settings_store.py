"""Settings kept in the database: layers, changes, history, and a database that fails."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from bot.core.domain import ChannelId, GuildId, Place, PlaceKind, UserId
from bot.core.errors import StoreError
from bot.core.ports import SettingsReader
from bot.storage.database import Database, open_database
from bot.storage.schema import setting_changes
from bot.storage.setting_types import EVERYWHERE, Change, InvalidSettingError, Layer, Scope
from bot.storage.settings_sql import load
from bot.storage.settings_store import SettingsStore
from config.settings import LiveSettings, Settings
from tests.support.bad_values import BAD_VALUES
from tests.support.clock import FakeClock

GUILD, OTHER_GUILD = GuildId(7), GuildId(8)
CHANNEL, THREAD = ChannelId(70), ChannelId(71)
HERE = Place(PlaceKind.GUILD_TEXT, CHANNEL, GUILD)
IN_THREAD = Place(PlaceKind.THREAD, THREAD, GUILD, parent_id=CHANNEL)
ELSEWHERE = Place(PlaceKind.GUILD_TEXT, ChannelId(80), OTHER_GUILD)
DM = Place(PlaceKind.DM, ChannelId(90))
IN_GUILD = Scope.in_guild(GUILD)
IN_CHANNEL = Scope.in_channel(CHANNEL, GUILD)
ADMIN = UserId(1)


class Admin:
    """Somebody who changes settings, a minute apart."""

    def __init__(self, store: SettingsStore, clock: FakeClock, live: LiveSettings) -> None:
        self.store = store
        self.live = live
        self.clock = clock

    async def set(self, scope: Scope, key: str, value: str) -> Change:
        await self.clock.advance(60)
        return await self.store.set(scope, key, value, ADMIN, self.clock.now())

    async def undo(self, scope: Scope) -> Change | None:
        await self.clock.advance(60)
        done = await self.store.undo(scope, ADMIN, self.clock.now())
        assert len(done) <= 1
        return done[0] if done else None

    async def reset(self, scope: Scope, key: str) -> Change | None:
        await self.clock.advance(60)
        return await self.store.reset(scope, key, ADMIN, self.clock.now())

    @property
    def timeout_ms(self) -> int:
        return self.live.view.lmstudio.network_timeout_ms

    def temperature(self, place: Place) -> float:
        reader: SettingsReader = self.store
        return reader.effective(place).temperature


async def _open(database: Database) -> SettingsStore:
    return await SettingsStore.open(database, LiveSettings(Settings()))


async def _admin(database: Database, clock: FakeClock) -> Admin:
    live = LiveSettings(Settings())
    return Admin(await SettingsStore.open(database, live), clock, live)


@pytest.fixture
async def admin(database: Database, clock: FakeClock) -> Admin:
    return await _admin(database, clock)


async def test_without_changes_the_settings_file_holds(admin: Admin) -> None:
    effective = admin.store.effective(HERE)
    assert (effective.temperature, effective.max_tokens, effective.model) == (0.7, 2048, None)
    assert admin.timeout_ms == 30_000


async def test_the_channel_stands_over_the_guild_over_global_over_the_file(admin: Admin) -> None:
    await admin.set(EVERYWHERE, "temperature", "0.1")
    assert [admin.temperature(p) for p in (HERE, ELSEWHERE, DM)] == [0.1, 0.1, 0.1]
    await admin.set(IN_GUILD, "temperature", "0.2")
    assert [admin.temperature(p) for p in (HERE, ELSEWHERE, DM)] == [0.2, 0.1, 0.1]
    await admin.set(IN_CHANNEL, "temperature", "0.3")
    assert [admin.temperature(p) for p in (HERE, IN_THREAD, ELSEWHERE)] == [0.3, 0.3, 0.1]
    await admin.set(Scope.in_channel(THREAD, GUILD), "temperature", "0")
    assert [admin.temperature(p) for p in (HERE, IN_THREAD)] == [0.3, 0.0]


async def test_only_what_is_missing_falls_through(admin: Admin) -> None:
    await admin.set(EVERYWHERE, "show_footer", "on")
    await admin.set(IN_GUILD, "show_footer", "off")
    assert admin.store.effective(HERE).show_footer is False
    assert admin.store.effective(DM).show_footer is True


async def test_a_reset_lets_the_layer_below_hold(admin: Admin) -> None:
    await admin.set(EVERYWHERE, "temperature", "0.1")
    await admin.set(IN_GUILD, "temperature", "0.2")
    assert await admin.reset(IN_GUILD, "temperature") is not None
    assert admin.temperature(HERE) == 0.1
    assert await admin.reset(IN_GUILD, "temperature") is None


@pytest.mark.parametrize("value", ["hot", "99", "-1", "nan", "1e999", ""])
async def test_a_refused_value_changes_nothing(admin: Admin, value: str) -> None:
    with pytest.raises(InvalidSettingError, match="from 0 to 2"):
        await admin.set(IN_GUILD, "temperature", value)
    assert admin.temperature(HERE) == 0.7
    assert await admin.store.history() == []


async def test_what_holds_for_the_whole_bot_is_refused_to_a_guild(admin: Admin) -> None:
    with pytest.raises(InvalidSettingError, match="whole bot"):
        await admin.set(IN_GUILD, "network_timeout", "25000")
    await admin.set(EVERYWHERE, "network_timeout", "25000")
    assert admin.timeout_ms == 25_000


async def test_everything_is_there_after_a_restart(location: str | Path, clock: FakeClock) -> None:
    async with open_database(location, clock) as database:
        admin = await _admin(database, clock)
        await admin.set(IN_GUILD, "temperature", "0.31")
        await admin.set(IN_CHANNEL, "system_prompt", "Say \x22aye\x22.\nÜ 🎈")
        await admin.set(IN_GUILD, "show_footer", "on")
        await admin.set(IN_GUILD, "max_tokens", "9")
    async with open_database(location, clock) as database:
        effective = (await _open(database)).effective(HERE)
    assert effective.temperature == 0.31
    assert effective.system_prompt == "Say \x22aye\x22.\nÜ 🎈"
    assert effective.show_footer is True
    assert effective.max_tokens == 9


async def test_show_says_where_each_value_comes_from(admin: Admin) -> None:
    change = await admin.set(IN_GUILD, "temperature", "0.2")
    shown = {setting.key: setting for setting in admin.store.show(HERE)}
    assert list(shown)[:3] == ["model", "temperature", "top_p"]
    assert shown["temperature"].layer is Layer.GUILD
    assert shown["temperature"].changed_by == ADMIN
    assert shown["temperature"].changed_at == change.changed_at
    assert (shown["top_p"].layer, shown["top_p"].changed_by) == (Layer.FILE, None)


async def test_history_is_newest_first_and_says_old_and_new(admin: Admin) -> None:
    await admin.set(IN_GUILD, "temperature", "0.2")
    await admin.set(IN_CHANNEL, "max_tokens", "100")
    await admin.set(IN_GUILD, "temperature", "0.3")
    await admin.set(Scope.in_guild(OTHER_GUILD), "temperature", "1")
    everything = await admin.store.history(scope=IN_GUILD)
    assert [(c.key, c.old, c.new) for c in everything] == [
        ("temperature", 0.2, 0.3),
        ("max_tokens", None, 100),
        ("temperature", None, 0.2),
    ]
    assert len(await admin.store.history("temperature", scope=IN_GUILD)) == 2
    assert len(await admin.store.history(limit=1)) == 1
    with pytest.raises(InvalidSettingError):
        await admin.store.history("heat")


async def test_undo_goes_back_step_by_step(admin: Admin) -> None:
    await admin.set(IN_GUILD, "temperature", "0.1")
    await admin.set(IN_GUILD, "temperature", "0.2")
    await admin.set(IN_CHANNEL, "max_tokens", "5")
    steps = []
    while (change := await admin.undo(IN_GUILD)) is not None:
        steps.append((change.key, change.new))
    assert steps == [("max_tokens", None), ("temperature", 0.1), ("temperature", None)]
    assert admin.temperature(HERE) == 0.7


async def test_what_one_person_changed_at_one_time_is_taken_back_as_a_whole(admin: Admin) -> None:
    store, at, other = admin.store, admin.clock.now(), UserId(2)
    await store.set(IN_GUILD, "temperature", "0.1", ADMIN, at)
    await store.set(IN_GUILD, "max_tokens", "5", other, at)
    await store.set(IN_CHANNEL, "max_tokens", "6", other, at)
    await admin.clock.advance(1)
    for key, value in (("temperature", "0.2"), ("top_p", "0.3")):
        await store.set(IN_GUILD, key, value, ADMIN, admin.clock.now())
    steps = []
    while done := await store.undo(IN_GUILD, ADMIN, admin.clock.now()):
        steps.append([(each.scope.layer, each.key, each.new) for each in done])
    assert steps == [
        [(Layer.GUILD, "top_p", None), (Layer.GUILD, "temperature", 0.1)],
        [(Layer.CHANNEL, "max_tokens", None)],
        [(Layer.GUILD, "max_tokens", None)],
        [(Layer.GUILD, "temperature", None)],
    ]
    assert store.set_in(GUILD) == []


async def test_undo_brings_back_what_a_reset_removed(admin: Admin) -> None:
    await admin.set(IN_GUILD, "temperature", "0.1")
    await admin.reset(IN_GUILD, "temperature")
    await admin.undo(IN_GUILD)
    assert admin.temperature(HERE) == 0.1


async def test_undo_does_not_reach_into_another_guild_or_global(admin: Admin) -> None:
    await admin.set(EVERYWHERE, "temperature", "0.1")
    await admin.set(Scope.in_guild(OTHER_GUILD), "temperature", "0.2")
    assert await admin.undo(IN_GUILD) is None
    assert await admin.undo(Scope.in_channel(CHANNEL, GUILD)) is None
    assert await admin.undo(EVERYWHERE) is not None
    assert admin.temperature(ELSEWHERE) == 0.2


async def test_undo_brings_no_value_back_that_isnt_allowed(
    admin: Admin, database: Database
) -> None:
    for name, values in BAD_VALUES.items():
        for value in filter(None, values):  # the settings file may have an empty persona
            raw = value.replace("\ud800", "").replace("\0", "")  # PostgreSQL holds neither
            for stored in (json.dumps(value), raw):
                row = {"layer": "global", "scope_id": 0, "guild_id": 0, "key": name}
                row |= {"old_value": stored, "new_value": None, "changed_by": 1, "changed_at_ms": 1}
                await database.write(lambda c, row=row: c.execute(insert(setting_changes), row))  # type: ignore[misc]
                done = await admin.undo(EVERYWHERE)
                assert done is not None
                assert (done.key, done.new) == (name, None), value
                assert admin.store.stored(EVERYWHERE, name) is None, value


async def test_a_failed_write_changes_nothing(admin: Admin, database: Database) -> None:
    await admin.set(IN_GUILD, "temperature", "0.2")
    await database.write(lambda c: c.execute(text("DROP TABLE setting_changes")))
    with pytest.raises(StoreError):
        await admin.set(IN_GUILD, "temperature", "0.9")
    assert admin.temperature(HERE) == 0.2
    stored = await database.read(lambda c: c.execute(text("SELECT value FROM settings")).scalar())
    assert stored == "0.2"


async def test_a_stored_value_that_is_not_allowed_is_ignored(
    admin: Admin, database: Database
) -> None:
    await admin.set(IN_GUILD, "temperature", "0.2")
    await admin.set(IN_GUILD, "max_tokens", "5")
    await database.write(
        lambda c: c.execute(text("UPDATE settings SET value = 'NaN' WHERE key = 'temperature'"))
    )
    effective = (await _open(database)).effective(HERE)
    assert (effective.temperature, effective.max_tokens) == (0.7, 5)


async def test_a_flood_of_changes_is_refused_for_a_minute(admin: Admin) -> None:
    now = admin.clock.now()
    for number in range(20):
        await admin.store.set(IN_GUILD, "max_tokens", str(number + 1), ADMIN, now)
    with pytest.raises(InvalidSettingError, match="in 1 second"):
        await admin.store.set(IN_GUILD, "max_tokens", "99", ADMIN, now + timedelta(seconds=59))
    await admin.store.set(IN_GUILD, "max_tokens", "99", ADMIN, now + timedelta(seconds=60))


async def test_strangers_in_their_own_guilds_lock_nobody_else_out(admin: Admin) -> None:
    now = admin.clock.now()
    for number in range(600):
        stranger, own = UserId(100 + number // 20), Scope.in_guild(GuildId(1000 + number // 40))
        with contextlib.suppress(InvalidSettingError):
            await admin.store.set(own, "max_tokens", str(number + 1), stranger, now)
    await admin.store.set(IN_GUILD, "max_tokens", "5", ADMIN, now)
    await admin.store.set(EVERYWHERE, "max_tokens", "6", ADMIN, now)
    assert admin.store.effective(HERE).max_tokens == 5


async def test_one_guilds_history_and_settings_stay_bounded(
    admin: Admin, database: Database
) -> None:
    for number in range(80):
        await admin.set(IN_GUILD, "max_tokens", str(number + 1))
    count = text("SELECT count(*) FROM setting_changes")
    assert await database.read(lambda c: c.execute(count).scalar()) == 50
    assert (await admin.undo(IN_GUILD)) is not None
    assert admin.store.effective(HERE).max_tokens == 79
    places = [Scope.in_channel(ChannelId(number), OTHER_GUILD) for number in range(1, 101)]
    for place in places:
        await admin.set(place, "max_tokens", "7")
    with pytest.raises(InvalidSettingError, match="whole server"):
        await admin.set(Scope.in_channel(ChannelId(999), OTHER_GUILD), "max_tokens", "7")
    await admin.set(places[0], "max_tokens", "8")
    await admin.set(IN_CHANNEL, "max_tokens", "9")
    deleted = admin.store.places_in(OTHER_GUILD)[1:]
    await admin.store.forget_places(OTHER_GUILD, deleted)
    stored = await database.read(load)
    assert {each.scope for each in stored} == {IN_GUILD, IN_CHANNEL, places[0]}
    await admin.set(Scope.in_channel(ChannelId(999), OTHER_GUILD), "max_tokens", "7")


async def test_listeners_hear_of_each_change(admin: Admin) -> None:
    heard: list[tuple[str, object]] = []
    admin.store.subscribe(lambda change: heard.append((change.key, change.new)))
    await admin.set(EVERYWHERE, "network_timeout", "25000")
    await admin.undo(EVERYWHERE)
    assert heard == [("network_timeout", 25_000), ("network_timeout", None)]
