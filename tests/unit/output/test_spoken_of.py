"""What a model writes about markup, names and our frames is text, however it arrives."""

from __future__ import annotations

import re

import pytest

from bot.core import frames
from bot.core.domain import FinishReason, TextDelta
from bot.output.pipeline import Verdict
from tests.unit.output.helpers import pipeline, versions

NAMES = ("Max", "Cons", "Python", "Host", "Note", "User", "Server")

LABELLED = [
    "Use these settings.\n\nHost: 10.0.0.5\nUser: root\nPort: 22",
    "It is warm.\nMax: 31 °C\nMin: 12 °C",
    "**Pros**\n\nPros: fast\nCons: none\nPython: yes",
    "Sure! Here is one.\n\nUser: Hi\nAssistant: Hello\nHuman: Bye\nAI: Bye",
    "It went like this.\n\nMax: Hi\nClawbot: Hello\nMax: Bye",
    "Log of today.\n[10:01] Max: hi\n[10:02] Clawbot: hello\n<Max> bye",
    "Answers differ.\n\nNote: look again\nServer: up",
    "AI: artificial intelligence is a field.",
    "AI: Artificial Intelligence\nML: Machine Learning",
    "Bot: Maria\nDirector: Jan",
    "Meetings:\n[Thursday 2026-11-26] review\n[Friday 2026-11-27] demo",
    "The semantics of ⟦x + y⟧ is ⟦x⟧ + ⟦y⟧.\n⟦x⟧ is a number.",
]
SPOKEN = [
    "Here are my reasoning steps:\n1. first\n2. second",
    "Here is my thought process: I looked at it, and it is fine.",
    "Here's my thought process:\n\nFirst I read it.",
    "analysis\n\nThe data shows that it works.",
    "Qwen uses <|im_end|> to end a turn. Llama uses <|eot_id|> instead.",
    "Qwen使用<|im_end|>结束一轮，Llama使用<|eot_id|>。",
    "<|im_end|> is the end token of Qwen.",
    "<|im_start|> and <|im_end|> are used by Qwen.",
    "[INST] and [/INST] are used by Mistral.",
    "Mistral puts [INST] before the question and [/INST] after it.",
    "</s> ends a sequence, and <s> begins one.",
    "Reka uses <sep> between turns; Gemma ends with <eos> or <end_of_turn>.",
    "The padding token is <pad>",
    'It uses stop=["<|im_end|>", "</s>"] there.',
    "The stop tokens are (<|im_end|>, <|eot_id|> and </s>).",
    "Die Tokens sind <|im_end|>\nund <|im_start|>.",
    "Модель пишет <|im_end|> в конце.",
    "gpt-oss writes <|channel|>analysis<|message|> before its thoughts and <|end|> after them.",
    "- <|im_end|>: ends a turn\n- </s>: the same for Llama\n* <think> begins thinking",
    "The tokens, in one row: <|im_end|> | </s> | <eos> and so on.",
    "ChatML:\n\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n\nDone.",
    "Llama 2:\n<s>[INST] Hi [/INST] Hello </s>\nThat is all.",
    "Llama 3:\n\n<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>\n\nDone.",
    "<think> is a tag.",
    "The format is:\n<think>\nreasoning\n</think>\nanswer\n\nSo it goes.",
    "The form:\n<tool_call>\n{}\n</tool_call>\nThat is it.",
    "a<|b|>c",
    "f<|x|>(y) and a <| b |> c",
    "Use <s>old</s> new.",
    "The XML.\n\n<plan>\n  <step>one</step>\n</plan>\n\nUse it.",
    "The XML.\n<entry>\n  <thought>I was</thought>\n<reasoning>because</reasoning>\n</entry>\nUse it.",
    "Call client.beta.assistant\nand wait.",
    "gpt-oss 使用<|channel|>analysis<|message|>作为标记。",
    "A regex: r\"<think>.*?</think>\" removes it, or '<think>.*' does.",
    'prompt = "<|im_start|>user\\n{q}<|im_end|>\\n<|im_start|>assistant\\n"\nprint(prompt)',
    "Models write <think>hmm</think> and then answer.",
    "Output:\n\n> <think>\n> hmm\n> </think>\n> Paris\n\nThat is it.",
    "Why does it print <|im_end|><|im_end|><|im_end|> again and again?",
    "std::map<int, std::vector<s>> m;",
    "stop:\n  - </s>\n  - <|im_end|>\nbos: none",
    "It needs eos_token=</s> or eos_token: </s> in the file.",
    "Q: What is <|endoftext|>?\nA: <|endoftext|> separates documents.",
    "<Thinking />\n<Answer value={x}>\n  <Output>{y}</Output>\n</Answer>",
    "1. Step:\n   ```\n   <|im_start|>user\n   ```\n2. Done.",
    "- ```py\n  x = '<think>'\n  ```\nThe rest is 2 < 3.",
    "Jinja: {% for m in messages %}<|im_start|>{{ m.role }}{% endfor %}",
    "<|im_start|>{{ role }}\n{{ content }}<|im_end|>\n{% endfor %}",
    "It was.\n<s>10 EUR</s> 5 EUR\nand so on.",
    'Ollama:\nTEMPLATE """<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n"""\nEnd.',
    (
        'TEMPLATE """{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}<|im_start|>u\n'
        '{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n"""\nPARAMETER stop "<|im_end|>"'
    ),
    "DeepSeek: <think>...</think>\nMagistral: [THINK]...[/THINK]\nKimi: ◁think▷...◁/think▷\n\nDone.",
    "USER: Hello</s>\nUSER: Bye",
    "Set BOS_TOKEN=<s>",
    "Run it with --pad <pad>",
    "A serial log:\n> AT+CSQ<0x0D><0x0A>\n< OK<0x0D><0x0A>\nIt works.",
    "It sends O K <0x0D> <0x0A> on the wire.",
    '<text><p><s n="1">In the beginning.</s> <s n="2">There was text.</s></p></text>',
    "<Max> is anyone here?\n<AI> I am.\n<用户> good\n<Max> bye",
    "[10:02] <Max> hi all\n[10:03] <AI> hello Max\n[10:04] <Max> is it overloaded?",
    "Ġanni mar il-belt.\nĠorġ baqa' d-dar.\nĊensu kiel il-ħobż.",
    "You can call openai.beta.assistant\n\nThen pass the thread.",
    "He said so.\n\n> <|im_start|>user\n> Hi.<|im_end|>\n> <|im_start|>assistant\n\nThat is it.",
    'Wrap it in <tool_call></tool_call> tags, e.g. <tool_call>{"name": "x"}</tool_call>.',
    '格式：<tool_call>{"name": "x"}</tool_call>，结果放在<tool_response>里。',
    "The regex is ^<think>.*?</think>\\s*<answer>.*?</answer>$.",
    'p = r"^<think>\\n.*?\\n</think>\\n<answer>\\n.*?\\n</answer>$"',
    '> <?xml version="1.0"?>\n> <thoughts>\n>   <thought id="1">I am.</thought>\n> </thoughts>',
    "See below.\n\n<thought>\n  <id>1</id>\n  <text>I am.</text>\n</thought>\n\nThat is it.",
    "- one\n- <reasoning>\n    <step>a</step>\n  </reasoning>\n- two",
    "The closing tag is </think>\n\nThat is all.",
    "- <think>: the opening tag\n  </think>: the closing tag",
    "So.\n\n<|im_start|>user means that the user speaks.",
    "התגית <think> פותחת ו-</think> סוגרת.",
    "Znacznik <think> otwiera rozumowanie, a </think> je zamyka.",
    "แท็ก <think> เริ่มการคิด และ </think> จบการคิด",
    "The ids:\n<pad> 0\n<s> 1\n</s> 2\n<unk> 3",
    "Look for </think>\nThen cut the text there.",
    "The stop string is </think>\n\nThat should do.",
    "1. Find </think>\n2. Cut there.",
    "- Start: none\n- End: </think>\n\nSave it.",
    "It printed:\n\n</think>\n\nand stopped.",
    "DB_USER=root\nTHINK_END=</think>",
    "Missing </think>",
    "A </think>-token penalty, 2 </think>s and pre-</think> text.",
    're.compile(r"^(?:.*</think>)?\\s*(.*)$")',
    "The pattern .*?</think> matches it.",
    "@@ -1,2 +1,2 @@\n <think>\n-</think>\n+\n+</think>",
    "模型输出</think>后开始回答。看到</think>就表示思考结束了。",
    "モデルは</think>を出力してから答えます。",
    "推論は <think> と </think> の間です。</think> の後が回答です。",
    "Token | ID\n<think> | 151667\n</think> | 151668",
    "<|im_end|>\t151645\n<think>\t151667\n</think>\t151668",
    "$ ollama run deepseek-r1\n>>> hi\n<think>\n\n</think>\n\nHello!\n\n>>> /bye",
    "In [1]: print('<think>')\n<think>\n\nIn [2]: print('</think>')\n</think>\n\nIn [3]: quit",
    "$ ./main -p x\n<|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|> [end of text]",
    "function App() {\n  return <Thinking><Answer /></Thinking>;\n}",
    "xmllint --xpath '//thought' a.xml\n<thought>one</thought>\n<thought>two</thought>",
    "Mistral looks like <s>[INST] Hi [/INST] Hello</s>[INST] Bye [/INST] where <s> is BOS.",
    "It has three channels. <|channel|>final<|message|> comes last.",
    "Close it with </think> and go on.",
    "Close it with [/THINK] and go on, or with </answer> and so on.",
    "Title\n~~~~~\n\nThe tag <think> begins it.",
    "The first line is <think>\nThe last one is </think>\n\nDone.",
    "Use Array<think>? No: List<thought> is the type. So are <think>,<Think>,<THINK>.",
    "if x <think or y> reason: pass",
    '<reason code="5">Timeout</reason>\n\nThat is the file.',
    "Replace\n\n{{ '<|Assistant|><think>\\n' }}\n\nby\n\n{{ '<|Assistant|>' }}",
    "The tag [think] is none, [/think] neither; <think/> is empty.",
    "<details>\n<summary>More</summary>\n\nInside.\n\n</details>",
]
ALONE = [
    '<reason code="5">Timeout</reason>\n\nThat is the file.',
    "<think>, <thinking> and <reasoning> are the usual ones.",
    "<think>/<answer> is the form.",
    "<think>: this tag opens thinking.",
    "</s>, <s> and <unk> are in the vocabulary.",
    "Phi-3: <|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|>\nThat is Phi.",
    "<s>struck</s> and <b>bold</b> and <i>it</i>.",
    "[THINK] is Magistral's tag; [/THINK] closes it.",
    "[thinking] I should go, he thought.",
    "</answer>",
    "</answer> closes the answer.",
    "\u25c1think\u25b7 is Kimi's tag and \u25c1/think\u25b7 closes it.",
    "<|channel|>analysis is how gpt-oss marks its analysis; <|channel|>final is the answer.",
    "[BEGIN FINAL RESPONSE] is Apriel's marker.",
    "<thinking> mode exists in Claude. Use <thinking>budget</thinking> to set it.",
    "&lt;think&gt; and &lt;/think&gt; are tags with escaped brackets.",
    "if a < think > b then",
    "Reasoning models write\n<think>\nat the beginning.",
    "<plan>Do it</plan>",
    "<plan>\n  <name>Basic</name>\n</plan>\n\nThis is the plan element.",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>",
    "[Thursday 2026-11-26] Review\n[Friday 2026-11-27] Demo",
    "<plan>\n1. do it\n2. rest",
    "<reason>none</reason>",
    '<tool_call>{"name": "x"}</tool_call>',
    "[TOOL_REQUEST]{}[END_TOOL_REQUEST]",
    "<function=search>{}</function>",
    "<think>...</think> is used by DeepSeek to mark thinking.",
    "<response>\n  <status>ok</status>\n</response>",
    "<answer>\n  <item>1</item>\n</answer>\n\nThis is the XML.",
    "<s>Old</s> New price",
    "Hello</s>\nUSER: Bye",
    "<|endoftext|> has been in GPT-2 since the beginning.",
    "analysisParalysis is a state of thinking too much.",
    "analysisResults = compute(x)",
    "<think> 是开始标签",
    "<think> 是开始标签，</think> 是结束标签。",
    "<think> 태그는 생각을 시작하고 </think> 태그는 끝냅니다.",
    "<think> etiketi düşünmeyi başlatır, </think> etiketi bitirir.",
    "<think> टैग से सोच शुरू होती है और </think> टैग पर खत्म होती है।",
    "<think> → start\n</think> → end",
    '<thought> ::= <subject> <verb>\n<subject> ::= "I"',
    "<thought>\n  <id>1</id>\n</thought>",
    '<reasoning>\n  <step n="1">a</step>\n</reasoning>',
    "<unused0> to <unused98> are free.",
    "ĠUSTIZZJA U ĊANGA\nIllum nitkellmu dwarha.",
    "[Thursday 2026-11-26 10:00] backup started\n[Thursday 2026-11-26 10:30] backup finished",
    "[in reply to your mail] I agree.",
    "analysisService.start(); // it is a service",
    "The model closes with:\n</think>",
    "**Close:** </think>",
    "结束标记：</think>",
    (
        "Apriel's format:\n\nHere are my reasoning steps:\n...\n[BEGIN FINAL RESPONSE]\n...\n"
        "[END FINAL RESPONSE]\n\nThe rest is hidden."
    ),
]
AFTER_THINKING = [
    "La balise <think> ouvre la réflexion et </think> la ferme.",
    "Тег <think> открывает размышление, а </think> закрывает его.",
    "My model forgets <think> and only writes </think>. How do I fix that?",
    "> <think>\n> I'm not sure.\n> </think>\n> Yes.\n\nIt was unsure.",
    "1) <think>\n2) text\n3) </think>\n4) answer",
    "<answer>\n  <text>Four</text>\n  <reason>because</reason>\n</answer>",
    '<response status="ok">\n  <code>200</code>\n</response>',
    "The closing tag is </think>",
    "Look for:\n</think>\nThen cut the text there.",
    "It is so </think> The rest is the answer.",
    "模板里<|im_start|>表示开始，<|im_end|>表示结束。",
    "151645: <|im_end|>\n151643: <|endoftext|>",
]
"""What is told about markup by a model that has just used it."""


