"""What an admin can do with ``/config``: lists, typed options, questions first, limits at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.discord import (
    Channel,
    DiscordSandbox,
    Interaction,
    NotOfferedError,
    Permission,
    Person,
)
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for

ENDS = ("help you", "switched on", "not available to you", "faster than", "certain role")
"""How whole answers and refusals are told from the beginnings of answers."""


@dataclass
class Server:
    """A running bot in a server of Ada's with two channels and a member, Bob."""

    discord: DiscordSandbox
    lm: LMStudioSandbox
    ada: Person
    bob: Person
    general: Channel
    other: Channel

    async def use(self, person: Person, name: str, /, **options: object) -> Interaction:
        """Use a command in the first channel and wait for the answer."""
        return await self.use_in(self.general, person, name, **options)

    async def use_in(
        self, channel: Channel, person: Person, name: str, /, **options: object
    ) -> Interaction:
        """Use a command and wait for the answer."""
        interaction = await person.slash(channel, name, **options)
        await interaction.wait_response()
        await self.discord.wait_until(lambda: interaction.content)
        return interaction

    async def press(self, person: Person, asked: Interaction, label: str) -> Interaction:
        """Press a button of an answer."""
        assert asked.message is not None
        pressed = await person.click(asked.message, label)
        return await pressed.wait_answer()

    async def value(self, name: str) -> str:
        """Return what ``/config show`` says of a setting."""
        return (await self.use(self.ada, "config show", setting=name)).content

    async def reply(self, person: Person, channel: Channel) -> str:
        """Mention the bot and return its reply."""
        message = await person.mention(channel, "Hello?")
        reply = await self.discord.wait_reply(
            message, until=lambda reply: any(end in reply.content for end in ENDS)
        )
        return reply.content


