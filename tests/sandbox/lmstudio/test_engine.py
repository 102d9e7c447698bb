"""The machine: queue, slots, prefix cache, pool, loading, leaving."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sandbox.lmstudio import Answer, LMStudioSandbox, Model, Options, Timing, tokenize
from tests.sandbox.lmstudio.client import KEY, ask, call

LONG = "The quick brown fox jumps over the lazy dog. " * 40
FAST = Timing(load_s=0.05, prefill_tokens_s=50_000, generation_tokens_s=2_000)


def turns(*texts: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return ask() | {
        "messages": [{"role": "system", "content": LONG}]
        + [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    }


async def test_an_appended_conversation_is_read_from_where_it_ended() -> None:
    async with LMStudioSandbox() as lm:
        lm.answer("Sure, here is one.")
        await call(lm, body=turns("Tell me a story"))
        await call(lm, body=turns("Tell me a story", "Sure, here is one.", "Another"))
    first, second = lm.completions
    assert first.reread_tokens == first.prompt_tokens
    assert second.slot == first.slot
    assert second.reread_tokens < 15


async def test_a_changed_beginning_is_read_whole() -> None:
    async with LMStudioSandbox() as lm:
        await call(lm, body=ask("at 10:01 " + LONG))
        await call(lm, body=ask("It is 10:02 " + LONG))
    second = lm.completions[1]
    assert second.reread_tokens >= second.prompt_tokens - 10


async def test_unlike_conversations_take_the_least_recently_used_slot() -> None:
    async with LMStudioSandbox([Model(KEY, parallel=2)]) as lm:
        for text in ("a b c " * 99, "d e f " * 99, "g h i " * 99, "d e f " * 99):
            await call(lm, body=ask(text))
    assert [one.slot for one in lm.completions] == [0, 1, 0, 1]
    assert lm.completions[3].reread_tokens == 1


async def test_a_hybrid_model_cannot_roll_back() -> None:
    async with LMStudioSandbox([Model(KEY, hybrid=True)]) as lm:
        lm.answer("Yes.")
        await call(lm, body=turns("one"))
        await call(lm, body=turns("one", "Yes.", "two"))
        await call(lm, body=turns("one", "No.", "two"))
    appended, edited = lm.completions[1:]
    assert appended.reread_tokens < 15
    assert edited.reread_tokens == edited.prompt_tokens


async def test_unloading_forgets_the_caches_and_ends_what_runs() -> None:
    async with LMStudioSandbox(timing=FAST) as lm:
        lm.answer(Answer(tokens=30_000))
        running = asyncio.create_task(call(lm, body=ask(stream=True)))
        await lm.wait_until(lambda: lm.completions and lm.completions[0].tokens_sent)
        lm.unload(KEY)
        reply = await running
        assert b"Model is unloaded." in reply.raw
        lm.answer("back")
        again = await call(lm, body=ask())
    assert again.status == 200
    assert lm.options.counters.loads == 1
    assert lm.completions[1].reread_tokens == lm.completions[1].prompt_tokens


async def test_requests_beyond_the_slots_wait_in_order() -> None:
    async with LMStudioSandbox([Model(KEY, parallel=1)], FAST) as lm:
        lm.answer(Answer(tokens=20))
        await asyncio.gather(*(call(lm, body=ask(f"question {n}")) for n in range(4)))
        begun = [one.started_at or 0.0 for one in lm.completions]
    assert begun == sorted(begun)
    assert lm.options.counters.peak_active == 1


async def test_two_that_fit_alone_but_not_together_both_die() -> None:
    async with LMStudioSandbox([Model(KEY, context_tokens=600, parallel=2)]) as lm:
        lm.answer(Answer(tokens=400, pause_after=10))
        both = asyncio.gather(*(call(lm, body=ask(f"{n} " + "word " * 150)) for n in range(2)))
        await lm.wait_until(lambda: [one.tokens_sent for one in lm.completions] == [10, 10])
        lm.resume()
        replies = await both
        lm.answer(Answer(tokens=400))
        alone = await call(lm, body=ask("word " * 150))
    assert [one.status for one in replies] == [400, 400]
    assert all(b"Context size has been exceeded." in one.raw for one in replies)
    assert alone.status == 200


async def test_idle_caches_make_room_for_a_long_prompt() -> None:
    async with LMStudioSandbox([Model(KEY, context_tokens=600, parallel=2)]) as lm:
        lm.answer("ok")
        first = await call(lm, body=ask("a " * 350))
        second = await call(lm, body=ask("b " * 350))
    assert first.status == second.status == 200


async def test_a_full_context_ends_with_length() -> None:
    async with LMStudioSandbox([Model(KEY, context_tokens=100)]) as lm:
        lm.answer(Answer(tokens=500))
        reply = await call(lm, body=ask())
    assert reply.json["choices"][0]["finish_reason"] == "length"
    assert reply.json["usage"]["total_tokens"] == 100


@pytest.mark.parametrize(
    ("overflow", "text"),
    [
        ("keep_first", "Trying to keep the first"),
        ("n_keep", "n_keep: "),
        ("uncounted", "greater than the context length. Try"),
        ("engine", "exceed_context_size_error"),
    ],
)
async def test_a_prompt_beyond_the_context_is_refused(overflow: Any, text: str) -> None:
    async with LMStudioSandbox(
        [Model(KEY, context_tokens=100)], options=Options(overflow=overflow)
    ) as lm:
        reply = await call(lm, body=ask(LONG))
    assert reply.status == 400
    assert text in reply.raw.decode()


async def test_before_0_4_a_stream_overflows_after_its_200() -> None:
    options = Options(overflow="n_keep", stream_overflow_200=True)
    async with LMStudioSandbox([Model(KEY, context_tokens=100)], options=options) as lm:
        reply = await call(lm, body=ask(LONG, stream=True))
    assert reply.status == 200
    assert "n_keep: " in reply.events[0]["error"]["message"]


async def test_the_middle_is_dropped_silently_where_the_policy_says_so() -> None:
    options = Options(overflow="truncate_middle")
    async with LMStudioSandbox([Model(KEY, context_tokens=600)], options=options) as lm:
        texts = [f"turn {n} " + "word " * 80 for n in range(9)]
        reply = await call(lm, body=ask() | {"messages": turns(*texts)["messages"][1:]})
    assert reply.status == 200
    assert reply.json["usage"]["prompt_tokens"] < 300


async def test_a_client_that_leaves_stops_the_generation() -> None:
    async with LMStudioSandbox([Model(KEY, parallel=1)], FAST) as lm:
        lm.answer(Answer(tokens=30_000))
        leaving = asyncio.create_task(call(lm, body=ask(stream=True)))
        await lm.wait_until(lambda: lm.completions and lm.completions[0].tokens_sent)
        leaving.cancel()
        await lm.wait_until(lambda: lm.completions[0].cancelled_at)
        lm.answer("next")
        assert (await call(lm, body=ask())).status == 200
    assert lm.completions[0].finished is False


async def test_one_that_waits_and_leaves_takes_no_slot() -> None:
    async with LMStudioSandbox([Model(KEY, parallel=1)], FAST) as lm:
        lm.answer(Answer(tokens=30_000))
        first = asyncio.create_task(call(lm, body=ask("a", stream=True)))
        await lm.wait_until(lambda: lm.completions and lm.completions[0].tokens_sent)
        second = asyncio.create_task(call(lm, body=ask("b", stream=True)))
        await lm.wait_until(lambda: len(lm.completions) == 2 and lm.completions[1].prompt_tokens)
        second.cancel()
        await lm.wait_until(lambda: lm.completions[1].cancelled_at)
        first.cancel()
    assert lm.completions[1].slot is None


async def test_a_cold_model_is_loaded_once_for_many() -> None:
    async with LMStudioSandbox([Model(KEY, loaded=False)], FAST) as lm:
        replies = await asyncio.gather(*(call(lm, body=ask(f"{n}")) for n in range(5)))
        listed = (await call(lm, "/api/v1/models")).json["models"][0]
    assert {one.status for one in replies} == {200}
    assert lm.options.counters.loads == 1
    assert len(listed["loaded_instances"]) == 1


async def test_a_race_of_cold_requests_loads_twins_when_asked_to() -> None:
    options = Options(jit_race=True, only_last_jit=False)
    async with LMStudioSandbox([Model(KEY, loaded=False)], FAST, options=options) as lm:
        await asyncio.gather(*(call(lm, body=ask(f"{n}")) for n in range(2)))
        listed = (await call(lm, "/api/v1/models")).json["models"][0]
    assert [one["id"] for one in listed["loaded_instances"]] == [KEY, f"{KEY}:2"]


async def test_loading_another_just_in_time_evicts_the_first() -> None:
    models = [Model("a/one", loaded=False), Model("b/two", loaded=False)]
    async with LMStudioSandbox(models) as lm:
        await call(lm, body=ask() | {"model": "a/one"})
        await call(lm, body=ask() | {"model": "b/two"})
        assert list(lm.engine.instances) == ["b/two"]


async def test_a_model_loaded_just_in_time_goes_when_it_has_been_idle() -> None:
    options = Options(ttl_s=0.0)
    async with LMStudioSandbox([Model(KEY, loaded=False)], FAST, options=options) as lm:
        await call(lm, body=ask())
        listed = (await call(lm, "/api/v0/models")).json["data"][0]
    assert listed["state"] == "not-loaded"
    assert lm.options.counters.unloads == 1


async def test_a_person_loads_a_second_instance_that_is_not_evicted() -> None:
    async with LMStudioSandbox([Model(KEY), Model("b/two", loaded=False)]) as lm:
        assert await lm.load(KEY, 2048) == f"{KEY}:2"
        await call(lm, body=ask() | {"model": "b/two"})
        second = await call(lm, body=ask() | {"model": f"{KEY}:2"})
    assert second.json["model"] == f"{KEY}:2"


async def test_stopping_forgets_the_caches_and_ends_every_wait() -> None:
    async with LMStudioSandbox([Model(KEY, parallel=1)], FAST) as lm:
        lm.answer(Answer(tokens=30_000))
        waiting = [asyncio.create_task(call(lm, body=ask(f"{n}", stream=True))) for n in range(3)]
        await lm.wait_until(lambda: lm.completions and lm.completions[0].tokens_sent)
        await lm.stop()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        await lm.start()
        lm.answer("back")
        again = await call(lm, body=ask("0"))
    assert all(isinstance(one, Exception) for one in ended)
    assert again.status == 200
    assert lm.completions[-1].reread_tokens == lm.completions[-1].prompt_tokens


async def test_a_prompt_being_read_and_others_being_written_slow_a_request_down() -> None:
    timing = Timing(
        prefill_tokens_s=50_000, generation_tokens_s=2_000, decode_slowdown=1.0, prefill_drag=1.0
    )
    async with LMStudioSandbox([Model(KEY, parallel=2)], timing) as lm:
        lm.answer(Answer(tokens=20))
        replies = await asyncio.gather(*(call(lm, body=ask(f"{n} {LONG}")) for n in range(2)))
    assert [one.status for one in replies] == [200, 200]


async def test_a_client_that_leaves_in_a_long_prompt_is_noticed_after_the_batch() -> None:
    timing = Timing(prefill_tokens_s=400, batch_tokens=16, generation_tokens_s=5_000)
    async with LMStudioSandbox([Model(KEY, parallel=1)], timing) as lm:
        leaving = asyncio.create_task(call(lm, body=ask(LONG)))
        await lm.wait_until(lambda: lm.completions and lm.completions[0].started_at)
        leaving.cancel()
        await lm.wait_until(lambda: lm.completions[0].cancelled_at)
        assert (await call(lm, body=ask("next"))).status == 200
    assert lm.completions[0].tokens_sent == 0


async def test_an_answer_can_pause_until_it_is_told_to_go_on() -> None:
    async with LMStudioSandbox() as lm:
        lm.script(Answer("one two three", pause_after=2), Answer("four", pause_after=0))
        first = asyncio.create_task(call(lm, body=ask(stream=True)))
        await lm.wait_until(lambda: lm.completions and lm.completions[0].tokens_sent == 2)
        second = asyncio.create_task(call(lm, body=ask(stream=True)))
        await lm.wait_until(lambda: lm.completions[1:] and lm.completions[1].slot is not None)
        assert not first.done()
        assert lm.completions[1].first_token_at is None
        lm.resume()
        assert (await first).text == "one two three"
        assert (await second).text == "four"


async def test_a_paused_answer_ends_when_its_client_leaves() -> None:
    async with LMStudioSandbox([Model(KEY, parallel=1)]) as lm:
        lm.script(Answer("one two three", pause_after=1))
        leaving = asyncio.create_task(call(lm, body=ask(stream=True)))
        await lm.wait_until(lambda: lm.completions and lm.completions[0].tokens_sent == 1)
        leaving.cancel()
        await lm.wait_until(lambda: lm.completions[0].cancelled_at)
        assert (await call(lm, body=ask("next"))).status == 200


async def test_without_jit_a_cold_model_is_no_model() -> None:
    async with LMStudioSandbox([Model(KEY, loaded=False)], options=Options(jit=False)) as lm:
        reply = await call(lm, body=ask())
        assert (await call(lm, "/v1/models")).json["data"] == []
    assert reply.json["error"]["message"].startswith("No models loaded.")


def test_tokens_join_to_the_text_and_cost_what_is_documented() -> None:
    text = "Wörter, 12345 — 巴黎 <|im_end|>\n\n\tdef f(x): return x**2  # 👋"
    assert "".join(tokenize(text)) == text
    assert len(tokenize("巴黎是法国")) == 5
    assert 3.0 <= len(LONG) / len(tokenize(LONG)) <= 5.0
