"""A hostile LM Studio and hostile settings: an outcome for everybody, and nothing strange asked."""

from __future__ import annotations

import contextlib
import json
import sqlite3

from sandbox.lmstudio import Answer, Fault
from tests.security.deployment import Deployment, OpenDeployment, is_content

HOSTILE = (
    Fault.GZIP_BOMB,
    Fault.HUGE_LINE,
    Fault.DEEP_JSON,
    Fault.NAN_JSON,
    Fault.INVALID_JSON,
    Fault.INVALID_UTF8,
    Fault.NULL_DELTAS,
    Fault.JSON_FOR_STREAM,
    Fault.PLAIN_TEXT,
    Fault.HTML_500,
    Fault.HTML_413,
    Fault.EMPTY,
    Fault.EMPTY_200,
    Fault.UNKNOWN_ENDPOINT,
    Fault.PEG_NATIVE,
    Fault.CRASHED,
    Fault.TRUNCATED_STREAM,
    Fault.CHUNKED_CUT,
    Fault.RESET_AFTER_HEADERS,
    Fault.RESET_AFTER_TOKENS,
    Fault.REDIRECT,
)


async def test_every_hostile_response_ends_in_one_plain_outcome(opened: OpenDeployment) -> None:
    async with opened(CLAWBOT_LMSTUDIO__RETRY_ATTEMPTS="0") as deployment:
        deployment.may_fail = True  # a wrong address is an error for whoever runs the bot
        async with deployment.bot():
            for room, fault in zip(deployment.channels(len(HOSTILE)), HOSTILE, strict=True):
                deployment.lm.faults.next(fault)
                asked = await deployment.ada.mention(room, "Hello")
                await deployment.until_answered([asked])
                shown = deployment.shown(asked)
                assert shown.strip(), fault
                for word in ("127.0.0.1", str(deployment.lm.port), "Traceback", "<html", '{"error'):
                    assert word not in shown, (fault, word)
                own = [m for m in room.messages.values() if m.author is deployment.discord.bot_user]
                assert len(own) == 1, fault
                deployment.lm.faults.clear()


async def test_endless_answers_are_cut(deployment: Deployment) -> None:
    cases = [
        Answer("x" * 60_000),
        Answer("\n".join("ab"[n % 2] * (n % 7) + str(n) for n in range(20_000))),
        Answer(" ".join(f"word{n * 7}" for n in range(20_000))),
        Answer("😀" * 20_000),
        Answer("e\u0301\u0302" * 10_000),
    ]
    async with deployment.bot():
        asked = await deployment.ask_each(cases)
    for message in asked:
        assert len([m for m in message.channel.messages.values() if m is not message]) <= 6
    for request in deployment.lm.completions:
        assert request.cancelled_at is not None or request.finished


async def test_a_hostile_models_name_is_one_harmless_line(deployment: Deployment) -> None:
    names = (
        "@everyone https://evil.example [a](https://evil.example)",
        "a\n# Title\n> quote\n-# small",
        "x" * 5000,
        "\x1b[31m\u202e",
        "<@1234567890123456> <#1234567890123456>",
        "```\ncode",
        "discord.gg/abc",
    )
    room = deployment.channels(1)[0]
    async with deployment.bot():
        await deployment.use(deployment.ada, room, "config set", setting="show_footer", value="on")
        asked = await deployment.ask_each([Answer("Fine.", model=name) for name in names])
        for message in asked:
            reply = deployment.discord.replies(message)[0]
            pressed = await deployment.ada.click(reply, "Details")
            await pressed.wait_content()
            for text in (deployment.shown(message), pressed.content):
                assert "](" not in text
                assert "@everyone" not in text
                assert "discord.gg/abc" not in text
                assert len(text) < 600


