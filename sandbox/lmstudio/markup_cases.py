"""The corpus that a reasoning filter is held against: every family, every accident seen."""

from __future__ import annotations

from sandbox.lmstudio.markup import FAMILIES, TAG_FAMILIES, MarkupCase

THINKING = (
    "Okay, the user asks for the capital. SECRETSTEP one: recall. SECRETSTEP two: it is Paris."
)
ANSWER = "The capital of France is **Paris**.\n\n- It lies on the Seine.\n- `x < 3` is no tag."
LINES = "SECRETSTEP one.\n\nSECRETSTEP two, with a list:\n1. a\n2. b\n\nSECRETSTEP three."
CJK = "巴黎是法国的首都。🇫🇷"

_END_OF_TURN = (
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "</s>",
    "<eos>",
    "<end_of_turn>",
    "<|end|>",
    "<|return|>",
    "<turn|>",
    "<seed:eos>",
    "<｜end▁of▁sentence｜>",
    "<|END_OF_TURN_TOKEN|>",
    "<end_of_utterance>",
    "<|role_end|>",
    "<|assistant_end|>",
    "[|endofturn|]",
    "[unused10]",
    "<SPECIAL_12>",
)
_TURN_OPENERS = (
    "<|im_start|>user\n",
    "<|start_header_id|>user<|end_header_id|>\n\n",
    "<start_of_turn>user\n",
    "[INST] ",
    "<｜User｜>",
    "<|user|>\n",
    "<|turn>user\n",
    "<|begin|>user<|content|>",
    "<|start|>user<|message|>",
    "<|header_start|>user<|header_end|>\n\n",
    "<|start_of_role|>user<|end_of_role|>",
    "<|user_start|>",
    "<role>HUMAN</role>",
    "[|user|]",
    "[unused9]用户：",
    "<SPECIAL_11>User\n",
    "<用户>",
)
_PADDING = ("<s>", "<bos>", "<pad>", "<PAD>", "<unk>", "<|begin_of_text|>")
_TOOL_MARKUP = {
    "hermes": '<tool_call>\n{"name": "search", "arguments": {"q": "SECRETSTEP"}}\n</tool_call>',
    "qwen3_coder": "<tool_call>\n<function=search>\n<parameter=q>\nSECRETSTEP\n</parameter>\n"
    "</function>\n</tool_call>",
    "lm_studio": '[TOOL_REQUEST]{"name":"search","arguments":{"q":"SECRETSTEP"}}[END_TOOL_REQUEST]',
    "mistral": '[TOOL_CALLS][{"name": "search", "arguments": {"q": "SECRETSTEP"}}]',
    "lfm": '<|tool_call_start|>[search(q="SECRETSTEP")]<|tool_call_end|>',
    "apriel": '<tool_calls>[{"name": "search", "arguments": {"q": "SECRETSTEP"}}]</tool_calls>',
    "deepseek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>search<｜tool▁sep｜>"
    '{"q": "SECRETSTEP"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    "minimax": '<minimax:tool_call>\n<invoke name="search">\n<parameter name="q">SECRETSTEP'
    "</parameter>\n</invoke>\n</minimax:tool_call>",
    "gemma4": '<|tool_call>call:search{q:<|"|>SECRETSTEP<|"|>}<tool_call|>',
    "seed": "<seed:tool_call>\n<function=search>\n<parameter=q>SECRETSTEP</parameter>\n"
    "</function>\n</seed:tool_call>",
    "command_a": '<|START_ACTION|>[{"tool_name": "search", "parameters": {"q": "SECRETSTEP"}}]'
    "<|END_ACTION|>",
    "muse": '<atem:function_calls>\n<atem:invoke name="search">SECRETSTEP</atem:invoke>\n'
    "</atem:function_calls>",
    "gpt_oss": "<|channel|>commentary to=functions.search <|constrain|>json<|message|>"
    '{"q":"SECRETSTEP"}<|call|>',
}


def _families() -> list[MarkupCase]:
    found = []
    for name, render in FAMILIES.items():
        missing = name.endswith("_open_missing")
        for label, thinking, answer in (
            ("plain", THINKING, ANSWER),
            ("lines", LINES, ANSWER),
            ("cjk", f"SECRETSTEP {CJK}", CJK),
        ):
            raw = render(thinking, answer)
            found.append(MarkupCase(f"{name}/{label}", raw, thinking, answer, missing))
    return found


