"""Small things remembered over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.storage.database import Database, open_database
from bot.storage.state import StateStore
from tests.support.clock import FakeClock


async def test_values_come_back_after_a_restart(location: str | Path, clock: FakeClock) -> None:
    values = {"identifies": [1.5, 2.5], "hash": "abc\ud800", "models": {"a": 1}}
    async with open_database(location, clock) as database:
        store = await StateStore.open(database, clock)
        for key, value in values.items():
            await store.set(key, value)
    async with open_database(location, clock) as database:
        store = await StateStore.open(database, clock)
        assert {key: store.get(key) for key in values} == values
        assert store.get("other") is None


async def test_none_forgets(database: Database, clock: FakeClock) -> None:
    store = await StateStore.open(database, clock)
    await store.set("a", 1)
    await store.set("a", None)
    assert store.get("a") is None
    assert (await StateStore.open(database, clock)).get("a") is None


async def test_what_is_returned_is_a_copy(database: Database, clock: FakeClock) -> None:
    store = await StateStore.open(database, clock)
    await store.set("a", [1])
    got = store.get("a")
    assert isinstance(got, list)
    got.append(2)
    assert store.get("a") == [1]


@pytest.mark.parametrize(
    ("value", "reason"), [(float("nan"), "not JSON compliant"), ("x" * 70_000, "longer than")]
)
async def test_what_cannot_be_kept_is_refused(
    database: Database, clock: FakeClock, value: object, reason: str
) -> None:
    store = await StateStore.open(database, clock)
    with pytest.raises(ValueError, match=reason):
        await store.set("a", value)
    assert store.get("a") is None


async def test_a_change_begins_at_what_is_stored_or_at_what_memory_holds_where_that_is_newer(
    database: Database, clock: FakeClock
) -> None:
    def add(stored: object) -> object:
        return [*(stored if isinstance(stored, list) else ()), len(str(stored))]

    ours, theirs = [await StateStore.open(database, clock) for _ in range(2)]
    await ours.change("a", add)
    assert await theirs.change("a", add) == theirs.get("a") == [4, 3]
    database.is_degraded = True
    assert await ours.change("a", add) == ours.get("a") == [4, 3]
    assert not ours.is_saved("a")
    database.is_degraded = False
    assert await ours.change("a", add) == [4, 3, 6]
    assert ours.is_saved("a")
    with pytest.raises(ValueError, match="longer than"):
        await ours.change("a", lambda _: "x" * 70_000)
    assert await theirs.change("a", lambda _: None) is None
    assert await ours.change("a", lambda stored: stored) is None
    assert ours.get("a") is None