def assert_only_hello(text: str, *, expect: bool = False) -> None:
    """Check that no version of a text shows its thinking, and that its answer stands at the end."""
    for pieces in ([text], list(text)):
        seen = versions(pipeline(expect=expect), pieces)
        assert seen[-1] == "Hello"
        assert all("SECRETSTEP" not in shown for shown in seen)


@pytest.mark.parametrize("text", [*LABELLED, *SPOKEN, *ALONE])
def test_the_whole_text_is_shown(text: str) -> None:
    for pieces in ([text], list(text)):
        target = pipeline(names=NAMES, bot_name="Clawbot")
        assert versions(target, pieces)[-1] == text
        assert target.verdict is Verdict.ANSWER


@pytest.mark.parametrize("text", AFTER_THINKING)
@pytest.mark.parametrize("end", ["", "<|im_end|>"])
def test_the_whole_text_is_shown_behind_thinking(text: str, end: str) -> None:
    whole = f"<think>\nHm.\n</think>\n\n{text}{end}"
    for pieces in ([whole], list(whole)):
        assert versions(pipeline(names=NAMES, bot_name="Clawbot"), pieces)[-1] == text


@pytest.mark.parametrize("text", LABELLED + SPOKEN)
def test_a_text_that_is_cut_at_the_length_limit_keeps_the_lines_before(text: str) -> None:
    target = pipeline(names=NAMES, bot_name="Clawbot")
    seen = versions(target, [f"Some words first.\n\n{text}\n\nAnd the en"], FinishReason.LENGTH)[-1]
    assert seen == f"Some words first.\n\n{text}\n\nAnd the en"


