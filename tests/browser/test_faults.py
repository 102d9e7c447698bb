"""Breaking things from the panel, watching the bot recover, looking inside."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from playwright.async_api import Browser, expect

from bot.demo.page.server import PageServer
from bot.demo.world import Demo
from tests.browser.reader import Reader, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_lm_studio_goes_away_and_comes_back_and_the_question_is_answered(
    reader: Reader,
) -> None:
    await reader.page.get_by_role("tab", name="Break it").click()
    power = reader.page.get_by_role("switch", name="LM Studio is on")
    await power.click()
    await expect(power).to_have_attribute("aria-checked", "false")
    await reader.say("@Clawbot What does a cache keep?")
    await expect(reader.messages).to_have_count(2)
    await reader.picture("broken")
    await power.click()
    await expect(power).to_have_attribute("aria-checked", "true")
    await expect(reader.message("keys and values")).to_have_count(1)


async def test_a_switch_is_worked_by_the_keyboard_and_seen_in_every_tab(reader: Reader) -> None:
    other = await reader.second_tab()
    for each in (reader, other):
        await each.page.get_by_role("tab", name="Break it").click()
    thinks = reader.page.get_by_role("switch", name="Thinks before it answers")
    before = await thinks.get_attribute("aria-checked")
    after = "false" if before == "true" else "true"
    await thinks.focus()
    await reader.page.keyboard.press("Space")
    elsewhere = other.page.get_by_role("switch", name="Thinks before it answers")
    await expect(elsewhere).to_have_attribute("aria-checked", after)
    await expect(thinks).to_be_focused()
    await reader.page.keyboard.press("Space")
    await expect(elsewhere).to_have_attribute("aria-checked", str(before))


async def test_the_gateway_drops_and_nothing_is_lost(reader: Reader) -> None:
    await reader.page.get_by_role("tab", name="Break it").click()
    sessions = len(reader.demo.discord.connects)
    await reader.button("Drop the gateway").click()
    await reader.until(lambda: len(reader.demo.discord.connects) > sessions)
    answer = await reader.ask("What does a cache keep?")
    await expect(answer).to_contain_text("keys and values")


async def test_the_inside_of_an_answer_can_be_seen(reader: Reader) -> None:
    await reader.ask("What does a cache keep, in detail?")
    await reader.page.get_by_role("tab", name="Look inside").click()
    inside = reader.page.get_by_role("tabpanel", name="Look inside")
    await expect(inside).to_contain_text("Answered after")
    await expect(inside.locator(".clock-rows")).to_contain_text("writing")
    await expect(inside).to_contain_text("tokens:")
    turn = inside.locator(".turns details").last
    await turn.locator("summary").click()
    await expect(turn.locator("pre")).to_contain_text("What does a cache keep, in detail?")
    request = inside.locator(".requests details").first
    await expect(request).to_contain_text("edits its message")
    await request.locator("summary").click()
    await expect(request).to_contain_text(f"/channels/{reader.channel.id}/messages")
    await expect(request.locator("pre")).to_contain_text("content")
    await reader.picture("inside")


async def test_the_clock_of_an_answer_runs_while_it_is_made(reader: Reader) -> None:
    page = reader.page
    await page.get_by_role("tab", name="Break it").click()
    power = page.get_by_role("switch", name="LM Studio is on")
    await power.click()
    await expect(power).to_have_attribute("aria-checked", "false")
    await page.get_by_role("tab", name="Look inside").click()
    inside = page.get_by_role("tabpanel", name="Look inside")
    await reader.say("@Clawbot What does a cache keep?")
    await expect(inside).to_contain_text("Being answered: queued")
    queued = inside.locator(".clock-rows .now b")
    before = await queued.text_content()
    await expect(queued).not_to_have_text(str(before))
    await page.get_by_role("tab", name="Break it").click()
    await power.click()
    await page.get_by_role("tab", name="Look inside").click()
    await expect(inside).to_contain_text("Answered after")


async def test_the_page_says_that_the_demo_is_away_and_finds_it_again_by_itself(
    browser: Browser, demo: Demo
) -> None:
    first = PageServer(demo, port=0)
    async with AsyncExitStack() as stack, AsyncExitStack() as running:
        await running.enter_async_context(first)
        tab = await stack.enter_async_context(Tab.opened(browser, first.address))
        page = tab.context.pages[0]
        await page.locator(".composer textarea").fill("a draft")
        async with page.expect_websocket():
            await running.aclose()
        await page.wait_for_event("websocket")  # another one: the first was in vain
        banner = page.locator("#banner")
        await expect(banner).to_contain_text("The demo has ended")
        again = PageServer(demo, port=int(first.address.rpartition(":")[2]))
        await stack.enter_async_context(again)
        await expect(banner).to_be_hidden()
        await page.locator(".composer textarea").fill("back again")
        await page.locator(".composer textarea").press("Enter")
        await expect(page.locator("li.message", has_text="back again")).to_be_visible()
        await demo.discord.wait_until(lambda: demo.places.general.messages)
