"""What people do on the page reaches the local Discord as their client would send it."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.demo.page.actions import Actions
from bot.demo.page.faults import Panel
from bot.demo.page.fields import ActionError
from bot.demo.page.files import MAX_UPLOADS, MAX_WAITING_BYTES, Uploads
from bot.demo.page.server import PageServer
from bot.demo.page.view import View
from bot.demo.world import Demo
from sandbox.discord import Interaction, Person
from sandbox.discord.state.events import Event, InteractionCreated
from tests.sandbox.discord.clients import Rest
from tests.support.page import RefusedError, TabClient, demo_without_bot, opened_tab

COMMANDS: list[dict[str, Any]] = [
    {"name": "config", "description": "Settings", "default_member_permissions": "32",
     "contexts": [0], "options": [{"type": 1, "name": "set", "description": "Set", "options": [
         {"type": 3, "name": "value", "description": "v", "required": True, "autocomplete": True},
         {"type": 4, "name": "count", "description": "c", "min_value": 1, "max_value": 3},
         {"type": 5, "name": "sure", "description": "s"},
         {"type": 6, "name": "who", "description": "w"},
         {"type": 11, "name": "file", "description": "f"}]}]},
    {"name": "Ask about this", "type": 3},
    {"name": "Look up", "type": 2},
]  # fmt: skip
MODAL = {
    "title": "Say more",
    "custom_id": "more",
    "components": [
        {"type": 1, "components": [
            {"type": 4, "custom_id": "why", "label": "Why", "style": 2, "max_length": 20}]}
    ],
}  # fmt: skip


class FakeBot:
    """Answers interactions as it is told, over REST."""

    def __init__(self, demo: Demo, rest: Rest) -> None:
        self.demo = demo
        self.rest = rest
        self.seen: list[Interaction] = []
        self.answer: dict[str, Any] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        demo.discord.world.subscribe(self._on_event)

    async def register(self) -> None:
        """Register the commands."""
        path = f"/applications/{self.demo.discord.bot_user.id}/commands"
        registered = await self.rest("PUT", path, COMMANDS)
        assert registered.status == 200, registered.body

    def _on_event(self, event: Event) -> None:
        if isinstance(event, InteractionCreated):
            self.seen.append(event.interaction)
            if self.answer is not None:
                task = asyncio.create_task(self._respond(event.interaction, self.answer))
                self._tasks.add(task)

    async def _respond(self, used: Interaction, answer: dict[str, Any]) -> None:
        done = await self.rest("POST", f"/interactions/{used.id}/{used.token}/callback", answer)
        assert done.status == 204, done.body


@pytest.fixture
async def bot(demo: Demo, rest: Rest) -> FakeBot:
    fake = FakeBot(demo, rest)
    await fake.register()
    return fake


async def _refused(tab: TabClient, action: str, **fields: Any) -> str:
    with pytest.raises(RefusedError) as refused:
        await tab.do(action, **fields)
    words = str(refused.value)
    assert words[0].isupper() or words[0] == "/", words
    assert words.endswith("."), words
    assert not any(each in words for each in ("['", "{'", "<", "Error")), words
    return refused.value.code


async def _upload(
    server: PageServer, session: aiohttp.ClientSession, name: str, data: bytes | io.BytesIO
) -> dict[str, Any]:
    headers = {"Origin": server.address, "Content-Type": "application/octet-stream"}
    url = f"{server.address}/attachments"
    async with session.post(url, params={"name": name}, data=data, headers=headers) as response:
        assert response.status == 200
        body: dict[str, Any] = await response.json()
        return body


# Messages


async def test_what_one_tab_says_every_tab_shows(
    server: PageServer, session: aiohttp.ClientSession, tab: TabClient
) -> None:
    general, mia = tab.channel("general"), tab.person("member")
    async with opened_tab(server, session) as other:
        said = (await tab.do("say", person=mia, channel=general, text="hi"))["message"]
        await other.until(lambda: said in other.messages)
        await other.do("edit", person=mia, message=said, text="hello")
        await tab.until(lambda: tab.messages[said]["content"] == "hello")
        answer = await other.do(
            "reply", person=tab.person("admin"), message=said, text="hey", ping=False
        )
        await tab.until(lambda: answer["message"] in tab.messages)
        assert tab.messages[answer["message"]]["referenced_message"]["content"] == "hello"
        await tab.do("react", person=mia, message=said, emoji="👍", add=True)
        await other.until(lambda: other.messages[said]["demo"]["reactions"] == {"👍": [mia]})
        await tab.do("react", person=mia, message=said, emoji="👍", add=False)
        await other.until(lambda: other.messages[said]["demo"]["reactions"] == {})
        await other.do("typing", person=mia, channel=general)
        await tab.until(lambda: tab.named("typing"))
        await tab.do("delete", person=mia, message=said)
        await other.until(lambda: said not in other.messages)
    async with opened_tab(server, session) as reloaded:
        assert reloaded.messages.keys() == tab.messages.keys()


async def test_people_see_what_their_permissions_show(demo: Demo, tab: TabClient) -> None:
    staff = next(each for each in tab.snapshot["channels"] if each["name"] == "staff")
    member, admin, owner = (tab.person(each) for each in ("member", "admin", "owner"))
    assert (staff["seen_by"], staff["post_by"]) == ([admin, owner], [admin, owner])
    assert await _refused(tab, "say", person=member, channel=staff["id"], text="x") == "not_found"
    said = (await tab.do("say", person=admin, channel=staff["id"], text="x"))["message"]
    for action in ({"do": "edit", "text": "y"}, {"do": "delete"}, {"do": "reply", "text": "y"}):
        fields = {"person": member, "message": said, **action}
        assert await _refused(tab, fields.pop("do"), **fields) == "not_found"
    assert await _refused(tab, "edit", person=owner, message=said, text="y") == "not_offered"
    dms = {each["recipient"]: each for each in tab.snapshot["channels"] if each["kind"] == "dm"}
    assert dms[member]["seen_by"] == [member]
    assert dms[member]["id"] == str(demo.places.member.dm_channel.id)


async def test_threads_and_posts_are_opened(demo: Demo, tab: TabClient) -> None:
    mia = tab.person("member")
    said = await tab.do("say", person=mia, channel=tab.channel("general"), text="topic")
    opened = await tab.do("thread", person=mia, message=said["message"], name="about it")
    assert opened["channel"] == said["message"]
    await tab.until(
        lambda: any(each["channel"]["kind"] == "thread" for each in tab.named("channel"))
    )
    assert tab.messages[said["message"]]["demo"]["thread"] == opened["channel"]
    forum = tab.channel("questions", "forum")
    posted = await tab.do("post", person=mia, channel=forum, title="How?", text="So.")
    assert posted["message"] == posted["channel"]
    thread = tab.named("channel")[-1]["channel"]
    assert (thread["kind"], thread["parent"], thread["name"]) == ("thread", forum, "How?")
    assert await _refused(tab, "post", person=mia, channel=forum, title="", text="x") == (
        "not_offered"
    )
    assert demo.discord.unexpected == []


async def test_old_messages_come_in_pages(demo: Demo, server: PageServer, session: Any) -> None:
    for number in range(230):
        await demo.places.owner.say(demo.places.general, str(number))
    async with opened_tab(server, session) as tab:
        general, mia = tab.channel("general"), tab.person("member")
        window = tab.snapshot["messages"][general]
        assert (len(window["items"]), window["has_older"]) == (50, True)
        pages = [window]
        while pages[-1]["has_older"]:
            before = pages[-1]["items"][0]["id"]
            page = await tab.do("history", person=mia, channel=general, before=before, limit=100)
            pages.append(page)
        texts = [each["content"] for page in reversed(pages) for each in page["items"]]
        assert texts[-230:] == [str(number) for number in range(230)]
        assert len(texts) == 231
        assert len(pages) == 3


# Files


async def test_a_file_is_added_sent_and_shown(
    server: PageServer, session: aiohttp.ClientSession, tab: TabClient
) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(20)
    added = [
        await _upload(server, session, "../my <b>cat</b>.png", picture),
        await _upload(server, session, "page.html", b"<script>alert(1)</script>"),
        await _upload(server, session, "", b""),
    ]
    assert [each["name"] for each in added] == ["b_.png", "page.html", "file"]
    general, mia = tab.channel("general"), tab.person("member")
    files = [each["id"] for each in added]
    said = (await tab.do("say", person=mia, channel=general, files=files))["message"]
    shown = tab.messages[said]["attachments"]
    kinds = []
    for each, data in zip(shown, (picture, b"<script>alert(1)</script>", b""), strict=True):
        assert each["url"].startswith("/files/")
        async with session.get(server.address + each["url"]) as response:
            assert await response.read() == data
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            is_offered = "attachment" in response.headers.get("Content-Disposition", "")
            kinds.append((response.content_type, is_offered))
    assert kinds == [("image/png", False), *[("application/octet-stream", True)] * 2]
    again = {"person": mia, "channel": general, "files": files}
    assert await _refused(tab, "say", **again) == "not_found"


async def test_a_file_that_is_too_large_is_refused_and_nothing_else(
    server: PageServer, session: aiohttp.ClientSession, tab: TabClient
) -> None:
    headers = {"Origin": server.address, "Content-Type": "application/octet-stream"}
    for body in (io.BytesIO(bytes(10 * 1024 * 1024 + 1)), _chunks(11)):
        async with session.post(
            f"{server.address}/attachments", data=body, headers=headers
        ) as response:
            assert response.status == 413
            error = (await response.json())["error"]
        assert error == {"code": "too_large", "message": "A file may have 10 MiB at most."}
    headers["Content-Type"] = "text/html"
    async with session.post(f"{server.address}/attachments", data=b"x", headers=headers) as answer:
        assert answer.status == 415
    whole = await _upload(server, session, "a.bin", io.BytesIO(bytes(10 * 1024 * 1024)))
    mia = tab.person("member")
    await tab.do("say", person=mia, channel=tab.channel("general"), files=[whole["id"]])


async def _chunks(count: int) -> Any:
    for _ in range(count):
        yield bytes(1024 * 1024)


def test_files_that_nobody_sends_make_room_for_newer_ones() -> None:
    uploads = Uploads()
    keys = [str(uploads.add("a.txt", b"x")["id"]) for _ in range(MAX_UPLOADS + 3)]
    assert [uploads.get(key) is None for key in keys] == [True] * 3 + [False] * MAX_UPLOADS
    large = [uploads.add("b.bin", bytes(MAX_WAITING_BYTES // 2))["id"] for _ in range(3)]
    assert [uploads.get(str(key)) is None for key in large] == [True, False, False]


# Commands, components, modals


async def test_commands_are_shown_to_those_who_are_offered_them(
    bot: FakeBot, tab: TabClient
) -> None:
    await tab.until(lambda: len(tab.snapshot["commands"]) == 3)
    member, admin, owner = (tab.person(each) for each in ("member", "admin", "owner"))
    offers = {each["name"]: each["demo"] for each in tab.snapshot["commands"]}
    assert offers["config"] == {"guild": [admin, owner], "dm": []}
    assert offers["Ask about this"]["guild"] == [member, admin, owner]
    fields = {"channel": tab.channel("general"), "command": "config set", "options": {"value": "x"}}
    assert await _refused(tab, "slash", person=member, **fields) == "not_offered"
    assert bot.seen == []


async def test_a_command_carries_what_was_filled_in(
    bot: FakeBot, server: PageServer, session: aiohttp.ClientSession, tab: TabClient
) -> None:
    bot.answer = {"type": 4, "data": {"content": "done", "flags": 64}}
    upload = await _upload(server, session, "a.txt", b"abc")
    member, admin = tab.person("member"), tab.person("admin")
    options = {"value": "x", "count": "2", "sure": False, "who": member, "file": upload["id"]}
    fields = {"channel": tab.channel("general"), "command": "config set"}
    used = await tab.do("slash", person=admin, options=options, **fields)
    assert used["response"] == "message"
    given = {each["name"]: each["value"] for each in bot.seen[0].data["options"][0]["options"]}
    assert (given["value"], given["count"], given["sure"], given["who"]) == ("x", 2, False, member)
    assert set(bot.seen[0].data["resolved"]) == {"users", "members", "attachments"}
    hidden = tab.messages[used["message"]]
    assert hidden["demo"]["seen_by"] == admin
    assert hidden["demo"]["command"] == "/config set"
    assert await _refused(tab, "delete", person=member, message=used["message"]) == "not_found"
    await tab.do("delete", person=admin, message=used["message"])
    for wrong in ({}, {"value": "x", "count": "9"}, {"value": "x", "who": "5"}, {"other": "x"}):
        assert await _refused(tab, "slash", person=admin, options=wrong, **fields) == "not_offered"
    for name in ("config", "config get", "nothing", ""):
        wrong_name = {"person": admin, "channel": fields["channel"], "command": name}
        assert await _refused(tab, "slash", **wrong_name) in {"not_offered", "not_found"}


async def test_a_value_is_completed_while_it_is_typed(bot: FakeBot, tab: TabClient) -> None:
    bot.answer = {"type": 8, "data": {"choices": [{"name": "One", "value": "1"}]}}
    fields = {"person": tab.person("admin"), "channel": tab.channel("general")}
    fields |= {"command": "config set", "option": "value", "typed": "o"}
    offered = await tab.do("autocomplete", **fields, options={"count": "2", "value": "old"})
    assert offered == {"choices": [{"name": "One", "value": "1"}]}
    assert await _refused(tab, "autocomplete", **(fields | {"option": "count"})) == "not_offered"


async def test_menus_buttons_and_forms_reach_the_bot(
    bot: FakeBot, demo: Demo, rest: Rest, tab: TabClient
) -> None:
    general, mia = tab.channel("general"), tab.person("member")
    said = (await tab.do("say", person=mia, channel=general, text="what?"))["message"]
    bot.answer = {"type": 9, "data": MODAL}
    asked = {"person": mia, "command": "Ask about this", "message": said}
    opened = await tab.do("menu", **asked)
    assert (opened["response"], opened["modal"]["title"]) == ("modal", "Say more")
    bot.answer = {"type": 5, "data": {"flags": 64}}
    form = {"interaction": opened["interaction"], "fields": {"why": "so"}}
    assert await _refused(tab, "submit", person=tab.person("admin"), **form) == "not_found"
    too_long = form | {"fields": {"why": "x" * 21}}
    assert await _refused(tab, "submit", person=mia, **too_long) == "not_offered"
    sent = await tab.do("submit", person=mia, **form)
    assert sent["response"] == "deferred"
    assert bot.seen[-1].data["components"][0]["components"][0]["value"] == "so"
    looked = await tab.do("menu", person=mia, command="Look up", user=mia, channel=general)
    assert looked["response"] == "deferred"
    row = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Go", "custom_id": "go"}]}
    menu = {"type": 3, "custom_id": "pick", "options": [{"label": "A", "value": "a"}]}
    body = {"content": "x", "components": [row, {"type": 1, "components": [menu]}]}
    posted = (await rest("POST", f"/channels/{general}/messages", body)).body["id"]
    bot.answer = {"type": 6}
    pressed = await tab.do("press", person=mia, message=posted, custom_id="go")
    assert pressed["response"] == "update"
    await tab.do("choose", person=mia, message=posted, custom_id="pick", values=["a"])
    assert bot.seen[-1].data["values"] == ["a"]
    nothing = {"person": mia, "message": posted, "custom_id": "nothing"}
    assert await _refused(tab, "press", **nothing) == "not_found"
    await rest("DELETE", f"/channels/{general}/messages/{posted}")
    nothing["custom_id"] = "go"
    assert await _refused(tab, "press", **nothing) == "not_found"
    assert demo.discord.unexpected == []


async def test_a_bot_that_does_not_answer_is_said_to(bot: FakeBot, tab: TabClient) -> None:
    waiting = asyncio.create_task(
        _refused(tab, "menu", person=tab.person("member"), command="Ask about this",
                 message=next(iter(tab.messages)))
    )  # fmt: skip
    assert await waiting == "no_response"
    assert len(bot.seen) == 1


# Whatever else may come


UNKNOWN = [
    {"do": "say", "channel": "1", "text": "x"},
    {"do": "reply", "message": "1", "text": "x"},
    {"do": "edit", "message": "1", "text": "x"},
    {"do": "delete", "message": "1"},
    {"do": "react", "message": "1", "emoji": "👍"},
    {"do": "history", "channel": "1", "before": "1"},
    {"do": "slash", "channel": "1", "command": "config"},
    {"do": "press", "message": "1", "custom_id": "x"},
    {"do": "submit", "interaction": "1"},
    {"do": "thread", "channel": "1", "name": "x"},
    {"do": "post", "channel": "1", "title": "x"},
    {"do": "menu", "message": "1", "command": "x"},
]


@pytest.mark.parametrize("fields", UNKNOWN, ids=lambda each: each["do"])
async def test_what_is_not_there_is_told(tab: TabClient, fields: dict[str, Any]) -> None:
    action = fields["do"]
    rest_of_it = {name: each for name, each in fields.items() if name != "do"}
    for person in ("1", str(2**63), "9" * 20):
        assert await _refused(tab, action, person=person, **rest_of_it) == "not_found"
    assert await _refused(tab, action, person=tab.person("owner"), **rest_of_it) == "not_found"
    for wrong in ("", "x", "-1", 5, None, "9" * 30, "٣"):
        code = await _refused(tab, action, person=wrong, **rest_of_it)
        assert code in {"bad_request", "too_large"}


async def test_a_text_that_discord_does_not_take_is_told(tab: TabClient) -> None:
    fields = {"person": tab.person("owner"), "channel": tab.channel("general")}
    assert await _refused(tab, "say", text="x" * 2001, **fields) == "too_large"
    assert await _refused(tab, "say", text="  ", **fields) == "not_offered"
    said = await tab.do("say", text="x" * 2000, **fields)
    assert await _refused(
        tab, "edit", person=fields["person"], message=said["message"], text=""
    ) == ("not_offered")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = (
    "person", "channel", "message", "text", "files", "emoji", "add", "before", "limit", "name", "title",
    "command", "option", "options", "typed", "user", "custom_id", "values", "interaction", "fields",
    "id", "value", "ping",
)  # fmt: skip


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_no_frame_makes_the_demo_fail(data: st.DataObject, actions: _Rig) -> None:
    wanted = data.draw(st.sampled_from(actions.names))
    drawn = data.draw(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6))
    known = data.draw(st.sets(st.sampled_from(sorted(actions.known))))
    frame = {"do": wanted, **drawn, **{name: actions.known[name] for name in known}}
    try:
        result = await actions.actions.do(json.loads(json.dumps(frame)))
    except ActionError as exc:
        if exc.code not in {"bad_request", "not_found", "not_offered", "too_large"}:
            raise
    else:
        json.dumps(result)


class _Rig:
    """Actions on a demo whose bot never comes, so that what needs its answer is left out."""

    names = ("say", "reply", "edit", "delete", "react", "typing", "history", "thread", "post",
             "slash", "autocomplete", "menu", "press", "choose", "submit", "fault", "x")  # fmt: skip

    def __init__(self, demo: Demo) -> None:
        self.actions = Actions(demo, View(demo), Uploads(), Panel(demo))
        said = next(iter(demo.places.general.messages.values()))
        self.known = {
            "person": str(demo.places.owner.id),
            "channel": str(demo.places.general.id),
            "message": str(said.id),
            "text": "hi",
            "command": "config set",
        }


@pytest.fixture
async def actions(demo: Demo) -> _Rig:
    return _Rig(demo)


async def test_each_demo_has_people_of_its_own() -> None:
    async with demo_without_bot() as one, demo_without_bot() as other:
        assert isinstance(one.places.owner, Person)
        assert {each.id for each in one.places.people}.isdisjoint(
            each.id for each in other.places.people
        )