SETTINGS = ("temperature", "top_p", "max_tokens", "network_timeout", "reasoning", "show_footer")
VALUES = (
    "nan", "NaN", "inf", "-inf", "Infinity", "1e999", "1e9", "-1", "-0.0001", "2.0001", "0x10",
    "1_000", "٣", "１", "0,7,1", "0.7.1", "", " ", "null", "None", "true;", "[]", "{}", '"0.7"',
    "0.7\n", "0.7\x00", "\ud83d", "9" * 400, "0." + "1" * 400, "!!python/object:os.system x",
    "'; DROP TABLE settings; --", '{"$set": 1}', "../../etc/passwd", "${HOME}", "%s%s%n", "{bot}",
    "<|im_start|>", "2147483648", "99999999999999999999", "1e-400", "0b1", "+", "-", ".", "e",
    "0", "1", "0.5", "off", "high", "2048", "30000", "1.0", "2", "-0", "00001", "+1", " 1 ", "1,5",
)  # fmt: skip


async def test_no_value_by_command_reaches_the_model_out_of_range(deployment: Deployment) -> None:
    room = deployment.channels(1)[0]
    managers = [deployment.discord.add_user(f"Manager {number}") for number in range(3)]
    for manager in managers:
        deployment.guild.add_member(manager, permissions="manage_guild")
    # A person has thirty commands in a minute and a server three hundred, counted in each run.
    for setting in SETTINGS:
        async with deployment.bot():
            for number, value in enumerate(VALUES):
                if "\ud83d" in value or not value:
                    continue
                made = await deployment.use(
                    managers[number % 3], room, "config set", setting=setting, value=value
                )
                assert made.ephemeral
                assert len(made.content) < 2000
                assert not made.content.startswith("Too many commands")
            await deployment.until_answered(
                [await deployment.ada.mention(room, f"After {setting}")]
            )
    async with deployment.bot():
        for model in ("../../x", "no/such", "a" * 500, "<|im_start|>", "'; --", "qwen\x00"):
            made = await deployment.use(deployment.ada, room, "model use", model=model)
            assert "no such model" in made.content or "must be" in made.content, made.content
        await deployment.use(
            deployment.ada, room, "persona set", text="p\x00\n\r" + "<|im_end|>" * 590
        )
        await deployment.until_answered([await deployment.ada.mention(room, "After all")])
    check_settings(deployment)
    async with deployment.bot():
        await deployment.until_answered([await deployment.ada.mention(room, "After a restart")])
    assert len(deployment.lm.completions) == len(SETTINGS) + 2


def check_settings(deployment: Deployment) -> None:
    """Check that everything stored reads back as what it must be."""
    with contextlib.closing(sqlite3.connect(deployment.folder / "clawbot.db")) as database:
        rows = list(database.execute("SELECT key, value FROM settings"))
        assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    assert rows
    for key, value in rows:
        read = json.loads(value, parse_constant=lambda name: [name])
        assert isinstance(read, str | int | float | bool), (key, value)


async def test_forced_failures_are_logged_without_a_word_of_anybody(deployment: Deployment) -> None:
    deployment.phrases += ["zebraphrase", "quaggaphrase"]
    deployment.may_fail = True
    room, other, third = deployment.channels(3)
    deployment.lm.answer(Answer("The quaggaphrase says so.", reasoning="quaggaphrase thoughts"))
    async with deployment.bot():
        await deployment.use(deployment.ada, room, "persona set", text="zebraphrase persona")
        for fault in (Fault.PEG_NATIVE, Fault.CRASHED, Fault.INVALID_JSON, Fault.CHUNKED_CUT):
            deployment.lm.faults.next(fault)
            asked = await deployment.ada.mention(room, f"zebraphrase {fault}")
            await deployment.until_answered([asked])
        deployment.discord.faults.fail("POST", "/messages", status=500)
        deployment.discord.faults.reset("PATCH", "/messages")
        deployment.discord.faults.refuse(50035, "POST", f"/channels/{other.id}/messages")
        for where in (other, third):
            await deployment.until_answered(
                [await deployment.ada.mention(where, "zebraphrase again")]
            )
        body = {"id": "1", "content": "zebraphrase"}
        deployment.discord.gateway.dispatch("MESSAGE_UPDATE", body)
        deployment.discord.faults.reset("POST", "/callback", times=3)
        await deployment.ada.slash(other, "ask", prompt="zebraphrase by command")
        (deployment.folder / "clawbot.db").chmod(0o600)
        deployment.discord.faults.close(4000)
        await deployment.until_answered(
            [await deployment.ada.mention(third, "zebraphrase at last")]
        )
    assert any(is_content(record) for record in deployment.discord.requests)
