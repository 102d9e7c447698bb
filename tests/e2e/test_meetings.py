"""A few meetings of events about one question; ``tests.support.lives.meeting`` plays more of them."""

from __future__ import annotations

from tests.support.lives.meeting import Meeting, Slow, meeting_of, play, world

LATE_PRESS = Slow("POST", "/callback", 0.8, is_late=False)
LATE_DELETION = Slow("DELETE", "/messages/", 0.8, is_late=True)
MET = {
    "edits that add a mention": Meeting("said", (("edit", 0.0), ("edit", 0.0)), ()),
    "a failure and an edit": Meeting("failing", (("edit", 0.0),), ()),
    "a press and an edit": Meeting("whole", (("regenerate", 0.1), ("edit", 0.0)), (LATE_PRESS,)),
    "a press and a deletion": Meeting("cut", (("continue", 0.1), ("delete", 0.0)), (LATE_PRESS,)),
    "an edit amid another's end": Meeting(
        "amid words", (("edit", 0.6), ("edit", 0.0)), (LATE_DELETION,)
    ),
    "seed 4": meeting_of(4),
}


async def test_whatever_meets_there_is_one_answer_to_the_words_as_they_are() -> None:
    async with world() as bot:
        wrong = {name: await play(bot, meeting) for name, meeting in MET.items()}
    assert {name: found for name, found in wrong.items() if found} == {}
