"""Talking with the bot: answers, replies, edits, buttons, places, tabs."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from sandbox.lmstudio import Answer
from tests.browser.reader import Reader

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_mention_is_completed_and_its_answer_grows_in_place(reader: Reader) -> None:
    await reader.field.press_sequentially("What does a cache keep, @cla")
    await expect(reader.page.get_by_role("option", name="Clawbot")).to_be_visible()
    await reader.field.press("Tab")
    await expect(reader.field).to_have_value("What does a cache keep, @Clawbot ")
    await reader.field.press("Enter")
    await expect(reader.message("What does a cache keep").first.locator(".mention")).to_have_text(
        "@Clawbot"
    )
    answer = reader.messages.filter(has=reader.button("Regenerate"))
    await expect(answer).to_contain_text("keys and values")
    await expect(answer.locator(".context")).to_contain_text("What does a cache keep")
    await expect(answer.locator(".tag")).to_have_text("APP")
    await expect(reader.messages).to_have_count(2)
    grown = next(m for m in reader.demo.discord.bot_messages if m.channel is reader.channel)
    assert len(grown.versions) > 1
    await reader.picture("answer")


async def test_a_reply_continues_a_chain_of_replies(reader: Reader) -> None:
    first = await reader.ask("What does a cache keep?")
    await first.hover()
    await first.get_by_role("button", name="Reply").click()
    await expect(reader.page.locator(".reply-bar")).to_contain_text("Replying to Clawbot")
    await reader.say("And why should a bot care?")
    second = reader.messages.filter(has_text="exactly the same from turn to turn")
    await expect(second).to_have_count(1)
    await expect(second.locator(".context")).to_contain_text("And why should a bot care?")
    await second.locator(".context-line").click()
    await expect(reader.message("And why should a bot care?").first).to_be_focused()


async def test_stop_ends_an_answer(reader: Reader) -> None:
    await reader.say("@Clawbot a long answer please")
    await reader.button("Stop").click()
    await expect(reader.button("Stop")).to_have_count(0)
    await expect(reader.message("stopped").first).to_be_visible()


async def test_regenerate_answers_again(reader: Reader) -> None:
    answer = await reader.ask("What does a cache keep?")
    lmstudio = reader.demo.lmstudio
    assert lmstudio is not None
    asked = len(lmstudio.completions)
    await answer.get_by_role("button", name="Regenerate").click()
    await reader.until(lambda: len(lmstudio.completions) > asked)
    await expect(reader.button("Regenerate")).to_have_count(1)


async def test_thinking_is_shown_to_the_one_who_asked_for_it_and_can_be_dismissed(
    reader: Reader,
) -> None:
    answer = await reader.ask("What does a cache keep?")
    await answer.get_by_role("button", name="Show thinking").click()
    thinking = reader.message("Only you can see this")
    await expect(thinking).to_contain_text("The person asks something")
    await reader.picture("ephemeral")
    await reader.become("Ada")
    await expect(thinking).to_have_count(0)
    await reader.become("Mia")
    await thinking.get_by_role("button", name="Dismiss message").click()
    await expect(thinking).to_have_count(0)


async def test_arrow_up_edits_the_last_message_and_its_answer_follows(reader: Reader) -> None:
    await reader.ask("something else")
    await reader.field.press("ArrowUp")
    editor = reader.page.get_by_role("textbox", name="Edit message")
    await expect(editor).to_be_focused()
    await editor.fill("@Clawbot What does a cache keep?")
    await editor.press("Enter")
    mine = reader.message("What does a cache keep?").first
    await expect(mine.locator(".edited")).to_be_visible()
    await expect(reader.message("keys and values")).to_have_count(1)
    await expect(reader.field).to_be_focused()


async def test_escape_leaves_a_message_as_it_is(reader: Reader) -> None:
    await reader.say("as it was")
    await expect(reader.message("as it was")).to_be_visible()
    await reader.field.press("ArrowUp")
    await reader.page.get_by_role("textbox", name="Edit message").fill("otherwise")
    await reader.page.keyboard.press("Escape")
    await expect(reader.message("as it was").locator(".edited")).to_have_count(0)
    await expect(reader.field).to_be_focused()


async def test_a_message_is_deleted_after_a_question(reader: Reader) -> None:
    await reader.say("a mistake")
    await reader.menu(reader.message("a mistake"), "Delete message")
    dialog = reader.page.get_by_role("dialog", name="Delete message")
    await expect(dialog).to_contain_text("a mistake")
    await dialog.get_by_role("button", name="Delete").click()
    await expect(reader.messages).to_have_count(0)


async def test_a_reply_to_a_deleted_message_says_so(reader: Reader) -> None:
    await reader.say("the first")
    await reader.menu(reader.message("the first"), "Reply")
    await reader.say("the second")
    await reader.until(lambda: reader.said("the second"))
    await reader.demo.places.member.delete(reader.said("the first"))
    await expect(reader.message("the second")).to_contain_text("Original message was deleted")


async def test_a_reaction_is_added_counted_and_taken_back(reader: Reader) -> None:
    await reader.say("nice")
    await reader.menu(reader.message("nice"), "React with 🎉")
    reaction = reader.page.get_by_role("button", name=re.compile("🎉, 1: Mia"))
    await expect(reaction).to_have_attribute("aria-pressed", "true")
    await reader.become("Ada")
    await reader.page.get_by_role("button", name="🎉, 1: Mia").click()
    await reader.page.get_by_role("button", name="🎉, 2: Mia, Ada").click()
    await expect(reaction).to_have_attribute("aria-pressed", "false")


async def test_a_direct_message_needs_no_mention(reader: Reader) -> None:
    await reader.button("Direct messages").click()
    await expect(reader.field).to_have_attribute("placeholder", "Message @Clawbot")
    await reader.say("What does a cache keep?")
    await expect(reader.message("keys and values").last).to_be_visible()
    await reader.picture("direct-message")


async def test_a_thread_is_made_of_a_message_and_holds_its_own_conversation(
    reader: Reader,
) -> None:
    await reader.say("let us talk about caches")
    await reader.menu(reader.message("let us talk"), "Create thread")
    dialog = reader.page.get_by_role("dialog", name="Create a thread")
    await dialog.get_by_role("textbox").fill("Caches in depth")
    await dialog.get_by_role("button", name="Create").click()
    await expect(reader.page.locator("#channel-name")).to_have_text("Caches in depth")
    await expect(reader.messages.first).to_contain_text("let us talk about caches")
    answer = await reader.ask("What does a cache keep?")
    await expect(answer).to_contain_text("keys and values")
    await reader.page.go_back()
    await expect(reader.button("Caches in depth Open the thread")).to_be_visible()
    await expect(reader.message("keys and values")).to_have_count(0)


async def test_a_post_in_a_forum_is_written_listed_and_answered(reader: Reader) -> None:
    page = reader.page
    await page.get_by_role("link", name="questions", exact=True).click()
    posts = page.get_by_role("region", name="Posts")
    await expect(posts).to_contain_text("How do I change how Clawbot answers?")
    await posts.get_by_role("button", name="New post").click()
    form = page.get_by_role("dialog", name="New post")
    await form.get_by_label("Title").fill("A cache of **mine**")
    await form.get_by_label("Message").fill("@Clawbot what does a cache keep?")
    await form.get_by_role("button", name="Post").click()
    await expect(page.locator("#channel-name")).to_have_text("A cache of **mine**")
    await expect(reader.message("It keeps the keys")).to_be_visible()
    await page.get_by_role("link", name="questions", exact=True).click()
    card = posts.get_by_role("link", name="A cache of **mine**")
    await expect(card).to_contain_text("Mia: @Clawbot what does a cache keep?")
    await expect(card).to_contain_text("2 messages")
    await expect(reader.field).to_be_hidden()
    await reader.picture("forum")


async def test_two_tabs_agree_and_a_reload_keeps_everything(reader: Reader) -> None:
    other = await reader.second_tab()
    await other.become("Ada")
    await reader.field.press_sequentially("hello from one tab")
    await expect(other.page.locator("#typing")).to_have_text("Mia is typing…")
    await reader.field.press("Enter")
    await expect(other.message("hello from one tab")).to_be_visible()
    await expect(other.page.locator("#typing")).to_be_empty()
    await other.say("and from the other")
    await expect(reader.message("and from the other")).to_be_visible()
    await other.page.reload()
    await expect(other.messages).to_have_count(2)
    await expect(other.page.locator(".me b")).to_have_text("Ada")


async def test_tabs_agree_on_edits_deletes_and_an_answer_that_is_reloaded_midway(
    reader: Reader,
) -> None:
    other = await reader.second_tab()
    await other.become("Otto")
    await expect(reader.page.locator(".me b")).to_have_text("Mia")
    await reader.say("first words")
    await expect(reader.message("first words")).to_be_visible()
    await reader.field.press("ArrowUp")
    await reader.page.get_by_label("Edit message").fill("other words")
    await reader.page.get_by_label("Edit message").press("Enter")
    await expect(other.message("other words")).to_contain_text("(edited)")
    await reader.menu(reader.message("other words"), "Delete message")
    await reader.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(other.messages).to_have_count(0)

    lmstudio = reader.demo.lmstudio
    assert lmstudio is not None
    lmstudio.script(Answer("It keeps the keys and values.", pause_after=2))
    await reader.say("@Clawbot What does a cache keep?")
    await expect(reader.button("Stop")).to_be_visible()
    await reader.page.reload()
    await expect(reader.button("Stop")).to_be_visible()
    lmstudio.resume()
    for each in (reader, other):
        await expect(each.button("Regenerate")).to_be_visible()
        await expect(each.messages).to_have_count(2)
    words = await reader.message("It keeps the keys").locator(".prose").text_content()
    await expect(other.message("It keeps the keys").locator(".prose")).to_have_text(str(words))


async def test_who_scrolled_up_stays_there_while_messages_come(reader: Reader) -> None:
    for number in range(40):
        await reader.demo.places.admin.say(reader.channel, f"line {number}")
    await expect(reader.message("line 39")).to_be_in_viewport()
    await reader.message("line 10").scroll_into_view_if_needed()
    await expect(reader.button("To the newest ↓")).to_be_visible()
    top = await reader.message("line 10").bounding_box()
    await reader.demo.places.admin.say(reader.channel, "one more")
    await expect(reader.button("1 new message ↓")).to_be_visible()
    assert await reader.message("line 10").bounding_box() == top
    await reader.button("1 new message ↓").click()
    await expect(reader.message("one more")).to_be_in_viewport()