def test_a_fence_in_a_longer_fence_ends_no_code() -> None:
    text = versions(pipeline(), ["````md\n```\n<think>\n```\n</think>\n````\nDone."])[-1]
    assert "<think>\n" in text
    assert "</think>\n" in text
    assert text.endswith("Done.")


def test_a_tag_alone_behind_a_finished_sentence_begins_thinking() -> None:
    assert versions(pipeline(), ["It is 4.\n\n<think>SECRETSTEP"])[-1] == "It is 4."


@pytest.mark.parametrize(
    "text",
    [
        "< think >SECRETSTEP</ think >Hello",
        "<think>SECRETSTEP< / think >Hello",
        "&lt;think&gt;SECRETSTEP&lt;/think&gt;Hello",
        "&lt;Thinking&gt;\nSECRETSTEP\n</thinking>\nHello",
        "<s>Hello</s>",
        "<s> Hello</s>",
        "Hello [/INST]",
        "Hello <|im_end|>",
        "Hello </s>\n",
        "<think/>Hello",
        "<think />\n\nHello",
        "Hello</answer>",
        "Hello\n</answer><|im_end|>",
        "\\<think\\>SECRETSTEP\\</think\\>Hello",
        "\\<think>\nSECRETSTEP\n\\</think>\nHello",
        "[think]SECRETSTEP[/think]Hello",
        "<ant_thinking>SECRETSTEP</ant_thinking>Hello",
        '<details type="reasoning" done="true">\n<summary>x</summary>\n> SECRETSTEP\n</details>\nHello',
        "/think\nSECRETSTEP<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>",
        "[THINK]| SECRETSTEP | b |\n|---|---|[/THINK]Hello",
        "<think>はい、SECRETSTEPです。</think>Hello",
        "<think>是一个SECRETSTEP</think>Hello",
        "<think>\nSECRETSTEP: s/<think>.*//\n</think>\n\nHello",
    ],
)
def test_markup_with_blanks_escapes_or_a_blank_before_it_is_left_out(text: str) -> None:
    assert_only_hello(text)