def _tag_accidents() -> list[MarkupCase]:
    found = []
    for name, tags in TAG_FAMILIES.items():
        whole = f"{tags.opening}{THINKING}{tags.closing}"
        found.append(MarkupCase(f"{name}/unclosed", f"{tags.opening}{THINKING}", THINKING, ""))
        found.append(
            MarkupCase(
                f"{name}/empty_block",
                f"{tags.opening}{tags.closing}{tags.answer_opening}{ANSWER}{tags.answer_closing}",
                "",
                ANSWER,
            )
        )
        if tags.answer_closing:
            raw = f"{whole}{tags.answer_opening}{ANSWER}"
            found.append(MarkupCase(f"{name}/answer_unclosed", raw, THINKING, ANSWER))
    for name in ("deepseek_r1", "kimi_vl", "magistral", "seed_oss", "gemma4", "thinking"):
        tags = TAG_FAMILIES[name]
        block = f"{tags.opening}{THINKING}{tags.closing}"
        found += [
            MarkupCase(f"{name}/repeated", f"{block}{block}{ANSWER}", THINKING, ANSWER),
            MarkupCase(
                f"{name}/nested",
                f"{tags.opening}{THINKING}{block}{THINKING}{tags.closing}{ANSWER}",
                THINKING,
                ANSWER,
            ),
            MarkupCase(f"{name}/leading_space", f"\n\n {block}{ANSWER}", THINKING, ANSWER),
        ]
    return found


