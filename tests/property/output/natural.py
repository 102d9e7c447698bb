"""Grammars of natural text: what people ask models for, in several languages, without any thinking."""

from __future__ import annotations

import re
from typing import Final

from hypothesis import strategies as st

from bot.output.markup import MARKERS, Kind

NAMES: Final = ("Max", "Cons", "Python", "Host", "Note", "User", "Server", "Jörg K.", "小明")
"""Participants of the conversation, called like ordinary words."""

_SENTENCES: Final = (
    "It depends on the load.",
    "Here are my notes on it.",
    "Sure!",
    "Restart the service, then look at the log.",
    "Here is my list of reasons.",
    "The analysis is short",
    "thought experiments cost nothing",
    "Das hängt von der Größe ab.",
    "Zuerst lesen, dann schreiben!",
    "Это зависит от нагрузки.",
    "Сначала прочтите журнал",
    "这取决于负载。",
    "先重启服务，然后查看日志。",
    "それは負荷によります。",
    "まずログを確認してください",
    "هذا يعتمد على الحمل.",
    "Cela dépend de la charge.",
    "Depende de la carga, ¿no?",
    "Ça va « bien ».",
    "5 < 6, a <- b, x << 3 and [1, 2][0].",
    "He said \"yes\", she said 'no'.",
    "assistant professors and user groups exist.",
    "The answer is 42",
)
_KEYS: Final = (
    *NAMES,
    *("Assistant", "AI", "Bot", "Human", "System", "Answer", "Q", "A", "Port", "Pros", "Clawbot"),
    *("Warning", "Thought", "Thinking", "Final answer", "Вопрос", "回答", "注意", "質問", "ملاحظة"),
)
_VALUES: Final = (
    *("10.0.0.5", "root", "22", "31 °C", "yes", "none", "a, b and c", "see below", "0.5 %"),
    *("Hello there!", "Wie geht's?", "Как дела?", "你好！", "こんにちは", "مرحبا", "Bien, merci."),
)
_TAGS: Final = (
    *("item", "note", "plan", "reason", "analysis", "thought", "reasoning", "output", "Answer"),
    *("b", "td", "config", "response", "reflection", "step"),
)

sentences: Final = st.sampled_from(_SENTENCES)
keys: Final = st.sampled_from(_KEYS)
values: Final = st.sampled_from(_VALUES)
tags: Final = st.sampled_from(_TAGS)
_lines = st.lists(st.tuples(keys, values), min_size=1, max_size=4)


def _each(form: str) -> st.SearchStrategy[str]:
    """Return lines of one form with a key and a value each."""
    return _lines.map(lambda pairs: "\n".join(form.format(k=k, v=v) for k, v in pairs))


prose: Final = st.lists(sentences, min_size=1, max_size=3).map(" ".join)
labelled: Final = st.sampled_from(
    [
        *("{k}: {v}", "{k}：{v}", "**{k}:** {v}", "**{k}**: {v}", "- {k}: {v}", "* **{k}**: {v}"),
        *("{k} = {v}", "{k}:\t{v}", "> {k}: {v}", "1. {k}: {v}", "  {k}: {v}", "### {k}:\n{v}"),
        *("[10:02] {k}: {v}", "10:02 <{k}> {v}", "[2026-11-26 10:02] {k}: {v}", "@{k}: {v}"),
        *("26.11.26, 10:02 - {k}: {v}", "{k} (10:02): {v}", "— {k}: {v}", "[{k}]: {v}"),
        *("{k}.\n    {v}", "_{k}:_ {v}", "{k}\n{v}", "| {k} | {v} |", "\n{k}: {v}"),
    ]
).flatmap(_each)


def _element(name: str, inside: str) -> str:
    return f"<{name}>{inside}</{name}>"