@pytest.fixture
async def server(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> AsyncGenerator[Server, None]:
    bob = discord.add_user("Bob")
    guild = channel.guild
    assert guild is not None
    guild.add_member(bob)
    guild.add_member(discord.owner, permissions=Permission.MANAGE_GUILD)
    other = guild.add_channel("other")
    async with running(settings_for(discord, lm, tmp_path)):
        yield Server(discord, lm, ada, bob, channel, other)


async def test_options_of_discords_own_kind_change_several_settings_at_once(
    server: Server,
) -> None:
    said = await server.use(
        server.ada, "config chat", temperature=0.3, max_tokens=99, show_footer=True
    )
    assert said.content.count("is now") == 3
    await server.reply(server.bob, server.general)
    body = server.lm.completions[-1].body
    assert (body["temperature"], body["max_tokens"]) == (0.3, 99)


async def test_a_language_is_in_the_very_next_prompt_and_in_the_preview_of_a_persona(
    server: Server,
) -> None:
    offered = await server.ada.autocomplete(
        server.general, "config set", "value", "deu", setting="language"
    )
    assert [each["value"] for each in offered] == ["Deutsch"]
    said = await server.use(server.ada, "config chat", language=" Plattdüütsch (Low German) ")
    assert "is now `Plattdüütsch (Low German)`" in said.content
    await server.reply(server.bob, server.general)
    system = str(server.lm.completions[-1].body["messages"][0]["content"])
    assert "whatever language the question is in: Plattdüütsch (Low German)." in system
    form = await (await server.ada.slash(server.general, "persona edit")).wait_answer()
    seen = await server.ada.submit(form, {"Persona": "You are a sailor."})
    await seen.wait_content()
    assert "Plattdüütsch" in seen.content
    await server.use(server.ada, "config reset", setting="language")
    await server.reply(server.bob, server.general)
    assert "language the question is in" not in str(server.lm.completions[-1].body["messages"][0])


async def test_the_first_allowed_channel_is_asked_about_and_holds_after_a_yes(
    server: Server,
) -> None:
    asked = await server.use(server.ada, "config access", allowed_channel_ids=server.other)
    assert "nowhere else" in asked.content
    assert "none" in await server.value("allowed_channel_ids")
    done = await server.press(server.ada, asked, "Change it")
    assert f"<#{server.other.id}>" in done.content
    assert "switched on" in await server.reply(server.bob, server.general)
    assert "help you" in await server.reply(server.bob, server.other)


async def test_a_no_leaves_everything_as_it_is(server: Server) -> None:
    asked = await server.use(server.ada, "config set", setting="allowed_role_ids", value="@here")
    assert "must be" in asked.content
    asked = await server.use(server.ada, "config access", allowed_channel_ids=server.other)
    done = await server.press(server.ada, asked, "Leave it")
    assert "Nothing was changed" in done.content
    assert "none" in await server.value("allowed_channel_ids")


async def test_a_yes_after_the_right_was_taken_away_changes_nothing(server: Server) -> None:
    guild = server.general.guild
    assert guild is not None
    carol = server.discord.add_user("Carol")
    guild.add_member(carol, permissions=Permission.MANAGE_GUILD)
    asked = await server.use(carol, "config access", allowed_channel_ids=server.other)
    guild.remove_member(carol)
    guild.add_member(carol)
    refused = await server.press(carol, asked, "Change it")
    assert "Manage Server" in refused.content
    assert "none" in await server.value("allowed_channel_ids")


async def test_undo_restores_a_list_exactly_and_history_shows_old_and_new(server: Server) -> None:
    for entry in (server.general, server.other):
        await server.use(
            server.ada, "config set", setting="blocked_channel_ids", value=f"+{entry.id}"
        )
    both = f"<#{server.general.id}>, <#{server.other.id}>"
    await server.use(server.ada, "config access", blocked_channel_ids=server.general, take_out=True)
    assert both not in await server.value("blocked_channel_ids")
    await server.use(server.ada, "config undo")
    assert both in await server.value("blocked_channel_ids")
    lines = (await server.use(server.ada, "config history")).content.splitlines()
    assert f"<#{server.other.id}> → {both}" in lines[0]
    assert f"{both} → <#{server.other.id}>" in lines[1]


async def test_what_holds_already_is_said_and_not_in_the_history(server: Server) -> None:
    await server.use(server.ada, "config chat", temperature=0.3)
    again = await server.use(server.ada, "config set", setting="temperature", value="0,3")
    assert again.content == "**temperature** is already `0.3` (this server)."
    assert len((await server.use(server.ada, "config history")).content.splitlines()) == 1


async def test_a_question_names_the_setting_what_it_becomes_and_where(server: Server) -> None:
    for scope, where in (("guild", "this server"), ("channel", "this channel")):
        asked = await server.use(
            server.ada, "config set", setting="answer_to", value="never", scope=scope
        )
        assert asked.content == (
            f"⚠️ This sets **answer_to** to `never` ({where}). Then I answer nobody in {where}."
        )
    asked = await server.use(server.ada, "config access", allowed_channel_ids=server.other)
    assert asked.content.startswith(
        f"⚠️ This adds <#{server.other.id}> to **allowed_channel_ids** (this server)."
    )


async def test_what_is_taken_out_of_a_list_of_those_who_are_answered_is_asked_about(
    server: Server,
) -> None:
    guild = server.general.guild
    assert guild is not None
    roles = [guild.add_role(name) for name in ("Friends", "Family")]
    for name, there in (
        ("allowed_channel_ids", [server.general.id, server.other.id]),
        ("allowed_role_ids", [role.id for role in roles]),
    ):
        asked = await server.use(
            server.ada, "config set", setting=name, value=" ".join(map(str, there))
        )
        await server.press(server.ada, asked, "Change it")
        asked = await server.use(server.ada, "config set", setting=name, value=f"-{there[1]}")
        assert f"{there[1]}> out of **{name}** (this server). Then" in asked.content
        assert str(there[1]) in await server.value(name)


async def test_an_undo_that_shuts_somebody_out_is_asked_about_like_the_change_itself(
    server: Server,
) -> None:
    guild = server.general.guild
    assert guild is not None
    guild.open_command("config")
    role = guild.add_role("Keepers")
    guild.members[server.bob.id].role_ids.append(role.id)
    await server.use(server.ada, "config access", admin_role_ids=role)
    asked = await server.use(server.bob, "config undo")
    assert "you can't change my settings any more" in asked.content
    assert f"**admin_role_ids**: <@&{role.id}> → not set" in asked.content
    await server.press(server.bob, asked, "Leave it")
    assert "is now" in (await server.use(server.bob, "config chat", temperature=0.3)).content
    assert "undid" in (await server.use(server.bob, "config undo")).content
    asked = await server.use(server.bob, "config undo")
    await server.press(server.bob, asked, "Change it")
    assert "Manage Server" in (await server.use(server.bob, "config undo")).content


async def test_a_yes_to_an_undo_takes_back_nothing_that_was_changed_since(server: Server) -> None:
    asked = await server.use(server.ada, "config access", allowed_channel_ids=server.general)
    await server.press(server.ada, asked, "Change it")
    asked = await server.use(server.ada, "config undo")
    assert "in every channel" in asked.content
    await server.use(server.ada, "config chat", temperature=0.3)
    late = await server.press(server.ada, asked, "Change it")
    assert "changed meanwhile" in late.content
    assert "`0.3`" in await server.value("temperature")
    assert f"<#{server.general.id}>" in await server.value("allowed_channel_ids")


async def test_owners_are_told_what_a_list_does_to_all_servers_and_to_themselves(
    server: Server,
) -> None:
    owner, guild = server.discord.owner, server.general.guild
    assert guild is not None
    servers = await server.use(owner, "config everywhere", allowed_guild_ids=str(guild.id))
    assert "in any other" in servers.content
    channels = await server.use(
        owner,
        "config set",
        setting="allowed_channel_ids",
        value=str(server.general.id),
        scope="global",
    )
    assert "nowhere else in any server" in channels.content
    oneself = await server.use(
        owner, "config set", setting="blocked_user_ids", value=str(owner.id), scope="global"
    )
    assert "you no longer run me" in oneself.content


async def test_long_lists_and_many_settings_are_told_to_their_end(server: Server) -> None:
    guild = server.general.guild
    assert guild is not None
    many = [guild.add_channel(f"room-{number}") for number in range(40)]
    for part in (many[:20], many[20:]):
        value = " ".join(f"+{each.id}" for each in part)
        await server.use(server.ada, "config set", setting="blocked_channel_ids", value=value)
    for name in ("allowed_role_ids", "admin_role_ids"):
        ids = " ".join(str(guild.add_role(f"{name}-{number}").id) for number in range(25))
        asked = await server.use(server.ada, "config set", setting=name, value=ids)
        if "⚠️" in asked.content:
            await server.press(server.ada, asked, "Change it")
    shown = await server.use(server.ada, "config show")
    told = "".join(each.content for each in shown.messages)
    await server.discord.wait_until(lambda: "Not changed:" in shown.messages[-1].content)
    assert all(each.ephemeral for each in shown.messages)
    assert "and 10 more" in told
    one = await server.use(server.ada, "config show", setting="blocked_channel_ids")
    assert all(f"<#{each.id}>" in one.content for each in many)
    history = await server.use(server.ada, "config history")
    await server.discord.wait_until(lambda: len(history.messages) > 1)
    told = "\n".join(each.content for each in history.messages)
    assert f"added {', '.join(f'<#{each.id}>' for each in many[20:])}" in told
    assert f"not set → {', '.join(f'<#{each.id}>' for each in many[:20])}" in told


async def test_an_undo_of_several_long_lists_is_asked_about_and_told_to_its_end(
    server: Server,
) -> None:
    guild = server.general.guild
    assert guild is not None
    lists = ("allowed_role_ids", "admin_role_ids")
    for name in lists:
        roles = " ".join(str(guild.add_role(f"{name}-{number}").id) for number in range(29))
        asked = await server.use(server.ada, "config set", setting=name, value=roles)
        if "⚠️" in asked.content:
            await server.press(server.ada, asked, "Change it")
    one = guild.add_role("One more")
    await server.use(server.ada, "config access", allowed_role_ids=one, admin_role_ids=one)
    asked = await server.use(server.ada, "config undo")
    for name in lists:
        assert f"This takes <@&{one.id}> out of **{name}** (this server)." in asked.content
    assert "can't ask me any more" in asked.content
    assert "can't change my settings any more" in asked.content
    done = await server.press(server.ada, asked, "Change it")
    await server.discord.wait_until(lambda: done.followups)
    told = "\n".join([done.content, *(each.content for each in done.followups)])
    assert all(f"undid **{name}**" in told for name in lists)
    assert "…" not in told


async def test_channels_and_roles_are_found_by_name_and_near_names_are_offered(
    server: Server,
) -> None:
    guild = server.general.guild
    assert guild is not None
    staff = guild.add_role("Night Staff")
    done = await server.use(
        server.ada, "config set", setting="admin_role_ids", value="@night staff"
    )
    assert f"<@&{staff.id}>" in done.content
    done = await server.use(server.ada, "config set", setting="blocked_channel_ids", value="#other")
    assert f"<#{server.other.id}>" in done.content
    near = await server.use(server.ada, "config set", setting="blocked_channel_ids", value="+othr")
    assert f"Did you mean <#{server.other.id}>?" in near.content


async def test_of_channels_with_one_name_none_is_taken_by_chance(server: Server) -> None:
    guild = server.general.guild
    assert guild is not None
    guild.add_channel("General", "voice")
    twins = [guild.add_channel("notes") for _ in range(2)]
    done = await server.use(
        server.ada, "config set", setting="blocked_channel_ids", value="general"
    )
    assert f"is now <#{server.general.id}> " in done.content
    asked = await server.use(
        server.ada, "config set", setting="blocked_channel_ids", value="+notes"
    )
    assert all(f"<#{twin.id}> (id {twin.id})" in asked.content for twin in twins)
    held = await server.value("blocked_channel_ids")
    assert f"<#{server.general.id}> ·" in held


async def test_people_are_found_by_any_of_their_names_and_of_several_none_is_taken(
    server: Server,
) -> None:
    guild, discord = server.general.guild, server.discord
    assert guild is not None
    carol, sam, other = (discord.add_user(name) for name in ("carol", "sam", "sam2"))
    for person, nick in ((carol, "Night Owl"), (sam, None), (other, "Sam")):
        guild.add_member(person, nick=nick)

    async def said(value: str) -> str:
        return (
            await server.use(server.ada, "config set", setting="blocked_user_ids", value=value)
        ).content

    assert f"is now <@{carol.id}> " in await said("night owl")
    assert f"is now <@{carol.id}>, <@{other.id}> " in await said("+@sam2")
    assert f"is now <@{other.id}> " in await said("-carol")
    assert f"is now <@{carol.id}>, <@{sam.id}> " in await said(f"Night Owl, {sam.id}")
    several = await said("Sam")
    assert f"<@{sam.id}> (`@sam`, id {sam.id})" in several
    assert f"<@{other.id}> (`@sam2`, id {other.id})" in several
    assert f"Did you mean <@{carol.id}>?" in await said("Night Ow")
    assert "no person of that name" in await said("Zoe")
    crowd = [discord.add_user(f"member{number}") for number in range(11)]
    for person in crowd:
        guild.add_member(person)
    assert "At most 10 people" in await said(", ".join(each.user.username for each in crowd))
    discord.faults.refuse(50001, "GET", "/guilds/{guild_id}/members/search")
    assert "Discord didn't tell me" in await said("Bob")
    assert f"is already <@{carol.id}>, <@{sam.id}> " in await said(f"<@{carol.id}> {sam.id}")


async def test_it_is_told_in_which_channel_or_thread_a_setting_holds(server: Server) -> None:
    thread = await server.ada.start_thread(server.general, "aside")
    of_general = f"from <#{server.general.id}>"
    away = {"setting": "temperature", "scope": "channel"}
    await server.use(server.ada, "config set", value="0.2", **away)
    assert "from this channel" in await server.value("temperature")
    for name in ("config show", "config reset"):
        options = away if name == "config reset" else {"setting": "temperature"}
        told = await server.use_in(thread, server.ada, name, **options)
        assert of_general in told.content, told.content
    typed = await server.ada.autocomplete(thread, "config set", "setting", "temperature")
    assert [each["name"] for each in typed] == ["temperature · 0.2 · #general, by you"]
    refused = await server.use_in(
        thread, server.ada, "config set", setting="answer_in", value="thread", scope="channel"
    )
    assert "no threads here" in refused.content
    history = await server.use_in(server.other, server.ada, "config history")
    assert f"`0.2` (<#{server.general.id}>)" in history.content


@pytest.mark.parametrize("prompt", [" ", "\u200b\u00a0", "```\n```", "“ ”"])
async def test_ask_without_words_is_told_where_to_write_them(server: Server, prompt: str) -> None:
    said = await server.use(server.bob, "ask", prompt=prompt)
    assert said.content == "What would you like to know? Write it into the option prompt."
    assert server.lm.completions == []


@pytest.mark.parametrize("host", ["discord.com", "ptb.discord.com", "discordapp.com"])
async def test_the_link_that_discord_copies_for_a_channel_stands_for_it(
    server: Server, host: str
) -> None:
    guild = server.general.guild
    assert guild is not None
    links = [
        f"https://{host}/channels/{guild.id}/{channel.id}{message}"
        for channel, message in ((server.general, ""), (server.other, f"/{server.other.id}"))
    ]
    done = await server.use(
        server.ada, "config set", setting="blocked_channel_ids", value=", ".join(links)
    )
    assert f"is now <#{server.general.id}>, <#{server.other.id}>" in done.content
    far = f"https://{host}/channels/{guild.id}/12"
    refused = await server.use(server.ada, "config set", setting="blocked_channel_ids", value=far)
    assert "no such channel in this server" in refused.content


@pytest.mark.parametrize(
    "typed", ["`{}`", "“{}”", "'{}'", "«{}»", "\u200b{}\u00a0", "```\n{}\n```"]
)
async def test_a_models_name_may_be_pasted_as_i_show_it(server: Server, typed: str) -> None:
    name = typed.format("qwen/qwen3-next-80b")
    done = await server.use(server.ada, "config set", setting="model", value=name)
    assert "is now `qwen/qwen3-next-80b`" in done.content
    told = await server.use(server.ada, "model info", model=name)
    assert told.content.startswith("🟢 `qwen/qwen3-next-80b`")


async def test_a_channel_of_another_server_and_one_i_cant_write_in_are_refused(
    server: Server,
) -> None:
    elsewhere = server.discord.add_guild("Else", owner=server.bob).add_channel("far")
    refused = await server.use(
        server.ada, "config set", setting="allowed_channel_ids", value=str(elsewhere.id)
    )
    assert "no such channel in this server" in refused.content
    guild = server.general.guild
    assert guild is not None
    server.other.overwrite(guild, deny=Permission.SEND_MESSAGES)
    refused = await server.use(
        server.ada, "config set", setting="allowed_channel_ids", value=str(server.other.id)
    )
    assert "I lack Send Messages" in refused.content
    assert "none" in await server.value("allowed_channel_ids")


async def test_a_model_that_isnt_there_is_refused_with_near_names(server: Server) -> None:
    refused = await server.use(server.ada, "config set", setting="model", value="qwen3-next")
    assert "qwen/qwen3-next-80b" in refused.content


async def test_only_a_name_that_is_near_is_offered_for_a_setting_that_isnt_there(
    server: Server,
) -> None:
    far = await server.use(server.ada, "config show", setting="nix")
    assert far.content == "There is no setting of that name. /config show lists all."
    near = await server.use(server.ada, "config show", setting="Temperatur")
    assert "Did you mean `temperature`?" in near.content


async def test_what_the_operator_wrote_is_told_from_defaults(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_CHAT__TOP_P="0.5")
    async with running(settings):
        shown = await ada.slash(channel, "config show")
        await shown.wait_content()
        told = "".join(each.content for each in shown.messages)
        assert "top_p `0.5` (from the settings file) · " in told
        assert "temperature `0.7` · " in told


async def test_a_part_of_a_models_name_leads_to_that_model(server: Server) -> None:
    refused = await server.use(server.ada, "config set", setting="model", value="NEXT")
    assert "Did you mean `qwen/qwen3-next-80b`?" in refused.content


async def test_what_stands_for_no_value_takes_back_what_was_set(server: Server) -> None:
    for words in ("the loaded one", "`the loaded one`", "Auto", "none", "default"):
        await server.use(server.ada, "config set", setting="model", value="qwen/qwen3-next-80b")
        done = await server.use(server.ada, "config set", setting="model", value=words)
        assert done.content.startswith("Removed. **model** `the loaded one`"), words
    await server.use(server.ada, "config chat", temperature=0.3)
    done = await server.use(server.ada, "config set", setting="temperature", value="default")
    assert done.content.startswith("Removed. **temperature** `0.7`")


async def test_all_and_everyone_let_everybody_in_and_refusals_say_what_none_means(
    server: Server,
) -> None:
    asked = await server.use(server.ada, "config access", allowed_channel_ids=server.other)
    await server.press(server.ada, asked, "Change it")
    for name in ("allowed_channel_ids", "allowed_role_ids"):
        for words in ("all", "Everyone", "alle"):
            said = await server.use(server.ada, "config set", setting=name, value=words)
            assert "none" in said.content or "in every channel" in said.content, said.content
            assert "must be" not in said.content
    refused = await server.use(
        server.ada, "config set", setting="allowed_role_ids", value="@everyone"
    )
    assert "or none for everybody" in refused.content
    refused = await server.use(server.ada, "config set", setting="blocked_channel_ids", value="all")
    assert "is now" not in refused.content


async def test_who_manages_a_server_is_never_locked_out_of_its_settings(server: Server) -> None:
    await server.use(
        server.ada, "config set", setting="blocked_channel_ids", value=str(server.general.id)
    )
    assert "switched on" in (await server.use(server.ada, "ask", prompt="Hello?")).content
    assert "switched on" in await server.reply(server.bob, server.general)
    done = await server.use(server.ada, "config set", setting="blocked_channel_ids", value="none")
    assert "is now" in done.content
    assert "help you" in await server.reply(server.bob, server.general)


async def test_a_blocked_person_isnt_answered_in_that_server_only(server: Server) -> None:
    await server.use(server.ada, "config access", blocked_user_ids=server.bob)
    assert "not available to you" in await server.reply(server.bob, server.general)
    elsewhere = server.discord.add_guild("Else", owner=server.bob).add_channel("far")
    assert "help you" in await server.reply(server.bob, elsewhere)


async def test_a_person_with_an_admin_role_changes_settings(server: Server) -> None:
    guild = server.general.guild
    assert guild is not None
    guild.open_command("config")
    role = guild.add_role("Keepers")
    refused = await server.use(server.bob, "config chat", temperature=0.3)
    assert "Manage Server" in refused.content
    guild.members[server.bob.id].role_ids.append(role.id)
    await server.use(server.ada, "config access", admin_role_ids=role)
    done = await server.use(server.bob, "config chat", temperature=0.3)
    assert "is now" in done.content
    own = await server.use(server.bob, "config access", admin_role_ids=role, take_out=True)
    assert "you can't change my settings any more" in own.content


async def test_deleted_channels_and_roles_in_lists_neither_open_nor_block(server: Server) -> None:
    guild = server.general.guild
    assert guild is not None
    asked = await server.use(server.ada, "config access", allowed_channel_ids=server.other)
    await server.press(server.ada, asked, "Change it")
    server.other.delete()
    assert "switched on" in await server.reply(server.bob, server.general)
    done = await server.use(
        server.ada, "config set", setting="allowed_channel_ids", value=f"+{server.general.id}"
    )
    assert "is now" in done.content
    assert "help you" in await server.reply(server.bob, server.general)


async def test_limits_hold_from_the_next_question_on(server: Server) -> None:
    owner = server.discord.owner
    await server.use(owner, "config limits", per_person_per_minute=1)
    assert "help you" in await server.reply(server.bob, server.general)
    assert "faster than" in (await server.use(server.bob, "ask", prompt="Hello?")).content
    await server.use(owner, "config limits", per_person_per_minute=1000)
    assert "help you" in await server.reply(server.bob, server.general)


async def test_the_policy_for_direct_messages_holds_at_once(server: Server) -> None:
    await server.use(server.discord.owner, "config everywhere", dm_policy="closed")
    message = await server.bob.dm("Hello?")
    reply = await server.discord.wait_reply(message, until=lambda reply: reply.content)
    assert "don't answer direct messages" in reply.content


async def test_autocomplete_shows_what_holds_the_default_and_where_it_comes_from(
    server: Server,
) -> None:
    await server.use(server.ada, "config set", setting="temperature", value="0,3")
    named = await server.ada.autocomplete(server.general, "config set", "setting", "temp")
    assert [each["name"] for each in named] == ["temperature · 0.3 · this server, by you"]
    values = await server.ada.autocomplete(
        server.general, "config set", "value", "", setting="temperature"
    )
    assert [each["name"] for each in values][:2] == [
        "0.3 · holds here, from this server, by you",
        "0.7 · the default",
    ]
    await server.use(server.discord.owner, "config chat", top_p=0.5, scope="global")
    others = await server.ada.autocomplete(server.general, "config set", "setting", "top_p")
    assert [each["name"] for each in others] == ["top_p · 0.5 · everywhere, by somebody else"]
    owners = await server.ada.autocomplete(server.general, "config set", "setting", "slots")
    assert owners == []
    long = await server.ada.autocomplete(server.general, "config set", "setting", "system_pr")
    assert str(long[0]["name"]).endswith("… · the default")
    assert len(str(long[0]["name"])) == 100
    empty = await server.ada.autocomplete(
        server.general, "config set", "value", "none", setting="admin_role_ids"
    )
    assert [each["name"] for each in empty] == ["none · holds here, from the default"]


@pytest.mark.parametrize(
    ("setting", "by_admin", "by_owner"),
    [
        ("temperature", ["channel", "guild"], ["channel", "guild", "global"]),
        ("admin_role_ids", ["guild"], ["guild", "global"]),
        ("slots", [], ["global"]),
    ],
)
async def test_a_setting_is_offered_only_where_it_can_hold_and_the_person_may_set_it(
    setting: str, by_admin: list[str], by_owner: list[str], server: Server
) -> None:
    for command, more in (("config set", {"value": "1"}), ("config reset", {})):
        for person, expected in ((server.ada, by_admin), (server.discord.owner, by_owner)):
            made = await person.autocomplete(
                server.general, command, "scope", "", setting=setting, **more
            )
            assert [each["value"] for each in made] == expected


async def test_servers_are_offered_by_name_and_taken_out_again(server: Server) -> None:
    owner, guild = server.discord.owner, server.general.guild
    assert guild is not None
    made = await owner.autocomplete(
        server.general, "config everywhere", "allowed_guild_ids", "Home"
    )
    assert [(each["name"], each["value"]) for each in made] == [("add Home", f"+{guild.id}")]
    asked = await server.use(owner, "config everywhere", allowed_guild_ids=made[0]["value"])
    await server.press(owner, asked, "Change it")
    asked = await server.use(
        owner, "config everywhere", allowed_guild_ids=str(guild.id), take_out=True
    )
    assert "in every server" in asked.content


async def test_of_two_admins_at_once_the_last_wins_and_both_are_in_the_history(
    server: Server,
) -> None:
    guild = server.general.guild
    assert guild is not None
    carol = server.discord.add_user("Carol")
    guild.add_member(carol, permissions=Permission.MANAGE_GUILD)
    made = [
        await who.slash(server.general, "config set", setting="max_tokens", value=value)
        for who, value in ((server.ada, "111"), (carol, "222"))
    ]
    for each in made:
        await server.discord.wait_until(lambda each=each: each.content)  # type: ignore[misc]
    lines = (await server.use(server.ada, "config history")).content.splitlines()
    assert len(lines) == 2
    newest = lines[0].partition("→ `")[2][:3]
    assert f"`{newest} " not in lines[1]
    assert f"`{newest}`" in await server.value("max_tokens")


async def test_entries_that_two_admins_add_at_once_are_both_there(server: Server) -> None:
    made = [
        await server.ada.slash(
            server.general, "config access", blocked_channel_ids=channel, scope="guild"
        )
        for channel in (server.general, server.other)
    ]
    for each in made:
        await server.discord.wait_until(lambda each=each: each.content)  # type: ignore[misc]
    held = await server.value("blocked_channel_ids")
    assert f"<#{server.general.id}>" in held
    assert f"<#{server.other.id}>" in held


async def test_a_server_that_was_left_and_joined_again_has_its_settings(server: Server) -> None:
    guild = server.general.guild
    assert guild is not None
    await server.use(server.ada, "config chat", temperature=0.3)
    guild.remove_member(server.discord.world.bot_user)
    guild.add_bot(server.discord.world.bot_user)
    assert "`0.3`" in await server.value("temperature")


async def test_commands_about_a_server_arent_offered_in_direct_messages(server: Server) -> None:
    for name in ("config show", "setup", "model list", "persona show"):
        with pytest.raises(NotOfferedError):
            await server.ada.slash(server.ada.dm_channel, name)


async def test_a_manager_whom_the_settings_keep_from_asking_still_has_help_and_diagnoses(
    server: Server,
) -> None:
    guild = server.general.guild
    assert guild is not None
    role = guild.add_role("Askers")
    asked = await server.use(server.ada, "config access", allowed_role_ids=role)
    await server.press(server.ada, asked, "Change it")
    assert "/setup" in (await server.use(server.ada, "help")).content
    assert "role" in (await server.use(server.ada, "diag channel")).content
    for command in ("help", "diag channel"):
        assert "certain role" in (await server.use(server.bob, command)).content


async def test_help_says_what_the_person_may_use(server: Server) -> None:
    told = [
        (await server.use(who, "help")).content
        for who in (server.bob, server.ada, server.discord.owner)
    ]
    assert ["/setup" in text for text in told] == [False, True, True]
    assert ["/model load" in text for text in told] == [False, False, True]


NUMBERS = ("", " ", "hot", "nan", "inf", "-inf", "1e9", "0x1", "1_0", "--1", "0.7.1", "⅓", "٩٩٩٩٩٩٩", "None", "[]", "{}",
           "9" * 40, "1 2", "1,2,3", "5 bananas", "@everyone", "'; DROP TABLE settings; --")  # fmt: skip
BAD_VALUES: tuple[tuple[str, str], ...] = (
    *(("temperature", text) for text in (*NUMBERS, "-0.1", "2.01", "99", "3 s")),
    *(("top_p", text) for text in (*NUMBERS, "0", "-1", "1.01", "200 %")),
    *(("max_tokens", text) for text in (*NUMBERS, "0", "-5", "131073", "1.5", "1,5", "200k", "½")),
    *(("show_footer", text) for text in ("", "perhaps", "2", "onn", "null", "-1")),
    *(("reasoning", text) for text in ("", "none", "max", "medium-rare", "5")),
    *(("system_prompt", text) for text in ("", "   ", "a\x1b[31mb", "x" * 6001)),
    *(("model", text) for text in ("", "a/../b", "a\nb", "a\u202eb", "x" * 201, "gpt-nowhere")),
    *(
        (name, text)
        for name in (
            "allowed_channel_ids",
            "blocked_channel_ids",
            "admin_role_ids",
            "blocked_user_ids",
        )
        for text in (
            "",
            "x",
            "<@&1",
            "1.5",
            "-",
            "0",
            "99999999999999999999999",
            "+1 2",
            "#nowhere",
            ",",
        )
    ),
    ("allowed_channel_ids", "1"),
    ("admin_role_ids", "12345"),
    ("nothing", "1"),
)


async def test_bad_values_are_refused_with_what_is_allowed_and_change_nothing(
    server: Server,
) -> None:
    assert len(BAD_VALUES) >= 80
    owner = server.discord.owner  # whom no limit of commands stops
    for name, text in BAD_VALUES:
        if len(text) > 6000:
            continue  # Discord's client doesn't let it through
        said = (await server.use(owner, "config set", setting=name, value=text)).content
        allowed = (" must be ", "There is no", "has no such model", "no channel of", "no role of")
        assert any(word in said for word in allowed), (name, text, said)
        assert "is now" not in said
    assert (await server.use(server.ada, "config history")).content == "Nothing was changed yet."
    await server.reply(server.bob, server.general)
    body = server.lm.completions[-1].body
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.95, 2048)