_BODY = f"\n{THINKING}\n"
_ACCIDENTS = (
    MarkupCase("thinking/upper", f"<THINKING>{_BODY}</THINKING>\n{ANSWER}", THINKING, ANSWER),
    MarkupCase("kimi_vl/close_only", f"{_BODY}◁/think▷{CJK}", THINKING, CJK, True),
    MarkupCase(
        "gpt_oss/commentary_as_answer",
        '<|channel|>commentary<|message|>{"q":"SECRETSTEP"}<|end|>',
        "SECRETSTEP",
        "",
    ),
    MarkupCase(
        "gpt_oss/final_constrained",
        f"<|channel|>analysis<|message|>{THINKING}<|end|><|start|>assistant<|channel|>final "
        f"<|constrain|>json<|message|>{CJK}<|return|>",
        THINKING,
        CJK,
    ),
    MarkupCase(
        "gpt_oss/analysis_twice",
        f"<|channel|>analysis<|message|>{THINKING}<|end|><|start|>assistant<|channel|>analysis"
        f"<|message|>{THINKING}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
        THINKING,
        ANSWER,
    ),
    MarkupCase("think/upper", f"<THINK>{_BODY}</THINK>\n\n{ANSWER}", THINKING, ANSWER),
    MarkupCase("think/mixed_case", f"<Think>{_BODY}</think>\n\n{ANSWER}", THINKING, ANSWER),
    MarkupCase(
        "think/attributes",
        f'<think duration="4s" lang=en>{_BODY}</think>\n\n{ANSWER}',
        THINKING,
        ANSWER,
    ),
    MarkupCase("think/spaced_close", f"<think>{_BODY}</think >\n\n{ANSWER}", THINKING, ANSWER),
    MarkupCase("think/double_close", f"<think>{_BODY}</think></think>{ANSWER}", THINKING, ANSWER),
    MarkupCase("think/stray_close", f"</think>\n\n{ANSWER}", "", ANSWER),
    MarkupCase("think/empty_short", f"<think></think>{ANSWER}", "", ANSWER),
    MarkupCase("think/close_cut_at_end", f"<think>{_BODY}</thi", THINKING, ""),
    MarkupCase(
        "think/quoted_close_inside",
        f"<think>\nI must not write `<think>` SECRETSTEP.\n{THINKING}\n</think>\n\n{ANSWER}",
        THINKING,
        ANSWER,
    ),
    MarkupCase(
        "think/with_tool_call",
        f"<think>{_BODY}{_TOOL_MARKUP['hermes']}\n</think>\n\n{ANSWER}",
        THINKING,
        ANSWER,
    ),
    MarkupCase(
        "seed_oss/budget",
        "<seed:think>\n" + THINKING + "\n<seed:cot_budget_reflect>SECRETSTEP used 50 tokens."
        f"</seed:cot_budget_reflect>\n{THINKING}\n</seed:think>\n{ANSWER}<seed:eos>",
        THINKING,
        ANSWER,
    ),
    MarkupCase(
        "reflection/inner",
        f"<thinking>\n{THINKING}\n<reflection>\nSECRETSTEP wrong?\n</reflection>\n</thinking>"
        f"\n\n<output>\n{ANSWER}\n</output>",
        THINKING,
        ANSWER,
    ),
    MarkupCase(
        "ernie45/byte_newlines",
        f"{THINKING}<0x0A></think><0x0A><0x0A>{CJK}",
        THINKING,
        CJK,
        opening_may_be_missing=True,
    ),
    MarkupCase("gemma4/stripped", f"thought\n{THINKING}\n<channel|>{ANSWER}", THINKING, ANSWER),
    MarkupCase(
        "gemma4/turn_header",
        f"<|turn>model\n<|channel>thought\n{THINKING}<channel|>{ANSWER}<turn|>",
        THINKING,
        ANSWER,
    ),
    MarkupCase(
        "gpt_oss/header_without_message",
        f"<|channel|>commentary {THINKING}<|end|><|start|>assistant<|channel|>final<|message|>{CJK}",
        THINKING,
        CJK,
    ),
    MarkupCase(
        "gpt_oss/analysis_without_message",
        f"<|channel|>analysis {THINKING}<|end|><|start|>assistant<|channel|>final {CJK}<|return|>",
        THINKING,
        CJK,
    ),
    MarkupCase(
        "gpt_oss/two_channels",
        f"<|channel|>commentary<|channel|>analysis<|message|>{THINKING}<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{CJK}",
        THINKING,
        CJK,
    ),
    MarkupCase(
        "gpt_oss/call_without_message",
        f"<|channel|>commentary to=functions.search {THINKING}<|call|>"
        f"<|start|>assistant<|channel|>final<|message|>{CJK}<|return|>",
        THINKING,
        CJK,
    ),
    MarkupCase(
        "gpt_oss/channel_on_the_next_line",
        f"<|channel|>\nanalysis<|message|>{THINKING}<|end|>{CJK}",
        THINKING,
        CJK,
    ),
    MarkupCase("gpt_oss/unclosed", f"<|channel|>analysis<|message|>{THINKING}", THINKING, ""),
    MarkupCase("gpt_oss/final_only", f"<|channel|>final<|message|>{ANSWER}", "", ANSWER),
    MarkupCase(
        "gpt_oss/stripped_commentary",
        f"analysis{THINKING}assistantcommentaryI will say it now.assistantfinal{ANSWER}",
        THINKING,
        ANSWER,
    ),
    MarkupCase("glm_v/box_only", f"<|begin_of_box|>{CJK}<|end_of_box|>", "", CJK),
    MarkupCase("hunyuan_a13b/answer_only", f"<answer>\n{ANSWER}\n</answer>", "", ANSWER),
)


def _leaks() -> list[MarkupCase]:
    found = []
    for token in _END_OF_TURN:
        found.append(MarkupCase(f"end_of_turn/{token}", f"{ANSWER}{token}", "", ANSWER))
        invented = f"{ANSWER}{token}\n<|im_start|>user\nSECRETSTEP and Rome?"
        found.append(MarkupCase(f"next_turn/{token}", invented, "SECRETSTEP and Rome?", ANSWER))
    for opener in _TURN_OPENERS:
        raw = f"{ANSWER}\n{opener}SECRETSTEP and Rome?"
        found.append(MarkupCase(f"turn_opener/{opener.strip()}", raw, "SECRETSTEP", ANSWER))
    for token in _PADDING:
        found.append(MarkupCase(f"padding/{token}", f"{token}{ANSWER}", "", ANSWER))
        found.append(MarkupCase(f"padding_many/{token}", f"{ANSWER}{token * 40}", "", ANSWER))
    header = f"<|start_header_id|>assistant<|end_header_id|>\n\n{ANSWER}<|eot_id|>"
    found.append(MarkupCase("header/llama3", header, "", ANSWER))
    found.append(
        MarkupCase("header/chatml", f"<|im_start|>assistant\n{ANSWER}<|im_end|>", "", ANSWER)
    )
    found.append(MarkupCase("header/gemma", f"<start_of_turn>model\n{ANSWER}", "", ANSWER))
    found.append(
        MarkupCase("header/deepseek", f"<｜Assistant｜>{ANSWER}<｜end▁of▁sentence｜>", "", ANSWER)
    )
    return found


