"""The picture of the recipe's table."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from benchmarks._recipe_chart import draw
from benchmarks.recipe import CHARTED, arms

TABLE = {figure: {arm.name: 10.0 / n for n, arm in enumerate(arms(), 1)} for figure in CHARTED}


def test_it_is_small_and_the_same_for_the_same_figures(tmp_path: Path) -> None:
    texts = []
    for name in ("one.svg", "two.svg"):
        draw(TABLE, "Title", tmp_path / "made" / name)
        texts.append((tmp_path / "made" / name).read_text())
    assert texts[0] == texts[1]
    assert len(texts[0]) <= 100_000
    for words in ("Title", *CHARTED, *(arm.name for arm in arms())):
        assert words in texts[0]


def test_it_brings_its_own_dark_ground(tmp_path: Path) -> None:
    draw(TABLE, "Title", tmp_path / "one.png")
    assert Image.open(tmp_path / "one.png").convert("RGB").getpixel((0, 0)) == (0x1E, 0x20, 0x30)
    assert (tmp_path / "one.png").stat().st_size <= 100_000
