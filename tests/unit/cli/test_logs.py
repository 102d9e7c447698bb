"""The log: one line per record, no secrets, and the question each line belongs to."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from bot.core.errors import ConfigurationError
from bot.core.tasks import log_context
from bot.ops.logs import HIDDEN, Redactor, escape, secrets_of, set_up_logging
from config.settings import (
    DiscordSettings,
    LMStudioSettings,
    LoggingSettings,
    Settings,
    StoreSettings,
)

TOKEN = 'planted-"tökn\\-0123456789'
API_TOKEN = "planted-api-token-0123456789"
DATABASE = "postgresql://bot:planted-password@db/x"
SHAPED = "MTA0NzY3ODkwMTIzNDU2Nzg5MA.Gabcde.abcdefghijklmnopqrstuvwxyz0123456789AB"
_log = logging.getLogger("bot.test")


def settings(level: str = "DEBUG", *, json_lines: bool = False) -> Settings:
    """Return settings full of planted secrets."""
    return Settings(
        discord=DiscordSettings(token=SecretStr(TOKEN)),
        lmstudio=LMStudioSettings(api_token=SecretStr(API_TOKEN)),
        store=StoreSettings(database_url=DATABASE),
        logging=LoggingSettings.model_validate({"level": level, "json_lines": json_lines}),
    )


def logging_to_text(*, json_lines: bool = False, level: str = "DEBUG") -> io.StringIO:
    """Set the log up and return where it goes."""
    stream = io.StringIO()
    set_up_logging(settings(level, json_lines=json_lines), stream=stream)
    return stream


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("json_lines", [False, True])
def test_planted_secrets_never_reach_the_log(*, json_lines: bool) -> None:
    stream = logging_to_text(json_lines=json_lines)
    for secret in (TOKEN, API_TOKEN, DATABASE, SHAPED):
        _log.debug("value %s", secret)
        _log.debug("header %r", {"Authorization": f"Bot {secret}"})
        _log.error("extra", extra={"held": secret}, stack_info=True)
        _log.error("caught", exc_info=ValueError(f"failed with {secret}"))
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"deprecated {secret}", UserWarning, stacklevel=1)
        logging.getLogger("discord.client").error("token %s", secret)
    text = stream.getvalue()
    for secret in (TOKEN, API_TOKEN, "planted-password", SHAPED):
        assert secret not in text
    assert HIDDEN in text


@pytest.mark.usefixtures("restored_logging")
def test_a_failure_of_the_event_loop_is_redacted_too() -> None:
    stream = logging_to_text()

    async def fail() -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "lost", "exception": ValueError(TOKEN)}
        )

    asyncio.run(fail())
    assert "lost" in stream.getvalue()
    assert TOKEN not in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"got {SHAPED}!", f"got {HIDDEN}!"),
        ("POST /webhooks/123/abc-DEF.1/messages", f"POST /webhooks/{HIDDEN}/messages"),
        ("/interactions/1/aW50ZXJh/callback", f"/interactions/{HIDDEN}/callback"),
        ("Authorization: Bearer sk-lm-abc:def", f"Authorization: Bearer {HIDDEN}"),
        ("http://user:pass@host/", f"http://{HIDDEN}@host/"),
        ("node http://10.0.0.2:1234 answered in 12.5 s", None),
        ("model qwen3-next-80b-a3b-instruct-mlx@4bit", None),
    ],
)
def test_secrets_are_known_by_their_shape(text: str, kept: str | None) -> None:
    assert Redactor().clean(text) == (kept or text)


def test_a_secret_inside_another_is_hidden_whole() -> None:
    assert Redactor(("abcd", "abcdefgh")).clean("x abcdefgh x abcd") == f"x {HIDDEN} x {HIDDEN}"


def test_the_settings_secrets_are_all_known() -> None:
    assert set(secrets_of(settings())) == {TOKEN, API_TOKEN, DATABASE, "planted-password"}
    assert secrets_of(Settings()) == ()


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("json_lines", [False, True])
def test_a_record_is_one_line_whatever_is_in_it(*, json_lines: bool) -> None:
    stream = logging_to_text(json_lines=json_lines)
    _log.info("name %s", "a\nb\r\x1b[31mc\u2028d\u202ee\x00")
    assert len(stream.getvalue().splitlines()) == 1
    assert all(ch.isprintable() for ch in stream.getvalue().rstrip("\n"))


@given(st.text())
def test_escaped_text_is_one_printable_line(text: str) -> None:
    assert escape(text).isprintable()


@pytest.mark.usefixtures("restored_logging")
def test_json_lines_hold_the_fields() -> None:
    stream = logging_to_text(json_lines=True)
    with log_context(question_id=1, guild_id=2, channel_id=3):
        _log.warning("said %d", 5)
    _log.warning("after")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first.pop("time")
    assert first == {
        "level": "WARNING",
        "logger": "bot.test",
        "message": "said 5",
        "question_id": 1,
        "guild_id": 2,
        "channel_id": 3,
    }
    assert "question_id" not in second


@pytest.mark.usefixtures("restored_logging")
def test_a_task_keeps_the_ids_it_was_started_with() -> None:
    stream = logging_to_text()

    async def work() -> None:
        _log.info("working")

    async def start() -> None:
        with log_context(question_id=42):
            task = asyncio.create_task(work())
        await task

    asyncio.run(start())
    assert "question=42: working" in stream.getvalue()


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING"])
def test_the_libraries_that_log_content_stay_quiet(level: str) -> None:
    stream = logging_to_text(level=level)
    for name in ("discord.http", "discord.gateway"):
        logging.getLogger(name).debug("payload with what somebody wrote")
    assert stream.getvalue() == ""
    assert logging.getLogger("discord.gateway").isEnabledFor(logging.WARNING)


@pytest.mark.usefixtures("restored_logging")
def test_setting_up_twice_logs_once() -> None:
    logging_to_text()
    stream = logging_to_text()
    _log.info("once")
    assert stream.getvalue().count("once") == 1


@pytest.mark.usefixtures("restored_logging")
def test_advice_on_voice_is_left_out() -> None:
    stream = logging_to_text()
    logging.getLogger("discord.client").warning(
        "PyNaCl is not installed, voice will NOT be supported"
    )
    assert stream.getvalue() == ""


@pytest.mark.usefixtures("restored_logging")
def test_a_command_may_keep_the_log_shorter_than_the_settings() -> None:
    stream = io.StringIO()
    set_up_logging(settings("DEBUG"), at_least="ERROR", stream=stream)
    _log.warning("not now")
    _log.error("but this")
    assert "but this" in stream.getvalue()
    assert "not now" not in stream.getvalue()


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("json_lines", [False, True])
def test_a_failure_is_told_by_place_and_kind_without_what_it_says(*, json_lines: bool) -> None:
    stream = logging_to_text(json_lines=json_lines)
    words = "somebody's planted words"

    def fail() -> None:
        try:
            _ = dict[str, str]()[words]
        except KeyError as exc:
            raise ExceptionGroup(words, [ValueError(words)]) from exc

    try:
        fail()
    except ExceptionGroup:
        _log.exception("it failed")
    logging.getLogger("asyncio").error(
        "Task exception was never retrieved\nfuture: <Task exception=ValueError(%r)>", words
    )
    text = stream.getvalue()
    assert words not in text
    for told in ("it failed", "KeyError", "ValueError", "in fail", "never retrieved"):
        assert told in text


@pytest.mark.usefixtures("restored_logging")
def test_a_line_names_its_question_and_no_module() -> None:
    stream = logging_to_text()
    with log_context(question_id=7):
        _log.info("answered")
    _log.info("stopped")
    logging.getLogger("discord.http").warning("slow")
    lines = [line.partition(" ")[2].partition(" ")[2] for line in stream.getvalue().splitlines()]
    assert lines == ["INFO    question=7: answered", "INFO    stopped", "WARNING discord: slow"]


class Full(io.StringIO):
    """A stream that takes nothing."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def file_settings(file: Path, **more: object) -> Settings:
    """Return settings that log to a file."""
    return Settings(logging=LoggingSettings.model_validate({"file": file, **more}))


