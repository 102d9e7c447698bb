"""Files are decoded by processes that can be thrown away, whatever is in the files."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import sys
from collections.abc import AsyncGenerator, Callable

import psutil
import pytest
from PIL import Image

from benchmarks._bombs import BOMBS, Bomb, broken, letters, picture
from bot.core.clock import SystemClock
from bot.core.domain import AttachmentInfo
from bot.prompt.attachments import decoder_process
from bot.prompt.attachments.decoder import BUSY, OVERSPENT, UNABLE, DecoderLimits, DecoderPool
from bot.prompt.attachments.fair_gate import Share
from bot.prompt.attachments.kinds import FileKind, kind_of
from tests.support.clock import FakeClock, SwiftClock

TIGHT = DecoderLimits(memory_bytes=96 * 1024 * 1024, cpu_s=1, wall_s=50, person_s=1000)
BY_NAME = {bomb.name: bomb for bomb in BOMBS}
STUCK = BY_NAME["PDF, compressed five times"]
ADA, BOB = Share(1, 40), Share(2, 40)


@pytest.fixture
async def pool() -> AsyncGenerator[DecoderPool, None]:
    async with DecoderPool(SystemClock(), TIGHT) as pool:
        yield pool


def kind(bomb: Bomb) -> FileKind:
    return kind_of(AttachmentInfo(1, bomb.filename, None, 1, ""))


async def text(pool: DecoderPool, person: Share = ADA) -> str:
    found = await pool.decode(FileKind.TEXT, b"hello", is_cut=False, share=person)
    return found.text


def process_ids(pool: DecoderPool) -> tuple[int, ...]:
    return tuple(helper.process.pid for helper in pool._all)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - another process's state has no event
            await asyncio.sleep(0)


async def gone(pool: DecoderPool, process: psutil.Process) -> None:
    await until(lambda: process.pid not in process_ids(pool))
    assert not process.is_running()


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.name)
async def test_a_bomb_ends_in_something_readable_or_a_reason(pool: DecoderPool, bomb: Bomb) -> None:
    data = bomb.make()
    found = await pool.decode(kind(bomb), data, is_cut=False, share=ADA)
    assert found.text or found.image or found.problem
    assert await text(pool) == "hello"
    assert len(process_ids(pool)) <= TIGHT.processes


async def test_files_broken_in_any_way_are_told_apart_from_good_ones(pool: DecoderPool) -> None:
    for bomb in broken():
        found = await pool.decode(kind(bomb), bomb.make(), is_cut=False, share=ADA)
        assert found.text or found.image or found.problem
    assert await text(pool) == "hello"


async def test_the_process_that_a_bomb_was_opened_in_is_killed() -> None:
    limits = DecoderLimits(cpu_s=60, wall_s=0.5)
    async with DecoderPool(SystemClock(), limits) as pool:
        work = asyncio.create_task(pool.decode(kind(STUCK), STUCK.make(), is_cut=False, share=ADA))
        await until(lambda: bool(process_ids(pool)))
        process = psutil.Process(process_ids(pool)[0])
        assert "too long" in (await work).problem
        await gone(pool, process)


def used_s(process: psutil.Process) -> float:
    """Return the processor time a process has used, in seconds; without end when it is over."""
    try:
        return process.cpu_times().user
    except psutil.NoSuchProcess:
        return float("inf")


async def test_a_question_that_ends_early_takes_its_process_along(pool: DecoderPool) -> None:
    await text(pool)
    process = psutil.Process(process_ids(pool)[0])
    rested_s = used_s(process)
    work = asyncio.create_task(pool.decode(kind(STUCK), STUCK.make(), is_cut=False, share=ADA))
    # The former file's last work may be counted late: the process must have been taken as well.
    await until(lambda: not pool._idle and used_s(process) > rested_s)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await gone(pool, process)
    assert await text(pool) == "hello"


async def test_ten_bombs_of_one_person_keep_nobody_elses_file_waiting(pool: DecoderPool) -> None:
    data = STUCK.make()
    bombs = asyncio.gather(
        *(pool.decode(kind(STUCK), data, is_cut=False, share=ADA) for _ in range(3))
    )
    await asyncio.sleep(0)
    assert await text(pool, BOB) == "hello"
    assert not bombs.done()
    assert len(process_ids(pool)) <= TIGHT.processes
    bombs.cancel()
    await asyncio.gather(bombs, return_exceptions=True)


async def test_names_are_found_while_bombs_are_decoded(pool: DecoderPool) -> None:
    """Whatever resolves names shares its threads with nothing that a file can hold up."""
    data = STUCK.make()
    bombs = [
        asyncio.create_task(pool.decode(kind(STUCK), data, is_cut=False, share=Share(number, 40)))
        for number in range(8)
    ]
    await asyncio.sleep(0)
    assert await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    assert not any(bomb.done() for bomb in bombs)
    for bomb in bombs:
        bomb.cancel()
    await asyncio.gather(*bombs, return_exceptions=True)


async def test_who_has_used_a_lot_of_time_has_to_wait_a_while() -> None:
    async with DecoderPool(SystemClock(), DecoderLimits(person_s=0)) as pool:
        assert await text(pool) == "hello"
        found = await pool.decode(FileKind.TEXT, b"more", is_cut=False, share=ADA)
        assert found.problem == OVERSPENT
        assert await text(pool, BOB) == "hello"


async def test_who_gets_no_turn_in_time_is_told_so() -> None:
    async with DecoderPool(SystemClock(), DecoderLimits(processes=1, wait_s=0)) as pool:
        stuck = asyncio.create_task(pool.decode(kind(STUCK), STUCK.make(), is_cut=False, share=ADA))
        await until(lambda: bool(process_ids(pool)))
        found = await pool.decode(FileKind.TEXT, b"more", is_cut=False, share=BOB)
        assert found.problem == BUSY
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)


async def test_one_process_is_kept_for_the_next_file_and_goes_when_none_comes() -> None:
    clock = FakeClock()
    async with DecoderPool(clock) as pool:
        await text(pool)
        (first,) = process_ids(pool)
        await text(pool, BOB)
        assert process_ids(pool) == (first,)
        process = psutil.Process(first)
        await clock.advance(59)
        assert process.is_running()
        await clock.advance(2)
        await gone(pool, process)
        assert await text(pool) == "hello"


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process runs no more, whether or not its end was noticed."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_process_that_was_killed_meanwhile_is_replaced(pool: DecoderPool) -> None:
    await text(pool)
    process = psutil.Process(process_ids(pool)[0])
    process.kill()
    await until(lambda: has_ended(process))
    await text(pool)
    assert await text(pool) == "hello"
    assert process.pid not in process_ids(pool)


async def test_a_process_has_nothing_of_the_bots(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "a secret")
    opened = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(opened, True)
    try:
        await text(pool)
        process = psutil.Process(process_ids(pool)[0])
        assert set(process.environ()) <= {
            "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LC_CTYPE",
        }  # fmt: skip
        assert process.cwd() == "/"
        assert process.open_files() == []
        assert process.net_connections() == []
        assert process.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert process.rlimit(psutil.RLIMIT_NOFILE) == (32, 32)
        assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert process.rlimit(psutil.RLIMIT_AS)[0] < 512 * 1024 * 1024
        assert process.nice() > psutil.Process().nice()
    finally:
        os.close(opened)


async def test_a_process_ends_with_the_one_that_started_it() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", decoder_process.__name__, "text", "100000000", "1"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(decoder_process.HEADER.pack(b"t", False, 100) + b"cut")
    assert (process.returncode, out) == (0, b"")


async def test_pages_before_one_that_takes_too_long_are_read(pool: DecoderPool) -> None:
    first = b"BT /F1 9 Tf (the first page) Tj ET"
    found = await pool.decode(
        FileKind.PDF, _two_pages(first, STUCK.make()), is_cut=False, share=ADA
    )
    assert (found.text, found.is_cut) == ("the first page", True)


def _two_pages(first: bytes, other: bytes) -> bytes:
    """Return a PDF file of a page with ``first`` and the only page of another file."""
    import pypdf  # noqa: PLC0415 - only here

    from benchmarks._bombs import paged  # noqa: PLC0415 - only here

    writer = pypdf.PdfWriter()
    for data in (paged(first), other):
        writer.add_page(pypdf.PdfReader(io.BytesIO(data)).pages[0])
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


async def test_ordinary_files_of_every_kind_are_read(pool: DecoderPool) -> None:
    found = await pool.decode(FileKind.PDF, letters(3), is_cut=False, share=ADA)
    assert found.text == "aaa"
    for name in ("PNG", "JPEG", "GIF", "WEBP", "BMP"):
        data = picture(name, (2000, 1000))
        found = await pool.decode(FileKind.IMAGE, data, is_cut=False, share=ADA)
        with Image.open(io.BytesIO(base64.b64decode(found.image.partition(",")[2]))) as image:
            assert image.size == (1024, 512)
    found = await pool.decode(FileKind.TEXT, "Grüße".encode("utf-16"), is_cut=True, share=ADA)
    assert (found.text, found.is_cut) == ("Grüße", True)


async def test_a_system_that_has_no_process_to_give_is_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with DecoderPool(SwiftClock(10)) as pool:
        pool.prepare(FileKind.TEXT)
        found = await pool.decode(FileKind.TEXT, b"text", is_cut=False, share=ADA)
        assert found.problem == UNABLE
