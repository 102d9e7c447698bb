"""How the page looks and sounds: dark, light, at a phone's width, to a screen reader."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ViewportSize, expect

from bot.demo.page.server import PageServer
from bot.demo.world import Demo
from bot.ops.terminal import program
from tests.browser.reader import DESKTOP, Reader, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE: ViewportSize = {"width": 390, "height": 844}
LOOKS: dict[str, dict[str, Any]] = {
    "dark": {"color_scheme": "dark", "viewport": DESKTOP},
    "light": {"color_scheme": "light", "viewport": DESKTOP},
    "phone": {
        "color_scheme": "dark",
        "viewport": PHONE,
        "has_touch": True,
        "reduced_motion": "reduce",
    },
    "zoomed": {
        "color_scheme": "light",
        "viewport": {"width": DESKTOP["width"] // 2, "height": DESKTOP["height"] // 2},
        "device_scale_factor": 2,
    },
    "forced": {"forced_colors": "active", "viewport": DESKTOP},
}
"""Zoomed: as a desktop's browser lays it out at 200 %."""
RICH = (
    "# Title\n- one\n- two\n> a quote with `code`\n```py\nprint('x')  # note\n```\n"
    "||hidden|| [link](https://a.example) <t:1700000000:R> **bold**\n-# small print"
)
AXE = files("axe_playwright_python").joinpath("axe.min.js")
SERIOUS = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.filter((each) => ["serious", "critical"].includes(each.impact)).flatMap(
    (each) => each.nodes.map((node) => `${each.id}: ${node.target} ${node.failureSummary}`));
}"""
PARTS = [
    *("skip", "model", "top-end", "rail", "sidebar", "channel-head"),
    *("stage", "composer", "panel"),
]
PART_WITH_FOCUS = f"document.activeElement.closest('{', '.join(f'#{each}' for each in PARTS)}')?.id"
NAME_WITH_FOCUS = """(() => { const at = document.activeElement;
  return at.getAttribute("aria-label") ?? at.textContent; })()"""
WIDER_THAN_THE_WINDOW = """() => [...document.querySelectorAll("body *")].filter((node) => {
  const box = node.getBoundingClientRect();
  return box.width && box.right > innerWidth + 1 && !node.closest(".sr-only, .skip, .panel, .left");
}).map((node) => node.outerHTML.slice(0, 100))"""


@pytest_asyncio.fixture(loop_scope="session", params=LOOKS)
async def look(
    request: pytest.FixtureRequest,
    browser: Browser,
    demo: Demo,
    server: PageServer,
    pictures: Path,
) -> AsyncGenerator[tuple[str, Reader], None]:
    """The page in one of its looks, with something of everything on it."""
    channel = demo.places.guild.add_channel(f"look-{request.param}")
    await demo.places.admin.say(channel, RICH)
    await demo.places.owner.say(
        channel, f"<@{demo.places.member.id}> look", files=[("a.txt", b"text")]
    )
    async with Tab.opened(browser, server.address, **LOOKS[request.param]) as tab:
        reader = Reader(tab, demo, channel, pictures)
        await reader.open()
        await reader.bot_says(
            content="An embed",
            embeds=[{"title": "T", "description": "D", "color": 255, "footer": {"text": "F"}}],
            components=[
                {
                    "type": 1,
                    "components": [
                        {"type": 2, "style": style, "label": f"B{style}", "custom_id": f"b{style}"}
                        for style in (1, 2, 3, 4)
                    ],
                }
            ],
        )
        await expect(reader.button("B4")).to_be_visible()
        yield request.param, reader
        assert tab.problems == []


async def findings(reader: Reader) -> list[str]:
    """Return what axe finds to be serious or critical."""
    if not await reader.page.evaluate("'axe' in window"):
        await reader.page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = await reader.page.evaluate(SERIOUS)
    return found


async def test_it_fits_and_has_no_serious_fault_of_accessibility(
    look: tuple[str, Reader],
) -> None:
    name, reader = look
    await reader.picture(name)
    assert await reader.page.evaluate(WIDER_THAN_THE_WINDOW) == []
    assert await findings(reader) == []
    if name == "phone":
        chat = await reader.page.locator("#chat").bounding_box()
        assert chat is not None
        assert chat["width"] == PHONE["width"]
        await check_drawers(reader)
    elif name in {"dark", "light"}:
        await check_parts(reader, name)


async def check_drawers(reader: Reader) -> None:
    """Look at what slides in where it is narrow."""
    await reader.button("Channels").click()
    await reader.picture("phone-channels")
    assert await findings(reader) == []
    await reader.page.keyboard.press("Escape")
    await reader.button("Panel: people, faults, inside").click()
    await reader.page.get_by_role("tab", name="Break it").click()
    await reader.picture("phone-break")
    assert await findings(reader) == []
    await reader.page.keyboard.press("Escape")
    await expect(reader.page.get_by_role("tab", name="Break it")).to_be_hidden()


async def check_parts(reader: Reader, name: str) -> None:
    """Look at the panel's parts, a menu, a dialog and the commands."""
    page = reader.page
    for tab in ("Break it", "Look inside"):
        await page.get_by_role("tab", name=tab).click()
        await reader.picture(f"{name}-{tab.split()[0].lower()}")
        assert await findings(reader) == []
    await reader.message("An embed").get_by_role("button", name="Clawbot").click()
    await reader.field.press_sequentially("/")
    await expect(page.get_by_role("option").first).to_be_visible()
    await reader.picture(f"{name}-commands")
    assert await findings(reader) == []
    await reader.field.fill("")
    await reader.button("Use your own").click()
    assert await findings(reader) == []
    await page.keyboard.press("Escape")


