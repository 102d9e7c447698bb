"""Hostile text runs nothing, loads nothing, and is shown as the text it is."""

from __future__ import annotations

import pytest
from playwright.async_api import FilePayload, expect

from sandbox.lmstudio import Answer
from tests.browser.reader import Reader

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = (
    "<img src=x onerror=document.title='hacked'>",
    "<script>document.title='hacked'</script>",
    "<svg/onload=document.title='hacked'>",
    "![x](https://evil.example/x.png) <https://evil.example/a>",
    "[click](javascript:document.title='hacked')",
    "[click](data:text/html,<script>document.title='hacked'</script>)",
    "[a](https://evil.example/\"onmouseover=\"document.title='hacked')",
    "```html\n<img src=x onerror=document.title='hacked'>\n```",
    "```</code><script>document.title='hacked'</script>```",
    "`<iframe srcdoc=\"<script>parent.document.title='hacked'</script>\">`",
    "||<img src=x onerror=document.title='hacked'>||",
    "> <object data='https://evil.example/x'>",
    "# <style>@import 'https://evil.example/x.css'</style>",
    "<@1><@&1><#1><t:99999999999:R></x:1><:a_b:1>",
    "&lt;b&gt; &#x3c;script&#x3e;",
    "constructor __proto__ [[x]](https://evil.example) \u202egnp.exe",
)
STATE = """() => ({
  title: document.title,
  nodes: [...document.querySelectorAll('.messages *')].filter((node) =>
    /^(SCRIPT|IFRAME|OBJECT|EMBED|STYLE|LINK|FORM|BASE|META|VIDEO|AUDIO)$/.test(node.tagName)
    || [...node.attributes].some((each) => /^on/.test(each.name))
    || /^(javascript|data|vbscript):/i.test(node.getAttribute('href') ?? '')
    || (node.tagName === 'IMG' && !node.getAttribute('src').startsWith('/files/'))).length,
})"""


async def expect_harmless(reader: Reader) -> None:
    state = await reader.page.evaluate(STATE)
    assert state == {"title": f"#{reader.channel.name} · Clawbot demo", "nodes": 0}


async def test_a_persons_text_is_text(reader: Reader) -> None:
    for text in HOSTILE:
        await reader.demo.places.admin.say(reader.channel, text)
    await expect(reader.messages).to_have_count(len(HOSTILE))
    await expect(reader.message("<script>document.title='hacked'</script>").first).to_be_visible()
    await expect(reader.message("&lt;b&gt;")).to_be_visible()
    await expect_harmless(reader)
    await reader.picture("hostile")


async def test_what_the_model_says_is_text(reader: Reader) -> None:
    lmstudio = reader.demo.lmstudio
    assert lmstudio is not None
    lmstudio.answer(Answer("\n\n".join(HOSTILE[:9]), reasoning=HOSTILE[0]))
    await reader.say("@Clawbot say something bad")
    answer = reader.messages.filter(has=reader.button("Show thinking"))
    await expect(answer).to_have_count(1)
    await reader.button("Show thinking").click()
    await expect(reader.message("Only you can see this")).to_be_visible()
    await expect_harmless(reader)


async def test_what_stands_in_an_embed_is_text(reader: Reader) -> None:
    bad = HOSTILE[0]
    embed = {
        "title": bad,
        "url": "https://evil.example/",
        "description": "\n".join(HOSTILE),
        "fields": [{"name": bad, "value": bad, "inline": True}],
        "footer": {"text": bad, "icon_url": "https://evil.example/i.png"},
        "author": {
            "name": bad,
            "url": "https://evil.example",
            "icon_url": "https://evil.example/j",
        },
        "image": {"url": "https://evil.example/k.png"},
        "thumbnail": {"url": "https://evil.example/l.png"},
    }
    await reader.bot_says(content="embedded", embeds=[embed])
    await expect(reader.message("embedded").locator(".embed-title")).to_contain_text("<img")
    await expect_harmless(reader)


async def test_names_are_text(reader: Reader) -> None:
    discord = reader.demo.discord
    stranger = discord.add_user(HOSTILE[0][:32])
    reader.demo.places.guild.add_member(stranger)
    room = reader.demo.places.guild.add_channel("img-src-x-onerror-alert")
    await stranger.say(reader.channel, "my name is long")
    await expect(reader.message("my name is long").locator(".author")).to_have_text(HOSTILE[0][:32])
    await expect(reader.page.get_by_role("link", name=room.name)).to_be_visible()
    await expect_harmless(reader)


async def test_a_files_name_is_text_and_no_page_is_opened_from_it(reader: Reader) -> None:
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
    )
    files: list[FilePayload] = [
        {
            "name": "<img src=x onerror=alert(1)>.html",
            "mimeType": "text/html",
            "buffer": b"<script>1</script>",
        },
        {"name": "drawing.svg", "mimeType": "image/svg+xml", "buffer": svg},
        {"name": "no-picture.png", "mimeType": "image/png", "buffer": svg},
    ]
    await reader.page.locator(".composer input[type=file]").set_input_files(files)
    await expect(reader.button("Send")).to_be_enabled()
    await reader.say("see the files")
    links = reader.message("see the files").locator("a[download]")
    await expect(links).to_have_count(len(files))
    for at in range(len(files)):
        link = links.nth(at)
        await expect(link).to_have_attribute("download", str(await link.text_content()))
    await expect_harmless(reader)


async def test_a_link_says_where_it_leads_before_it_is_opened(reader: Reader) -> None:
    await reader.say("read [the manual](https://manual.example/page)")
    await reader.page.get_by_role("link", name="the manual").click()
    dialog = reader.page.get_by_role("dialog", name="This link leaves the demo")
    await expect(dialog).to_contain_text("https://manual.example/page")
    await reader.page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    assert len(reader.page.context.pages) == 1


async def test_the_browser_itself_refuses_html_made_of_text(reader: Reader) -> None:
    refused = await reader.page.evaluate(
        """() => {
          try { document.createElement("div").innerHTML = "<b>x</b>"; return false; }
          catch (error) { return error instanceof TypeError; }
        }"""
    )
    assert refused
    await reader.forgive("TrustedHTML")
