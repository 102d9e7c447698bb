"""How models write thinking and answer into one text, family by family.

``FAMILIES`` renders (thinking, answer) as the family's template makes the model emit it. Sources:
the models' chat templates and model cards, llama.cpp's and vLLM's reasoning parsers, Open WebUI's
tag list, and reports on lmstudio-bug-tracker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Render = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Tags:
    """A family that is a pair of tags around the thinking, and maybe one around the answer.

    Attributes:
        opening: Before the thinking; the template may have put it into the prompt already.
        closing: After it.
        answer_opening: Before the answer.
        answer_closing: After it.
        prefilled: The opening often stands in the prompt, so that only the closing is seen.
    """

    opening: str
    closing: str
    answer_opening: str = ""
    answer_closing: str = ""
    prefilled: bool = False

    def __call__(self, thinking: str, answer: str) -> str:
        """Return the text as emitted; without thinking only the answer part."""
        block = f"{self.opening}{thinking}{self.closing}" if thinking else ""
        return f"{block}{self.answer_opening}{answer}{self.answer_closing}"


def _gpt_oss(thinking: str, answer: str) -> str:
    block = f"<|channel|>analysis<|message|>{thinking}<|end|><|start|>assistant" if thinking else ""
    return f"{block}<|channel|>final<|message|>{answer}<|return|>"


def _gpt_oss_started(thinking: str, answer: str) -> str:
    return f"<|start|>assistant{_gpt_oss(thinking, answer)}"


def _gpt_oss_unparsed(thinking: str, answer: str) -> str:
    return f"<|channel|>analysis<|message|>{thinking}<|end|>{answer}" if thinking else answer


def _gpt_oss_commentary(thinking: str, answer: str) -> str:
    return (
        f"<|channel|>analysis<|message|>{thinking}<|end|>"
        "<|start|>assistant<|channel|>commentary<|message|>I will say it now.<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{answer}<|return|>"
    )


def _gpt_oss_stripped(thinking: str, answer: str) -> str:
    return f"analysis{thinking}assistantfinal{answer}" if thinking else answer


def _muse(thinking: str, answer: str) -> str:
    block = f"<|start|>assistant to=self<|message|>{thinking}<|eom|>" if thinking else ""
    return f"{block}<|start|>assistant<|message|>{answer}<|eot|>"


TAG_FAMILIES: dict[str, Tags] = {
    "deepseek_r1": Tags("<think>\n", "\n</think>\n\n", prefilled=True),
    "qwq": Tags("<think>\n", "\n</think>\n\n", prefilled=True),
    "qwen3_thinking": Tags("<think>\n", "\n</think>\n\n", prefilled=True),
    "qwen3_hybrid": Tags("<think>\n", "\n</think>\n\n"),
    "qwen35": Tags("<think>\n", "\n</think>\n\n", prefilled=True),
    "nemotron": Tags("<think>\n", "\n</think>\n", prefilled=True),
    "glm45": Tags("\n<think>", "</think>\n"),
    "glm_v": Tags("<think>", "</think>", "<|begin_of_box|>", "<|end_of_box|>"),
    "kimi_k2": Tags("<think>", "</think>"),
    "kimi_vl": Tags("◁think▷", "◁/think▷"),
    "magistral": Tags("[THINK]", "[/THINK]"),
    "granite32": Tags("Here is my thought process:\n", "\n\nHere is my response:\n"),
    "granite32_short": Tags("Here's my thought process:\n", "\n\nHere's my response:\n"),
    "granite33": Tags("<think>", "</think>", "<response>", "</response>"),
    "seed_oss": Tags("<seed:think>\n", "\n</seed:think>\n", "", "<seed:eos>"),
    "exaone_deep": Tags("<thought>\n", "\n</thought>\n\n", prefilled=True),
    "exaone4": Tags("<think>\n", "\n</think>\n\n", prefilled=True),
    "hunyuan_a13b": Tags("<think>\n", "\n</think>\n", "<answer>\n", "\n</answer>"),
    "ernie45": Tags("<think>\n", "\n</think>\n\n", "<response>\n", "\n</response>\n", True),
    "minimax_m2": Tags("<think>\n", "\n</think>\n\n", prefilled=True),
    "minimax_mm": Tags("<mm:think>\n", "\n</mm:think>\n\n"),
    "apriel": Tags(
        "Here are my reasoning steps:\n",
        "\n",
        "[BEGIN FINAL RESPONSE]\n",
        "\n[END FINAL RESPONSE]\n<|end|>",
    ),
    "gemma4": Tags("<|channel>thought\n", "<channel|>", "", "<turn|>"),
    "gemma4_think": Tags("<|think|>\n", "<channel|>"),
    "medgemma": Tags("<unused94>thought\n", "<unused95>"),
    "pangu": Tags("[unused16]", "[unused17]", "", "[unused10]"),
    "solar": Tags("<|think|>", "<|end|>", "<|begin|>assistant<|content|>", "<|end|>"),
    "solar_started": Tags(
        "<|begin|>assistant<|think|>", "<|end|>", "<|begin|>assistant<|content|>", "<|end|>"
    ),
    "phi4_reasoning": Tags("<think>\n", "\n</think>\n\n"),
    "cogito": Tags("<think>\n", "\n</think>\n\n", prefilled=True),
    "command_a": Tags(
        "<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"
    ),
    "apertus": Tags("<|inner_prefix|>", "<|inner_suffix|>"),
    "openthinker": Tags(
        "<|begin_of_thought|>\n\n",
        "\n\n<|end_of_thought|>\n\n",
        "<|begin_of_solution|>\n\n",
        "\n\n<|end_of_solution|>",
    ),
    "reka": Tags("<reasoning>\n", "\n</reasoning>\n", "", " <sep>"),
    "reflection": Tags("<thinking>\n", "\n</thinking>\n\n", "<output>\n", "\n</output>"),
    "thinking": Tags("<thinking>\n", "\n</thinking>\n\n"),
    "reason": Tags("<reason>\n", "\n</reason>\n\n"),
    "reasoning": Tags("<reasoning>\n", "\n</reasoning>\n\n"),
    "thought": Tags("<thought>\n", "\n</thought>\n\n"),
    "thought_capital": Tags("<Thought>\n", "\n</Thought>\n\n"),
    "reflection_tag": Tags("<reflection>\n", "\n</reflection>\n\n"),
    "inner_monologue": Tags("<inner_monologue>\n", "\n</inner_monologue>\n\n"),
    "brainstorm": Tags("<brainstorm>\n", "\n</brainstorm>\n\n"),
    "justification": Tags("<justification>\n", "\n</justification>\n\n"),
    "ant_thinking": Tags("<antThinking>", "</antThinking>\n"),
    "ant_thinking_snake": Tags("<ant_thinking>", "</ant_thinking>\n"),
    "chain_of_thought": Tags("<chain_of_thought>\n", "\n</chain_of_thought>\n"),
    "bracket_think": Tags("[think]\n", "\n[/think]\n\n"),
    "escaped_html": Tags("&lt;think&gt;\n", "\n&lt;/think&gt;\n\n"),
    "escaped_markdown": Tags("\\<think\\>\n", "\n\\</think\\>\n\n"),
    "open_webui": Tags(
        '<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n',
        "\n</details>\n",
    ),
    "hyperclova": Tags("/think\n", "<|im_end|>\n<|im_start|>assistant\n", "", "<|im_end|>"),
    "pipe_thinking": Tags("<|thinking|>\n", "\n<|/thinking|>\n\n"),
    "bracket_reasoning": Tags("[REASONING]\n", "\n[/REASONING]\n\n"),
    "pipe_thought": Tags("<|thought|>\n", "\n<|/thought|>\n\n"),
    "pipe_think_start": Tags("<|think_start|>\n", "\n<|think_end|>\n\n"),
    "longcat": Tags("<longcat_think>\n", "\n</longcat_think>\n"),
    "thinking_process": Tags("<thinking_process>\n", "\n</thinking_process>\n\n"),
    "scratchpad": Tags("<scratchpad>\n", "\n</scratchpad>\n\n"),
    "plan": Tags("<plan>\n", "\n</plan>\n\n"),
}

FAMILIES: dict[str, Render] = {
    **TAG_FAMILIES,
    "think": TAG_FAMILIES["qwen3_hybrid"],
    "gpt_oss": _gpt_oss,
    "gpt_oss_started": _gpt_oss_started,
    "gpt_oss_unparsed": _gpt_oss_unparsed,
    "gpt_oss_commentary": _gpt_oss_commentary,
    "gpt_oss_stripped": _gpt_oss_stripped,
    "muse": _muse,
    **{
        f"{name}_open_missing": Tags(
            "", tags.closing, tags.answer_opening, tags.answer_closing, prefilled=True
        )
        for name, tags in TAG_FAMILIES.items()
        if tags.prefilled
    },
}
"""Family name to its renderer; ``…_open_missing`` where the template has written the opening."""


@dataclass(frozen=True, slots=True)
class MarkupCase:
    """A text as a model emits it, and what a reader must see of it.

    Whitespace at both ends of ``answer`` doesn't matter.

    Attributes:
        name: Unique.
        raw: The ``content``, whole.
        thinking: Must never be shown; empty where there is none.
        answer: What is to be shown; empty where nothing is.
        opening_may_be_missing: The text starts inside the thinking, without any tag.
        names: Participants whose invented lines end the answer.
        bot_name: The bot's own name, which may stand before the answer.
    """

    name: str
    raw: str
    thinking: str
    answer: str
    opening_may_be_missing: bool = False
    names: tuple[str, ...] = ()
    bot_name: str = ""
