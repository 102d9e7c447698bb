"""The demo, as a stranger starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.process import START_S, clawbot, ended, run_clawbot, whole_environment

NOWHERE = {"LMSTUDIO_BASE_URL": "http://127.0.0.1:9"}
"""Nothing listens at the discard port."""


async def test_once_plays_a_conversation_and_ends(tmp_path: Path) -> None:
    done = await run_clawbot("demo", "--once", folder=tmp_path, environment=NOWHERE)
    assert done.code == 0, done.err
    said = done.out.splitlines()
    assert said[0] == "No LM Studio answers, so a stand-in does, with canned answers."
    speakers = [line.split()[0] for line in said[1:]]
    assert speakers == ["you", "Clawbot"] * 3
    assert "keys and values" in said[2]
    assert "exactly the same from turn to turn" in said[4]
    assert "0.31" in said[6]
    assert "thinking" not in done.out
    assert "canned answer that fits" not in done.out
    assert done.err == ""
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - a synchronous look is meant


async def test_the_operators_lmstudio_is_used_when_it_answers(
    tmp_path: Path, lm: LMStudioSandbox
) -> None:
    lm.answer(Answer("From the real one.", reasoning="secret"))
    done = await run_clawbot(
        "demo",
        "--once",
        folder=tmp_path,
        environment={"LMSTUDIO_BASE_URL": f"{lm.base_url}/v1", "DISCORD_TOKEN": "operators-own"},
    )
    assert done.code == 0, done.err
    assert done.out.count("From the real one.") == 2
    assert "secret" not in done.out
    assert len(lm.completions) == 2
    assert "operators-own" not in done.out + done.err


async def test_typed_lines_are_answered_until_the_input_ends(tmp_path: Path) -> None:
    done = await run_clawbot(
        "demo",
        "--terminal",
        folder=tmp_path,
        environment=NOWHERE,
        typed="what does it keep?\n/nonsense\n/config set setting:temperature value:99\n"
        "/config set temperature 0.4\n/config set setting:temperature value:0.5\n/config show\n",
    )
    assert done.code == 0, done.err
    assert "keys and values" in done.out
    assert "There is no command /nonsense. / shows those that there are." in done.out
    assert "from 0 to 2" in done.out
    assert "temperature is now 0.4" in done.out
    assert "temperature 0.5 · from this server, by @Otto" in done.out
    assert not {"<@", "<t:", "['"} & {done.out[at : at + 2] for at in range(len(done.out))}


async def test_a_slash_alone_is_told_which_commands_there_are(tmp_path: Path) -> None:
    done = await run_clawbot(
        "demo", "--terminal", folder=tmp_path, environment=NOWHERE, typed="/\n"
    )
    assert done.code == 0, done.err
    assert "• /ask prompt:… [new:…] Ask the model something." in done.out


async def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    async with clawbot("demo", "--once", folder=tmp_path, environment=NOWHERE) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]
        done = await ended(process)
    assert done.code == 0
    assert done.err == ""


async def test_a_start_without_an_output_is_no_error(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", f'exec "{sys.executable}" -m bot demo --once >&-',
        cwd=tmp_path, env=whole_environment(NOWHERE),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    done = await ended(process)
    assert (done.code, done.err) == (0, "")


async def test_ctrl_c_waits_for_no_answer(tmp_path: Path, lm: LMStudioSandbox) -> None:
    lm.answer(Answer("One two three", pause_after=1))
    environment = {"LMSTUDIO_BASE_URL": lm.base_url, "CLAWBOT_QUEUE__SHUTDOWN_GRACE_S": "300"}
    async with clawbot("demo", "--terminal", folder=tmp_path, environment=environment) as process:
        assert process.stdin is not None
        process.stdin.write(b"Count for me\n")
        await lm.wait_until(lambda: bool(lm.completions), timeout_s=START_S)
        process.send_signal(signal.SIGINT)
        done = await ended(process)
    assert done.code == 0
    assert done.err == ""


async def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    async with clawbot("demo", "--terminal", folder=tmp_path, environment=NOWHERE) as process:
        assert process.stdout is not None
        while b"/quit" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        done = await ended(process)
    assert done.code == 0
    assert done.err == ""
