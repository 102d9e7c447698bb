"""Each rule that can keep an answer back has a reason and something to change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.chat.admission import Decision, Judgement, Rule
from bot.core.domain import Origin
from bot.core.ports import JournalEntry, Outcome, QuestionState
from bot.diagnostics.silence import Case, Lack, Newest, silence_text
from tests.support.builders import question

ACCEPTED = Judgement(Decision.ACCEPT, origin=Origin.MENTION)
CASE = Case(who="<@11>", where="<#50>", judgement=ACCEPTED)
LINK = "https://discord.com/channels/40/50/1000"
SETTINGS = {
    Rule.PERSON_BLOCKED: "CLAWBOT_DISCORD__BLOCKED_USER_IDS",
    Rule.DIRECT_MESSAGES: "CLAWBOT_DISCORD__DM_POLICY",
    Rule.GUILD_NOT_ALLOWED: "CLAWBOT_DISCORD__ALLOWED_GUILD_IDS",
    Rule.CHANNEL_BLOCKED: "CLAWBOT_DISCORD__BLOCKED_CHANNEL_IDS",
    Rule.CHANNEL_NOT_ALLOWED: "CLAWBOT_DISCORD__ALLOWED_CHANNEL_IDS",
    Rule.ROLE_NEEDED: "CLAWBOT_DISCORD__ALLOWED_ROLE_IDS",
}


@pytest.mark.parametrize("rule", Rule)
def test_each_rule_is_named_first_with_what_to_change(rule: Rule) -> None:
    lacks = [Lack("Send Messages", "denied to everyone in the permissions of <#50>")]
    decision = Decision.REFUSE if rule in SETTINGS else Decision.IGNORE
    needed = lacks if rule is Rule.CANNOT_WRITE else []
    case = replace(CASE, judgement=Judgement(decision, rule, "No."), needed=needed)
    first = silence_text(case).splitlines()[0]
    assert first.startswith("❌ I don't answer <@11> in <#50>")
    assert SETTINGS.get(rule, "") in first
    assert first.endswith(".")
    assert first.count(". ") == 1


def test_a_limit_is_said_as_the_person_would_read_it() -> None:
    text = silence_text(replace(CASE, limit="Too many questions are waiting."))
    assert text.startswith("❌ I don't answer <@11> in <#50> at the moment")
    assert "“Too many questions are waiting.”" in text


def test_what_takes_a_permission_away_is_named() -> None:
    lack = Lack("Read Message History", "denied to everyone by the category <#7>")
    text = silence_text(replace(CASE, needed=[lack]))
    assert "Read Message History (denied to everyone by the category <#7>)" in text
    assert "(or its category's) permissions" in text


def test_a_missing_intent_and_a_mute_person_are_told() -> None:
    text = silence_text(replace(CASE, sees_text=False, may_ask=False))
    assert "Message Content Intent" in text
    assert "<@11> can't write there" in text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.DELIVERED, "I answered it."),
        (Outcome.NOTIFIED, "answered it with a notice"),
        (Outcome.STOPPED, "somebody stopped it"),
        (Outcome.MERGED, "together with"),
        (Outcome.DROPPED, "couldn't post the answer"),
        (None, "it waits or is being answered"),
    ],
)
def test_the_newest_message_ended_as_the_journal_says(outcome: Outcome | None, words: str) -> None:
    entry = JournalEntry(question(), QuestionState.CLOSED, outcome=outcome)
    text = silence_text(replace(CASE, newest=Newest(LINK, ACCEPTED, entry)))
    assert words in text
    assert LINK in text


def test_a_machine_that_is_away_and_a_mention_without_words_are_told() -> None:
    empty = Newest(LINK, ACCEPTED, None, is_empty=True)
    text = silence_text(replace(CASE, newest=empty, is_model_away=True))
    assert "says nothing but my name" in text
    assert "over a limit" not in text
    assert text.splitlines()[1].startswith("⏳ The model's machine doesn't answer at the moment")
    assert "⏳" not in silence_text(CASE)


def test_a_newest_message_that_did_not_ask_says_so() -> None:
    ignored = Judgement(Decision.IGNORE, Rule.NOT_ADDRESSED)
    text = silence_text(replace(CASE, newest=Newest(LINK, ignored, None)))
    assert "not answered, because it doesn't mention me" in text
    assert text.startswith("✅ I answer")