def _tools() -> list[MarkupCase]:
    found = []
    for name, markup in _TOOL_MARKUP.items():
        found.append(MarkupCase(f"tool/{name}_only", markup, "SECRETSTEP", ""))
        if name != "gpt_oss":
            raw = f"{CJK}\n\n{markup}"
            found.append(MarkupCase(f"tool/{name}_after_text", raw, "SECRETSTEP", CJK))
    return found


def _roles() -> list[MarkupCase]:
    names = ("Maria", "Jörg K.", "小明")
    found = [
        MarkupCase(f"role/{prefix}", f"{prefix} {CJK}", "", CJK, bot_name="Clawbot")
        for prefix in ("Assistant:", "AI:", "Bot:", "Clawbot:", "[Clawbot]:", "clawbot:")
    ]
    found += [
        MarkupCase(f"echoed/{frame}", f"{frame}{CJK}", "", CJK, names=names, bot_name="Clawbot")
        for frame in (
            "⟦from Clawbot⟧ ",
            "⟦Thursday 2026-11-26 10:00 UTC, from Clawbot⟧ ",
            "⟦Thursday 2026-11-26⟧ Clawbot: ",
            "⟦from Maria⟧ ",
            "[Thursday 2026-11-26] clawbot: ",
            "[Thursday 2026-11-26 10:00 UTC] ",
            "[2026-11-26 10:00] Clawbot: ",
            '⟦in reply to Maria: "why?"⟧\n',
            '[in reply to Maria: "why?"]\n',
            '[in reply to Maria: "a [b] c"] ',
            "[in reply to Maria] ",
            "⟦file notes.txt⟧\n",
        )
    ]
    for name in names:
        for head in (f"⟦from {name}⟧ ", f"⟦Thursday 2026-11-26, from {name}⟧ ", f"[from {name}] "):
            raw = f"{CJK}\n{head}SECRETSTEP and Rome?\n⟦from Clawbot⟧ Rome."
            found.append(
                MarkupCase(f"continued/{head}", raw, "SECRETSTEP", CJK, False, names, "Clawbot")
            )
    for note in ("⟦end of the forwarded message⟧", "[end of the forwarded message]"):
        found.append(MarkupCase(f"echoed_end/{note}", f"{CJK}\n{note}", "", CJK))
    return found


def _innocent() -> list[MarkupCase]:
    texts = {
        "prose": ANSWER,
        "cjk": CJK,
        "inline_code_tag": "Models write `<think>` and `</think>` around their thoughts.",
        "fenced_tags": "Example:\n\n```xml\n<think>\nnot real\n</think>\n<plan>x</plan>\n```\nDone.",
        "fenced_chatml": "```\n<|im_start|>user\nhi<|im_end|>\n```\nThat is ChatML.",
        "html": 'Use `<output>` or <b>bold</b>; `<answer>` is no HTML element.\n<p class="x">a</p>',
        "comparison": "if a < b and c > d: print(a<b)",
        "arrow": "a <- b, x << 3, List<String>, <3",
        "brackets": "See [THE DOCS] and [1], array[i][j].",
        "colon_lines": "Note: be careful.\nUsers: 5\nHumanity: all of it.\nAnswer: 42",
        "analysis_word": "analysis of the data shows that the final answer is 3.",
        "thought_word": "thought experiments are useful.\nThey cost nothing.",
        "here_is": "Here is my list:\n1. a\n2. b",
        "plan_inside": "The file has a <plan> element: <plan>A</plan>. Keep it.",
        "columns": "a | b\n<1 | >2",
    }
    return [MarkupCase(f"innocent/{name}", text, "", text) for name, text in texts.items()]


MARKUP_CASES: tuple[MarkupCase, ...] = (
    *_families(),
    *_tag_accidents(),
    *_ACCIDENTS,
    *_leaks(),
    *_tools(),
    *_roles(),
    *_innocent(),
)
"""All cases; names are unique."""
