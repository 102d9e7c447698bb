"""Reading files as editors save them."""

from __future__ import annotations

import codecs
import os
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from config import describe
from config.environment import LIMIT_BYTES, read_environment, try_dotenv, write_dotenv
from config.loader import SettingsError
from config.settings import Settings

ROOT = Path(__file__).parents[3]


def problems(folder: Path, **env: str) -> tuple[str, ...]:
    """Return what is wrong with the files of a folder."""
    with pytest.raises(SettingsError) as refused:
        read_environment(env, folder=folder).load()
    return refused.value.problems


def load(folder: Path, **env: str) -> Settings:
    """Return the settings of a folder."""
    return read_environment(env, folder=folder).load().settings


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_that_came_with_a_value_of_the_environment_are_left_out_and_said_once(
    tmp_path: Path, quote: str
) -> None:
    """``docker run --env-file`` hands them on; systemd and shells take them off."""
    env = {
        "LMSTUDIO_BASE_URL": f"{quote}http://192.168.1.20:1234{quote}",
        "CLAWBOT_DISCORD__ALLOWED_GUILD_IDS": f" {quote}1,2{quote} ",
        "SYSTEM_PROMPT": 'Say "yes"',
        "OTHER": '"kept"',
    }
    loaded = read_environment(env, folder=tmp_path).load()
    assert loaded.settings.lmstudio.base_url == ("http://192.168.1.20:1234",)
    assert loaded.settings.discord.allowed_guild_ids == (1, 2)
    said = [one for one in loaded.warnings if "quotes" in one]
    assert len(said) == 1
    assert said[0].startswith("CLAWBOT_DISCORD__ALLOWED_GUILD_IDS and 1 more:")
    assert "192.168" not in said[0]


def test_a_secret_in_quotes_is_read_without_them(tmp_path: Path) -> None:
    token = ".".join(("MTIzNDU2Nzg5MDEyMzQ1Njc4", "GaBcDe", "x" * 38))
    loaded = read_environment({"DISCORD_TOKEN": f'"{token}"'}, folder=tmp_path).load()
    assert loaded.settings.discord.token is not None
    assert loaded.settings.discord.token.get_secret_value() == token
    assert len(loaded.warnings) == 1


