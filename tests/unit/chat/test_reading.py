"""One answer as it comes from the model: what is asked, and what is made of what comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.chat.account import Account, PromptSizes
from bot.chat.reading import GATHER_S, LEAST_REST_S, Reading
from bot.chat.seam import GO_ON
from bot.core import frames
from bot.core.domain import (
    ChatTurn,
    Completed,
    Counted,
    FinishReason,
    Reasoning,
    Restarted,
    Retried,
    Role,
    Sampling,
    Stage,
    StageKind,
    TextDelta,
    Usage,
)
from bot.core.errors import BackendError
from bot.core.ports import ChatSettings
from bot.core.record import BROKEN_OFF, ONLY_THINKING, QuestionRecord
from bot.lmstudio.errors import BackendUnavailableError
from bot.output.pipeline import Verdict
from bot.prompt.builder import Prompt
from tests.support.builders import question
from tests.support.chat import DONE, Chat, Step
from tests.support.clock import FakeClock

PROMPT = Prompt(
    (ChatTurn(Role.SYSTEM, "You are a bot."), ChatTurn(Role.USER, "Tell me a story.")),
    1000,
    "here",
    load="a load",
    participants=("Ada",),
    bot_names=("Claw",),
)
CHAT = ChatSettings("tiny", 0.6, 0.9, 512, "", Reasoning.ON, may_load=False)
BROKEN = Completed(FinishReason.INTERRUPTED, "tiny", may_go_on=True)


class Read:
    """An answer that is read, and what was told meanwhile.

    Attributes:
        is_seen: What was told with each text that came.
        stages: The stages that were told.
        gathering: How long text gathered after each text that came, in seconds.
    """

    def __init__(self, chat: Chat, *scripts: Sequence[Step], max_tokens: int = 400) -> None:
        chat.backend.scripts.extend(scripts)
        self.chat = chat
        self.account = Account(question(1), chat.clock, PromptSizes())
        self.account.model = "tiny"
        self.is_seen: list[bool] = []
        self.stages: list[StageKind] = []
        self.gathering: list[float] = []
        self.reading = Reading(
            chat.parts,
            question(1),
            PROMPT,
            CHAT,
            max_tokens,
            self.account,
            on_text=self._on_text,
            on_stage=lambda stage: self.stages.append(stage.kind),
        )

    def _on_text(self, is_seen: bool) -> None:
        self.is_seen.append(is_seen)
        self.gathering.append(self.chat.backend.requests[-1].pace.gather_s)

    @property
    def text(self) -> str:
        return self.reading.pipeline.text

    async def done(self) -> Completed:
        return await self.reading.run()

    def record(self) -> QuestionRecord:
        return self.account.close(None)


@pytest.fixture
def chat(clock: FakeClock) -> Chat:
    """A chat service on fakes."""
    return Chat(clock)


async def test_the_model_is_asked_with_the_settings_in_force_and_the_prompt(chat: Chat) -> None:
    await Read(chat).done()
    [request] = chat.backend.requests
    assert (request.question_id, request.person_id) == (1, question(1).counts_for)
    assert (request.model, request.may_load, request.reasoning) == ("tiny", False, Reasoning.ON)
    assert (request.turns, request.prompt_tokens) == (PROMPT.turns, 1000)
    assert request.sampling == Sampling(0.6, 0.9, 400)
    assert (request.conversation_key, request.limit_s) == ("here", None)


async def test_text_gathers_only_once_there_is_something_to_see(chat: Chat) -> None:
    read = Read(chat, [TextDelta(reasoning="Hm."), TextDelta("Once"), TextDelta(" upon"), DONE])
    await read.done()
    assert read.is_seen == [False, True, True]
    assert read.gathering == [0.0, GATHER_S, GATHER_S]
    assert read.text == "Once upon"
    assert read.reading.pipeline.verdict is Verdict.ANSWER


@pytest.mark.parametrize("size", [511, 512, 513, 2000])
async def test_a_long_delta_is_taken_whole_in_pieces(chat: Chat, size: int) -> None:
    thought = " ".join(str(number) for number in range(size))[:size]
    said = " ".join(str(number) for number in range(size, 0, -1))[:size].strip()
    read = Read(chat, [TextDelta(said, thought), DONE])
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    await read.done()
    other.cancel()
    assert read.text == said
    assert read.reading.pipeline.thinking == thought
    assert turns >= (2 * size) // 512


async def test_what_is_told_of_a_run_is_passed_on(chat: Chat) -> None:
    story = ChatTurn(Role.USER, "word " * 2000)
    counted = Counted("tiny", (story,), 3000)
    before = chat.parts.estimator.estimate_turns((story,), "tiny")
    script: list[Step] = [Stage(StageKind.LOADING), TextDelta("Onc"), Restarted(), counted]
    read = Read(chat, [*script, Retried("overflow"), TextDelta("Once."), DONE])
    await read.done()
    assert read.text == "Once."
    assert read.stages == [StageKind.LOADING]
    assert read.record().retries == ("overflow",)
    assert chat.parts.estimator.estimate_turns((story,), "tiny") != before
    assert [count.load for count in chat.parts.builder._refused.values()] == ["a load"]


async def test_the_rest_of_an_answer_is_asked_for_with_what_it_began_with(
    chat: Chat, clock: FakeClock
) -> None:
    beginning = "Once upon a time there was"
    read = Read(chat, [TextDelta(beginning), BROKEN], [TextDelta(" a king."), DONE])
    await clock.advance(10)
    await read.done()
    first, rest = chat.backend.requests
    added = (ChatTurn(Role.ASSISTANT, beginning), ChatTurn(Role.USER, GO_ON))
    estimator = chat.parts.estimator
    assert read.text == f"{beginning} a king."
    assert read.reading.is_joined
    assert rest.turns == (*first.turns, *added)
    assert rest.prompt_tokens == 1000 + estimator.estimate_turns(added, "tiny")
    assert rest.sampling == Sampling(0.6, 0.9, 400 - estimator.estimate(beginning, "tiny"))
    assert rest.limit_s == chat.parts.settings.lmstudio.total_timeout_s - 10
    assert read.stages == [StageKind.RETRYING]
    assert read.record().retries == (BROKEN_OFF,)


async def test_room_for_a_few_words_is_left_where_the_tokens_were_nearly_used_up(
    chat: Chat,
) -> None:
    script: list[Step] = [TextDelta("Once upon a time. " * 40), BROKEN]
    read = Read(chat, script, [TextDelta("The end."), DONE], max_tokens=100)
    await read.done()
    assert chat.backend.requests[1].sampling.max_tokens == 64


async def test_two_parts_of_an_answer_end_as_one(chat: Chat) -> None:
    sent = (ChatTurn(Role.USER, "Cut."),)
    first = replace(
        BROKEN,
        usage=Usage(900, 5, 1),
        remarks=("One.", "Two."),
        first_token_s=1.0,
        total_s=4.0,
        sent=sent,
        prompt_was_cut=True,
    )
    second = Completed(
        FinishReason.LENGTH,
        "tiny",
        usage=Usage(2000, 20, 3),
        remarks=("Two.", "Three."),
        first_token_s=2.0,
        total_s=6.0,
        sent=(),
    )
    done = await Read(chat, [TextDelta("Once upon a"), first], [TextDelta(" time"), second]).done()
    estimator = chat.parts.estimator
    added = (ChatTurn(Role.ASSISTANT, "Once upon a"), ChatTurn(Role.USER, GO_ON))
    assert done.usage == Usage(
        2000 - estimator.estimate_turns(added, "tiny"),
        20 + estimator.estimate("Once upon a", "tiny"),
        3,
    )
    assert done.remarks == ("One.", "Two.", "Three.")
    assert (done.first_token_s, done.total_s) == (1.0, 10.0)
    assert (done.sent, done.prompt_was_cut, done.reason) == (sent, True, FinishReason.LENGTH)


async def test_a_rest_that_counts_less_than_was_added_has_a_prompt_of_nothing(chat: Chat) -> None:
    second = Completed(FinishReason.STOP, "tiny", usage=Usage(2, 1))
    done = await Read(chat, [TextDelta("Once upon a"), BROKEN], [TextDelta(" time"), second]).done()
    assert done.usage is not None
    assert done.usage.prompt_tokens == 0
    assert (done.total_s, done.prompt_was_cut) == (None, False)


async def test_a_rest_that_begins_again_is_compared_from_its_start(chat: Chat) -> None:
    rest: list[Step] = [TextDelta(" and then"), Restarted(), TextDelta(" a time."), DONE]
    read = Read(chat, [TextDelta("Once upon"), BROKEN], rest)
    await read.done()
    assert len(chat.backend.requests) == 2
    assert read.text.endswith(" a time.")


async def test_a_whole_answer_that_comes_for_the_rest_takes_its_place(chat: Chat) -> None:
    whole = "The capital of Italy is Rome, which lies on the Tiber."
    rest: list[Step] = [TextDelta(whole[:30]), TextDelta(whole[30:]), DONE]
    read = Read(chat, [TextDelta("The capital of Italy is Pa"), BROKEN], rest)
    await read.done()
    assert read.text == whole


async def test_an_answer_that_broke_off_before_a_word_is_asked_for_anew(chat: Chat) -> None:
    read = Read(chat, [TextDelta(reasoning="Hm."), BROKEN], [TextDelta("Once."), DONE])
    done = await read.done()
    first, second = chat.backend.requests
    assert second.turns == first.turns
    assert second.limit_s == chat.parts.settings.lmstudio.total_timeout_s
    assert (read.text, read.reading.is_joined) == ("Once.", False)
    assert done.reason is FinishReason.STOP


async def test_a_thought_that_broke_off_is_asked_for_anew(chat: Chat) -> None:
    script: list[Step] = [TextDelta("Once.<think>Hm"), BROKEN]
    read = Read(chat, script, [TextDelta("Once upon a time."), DONE])
    await read.done()
    first, second = chat.backend.requests
    assert second.turns == first.turns
    assert read.text == "Once upon a time."
    assert not read.reading.is_joined


async def test_what_was_there_stays_where_the_rest_fails_or_is_worse(chat: Chat) -> None:
    read = Read(chat, [TextDelta("Once upon"), BROKEN], [BackendUnavailableError("away")])
    done = await read.done()
    assert (read.text, done.reason) == ("Once upon", FinishReason.INTERRUPTED)
    assert done.may_go_on, "asking for it later may help"
    read = Read(chat, [TextDelta("Once.<think>Hm"), BROKEN], [TextDelta(reasoning="Hm"), BROKEN])
    await read.done()
    assert read.text == "Once."
    assert read.reading.pipeline.verdict is Verdict.ANSWER


async def test_a_failure_before_anything_came_is_the_questions(chat: Chat) -> None:
    with pytest.raises(BackendError):
        await Read(chat, [BackendUnavailableError("away")]).done()


@pytest.mark.parametrize(("left_s", "requests"), [(LEAST_REST_S, 2), (LEAST_REST_S - 0.1, 1)])
@pytest.mark.parametrize("script", [[TextDelta("Once"), BROKEN], [TextDelta(reasoning="H"), DONE]])
async def test_without_time_for_it_nothing_is_asked_again(
    chat: Chat, clock: FakeClock, script: list[Step], left_s: float, requests: int
) -> None:
    read = Read(chat, script)
    await clock.advance(chat.parts.settings.lmstudio.total_timeout_s - left_s)
    await read.done()
    assert len(chat.backend.requests) == requests
    assert len(read.stages) == requests - 1


async def test_an_answer_of_thinking_only_is_asked_for_without_any(
    chat: Chat, clock: FakeClock
) -> None:
    used_up = Completed(FinishReason.LENGTH, "tiny", context_tokens=4096)
    read = Read(chat, [TextDelta(reasoning="Hm."), used_up], [TextDelta("Once."), DONE])
    await clock.advance(10)
    await read.done()
    second = chat.backend.requests[1]
    assert (second.reasoning, second.sampling.max_tokens) == (Reasoning.OFF, 800)
    assert second.limit_s == chat.parts.settings.lmstudio.total_timeout_s - 10
    assert read.stages == [StageKind.RETRYING]
    assert read.record().retries == (ONLY_THINKING,)
    assert read.text == "Once."


async def test_thinking_that_ended_by_itself_gets_no_more_tokens(chat: Chat) -> None:
    await Read(chat, [TextDelta(reasoning="Hm."), DONE], [TextDelta("Once."), DONE]).done()
    assert [r.sampling.max_tokens for r in chat.backend.requests] == [400, 400]


async def test_an_answer_that_the_bot_ends_tells_what_is_known(
    chat: Chat, clock: FakeClock
) -> None:
    held = asyncio.Event()
    script: list[Step] = [held, *[TextDelta("The same again and again. ")] * 400, BROKEN]
    read = Read(chat, script)
    reading = asyncio.create_task(read.done())
    await clock.advance(7)
    held.set()
    done = await reading
    assert read.reading.pipeline.verdict is Verdict.REPEATED
    assert (done.reason, done.may_go_on) == (FinishReason.INTERRUPTED, False)
    assert (done.model, done.context_tokens) == ("tiny", 8192)
    assert (done.first_token_s, done.total_s) == (7.0, 7.0)
    assert len(chat.backend.requests) == chat.backend.closed == 1


async def test_a_model_known_to_leave_out_the_opening_tag_is_read_so(chat: Chat) -> None:
    for number in range(3):
        learned = Read(chat, [TextDelta(f"Hm {number}.</think>Once."), DONE])
        await learned.done()
        chat.parts.memory.learn("tiny", learned.reading.pipeline, question(1).counts_for)
    assert chat.parts.memory.expects_missing_opening("tiny", question(1).counts_for)
    read = Read(chat, [TextDelta("Where was I?"), TextDelta(" Well.</think>Once."), DONE])
    await read.done()
    assert read.is_seen == [False, True]
    assert (read.text, read.reading.pipeline.thinking) == ("Once.", "Where was I? Well.")


async def test_an_invented_continuation_and_a_name_in_front_are_no_part_of_an_answer(
    chat: Chat,
) -> None:
    header = frames.header("Ada", "")
    read = Read(chat, [TextDelta(f"Claw: Once.\n{header}And then?"), DONE])
    await read.done()
    assert read.text == "Once."
    assert read.reading.pipeline.verdict is Verdict.CONTINUED


async def test_thinking_without_an_opening_tag_is_no_part_of_what_is_gone_on_with(
    chat: Chat,
) -> None:
    script: list[Step] = [TextDelta("Hm.</think>Once upon"), BROKEN]
    read = Read(chat, script, [TextDelta("So on.</think> a time."), DONE])
    await read.done()
    assert chat.backend.requests[1].turns[-2].text == "Once upon"
    assert read.text == "Once upon a time."


@pytest.mark.parametrize("times_s", [(4.0, None), (None, 6.0)])
async def test_a_time_that_one_part_does_not_tell_is_told_by_neither(
    chat: Chat, times_s: tuple[float | None, float | None]
) -> None:
    first, second = replace(BROKEN, total_s=times_s[0]), replace(DONE, total_s=times_s[1])
    done = await Read(chat, [TextDelta("Once upon a"), first], [TextDelta(" time"), second]).done()
    assert done.total_s is None
