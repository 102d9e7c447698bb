"""A gate for work that lets nobody wait behind one person's pile."""

from __future__ import annotations

import asyncio

from bot.prompt.attachments.fair_gate import FairGate, Share
from tests.support.clock import FakeClock, settle

ADA, BOB = Share(1, 40), Share(2, 40)


class Crowd:
    """People who come to a gate, and the order they were let in."""

    def __init__(self, *, places: int = 1, places_person: int = 1) -> None:
        self.clock = FakeClock()
        self.gate = FairGate(self.clock, places=places, places_person=places_person)
        self.entered: list[str] = []
        self.inside = 0
        self.most_inside = 0

    def come(self, person: Share, name: str, seconds: float) -> asyncio.Task[None]:
        return asyncio.create_task(self._come(person, name, seconds))

    async def _come(self, person: Share, name: str, seconds: float) -> None:
        async with self.gate.place(person):
            self.entered.append(name)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            try:
                await self.clock.sleep(seconds)
            finally:
                self.inside -= 1


async def test_a_newcomer_goes_before_the_rest_of_a_pile() -> None:
    crowd = Crowd()
    pile = [crowd.come(ADA, f"ada {number}", 10) for number in range(5)]
    await settle()
    late = crowd.come(BOB, "bob", 1)
    await crowd.clock.advance(60)
    await asyncio.gather(late, *pile)
    assert crowd.entered[:2] == ["ada 0", "bob"]
    assert crowd.most_inside == 1


async def test_many_people_of_one_server_keep_nobody_elsewhere_waiting() -> None:
    crowd = Crowd()
    pile = [crowd.come(Share(100 + number, 50), f"far {number}", 10) for number in range(5)]
    await settle()
    late = crowd.come(BOB, "bob", 1)
    await crowd.clock.advance(60)
    await asyncio.gather(late, *pile)
    assert crowd.entered[:2] == ["far 0", "bob"]


async def test_one_person_never_has_all_places() -> None:
    crowd = Crowd(places=2)
    pile = [crowd.come(ADA, f"ada {number}", 10) for number in range(3)]
    await settle()
    late = crowd.come(BOB, "bob", 1)
    await settle()
    assert crowd.entered == ["ada 0", "bob"]
    await crowd.clock.advance(60)
    await asyncio.gather(late, *pile)


async def test_what_was_used_is_forgotten_by_and_by() -> None:
    crowd = Crowd()
    work = crowd.come(ADA, "ada", 30)
    await crowd.clock.advance(30)
    await work
    assert crowd.gate.used_s(ADA.person_id) == 30
    await crowd.clock.advance(100)
    assert crowd.gate.used_s(ADA.person_id) == 20
    await crowd.clock.advance(1000)
    assert crowd.gate.used_s(ADA.person_id) == 0


async def test_who_leaves_the_line_or_the_work_gives_the_place_on() -> None:
    crowd = Crowd()
    first = crowd.come(ADA, "ada", 100)
    waiting = crowd.come(BOB, "bob", 1)
    await settle()
    waiting.cancel()
    first.cancel()
    await asyncio.gather(first, waiting, return_exceptions=True)
    last = crowd.come(BOB, "bob again", 1)
    await crowd.clock.advance(1)
    await last
    assert crowd.entered == ["ada", "bob again"]


async def test_who_is_cancelled_right_then_does_not_disturb_the_one_who_leaves() -> None:
    crowd = Crowd()
    async with crowd.gate.place(ADA):
        waiting = crowd.come(BOB, "bob", 1)
        await settle()
        waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    last = crowd.come(BOB, "bob again", 1)
    await crowd.clock.advance(1)
    await last
    assert crowd.entered == ["bob again"]


async def test_a_place_given_to_somebody_who_has_just_left_is_not_lost() -> None:
    crowd = Crowd()
    first = crowd.come(ADA, "ada", 1)
    waiting = crowd.come(BOB, "bob", 1)
    await settle()
    first.add_done_callback(lambda _: waiting.cancel())
    await crowd.clock.advance(1)
    await asyncio.gather(first, waiting, return_exceptions=True)
    last = crowd.come(ADA, "ada again", 1)
    await crowd.clock.advance(1)
    await last
    assert "ada again" in crowd.entered
