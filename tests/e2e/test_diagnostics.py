"""``/diag``: acknowledged at once, the cause named, nothing said that a member needn't know."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.ops.check import check
from config.loader import load_settings
from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import Fault, LMStudioSandbox, Model
from tests.support.application import environment_between, running, settings_for

INVITED = 274_878_008_384
"""The permissions of the README's invitation, as Discord counts them."""
ATTACH_FILES, USE_APPLICATION_COMMANDS = 1 << 15, 1 << 31


async def network(discord: DiscordSandbox, ada: Person, channel: Channel) -> str:
    """Run ``/diag network`` and return its whole report."""
    interaction = await ada.slash(channel, "diag network")
    await interaction.wait_response()
    assert interaction.ephemeral
    await discord.wait_until(lambda: interaction.content and "Looking" not in interaction.content)
    return interaction.content


async def test_all_well(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        report = await network(discord, ada, channel)
    assert "❌" not in report
    assert "127.0.0.1" not in report


async def test_a_machine_that_is_off_is_named_as_the_cause(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    await lm.stop()
    async with running(settings_for(discord, lm, tmp_path)):
        report = await network(discord, ada, channel)
    assert "❌ **Connection**" in report
    assert "127.0.0.1" not in report


async def test_what_was_mended_is_well_in_the_next_report_at_once(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    await lm.stop()
    async with running(settings_for(discord, lm, tmp_path)):
        assert "❌ **Connection**" in await network(discord, ada, channel)
        await lm.start()
        report = await network(discord, ada, channel)
    assert "❌" not in report
    assert "✅ Completion" in report


async def test_a_wrong_api_token_is_named_as_the_cause(
    discord: DiscordSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    async with LMStudioSandbox([Model("qwen/qwen3-next-80b")], token="sk-lm-right:one") as lm:
        settings = settings_for(discord, lm, tmp_path, LMSTUDIO_API_TOKEN="sk-lm-wrong:one")
        async with running(settings):
            report = await network(discord, ada, channel)
    assert "❌ **API token**" in report
    assert "sk-lm" not in report


async def test_added_servers_are_looked_at_and_those_taken_out_are_not(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = {
        "CLAWBOT_OWNER_IDS": str(ada.id),
        "LMSTUDIO_API_TOKEN": "sk-lm-right:one",
        "CLAWBOT_LMSTUDIO__ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    environment = environment_between(discord, lm, tmp_path, **more)
    lm.options.token = "sk-lm-right:one"

    async def check_here() -> str:
        capsys.readouterr()
        await asyncio.to_thread(check, load_settings(environment))
        return capsys.readouterr().out

    async with LMStudioSandbox([Model("a/one")]) as added:
        async with running(load_settings(environment).settings):
            asked = await ada.slash(channel, "model endpoint add", address=added.base_url)
            await discord.wait_until(lambda: "is in use now" in asked.content)
            await added.refuse()
            report = await network(discord, ada, channel)
            assert report.startswith("❌ **Connection**: Nothing listens at that port")
            assert "FAILED  Connection" in await check_here()
            await added.start()
            report = await network(discord, ada, channel)
            assert "**LM Studio 2**" in report
            assert "`a/one`" in report
            assert "❌" not in report
            assert "LM Studio 2:" in await check_here()
            await added.refuse()
            drained = await ada.slash(channel, "model drain", server=2)
            await discord.wait_until(lambda: "taken out" in drained.content)
            report = await network(discord, ada, channel)
            assert "❌" not in report
            assert "an owner took it out" in report
            lines = (await check_here()).splitlines()
        assert not [line for line in lines if line.startswith("  FAILED")]
        assert all("authorization" not in request.headers for request in added.requests)


@pytest.mark.parametrize("name", ["diag queue", "diag model", "diag channel", "help", "stop"])
async def test_each_looking_command_answers_the_person_alone(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    name: str,
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        interaction = await ada.slash(channel, name)
        await interaction.wait_response()
        await discord.wait_until(lambda: interaction.content)
        assert interaction.ephemeral


async def test_ten_people_asking_together_cost_the_model_one_probe(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    people = [ada, *(discord.add_user(f"Person {number}") for number in range(9))]
    for person in people[1:]:
        channel.guild.add_member(person)
    async with running(settings_for(discord, lm, tmp_path)):
        reports = await asyncio.gather(*(network(discord, one, channel) for one in people))
        again = await network(discord, ada, channel)
    assert all("✅ Completion" in report for report in [*reports, again])
    assert len(lm.completions) == 2  # the short one, and the one that is timed


async def test_the_probe_waits_in_line_while_a_question_has_the_only_slot(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__SLOTS="1")
    async with running(settings):
        lm.faults.next(Fault.HANG_AFTER_TOKENS, after_tokens=3)
        message = await ada.mention(channel, "Hello?")
        await discord.wait_reply(message, until=lambda reply: "Hello" in reply.content)
        report = asyncio.create_task(network(discord, ada, channel))
        shown = ""
        while "1 waiting" not in shown:  # each look by somebody else: a person's are bounded
            looker = discord.add_user("Looker")
            channel.guild.add_member(looker)
            queue = await looker.slash(channel, "diag queue")
            shown = (await queue.wait_content()).content
        assert len(lm.completions) == 1
        stop = await ada.slash(channel, "stop")
        await stop.wait_answer()
        assert "✅ Completion" in await report
    assert len(lm.completions) == 3


async def test_a_diagnosis_counts_as_a_question(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE="1")
    async with running(settings):
        message = await ada.mention(channel, "Hello?")
        await discord.wait_reply(message, until=lambda reply: "help you" in reply.content)
        interaction = await ada.slash(channel, "diag network")
        await discord.wait_until(lambda: "try again" in interaction.content)
    assert len(lm.completions) == 1


async def test_a_bot_with_the_permissions_of_the_invitation_lacks_none_in_any_report(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    channel.overwrite(channel.guild.everyone, deny=~INVITED & ~USE_APPLICATION_COMMANDS)
    async with running(settings_for(discord, lm, tmp_path)):
        interaction = await ada.slash(channel, "diag channel")
        await interaction.wait_response()
        await discord.wait_until(lambda: interaction.content)
        assert "✅ I have the permissions I need there." in interaction.content
        assert "✅ Permissions here" in await network(discord, ada, channel)


async def test_both_reports_name_what_is_missing_in_a_channel(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    channel.overwrite(channel.guild.everyone, deny=ATTACH_FILES)
    async with running(settings_for(discord, lm, tmp_path)):
        interaction = await ada.slash(channel, "diag channel")
        await interaction.wait_response()
        await discord.wait_until(lambda: interaction.content)
        assert (
            "I can answer there, but lack Attach Files (denied to everyone" in interaction.content
        )
        report = await network(discord, ada, channel)
    assert "The bot can answer here, but lacks Attach Files." in report


async def test_a_diagnosis_asks_the_model_of_the_place_and_no_other(
    discord: DiscordSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    models = [Model("a/one"), Model("b/two"), Model("c/cold", loaded=False)]
    async with LMStudioSandbox(models) as lm:
        settings = settings_for(discord, lm, tmp_path, LMSTUDIO_MODEL="a/one")
        async with running(settings):
            chosen = await ada.slash(channel, "model use", model="b/two")
            await chosen.wait_answer()
            await network(discord, ada, channel)
            lm.unload("b/two")
            await lm.wait_until(lambda: not lm.engine.instances.get("b/two"))
            asked = len(lm.completions)
            await network(discord, ada, channel)
        assert {request.body["model"] for request in lm.completions[:asked]} == {"b/two"}
        assert {request.body["model"] for request in lm.completions[asked:]} <= {"a/one"}
        assert lm.options.counters.loads == 0


async def test_the_figures_of_a_model_are_its_own_with_its_failures(
    discord: DiscordSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    models = [Model("a/one"), Model("b/two")]
    async with LMStudioSandbox(models) as lm:
        settings = settings_for(
            discord, lm, tmp_path, LMSTUDIO_MODEL="a/one", CLAWBOT_LMSTUDIO__RETRY_ATTEMPTS="1"
        )
        async with running(settings):
            await ada.mention(channel, "Hello?")
            await lm.wait_until(lambda: "answered in" in caplog.text)
            lm.faults.next(Fault.COMPUTE_ERROR, times=None)
            await ada.mention(channel, "And now?")
            await lm.wait_until(lambda: "ended with a notice after" in caplog.text)
            shown = await ada.slash(channel, "diag model")
            await discord.wait_until(lambda: "Last 24 hours" in shown.content)
            assert "Questions: 2 questions, 1 of them failed" in shown.content
            chosen = await ada.slash(channel, "model use", model="b/two")
            await chosen.wait_answer()
            shown = await ada.slash(channel, "diag model")
            await discord.wait_until(lambda: "Model: `b/two`" in shown.content)
            assert "No question to this model has ended in the last 8 days" in shown.content
