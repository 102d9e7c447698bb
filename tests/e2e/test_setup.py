"""``/setup``: one page that shows how a server has the bot, and changes it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Interaction, Message, Permission, Person, Role
from sandbox.lmstudio import LMStudioSandbox, Model
from tests.support.application import running, settings_for


@dataclass
class Page:
    """A running bot, and the page that Ada has opened."""

    discord: DiscordSandbox
    lm: LMStudioSandbox
    ada: Person
    channel: Channel
    opened: Interaction

    @property
    def message(self) -> Message:
        """The page as Ada sees it."""
        assert self.opened.message is not None
        return self.opened.message

    async def select(self, wanted: str, *values: object) -> Interaction:
        """Choose in a menu, by what stands in it, and wait for what comes of it."""
        part = self.menu(wanted)
        made = await self.ada.select(self.message, part, [str(each) for each in values])
        return await made.wait_answer()

    async def press(self, label: str) -> Interaction:
        """Press a button."""
        made = await self.ada.click(self.message, label)
        return await made.wait_answer()

    def menu(self, placeholder: str) -> str:
        """Return a menu's id."""
        rows = self.message.components
        parts = [part for row in rows for part in row["components"]]
        return next(str(p["custom_id"]) for p in parts if placeholder in p.get("placeholder", ""))

    async def choose(self, wanted: str, *values: object) -> str:
        """Choose in a menu something that is asked about first, say yes, and return the question."""
        await self.select(wanted, *values)
        await self.shows("⚠️")
        asked = self.message.content
        await self.press("Change it")
        await self.shows("That is changed now.")
        return asked

    async def shows(self, text: str) -> None:
        """Wait until the page says something."""
        await self.discord.wait_until(lambda: text in self.message.content)


