"""Outputs that leak where a reader of markup is careless; SECRETSTEP stands for what must never be seen.

Each leads to the same answer. Sources: the families' chat templates, and accidents that were reported
of them; labels and tags as fine-tunes make them up.
"""

from __future__ import annotations

from typing import Final

T: Final = "SECRETSTEP"
A: Final = "It is **Paris**."

_THOUGHTS: Final = (
    f"Okay, the user asks for the capital. {T}. Simple.",
    f"好的，用户问首都。{T}。很简单。",
    f"We need to answer. {T}\n\n1. {T}\n2. {T}\n\nFinal: {T}",
)
_PAIRS: Final = (
    ("<|begin_of_thought|>", "<|end_thought|>"),
    ("<|begin_of_thought|>", "<|/thought|>"),
    ("<|think_start|>", "<|end_think|>"),
    ("<|reasoning_start|>", "<|answer|>"),
    ("<|Thinking_Start|>", "<|Thinking_End|>"),
    ("<think>-", "</think>"),
    ("[THINK]-a ", "[/THINK]"),
    ("<think>\n", "\n</think>\n\n"),  # deepseek
    ("<think>\n", "\n</think>\n\n"),  # qwen3
    ("\n<think>", "</think>\n"),  # glm
    ("<think>", "</think>"),  # kimi
    ("◁think▷", "◁/think▷"),  # kimi-vl
    ("[THINK]", "[/THINK]"),  # magistral
    ("<seed:think>\n", "\n</seed:think>\n"),  # seed
    ("<thought>\n", "\n</thought>\n\n"),  # exaone-deep
    ("<mm:think>\n", "\n</mm:think>\n\n"),  # minimax-mm
    ("<|channel>thought\n", "<channel|>"),  # gemma4
    ("<unused94>thought\n", "<unused95>"),  # medgemma
    ("[unused16]", "[unused17]"),  # pangu
    ("<|think|>", "<|end|><|begin|>assistant<|content|>"),  # solar
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),  # command-a
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # apertus
    (
        "<|begin_of_thought|>\n\n",
        "\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n",
    ),  # openthinker
    ("<reasoning>\n", "\n</reasoning>\n"),  # reka
    ("<longcat_think>\n", "\n</longcat_think>\n"),  # longcat
    ("Here is my thought process:\n", "\n\nHere is my response:\n"),  # granite32
    ("<think>", "</think><response>"),  # granite33
    ("Here are my reasoning steps:\n", "\n[BEGIN FINAL RESPONSE]\n"),  # apriel
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),  # harmony
    (
        "<|start|>assistant<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),  # harmony-started
    ("<|channel|>analysis<|message|>", "<|end|>"),  # harmony-bare
    ("analysis", "assistantfinal"),  # stripped
    ("<think>\n", "\n</think>\n<answer>\n"),  # hunyuan
    ("<think>\n", "\n</think>\n\n<response>\n"),  # ernie
    ("<|thinking|>", "<|/thinking|>"),  # olmo
    ("<|start|>assistant to=self<|message|>", "<|eom|><|start|>assistant<|message|>"),  # muse
    ("<think>\n", "\n</think>\n"),  # nemotron
)
"""How each family begins its thinking, and what stands between that and the answer."""

