"""A model's name is found in the listing however people write it, and guessed where several fit never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import ModelInfo
from bot.lmstudio.catalogue import NAMES_ONLY, Catalogue, name_to_send
from bot.lmstudio.names import is_same_model, meant, quantisation, shown

KEY = "qwen/qwen3-next-80b"
PATH = "/srv/llm/SmolLM2-135M-Instruct.Q4_1.gguf"
KEYS = (KEY, "openai/gpt-oss-20b", "google/gemma-3-12b", "qwen2.5-7b-instruct", PATH)
MORE_KEYS = (
    *KEYS,
    "meta-llama-3.1-8b-instruct",
    "qwen/qwen3-4b-2507",
    "qwen/qwen3-4b-thinking-2507",
    "yi-34b",
)

WRITTEN = (
    "qwen3-next-80b",
    "Qwen/Qwen3-Next-80B",
    "QWEN3-NEXT-80B",
    " qwen3-next-80b ",
    "qwen3 next 80b",
    "qwen3_next_80b",
    "qwen/qwen3_next_80b",
    "unsloth/Qwen3-Next-80B-GGUF",
    "mlx-community/Qwen3-Next-80B-4bit",
    "qwen3-next-80b.gguf",
    "lmstudio-community/Qwen3-Next-80B-GGUF/Qwen3-Next-80B-Q4_K_M.gguf",
    "C:\\models\\Qwen3-Next-80B-UD-Q4_K_XL.gguf",
    "/srv/models/qwen3-next-80b-q8_0-00001-of-00004.gguf",
    "hf.co/unsloth/Qwen3-Next-80B-GGUF:Q4_K_M",
    "qwen3-next-80b@q4_k_m",
    "Qwen3-Next-80B@IQ3_XXS",
    "qwen3-next-80b@latest",
    "qwen3-next-80b:free",
    "qwen/qwen3-next-80b:latest",
    "qwen3-next:80b",
    "qwen/qwen3-next-80b:2",
    "Qwen/Qwen3-Next-80B-A3B-Instruct-GGUF",
    "lmstudio-community/Qwen3-Next-80B-A3B-Instruct-MLX-4bit",
    "qwen3-next-80b-a3b",
)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_name_is_found_however_it_is_written(name: str) -> None:
    assert meant(name, KEYS) == (KEY,)
    assert is_same_model(name, KEY)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gpt-oss:20b", "openai/gpt-oss-20b"),
        ("qwen2_5-7b-instruct", "qwen2.5-7b-instruct"),
        ("smollm2-135m-instruct", PATH),
        ("SmolLM2-135M-Instruct-Q8_0.gguf", PATH),
        ("gemma-3-12b-f16", "google/gemma-3-12b"),
        ("gemma3:12b", "google/gemma-3-12b"),
        ("google/gemma-3-12b-it", "google/gemma-3-12b"),
        ("qwen2.5:7b", "qwen2.5-7b-instruct"),
        ("llama3.1:8b", "meta-llama-3.1-8b-instruct"),
        ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama-3.1-8b-instruct"),
        ("Qwen/Qwen3-4B-Instruct-2507", "qwen/qwen3-4b-2507"),
        ("Qwen/Qwen3-4B-Thinking-2507", "qwen/qwen3-4b-thinking-2507"),
    ],
)
def test_so_are_others(name: str, key: str) -> None:
    assert meant(name, MORE_KEYS) == (key,)


@pytest.mark.parametrize(
    "name",
    [
        "qwen3-next",
        "qwen3-next-8b",
        "qwen3-next-80b-thinking",
        "gemma3",
        "gemma3:27b",
        "gemma-31:2b",
        "Qwen/Qwen3-4B",
        "yi-34b-chat",
        "gemma-3-27b",
        "gpt-4",
        "q4_k_m",
        "@q4_k_m",
        "gguf",
        ".gguf",
        "/",
        "",
        "  ",
    ],
)
def test_another_model_is_not_taken_for_it(name: str) -> None:
    assert meant(name, MORE_KEYS) == ()


@pytest.mark.parametrize(
    ("name", "keys", "found"),
    [
        ("b", ("x/b", "y/b"), ("x/b", "y/b")),
        ("x/b", ("x/b", "y/b"), ("x/b",)),
        ("X/B-GGUF", ("x/b", "y/b"), ("x/b",)),
        ("z/b", ("x/b", "y/b"), ("x/b", "y/b")),
        ("z/b", ("b", "y/b"), ("b",)),
        (
            "gemma3:4b",
            ("google/gemma-3-4b", "gemma-3-4b-it"),
            ("google/gemma-3-4b", "gemma-3-4b-it"),
        ),
        ("gemma3:4b", ("gemma-3-4b-it", "gemma-3-4b-it-qat"), ("gemma-3-4b-it",)),
        ("google/gemma-3-4b-it", ("gemma3:4b", "gemma3:12b"), ("gemma3:4b",)),
        ("b@q8_0", ("b@q4_k_m", "b@q8_0"), ("b@q8_0",)),
        ("x/B-Q8_0.gguf", ("b@q4_k_m", "b@q8_0"), ("b@q8_0",)),
        ("b", ("b@q4_k_m", "b@q8_0"), ("b@q4_k_m", "b@q8_0")),
    ],
)
def test_of_several_those_that_are_most_like_it_are_meant(
    name: str, keys: tuple[str, ...], found: tuple[str, ...]
) -> None:
    assert meant(name, keys) == found


@given(st.sampled_from(KEYS), st.randoms(use_true_random=False))
def test_case_separators_and_wrapping_change_nothing(key: str, chance: object) -> None:
    written = "".join(
        getattr(chance, "choice")((letter, letter.upper()))  # noqa: B009 - hypothesis names no type
        for letter in key.replace("-", "_")
    )
    assert meant(f" {written}\n", KEYS) == (key,)


@given(st.text(max_size=40), st.lists(st.text(min_size=1, max_size=40), max_size=5))
def test_any_text_is_read(name: str, keys: list[str]) -> None:
    assert set(meant(name, keys)) <= set(keys)
    assert name not in keys or meant(name, keys) == (name,) * keys.count(name)
    assert "\n" not in shown(name)
    assert len(shown(name)) <= 100


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (PATH, "SmolLM2-135M-Instruct.Q4_1"),
        ("D:\\llm\\m.gguf", "m"),
        ("~/m.gguf", "m"),
        ("publisher/model-GGUF/model.GGUF", "model"),
        (KEY, KEY),
        ("a `b`\nc", "a b c"),
    ],
)
def test_people_see_no_folders(name: str, text: str) -> None:
    assert shown(name) == text


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("a/b@q4_k_m", "q4_k_m"),
        ("a/b@Q8_0", "q8_0"),
        ("b@4bit", "4bit"),
        ("b@ud-q4_k_xl", "ud-q4_k_xl"),
    ]
    + [(name, "") for name in ("b", "b@latest", "b@", "b@main", "me@example.org")],
)
def test_a_quantisation_is_told_from_another_tag(name: str, tag: str) -> None:
    assert quantisation(name) == tag


def listed(*models: ModelInfo, any_name: bool = False) -> Catalogue:
    """Return what a server lists."""
    return Catalogue(NAMES_ONLY if any_name else 0, models, takes_any_name=any_name)


def test_of_two_near_names_the_one_that_is_loaded_is_taken_and_else_none() -> None:
    one, two = ModelInfo("x/b", is_loaded=False), ModelInfo("y/b", is_loaded=True)
    assert listed(one, two).find("B") == two
    cold = ModelInfo("y/b", is_loaded=False)
    warm = ModelInfo("x/b", is_loaded=True)
    assert listed(one, cold).find("b") is None
    assert listed(warm, two).find("b") is None
    assert listed(one, cold).fitting("b") == [one, cold]


def test_a_server_with_one_model_that_answers_any_name_is_taken_for_it() -> None:
    only = ModelInfo(PATH, is_loaded=True)
    assert listed(only, any_name=True).find("gpt-4") == only
    assert listed(only).find("gpt-4") is None


@pytest.mark.parametrize(
    ("asked", "variants", "sent"),
    [
        ("B", (), "a/b:2"),
        ("b@latest", (), "a/b:2"),
        ("B@Q4_K_M", (), "a/b@q4_k_m"),
        ("b@q4_k_m", ("a/b@q4_k_m", "a/b@q8_0"), "a/b@q4_k_m"),
        ("b@q2_k", ("a/b@q4_k_m", "a/b@q8_0"), "a/b:2"),
        ("a/b", (), "a/b:2"),
        (None, (), "a/b:2"),
    ],
)
def test_the_listed_name_is_sent_with_the_quantisation_that_is_there(
    asked: str | None, variants: tuple[str, ...], sent: str
) -> None:
    info = ModelInfo("a/b", is_loaded=True, instance_ids=("a/b:2",), variants=variants)
    assert name_to_send(info, asked, "a/b:2") == sent