@pytest.mark.usefixtures("restored_logging")
def test_the_file_holds_what_the_stream_holds_and_stays_small(tmp_path: Path) -> None:
    stream, file = io.StringIO(), tmp_path / "log"
    set_up_logging(file_settings(file, file_mib=1, file_count=3), stream=stream)
    _log.info("first")
    assert file.read_text() == stream.getvalue() != ""
    for _ in range(60):
        _log.info("%s", "x" * 100_000)
    kept = sorted(tmp_path.iterdir())
    assert [path.name for path in kept] == ["log", "log.1", "log.2"]
    assert sum(path.stat().st_size for path in kept) < 3.2 * 1024 * 1024


@pytest.mark.usefixtures("restored_logging")
def test_the_fewest_files_that_may_be_kept_stay_small_too(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        file_settings(tmp_path / "log", file_count=1)  # one alone could never be put aside
    settings = file_settings(tmp_path / "log", file_mib=1, file_count=2)
    set_up_logging(settings, stream=io.StringIO())
    for _ in range(60):
        _log.info("%s", "x" * 100_000)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2.2 * 1024 * 1024


@pytest.mark.usefixtures("restored_logging")
def test_a_file_that_cannot_be_written_ends_the_start_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"CLAWBOT_LOGGING__FILE: .* \(is a directory\)"):
        set_up_logging(file_settings(tmp_path))
    with pytest.raises(ConfigurationError, match="no such file or directory"):
        set_up_logging(file_settings(tmp_path / "missing" / "log"))


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("kind", ["stream", "file"])
def test_a_place_that_takes_no_more_is_said_once_without_a_word_of_the_record(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    set_up_logging(file_settings(tmp_path / "log"), stream=stream)
    broken = logging.getLogger().handlers[0 if kind == "stream" else 1]
    assert isinstance(broken, logging.StreamHandler)
    replaced = broken.setStream(Full())
    if kind == "file":
        assert replaced is not None
        replaced.close()
    for _ in range(3):
        _log.info("somebody's words")
    assert "somebody's words" not in "".join(capsys.readouterr())
    if kind == "file":
        assert stream.getvalue().count("the log's file can't be written") == 1


@pytest.mark.usefixtures("restored_logging")
def test_what_a_full_file_that_cannot_be_put_aside_does_not_take_is_on_standard_error(
    tmp_path: Path,
) -> None:
    stream = io.StringIO()
    set_up_logging(file_settings(tmp_path / "log", file_mib=1, file_count=2), stream=stream)
    stands_in_the_way = tmp_path / "log.1"
    (stands_in_the_way / "x").mkdir(parents=True)
    for _ in range(150):
        _log.info("y" * 10_000)
    assert stream.getvalue().count("y" * 10_000) == 150
    assert stream.getvalue().count("the log's file can't be written (") == 1
    (stands_in_the_way / "x").rmdir()
    stands_in_the_way.rmdir()
    _log.info("room again")
    assert "room again" in (tmp_path / "log").read_text()
