"""What is kept of somebody is shown, handed out and deleted, and nobody else's is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.chat.allowed_models import AllowedModels
from bot.chat.backfill import Backfill
from bot.chat.privacy import PART_BYTES, Deleted, Export, Held, Privacy
from bot.core.concerns import Subject
from bot.core.domain import (
    AttachmentInfo,
    ChannelId,
    GuildId,
    IncomingMessage,
    MessageId,
    Place,
    PromptCount,
    Question,
    Summary,
    TextDelta,
)
from bot.core.ports import Outcome
from bot.prompt.cache import MessageCache
from bot.storage.database import Database, open_database
from bot.storage.journal import SqlJournal
from bot.storage.kept import KeptData
from bot.storage.setting_types import Scope
from bot.storage.settings_store import SettingsStore
from bot.storage.state import StateStore
from bot.storage.summaries import SummaryStore
from config.settings import LiveSettings, Settings
from tests.support.builders import ADA, ADAS_DM, BOB, HOME, NOON, message, question
from tests.support.chat import Chat
from tests.support.clock import FakeClock
from tests.support.conversation import FakeSources

ADAS, BOBS = Subject(person_id=ADA.id), Subject(person_id=BOB.id)
HERE, THERE = Subject(guild_id=GuildId(40)), Subject(guild_id=GuildId(41))
AWAY = replace(HOME, channel_id=ChannelId(51), guild_id=GuildId(41))
FILE = AttachmentInfo(5, "rules.txt", "text/plain", 20, "https://cdn.discordapp.com/x")


class Channels:
    """What stands in each channel: the messages that a cache reads."""

    def __init__(self) -> None:
        self._sources = FakeSources()
        self.messages = self._sources.messages

    async def fetch_message(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        return await self._sources.fetch(place, message_id)

    async def fetch_history(self, place: Place, **window: Any) -> Sequence[IncomingMessage]:
        return await self._sources.history(place, **window)

    async def fetch_starter(self, place: Place) -> IncomingMessage | None:
        return None if place in self.messages else message()


class Home:
    """Everything that holds people's data, on a real database, and what is told of deletions."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database = database
        self.clock = clock
        self.chat = Chat(clock)
        self.channels = Channels()
        self.cache = MessageCache(self.channels, 1000, clock)
        self.forgotten: list[Subject] = []
        self.withheld = 0

    async def open(self) -> Home:
        database, clock = self.database, self.clock
        self.journal = await SqlJournal.open(database, clock, 30)
        self.kept = await KeptData.open(database, self.journal, clock)
        self.settings = await SettingsStore.open(database, LiveSettings(Settings()))
        self.summaries = await SummaryStore.open(database, clock, 30)
        state = await StateStore.open(database, clock)
        self.models = AllowedModels([], state, lambda _: None)
        self.backfill = Backfill(FakeSources(), self.journal, state, clock, timedelta(hours=1))
        self.privacy = Privacy(
            self.kept,
            self.settings,
            self.models,
            self.summaries,
            self.cache,
            self.chat.service,
            self.backfill,
            clock,
        )
        self.privacy.on_forget(self.forgotten.append)
        self.privacy.on_opt_out(self._withhold)
        return self

    def _withhold(self) -> None:
        self.withheld += 1

    async def answered(self, asked: Question) -> None:
        """Have a question stored whose answer was delivered."""
        await self.journal.accept(asked)
        count = PromptCount("a load", None, "digest", 90) if asked.id % 2 else None
        thinking = "Hm." if asked.id % 2 else ""
        await self.journal.answered(
            asked.id, ["An answer."], thinking=thinking, details="tiny", count=count
        )
        await self.journal.close(asked.id, Outcome.DELIVERED)

    async def read(self, place: Place, *messages: IncomingMessage) -> None:
        """Have messages of a channel in memory."""
        self.channels.messages[place] = list(messages)
        await self.cache.history(place)

    async def filled(self) -> Home:
        """Keep something of Ada and of Bob, in two servers and in a direct message."""
        await self.answered(question(1, "by Ada"))
        await self.answered(question(2, "also by Ada", place=AWAY, asked_at=NOON))
        asked = question(3, "by Ada directly", place=ADAS_DM)
        await self.answered(replace(asked, asked_at=NOON - timedelta(hours=1)))
        said = message(4, "by Bob", author=BOB)
        await self.answered(replace(question(4, "by Bob", asker=BOB), message=said))
        await self.journal.accept(question(6, "waits"))
        await self.journal.answered(question(6).id, ["Not delivered yet."])
        await self.read(HOME, message(1, "by Ada", attachments=(FILE,)), said)
        for people in ({ADA.id}, {ADA.id, BOB.id}):
            channel = 49 + len(people)
            made = Summary(40, channel, ((channel, "aa"),), frozenset(people), f"Of {len(people)}.")
            assert await self.summaries.keep(made, self.summaries.moment)
        scope = Scope.in_guild(GuildId(40))
        await self.settings.set(scope, "temperature", "0.5", ADA.id, self.clock.now())
        await self.settings.set(scope, "temperature", "0.6", ADA.id, self.clock.now())
        await self.settings.set(scope, "top_p", "0.5", BOB.id, self.clock.now())
        await self.backfill.remember_dms(ADAS_DM.channel_id, ChannelId(61))
        for guild_id in (GuildId(40), GuildId(41)):
            await self.models.allow(guild_id, "a/b")
        return self

    async def questions(self, *subjects: Subject) -> list[int]:
        """Return how many questions are kept of each."""
        return [(await self.privacy.held(who)).questions for who in subjects]


