"""A long channel: messages come and go as one scrolls, and none is lost on the way."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, expect

from tests.browser.reader import Reader

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINES = 300
MANY = 170
"""More rows than are ever drawn of short lines in a window of this height."""
FRAME = "() => new Promise(requestAnimationFrame)"
FEW = "most => document.querySelectorAll('li.message').length < most"
"""Those far away go once the browser has seen that they are, which is later where it is slow."""
WATCH = """() => {
  const list = document.querySelector(".messages");
  const lines = (rows) => [...rows].map((row) => row.querySelector(".prose").textContent);
  window.seen = new Set(lines(list.children));
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const line of lines(addedNodes)) seen.add(line);
  }).observe(list, { childList: true });
}"""


async def fill(reader: Reader) -> None:
    """Let there be more messages than are drawn at once, with the page at the newest."""
    for number in range(LINES):
        await reader.demo.places.admin.say(reader.channel, f"line {number}.")
    await reader.page.reload()
    await expect(reader.message(f"line {LINES - 1}.")).to_be_in_viewport()


async def scroll_to(reader: Reader, text: str, edge: Locator) -> None:
    """Scroll on at one edge of the rows until a text is there."""
    while not await reader.message(text).count():
        await reader.page.wait_for_function(FEW, arg=MANY)
        await edge.scroll_into_view_if_needed()
        await reader.page.evaluate(FRAME)


async def test_messages_come_as_one_scrolls_and_those_far_away_go(reader: Reader) -> None:
    await fill(reader)
    assert await reader.messages.count() < MANY
    await reader.page.evaluate(WATCH)
    await scroll_to(reader, "line 0.", reader.messages.first)
    await expect(reader.page.get_by_role("heading", name="Welcome to")).to_be_attached()
    await scroll_to(reader, f"line {LINES - 1}.", reader.messages.last)
    assert await reader.page.evaluate("seen.size") == LINES
    shown = await reader.messages.locator(".prose").all_text_contents()
    numbers = [int(each.removeprefix("line ").rstrip(".")) for each in shown]
    assert numbers == list(range(numbers[0], LINES))


async def test_what_one_reads_stays_where_it_is_while_older_messages_come(reader: Reader) -> None:
    await fill(reader)
    first = await reader.messages.first.get_attribute("id")
    row = reader.page.locator(f"#{first}")
    await row.scroll_into_view_if_needed()
    before = await row.bounding_box()
    await expect(reader.messages.first).not_to_have_attribute("id", str(first))
    after = await row.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2


async def test_the_newest_is_one_press_away_from_the_oldest(reader: Reader) -> None:
    await fill(reader)
    await scroll_to(reader, "line 0.", reader.messages.first)
    await reader.demo.places.admin.say(reader.channel, "one more")
    await reader.button("1 new message ↓").click()
    await expect(reader.message("one more")).to_be_in_viewport()
    await expect(reader.button("To the newest ↓")).to_be_hidden()


async def test_a_reply_leads_to_its_message_however_far_it_is(reader: Reader) -> None:
    await fill(reader)
    admin = reader.demo.places.admin
    await admin.reply(reader.said("line 3."), "about that one")
    await reader.message("about that one").get_by_title("Go to the message").click()
    await expect(reader.message("line 3.").first).to_be_in_viewport()
    await expect(reader.message("line 3.").first).to_be_focused()
    await scroll_to(reader, "about that one", reader.messages.last)


async def test_arrow_up_finds_ones_own_message_however_far_it_is_and_keeps_what_was_changed(
    reader: Reader,
) -> None:
    await reader.say("mine")
    for number in range(LINES):
        await reader.demo.places.admin.say(reader.channel, f"line {number}.")
    await expect(reader.message(f"line {LINES - 1}.")).to_be_in_viewport()
    await expect(reader.message("mine")).to_have_count(0)
    await reader.field.press("ArrowUp")
    editor = reader.page.get_by_label("Edit message")
    await expect(editor).to_be_focused()
    await expect(editor).to_have_value("mine")
    await editor.fill("mine, half")
    await reader.button("To the newest ↓").click()
    await expect(editor).to_have_count(0)
    await reader.field.press("ArrowUp")
    await expect(editor).to_have_value("mine, half")
    await editor.press("Escape")
    await expect(reader.message("mine").locator(".prose")).to_have_text("mine")