inline_markup: Final = st.builds(
    lambda before, name, value, after: f"{before} The {_element(name, value)} there. {after}",
    sentences,
    tags,
    values,
    sentences,
)
block_markup: Final = st.builds(
    lambda intro, root, inner, value: (
        f"{intro}:\n\n<{root}>\n  {_element(inner, value)}\n{_element(inner, value)}\n</{root}>"
    ),
    st.sampled_from(["The file", "So sieht es aus", "例如", "Вот пример", "مثال"]),
    tags,
    tags,
    values,
)
_INSIDE: Final = (
    "for x in range(3):\n    print(x)",
    "Host example\n  User root\n  Port 22",
    "User: hi\nAssistant: hello",
    "<|im_start|>user\nhi<|im_end|>\n<think>\nno\n</think>",
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] }}{% endfor %}",
    "[INST] hi [/INST] hello </s>",
    "key: value\nlist:\n  - a",
    "<div>{items.map((i) => <Item key={i} />)}</div>",
    "<plan>\n<step>1</step>\n</plan>",
)
code: Final = st.builds(
    lambda lead, language, inside, after: f"{lead}```{language}\n{inside}\n```\n{after}",
    st.sampled_from(["", "Like this:\n\n", "So geht es:\n", "如下：\n\n"]),
    st.sampled_from(["", "py", "yaml", "xml", "jinja", "text"]),
    st.sampled_from(_INSIDE),
    sentences,
)
inline_code: Final = st.builds(
    lambda before, token, after: f"{before} Use `{token}` here. {after}",
    sentences,
    st.sampled_from([*MARKERS, "{{ x }}", "a|b", "<T>", "User:"]),
    sentences,
)
table: Final = _lines.map(
    lambda pairs: (
        "| a | b |\n| --- | --- |\n" + "\n".join(f"| {key} | {value} |" for key, value in pairs)
    )
)
script: Final = st.builds(
    lambda head, pairs: head + "\n\n" + "\n".join(f"{k}: {v}" for k, v in pairs),
    st.sampled_from(
        [
            "Here is a dialogue.",
            "**Scene 1**",
            "# Interview",
            "A chat",
            "对话",
            "Диалог",
            "(Max enters)",
        ]
    ),
    _lines,
)
REAL_LIFE: Final = (
    "[INFO] loading\n[ERROR] [model] out of memory\n[2026-11-26T10:02:11Z] user=root cmd=ls",
    "llm_load_print_meta: EOS token = 151645 '<|im_end|>'\nllm_load_print_meta: max length = 256",
    "DB_HOST=localhost\nDB_USER=root\nDB_PASS=\nSTOP=</s>\nTHINK_END=</think>",
    "model: qwen3\nstop:\n  - <|im_end|>\n  - </s>\nsystem: You help.\nuser: Max\nassistant: Clawbot",
    "$ ollama run deepseek-r1\n>>> hi\n<think>\n\n</think>\n\nHello!\n\n>>> /bye",
    "In [1]: print('<think>')\n<think>\n\nIn [2]: print('</think>')\n</think>\n\nIn [3]: quit",
    "diff --git a/t b/t\n@@ -1,2 +1,2 @@\n <think>\n-</think>\n+\n+</think>",
    "re.compile(r'^(?:.*</think>)?(.*)$', re.S)",
    "mysql> SELECT 1;\n+----+------+\n| id | name |\n+----+------+\n1 row in set",
    "<Max> has anyone tried <think> tags?\n<Maria> yes\n<AI> no",
    "26/11/2026, 10:02 - Max: Hi\n26/11/2026, 10:03 - Maria: This message was deleted",
    "ls(1)\n\nNAME\n       ls - list directory contents\n\nSYNOPSIS\n       ls [OPTION]... [FILE]...",
    "From: Max <max@example.com>\nTo: Maria\nSubject: Re: <no subject>\n\nHi.\n\n-- \nMax",
    "WEBVTT\n\n00:01.000 --> 00:04.000\n<v Max>Hello</v>",
    "Title\n~~~~~\n\nIt costs $5 or $6, $HOME/$USER and 7$.",
    "Token | ID\n<think> | 151667\n</think> | 151668\n\nDone.",
    "Close it with </think> and go on. Look for </think>\nThen cut the text there.",
    "1. Find </think>\n2. Cut there.",
    "模型输出</think>后开始回答。看到</think>就表示思考结束了。",
    "モデルは</think>を出力してから答えます。",
    "Das Modell beendet sein Denken mit </think>. Danach kommt die Antwort.",
    "Модель заканчивает размышление тегом </think>. После него идёт ответ.",
    "ينهي النموذج تفكيره بـ </think> ثم يجيب.",
    "मॉडल </think> लिखकर सोच समाप्त करता है।",
)
"""Logs, settings, sessions, mails, tables and sentences about markup."""

PIECES: Final = st.one_of(
    st.sampled_from(REAL_LIFE),
    prose,
    labelled,
    inline_markup,
    block_markup,
    code,
    inline_code,
    table,
    script,
)
_OWN_LABEL: Final = re.compile(r"[\W\d]*(?:Assistant|AI|Bot|Clawbot)\b")


def _document(pieces: list[str]) -> str:
    """Join pieces; a label of the model's own role at the very beginning would be taken away."""
    text = "\n\n".join(pieces)
    return f"So.\n\n{text}" if _OWN_LABEL.match(text) else text


documents: Final = st.lists(PIECES, min_size=1, max_size=6).map(_document)

_SPOKEN: Final = (
    "The {t} token ends a turn.",
    "Qwen writes {t} at the end, Llama doesn't.",
    "It writes {t}, then the answer.",
    'It is "{t}" there.',
    "The token ({t}) is special.",
    "A template has tokens, {t} and {t} for example.",
    "- {t}: a special token\n- other: none",
    "* {t} is a special token",
    "1. {t} comes first",
    "| {t} | a special token |\n| other | none |",
    "The **{t}** token is bold.",
    "Das Modell schreibt {t} am Ende des Zuges.",
    "Es ist das Token {t}, nicht mehr.",
    "Модель пишет {t} в конце ответа.",
    "Это токен {t}, и всё.",
    "模型会写 {t} 来结束回答。",
    "模型使用「{t}」标记。",
    "モデルは {t} を書きます。",
    "モデルは「{t}」で終わります。",
    "يكتب النموذج {t} في النهاية.",
    "Le modèle écrit {t} à la fin.",
    "El modelo escribe {t} al final.",
)
_MARKS: Final = tuple(text for text in MARKERS if text != "[ARGS]")
_ON_ITS_LINE: Final = "They are called:\n\n{t}\n\nand so on."
_CLOSERS: Final = frozenset(text for text, marker in MARKERS.items() if marker.kind is Kind.CLOSE)
spoken_of: Final = st.one_of(
    st.builds(
        lambda form, token: form.format(t=token), st.sampled_from(_SPOKEN), st.sampled_from(_MARKS)
    ),
    st.sampled_from([text for text in _MARKS if text not in _CLOSERS]).map(
        lambda token: _ON_ITS_LINE.format(t=token)
    ),
)
"""Sentences about one piece of markup, of any family.

A closing tag alone on its line says, wherever it stands, that everything before was thinking.
"""
