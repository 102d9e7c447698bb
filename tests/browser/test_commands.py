"""Slash commands, menus, forms and select menus, by the keyboard."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import expect

from sandbox.discord import Interaction
from tests.browser.reader import Reader

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_command_is_filled_in_with_choices_and_live_suggestions(reader: Reader) -> None:
    await reader.become("Ada")
    await reader.field.press_sequentially("/config s")
    offer = reader.page.get_by_role("option", name="/config set")
    await expect(offer).to_contain_text("setting*")
    await offer.click()
    form = reader.page.get_by_role("group", name="/config set")
    setting, value = form.get_by_role("combobox", name="setting"), form.get_by_role("combobox")
    await expect(setting).to_be_focused()
    await expect(form.get_by_role("status")).to_contain_text("setting:")
    await reader.page.keyboard.type("temper")
    await reader.page.keyboard.press("Enter")  # sooner than the bot says what fits
    await expect(setting).to_have_value(re.compile("^temperature"))
    await expect(value.nth(1)).to_be_focused()
    await expect(reader.page.get_by_role("option")).to_have_text(
        ["0.7 · holds here, from the default", "0", "0.3", "1"]
    )
    await reader.page.keyboard.type("0.7")
    await expect(reader.page.get_by_role("option")).to_have_text([re.compile("0.7")])
    await reader.picture("command")
    await reader.page.keyboard.press("Enter")
    await expect(value.nth(1)).to_have_value(re.compile(r"^0\.7 ·"))
    await reader.page.keyboard.press("Enter")
    answer = reader.messages.last
    await expect(answer).to_contain_text("Ada used /config set")
    await expect(answer).to_contain_text("0.7")
    await expect(reader.field).to_be_focused()


async def test_what_a_command_does_is_read_beside_any_number_of_options(reader: Reader) -> None:
    await reader.become("Ada")
    await reader.field.press_sequentially("/config ")
    offered = reader.page.get_by_role("option")
    await expect(offered.filter(has_text="/config access")).to_be_visible()
    await reader.picture("commands")
    cut = """each => {
        const list = each[0].closest('.suggestions').getBoundingClientRect();
        return each.filter(one => one.scrollWidth > one.clientWidth
            || one.getBoundingClientRect().right > list.right).map(one => one.textContent);
    }"""
    assert await reader.page.locator(".suggestions .detail").evaluate_all(cut) == []
    await reader.field.fill("")


async def test_a_command_pasted_as_one_line_is_understood(reader: Reader) -> None:
    await reader.become("Ada")
    await reader.field.fill("/config set setting:temperature value:0.3")
    setting = reader.page.get_by_role("combobox", name="setting")
    await expect(setting).to_have_value(re.compile("^temperature"))
    await expect(reader.page.get_by_role("combobox", name="value")).to_have_value("0.3")
    await reader.page.keyboard.press("Enter")
    await expect(reader.messages.last).to_contain_text("0.3")


async def test_what_is_required_is_asked_for_before_anything_is_sent(reader: Reader) -> None:
    await reader.become("Ada")
    await reader.field.fill("/model use ")
    form = reader.page.get_by_role("group", name="/model use")
    await expect(reader.page.get_by_role("option").first).to_be_visible()
    await reader.page.keyboard.press("Escape")
    await reader.button("Send").click()
    await expect(form.get_by_role("status")).to_contain_text("model is required")
    await form.get_by_role("combobox", name="model").fill("any")
    await form.get_by_role("button", name="+ scope").click()
    await form.get_by_role("combobox", name="scope").fill("nonsense")
    await reader.button("Send").click()
    await expect(form.get_by_role("status")).to_contain_text("must be one of the choices")
    await reader.page.keyboard.press("Escape")
    await expect(form).to_have_count(0)
    await expect(reader.messages).to_have_count(0)


async def test_a_member_is_offered_only_what_a_member_may_use(reader: Reader) -> None:
    await reader.field.press_sequentially("/")
    commands = reader.page.get_by_role("option")
    await expect(commands.filter(has_text="/ask")).to_be_visible()
    await expect(commands.filter(has_text="/config set")).to_have_count(0)
    await reader.field.fill("")


async def test_a_question_is_asked_by_command(reader: Reader) -> None:
    await reader.field.press_sequentially("/ask")
    await reader.page.keyboard.press("Enter")
    await reader.page.keyboard.type("What does a cache keep?")
    await reader.page.keyboard.press("Enter")
    answer = reader.messages.last
    await expect(answer).to_contain_text("Mia used /ask")
    await expect(answer).to_contain_text("keys and values")


async def test_a_message_menu_asks_about_the_message(reader: Reader) -> None:
    await reader.become("Ada")
    await reader.say("What does a cache keep?")
    await reader.become("Mia")
    await reader.menu(reader.message("What does a cache keep?"), "Ask about this")
    await expect(reader.message("keys and values")).to_have_count(1)


async def answer_next(reader: Reader, custom_id: str, answer: dict[str, Any]) -> Interaction:
    """Answer the interaction that a component or form of the test's own begins."""
    interactions = reader.demo.discord.world.interactions

    def found() -> Interaction | None:
        fits = (i for i in interactions.values() if i.data.get("custom_id") == custom_id)
        return next((each for each in fits if not each.acknowledged), None)

    interaction = await reader.demo.discord.wait_until(found)
    assert interaction is not None
    await reader.post(f"/interactions/{interaction.id}/{interaction.token}/callback", answer)
    return interaction


