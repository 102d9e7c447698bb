"""When an edit of the settings file is taken."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.core.tasks import end_tasks
from bot.ops.reload import LOOK_S, Origin, Reload
from bot.storage.database import open_database
from bot.storage.settings_store import SettingsStore
from config.environment import read_environment
from config.settings import LiveSettings
from tests.support.clock import FakeClock


async def test_an_edit_is_taken_once_it_is_whole(tmp_path: Path) -> None:
    """Editors write a file in parts, and some move the old one away before."""
    file, clock = tmp_path / "clawbot.json", FakeClock()
    file.write_text('{"model": "a"}')
    origin = Origin(lambda: read_environment({}, folder=tmp_path), (tmp_path / ".env", file))
    settings = origin.read().load().settings
    live = LiveSettings(settings)
    async with open_database(tmp_path / "clawbot.db", clock) as database:
        store = await SettingsStore.open(database, live)
        taken: list[str | None] = []
        reload = Reload(origin, settings, store, lambda: taken.append(live.view.chat.model))
        watching = asyncio.create_task(reload.watch(clock))
        for text in (None, '{"model": ', '{"model": "b"}'):
            if text is None:
                file.unlink()
            else:
                file.write_text(text)
            await clock.advance(LOOK_S)
            assert (taken, store.file_state) == ([], ())
        await clock.advance(LOOK_S)
        assert taken == ["b"]
        file.unlink()
        await clock.advance(2 * LOOK_S)
        assert taken == ["b", None]
        file.write_text("{")
        await clock.advance(2 * LOOK_S)
        assert "aren't used" in store.file_state[0]
        await end_tasks(watching)
