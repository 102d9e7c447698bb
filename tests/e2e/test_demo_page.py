"""The demo's page with the real bot behind it, through a tab over a real socket."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.demo.answers import THINKING
from bot.demo.page.server import PageServer
from bot.demo.run import open_demo
from bot.demo.world import FAST, Demo
from config.settings import LMStudioSettings, Settings
from sandbox.lmstudio import LMStudioSandbox
from tests.support.page import RefusedError, TabClient, opened_tab
from tests.support.process import START_S, clawbot, ended, run_clawbot

NOWHERE = "http://127.0.0.1:9"
"""Nothing listens at the discard port."""


@dataclass(frozen=True)
class Stage:
    """A demo with its page and a tab, in which Otto, who owns the bot, talks in #general."""

    demo: Demo
    server: PageServer
    session: aiohttp.ClientSession
    tab: TabClient

    @property
    def place(self) -> dict[str, str]:
        """Who acts, and where."""
        return {"person": self.tab.person("owner"), "channel": self.tab.channel("general")}

    async def ask(self, text: str, **fields: Any) -> str:
        """Mention the bot; returns the message's id."""
        said = await self.tab.do("say", **(self.place | fields), text=f"{self.tab.mention} {text}")
        return str(said["message"])

    async def answer_to(self, asked: str, *, timeout_s: float = 100.0) -> dict[str, Any]:
        """Wait for the whole answer and return its last message."""

        def finished() -> dict[str, Any] | None:
            own = [each for each in self.tab.messages.values() if self._answers(each, asked)]
            last = max(own, key=lambda each: int(each["id"]), default=None)
            return last if last is not None and _is_over(last) else None

        found: dict[str, Any] = await self.tab.until(finished, timeout_s=timeout_s)
        return found

    def _answers(self, message: dict[str, Any], asked: str) -> bool:
        reference = message.get("message_reference") or {}
        is_bots = message["author"]["id"] == self.tab.snapshot["bot"]["id"]
        return is_bots and (reference.get("message_id") == asked or int(message["id"]) > int(asked))


def _labels(message: dict[str, Any]) -> list[str]:
    return [part.get("label", "") for row in message["components"] for part in row["components"]]


def _is_over(message: dict[str, Any]) -> bool:
    return bool(_labels(message)) and "Stop" not in _labels(message)


def _button(message: dict[str, Any], label: str) -> str:
    found: str = next(
        part["custom_id"]
        for row in message["components"]
        for part in row["components"]
        if part.get("label") == label
    )
    return found


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    settings = Settings(lmstudio=LMStudioSettings(base_url=(NOWHERE,)))
    async with (
        open_demo(settings, timing=FAST) as demo,
        PageServer(demo) as server,
        aiohttp.ClientSession() as session,
        opened_tab(server, session) as tab,
    ):
        await tab.until(lambda: tab.snapshot["bot"]["ready"])
        yield Stage(demo, server, session, tab)
        assert demo.discord.unexpected == []


async def test_a_mention_is_answered_and_what_went_on_inside_is_told(stage: Stage) -> None:
    tab = stage.tab
    asked = await stage.ask("What does a KV cache keep?")
    answer = await stage.answer_to(asked)
    assert "keys and values" in answer["content"]
    assert THINKING not in answer["content"]
    assert tab.named("typing")[0]["user_id"] == tab.snapshot["bot"]["id"]
    await tab.until(lambda: any(each["clock"]["outcome"] for each in tab.named("clock")))
    clocks = [each["clock"] for each in tab.named("clock")]
    *under_way, clock = [each for each in clocks if each["question"] == asked]
    assert all(each["now"] for each in under_way)
    assert {each["outcome"] for each in under_way} == {None}
    assert (clock["question"], clock["outcome"]) == (asked, "delivered")
    assert sum(each["s"] for each in clock["spans"]) == pytest.approx(clock["total_s"], abs=0.01)
    assert any(each["running"] for each in tab.named("queue"))
    prompt = tab.named("prompt")[-1]["prompt"]
    assert (prompt["state"], prompt["prompt_tokens"]) == ("done", clock["prompt_tokens"])
    follow_up = await tab.do(
        "reply", person=stage.place["person"], message=answer["id"], text="And why care?"
    )
    await stage.answer_to(follow_up["message"])
    async with opened_tab(stage.server, stage.session) as reloaded:
        first, second = reloaded.snapshot["inside"]["prompts"]
        assert second["kept_tokens"] > first["prompt_tokens"] / 2
        assert reloaded.messages == tab.messages
        routes = {each["route"] for each in reloaded.snapshot["inside"]["requests"]}
        assert "/channels/{channel_id}/messages/{message_id}" in routes


