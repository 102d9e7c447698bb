"""What a tab is told without asking: the world at once, the inside a few times a second."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from bot.core.errors import DependencyError
from bot.demo.page.inside import KEPT_REQUESTS, MAX_BODY_CHARS
from bot.demo.page.prompts import MAX_TURN_CHARS
from bot.demo.page.server import PageServer
from bot.demo.page.tabs import MAX_BEHIND_BYTES, Tab
from bot.demo.world import Demo
from tests.sandbox.discord.clients import Rest, online
from tests.support.page import RefusedError, TabClient, opened_tab


def _control(tab: TabClient, wanted: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in tab.snapshot["faults"] if each["id"] == wanted)
    return found


async def _complete(demo: Demo, session: aiohttp.ClientSession, *turns: str) -> None:
    """Ask the stand-in as the bot would."""
    roles = ["system", *["user", "assistant"] * len(turns)]
    messages = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]
    body = {"messages": messages, "stream": True}
    assert demo.lmstudio is not None
    url = f"{demo.lmstudio.base_url}/v1/chat/completions"
    async with session.post(url, json=body) as response:
        await response.read()


async def test_a_snapshot_names_all_that_the_page_shows(demo: Demo, tab: TabClient) -> None:
    snapshot = tab.snapshot
    assert (snapshot["type"], snapshot["protocol"]) == ("snapshot", 1)
    assert [each["role"] for each in snapshot["people"]] == ["member", "admin", "owner"]
    assert {each["kind"] for each in snapshot["channels"]} == {"text", "thread", "forum", "dm"}
    assert snapshot["model"]["kind"] == "stand_in"
    assert snapshot["model"]["next"]
    assert snapshot["bot"] == {
        "id": str(demo.discord.bot_user.id), "name": "Clawbot", "status": "offline",
        "activity": "", "ready": False,
    }  # fmt: skip
    named = {each["author"]["id"] for each in tab.messages.values()}
    assert named <= snapshot["users"].keys()
    for each in snapshot["channels"]:
        assert each["kind"] == "forum" or each["id"] in snapshot["messages"]


async def test_who_types_is_shown_until_their_message(
    demo: Demo, server: PageServer, session: aiohttp.ClientSession
) -> None:
    await demo.places.member.type_in(demo.places.general)
    await demo.places.admin.type_in(demo.places.general)
    await demo.places.member.say(demo.places.general, "there")
    async with opened_tab(server, session) as tab:
        typing = [each["user_id"] for each in tab.snapshot["typing"]]
        assert typing == [tab.person("admin")]


async def test_the_bots_presence_and_commands_are_told(
    demo: Demo, rest: Rest, tab: TabClient
) -> None:
    async with online(demo.discord) as gateway:
        await tab.until(lambda: tab.snapshot["bot"]["status"] == "online")
        path = f"/applications/{demo.discord.bot_user.id}/commands"
        await rest("POST", path, {"name": "ping", "description": "x"})
        await tab.until(lambda: tab.snapshot["bot"]["ready"])
        assert [each["name"] for each in tab.snapshot["commands"]] == ["ping"]
        activity = {"name": "Custom", "type": 4, "state": "reading"}
        presence = {"status": "idle", "activities": [activity], "since": None, "afk": False}
        await gateway.send(3, presence)
        await tab.until(lambda: tab.snapshot["bot"]["activity"] == "reading")
        assert tab.snapshot["bot"]["status"] == "idle"
        await tab.do("fault", control="gateway_drop")
        await tab.until(lambda: tab.snapshot["bot"]["status"] == "offline")


async def test_what_the_bot_sends_is_told_with_its_answer(rest: Rest, tab: TabClient) -> None:
    general = tab.channel("general")
    path = f"/channels/{general}/messages"
    await rest("POST", path, {"content": "x" * 2000, "nonce": "\ud800"})
    refused = await rest("POST", path, {"content": ""})
    assert refused.status == 400
    await tab.until(lambda: any(r["request"]["status"] == 400 for r in tab.named("request")))
    told = {each["request"]["n"]: each["request"] for each in tab.named("request")}
    assert [(each["method"], each["status"], each["code"]) for each in told.values()] == [
        ("POST", 200, 0), ("POST", 400, 50006),
    ]  # fmt: skip
    assert told[1]["route"] == "/channels/{channel_id}/messages"
    assert len(told[1]["body"]) == MAX_BODY_CHARS + 1
    assert all(each["took_s"] >= 0 for each in told.values())


async def test_no_more_is_remembered_than_is_shown(
    rest: Rest, server: PageServer, session: aiohttp.ClientSession, tab: TabClient
) -> None:
    for _ in range(KEPT_REQUESTS + 20):
        await rest("GET", "/users/@me")
    await tab.until(lambda: len(tab.named("request")) >= KEPT_REQUESTS + 20)
    async with opened_tab(server, session) as other:
        kept = other.snapshot["inside"]["requests"]
        assert [each["n"] for each in kept] == list(range(21, KEPT_REQUESTS + 21))
        assert all(each["status"] == 200 for each in kept)


async def test_a_prompt_is_told_turn_by_turn_with_what_was_read_again(
    demo: Demo, server: PageServer, session: aiohttp.ClientSession, tab: TabClient
) -> None:
    rules, long = "Be brief. " * 200, "word " * 1000
    await _complete(demo, session, rules, "What does it keep?")
    await _complete(demo, session, rules, "What does it keep?", "Keys.", long)
    await tab.until(lambda: _states(tab) == ["done", "done"])
    async with opened_tab(server, session) as other:
        first, second = other.snapshot["inside"]["prompts"]
    assert [each["role"] for each in first["turns"]] == ["system", "user"]
    assert (first["read_tokens"], first["kept_tokens"]) == (first["prompt_tokens"], 0)
    assert [each["kept_tokens"] > 0 for each in second["turns"]] == [True, True, True, False]
    kept = [each["kept_tokens"] for each in second["turns"]]
    assert kept[:2] == [each["tokens"] for each in second["turns"]][:2]
    assert sum(kept) == second["kept_tokens"]
    assert second["turns"][3]["text"] == long[:MAX_TURN_CHARS]
    assert second["turns"][3]["cut"]
    assert sum(each["tokens"] for each in second["turns"]) == second["prompt_tokens"] - 3


def _states(tab: TabClient) -> list[str]:
    """Return how far each prompt is by what was told last: a look in between tells one under way, too."""
    newest = {each["prompt"]["n"]: each["prompt"] for each in tab.named("prompt")}
    return [each["state"] for each in newest.values()]


CHOICES = [
    ("model_speed", "slow"),
    ("model_thinks", False),
    ("model_markup", "gpt_oss"),
    ("rest_slow", "half"),
    ("gateway_refuse", True),
    ("model_memory", True),
    ("lmstudio_power", False),
]


@pytest.mark.parametrize(("wanted", "value"), CHOICES)
async def test_a_control_is_set_for_every_tab_and_back_again(
    server: PageServer, session: aiohttp.ClientSession, tab: TabClient, wanted: str, value: object
) -> None:
    before = _control(tab, wanted)["value"]
    async with opened_tab(server, session) as other:
        await tab.do("fault", control=wanted, value=value)
        await other.until(lambda: _control(other, wanted)["value"] == value)
        await other.do("fault", control="clear")
        await tab.until(lambda: _control(tab, wanted)["value"] == before)


async def test_all_controls_are_normal_after_all_that_can_be_set(
    demo: Demo, session: aiohttp.ClientSession, tab: TabClient
) -> None:
    normal = tab.snapshot["faults"]
    for wanted, value in CHOICES:
        await tab.do("fault", control=wanted, value=value)
    for button in ("stream_cut", "stream_cut", "rest_429", "model_unload", "gateway_drop"):
        await tab.do("fault", control=button)
    await tab.until(lambda: tab.snapshot["faults"] != normal)
    notes = {each["id"]: each["note"] for each in tab.snapshot["faults"] if each["note"]}
    assert notes["stream_cut"] == "Strikes the next 2 answers."
    assert notes["model_unload"] == "It is not loaded."
    await tab.do("fault", control="clear")
    await tab.until(lambda: tab.snapshot["faults"] == normal)
    assert demo.lmstudio is not None
    await _complete(demo, session, "Be brief.", "Hi")
    assert demo.lmstudio.completions[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    ("wanted", "value"),
    [("nothing", 1), ("model_speed", "warp"), ("model_speed", None), ("model_thinks", "yes"),
     ("model_speed", []), ("lmstudio_power", 1)],
)  # fmt: skip
async def test_a_control_takes_only_what_it_offers(
    tab: TabClient, wanted: str, value: object
) -> None:
    with pytest.raises(RefusedError) as refused:
        await tab.do("fault", control=wanted, value=value)
    assert refused.value.code in {"not_found", "bad_request"}


async def test_the_end_of_the_demo_is_told(demo: Demo, session: aiohttp.ClientSession) -> None:
    async with PageServer(demo) as server:
        tabs = [
            await session.ws_connect(f"{server.address}/live", headers={"Origin": server.address})
            for _ in range(3)
        ]
    for each in tabs:
        while (frame := await each.receive(timeout=30)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert (frame.type, frame.data) == (aiohttp.WSMsgType.CLOSE, 1001)


async def test_a_port_that_is_taken_is_told(demo: Demo) -> None:
    async with PageServer(demo) as server:
        port = int(server.address.rpartition(":")[2])
        with pytest.raises(DependencyError) as told:
            async with PageServer(demo, port=port):
                pass
        assert str(port) in str(told.value)
        assert "--port" in str(told.value)


class _Deaf:
    """A socket that takes nothing."""

    def __init__(self) -> None:
        self.code: int | None = None

    async def send_str(self, _text: str) -> None:
        await asyncio.Event().wait()

    async def close(self, *, code: int) -> None:
        self.code = code


async def test_a_tab_that_takes_nothing_is_sent_away() -> None:
    socket = _Deaf()
    tab = Tab(socket)
    for _ in range(33):
        tab.send("x" * (MAX_BEHIND_BYTES // 32))
    await tab.write()
    assert socket.code == aiohttp.WSCloseCode.TRY_AGAIN_LATER


async def test_a_name_is_only_a_name(demo: Demo, tab: TabClient, rest: Rest) -> None:
    """Nothing of a hostile name becomes part of an address."""
    name = 'a"><img src=x onerror=alert(1)>/../?#%00.png'
    said = await demo.places.owner.say(demo.places.general, files=[(name, b"x")])
    await tab.until(lambda: str(said.id) in tab.messages)
    shown = tab.messages[str(said.id)]["attachments"][0]
    assert shown["filename"] == name
    assert set(shown["url"].rpartition("/")[2]) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~%"
    )
    assert json.dumps(shown)
    assert (
        await rest("GET", f"/channels/{demo.places.general.id}/messages/{said.id}")
    ).status == 200
