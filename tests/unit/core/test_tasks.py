"""Tasks that serve everybody."""

from __future__ import annotations

from bot.core.tasks import start_shared
from bot.ops.logs import current_question_id, log_context


async def test_work_for_everybody_is_of_no_one_question() -> None:
    async def seen() -> int | None:
        return current_question_id()

    with log_context(question_id=7):
        assert await start_shared(seen(), name="shared") is None
        assert current_question_id() == 7