async def test_a_form_opens_is_checked_and_is_sent(reader: Reader) -> None:
    button = {"type": 2, "style": 1, "label": "Open the form", "custom_id": "test:open"}
    await reader.bot_says(content="A form", components=[{"type": 1, "components": [button]}])
    await reader.button("Open the form").click()
    field = {"type": 4, "custom_id": "why", "style": 2, "required": True, "max_length": 100}
    label = {"type": 18, "label": "Reason", "description": "In a few words", "component": field}
    form = {"custom_id": "test:form", "title": "Tell us", "components": [label]}
    await answer_next(reader, "test:open", {"type": 9, "data": form})
    dialog = reader.page.get_by_role("dialog", name="Tell us")
    reason = dialog.get_by_role("textbox", name="Reason")
    await expect(reason).to_be_focused()
    await reader.picture("form")
    await dialog.get_by_role("button", name="Submit").click()
    await expect(dialog).to_be_visible()
    await reason.fill("because it helps")
    await dialog.get_by_role("button", name="Submit").click()
    said = {"type": 4, "data": {"content": "Thank you", "flags": 64}}
    sent = await answer_next(reader, "test:form", said)
    assert "because it helps" in str(sent.data)
    await expect(reader.message("Thank you")).to_contain_text("Only you can see this")
    await expect(dialog).to_have_count(0)


async def test_escape_closes_a_form_and_nothing_is_sent(reader: Reader) -> None:
    button = {"type": 2, "style": 1, "label": "Open it", "custom_id": "test:close"}
    await reader.bot_says(content="A form", components=[{"type": 1, "components": [button]}])
    await reader.button("Open it").click()
    field = {"type": 4, "custom_id": "why", "style": 1, "label": "Reason"}
    rows = [{"type": 1, "components": [field]}]
    form = {"custom_id": "test:never", "title": "Tell us", "components": rows}
    await answer_next(reader, "test:close", {"type": 9, "data": form})
    await expect(reader.page.get_by_role("textbox", name="Reason")).to_be_focused()
    await reader.page.keyboard.press("Escape")
    await expect(reader.page.get_by_role("dialog")).to_have_count(0)
    interactions = reader.demo.discord.world.interactions.values()
    assert not [each for each in interactions if each.data.get("custom_id") == "test:never"]


async def test_one_is_chosen_from_a_select_menu(reader: Reader) -> None:
    options = [{"label": name, "value": name.lower()} for name in ("Red", "Green", "Blue")]
    menu = {"type": 3, "custom_id": "test:one", "placeholder": "A colour", "options": options}
    await reader.bot_says(content="Choose", components=[{"type": 1, "components": [menu]}])
    await reader.button("A colour").press("Enter")
    await expect(reader.page.get_by_role("menuitemcheckbox", name="Red")).to_be_focused()
    await reader.page.keyboard.press("ArrowDown")
    await reader.page.keyboard.press("Enter")
    chosen = await answer_next(reader, "test:one", {"type": 4, "data": {"content": "Green it is"}})
    assert chosen.data["values"] == ["green"]
    await expect(reader.message("Green it is")).to_be_visible()


async def test_several_are_chosen_from_a_select_menu(reader: Reader) -> None:
    options = [{"label": name, "value": name.lower()} for name in ("Red", "Green", "Blue")]
    menu = {"type": 3, "custom_id": "test:many", "placeholder": "Colours", "options": options}
    row = {"type": 1, "components": [{**menu, "min_values": 1, "max_values": 2}]}
    await reader.bot_says(content="Choose", components=[row])
    await reader.button("Colours").click()
    for name in ("Red", "Green", "Blue"):  # the third is one too many
        await reader.page.get_by_role("menuitemcheckbox", name=name).click()
    await reader.page.keyboard.press("Escape")
    chosen = await answer_next(reader, "test:many", {"type": 6})
    assert chosen.data["values"] == ["red", "green"]


async def test_what_nobody_answers_is_said_plainly(reader: Reader) -> None:
    button = {"type": 2, "style": 2, "label": "Nobody", "custom_id": "test:nobody"}
    await reader.bot_says(content="Press", components=[{"type": 1, "components": [button]}])
    await reader.button("Nobody").click()
    await expect(reader.page.get_by_role("alert")).to_contain_text(
        "The application did not respond"
    )


async def test_a_command_that_there_is_not_is_said_to_be_none(reader: Reader) -> None:
    note = reader.page.get_by_role("alert")
    await reader.field.press_sequentially("/askk")
    await expect(note).to_contain_text("There is no command /askk here.")
    await reader.field.press("Backspace")
    await expect(note).to_be_hidden()
    await expect(reader.page.get_by_role("option").first).to_contain_text("/ask")
    await reader.field.fill("/nothing of the kind")
    await expect(note).to_contain_text("Enter sends this as a message.")
    await reader.field.press("Enter")
    await expect(reader.message("/nothing of the kind")).to_be_visible()
    await expect(note).to_be_hidden()