async def test_the_way_to_ones_own_model_names_what_is_to_be_typed(reader: Reader) -> None:
    await reader.button("Use your own").click()
    typed = reader.page.get_by_role("dialog", name="Use your own model").locator("code")
    await expect(typed.filter(has_text="LMSTUDIO_BASE_URL=http://")).to_be_visible()
    await expect(
        typed.filter(has_text=re.compile(f"^{re.escape(program())} demo$"))
    ).to_be_visible()
    await reader.picture("own-model")
    await reader.page.keyboard.press("Escape")


async def test_the_look_can_be_switched_and_is_kept(reader: Reader) -> None:
    html = reader.page.locator("html")
    button = reader.page.get_by_role("button", name="Colours")
    await button.click()
    await expect(html).to_have_attribute("data-theme", "dark")
    await button.click()
    await expect(html).to_have_attribute("data-theme", "light")
    await reader.page.reload()
    await expect(html).to_have_attribute("data-theme", "light")
    await button.click()
    await expect(button).to_have_accessible_name("Colours: as the system")


async def test_every_part_is_reached_by_the_tab_key(reader: Reader) -> None:
    await reader.say("something")
    await expect(reader.messages).to_have_count(1)
    await reader.page.get_by_role("link", name="Go to the message field").focus()
    seen = ["skip"]
    for _ in range(200):
        await reader.page.keyboard.press("Tab")
        part = await reader.page.evaluate(PART_WITH_FOCUS)
        if part == "skip":
            break
        if part and part != seen[-1]:
            seen.append(part)
    assert seen == PARTS


async def test_a_message_is_worked_by_keys_alone(reader: Reader) -> None:
    page = reader.page
    await reader.say("first")
    await reader.say("second")
    await expect(reader.message("second")).to_be_visible()
    await reader.messages.last.focus()
    await page.keyboard.press("ArrowUp")
    await expect(reader.messages.first).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menu", name="Message")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(reader.messages.first).to_be_focused()
    await page.keyboard.press("r")
    await expect(page.locator(".reply-bar")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator(".reply-bar")).to_be_hidden()
    await expect(reader.field).to_be_focused()
    await reader.messages.first.focus()
    await page.keyboard.press("Delete")
    await page.get_by_role("button", name="Delete", exact=True).press("Enter")
    await expect(reader.messages).to_have_count(1)


async def to(reader: Reader, name: str, key: str = "Tab") -> None:
    """Press a key until a control of this name has the focus."""
    for _ in range(80):
        await reader.page.keyboard.press(key)
        if name in str(await reader.page.evaluate(NAME_WITH_FOCUS)):
            return
    raise AssertionError(f"{name} isn't reached by {key}")


async def test_a_conversation_is_led_by_keys_alone(reader: Reader) -> None:
    page, keys = reader.page, reader.page.keyboard
    await to(reader, f"Message #{reader.channel.name}")
    await keys.type("@Cl")
    await expect(page.get_by_role("option", name="Clawbot")).to_be_visible()
    await keys.press("Tab")
    await keys.type("What does a cache keep?")
    await keys.press("Enter")
    await expect(reader.button("Regenerate")).to_be_visible()
    first = await reader.messages.last.get_attribute("data-id")
    await to(reader, "Regenerate", "Shift+Tab")
    await keys.press("Enter")
    await expect(reader.messages).to_have_count(2)
    await expect(reader.button("Regenerate")).to_be_visible()
    assert await reader.messages.last.get_attribute("data-id") == first
    await to(reader, f"Message #{reader.channel.name}")
    await keys.press("ArrowUp")
    await expect(page.locator(".editor textarea")).to_be_focused()
    await keys.type(" Please.")
    await keys.press("Enter")
    # The answer, once it comes, quotes the question above itself: the first is the question.
    await expect(reader.message("keep? Please.").first).to_be_visible()
    await expect(reader.button("Regenerate")).to_be_visible()
    await to(reader, "Mia, member", "Shift+Tab")
    await keys.press("ArrowRight")
    await expect(page.locator(".me b")).to_have_text("Ada")
    await to(reader, f"Message #{reader.channel.name}")
    await keys.type("/help")
    await expect(page.get_by_role("option", name="/help")).to_be_visible()
    await keys.press("Enter")
    await keys.press("Enter")
    await expect(reader.message("Only you can see this")).to_be_visible()
    await to(reader, "Dismiss message", "Shift+Tab")
    await keys.press("Enter")
    await expect(reader.message("Only you can see this")).to_have_count(0)
    await to(reader, "games", "Shift+Tab")
    await keys.press("Enter")
    await expect(page.locator("#channel-name")).to_have_text("games")
    await page.go_back()
    await expect(page.locator("#channel-name")).to_have_text(str(reader.channel.name))


async def test_others_messages_are_told_to_a_screen_reader(reader: Reader) -> None:
    await reader.demo.places.admin.say(reader.channel, "**Hello** everybody")
    await expect(reader.page.locator("#announce")).to_have_text("Ada: Hello everybody")
