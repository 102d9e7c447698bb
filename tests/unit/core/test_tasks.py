"""Tasks that serve everybody, and work that may hang."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bot.core.tasks import apart, end_tasks, log_context, log_ids, start_shared


async def test_work_for_everybody_is_of_no_one_question() -> None:
    async def seen() -> int | None:
        return log_ids()[0]

    with log_context(question_id=7):
        assert await start_shared(seen(), name="shared") is None
        assert log_ids()[0] == 7


async def test_work_apart_brings_its_result_or_failure() -> None:
    assert await apart(lambda: threading.current_thread().name, name="aside") == "aside"
    with pytest.raises(KeyError):
        await apart(dict[str, int]().popitem, name="aside")


async def test_work_apart_that_hangs_can_be_given_up() -> None:
    goes_on = threading.Event()
    hanging = asyncio.create_task(apart(lambda: goes_on.wait(20), name="aside"))
    await asyncio.sleep(0)
    await end_tasks(hanging)
    assert hanging.cancelled()
    [thread] = [each for each in threading.enumerate() if each.name == "aside"]
    assert thread.daemon
    goes_on.set()
    thread.join()
    await asyncio.sleep(0)
