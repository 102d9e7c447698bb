"""The deployment of every test here."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.security.deployment import Deployment, OpenDeployment, open_deployment


@pytest.fixture
def opened(tmp_path: Path) -> OpenDeployment:
    """Open a deployment with options of the test's own."""
    return functools.partial(open_deployment, tmp_path / "data")


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncGenerator[Deployment, None]:
    """A deployment whose model answers at once; everything is checked when it closes."""
    async with open_deployment(tmp_path / "data") as open_one:
        yield open_one


@pytest.fixture
async def steady(tmp_path: Path) -> AsyncGenerator[Deployment, None]:
    """A deployment whose clock runs as the world's: a busy machine has 3 s for each response."""
    async with open_deployment(tmp_path / "data", factor=1.0) as open_one:
        yield open_one