def test_without_any_file_the_defaults_hold(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()


@pytest.mark.parametrize(
    ("bom", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_files_are_read_as_editors_save_them(tmp_path: Path, bom: bytes, encoding: str) -> None:
    json_text, env_text = '{"system_prompt": "grüß"}', "LMSTUDIO_MODEL=größe\r\n"
    (tmp_path / "clawbot.json").write_bytes(bom + json_text.encode(encoding))
    (tmp_path / ".env").write_bytes(bom + env_text.encode(encoding))
    settings = load(tmp_path)
    assert (settings.chat.system_prompt, settings.chat.model) == ("grüß", "größe")


def test_the_environment_wins_over_dotenv_and_dotenv_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "clawbot.json").write_text('{"temperature": 0.1, "top_p": 0.1, "max_tokens": 1}')
    (tmp_path / ".env").write_text("CLAWBOT_CHAT__TEMPERATURE=0.2\nCLAWBOT_CHAT__TOP_P=0.2\n")
    chat = load(tmp_path, CLAWBOT_CHAT__TEMPERATURE="0.3").chat
    assert (chat.temperature, chat.top_p, chat.max_tokens) == (0.3, 0.2, 1)


def test_another_name_of_the_same_setting_wins_over_dotenv_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LMSTUDIO_MODEL=below\n")
    assert load(tmp_path, CLAWBOT_CHAT__MODEL="above").chat.model == "above"


def test_an_empty_variable_does_not_hide_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LMSTUDIO_MODEL=kept\n")
    assert load(tmp_path, LMSTUDIO_MODEL="").chat.model == "kept"


def test_malformed_json_is_named_by_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "clawbot.json"
    path.write_text('{\n  "temperature": 0.7,\n  oops\n}')
    (line,) = problems(tmp_path)
    assert line.startswith(f"{path}:3:3: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 1}', '"a" is given twice'),
        ('{"chat": {"model": "x", "model": "y"}}', '"model" is given twice'),
        ("[]", "must be one object"),
        ('{"temperature": NaN}', "NaN is not a number"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "digits"),
        ("", ":1:1: is empty"),
        ('{"temperature": 0.7,}', "no comma after the last setting"),
        ("{'temperature': 0.7}", 'in "double quotes"'),
        ('{"temperature": 0,7}', "a point, not a comma"),
        ('{// mine\n"temperature": 0.7}', "no comments"),
        ('{"temperature": 0.7\n"top_p": 1}', ":2:1: a comma or a closing bracket is missing"),
        ('{"temperature": 0.7', "a closing bracket is missing"),
        ('{"temperature" 0.7}', "a colon is missing"),
        ('{"show_footer": True}', "true, false or null"),
        ('{"model": "abc}', "no closing quote"),
        ('{"model": "C:\\models"}', "a backslash inside a text is written twice"),
        ('{"system_prompt": "a\nb"}', "a line break or tab inside a text"),
        ('{"temperature": 0.7}{}', "nothing may follow the closing bracket"),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "clawbot.json").write_text(text)
    (line,) = problems(tmp_path)
    assert reason in line
    assert "\n" not in line


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "clawbot.json").write_bytes(b'{"model": "\xff\xfe"}')
    (tmp_path / ".env").write_bytes(b"LMSTUDIO_MODEL=\xff")
    assert [line.rpartition(": ")[2] for line in problems(tmp_path)] == ["is not UTF-8 text"] * 2


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "clawbot.json").write_bytes(b" " * (LIMIT_BYTES + 1))
    assert "longer than" in problems(tmp_path)[0]


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    assert problems(tmp_path, CLAWBOT_CONFIG=str(path)) == (f"{path}: there is no such file",)


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    assert len(problems(tmp_path, CLAWBOT_CONFIG=str(tmp_path))) == 1


def test_an_argument_wins_over_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"model": "mine"}')
    sources = read_environment(
        {"CLAWBOT_CONFIG": "none.json"}, folder=tmp_path, config_path=str(path)
    )
    assert sources.load().settings.chat.model == "mine"


def test_a_dotenv_file_may_name_the_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"model": "mine"}')
    (tmp_path / ".env").write_text(f"CLAWBOT_CONFIG={path}\n")
    assert load(tmp_path).chat.model == "mine"


def test_dotenv_values_are_taken_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "export DISCORD_TOKEN='a${HOME}b'  # mine\nLMSTUDIO_MODEL=\"x y\"\nFOREIGN=1\nLMSTUDIO_API_TOKEN\n"
    )
    settings = load(tmp_path)
    assert settings.discord.token is not None
    assert settings.discord.token.get_secret_value() == "a${HOME}b"
    assert (settings.chat.model, settings.lmstudio.api_token) == ("x y", None)


def test_a_broken_line_of_dotenv_is_named_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LMSTUDIO_MODEL=x\nDISCORD_TOKEN 'hunter22\n")
    assert problems(tmp_path) == (f"{tmp_path / '.env'}:2: must be NAME=value",)


@pytest.mark.parametrize(
    "line",
    [
        '$env:DISCORD_TOKEN = "hunter22"',
        "DISCORD_TOKEN＝hunter22",
        "set DISCORD_TOKEN=hunter22",
        "DISCORD_TOKEN: hunter22",
    ],
)
def test_a_line_that_hides_a_name_of_ours_is_named_and_not_repeated(
    tmp_path: Path, line: str
) -> None:
    (tmp_path / ".env").write_text(f"LMSTUDIO_MODEL=x\n{line}\n", "utf-8")
    assert problems(tmp_path) == (f"{tmp_path / '.env'}:2: must be NAME=value",)


