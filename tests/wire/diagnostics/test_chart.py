"""The process that draws: a picture comes out, nothing else of this one's goes in."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from bot.core.child_process import environment
from bot.core.clock import SystemClock
from bot.diagnostics import chart_process
from bot.diagnostics.chart import Charts
from bot.diagnostics.chart_process import top_of
from bot.diagnostics.model_report import NO_CHART, NO_LIBRARY, RANGES, drawing
from bot.ops.history import History
from tests.support.clock import FakeClock, SwiftClock
from tests.support.records import record
from tests.support.state import FakeState


def data(name: str = "day") -> dict[str, object]:
    clock = FakeClock()
    history = History(FakeState(), clock)
    history.note(record(clock.now()))
    return drawing(history, RANGES[name], None)


async def test_a_chart_is_a_picture_with_its_own_ground_and_drawn_once_a_minute(
    tmp_path: Path,
) -> None:
    charts = Charts(SystemClock(), tmp_path / "fonts")
    picture, again = await asyncio.gather(charts.draw("day", data()), charts.draw("day", {}))
    assert isinstance(picture, bytes)
    assert again is picture
    image = Image.open(io.BytesIO(picture)).convert("RGBA")
    assert image.width <= 1000
    assert image.getpixel((0, 0)) == (0x1E, 0x20, 0x30, 255)
    assert max(image.convert("L").tobytes()) > 200


async def test_a_chart_is_drawn_with_a_figure_far_from_all_others_and_with_none_at_all(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    history = History(FakeState(), clock)
    for number in range(30):
        ended_at = clock.now() - timedelta(minutes=number)
        first_word_s = 700.0 if number == 20 else 2.0
        history.note(record(ended_at, first_word_s=first_word_s, written_tokens=None))
    drawn = drawing(history, RANGES["hour"], None)
    picture = await Charts(SystemClock(), tmp_path / "fonts").draw("hour", drawn)
    assert isinstance(picture, bytes)


def test_a_figure_far_from_all_others_presses_none_of_them_flat() -> None:
    assert top_of([2.0] * 19 + [700.0]) < 10
    for heights in ([3.0], [1.0, 4.0], [2.0, 5.0, 6.0, 9.0]):
        assert max(heights) < top_of(heights) < 2 * max(heights)
    assert top_of([0.01]) == 1.0


async def test_what_cannot_be_drawn_is_a_sentence(tmp_path: Path) -> None:
    assert await Charts(SystemClock(), tmp_path).draw("day", {}) == NO_CHART


async def test_without_the_library_the_process_says_so(tmp_path: Path) -> None:
    """A package of that name that can't be imported stands before the real one."""
    (tmp_path / "matplotlib.py").write_text("raise ImportError", encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", chart_process.__name__),
        stdin=asyncio.subprocess.PIPE,
        env=environment() | {"PYTHONPATH": f"{tmp_path}:{environment()['PYTHONPATH']}"},
    )
    await process.communicate(json.dumps(data()).encode())
    assert process.returncode == chart_process.NO_LIBRARY
    assert "pip install" in NO_LIBRARY


async def test_a_process_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    charts = Charts(SwiftClock(1_000_000), tmp_path)
    assert await charts.draw("day", data()) == NO_CHART


def test_nothing_of_the_environment_but_what_python_needs_is_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    assert "DISCORD_TOKEN" not in environment()