@pytest.mark.parametrize(
    "text",
    [
        "<think>\nI write:\n```\n</think>\n```\nSECRETSTEP\n</think>\nHello",
        "<think>\n```py\nSECRETSTEP\n</think>\n\nHello",
        "**<think>**\nSECRETSTEP\n**</think>**\n\nHello",
        "**<think>** SECRETSTEP **</think>** Hello",
        "<|think|>SECRETSTEP<|end|><|begin|>assistant<|content|>Hello",
        "Hello\n\n<function=search>\n<parameter=q>\nSECRETSTEP\n</parameter>\n</function>",
        "analysisWe need SECRETSTEP.assistantfinalHello",
        "<think>\nSyntaxError: unexpected token <think>\nSECRETSTEP.\n</think>\n\nHello",
        "<think>\n```\nSECRETSTEP\n<think>\nx\n</think>\n\nHello",
        "<think>ing is SECRETSTEP, un<think>able.</think>Hello",
        "<plan>\n<step>SECRETSTEP</step>\n</plan>\n\nHello",
        "<brainstorm>\n<b>SECRETSTEP</b>\n</brainstorm>\n<plan>\nSECRETSTEP\n</plan>\nHello",
    ],
)
def test_thinking_and_calls_in_rarer_forms_are_left_out(text: str) -> None:
    assert_only_hello(text)


