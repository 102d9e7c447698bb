"""Plain tables, readable in a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def print_table(title: str, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table with aligned columns.

    Args:
        title: A line above the table.
        headers: Column names, with the unit.
        rows: Cells; floats are shown with three significant digits.
    """
    cells = [[_text(cell) for cell in row] for row in rows]
    widths = [
        max([len(header), *(len(row[i]) for row in cells)]) for i, header in enumerate(headers)
    ]
    print(f"\n{title}\n")
    print("| " + " | ".join(h.ljust(w) for h, w in zip(headers, widths, strict=True)) + " |")
    print("| " + " | ".join("-" * w for w in widths) + " |")
    for row in cells:
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |")


def percentile(values: Iterable[float], q: float) -> float:
    """Return the ``q``-th percentile (0 to 100) by linear interpolation; 0 for no values."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    position = (len(ordered) - 1) * q / 100
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    if ordered[low] == ordered[high]:  # both may be infinite
        return ordered[low]
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def _text(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