async def test_a_setting_is_changed_as_the_bot_offers_it(stage: Stage) -> None:
    tab = stage.tab
    config = next(each for each in tab.snapshot["commands"] if each["name"] == "config")
    chosen = next(each for each in config["options"] if each["name"] == "set")["options"]
    assert [each["name"] for each in chosen][:2] == ["setting", "value"]
    assert chosen[0]["required"]
    fields = {**stage.place, "command": "config set"}
    offered = await tab.do(
        "autocomplete", **fields, option="value", typed="0", options={"setting": "temperature"}
    )
    assert offered["choices"]
    used = await tab.do("slash", **fields, options={"setting": "temperature", "value": "0.31"})
    await tab.until(lambda: "0.31" in tab.messages[used["message"]]["content"])
    assert tab.messages[used["message"]]["demo"]["command"] == "/config set"
    member = tab.person("member")
    assert member not in config["demo"]["guild"]
    with pytest.raises(RefusedError) as refused:
        await tab.do("slash", **(fields | {"person": member}), options={})
    assert refused.value.code == "not_offered"
    helped = await tab.do("slash", **(stage.place | {"person": member}), command="help")
    await tab.until(lambda: tab.messages[helped["message"]]["content"])
    assert tab.messages[helped["message"]]["demo"]["seen_by"] in {member, None}


async def test_an_answer_is_stopped_and_written_again(stage: Stage) -> None:
    tab, owner = stage.tab, stage.place["person"]
    await tab.do("fault", control="model_speed", value="crawl")
    asked = await stage.ask("a long answer, please")
    growing = await tab.until(
        lambda: next((m for m in tab.by_bot(stage.place["channel"]) if "Stop" in _labels(m)), None)
    )
    stopped = await tab.do(
        "press", person=owner, message=growing["id"], custom_id=_button(growing, "Stop")
    )
    assert stopped["response"] in {"update", "message", "deferred"}
    await tab.until(lambda: "Stop" not in _labels(tab.messages[growing["id"]]))
    await tab.do("fault", control="clear")
    shown = tab.messages[growing["id"]]
    await tab.do("press", person=owner, message=shown["id"], custom_id=_button(shown, "Regenerate"))
    await tab.until(lambda: any("20. Discord takes" in m["content"] for m in tab.messages.values()))
    assert (await stage.answer_to(asked))["content"]


async def test_a_message_is_asked_about_from_its_menu(stage: Stage) -> None:
    tab, mia = stage.tab, stage.tab.person("member")
    said = await tab.do("say", person=mia, channel=stage.place["channel"], text="show some code")
    menu = next(each for each in tab.snapshot["commands"] if each["type"] == 3)
    assert mia in menu["demo"]["guild"]
    used = await tab.do("menu", person=mia, command=menu["name"], message=said["message"])
    assert used["response"] in {"message", "deferred"}
    await tab.until(lambda: any("def fib" in m["content"] for m in tab.messages.values()))


@pytest.mark.parametrize(
    ("control", "value", "back"),
    [
        ("stream_cut", None, None),
        ("model_unload", None, None),
        ("rest_429", None, None),
        ("gateway_drop", None, None),
        ("rest_slow", "half", None),
        ("lmstudio_power", False, True),
        ("model_memory", True, False),
        ("gateway_refuse", True, False),
        ("model_markup", "gpt_oss", None),
        ("model_markup", "qwen3_thinking_open_missing", None),
        ("model_markup", "granite32", None),
    ],
)
async def test_the_bot_recovers_from_what_is_broken(
    stage: Stage, control: str, value: object, back: object
) -> None:
    tab = stage.tab
    await tab.do("fault", control=control, value=value)
    asked = await stage.ask("What does a KV cache keep?")
    if back is not None:
        await tab.do("fault", control=control, value=back)
    answer = await stage.answer_to(asked, timeout_s=55)
    assert "would read the whole conversation again for each answer" in answer["content"]
    assert THINKING not in "".join(each["content"] for each in tab.messages.values())


async def test_it_is_asked_in_private_in_a_thread_and_about_a_file(stage: Stage) -> None:
    tab, mia = stage.tab, stage.tab.person("member")
    private = next(each["dm"] for each in tab.snapshot["people"] if each["id"] == mia)
    thread = next(each["id"] for each in tab.snapshot["channels"] if each["kind"] == "thread")
    asked = await tab.do("say", person=mia, channel=private, text="some code?")
    assert "def fib" in (await stage.answer_to(asked["message"]))["content"]
    headers = {"Origin": stage.server.address, "Content-Type": "application/octet-stream"}
    async with stage.session.post(
        f"{stage.server.address}/attachments?name=notes.txt", data=b"Bring tea.", headers=headers
    ) as response:
        upload = await response.json()
    asked_there = await stage.ask("read this", person=mia, channel=thread, files=[upload["id"]])
    assert (await stage.answer_to(asked_there))["channel_id"] == thread
    prompts = [each["prompt"] for each in tab.named("prompt") if "turns" in each["prompt"]]
    assert "Bring tea." in prompts[-1]["turns"][-1]["text"]