@pytest.mark.parametrize(
    "text",
    [
        "Let me look. <|channel|>analysis<|message|>SECRETSTEP<|end|>Hello",
        "Let me look.<|think|>SECRETSTEP<|end|><|begin|>assistant<|content|>Hello",
        "Wait, <think>SECRETSTEP</think> Hello",
    ],
)
def test_thinking_behind_the_first_words_is_left_out(text: str) -> None:
    for pieces in ([text], list(text)):
        seen = versions(pipeline(), pieces)
        assert seen[-1].endswith("Hello")
        assert all("SECRETSTEP" not in shown for shown in seen)


def test_thinking_without_an_opening_may_end_inside_a_sentence() -> None:
    text = "It must be SECRETSTEP then </think> Hello"
    assert versions(pipeline(), [text])[-1] == "Hello"
    assert_only_hello(text, expect=True)


@pytest.mark.parametrize(
    "thought",
    [
        "The template: <|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYo<|im_end|> SECRETSTEP",
        "It is SECRETSTEP <think>\nSECRETSTEP",
        "x\n\n<|im_end|>\nSECRETSTEP.",
    ],
)
def test_thinking_without_an_opening_goes_on_over_tokens_that_it_mentions(thought: str) -> None:
    assert_only_hello(f"{thought}\n</think>\n\nHello", expect=True)


