"""A question with trouble of its own takes no room from the others."""

from __future__ import annotations

from tests.unit.queue.test_scheduler import Model, SchedulerHarness, running


async def test_one_question_that_brings_the_model_down_leaves_the_others_their_room() -> None:
    harness = SchedulerHarness(Model(slots=4))
    first, second, _third = (harness.submit(person=number) for number in range(1, 4))
    first.overloaded()
    first.release()
    second.first_token()
    second.release()
    again = harness.submit(person=1)
    again.overloaded()
    again.overloaded()
    assert harness.scheduler.slots == 4


async def test_questions_of_one_person_that_find_the_server_full_leave_the_others_their_room() -> (
    None
):
    harness = SchedulerHarness(Model(slots=4))
    first, second, _third = (harness.submit(person=number) for number in (1, 1, 2))
    first.overloaded()
    first.release()
    second.overloaded()
    second.release()
    assert harness.scheduler.slots == 4


async def test_a_question_that_waits_between_its_tries_keeps_no_slot_from_the_others() -> None:
    harness = SchedulerHarness(Model(slots=1))
    first, second, third = (harness.submit(person=number) for number in range(1, 4))
    assert running([first, second]) == [0]
    first.rest()
    assert running([first, second]) == [0, 1]
    first.resume()
    first.resume()
    second.release()
    assert running([first, second, third]) == [0]
    first.release()
    assert running([third]) == [0]