@pytest.fixture
async def home(tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Home, None]:
    async with open_database(tmp_path / "bot.db", clock) as database:
        yield await (await Home(database, clock).open()).filled()


async def test_how_much_is_kept_of_a_person_and_of_a_server_is_counted(home: Home) -> None:
    assert await home.privacy.held(ADAS) == Held(
        questions=4,
        thinking=2,
        counted=2,
        open=1,
        oldest=NOON - timedelta(hours=1),
        settings=1,
        changes=2,
        messages=1,
        summaries=2,
    )
    assert await home.privacy.held(HERE) == Held(
        questions=3, thinking=1, counted=1, open=1, oldest=NOON, settings=2, messages=2, summaries=2
    )
    assert await home.privacy.held(Subject(guild_id=GuildId(99))) == Held()


def parsed(parts: list[bytes]) -> dict[str, Any]:
    [part] = parts
    found: dict[str, Any] = json.loads(part)
    return found


async def test_a_person_takes_along_their_own_words_and_answers(home: Home) -> None:
    export = parsed(await home.privacy.export(ADAS))
    now = home.clock.now().isoformat()
    sent = {"sent_at": NOON.isoformat(), "files": []}
    assert {key: value for key, value in export.items() if key != "questions"} == {
        "made_at": now,
        "person": str(ADA.id),
        "opted_out_since": None,
        "settings": [{"name": "temperature", "value": 0.6, "set_at": now}],
        "changes": [
            {"name": "temperature", "new": 0.5, "changed_at": now},
            {"name": "temperature", "new": 0.6, "changed_at": now},
        ],
        "messages_in_memory": [
            {**sent, "id": "1", "channel": "50", "text": "by Ada", "files": ["rules.txt"]}
        ],
        "summaries": [{"channel": "50", "text": "Of 1."}],
        "part": 1,
    }
    assert export["questions"][0] == {
        "id": "1",
        "asked_at": NOON.isoformat(),
        "server": "40",
        "channel": "50",
        "way": "mention",
        "text": "by Ada",
        "messages": [{**sent, "id": "1", "channel": "50", "text": "by Ada"}],
        "outcome": "delivered",
        "thinking": "Hm.",
        "details": "tiny",
        "answer": [],
    }
    assert [each["id"] for each in export["questions"]] == ["1", "2", "3", "6"]
    assert export["questions"][2]["server"] is None
    assert export["questions"][3]["outcome"] is None
    assert export["questions"][3]["answer"] == ["Not delivered yet."]


async def test_of_what_somebody_else_asked_a_person_takes_along_only_their_own_message(
    home: Home,
) -> None:
    again = question(7, "by Bob, about Ada", asker=BOB, message=message(7, "Bob", author=BOB))
    await home.answered(replace(again, rests_on=(message(1, "by Ada"),)))
    [*_, found] = parsed(await home.privacy.export(ADAS))["questions"]
    assert (found["id"], found["text"]) == ("7", None)
    assert [each["text"] for each in found["messages"]] == ["by Ada"]
    assert not {"thinking", "details", "answer", "person"} & set(found)


async def test_a_server_takes_along_what_was_asked_where_one_may_read(home: Home) -> None:
    await home.answered(question(8, "hidden", place=replace(HOME, channel_id=ChannelId(51))))
    export = parsed(await home.privacy.export(HERE, lambda channel: channel == 50))
    names = [each["name"] for each in export["settings"]]
    assert (export["server"], sorted(names)) == ("40", ["temperature", "top_p"])
    assert [(q["id"], q["person"], q["text"]) for q in export["questions"]] == [
        ("1", "11", "by Ada"),
        ("4", "12", "by Bob"),
        ("6", "11", "waits"),
    ]
    assert [each["text"] for each in export["questions"][1]["messages"]] == ["by Bob"]
    assert export["summaries"] == [{"channel": "50", "text": "Of 1."}]
    assert not {"person", "changes", "messages_in_memory"} & set(export)


