"""Thinking in front of an answer is hidden in forms that no list holds, and natural text is shown."""

from __future__ import annotations

import pytest

from bot.core.domain import FinishReason
from bot.output.pipeline import Verdict
from tests.unit.output.helpers import pipeline, versions

SECRET = "SECRETSTEP"
ANSWER = "It is **Paris**."
NAMED = (
    *("ponder", "inner_monologue", "reflect", "Deliberation", "thought_chain", "reasoning-steps"),
    *("self_reflection", "internal_dialogue", "思考", "размышление"),
)
ABOUT_THE_USER = (
    f"Okay, the user asks for the capital. {SECRET}",
    f"Hmm. The user wants {SECRET}.",
    f"好的，用户问{SECRET}。",
    f"はい、ユーザーは{SECRET}",
    f"Итак, пользователь спрашивает {SECRET}",
)
FORMS = (
    "<notes>\n{}\n</notes>\n\n{}",
    "<draft>{}</draft>{}",
    "<ponder>{}</ponder>\n<work>{}</work>\n{}",
    "**Thinking:**\n{}\n\n**Answer:**\n{}",
    "**Thinking:** {}\n\n**Final Answer:** {}",
    "Thinking: {}\n\nAnswer: {}",
    "### Thinking\n{}\n\n### Answer\n{}",
    "**Thought Process:**\n\n{}\n\n**Response:**\n\n{}",
)
ACCIDENTS = (
    f"Thinking Process:\n\n1.  **Analyze the Request:** {SECRET}\n\n**Answer:**\n{ANSWER}",
    f"Thinking...\n\n{SECRET}\n\n...done thinking.\n\n{ANSWER}",
    f"```thinking\n{SECRET}\n```\n{ANSWER}",
    f"<details>\n<summary>Thought for 3 seconds</summary>\n{SECRET}\n</details>\n{ANSWER}",
    f"```thoughts\nOkay, the user wants {SECRET}.\n```\n\n{ANSWER}",
    f"```thought\nLet me recall the capital: {SECRET}.\n```\n\n{ANSWER}",
    f"```reasoning\nThe user asks {SECRET}.\n```\n{ANSWER}",
    f"Thinking…\n{SECRET}\n…done thinking.\n{ANSWER}",
    f"<details>\n<summary>思考过程</summary>\n用户{SECRET}\n</details>\n{ANSWER}",
    f"-# <think>\n{SECRET}\n</think>\n{ANSWER}",
    f"<reason>The user asks for it, {SECRET}.</reason>\n{ANSWER}",
    f"<reason>Okay. {SECRET}</reason>\n{ANSWER}",
    f"<plan>Greet the user, then {SECRET}</plan>\n{ANSWER}",
    f"<plan>Answer briefly: {SECRET}</plan>\n{ANSWER}",
    f"<thought>{SECRET} one.</thought>\n{ANSWER}",
    f"<reasoning>We need the capital: {SECRET}</reasoning>{ANSWER}",
    f"<thought>我应该回答{SECRET}</thought>\n{ANSWER}",
    f"<plan>Ich sollte kurz antworten: {SECRET}</plan>\n{ANSWER}",
    f"<|thinking|>{SECRET}<|answer|>{ANSWER}",
    f"<think>{SECRET}.<\\think>\n{ANSWER}",
    f"<think>{SECRET}.[/think]\n{ANSWER}",
    f"<think>{SECRET}<|im_end|>\n<|im_start|>assistant\n{ANSWER}<|im_end|>",
)
WANTS = f"the user wants {SECRET}."
LABELLED = (
    f"Thinking: {WANTS}\n\n{ANSWER}",
    f"*Thinking: {WANTS}*\n\n{ANSWER}",
    f"_Thinking: {WANTS}_\n{ANSWER}",
    f"***Thinking: {WANTS}***\n\n{ANSWER}",
    f"(Thinking: {WANTS})\n\n{ANSWER}",
    f"[Thinking: {WANTS}]\n\n{ANSWER}",
    f"**Thinking:** {WANTS}\n\n{ANSWER}",
    f"*Thinking:* {WANTS}\n\n{ANSWER}",
    f"💭 Thinking: {WANTS}\n\n{ANSWER}",
    f"The thinking process: {WANTS}\n\n{ANSWER}",
    f"> Thinking: {WANTS}\n\n{ANSWER}",
    f"> 💭 *Thinking: {WANTS}*\n>\n> {SECRET} again.\n{ANSWER}",
    f"-# Thinking: {WANTS}\n-# {SECRET}\n{ANSWER}",
    f"Thinking: Okay, {WANTS}\n{SECRET} goes on.\n\nI should answer {SECRET}.\n\n{ANSWER}",
    f"*Thinking: {WANTS}*\n\n*I should answer {SECRET}.*\n\n{ANSWER}",
    f"Thinking: I need to answer {SECRET}.\n\n{ANSWER}",
    f"**Thinking:**\n{WANTS}\n\n{ANSWER}",
    f"**Thinking:**\n{WANTS}\n\n1. {SECRET}\n\n{SECRET}\n\n**Answer:** {ANSWER}",
    f"### Thinking\n\n{WANTS}\n\n---\n\n{ANSWER}",
    f"Thinking Process:\n\n1.  **Analyze the Request:** {SECRET}\n</think>\n\n{ANSWER}",
    f"Reasoning: the user is asking for {SECRET}.\n\nAnswer: {ANSWER}",
    f"Internal monologue: {WANTS}\n\n{ANSWER}",
    f"*Gedanken: Der Nutzer möchte {SECRET}.*\n\n{ANSWER}",
    f"> Überlegung: Der Nutzer fragt {SECRET}.\n\n{ANSWER}",
    f"*Réflexion : l'utilisateur veut {SECRET}.*\n\n{ANSWER}",
    f"**Raisonnement :** L'utilisateur demande {SECRET}.\n\n{ANSWER}",
    f"**Pensamiento:** El usuario pide {SECRET}.\n\n{ANSWER}",
    f"*Raciocínio: o usuário quer {SECRET}.*\n\n{ANSWER}",
    f"**Ragionamento:** L'utente chiede {SECRET}.\n\n{ANSWER}",
    f"*Размышление: пользователь спрашивает {SECRET}.*\n\n{ANSWER}",
    f"思考：用户想要{SECRET}。\n\n{ANSWER}",
    f"**思考过程：**用户想要{SECRET}。\n\n{ANSWER}",
    f"*考え：ユーザーは{SECRET}と聞いている。*\n\n{ANSWER}",
    f"**생각:** 사용자는 {SECRET}를 묻고 있다.\n\n{ANSWER}",
    f"**التفكير:** المستخدم يسأل {SECRET}.\n\n{ANSWER}",
    f"**Düşünce:** Kullanıcı {SECRET} soruyor.\n\n{ANSWER}",
)
NATURAL = (
    "<reason>Out of stock</reason>\n\nThe order was cancelled.",
    "<reason>Payment was declined by the bank.</reason>\n<retry>false</retry>",
    "<plan>Go</plan> is the element that the server answers with.",
    "<reflection>1</reflection>\n\nThat turns reflections on.",
    "<thought>Nice day</thought>\n\nPut it above the second panel.",
    "<thought>It is late, and the road is long.</thought> is what nobody says aloud.",
    '<thought type="idea">Bread</thought>',
    "<analysis>Complete blood count</analysis>\n\nThe laboratory wants its name.",
    "<output>text</output> takes the result of a calculation.",
    "<answer>42</answer> is what the grader looks for.",
    "```thoughts\nHappiness is a warm blanket.\n```\n\nAn entry for your diary.",
    "```thought\nIt is what it is.\n```\nIt is drawn as a bubble.",
    "Reasoning: the user is authenticated.\n\nAnswer: yes, they may pass.",
    "Thinking: fast and slow.\n\nAnswer: the book is by Daniel Kahneman.",
    "> Thinking: the man is a reed, but a thinking reed.\n\nSo Pascal.",
    "*Gedanken: frei* steht auf dem Schild.",
    "思考：人为什么要学习？\n\n这是一个古老的问题。",
    "Мысли: о главном.\n\nРассуждение: всё течёт.",
    "<details>\n<summary>Reasoning behind the colours</summary>\n\nRed.\n</details>\n\nMore.",
    "<ponder> is no element of HTML.",
    "<ponder>x</ponder>",
    "<reflection-map>\n  <item>4</item>\n</reflection-map>\n\nThat is the file.",
    "<note>\nOkay, remember the milk.\n</note>\n\nThat is the file.",
    "<letter>\nDear user, I need to leave.\n</letter>\n\nYours.",
    "<reply>Let me think about it.</reply>\n\nSend this.",
    "<responder>Alice Munro, Station 12, by telephone</responder>\n<received>2024-05-01</received>",
    "<internal_id>42</internal_id>\n<name>Bob</name>",
    "<reasonCode>4</reasonCode>\n<text>Late</text>",
    "<rationale_id>Cheaper</rationale_id>\n\nThat is the element.",
    "<ticket>The user asks for a refund.</ticket>\n\nThat is the ticket.",
    "<scenario>The user has a cart.</scenario>\n<scenario>The user pays.</scenario>",
    "<p>The user wants it.</p>\n\nA paragraph.",
    "<system_prompt>The user is a child.</system_prompt>\n\nUse this one.",
    "<details>\n<summary>My thoughts are long</summary>\n\nA post.\n</details>\n\nDone.",
    "Thinking: a process.\nAnswer: a result.",
    "**Reasoning:** the premise is false.\n\n**Answer:** B",
    "## Reasoning\n\nWe need to show that x > 0.\n\n## Answer\n\nx = 1",
    "Thinking...",
    "<",
    "<ponder",
    "**Think",
)


