"""The house of every test here."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.security.house import House, OpenHouse, open_house


@pytest.fixture
def opened(tmp_path: Path) -> OpenHouse:
    """Open a house with options of the test's own."""
    return functools.partial(open_house, tmp_path / "data")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House, None]:
    """A house whose model answers at once; everything is checked when it closes."""
    async with open_house(tmp_path / "data") as open_one:
        yield open_one