@pytest.mark.parametrize("end", ["<|im_end|>", "<|im_end|>\n<|im_start|>user\nSECRETSTEP"])
def test_an_answer_without_the_thinking_that_was_expected_ends_where_it_ends(end: str) -> None:
    assert_only_hello(f"Hello{end}", expect=True)


@pytest.mark.parametrize(
    "text",
    [
        "Close it with </think> and go on.",
        "Закройте его с </think> и продолжайте.",
        "模型用 </think> 结束思考。",
    ],
)
def test_a_sentence_that_goes_on_over_a_tag_is_shown_where_thinking_was_expected(text: str) -> None:
    for pieces in ([text], list(text)):
        assert versions(pipeline(expect=True), pieces)[-1] == text


def test_a_model_that_has_thought_in_tags_means_them_in_the_middle_of_a_sentence() -> None:
    thought = "SECRETSTEP and more of it, " * 4
    text = f"<think>a</think>So the sum is <think>{thought}</think> 4."
    assert all("SECRETSTEP" not in shown for shown in versions(pipeline(), list(text)))


def test_thinking_that_ends_with_a_like_tag_does_not_take_the_answer_along() -> None:
    assert versions(pipeline(), ["<think>\nSECRETSTEP.\n</thinking>\n\nHi"])[-1] == "Hi"


def test_a_remark_is_shown_when_no_answer_follows_it() -> None:
    text = "<|channel|>commentary<|message|>I would look it up.<|end|>"
    assert versions(pipeline(), [text])[-1] == "I would look it up."


@pytest.mark.parametrize(
    "rest",
    [
        "\n⟦from Max⟧ And Rome?",
        "\n⟦Thursday 2026-11-26 10:00 UTC, from Max⟧ And Rome?",
        "\n[from Max] And Rome?",
        "<|im_end|>\n<|im_start|>user\nAnd Rome?" + " Tell me." * 50,
        "\n<|user|>\nAnd Rome?" + " Tell me." * 50,
        "</s>[INST] And Rome? [/INST]" + " Tell me." * 50,
        "assistant\n\nAnd Rome?",
    ],
)
def test_another_persons_turn_ends_the_answer_and_stops_the_stream(rest: str) -> None:
    for size in (1, 7, 1000):
        target = pipeline(names=NAMES, bot_name="Clawbot")
        text = f"It is Paris.{rest}"
        for start in range(0, len(text), size):
            target.feed(TextDelta(text[start : start + size]))
        assert target.must_stop
        target.close(FinishReason.INTERRUPTED)
        assert (target.text, target.verdict) == ("It is Paris.", Verdict.CONTINUED)


