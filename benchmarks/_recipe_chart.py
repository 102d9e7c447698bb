"""The recipe's table as a picture: one panel a figure, one bar a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from bot.diagnostics.chart_process import BACKGROUND, BLUE, GREEN, GRID, ORANGE, PANEL, RED, TEXT

COLUMNS: Final = 3
COLORS: Final = (RED, ORANGE, BLUE, GREEN)
LOOK: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",  # text stays text: a fifth of the size
    "svg.hashsalt": "recipe",  # the same figures make the same file
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": GRID,
    "axes.facecolor": PANEL,
    "axes.titlecolor": TEXT,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "figure.facecolor": BACKGROUND,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
}


def draw(table: Mapping[str, Mapping[str, float]], title: str, file: Path) -> None:
    """Write a chart on a dark ground of its own, which reads alike on dark and light pages.

    Args:
        table: For each figure, its value in each run; a name ends with its unit.
        title: Above all.
        file: Where to; its ending says in which format (``.svg``, ``.png``).
    """
    with mpl.rc_context(LOOK):
        rows = -(-len(table) // COLUMNS)
        figure = Figure(figsize=(12, 0.8 + 2.1 * rows), dpi=100, layout="constrained")
        panels = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False).flat
        for panel, (name, values) in zip(panels, table.items(), strict=False):
            bars = panel.barh(list(values), list(values.values()), color=COLORS)
            panel.bar_label(bars, fmt="%.3g", padding=4, color=TEXT)
            panel.set_title(name)
            panel.margins(x=0.18)
            panel.set_xticks([])
            panel.spines[["top", "right", "bottom"]].set_visible(False)
        panels[0].invert_yaxis()
        figure.suptitle(title, fontsize=13)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else {})
