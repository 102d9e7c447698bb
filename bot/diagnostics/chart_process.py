"""Draws one chart and ends: its numbers come as JSON on standard input, the PNG goes to standard output.

It runs in a process of its own, because the library takes more memory than the whole bot, and keeps it.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NO_LIBRARY: Final = 3
"""Exit code where matplotlib isn't installed."""

BACKGROUND, PANEL, TEXT, GRID = "#1e2030", "#262a3d", "#e6e9f5", "#4a5070"
"""The picture brings its own dark ground, so that it reads alike on Discord's dark and light."""
BLUE, ORANGE, GREEN, RED = "#7fb4ff", "#ffb454", "#8fd694", "#ff6b6b"

_LOOK: Final[dict[Any, Any]] = {
    "font.size": 13,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": GRID,
    "axes.facecolor": PANEL,
    "axes.titlecolor": TEXT,
    "axes.titlesize": 14,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": BACKGROUND,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 12,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "lines.linewidth": 2,
    "lines.markersize": 3.5,
}

_BESIDE_TITLE: Final[dict[str, Any]] = {
    "loc": "lower right",
    "bbox_to_anchor": (1.0, 0.97),
    "borderaxespad": 0.0,
    "ncols": 2,
}
"""Above the panel, where a legend covers no figures."""


def main() -> int:
    """Draw what standard input asks for; return the exit code."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - only this process has it, and only now
    except ImportError:
        return NO_LIBRARY
    mpl.use("agg")
    mpl.rcParams.update(_LOOK)
    picture = _draw(json.load(sys.stdin))
    sys.stdout.buffer.write(picture)
    return 0


def _draw(data: dict[str, Any]) -> bytes:
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    figure = Figure(figsize=(8, 9), dpi=100, layout="constrained")
    first, speed, waits, counts = figure.subplots(4, 1, sharex=True)
    _lines(first, data, "First word, seconds", "first_word")
    _line(speed, data, "tokens_per_s", GREEN, "")
    speed.set_title("Speed, tokens a second")
    _scale(speed, data, "tokens_per_s", GREEN)
    _lines(waits, data, "Time in line, seconds", "wait")
    counts.set_title("Questions")
    width = data["width"] * 0.9
    counts.bar(data["ago"], data["answered"], width, color=GREEN, label="answered")
    counts.bar(data["ago"], data["failed"], width, data["answered"], color=RED, label="failed")
    counts.legend(**_BESIDE_TITLE)
    counts.set_ylim(bottom=0)
    counts.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    half = data["width"] / 2
    counts.set_xlim(data["ago"][0] - half, data["ago"][-1] + half)
    counts.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 6, 10]))
    counts.set_xlabel(f"{data['unit']} before now")
    counts.xaxis.set_major_formatter(lambda at, _: "now" if abs(at) < 1e-9 else f"{-at:g}")
    for panel in (first, speed, waits, counts):
        panel.set_axisbelow(True)
    figure.suptitle(f"Answers over {data['title']}", fontsize=16)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _lines(panel: Axes, data: dict[str, Any], title: str, name: str) -> None:
    panel.set_title(title)
    _line(panel, data, f"{name}_95", ORANGE, "95 % within")
    _line(panel, data, name, BLUE, "half within")
    panel.legend(**_BESIDE_TITLE)
    _scale(panel, data, f"{name}_95", ORANGE)


def _line(panel: Axes, data: dict[str, Any], name: str, color: str, label: str) -> None:
    """Draw a line that breaks where nothing is known; a lone point is seen by its marker."""
    heights = [float("nan") if height is None else height for height in data[name]]
    panel.plot(data["ago"], heights, color=color, marker="o", label=label)


def top_of(heights: Sequence[float]) -> float:
    """Return where a panel ends: above all heights, or above the usual where a few are far higher."""
    ordered = sorted(heights)
    usual, most = ordered[int(0.9 * (len(ordered) - 1))], ordered[-1]
    return max(1.0, 1.15 * most if most <= _FAR * usual else 2 * usual)


_FAR: Final = 5.0
"""So many times the usual would press all other figures flat."""


def _scale(panel: Axes, data: dict[str, Any], name: str, color: str) -> None:
    """Let a panel begin at 0 and end above its highest line; what is far higher is marked at the edge."""
    known = [(x, y) for x, y in zip(data["ago"], data[name], strict=True) if y is not None]
    if not known:
        panel.set_yticks([])
        panel.text(0.5, 0.5, "no figures", transform=panel.transAxes, ha="center", va="center")
        return
    top = top_of([y for _, y in known])
    panel.set_ylim(0, top)
    panel.locator_params(axis="y", nbins=4)
    above = [(x, y) for x, y in known if y > top]
    if above:
        panel.plot([x for x, _ in above], [0.93 * top] * len(above), "^", color=color, ms=8)
        x, most = max(above, key=lambda one: one[1])
        side = "right" if x > data["ago"][0] / 2 else "left"
        panel.text(x, 0.93 * top, f"  up to {most:,.0f}  ", ha=side, va="center")


if __name__ == "__main__":
    sys.exit(main())
