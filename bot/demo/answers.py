"""What the demo's stand-in for a model says."""

from __future__ import annotations

from typing import Final

MODEL: Final = "demo/canned-answers"
"""Its key, plain about what it is."""

THINKING: Final = "The person asks something. I'll pick the canned answer that fits best."
"""What comes before an answer and must never show."""

_OTHER: Final = (
    "I'm a stand-in with canned answers: everything around me is the real bot. Ask for some code, "
    "or for a long answer, to see how that arrives, or start LM Studio and run the demo again to "
    "talk to your own model."
)

_BY_WORD: Final = {
    "code": (
        "A fence survives streaming, and splitting over messages too:\n\n"
        "```python\ndef fib(n: int) -> int:\n    a, b = 0, 1\n    for _ in range(n):\n"
        "        a, b = b, a + b\n    return a\n```"
    ),
    "long": "\n\n".join(
        f"{number}. Discord takes 2,000 characters a message, so an answer this long is split at "
        "paragraphs, each part is sent once, and the buttons stay on the last one."
        for number in range(1, 21)
    ),
    "keep": (
        "It keeps the keys and values that attention computed for every token read so far. With them "
        "the model reads only what is new; without them it would read the whole conversation again "
        "for each answer."
    ),
    "care": (
        "Because reading is what you wait for. A 16,000-token conversation at 400 tokens a second takes "
        "40 seconds to read; with the cache, a new line takes less than one. So the beginning of a "
        "prompt must stay exactly the same from turn to turn."
    ),
}


def canned(question: str) -> str:
    """Return the answer to a question, by the first word that is known."""
    words = question.casefold()
    return next((answer for word, answer in _BY_WORD.items() if word in words), _OTHER)
