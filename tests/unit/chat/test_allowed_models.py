"""What a guild's choice of model means under the owners' lists."""

from __future__ import annotations

import pytest

from bot.chat.allowed_models import MOST_GUILDS, MOST_PER_GUILD, STATE, AllowedModels, Permit
from bot.core.domain import GuildId, ModelInfo
from tests.support.state import FakeState

HOME, AWAY = GuildId(1), GuildId(2)
MODELS = {
    "a/loaded": ModelInfo("a/loaded", is_loaded=True, instance_ids=("a/loaded", "a/loaded:2")),
    "a/cold": ModelInfo("a/cold", is_loaded=False),
}


class State(FakeState):
    """Values in memory, none of them long."""

    async def set(self, key: str, value: object) -> None:
        """Keep a value."""
        if len(str(value)) > 20_000:
            raise ValueError
        await super().set(key, value)


def find(name: str | None) -> ModelInfo | None:
    """Find a model as the catalogue does: by key, copy, quantisation, or without its publisher."""
    plain = (name or "").partition("@")[0].partition(":")[0].lower()
    return MODELS.get(plain) or MODELS.get(f"a/{plain}")


@pytest.mark.parametrize(
    ("name", "permit"),
    [
        ("a/loaded", Permit("a/loaded", may_load=False)),
        ("LOADED", Permit("a/loaded", may_load=False)),
        ("a/loaded:2", Permit("a/loaded:2", may_load=False)),
        ("a/loaded@q8_0", None),
        ("a/cold", None),
        ("no/such", None),
        ("for/all", Permit("for/all", may_load=True)),
    ],
)
def test_only_what_is_loaded_or_allowed_is_permitted(name: str, permit: Permit | None) -> None:
    assert AllowedModels(["for/all"], State(), find).permit(HOME, name) == permit


async def test_a_guilds_list_is_its_own_and_can_be_taken_back() -> None:
    allowed = AllowedModels([], State(), find)
    assert await allowed.allow(HOME, "a/cold")
    assert allowed.permit(HOME, "a/cold") == Permit("a/cold", may_load=True)
    assert allowed.permit(HOME, "Cold") == Permit("a/cold", may_load=True)
    assert allowed.permit(AWAY, "a/cold") is None
    assert await allowed.forbid(HOME, "a/cold")
    assert not await allowed.forbid(HOME, "a/cold")
    assert allowed.permit(HOME, "a/cold") is None


async def test_lists_are_bounded_in_number_and_size() -> None:
    allowed = AllowedModels([], State(), find)
    for number in range(MOST_PER_GUILD):
        assert await allowed.allow(HOME, f"m{number}")
    assert await allowed.allow(HOME, "m0")
    assert not await allowed.allow(HOME, "one more")
    assert not await allowed.allow(AWAY, "x" * 30_000)


@pytest.mark.parametrize("stored", [None, 7, [], {"1": "a/cold"}, {"x": None}])
def test_what_is_stored_wrongly_allows_nothing(stored: object) -> None:
    state = State()
    state.values[STATE] = stored
    assert AllowedModels([], state, find).permit(HOME, "a/cold") is None


async def test_a_guild_that_is_gone_keeps_no_list() -> None:
    state = State()
    allowed = AllowedModels(["for/all"], state, find)
    await allowed.allow(HOME, "a/cold")
    await allowed.allow(AWAY, "a/cold")
    await allowed.forget(HOME)
    assert state.values[STATE] == {str(AWAY): ["a/cold"]}
    assert (allowed.of(HOME), allowed.of(AWAY)) == (("for/all",), ("for/all", "a/cold"))


async def test_nothing_is_stored_for_a_guild_that_had_no_list() -> None:
    state = State()
    await AllowedModels([], state, find).forget(HOME)
    assert state.values == {}


async def test_there_are_lists_for_a_number_of_guilds_and_those_may_still_grow() -> None:
    state = State()
    state.values[STATE] = {str(number): ["a/cold"] for number in range(100, 100 + MOST_GUILDS)}
    allowed = AllowedModels([], state, find)
    assert not await allowed.allow(HOME, "a/cold")
    assert await allowed.allow(GuildId(100), "a/loaded")
    assert allowed.of(GuildId(100)) == ("a/cold", "a/loaded")


async def test_a_quantisation_that_is_allowed_by_name_may_be_loaded_and_another_may_not() -> None:
    allowed = AllowedModels([], State(), find)
    await allowed.allow(HOME, "Cold@q4_k_m")
    permits = [allowed.permit(HOME, f"a/cold@{tag}") for tag in ("q4_k_m", "q8_0")]
    assert permits == [Permit("a/cold@q4_k_m", may_load=True), None]
