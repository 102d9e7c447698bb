"""``clawbot init``: what is asked, tried and written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from config.environment import read_environment
from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import LMStudioSandbox, Model
from tests.support.process import Ended, run_clawbot


async def set_up(discord: DiscordSandbox, folder: Path, *typed: str, **environment: str) -> Ended:
    """Run ``clawbot init`` with these lines typed, against the sandbox's Discord."""
    return await run_clawbot(
        "init",
        folder=folder,
        environment={
            "CLAWBOT_DISCORD_API_BASE": discord.api_base,
            "CLAWBOT_DISCORD_GATEWAY_URL": discord.gateway_url,
            **environment,
        },
        typed="".join(f"{line}\n" for line in typed),
    )


def written(folder: Path) -> dict[str, str]:
    """Return what the next start reads from ``.env``."""
    return dict(read_environment({}, folder=folder).env)


def names_in(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return [path.name for path in folder.iterdir()]


async def test_the_answers_are_tried_and_written_for_their_owner_only(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    address = lm.base_url.removeprefix("http://")
    done = await set_up(discord, tmp_path, discord.token, address, "1", "123456789012345678")
    assert done.code == 0, done.out + done.err
    assert "The token is right" in done.out
    assert discord.token not in done.out + done.err
    env = written(tmp_path)
    assert env["DISCORD_TOKEN"] == discord.token
    assert env["LMSTUDIO_BASE_URL"] == address
    assert env["LMSTUDIO_MODEL"] in {model.key for model in lm.models}
    assert env["CLAWBOT_OWNER_IDS"] == "123456789012345678"
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    check = await run_clawbot(
        "check",
        folder=tmp_path,
        environment={
            "CLAWBOT_DISCORD_API_BASE": discord.api_base,
            "CLAWBOT_DISCORD_GATEWAY_URL": discord.gateway_url,
        },
    )
    assert check.code == 0, check.out


async def test_a_wrong_answer_is_asked_for_again(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    done = await set_up(
        discord,
        tmp_path,
        *("", "MTIz.wrong.token", discord.token),
        *("ftp://nowhere", "192.168.1.20.1234", "no", "127.0.0.1:9", "no", lm.base_url),
        *("no-such-model", "no", ""),
        *("somebody", ""),
    )
    assert done.code == 0, done.out + done.err
    assert "can't start without one" in done.out
    assert "refused the bot token" in done.out
    assert "starts with http" in done.out
    assert "write it as four numbers" in done.out
    assert "certificate" not in done.out
    assert written(tmp_path)["LMSTUDIO_BASE_URL"] == lm.base_url
    assert "CLAWBOT_OWNER_IDS" not in written(tmp_path)


async def test_what_is_copied_along_with_a_value_is_left_out(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    typed = (f"DISCORD_TOKEN='{discord.token}'", f'"{lm.base_url}"', "`1`", "CLAWBOT_OWNER_IDS=123")
    done = await set_up(discord, tmp_path, *typed)
    assert done.code == 0, done.out + done.err
    env = written(tmp_path)
    assert env["DISCORD_TOKEN"] == discord.token
    assert env["LMSTUDIO_BASE_URL"] == lm.base_url
    assert env["LMSTUDIO_MODEL"] in {model.key for model in lm.models}
    assert env["CLAWBOT_OWNER_IDS"] == "123"


async def test_a_second_run_offers_what_is_there_and_leaves_the_rest(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text(
        f"# mine\nDISCORD_TOKEN='{discord.token}'\nCLAWBOT_LMSTUDIO__BASE_URL={lm.base_url}\n"
        "LMSTUDIO_MODEL=gone\nCLAWBOT_CHAT__TEMPERATURE=0.3\n",
        "utf-16",
    )
    done = await set_up(discord, tmp_path, "", "", "1", "")
    assert done.code == 0, done.out + done.err
    env = written(tmp_path)
    assert env["DISCORD_TOKEN"] == discord.token
    assert env["LMSTUDIO_BASE_URL"] == lm.base_url
    assert env["LMSTUDIO_MODEL"] in {model.key for model in lm.models}
    assert env["CLAWBOT_CHAT__TEMPERATURE"] == "0.3"
    assert file.read_text("utf-8").startswith("# mine\n")
    assert names_in(tmp_path) == [".env"]


async def test_a_second_run_can_go_back_to_any_model_and_to_nobody_else(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        f"DISCORD_TOKEN={discord.token}\nLMSTUDIO_BASE_URL={lm.base_url}\n"
        "LMSTUDIO_MODEL=gone\nCLAWBOT_OWNER_IDS=123\n"
    )
    done = await set_up(discord, tmp_path, "", "", "0", "-")
    assert done.code == 0, done.out + done.err
    assert "0  whatever is loaded" in done.out
    assert written(tmp_path).get("LMSTUDIO_MODEL", "") == ""
    assert written(tmp_path).get("CLAWBOT_OWNER_IDS", "") == ""


async def test_a_part_of_one_models_name_and_mentions_of_people_are_understood(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    lm.models = [Model("qwen/qwen3-next-80b"), Model("google/gemma-3-27b", loaded=False)]
    await lm.stop()
    await lm.start()
    people = "<@123456789012345678>; <@!223456789012345678> 323456789012345678,"
    done = await set_up(discord, tmp_path, discord.token, lm.base_url, "Gemma", people)
    assert done.code == 0, done.out + done.err
    assert "That is google/gemma-3-27b." in done.out
    env = written(tmp_path)
    assert env["LMSTUDIO_MODEL"] == "google/gemma-3-27b"
    owners = "123456789012345678,223456789012345678,323456789012345678,"
    assert env["CLAWBOT_OWNER_IDS"].rstrip(",") == owners.rstrip(",")


@pytest.mark.parametrize("answers", [0, 1, 2, 3])
async def test_nothing_is_written_when_the_answers_end(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, answers: int
) -> None:
    typed = [discord.token, lm.base_url, ""][:answers]
    done = await set_up(discord, tmp_path, *typed)
    assert done.code == 130
    assert done.sentence == "clawbot: stopped; nothing was written"
    assert not (tmp_path / ".env").exists()


async def test_a_token_of_lm_studio_is_asked_for_where_it_wants_one(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    lm.options.token = "sk-lm-abc:def"
    done = await set_up(discord, tmp_path, discord.token, lm.base_url, "sk-lm-abc:def", "", "")
    assert done.code == 0, done.out + done.err
    assert written(tmp_path)["LMSTUDIO_API_TOKEN"] == "sk-lm-abc:def"
    assert "sk-lm-abc" not in done.out + done.err


async def test_a_file_that_cant_be_written_is_named_before_anything_is_asked(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    (tmp_path / ".env").symlink_to("x" * 250)  # a name to which nothing can be added
    done = await set_up(discord, tmp_path)
    assert done.code == 69
    assert ".env can't be written" in done.sentence
    assert "token" not in done.out


async def test_a_folder_that_takes_no_files_is_named_before_anything_is_asked(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "nowhere" / ".env")
    done = await set_up(discord, tmp_path)
    assert done.code == 69
    assert ".env can't be written" in done.sentence
    assert "token" not in done.out


async def test_the_environment_that_hides_an_answer_is_named(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    done = await set_up(
        discord, tmp_path, "", lm.base_url, "", "",
        DISCORD_TOKEN=discord.token, LMSTUDIO_BASE_URL="http://127.0.0.1:9",
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    assert "the environment has another LMSTUDIO_BASE_URL" in done.out