REMARKS = (
    *(frames.MISSING_START, frames.EMPTY_MESSAGE, frames.ONLY_MENTION, frames.WITHHELD),
    *(frames.left_out(200), frames.note("sticker Wave"), frames.note("picture a.png")),
    *(
        form(label).strip("\n")
        for label in (frames.FORWARD, frames.EMBED, frames.POLL, frames.TRANSCRIPT, "file a.txt")
        for form in (frames.opening, frames.ending)
    ),
)
HEADERS = (
    "⟦from Clawbot⟧ ",
    "⟦from Clawbot⟧: ",
    "⟦Thursday 2026-11-26 10:00 UTC, from Clawbot⟧ ",
    "⟦Thursday 2026-11-26 10:00 UTC⟧ ",
    "[Thursday 2026-11-26 10:00 UTC, from Clawbot] ",
    "[from Clawbot]: ",
    '⟦in reply to Max: "Well?"⟧\n',
    '[in reply to Max: "Well?"] ',
    "[forwarded message]\n",
)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("frame", [*HEADERS, *(f"{remark}\n" for remark in REMARKS)])
def test_a_frame_of_ours_that_a_model_copies_in_front_of_its_answer_goes(
    frame: str, size: int
) -> None:
    text = f"{frame}It is Paris.\n[Thursday 2026-11-26 10:01, from Max] And Rome?"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert versions(pipeline(names=NAMES, bot_name="Clawbot"), pieces)[-1] == "It is Paris."


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    "turn",
    ["\n⟦from Max⟧ And Rome?", "\n[from Max] And Rome?", "assistant\n\nAnd Rome?"],
)
def test_thinking_without_an_opening_goes_on_over_another_persons_turn(
    turn: str, size: int
) -> None:
    """It may tell of one. Where its end never comes, it was the answer, and ends there."""
    text = f"It is Paris.{turn} SECRETSTEP"
    for raw, answer in ((f"{text}\n</think>\n\nHello", "Hello"), (text, "It is Paris.")):
        target = pipeline(names=NAMES, bot_name="Clawbot", expect=True)
        for start in range(0, len(raw), size):
            target.feed(TextDelta(raw[start : start + size]))
        assert target.must_stop is False
        target.close(FinishReason.STOP)
        assert target.text == answer


@pytest.mark.parametrize("rest", ["<|im_end|>", "</s></s>", "<|im_end|>\n<|im_start|>assistant\n"])
def test_an_end_token_alone_cuts_nothing(rest: str) -> None:
    target = pipeline()
    assert versions(target, list(f"It is Paris.{rest}"))[-1] == "It is Paris."
    assert (target.verdict, target.has_ended, target.must_stop) == (Verdict.ANSWER, True, False)


def test_an_example_in_the_text_does_not_hide_the_end_that_comes_later() -> None:
    text = "ChatML:\n<|im_start|>user\nHi<|im_end|>\n\nIt ends so.<|im_end|>\n<|im_start|>user\nNo"
    assert versions(pipeline(), [text])[-1] == text.partition("<|im_end|>\n<|im_start|>")[0]


@pytest.mark.parametrize(
    "table",
    [
        "| token | use |\n| --- | --- |\n| <|im_end|> | end |\n| </s> | end |",
        "| Model | EOS |\n|---|---|\n| Qwen|<|im_end|>|\n| Gemma | <eos>, <end_of_turn> |",
    ],
)
def test_a_table_of_tokens_keeps_them(table: str) -> None:
    for pieces in ([table], list(table)):
        seen = versions(pipeline(names=NAMES, bot_name="Clawbot"), pieces)[-1]
        words = re.findall(r"</?[\w|]+>|[A-Za-z]+", table)
        assert re.findall(r"</?[\w|]+>|[A-Za-z]+", seen) == words


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    "answer",
    [
        "Use these settings.\n\nHost: 10.0.0.5\nUser: root\nPort: 22",
        "Use these settings.\nhost: db\nport: 5432",
        "Yes.\n\nThe bridge opens at eight; take the tram until then.",
        "Buy:\nBread: two\nMilk: one",
        "It is a long way, and there is a good deal more to be said of it than fits into one short line.\nAda: no",
        "Yes.",
    ],
)
def test_a_name_that_a_model_copies_in_front_of_its_answer_goes(answer: str, size: int) -> None:
    text = f"Clawbot: {answer}"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert versions(pipeline(bot_name="Clawbot"), pieces)[-1] == answer
