"""Adversarial texts, and every public function that reads text from people, models or settings."""

from __future__ import annotations

from collections.abc import Callable

SIGNS = ("(", ")", "[", "]", "`", "<", ">", "*", "_", "|", "~", " ", "\n", "1", "a", ":", "/", "-")
UNITS = (
    *SIGNS,
    *(
        "\t",
        "#",
        "@",
        ".",
        "$",
        "!",
        "%",
        "\\",
        "．",
        "ａ",
        "\u0301",
        "\u200d",
        "😀",
        "🇩",
        "Ġ",
        "◁",
        "中",
    ),
    *(
        "://",
        "](",
        "![",
        "```",
        "-# ",
        "> ",
        "\\(",
        "$$",
        "||",
        "**",
        "\r\n",
        "`\n",
        "|\n",
        "|-",
        "- ",
    ),
    *(
        "<@1> ",
        "<@1>,",
        "<|",
        "<｜",
        "<think>",
        "[a](",
        "[a][",
        "[a]: ",
        "https://a(",
        "discord.gg/",
    ),
    *(
        "<a:",
        "</a ",
        "<img ",
        "@everyon",
        "%25",
        "dis\\cord.",
        "MTIz.",
        "a.a.",
        "Max: ",
        "<tool_call>",
    ),
    *(
        "```a\n",
        "| a ",
        "#### a\n",
        "\\[x",
        "x^",
        "**`a",
        "\x1b[",
        "<!--",
        "data: {",
        "n_ctx: ",
        "\\\\",
    ),
)
PAIRS = tuple(a + b for a in SIGNS for b in SIGNS if a != b)
SHAPES: dict[str, Callable[[int], str]] = {
    "[a](x + (aaaaaaaa": lambda size: ("[a](x" + "(aaaaaaaa" * (size // 9))[: size - 1] + "\n",
    "[a](x, 9 a line": lambda size: (("[a](x" + "(aaaaaaaa" * 9 + "\n") * (size // 87 + 1))[:size],
    "< and blank lines": lambda size: "<" + "\n" * (size - 1),
    "< and blanks, then a": lambda size: "<" + " " * (size - 2) + "a",
    "nested brackets": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "nested parentheses": lambda size: "[a](" + "(" * (size // 2) + ")" * (size // 2),
    "one fence": lambda size: "```md\n" + "[a](https://b.example) " * (size // 23),
    "one quoted fence": lambda size: "> ```md\n" + "[a](https://b.example)\n" * (size // 23),
    "one table": lambda size: "| a | b |\n|---|---|\n" + "| [a](x | `b` |\n" * (size // 16),
    "one wide row": lambda size: "| " + "a | " * (size // 4) + "\n|" + "---|" * (size // 4),
    "one address": lambda size: "https://" + "a" * (size - 8),
    "blanks": lambda size: " " * size,
    "line breaks": lambda size: "\n" * size,
    "one word": lambda size: "Aa0_" * (size // 4),
    "one run of backticks": lambda size: "`" * size,
    "a tag nobody knows": lambda size: ("<ponder>" + "a</ponder" * (size // 9 + 1))[:size],
    "a label and answers": lambda size: (
        "Thinking: the user asks.\n" + "\n**Answer*" * (size // 10 + 1)
    )[:size],
    "starts of a token": lambda size: "MTIz." * (size // 5),
}


def adversarial(size: int, *, with_pairs: bool = False, with_units: bool = True) -> dict[str, str]:
    """Return the texts by name, each of ``size`` characters."""
    units = (*UNITS, *PAIRS) if with_pairs else UNITS if with_units else ()
    found = {repr(unit)[1:-1]: (unit * (size // len(unit) + 1))[:size] for unit in units}
    return found | {name: shape(size) for name, shape in SHAPES.items()}


def functions() -> dict[str, Callable[[str], object]]:
    """Return the functions by name; what they need besides the text is of usual size.

    Imported here, so that the modules can be loaded in a form that counts.
    """
    return {
        **_reply_functions(),
        **_seam_functions(),
        **_prompt_functions(),
        **_wire_functions(),
        **_address_functions(),
        **_people_functions(),
    }


def _reply_functions() -> dict[str, Callable[[str], object]]:
    from bot.core.domain import FinishReason, TextDelta  # noqa: PLC0415 - see functions()
    from bot.core.fences import fence_end, open_fence  # noqa: PLC0415
    from bot.core.notices import join_chunks, without, without_known  # noqa: PLC0415
    from bot.delivery.delivery import plan_chunks, quiet_lines  # noqa: PLC0415
    from bot.delivery.splitter import split, streaming_cut  # noqa: PLC0415
    from bot.output.pipeline import ReplyPipeline, repeats_itself  # noqa: PLC0415
    from bot.output.sanitise.policy import OutputPolicy  # noqa: PLC0415
    from bot.output.sanitise.sanitiser import SecretGuard, make_harmless  # noqa: PLC0415

    guard = SecretGuard(["sk-lm-a1b2c3d4:Zx9Yw8Vu7Ts6Rq5Po4Nm", "192.168.178.50"])
    policy = OutputPolicy(max_chars=1_000_000, max_thinking_chars=1_000_000)

    def answer(text: str, step: int) -> None:
        reply = ReplyPipeline(
            policy=policy, secrets=guard, participants=("Max", "小明"), bot_names=("Clawbot",)
        )
        for start in range(0, len(text), step):
            reply.feed(TextDelta(text[start : start + step]))
            _ = reply.has_text
        reply.close(FinishReason.STOP)
        _ = reply.text, reply.thinking

    def thought(text: str) -> None:
        reply = ReplyPipeline(policy=policy, secrets=guard)
        for start in range(0, len(text), 8):
            reply.feed(TextDelta(reasoning=text[start : start + 8]))
        reply.close(FinishReason.STOP)
        _ = reply.thinking

    return {
        "make_harmless": lambda text: make_harmless(text, policy=policy, secrets=guard),
        "ReplyPipeline, at once": lambda text: answer(text, len(text)),
        "ReplyPipeline, by 3 characters": lambda text: answer(text, 3),
        "ReplyPipeline, thinking": thought,
        "split": split,
        "streaming_cut": streaming_cut,
        "plan_chunks": lambda text: plan_chunks(text, [text[:300]], max_messages=8),
        "quiet_lines": lambda text: quiet_lines([text]),
        "without_known": without_known,
        "notices.without": lambda text: without(text, text[:200]),
        "open_fence": open_fence,
        "fence_end": fence_end,
        "join_chunks": lambda text: join_chunks(
            [text[i : i + 2000] for i in range(0, len(text), 2000)]
        ),
        "repeats_itself": repeats_itself,
    }


def _seam_functions() -> dict[str, Callable[[str], object]]:
    from bot.chat.seam import Seam  # noqa: PLC0415 - see functions()
    from bot.core.domain import TextDelta  # noqa: PLC0415

    def gone_on(text: str) -> None:
        seam = Seam("So it", ("Clawbot",), expect_missing_opening=False)
        for start in range(0, len(text), 8):
            seam.take(TextDelta(text[start : start + 8]))
        seam.finish()

    return {"Seam": gone_on}


def _prompt_functions() -> dict[str, Callable[[str], object]]:
    from bot.core.domain import UserId  # noqa: PLC0415
    from bot.prompt import cleaning, cut, render, tokens  # noqa: PLC0415 - see functions()

    me = UserId(1)
    return {
        "neutralise": cleaning.neutralise,
        "clean_text": cleaning.clean_text,
        "safe_name": cleaning.safe_name.__wrapped__,
        "readable": lambda text: cleaning.readable(text, {}, bot_id=me, bot_name="Clawbot"),
        "without_mention": lambda text: cleaning.without_mention(text, me),
        "render.fill": lambda text: render.fill(text, bot="Clawbot"),
        "skeleton": cleaning.skeleton.__wrapped__,
        "render.fit": lambda text: render.fit(text, 200),
        "tokens.features": tokens.features,
        "static_tokens": tokens.static_tokens,
        "message_tokens": tokens.message_tokens.__wrapped__,
        "static_tokens_within": lambda text: tokens.static_tokens_within(text, len(text)),
        "longest_within": lambda text: tokens.longest_within(text, len(text) // 8),
        "cut.kept_text": lambda text: cut.kept_text(text, len(text) // 8),
    }


def _wire_functions() -> dict[str, Callable[[str], object]]:
    from bot.lmstudio import failures  # noqa: PLC0415 - see functions()
    from bot.lmstudio.completion import CompletionDecoder, SseDecoder  # noqa: PLC0415
    from bot.ops.logs import Redactor, escape  # noqa: PLC0415

    redactor = Redactor(("sk-lm-a1b2c3d4:Zx9Yw8Vu7Ts6Rq5Po4Nm", "hunter22"))

    def decoded(text: str, decoder: SseDecoder | CompletionDecoder) -> None:
        data = text.encode("utf-8", "replace")
        for start in range(0, len(data), 64):
            decoder.feed(data[start : start + 64])
        decoder.finish()

    return {
        "failures.classify": lambda text: failures.classify(400, text),
        "failures.classify_event": lambda text: failures.classify_event({"message": text}),
        "SseDecoder": lambda text: decoded(text, SseDecoder()),
        "CompletionDecoder": lambda text: decoded(text, CompletionDecoder()),
        "Redactor.clean": redactor.clean,
        "logs.escape": escape,
    }


def _address_functions() -> dict[str, Callable[[str], object]]:
    from bot.diagnostics.report import plain  # noqa: PLC0415 - see functions()
    from bot.diagnostics.values import one_line  # noqa: PLC0415
    from bot.lmstudio import names  # noqa: PLC0415
    from bot.lmstudio.networks import may_use, read_endpoint  # noqa: PLC0415
    from bot.lmstudio.transport import parse_endpoint, plain_address  # noqa: PLC0415
    from bot.storage.setting_types import setting_type  # noqa: PLC0415
    from config import addresses  # noqa: PLC0415
    from config.names import nearest  # noqa: PLC0415

    def tried(function: Callable[[str], object]) -> Callable[[str], object]:
        def call(text: str) -> object:
            try:
                return function(text)
            except Exception as exc:
                if type(exc).__name__ == "OverrunError":
                    raise
                return exc  # whatever it refuses, it did its work

        return call

    return {
        "parse_endpoint": tried(parse_endpoint),
        "read_endpoint": tried(read_endpoint),
        "may_use": tried(lambda text: may_use(text, ("10.0.0.0/8",))),
        "plain_address": plain_address,
        "names.meant": lambda text: names.meant(text, ("qwen/qwen3-next-80b@4bit",)),
        "names.shown": names.shown,
        "values.one_line": one_line,
        "report.plain": plain,
        "nearest": tried(lambda text: nearest(text, ("LMSTUDIO_URL", "LIMITS__MAX"))),
        "lmstudio_base": tried(addresses.lmstudio_base),
        "discord_api_base": tried(addresses.discord_api_base),
        "host_port": tried(addresses.host_port),
        "proxy_address": tried(addresses.proxy_address),
        "cdn_host": tried(addresses.cdn_host),
        "database_address": tried(addresses.database_address),
        "SettingType.parse": tried(lambda text: setting_type("temperature").parse(text)),
    }


def _people_functions() -> dict[str, Callable[[str], object]]:
    from bot.chat.privacy import Export  # noqa: PLC0415
    from bot.chat.reply import model_name  # noqa: PLC0415 - see functions()
    from bot.demo.terminal.markdown import safe  # noqa: PLC0415
    from cogs._respond import shortened  # noqa: PLC0415
    from cogs._sink import thread_name  # noqa: PLC0415

    def exported(text: str) -> None:
        export = Export({"person": "1"})
        for start in range(0, len(text), 2000):
            part = text[start : start + 2000]
            export.add({"text": part, "thinking": part, "answer": [part]})
        export.close()

    return {
        "model_name": model_name.__wrapped__,
        "privacy export": exported,
        "terminal.safe": safe,
        "thread_name": thread_name,
        "shortened": shortened,
    }
