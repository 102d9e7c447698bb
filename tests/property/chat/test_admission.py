"""What the report on silence says is what the bot does, for any settings and messages."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.chat.admission import Admission, Decision, Rule
from bot.core.domain import ChannelId, GuildId, Person, Place, PlaceKind, QuestionId, RoleId, UserId
from bot.core.errors import QueueError
from bot.core.ports import Capacity
from bot.diagnostics.silence import Case, Lack, silence_text
from bot.queue.rate_limit import RateLimiter
from bot.queue.scheduler import Job, Scheduler
from config.settings import DiscordSettings, QueueSettings
from tests.support.builders import BOT_ID, message
from tests.support.clock import FakeClock

IDS = st.sampled_from(range(1, 5))
LISTS = st.lists(IDS, max_size=2, unique=True).map(tuple)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "blocked_user_ids": LISTS,
        "allowed_guild_ids": LISTS,
        "blocked_channel_ids": LISTS,
        "allowed_channel_ids": LISTS,
        "allowed_role_ids": LISTS,
        "dm_policy": st.sampled_from(["open", "owners", "closed"]),
    },
)
OPTIONAL_CHANNELS = st.none() | IDS.map(ChannelId)
GUILD_PLACES = st.builds(
    Place,
    st.sampled_from(
        [PlaceKind.GUILD_TEXT, PlaceKind.THREAD, PlaceKind.FORUM_POST, PlaceKind.VOICE_TEXT]
    ),
    IDS.map(ChannelId),
    IDS.map(GuildId),
    OPTIONAL_CHANNELS,
    OPTIONAL_CHANNELS,
)
DIRECT = st.builds(Place, st.sampled_from([PlaceKind.DM, PlaceKind.GROUP_DM]), IDS.map(ChannelId))
PEOPLE = st.builds(
    Person,
    IDS.map(UserId),
    st.just("Ada"),
    is_bot=st.booleans(),
    role_ids=st.frozensets(IDS.map(RoleId), max_size=2),
)
MESSAGES = st.fixed_dictionaries(
    {
        "author": PEOPLE,
        "place": GUILD_PLACES | DIRECT,
        "text": st.sampled_from(["", "hello"]),
        "is_ordinary": st.booleans(),
        "mentioned_ids": st.sampled_from([frozenset(), frozenset({BOT_ID})]),
        "replied_user_id": st.sampled_from([None, BOT_ID, UserId(77)]),
    }
)


@given(SETTINGS, MESSAGES, st.booleans(), st.booleans())
def test_the_report_says_what_the_admission_decides(
    settings: dict[str, Any], fields: dict[str, Any], is_own_thread: bool, may_write: bool
) -> None:
    admission = Admission(DiscordSettings(**settings), owner_ids=frozenset({UserId(1)}))
    asked = message(**fields)
    judgement = admission.judge(asked, BOT_ID, is_own_thread=is_own_thread, may_write=may_write)
    lacks = [] if may_write else [Lack("Send Messages")]
    text = silence_text(Case(who="<@11>", where="<#50>", judgement=judgement, needed=lacks))
    is_accepted = judgement.decision is Decision.ACCEPT
    assert text.startswith("✅ I answer") is is_accepted
    assert (judgement.rule is None) is is_accepted
    assert (judgement.decision is Decision.REFUSE) is bool(judgement.reason)
    if judgement.decision is Decision.REFUSE:
        assert judgement.reason == admission.refusal(asked.author, asked.place)
    if judgement.rule is Rule.CANNOT_WRITE:
        assert not may_write
        assert "Send Messages" in text


@given(st.lists(st.tuples(IDS, st.none() | IDS, st.integers(0, 40)), max_size=30))
def test_a_look_at_the_limits_says_what_asking_would(
    steps: list[tuple[int, int | None, int]],
) -> None:
    clock = FakeClock()
    limiter = RateLimiter(QueueSettings(per_person_per_minute=2, per_guild_per_minute=3), clock)
    for person, guild, pause_s in steps:
        clock._elapsed_s += pause_s
        key = UserId(person), None if guild is None else GuildId(guild)
        assert limiter.look(*key) == limiter.look(*key) == limiter.take(*key)


@given(st.lists(st.tuples(IDS, IDS), max_size=12))
async def test_a_look_at_the_line_says_what_joining_it_would(people: list[tuple[int, int]]) -> None:
    settings = QueueSettings(max_waiting=4, max_waiting_channel=3, max_waiting_person=2)
    line = Scheduler(settings, FakeClock(), lambda: Capacity(1), lambda: True)
    for number, (person, channel) in enumerate(people):
        job = Job(QuestionId(number), UserId(person), ChannelId(channel), GuildId(1), 1, 2)
        sentence, said = line.refusal(job), ""
        try:
            line.submit(job)
        except QueueError as exc:
            said = exc.sentence
        assert sentence == said
    line.close()
    assert "restarting" in line.refusal(Job(QuestionId(99), UserId(1), ChannelId(1), None, 1, 2))
