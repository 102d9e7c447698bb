"""Every public function that reads text from others does work in proportion to the text."""

from __future__ import annotations

import pytest

from benchmarks.adversarial import SIZES, counted, is_linear


@pytest.mark.timeout(900)
def test_ten_times_the_text_is_about_ten_times_the_work() -> None:
    rows = counted(["--few"])
    assert len({function for function, _, _ in rows}) > 25
    slow = [row for row in rows if len(row[2]) < len(SIZES) or not is_linear(row[2])]
    assert not slow


def test_the_measure_tells_linear_from_quadratic() -> None:
    assert is_linear([1_000, 10_000, 100_000])
    assert is_linear([5_000, 180_000, 2_100_000])
    assert not is_linear([10_000, 1_000_000, 100_000_000])
