"""What a guild's choice of model means under the owners' lists."""

from __future__ import annotations

import pytest

from bot.chat.allowed_models import MOST_PER_GUILD, STATE, AllowedModels, Permit
from bot.core.domain import GuildId, ModelInfo

HOME, AWAY = GuildId(1), GuildId(2)
MODELS = {
    "a/loaded": ModelInfo("a/loaded", is_loaded=True, instance_ids=("a/loaded", "a/loaded:2")),
    "a/cold": ModelInfo("a/cold", is_loaded=False),
}


class State:
    """Values in memory."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def get(self, key: str) -> object:
        """Return a value."""
        return self.values.get(key)

    async def set(self, key: str, value: object) -> None:
        """Keep a value."""
        if len(str(value)) > 20_000:
            raise ValueError
        self.values[key] = value

    def is_saved(self, _key: str) -> bool:
        """Return that another start would find it."""
        return True


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
