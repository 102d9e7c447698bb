"""Discord's Markdown, as the page draws it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.reader import Reader

pytestmark = pytest.mark.asyncio(loop_scope="session")

DRAWN = (
    ("**bold** *slant* _slant_", "<p><strong>bold</strong> <em>slant</em> <em>slant</em></p>"),
    ("***both***", "<p><em><strong>both</strong></em></p>"),
    ("__under__ ~~struck~~", "<p><u>under</u> <s>struck</s></p>"),
    ("__*all*__", "<p><u><em>all</em></u></p>"),
    ('**"quoted"**word', '<p><strong>"quoted"</strong>word</p>'),
    ("snake_case_name and 2 * 3 * 4", "<p>snake_case_name and 2 * 3 * 4</p>"),
    (r"\*no\* \`no\` \_no\_", "<p>*no* `no` _no_</p>"),
    ("`code` ``a`b`` `**x**`", "<p><code>code</code> <code>a`b</code> <code>**x**</code></p>"),
    ("a\nb\n\nc", "<p>a\nb\n\nc</p>"),
    (
        "# One\n## Two\n### Three\n#### Four",
        "<h3>One</h3><h4>Two</h4><h5>Three</h5><p>#### Four</p>",
    ),
    ("#no heading", "<p>#no heading</p>"),
    ("-# small", "<small>small</small>"),
    ("> one\n> two\nthree", "<blockquote><p>one\ntwo</p></blockquote><p>three</p>"),
    (">no quote", "<p>&gt;no quote</p>"),
    ("a\n>>> all\nthe rest", "<p>a\n</p><blockquote><p>all\nthe rest</p></blockquote>"),
    ("- a\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
    ("- a\n  - b", "<ul><li><p>a\n</p><ul><li><p>b</p></li></ul></li></ul>"),
    ("3. a\n4. b", '<ol start="3"><li><p>a</p></li><li><p>b</p></li></ol>'),
    ("- a\nafter", "<ul><li><p>a</p></li></ul><p>after</p>"),
    ("+ no list\n1) nor this", "<p>+ no list\n1) nor this</p>"),
    ("- [ ] to do", "<ul><li><p>[ ] to do</p></li></ul>"),
    ("| a | b |\n|---|---|", "<p>| a | b |\n|---|---|</p>"),
    ("---\nText\n===", "<p>---\nText\n===</p>"),
    ("    not code", "<p>    not code</p>"),
    ("```\nplain\n```", "<pre><code>plain</code></pre>"),
    ("see ```x``` there", "<p>see </p><pre><code>x</code></pre><p> there</p>"),
    ("```never closed", "<p>```never closed</p>"),
    ("> ```\n> x\n> ```", "<blockquote><pre><code>x</code></pre></blockquote>"),
    (
        "<@{bot}> <@&5> <#6>",
        "<p><span>@Clawbot</span> <span>@deleted-role</span> <span>#unknown</span></p>",
    ),
    ("<:wave:123> </config set:5>", "<p><span>:wave:</span> <span>/config set</span></p>"),
    ("<b>html</b> &amp;", "<p>&lt;b&gt;html&lt;/b&gt; &amp;amp;</p>"),
    ("![alt](https://a.example/b.png)", "<p>!<a>alt</a></p>"),
    ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
    (
        "[https://a.example](https://b.example)",
        "<p>[<a>https://a.example](https://b.example)</a></p>",
    ),
    (
        "<https://a.example>, https://b.example/c_d_e.",
        "<p><a>https://a.example</a>, <a>https://b.example/c_d_e</a>.</p>",
    ),
    ("(https://a.example/x_(y))", "<p>(<a>https://a.example/x_(y)</a>)</p>"),
)
PLAIN = """async ([texts, bot]) => {
  const { marked } = await import("/static/js/markup.js");
  const names = { user: (id) => id === bot ? "Clawbot" : "?", role: () => "deleted-role",
                  channel: () => "unknown", isMe: () => false };
  const keep = (node) => node.nodeName === "OL" ? ` start="${node.getAttribute("start")}"` : "";
  const draw = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const holder = document.createElement("p");
      holder.textContent = node.textContent;
      return holder.innerHTML;
    }
    const name = node.nodeName.toLowerCase();
    return `<${name}${keep(node)}>${[...node.childNodes].map(draw).join("")}</${name}>`;
  };
  return texts.map((text) => marked(text, names).map(draw).join(""));
}"""
SIGNS = (
    *("*", "_", "**a", "||", "[", "`", "> ", "```", "- ", "1. ", "<", "~~", "*a **b ", "__*", "#"),
    *("[a](http://b", "* a", "\n", "- a\n", " a", "http://", "<@", "\\"),
)
WORST = [sign * (4000 // len(sign)) for sign in SIGNS]


async def test_discords_markdown_is_drawn_as_discord_draws_it(reader: Reader) -> None:
    bot = str(reader.demo.discord.bot_user.id)
    texts = [text.replace("{bot}", bot) for text, _ in DRAWN]
    found = await reader.page.evaluate(PLAIN, [texts, bot])
    assert list(zip(texts, found, strict=True)) == [
        (text, drawn) for text, (_, drawn) in zip(texts, DRAWN, strict=True)
    ]


async def test_no_text_is_too_much_for_it(reader: Reader) -> None:
    found = await reader.page.evaluate(PLAIN, [WORST, "1"])
    assert len(found) == len(WORST)


async def test_code_is_coloured_by_its_language(reader: Reader) -> None:
    await reader.say("```py\ndef double(x):\n    return x * 2\n```")
    code = reader.messages.locator("pre")
    await expect(code.locator(".code-keyword")).to_have_text(["def", "return"])
    await expect(code).to_have_text("def double(x):\n    return x * 2")


async def test_a_spoiler_is_shown_when_it_is_asked_for(reader: Reader) -> None:
    await reader.say("the end: ||he did it||")
    spoiler = reader.page.get_by_role("button", name="Hidden text. Show it.")
    await expect(reader.page.get_by_text("he did it")).to_be_hidden()
    await spoiler.press("Enter")
    await expect(reader.page.get_by_text("he did it")).to_be_visible()


async def test_a_relative_time_stays_true(reader: Reader) -> None:
    now = await reader.page.evaluate("Math.floor(Date.now() / 1000)")
    await reader.say(f"started <t:{now - 30}:R>")
    moment = reader.messages.locator("time[data-unix]")
    first = await moment.inner_text()
    await expect(moment).not_to_have_text(first)
