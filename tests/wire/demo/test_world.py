"""Who answers in the demo, and why."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.demo.world import OF_STAND_IN, SHOWS_NO_MODEL, why_stand_in
from config.loader import load_settings
from sandbox.lmstudio import LMStudioSandbox


async def why(address: str, **more: str) -> str:
    environment = {"LMSTUDIO_BASE_URL": address, **more}
    return await why_stand_in(load_settings(environment, require_token=False).settings)


@pytest.fixture
async def lm() -> AsyncIterator[LMStudioSandbox]:
    async with LMStudioSandbox() as opened:
        yield opened


async def test_a_model_of_ones_own_answers_where_there_is_one(lm: LMStudioSandbox) -> None:
    assert await why(lm.base_url) == ""


async def test_a_missing_or_wrong_token_is_named(lm: LMStudioSandbox) -> None:
    lm.options.token = "its-own"
    assert await why(lm.base_url) == SHOWS_NO_MODEL
    assert await why(lm.base_url, LMSTUDIO_API_TOKEN="another") == SHOWS_NO_MODEL
    assert "LMSTUDIO_API_TOKEN" in SHOWS_NO_MODEL
    assert await why(lm.base_url, LMSTUDIO_API_TOKEN="its-own") == ""


async def test_a_server_without_a_model_and_none_at_all_are_told_apart() -> None:
    async with LMStudioSandbox([]) as empty:
        assert await why(empty.base_url) == SHOWS_NO_MODEL
    assert await why("http://127.0.0.1:9") == OF_STAND_IN