async def test_a_real_lm_studio_is_asked_and_said_to_be(lm: LMStudioSandbox) -> None:
    lm.answer("From the real one.")
    settings = Settings(lmstudio=LMStudioSettings(base_url=(lm.base_url,)))
    async with (
        open_demo(settings) as demo,
        PageServer(demo) as server,
        aiohttp.ClientSession() as session,
        opened_tab(server, session) as tab,
    ):
        model = tab.snapshot["model"]
        assert (model["kind"], model["address"], model["next"]) == ("lm_studio", lm.base_url, [])
        assert {each["group"] for each in tab.snapshot["faults"]} == {"Discord", "All"}
        assert model["faults_why"]
        with pytest.raises(RefusedError):
            await tab.do("fault", control="model_speed", value="slow")
        await tab.until(lambda: tab.snapshot["bot"]["ready"])
        stage = Stage(demo, server, session, tab)
        answer = await stage.answer_to(await stage.ask("Who are you?"))
        assert "From the real one." in answer["content"]
        await tab.until(lambda: any(each["clock"]["outcome"] for each in tab.named("clock")))
        clock, prompt = tab.named("clock")[-1]["clock"], tab.named("prompt")[-1]["prompt"]
        assert clock["outcome"] == "delivered"
        assert (prompt["state"], prompt["finish"]) == ("done", "stop")
        assert prompt["prompt_tokens"] == clock["prompt_tokens"]
        told = next(e["prompt"]["turns"] for e in tab.named("prompt") if "turns" in e["prompt"])
        assert [each["role"] for each in told] == ["system", "user"]
        assert "Who are you?" in told[-1]["text"]


# As a stranger starts it


async def test_ctrl_c_ends_the_page_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    async with (
        clawbot(
            "demo", "--no-browser", "--port", "0",
            folder=tmp_path, environment={"LMSTUDIO_BASE_URL": NOWHERE},
        ) as process,
        aiohttp.ClientSession() as session,
    ):  # fmt: skip
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", (await process.stdout.readline()).decode())
        assert found is not None
        assert b"stand-in" in await process.stdout.readline()
        async with session.get(f"{found[0]}/") as response:
            assert response.status == 200
        async with session.ws_connect(
            f"{found[0]}/live", headers={"Origin": found[0]}, max_msg_size=0
        ) as socket:
            tab = TabClient(socket, (await socket.receive_json(timeout=START_S)))
            await tab.until(lambda: tab.snapshot["bot"]["ready"])
            general = tab.channel("general")
            text = f"{tab.mention} a long answer"
            await tab.do("say", person=tab.person("owner"), channel=general, text=text)
            await tab.until(lambda: tab.by_bot(general))
            process.send_signal(signal.SIGINT)
            while (frame := await socket.receive(timeout=30)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert frame.data == 1001
        done = await ended(process)
    assert (done.code, done.err) == (0, "")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - a synchronous look is meant


async def test_a_browser_is_opened_where_there_is_one(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/opened"\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    environment = {"LMSTUDIO_BASE_URL": NOWHERE, "BROWSER": str(browser)}
    async with clawbot("demo", "--port", "0", folder=tmp_path, environment=environment) as process:
        assert process.stdout is not None
        address = (await process.stdout.readline()).decode().split()[4]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"{address}/live", headers={"Origin": address}, max_msg_size=0
            ) as socket,
        ):
            tab = TabClient(socket, (await socket.receive_json(timeout=START_S)))
            await tab.until(lambda: tab.snapshot["bot"]["ready"])
        process.send_signal(signal.SIGINT)
        done = await ended(process)
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "opened").read_text().strip() == address


async def test_without_a_browser_the_terminal_goes_on(tmp_path: Path) -> None:
    environment = {
        "LMSTUDIO_BASE_URL": NOWHERE,
        "DISPLAY": "",
        "WAYLAND_DISPLAY": "",
        "BROWSER": "",
    }
    done = await run_clawbot(
        "demo", folder=tmp_path, environment=environment, typed="what does it keep?\n"
    )
    assert (done.code, done.err) == (0, "")
    assert "The demo is at http://127.0.0.1:" in done.out
    assert "No browser can be opened from here" in done.out
    assert done.out.count("so a stand-in does") == 1
    assert "keys and values" in done.out


@pytest.mark.parametrize("port", ["-1", "65536", "x", "٣", "8e3"])
async def test_what_is_no_port_is_told(tmp_path: Path, port: str) -> None:
    done = await run_clawbot("demo", f"--port={port}", folder=tmp_path)
    assert done.code == 2
    assert "give a number from 0 to 65535" in done.err
