"""Fixtures of the tests over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.lmstudio import LMStudioBackend
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.clock import FakeClock
from tests.wire.lmstudio.rig import connected

PARIS = "The capital of France is Paris."


@pytest.fixture
async def sandbox() -> AsyncIterator[LMStudioSandbox]:
    """A local LM Studio with one loaded model that thinks a little and knows one answer."""
    async with LMStudioSandbox() as server:
        server.answer(Answer(PARIS, reasoning="Hm."))
        yield server


@pytest.fixture
async def backend(sandbox: LMStudioSandbox, clock: FakeClock) -> AsyncIterator[LMStudioBackend]:
    """A back end that knows the local LM Studio already."""
    async with connected(clock, sandbox.base_url) as opened:
        yield opened