_OTHERS: Final[tuple[str, ...]] = (
    f"<think >{T}</think>\n{A}",
    f"< think>{T}</think>\n{A}",
    f"<think>{T}< /think>\n{A}",
    f"<THINK>\n{T}\n</THINK>\n{A}",
    f"<think>\n{T}\n</think>\n\n</think>\n{A}",
    f"<think>{T}</thinking>\n{A}",
    f"<thinking>{T}</think>\n{A}",
    f"<think>{T}<think/>\n{A}",
    f"<think>{T}</ think>\n{A}",
    f"<think>{T}\n[/think]\n{A}",
    f"<think>{T}\n<\\think>\n{A}",
    f"<think>{T}\n<|/think|>\n{A}",
    f"<think>{T}\n</reasoning>\n{A}",
    f"<think>\n{T}\n</think><|im_end|>\n<|im_start|>assistant\n{A}<|im_end|>",
    f"<think>\n{T}\n<|im_end|>\n<|im_start|>assistant\n{A}",
    f"<think>\n<think>\n{T}\n</think>\n</think>\n{A}",
    f"<think>\n{T} <think> {T} </think> {T}\n</think>\n\n{A}",
    f'<think time="3">\n{T}\n</think>\n{A}',
    f"<think>\n{T}\n</think>\n{A}\n<think>\n{T}\n</think>",
    f"{A}\n\n<think>\n{T}\n</think>",
    f"**<think>**\n{T}\n**</think>**\n{A}",
    f"-# <think>\n{T}\n</think>\n{A}",
    f"&lt;think&gt;{T}&lt;/think&gt;\n{A}",
    f"\\<think\\>\n{T}\n\\</think\\>\n{A}",
    f"[think]\n{T}\n[/think]\n{A}",
    f"[THINKING]\n{T}\n[/THINKING]\n{A}",
    f"[Thinking]\n{T}\n[/Thinking]\n\n{A}",
    f"[REASONING]{T}[/REASONING]{A}",
    f"<|thought|>{T}<|/thought|>{A}",
    f"<|thinking|>\n{T}\n<|end_thinking|>\n{A}",
    f"<|begin_of_thinking|>{T}<|end_of_thinking|>{A}",
    f"<|think_start|>{T}<|think_end|>{A}",
    f"<|reasoning|>{T}<|/reasoning|>{A}",
    f"<|begin_think|>{T}<|end_think|>{A}",
    f"<ponder>\nFirst, {T} and so on.\n</ponder>\n{A}",
    f"<internal>\nOkay, the user asks {T}.\n</internal>\n{A}",
    f"<Thought_Process>\n{T} {T} {T}\n</Thought_Process>\n{A}",
    f"<chain-of-thought>\n{T} {T} {T}\n</chain-of-thought>\n{A}",
    f"<self-reflection>\nWas it right? {T}.\n</self-reflection>\n{A}",
    f"<reasoning_steps>\n1. {T}\n2. {T}\n</reasoning_steps>\n{A}",
    f"<思考>\n用户问{T}。\n</思考>\n{A}",
    f"<思考过程>用户问首都，{T}。</思考过程>\n{A}",
    f"<pensée>\nL'utilisateur demande {T}.\n</pensée>\n{A}",
    f"<gedanken>\nDer Nutzer fragt {T}.\n</gedanken>\n{A}",
    f"<details>\n<summary>Thinking…</summary>\n\n{T}\n\n</details>\n\n{A}",
    f"<details><summary>Thought for 12 seconds</summary>\n> {T}\n</details>\n{A}",
    f"<details>\n<summary>思考过程</summary>\n用户{T}\n</details>\n{A}",
    f'<details type="reasoning" done="true">\n<summary>Thought</summary>\n> {T}\n</details>\n{A}',
    f"```thinking\n{T}\n```\n{A}",
    f"```thought\nThe user asks {T}.\n```\n{A}",
    f"```thoughts\nOkay, the user wants {T}.\n```\n\n{A}",
    f"```thoughts\nLet me recall the capital: {T}.\n```\n\n{A}",
    f"```reasoning\nThe user asks {T}.\n```\n{A}",
    f"Thinking...\n\n{T}\n\n...done thinking.\n\n{A}",
    f"Thinking…\n{T}\n…done thinking.\n{A}",
    f"<reason>The user asks for the capital, {T}.</reason>\n{A}",
    f"<reason>I should answer with the capital, {T}.</reason>{A}",
    f"<reason>\n{T} is what comes first.\n</reason>\n\n{A}",
    f"<plan>\n1. Greet. {T}\n2. Answer.\n</plan>\n\n{A}",
    f"<plan>Greet the user, then {T}.</plan>\n{A}",
    f"<plan>Answer briefly: {T}.</plan>\n\n{A}",
    f"<reflection>\nWas it right? {T}.\n</reflection>\n{A}",
    f"<reflection>I must not say {T}.</reflection>\n{A}",
    f"<thought>Let me recall {T}.</thought>{A}",
    f"<thought>The user wants {T}</thought>\n\n{A}",
    f"<thoughts>Hmm, {T}. We answer Paris.</thoughts>\n{A}",
    f"<thought>\n{T} {T}\n</thought>\n{A}",
    f"<analysis>The question is about France, {T}.</analysis>\n{A}",
    f"<analysis>\n{T}\n</analysis>\n{A}",
    f"<brainstorm>\n- {T}\n- Rome\n</brainstorm>\n{A}",
    f"<justification>The question asks {T}.</justification>\n{A}",
    f"<scratchpad>\n{T}\n</scratchpad>\n{A}",
    f"<reasoning>We need the capital: {T}.</reasoning>{A}",
    f"<reasoning>用户问首都，{T}。</reasoning>\n{A}",
    f"<thought>我应该回答{T}。</thought>\n{A}",
    f"<plan>Ich sollte kurz antworten: {T}.</plan>\n{A}",
    f"<thinking><plan>{T}</plan>{T}</thinking>\n<output>{A}</output>",
    f"<reason>Okay. {T}</reason>\n<answer>{A}</answer>",
    f"<thought>Simple geography, so {T}.</thought>\n<answer>{A}</answer>",
    f"*Thinking: the user wants {T}.*\n\n{A}",
    f"_Thinking: the user wants {T}._\n\n{A}",
    f"**Thinking: the user wants {T}.**\n\n{A}",
    f"***Thinking: the user wants {T}.***\n{A}",
    f"*Thinking: the user wants {T}.*\n{A}",
    f"**Thinking:** the user wants {T}.\n\n{A}",
    f"**Thinking**: the user wants {T}.\n\n{A}",
    f"*Thinking:* the user wants {T}.\n\n{A}",
    f"> Thinking: the user wants {T}.\n\n{A}",
    f"> **Thinking:** the user wants {T}.\n> And more of {T}.\n\n{A}",
    f"> *Thinking: the user wants {T}.*\n>\n> {T} again, let me see.\n\n{A}",
    f"-# Thinking: the user wants {T}.\n\n{A}",
    f"-# Thinking: the user wants {T}.\n{A}",
    f"(Thinking: the user wants {T}.)\n\n{A}",
    f"[Thinking: the user wants {T}.]\n\n{A}",
    f"💭 Thinking: the user wants {T}.\n\n{A}",
    f"🤔 **Thinking:** the user wants {T}.\n\n{A}",
    f"> 💭 *Thinking: the user wants {T}.*\n\n{A}",
    f"Thinking: the user wants {T}.\n\n{A}",
    f"Thoughts: the user wants {T}.\n\n{A}",
    f"Thought process: the user wants {T}.\n\n{A}",
    f"**Thought Process:** the user wants {T}.\n\n{A}",
    f"**Reasoning:** the user wants {T} to know.\n\n{A}",
    f"Reasoning: the user is asking for {T}.\n\nAnswer: {A}",
    f"Reasoning: the user asked for {T}.\n\nAnswer: {A}",
    f"Thinking: Okay, the user wants {T}.\n\nI should answer {T}.\n\n{A}",
    f"*Thinking: Okay, the user wants {T}.*\n\n*I should answer {T}.*\n\n{A}",
    f"Internal monologue: the user wants {T}.\n\n{A}",
    f"Thinking: I need to answer {T}.\n\n{A}",
    f"*Thinking: let me answer {T}.*\n\n{A}",
    f"Thinking Process:\n\n1.  **Analyze the Request:** {T}\n\n2.  **Draft:** {T}\n\n**Answer:**\n{A}",
    f"Thinking Process:\n\n1.  **Analyze the Request:** {T}\n2.  **Draft:** {T}\n</think>\n\n{A}",
    f"**Thinking:**\nthe user wants {T}.\n\n**Answer:**\n{A}",
    f"**Thinking:**\nthe user wants {T}.\n\n{A}",
    f"### Thinking\n\nThe user wants {T}.\n\n### Answer\n\n{A}",
    f"### Thinking\n\nThe user wants {T}.\n\n---\n\n{A}",
    f"**Thinking:** the user wants {T}.\n\n---\n\n{A}",
    f"*Gedanken: Der Nutzer möchte {T}.*\n\n{A}",
    f"**Gedanken:** Der Nutzer möchte {T}.\n\n{A}",
    f"> Überlegung: Der Nutzer fragt {T}.\n\n{A}",
    f"*Réflexion : l'utilisateur veut {T}.*\n\n{A}",
    f"**Raisonnement :** L'utilisateur demande {T}.\n\n{A}",
    f"*Pensando: el usuario quiere {T}.*\n\n{A}",
    f"**Pensamiento:** El usuario pide {T}.\n\n{A}",
    f"*Raciocínio: o usuário quer {T}.*\n\n{A}",
    f"**Ragionamento:** L'utente chiede {T}.\n\n{A}",
    f"*Размышление: пользователь спрашивает {T}.*\n\n{A}",
    f"**Мысли:** Пользователь хочет {T}.\n\n{A}",
    f"思考：用户想要{T}。\n\n{A}",
    f"**思考过程：**用户想要{T}。\n\n{A}",
    f"> 思考：用户问{T}。\n\n{A}",
    f"*考え：ユーザーは{T}と聞いている。*\n\n{A}",
    f"**생각:** 사용자는 {T}를 묻고 있다.\n\n{A}",
    f"**التفكير:** المستخدم يسأل {T}.\n\n{A}",
    f"*Denken: de gebruiker vraagt {T}.*\n\n{A}",
    f"**Düşünce:** Kullanıcı {T} soruyor.\n\n{A}",
    f"<|channel|>analysis<|message|>{T}<|end|><|channel|>final<|message|>{A}",
    f"<|channel|>analysis<|message|>{T}<|start|>assistant<|channel|>final<|message|>{A}",
    f"<|channel|>analysis<|message|>{T}<|channel|>final<|message|>{A}<|return|>",
    f"<|start|>assistant<|channel|>analysis<|message|>{T}<|end|><|start|>assistant<|channel|>final<|message|>{A}",
    f'<|channel|>commentary to=functions.x <|constrain|>json<|message|>{{"q":"{T}"}}<|call|><|start|>assistant<|channel|>final<|message|>{A}',
    f"<|channel|>analysis<|message|>{T}<|end|><|start|>assistant<|channel|>commentary<|message|>{T}<|end|><|start|>assistant<|channel|>final<|message|>{A}",
    f"analysis\n{T}\nassistantfinal\n{A}",
    f"analysisWe need {T}.assistantcommentary{T}assistantfinal{A}",
    f"assistantanalysisThe user {T}.assistantfinal{A}",
    f"commentary<|message|>{T}<|end|><|start|>assistant<|channel|>final<|message|>{A}",
    f"<|channel|>analysis<|message|>{T}<|end|>\n\n{A}",
    f"<|message|>{A}<|return|><|start|>user<|message|>{T}",
    f"{A}<|im_end|>\n<|im_start|>user\n{T}<|im_end|>\n<|im_start|>assistant\n{T}",
    f"{A}</s>[INST] {T} [/INST] {T}",
    f"{A}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{T}",
    f"{A}<end_of_turn>\n<start_of_turn>user\n{T}",
    f"{A}<|end|>\n<|user|>\n{T}<|end|>",
    f"{A}<｜end▁of▁sentence｜><｜User｜>{T}",
    f"{A}[|endofturn|]\n[|user|]{T}",
    f"{A}<|endoftext|>Human: {T}",
    f"{A}<|im_end|>\n{T}",
    f'<think>\n{T}\n</think>\n\n<tool_call>\n{{"name": "{T}"}}\n</tool_call>\n{A}',
    f"<think>{T}</think>{A}<tool_call>search\n<arg_key>q</arg_key>\n<arg_value>{T}</arg_value>\n</tool_call>",
    f"<tool_call>\n<function=search>\n<parameter=q>\n{T}\n</parameter>\n</function>\n</tool_call>\n{A}",
    f'<function_calls>\n<invoke name="x">\n<parameter name="q">{T}</parameter>\n</invoke>\n</function_calls>\n{A}',
    f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>x\n{T}<｜tool▁call▁end｜><｜tool▁calls▁end｜>{A}",
    f'<|tool_call>call:search{{q:<|"|>{T}<|"|>}}<tool_call|>{A}',
    # tokens that no list holds, whose names say what they frame
    f"<|start_thinking|>{T}<|end_thinking|>{A}",
    f"<|startofthink|>{T}<|endofthink|>{A}",
    f"<｜begin▁of▁thinking｜>{T}<｜end▁of▁thinking｜>{A}",
    f"<think>{T}</think><|tool_call_begin|>functions.search:0<|tool_call_argument_begin|>{T}<|tool_call_end|>{A}",
    f'<|tool_call_start|>[s(q="{T}")]<|tool_call_end|>\n<|tool_response_start|>{T}<|tool_response_end|>{A}',
    f"<|tool_list_start|>[{T}]<|tool_list_end|>{A}",
    f'{A}<|tools_prefix|>[{{"s":{{"q":"{T}"}}}}]<|tools_suffix|>',
    f"<think>{T}</think>{A}<|tool▁calls▁begin|><|tool▁call▁begin|>s<|tool▁sep|>{T}<|tool▁call▁end|><|tool▁calls▁end|>",
    f'{A}<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="{T}">{T}</steptml:invoke><｜tool_call_end｜><｜tool_calls_end｜>',
    f"<|reason_start|>{T}<|reason_end|>{A}",
    f"<|cot_begin|>{T}<|cot_end|>{A}",
    f"<begin_think>{T}<end_think>{A}",
    f"<start_reasoning>\n{T}\n<end_reasoning>\n{A}",
    f"<|think|>{T}</think>{A}",
    f"<|begin_of_thought|>{T}\n</think>\n{A}",
    f"<think>{T}<|channel|>final<|message|>{A}",
    f"**Chain of Thought:** The user wants {T}.\n\n**Answer:** {A}",
    f"**Step-by-step reasoning:** The user asks {T}.\n\n**Answer:** {A}",
    f"（思考：用户想知道{T}。）\n\n{A}",
    f"<|think|>\n{T}\n<|end_think|>\n{A}",
    f"<|Thought|>{T}<|/Thought|>{A}",
    f"<|reasoning_content|>{T}<|/reasoning_content|>{A}",
    f"<｜think｜>{T}<｜/think｜>{A}",
    # what FunctionGemma, Mistral, Ernie and Phi frame
    f"<start_function_call>call:s{{q:<escape>{T}<escape>}}<end_function_call>{A}",
    f"[SYSTEM_PROMPT]{T}[/SYSTEM_PROMPT]{A}",
    f'[MODEL_SETTINGS]{{"reasoning_effort":"{T}"}}[/MODEL_SETTINGS][THINK]{T}[/THINK]{A}',
    f'[AVAILABLE_TOOLS][{{"n":"{T}"}}][/AVAILABLE_TOOLS]{A}',
    f'<think>{T}</think><tool_call>\n{{"name":"{T}"}}\n</tool_call>\n<tool_output>{T}</tool_output>\n{A}',
    f'<|tool_call|>[{{"name":"{T}"}}]<|/tool_call|><|tool_response|>{T}<|/tool_response|>{A}',
    # another's turn
    f"<think>{T}</think>{A}<|developer_start|>{T}",
    f"{A}[|endofturn|]\n[|tool|]{T}",
    f"{A}\n<extra_id_1>User\n{T}",
    # an end of another kind, labels, and harmony without its marks
    f"<thought>\n{T} {T} {T}\n</think>\n{A}",
    f"<think>{T}<|/thinking|>\n{A}",
    f"**Internal Thought:** The user wants {T}.\n\n**Answer:** {A}",
    f"## Thinking Process\n\n1. The user wants {T}.\n2. {T}\n\n## Final Answer\n\n{A}",
    f"<|channel|>analysis<|message|>{T}<|end|><|start|>assistant to=user<|channel|>final<|message|>{A}",
    f"assistant\nanalysis\n{T}\nassistant\nfinal\n{A}",
    f"assistantfinal\n\n{A}",
    # thoughts in a turn, a token, a fence or an element of their own, and ends of other families
    f"<|im_start|>think\nOkay, {T}.\n<|im_start|>answer\n{A}<|im_end|>",
    f"<|im_start|>think{T.capitalize()} {T}.<|im_start|>answer{A}",
    f"<|notes|>Okay, the user asks {T}.<|/notes|>{A}",
    f"<|notes|>\nI should answer {T}.\n<|end_notes|>\n{A}",
    f"~~~thinking\n{T}\n~~~\n\n{A}",
    f"````thinking\n```\n{T}\n```\n````\n{A}",
    f"``` think\n{T}\n```\n{A}",
    f"<details open>\n<summary>Thinking</summary>\n\n{T}\n</details>\n\n{A}",
    f"<think>{T}.<|end_of_thought|>{A}",
    f"<think>{T}.\n<|end_think|>\n{A}",
    f"<think>{T}.\n<end_think>\n{A}",
    # a header without its first token, and a result that is made up
    f"assistant<|header_end|>\n\n{A}",
    f'<tool_call>{{"q": "{T}"}}</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\n{T}\n</tool_response><|im_end|>\n<|im_start|>assistant\n{A}',
    f"<function_calls>\ns({T})\n</function_calls><|im_end|>\n<|im_start|>environment\n{T}<|im_end|>\n<|im_start|>assistant\n{A}",
)

LEAKING: Final[tuple[str, ...]] = (
    *(f"{opening}{thought}{closing}{A}" for opening, closing in _PAIRS for thought in _THOUGHTS),
    *_OTHERS,
)