def test_an_export_that_is_too_long_for_a_file_goes_on_in_the_next() -> None:
    export = Export({"made_at": "now"})
    record: dict[str, object] = {"text": "x" * (PART_BYTES // 2 - 12)}
    for _ in range(3):
        export.add(record)
    export.close()
    parts = [json.loads(part) for part in export.parts]
    assert [(part["part"], len(part["questions"])) for part in parts] == [(1, 2), (2, 1)]
    assert all(part["made_at"] == "now" for part in parts)


async def test_all_of_a_person_is_deleted_and_nothing_of_others(home: Home) -> None:
    done = await home.privacy.delete(ADAS)
    assert done == Deleted(stopped=0, questions=4, is_overwritten=True)
    assert await home.privacy.held(ADAS) == Held()
    assert await home.privacy.held(BOBS) == Held(questions=1, oldest=NOON, settings=1, changes=1)
    assert home.forgotten == [ADAS]
    assert home.backfill.dm_channels == [61]
    assert len(home.settings.set_in(GuildId(40))) == 2
    assert home.models.of(GuildId(40)) == ("a/b",)


async def test_all_of_a_server_is_deleted_and_nothing_of_others(home: Home) -> None:
    done = await home.privacy.delete(HERE)
    assert done == Deleted(stopped=0, questions=3, is_overwritten=True)
    assert await home.privacy.held(HERE) == Held()
    assert await home.questions(ADAS, BOBS, THERE) == [2, 0, 1]
    assert home.forgotten == [HERE]
    assert home.backfill.dm_channels == [60, 61]
    assert (home.models.of(GuildId(40)), home.models.of(GuildId(41))) == ((), ("a/b",))


async def test_what_somebody_asks_is_stopped_before_their_data_are_deleted(home: Home) -> None:
    home.chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await home.chat.service.submit(question(50), home.chat.sink)
    await home.chat.pass_time(3)
    told: list[tuple[Subject, int, int]] = []

    async def tell(who: Subject) -> None:
        [kept] = await home.questions(who)
        told.append((who, home.chat.service.running, kept))

    home.privacy.tell_others(tell)
    deleting = asyncio.create_task(home.privacy.delete(ADAS))
    while not deleting.done():
        await home.chat.pass_time(1)
    assert (await deleting).stopped == 1
    assert told == [(ADAS, 0, 4)]
    assert home.chat.outcome(50) is Outcome.STOPPED


async def test_another_processes_deletion_is_followed_in_memory_only(home: Home) -> None:
    home.chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await home.chat.service.submit(question(50), home.chat.sink)
    await home.chat.pass_time(3)
    forgetting = asyncio.create_task(home.privacy.forget_in_memory(ADAS))
    while not forgetting.done():
        await home.chat.pass_time(1)
    await forgetting
    assert home.chat.outcome(50) is Outcome.STOPPED
    assert home.forgotten == [ADAS]
    assert home.backfill.dm_channels == [61], "the other process may not be the one that keeps them"
    held = await home.privacy.held(ADAS)
    assert (held.questions, held.messages) == (4, 0)


async def test_an_opt_out_holds_from_now_on_and_is_in_what_one_takes_along(home: Home) -> None:
    await home.privacy.opt_out(ADA.id)
    assert home.withheld == 1
    assert home.kept.is_withheld(ADA.id)
    since = parsed(await home.privacy.export(ADAS))["opted_out_since"]
    assert since == home.clock.now().isoformat()
    await home.privacy.reload()
    assert home.withheld == 2
    assert home.kept.is_withheld(ADA.id)
    await home.privacy.delete(ADAS)
    assert home.kept.is_withheld(ADA.id), "an opt-out stays"


async def test_the_data_of_a_server_go_a_while_after_it_was_left(home: Home) -> None:
    def is_known(guild_id: GuildId) -> bool:
        return guild_id == GuildId(41)

    await home.privacy.look_for_left(is_known, lambda _: False)
    left_at = home.clock.now()
    await home.privacy.forget_left(left_at - timedelta(seconds=1), is_known)
    await home.privacy.forget_left(left_at, lambda _: False)
    assert await home.questions(HERE, THERE) == [3, 1]
    await home.privacy.forget_left(left_at, is_known)
    assert await home.questions(HERE, THERE) == [3, 0]
    assert home.forgotten == [THERE]
    assert home.kept.left_before(left_at) == []


async def test_a_server_that_the_bot_is_in_again_keeps_its_data(home: Home) -> None:
    await home.privacy.look_for_left(lambda _: True, lambda _: False)
    assert set(home.kept.left_before(home.clock.now())) == {40, 41}
    await home.privacy.look_for_left(lambda _: True, lambda guild_id: guild_id == 40)
    assert home.kept.left_before(home.clock.now()) == [41]
    await home.privacy.forget_left(home.clock.now(), lambda _: True)
    assert await home.questions(HERE, THERE) == [3, 0]