def _shown(text: str, reason: FinishReason = FinishReason.STOP) -> set[str]:
    """Stream a text in three cuttings; return what is shown at the end of each."""
    found = set()
    for size in (1, 4, len(text)):
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        seen = versions(pipeline(), pieces, reason)
        assert not any(SECRET in version for version in seen)
        found.add(seen[-1])
    return found


@pytest.mark.parametrize("name", NAMED)
def test_a_tag_whose_name_says_that_it_holds_thinking_is_hidden(name: str) -> None:
    for thought in (f"First recall it: {SECRET}.", f"1. {SECRET}\n2. more"):
        assert _shown(f"<{name}>\n{thought}\n</{name}>\n\n{ANSWER}") == {ANSWER}
        assert _shown(f"<{name}>{thought}</{name}>{ANSWER}") == {ANSWER}
        assert _shown(f"<{name}>{thought}", FinishReason.LENGTH) == {""}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_tells_of_the_user_is_hidden(form: str) -> None:
    for thought in ABOUT_THE_USER:
        text = form.format(*[thought] * (form.count("{}") - 1), ANSWER)
        assert _shown(text) == {ANSWER}


@pytest.mark.parametrize("text", ACCIDENTS)
def test_a_habit_of_models_is_hidden(text: str) -> None:
    assert _shown(text) == {ANSWER}


@pytest.mark.parametrize("text", LABELLED)
def test_labelled_thoughts_are_hidden_up_to_the_answer(text: str) -> None:
    assert _shown(text) == {ANSWER}


@pytest.mark.parametrize("text", NATURAL)
def test_what_may_be_the_answer_is_shown(text: str) -> None:
    assert _shown(text) == {text}


def test_what_has_no_answer_behind_it_is_the_answer() -> None:
    target = pipeline()
    text = "<draft>\nThe user asks for tea.\n</draft>"
    assert versions(target, [text])[-1] == text
    assert target.verdict is Verdict.ANSWER
