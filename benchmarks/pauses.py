"""How long text that is made to be slow holds the whole bot's event loop.

``python -m benchmarks pauses [--only PART …] [--seconds 200]``

Each adversarial text is an answer of 100 kB that comes at once, one that comes token by token, and
thinking; then what people write: a thread of 50 messages of 2,000 characters, and a text file of
250 kB. The pause is the longest time that the loop didn't come round; beside it stands the most
processor time that its thread used between two looks, which a busy machine doesn't lengthen.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from benchmarks._crowd import until_told
from benchmarks._probe import arguments, longest_pause, read_looks
from benchmarks._rig import running_bot
from benchmarks._texts import adversarial
from benchmarks.table import print_table
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox, Model, Timing

SIZE = 100_000
FILE_CHARS = 250_000
MESSAGE_CHARS, MESSAGES = 1_900, 50
TOKEN_CHARS = 4
BAR_MS = 100.0
ANSWER_S = 60.0

Ask = Callable[[Person, Channel], Awaitable[Message]]
Case = tuple[str, Answer, Ask]


async def _question(person: Person, channel: Channel) -> Message:
    return await person.mention(channel, "What do you think?")


def _after_messages(text: str) -> Ask:
    async def ask(person: Person, channel: Channel) -> Message:
        thread = await person.start_thread(channel, "Talk")
        for _ in range(MESSAGES):
            await person.say(thread, f"a {text[:MESSAGE_CHARS]}")
        return await person.mention(thread, "What do you think?")

    return ask


def _with_file(text: str) -> Ask:
    data = (text * (FILE_CHARS // len(text) + 1))[:FILE_CHARS].encode()

    async def ask(person: Person, channel: Channel) -> Message:
        return await person.mention(channel, "What do you think?", files=[("a.txt", data)])

    return ask


def cases() -> Iterator[Case]:
    """Yield what is measured, those that cost most in pieces of their own first."""
    texts = adversarial(SIZE)
    said = Answer("Seen.")
    for name, text in texts.items():
        yield f"answer at once: {name}", Answer(tokens=[f"a {text}"]), _question
    for name in ("<", "`", "Ġ", "\\[x", "[a](", "nested parentheses", "one table", "🇩", "://"):
        text = texts.get(name) or texts[repr(name)[1:-1]]
        pieces = [text[i : i + TOKEN_CHARS] for i in range(0, len(text), TOKEN_CHARS)]
        yield f"answer by token: {name}", Answer(tokens=pieces), _question
        yield f"thinking: {name}", Answer("Seen.", reasoning=text), _question
        yield f"thinking only: {name}", Answer(tokens=[f"<think>{text}"]), _question
    for name, text in texts.items():
        yield f"50 messages: {name}", said, _after_messages(text)
        yield f"text file: {name}", said, _with_file(text)


async def run(only: Sequence[str], seconds: float) -> list[Sequence[object]]:
    """Ask each question; returns the rows of the table."""
    rows: list[Sequence[object]] = []
    give_up_s = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probe.jsonl"
        model = Model("local/model", context_tokens=262_144)
        async with (
            DiscordSandbox() as discord,
            LMStudioSandbox([model], Timing(speed=None)) as lm,
            running_bot(discord, lm, arguments(file)),
        ):
            guild = discord.add_guild("Home", owner=discord.add_user("Ada"))
            for number, (name, answer, ask) in enumerate(cases()):
                if not any(part in name for part in only):
                    continue
                if time.monotonic() > give_up_s:
                    print(f"out of time before: {name}", flush=True)
                    break
                person = discord.add_user(f"Person {number}")
                guild.add_member(person)
                lm.answer(answer)
                began_s = time.monotonic()
                asked = await ask(person, guild.add_channel(f"room-{number}"))
                await until_told(discord, asked, ANSWER_S)
                took_s = time.monotonic() - began_s
                await _next_line(file)
                looks = [look for look in read_looks(file) if look.at_s > began_s]
                pause_ms, work_ms = longest_pause(looks)
                rows.append((name, took_s, pause_ms, work_ms))
                print(
                    f"{name}: {took_s:.1f} s, {pause_ms:.0f} ms, work {work_ms:.0f} ms", flush=True
                )
    return rows


async def _next_line(file: Path) -> None:
    """Wait until the probe has written what it saw so far."""
    now_s = time.monotonic()
    while not any(look.at_s > now_s for look in read_looks(file)[-1:]):  # noqa: ASYNC110 - a file
        await asyncio.sleep(0.05)


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks pauses", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of the names of cases")
    parser.add_argument("--seconds", type=float, default=200, help="stop asking after so long")
    options = parser.parse_args(argv)
    rows = asyncio.run(run(options.only, options.seconds))
    rows.sort(key=lambda row: -float(str(row[2])))
    print_table(
        f"Bar: {BAR_MS:g} ms; the longest of {len(rows)}",
        ("what", "answered after, s", "pause, ms", "most work at once, ms"),
        rows[:15],
    )
    return 0 if rows and float(str(rows[0][2])) <= BAR_MS else 1
