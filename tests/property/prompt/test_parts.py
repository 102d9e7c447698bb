"""The parts of one message share its room: the words first, then each file a fair part of the rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import AttachmentInfo, UserId
from bot.prompt.attachments.decoding import Decoded
from bot.prompt.render import Persona, Style
from bot.prompt.tokens import static_tokens
from tests.support.builders import message

OWN_TOKENS = 12 + 8
"""What a message costs beside its text, and rounding."""


def rendered(words: str, files: list[str], most_tokens: int) -> tuple[str, int]:
    """Write down a message with text files; return the text and the characters that are left out."""
    infos = [AttachmentInfo(n, f"{n}.txt", "text/plain", 1, "") for n in range(len(files))]
    persona = Persona("", shows_time=False, shows_date=False, shows_names=False)
    contents = {n: Decoded(text) for n, text in enumerate(files)}
    style = Style(UserId(1), "Clawbot", persona, most_tokens, contents)
    written = style.message(message(text=words, attachments=tuple(infos)), name=None)
    return written.text, written.left_out


def test_a_huge_file_leaves_the_small_ones_beside_it_whole() -> None:
    huge = "word " * 40_000
    small = [f"The key of room {n} is {n * 7}." for n in range(9)]
    for place in range(10):
        text, left_out = rendered("Which key?", [*small[:place], huge, *small[place:]], 2_000)
        assert all(words in text for words in small)
        assert "Which key?" in text
        assert left_out > 100_000
        assert f"⟦file {place}.txt⟧\nword word" in text
        assert static_tokens(text) <= 2_000


def test_files_that_are_all_too_long_get_even_parts() -> None:
    text, _ = rendered("", [f"{n}" * 20_000 for n in range(4)], 2_000)
    counts = [text.count(f"{n}" * 100) for n in range(4)]
    assert min(counts) > 0
    assert max(counts) - min(counts) <= 1


@given(
    st.sampled_from(["", "why? ", "long words "]).flatmap(
        lambda word: st.integers(0, 400).map(lambda count: word * count)
    ),
    st.lists(st.integers(0, 3_000), max_size=10),
    st.integers(150, 3_000),
)
def test_a_message_keeps_to_its_room_and_says_what_is_left_out(
    words: str, sizes: list[int], most_tokens: int
) -> None:
    files = ["line of text\n" * size for size in sizes]
    text, left_out = rendered(words, files, most_tokens)
    assert static_tokens(text) <= most_tokens + OWN_TOKENS
    assert (left_out > 0) == ("left out" in text)
