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
