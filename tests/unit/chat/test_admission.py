"""Who gets an answer, where: every surface against every policy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.chat.admission import MENTION_BY_EDIT, Admission, Decision, Rule
from bot.core.domain import (
    AttachmentInfo,
    ChannelId,
    GuildId,
    MessageId,
    Origin,
    Person,
    Place,
    PlaceKind,
    RoleId,
    UserId,
)
from bot.core.ports import PlaceRules
from config.settings import DiscordSettings
from tests.support.builders import ADA, ADAS_DM, BOT_ID, HOME, NOON, message

THREAD = Place(PlaceKind.THREAD, ChannelId(51), GuildId(40), parent_id=ChannelId(50))
POST = Place(PlaceKind.FORUM_POST, ChannelId(52), GuildId(40), parent_id=ChannelId(53))
NESTED = Place(PlaceKind.GUILD_TEXT, ChannelId(54), GuildId(40), category_id=ChannelId(55))
GROUP = Place(PlaceKind.GROUP_DM, ChannelId(61))
FILE = AttachmentInfo(5, "rules.txt", "text/plain", 20, "https://cdn.discordapp.com/x")
TO_ME: dict[str, Any] = {"mentioned_ids": frozenset({BOT_ID})}


def admission(**settings: Any) -> Admission:
    return Admission(DiscordSettings(**settings), owner_ids=frozenset({UserId(1)}))


@pytest.mark.parametrize(
    ("fields", "origin"),
    [
        ({"mentioned_ids": frozenset({BOT_ID})}, Origin.MENTION),
        ({"replied_user_id": BOT_ID}, Origin.REPLY),
        ({"replied_user_id": BOT_ID, "mentioned_ids": frozenset({BOT_ID})}, Origin.REPLY),
        ({"place": ADAS_DM}, Origin.DM),
        ({"place": THREAD, "mentioned_ids": frozenset({BOT_ID})}, Origin.MENTION),
    ],
)
def test_what_is_addressed_to_the_bot_is_accepted(fields: dict[str, Any], origin: Origin) -> None:
    judgement = admission().judge(message(**fields), BOT_ID, is_own_thread=False)
    assert (judgement.decision, judgement.origin) == (Decision.ACCEPT, origin)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": "@everyone look"},
        {"text": f"<@{BOT_ID}> in a code block, which Discord doesn't list as a mention"},
        {"replied_user_id": UserId(77)},
        {**TO_ME, "author": Person(UserId(5), "Other", is_bot=True)},
        {**TO_ME, "author": Person(BOT_ID, "Me")},
        {**TO_ME, "is_ordinary": False},
        {"place": THREAD},
    ],
)
def test_what_is_not_for_the_bot_is_ignored(fields: dict[str, Any]) -> None:
    judgement = admission().judge(message(**fields), BOT_ID, is_own_thread=False)
    assert judgement.decision is Decision.IGNORE


def test_the_bots_own_thread_needs_no_mention_but_some_content() -> None:
    judge = admission().judge
    assert judge(message(place=THREAD), BOT_ID, is_own_thread=True).origin is Origin.THREAD
    silent = judge(message(text="", place=THREAD), BOT_ID, is_own_thread=True)
    assert silent.decision is Decision.IGNORE


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({}, {HOME, THREAD, POST, NESTED, ADAS_DM}),
        ({"allowed_channel_ids": (50,)}, {HOME, THREAD}),
        ({"allowed_channel_ids": (55,)}, {NESTED}),
        ({"blocked_channel_ids": (50,)}, {POST, NESTED, ADAS_DM}),
        ({"allowed_channel_ids": (51,), "blocked_channel_ids": (50,)}, set()),
        ({"allowed_guild_ids": (41,)}, set()),
        ({"dm_policy": "closed"}, {HOME, THREAD, POST, NESTED}),
        ({"dm_policy": "owners"}, {HOME, THREAD, POST, NESTED}),
        ({"allowed_role_ids": (7,)}, set()),
        ({"blocked_user_ids": (11,)}, set()),
    ],
)
def test_each_policy_allows_exactly_these_places(
    settings: dict[str, Any], allowed: set[Place]
) -> None:
    policy = admission(**settings)
    for place in (HOME, THREAD, POST, NESTED, ADAS_DM, GROUP):
        reason = policy.refusal(ADA, place)
        assert (reason == "") == (place in allowed), place
        assert reason == "" or reason.endswith((".", "?"))


def test_a_role_of_the_guild_opens_the_door() -> None:
    person = Person(UserId(11), "Ada", role_ids=frozenset({RoleId(7)}))
    assert admission(allowed_role_ids=(7,)).refusal(person, HOME) == ""


def test_owners_may_write_direct_messages_when_others_may_not() -> None:
    policy = admission(dm_policy="owners")
    assert policy.refusal(Person(UserId(1), "Operator"), ADAS_DM) == ""


def test_a_refusal_says_why() -> None:
    judgement = admission(blocked_channel_ids=(50,)).judge(
        message(**TO_ME), BOT_ID, is_own_thread=False
    )
    assert (judgement.decision, judgement.rule) == (Decision.REFUSE, Rule.CHANNEL_BLOCKED)
    assert "channel" in judgement.reason


@pytest.mark.parametrize(
    "restriction", ["allowed_guild_ids", "allowed_channel_ids", "allowed_role_ids"]
)
def test_direct_messages_are_closed_where_the_bot_is_restricted_unless_opened(
    restriction: str,
) -> None:
    assert not admission().refusal(ADA, ADAS_DM)
    restricted: dict[str, Any] = {restriction: (7,)}
    assert admission(**restricted).refusal(ADA, ADAS_DM)
    assert not admission(**restricted, dm_policy="open").refusal(ADA, ADAS_DM)
    owner = Person(UserId(1), "Owner")
    assert not admission(**restricted, dm_policy="owners").refusal(owner, ADAS_DM)
    assert admission(**restricted, dm_policy="owners").refusal(ADA, ADAS_DM)


def ruled(**rules: Any) -> Admission:
    """Return the policy where the people of a server decided something, and the operator nothing."""
    return Admission(DiscordSettings(), frozenset(), lambda _: PlaceRules(**rules))


@pytest.mark.parametrize(
    ("fields", "rules", "origin"),
    [
        ({}, {"answer_to": "every_message"}, Origin.CHANNEL),
        ({}, {}, None),
        ({"text": "@here look"}, {"answer_to": "every_message"}, None),
        ({"text": "look, <@&7>"}, {"answer_to": "every_message"}, None),
        ({"text": "@everyone look"}, {"answer_to": "every_message"}, None),
        ({"mentioned_ids": frozenset({UserId(77)})}, {"answer_to": "every_message"}, None),
        (
            {"reference_id": MessageId(5), "replied_user_id": UserId(77)},
            {"answer_to": "every_message"},
            None,
        ),
        (
            {
                "reference_id": MessageId(5),
                "replied_user_id": ADA.id,
                "mentioned_ids": frozenset({ADA.id}),
            },
            {"answer_to": "every_message"},
            Origin.CHANNEL,
        ),
        (
            {"reference_id": MessageId(5), "is_forward": True, "forwarded_texts": ("so",)},
            {"answer_to": "every_message"},
            Origin.CHANNEL,
        ),
        ({"text": "", "poll": "Red or blue?"}, {"answer_to": "every_message"}, Origin.CHANNEL),
        ({"text": "", "attachments": (FILE,)}, {"answer_to": "every_message"}, Origin.CHANNEL),
    ],
)
def test_where_every_message_is_answered_those_for_others_are_not(
    fields: dict[str, Any], rules: dict[str, Any], origin: Origin | None
) -> None:
    assert ruled(**rules).judge(message(**fields), BOT_ID, is_own_thread=False).origin is origin


@pytest.mark.parametrize(
    ("rules", "refusal"),
    [
        ({}, ""),
        ({"blocked_user_ids": (11,)}, "to you"),
        ({"answer_to": "never"}, "this channel"),
        ({"blocked_channel_ids": (50,)}, "this channel"),
        ({"allowed_channel_ids": (51,)}, "this channel"),
        ({"allowed_role_ids": (7,)}, "certain role"),
    ],
)
def test_what_a_servers_people_forbid_is_none_of_the_operators_refusals(
    rules: dict[str, Any], refusal: str
) -> None:
    policy = ruled(**rules)
    assert refusal in policy.refusal(ADA, HOME)
    assert bool(policy.refusal(ADA, HOME)) is bool(refusal)
    assert policy.operators_refusal(ADA, HOME) == ""
    assert policy.refusal(ADA, ADAS_DM) == ""


def test_nobody_is_told_of_a_rule_who_asked_nothing() -> None:
    policy = ruled(answer_to="every_message", blocked_user_ids=(11,))
    judgement = policy.judge(message(), BOT_ID, is_own_thread=False)
    assert (judgement.decision, judgement.rule) == (Decision.IGNORE, Rule.PERSON_BLOCKED)


def test_where_the_bot_may_not_write_nothing_is_decided_by_rules() -> None:
    judged = admission(blocked_user_ids=(11,)).judge(
        message(**TO_ME), BOT_ID, is_own_thread=False, may_write=False
    )
    assert judged.rule is Rule.CANNOT_WRITE


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ""),
        ({"blocked_user_ids": (11,)}, "to you"),
        ({"allowed_guild_ids": (41,)}, "this server"),
    ],
)
def test_what_the_operator_forbids_is_told_to_a_servers_people_too(
    settings: dict[str, Any], words: str
) -> None:
    refusal = admission(**settings).operators_refusal(ADA, HOME)
    assert words in refusal
    assert bool(refusal) is bool(words)


@pytest.mark.parametrize(
    ("after", "fields", "is_late"),
    [
        (timedelta(), TO_ME, True),
        (MENTION_BY_EDIT, TO_ME, True),
        (MENTION_BY_EDIT + timedelta(seconds=1), TO_ME, False),
        (timedelta(), {}, False),
        (None, TO_ME, True),
    ],
)
def test_a_mention_that_an_edit_adds_soon_asks(
    after: timedelta | None, fields: dict[str, Any], *, is_late: bool
) -> None:
    edited_at = None if after is None else NOON + after
    assert Admission.is_late_mention(message(edited_at=edited_at, **fields), BOT_ID) is is_late
