"""Whatever storm comes: each refused message is accounted for once, at a bounded number of signs."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.turned_away import LINE_EVERY_S, LINES_PER_S, TurnedAway
from bot.core.domain import ChannelId, GuildId, IncomingMessage, Person, Place, PlaceKind, UserId
from bot.delivery.pacing import SIGNS, SIGNS_S, PacerRegistry
from tests.support.builders import message
from tests.support.clock import FakeClock
from tests.support.signals import FakeSignals

_COUNT = re.compile(r"^([\d,]+) messages? here ")
STORM = st.lists(
    st.tuples(
        st.integers(1, 3),  # guild
        st.integers(0, 2),  # channel
        st.integers(1, 6),  # person
        st.integers(1, 30),  # messages
        st.sampled_from((0.0, 0.0, 0.3, 5.0)),  # seconds before
    ),
    max_size=25,
)


def _asked(number: int, guild: int, channel: int, person: int) -> IncomingMessage:
    place = Place(PlaceKind.GUILD_TEXT, ChannelId(guild * 100 + channel), GuildId(guild))
    return message(number, author=Person(UserId(person), "P"), place=place)


@settings(max_examples=50, deadline=None)
@given(STORM, st.booleans())
def test_each_refused_message_is_accounted_for_once(
    storm: list[tuple[int, int, int, int, float]], takes_marks: bool
) -> None:
    refused: Counter[int] = Counter()

    async def run() -> FakeSignals:
        clock = FakeClock()
        signals = FakeSignals(clock, takes_marks=takes_marks)
        away = TurnedAway(signals, PacerRegistry(4, clock), clock)
        number = 0
        for guild, channel, person, count, gap_s in storm:
            await clock.advance(gap_s)
            for _ in range(count):
                number += 1
                asked = _asked(number, guild, channel, person)
                refused[asked.place.channel_id] += 1
                away.refuse(asked, "Not now.")
        await clock.advance(120)
        return signals

    signals = asyncio.run(run())
    accounted: Counter[int] = Counter()
    own = [asked for asked, _, _ in (*signals.replies, *signals.marks)]
    assert len({asked.id for asked in own}) == len(own)
    accounted.update(asked.place.channel_id for asked in own)
    for place, line, _ in signals.lines:
        found = _COUNT.match(line)
        assert found
        accounted[place.channel_id] += int(found.group(1).replace(",", ""))
    assert accounted == refused
    _bounded([at for *_, at in (*signals.replies, *signals.marks)], SIGNS_S, SIGNS.total + 15)
    _bounded([at for *_, at in signals.lines], 1.0, LINES_PER_S + 1)
    for channel in refused:
        times = [at for place, _, at in signals.lines if place.channel_id == channel]
        _bounded(times, LINE_EVERY_S - 1, 1)


def _bounded(times: list[float], window_s: float, most: int) -> None:
    for start in times:
        assert sum(start <= at < start + window_s - 1e-6 for at in times) <= most
