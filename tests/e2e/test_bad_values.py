"""Bad values through every way in that people have: refused, nothing stored, nothing sent to the model."""

from __future__ import annotations

from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Interaction, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for
from tests.support.bad_values import BAD_VALUES

ALLOWED = ("must be", "There is no such", "has no such model", "Did you mean", "no server with")
PARAMETERS = ("temperature", "top_p", "max_tokens", "model")


async def _use(person: Person, channel: Channel, name: str, **options: object) -> Interaction:
    made = await person.slash(channel, name, **options)
    return await made.wait_answer()


async def _asked(discord: DiscordSandbox, person: Person, channel: Channel) -> None:
    message = await person.mention(channel, "Hello?")
    await discord.wait_reply(message, until=lambda reply: "help you" in reply.content)


async def test_no_bad_value_is_stored_or_reaches_the_model_whichever_way_it_comes(
    discord: DiscordSandbox, lm: LMStudioSandbox, channel: Channel, tmp_path: Path
) -> None:
    owner = discord.owner
    guild = channel.guild
    assert guild is not None
    guild.add_member(owner, permissions=1 << 5)
    async with running(settings_for(discord, lm, tmp_path)):
        await _use(owner, channel, "config set", setting="temperature", value="0.4")
        await _asked(discord, owner, channel)
        before = lm.completions[-1].body
        stored = (await _use(owner, channel, "config history")).content
        for name, values in BAD_VALUES.items():
            for value in (each for each in values if 0 < len(each) <= 6000):
                said = (await _use(owner, channel, "config set", setting=name, value=value)).content
                assert any(each in said for each in ALLOWED), (name, value, said)
        for text in ("a\x00b", "a\x1b[31mb"):
            said = (await _use(owner, channel, "persona set", text=text)).content
            assert "must be" in said
            said = (
                await _use(owner, channel, "persona import", file=("p.txt", text.encode()))
            ).content
            assert "must be" in said or "no plain text" in said
        opened = await _use(owner, channel, "setup")
        assert opened.message is not None
        for field in ("temperature", "top_p", "max_tokens"):
            for value in (each for each in BAD_VALUES[field] if len(each) <= 32):
                form = await (await owner.click(opened.message, "Numbers")).wait_answer()
                sent = await owner.submit(form, {field: value})
                await sent.wait_content()
                assert "must be" in sent.content, (field, value, sent.content)
        assert (await _use(owner, channel, "config history")).content == stored
        await _asked(discord, owner, channel)
        after = lm.completions[-1].body
        assert [after.get(key) for key in PARAMETERS] == [before.get(key) for key in PARAMETERS]