@pytest.fixture
async def page(
    discord: DiscordSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> AsyncGenerator[Page, None]:
    assert channel.guild is not None
    channel.guild.add_channel("questions")
    channel.guild.add_role("Friends")
    models = [Model("qwen/qwen3-next-80b", context_tokens=8192), Model("small")]
    async with LMStudioSandbox(models) as lm, running(settings_for(discord, lm, tmp_path)):
        opened = await ada.slash(channel, "setup")
        await discord.wait_until(lambda: opened.content)
        assert opened.ephemeral
        yield Page(discord, lm, ada, channel, opened)


def _there(page: Page, name: str) -> int:
    guild = page.channel.guild
    assert guild is not None
    everything: list[Channel | Role] = [*guild.channels.values(), *guild.roles.values()]
    return next(each.id for each in everything if each.name == name)


async def test_the_page_says_where_everything_stands(page: Page) -> None:
    for line in (
        "1. Model",
        "2. Channels: every",
        "3. Who may ask: everybody",
        "4. When",
        "5. Pers",
    ):
        assert line in page.message.content
    assert len(page.message.components) == 5


async def test_each_menu_changes_its_setting_and_the_page_shows_it(page: Page) -> None:
    await page.select("Model", "small")
    await page.shows("1. Model: `small`")
    await page.select("Model", "-")
    await page.shows("1. Model: `qwen/qwen3-next-80b`")
    await page.select("Model", "small")
    await page.shows("1. Model: `small`")
    questions, friends = _there(page, "questions"), _there(page, "Friends")
    assert "chosen channels only" in await page.choose("Channels", questions)
    await page.shows(f"2. Channels: <#{questions}>")
    assert "You have none of these roles yourself" in await page.choose("Who may ask", friends)
    await page.shows(f"3. Who may ask: <@&{friends}>")
    await page.select("When and where", "mention thread")
    await page.shows("in a thread for each question")
    assert "everybody may ask" in await page.choose("Who may ask")
    await page.shows("3. Who may ask: everybody")
    history = await page.ada.slash(page.channel, "config history")
    await page.discord.wait_until(lambda: history.content)
    assert len(history.content.splitlines()) == 8


async def test_one_choice_is_taken_back_by_one_undo(page: Page) -> None:
    await page.select("When and where", "mention thread")
    await page.shows("in a thread for each question")
    asked = await page.choose("When and where", "never here")
    assert asked == (
        "⚠️ This sets **answer_to** to `never` (this server). Then I answer nobody in this server."
    )
    await page.shows("4. When and where: Nowhere")
    undone = await page.ada.slash(page.channel, "config undo")
    await undone.wait_content()
    assert "**answer_to**" in undone.content
    assert "**answer_in**" in undone.content
    await page.press("Refresh")
    await page.shows("in a thread for each question")


async def test_persona_and_numbers_are_forms_with_what_holds_now(page: Page) -> None:
    opened = await page.press("Persona")
    seen = await page.ada.submit(opened, {"system_prompt": "Be a pirate of {server}."})
    await seen.wait_content()
    assert "what the model would get first" in seen.content
    assert "Be a pirate of Home." in seen.content
    await page.press("Refresh")
    assert "pirate" not in page.message.content
    assert seen.message is not None
    used = await page.ada.click(seen.message, "Use it")
    await used.wait_answer()
    await page.press("Refresh")
    await page.shows("Be a pirate of {server}.")
    opened = await page.press("Numbers")
    assert "a number from 0 to 2" in str(opened.modal)
    await page.ada.submit(opened, {"temperature": "0,3", "max_tokens": "1k"})
    await page.shows("temperature 0.3, at most 1000 tokens")
    opened = await page.press("Numbers")
    refused = await page.ada.submit(opened, {"temperature": "hot"})
    await page.discord.wait_until(lambda: refused.content)
    assert "from 0 to 2" in refused.content
    assert "temperature 0.3" in page.message.content


async def test_a_form_with_several_wrong_values_is_told_each_of_them(page: Page) -> None:
    opened = await page.press("Numbers")
    wrong = {"temperature": "hot", "top_p": "2", "max_tokens": "99"}
    refused = await page.ada.submit(opened, wrong)
    await refused.wait_content()
    assert [line.split()[0] for line in refused.content.splitlines()] == [
        "`temperature`",
        "`top_p`",
    ]


async def test_what_was_typed_beside_a_wrong_value_can_be_gone_on_with(page: Page) -> None:
    opened = await page.press("Numbers")
    refused = await page.ada.submit(
        opened, {"temperature": "0,4", "top_p": "2", "max_tokens": "1k"}
    )
    await refused.wait_content()
    assert refused.message is not None
    opened = await (await page.ada.click(refused.message, "Edit")).wait_answer()
    assert _typed(opened) == {"temperature": "0,4", "top_p": "2", "max_tokens": "1k"}
    await (await page.ada.submit(opened, {"top_p": "3"})).wait_answer()
    opened = await (await page.ada.click(refused.message, "Edit")).wait_answer()
    assert _typed(opened)["top_p"] == "3"
    await (await page.ada.submit(opened, {"top_p": "90 %"})).wait_answer()
    for line in ("**temperature** is now `0.4`", "**top_p** is now `0.9`"):
        assert line in refused.content
    assert "**max_tokens** is now `1000`" in refused.content
    assert refused.message.components == []
    await page.press("Refresh")
    await page.shows("temperature 0.4, at most 1000 tokens")


async def test_a_persona_that_isnt_allowed_can_be_written_further(page: Page) -> None:
    opened = await page.press("Persona")
    refused = await page.ada.submit(opened, {"system_prompt": "Be \x1b[31mred."})
    await refused.wait_content()
    assert "`system_prompt` must be" in refused.content
    assert refused.message is not None
    opened = await (await page.ada.click(refused.message, "Edit")).wait_answer()
    assert _typed(opened) == {"system_prompt": "Be \x1b[31mred."}


def _typed(form: Interaction) -> dict[str, str]:
    """Return what stands in a form's fields."""
    assert form.modal is not None
    controls = [part["component"] for part in form.modal["components"]]
    return {control["custom_id"]: control["value"] for control in controls}


async def test_the_menu_of_models_says_who_can_allow_those_that_arent_in_it(
    discord: DiscordSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    models = [Model("loaded"), Model("asleep", loaded=False)]
    async with LMStudioSandbox(models) as lm, running(settings_for(discord, lm, tmp_path)):
        opened = await ada.slash(channel, "setup")
        await opened.wait_content()
        page = Page(discord, lm, ada, channel, opened)
        assert page.menu("Model; whoever runs me can allow others: /model allow")


async def test_nothing_that_shuts_somebody_out_holds_before_a_yes(page: Page) -> None:
    questions, friends = _there(page, "questions"), _there(page, "Friends")
    for menu, chosen in (
        ("Channels", questions),
        ("Who may ask", friends),
        ("When and where", "never here"),
        ("When and where", "every_message here"),
    ):
        await page.select(menu, chosen)
        await page.shows("⚠️ This ")
        assert "Then " in page.message.content
        await page.press("Leave it")
        await page.shows("Nothing was changed.")
    for line in ("2. Channels: every", "3. Who may ask: everybody", "4. When and where: When I'm"):
        assert line in page.message.content
    await page.choose("Channels", questions, page.channel.id)
    assert f"This takes <#{questions}> out of" in await page.choose("Channels", page.channel.id)


async def test_a_test_question_is_answered_in_the_channel(page: Page) -> None:
    await page.ada.click(page.message, "Ask a test question")
    await page.discord.wait_until(
        lambda: any("help you" in each.content for each in page.ada.view(page.channel))
    )
    assert "1. Model" in page.message.content


async def test_blocking_oneself_is_asked_about_first(page: Page) -> None:
    await page.press("People")
    await page.shows("**People**")
    await page.select("never answer", page.ada.id)
    await page.shows("You are on that list yourself")
    await page.press("Leave it")
    await page.shows("**People**")
    assert "Nothing was changed." in page.message.content
    assert "nobody is blocked" in page.message.content
    await page.press("Back")
    await page.shows("1. Model")


async def test_nobody_else_uses_the_page_and_a_lost_right_closes_it(page: Page) -> None:
    guild = page.channel.guild
    assert guild is not None
    carol = page.discord.add_user("Carol")
    guild.add_member(carol, permissions=Permission.MANAGE_GUILD)
    opened = await carol.slash(page.channel, "setup")
    await page.discord.wait_until(lambda: opened.content)
    assert opened.message is not None
    guild.remove_member(carol)
    guild.add_member(carol)
    refused = await carol.click(opened.message, "Persona")
    await page.discord.wait_until(lambda: refused.content)
    assert "Manage Server" in refused.content
    assert refused.modal is None


async def test_a_page_and_its_form_go_on_after_a_restart(
    discord: DiscordSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    guild = channel.guild
    assert guild is not None
    carol = discord.add_user("Carol")
    guild.add_member(carol, permissions=Permission.MANAGE_GUILD)
    async with LMStudioSandbox([Model("small")]) as lm:
        settings = settings_for(discord, lm, tmp_path)
        async with running(settings):
            opened = await ada.slash(channel, "setup")
            carols = await carol.slash(channel, "setup")
            for each in (opened, carols):
                await each.wait_content()
            page = Page(discord, lm, ada, channel, opened)
            form = await page.press("Numbers")
            asked = await ada.slash(channel, "config access", allowed_channel_ids=channel)
            await asked.wait_content()
            assert asked.message is not None
        async with running(settings):
            await page.select("Model", "small")
            await page.shows("1. Model: `small`")
            await ada.submit(form, {"temperature": "0.3"})
            await page.shows("temperature 0.3")
            await page.press("People")
            await page.shows("**People**")
            late = await ada.click(asked.message, "Change it")
            await late.wait_content()
            assert "restarted" in late.content
            guild.remove_member(carol)
            guild.add_member(carol)
            assert carols.message is not None
            refused = await carol.click(carols.message, "Numbers")
            await refused.wait_content()
            assert "Manage Server" in refused.content
            shown = await ada.slash(channel, "config show", setting="allowed_channel_ids")
            await shown.wait_content()
            assert "`none`" in shown.content


async def test_a_channels_own_settings_are_named_on_the_page(page: Page) -> None:
    own = await page.ada.slash(page.channel, "config chat", scope="channel", temperature=0.1)
    await own.wait_content()
    await page.press("Refresh")
    await page.shows("its own temperature")
    assert "temperature 0.1" not in page.message.content


async def test_deleted_channels_are_no_marks_of_the_menu(page: Page) -> None:
    questions = _there(page, "questions")
    await page.choose("Channels", questions, page.channel.id)
    await page.shows(f"2. Channels: <#{questions}>")
    page.discord.world.channels[questions].delete()
    await page.press("Refresh")
    await page.shows("1 of them deleted")
    await page.select("Channels", page.channel.id)
    await page.shows(f"2. Channels: <#{page.channel.id}>")
