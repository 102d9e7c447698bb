"""Who runs the bot: the application's owner and those of its team who may change it."""

from __future__ import annotations

from pathlib import Path

from bot.gateway.connection import OWNERS_EVERY_S
from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for
from tests.support.clock import SwiftClock


async def test_owners_are_the_teams_owner_and_accepted_admins_and_developers_and_nobody_blocked(
    discord: DiscordSandbox, lm: LMStudioSandbox, channel: Channel, tmp_path: Path
) -> None:
    names = ["Owner", "Admin", "Developer", "Reader", "Invited", "Blocked", "Configured"]
    people = {name: discord.add_user(name) for name in names}
    discord.add_team(
        (people["Admin"], "admin", True),
        (people["Developer"], "developer", True),
        (people["Reader"], "read_only", True),
        (people["Invited"], "admin", False),
        (people["Blocked"], "admin", True),
        owner=people["Owner"],
    )
    assert channel.guild is not None
    for person in people.values():
        channel.guild.add_member(person, permissions="manage_guild")
    extra = {
        "CLAWBOT_OWNER_IDS": f"{people['Configured'].id},{people['Blocked'].id}",
        "CLAWBOT_DISCORD__BLOCKED_USER_IDS": str(people["Blocked"].id),
    }
    clock = SwiftClock(OWNERS_EVERY_S / 2)
    async with running(settings_for(discord, lm, tmp_path, **extra), clock):
        may = {name: await _changes_global(channel, person) for name, person in people.items()}
        assert {name for name, allowed in may.items() if allowed} == {
            "Owner",
            "Admin",
            "Developer",
            "Configured",
        }
        assert discord.world.team is not None
        discord.world.team.members = [
            each for each in discord.world.team.members if each.user.id != people["Admin"].id
        ]
        asked = len(_looks(discord))
        await discord.wait_until(lambda: len(_looks(discord)) > asked + 1)
        assert not await _changes_global(channel, people["Admin"])
        assert await _changes_global(channel, people["Developer"])


def _looks(discord: DiscordSandbox) -> list[object]:
    """Return the bot's requests for its application."""
    return [each for each in discord.requests if each.path.endswith("/oauth2/applications/@me")]


async def _changes_global(channel: Channel, person: Person) -> bool:
    used = await person.slash(
        channel, "config set", setting="temperature", value="0.5", scope="global"
    )
    told = await used.wait_answer()
    return "whoever runs me" not in told.content and "not available" not in told.content


async def test_help_says_how_to_ask_where_it_is_read_and_where_an_owners_commands_are(
    discord: DiscordSandbox, lm: LMStudioSandbox, channel: Channel, tmp_path: Path
) -> None:
    assert channel.guild is not None
    channel.guild.add_member(discord.owner, permissions="manage_guild")
    async with running(settings_for(discord, lm, tmp_path)):
        in_server = await discord.owner.slash(channel, "help")
        direct = await discord.owner.slash(discord.owner.dm_channel, "help")
        for opened, how in ((in_server, "Mention <@"), (direct, "Write me your question")):
            await opened.wait_content()
            assert opened.content.startswith(how)
            assert "You run me. In a server, `scope:global`" in opened.content
        assert "You manage this server" not in direct.content