def test_quotes_that_do_not_match_are_said(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CLAWBOT_CHAT__SYSTEM_PROMPT='You're nice'\n")
    (line,) = problems(tmp_path)
    assert line.endswith(":1: must be NAME=value; a quote that begins a value must end it, too")


def test_an_empty_variable_of_the_example_does_not_contradict_the_same_further_down(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("LMSTUDIO_MODEL=\nLMSTUDIO_MODEL=x\nLMSTUDIO_MODEL=\n")
    assert load(tmp_path).chat.model == "x"


@pytest.mark.parametrize("value", ["“a/b”", "„a/b“", "«a/b»", "\u200ba/b\ufeff", "‘a/b’"])
def test_quotes_of_a_word_processor_and_what_is_not_seen_are_left_out(
    tmp_path: Path, value: str
) -> None:
    (tmp_path / ".env").write_text(f"LMSTUDIO_MODEL={value}\n", "utf-8")
    assert load(tmp_path).chat.model == "a/b"


def test_quotes_around_a_whole_persona_are_its_own(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CLAWBOT_CHAT__SYSTEM_PROMPT=«Sois bref.»\n", "utf-8")
    assert load(tmp_path).chat.system_prompt == "«Sois bref.»"


def test_a_path_of_windows_in_double_quotes_is_refused_rather_than_misread(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('CLAWBOT_DATA_DIR="C:\\Users\\new\\temp"\n')
    (line,) = problems(tmp_path)
    assert line.startswith("CLAWBOT_DATA_DIR: must be a path on one line; in double quotes")


def test_a_variable_given_twice_in_dotenv_must_agree(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LMSTUDIO_MODEL=x\nLMSTUDIO_MODEL=y\n")
    assert "given twice" in problems(tmp_path)[0]


def test_problems_of_files_and_of_settings_come_together(tmp_path: Path) -> None:
    (tmp_path / "clawbot.json").write_text("{")
    found = problems(tmp_path, LMSTUDIO_X="1")
    assert len(found) == 2


def test_a_file_that_an_editor_gave_an_ending_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env.txt").write_text("DISCORD_TOKEN=x\n")
    assert read_environment({}, folder=tmp_path).warnings == (
        f"{tmp_path / '.env.txt'}: isn't read; its name must be .env, without an ending",
    )
    (tmp_path / ".env").write_text("")
    assert read_environment({}, folder=tmp_path).warnings == ()


def test_a_dotenv_file_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("LMSTUDIO_API_TOKEN=x\n")
    path.chmod(0o644)
    warnings = read_environment({}, folder=tmp_path).load().warnings
    assert bool(warnings) is (os.name == "posix")
    path.chmod(0o600)
    assert read_environment({}, folder=tmp_path).load().warnings == ()


@pytest.mark.parametrize(
    "write", [try_dotenv, partial(write_dotenv, given={"DISCORD_TOKEN": "a" * 70})]
)
def test_where_the_disk_is_full_dotenv_stays_as_it_was_with_nothing_beside_it(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    file = tmp_path / ".env"
    file.write_text("LMSTUDIO_MODEL=one\n", "utf-8")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_text("utf-8") == "LMSTUDIO_MODEL=one\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_trial_to_write_leaves_everything_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("LMSTUDIO_MODEL=one\n", "utf-8")
    try_dotenv(file)
    assert file.read_text("utf-8") == "LMSTUDIO_MODEL=one\n"
    assert list(tmp_path.iterdir()) == [file]


def test_the_example_holds_every_setting_with_its_default(tmp_path: Path) -> None:
    text = describe.env_example()
    switched_on = [
        line.removeprefix("#") if line.startswith("#") and line[1:2] not in {" ", ""} else line
        for line in text.splitlines()
        if "CLAWBOT_CONFIG" not in line
    ]
    (tmp_path / ".env").write_text("\n".join(switched_on))
    assert load(tmp_path) == Settings()


def test_the_generated_files_are_current() -> None:
    assert (ROOT / describe.ENV_EXAMPLE).read_text(encoding="utf-8") == describe.env_example()
    for path in describe.DOCUMENTS:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert describe.with_tables(text) == text, f"{path}: run python -m config.describe"
