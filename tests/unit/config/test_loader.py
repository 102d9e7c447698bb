"""The rules of the settings: names, precedence, conflicts, and what is said when they are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from config import names
from config.loader import SettingsError, load_settings
from config.settings import Settings

SECRET = "s3cr3t-value-that-nobody-may-see"


def problems(
    env: Mapping[str, str],
    file: Mapping[str, object] | None = None,
    *,
    require_token: bool = False,
) -> tuple[str, ...]:
    """Return what is wrong with these sources."""
    with pytest.raises(SettingsError) as refused:
        load_settings(env, file, require_token=require_token)
    return refused.value.problems


def test_nothing_said_means_the_defaults() -> None:
    result = load_settings({})
    assert result.settings == Settings()
    assert result.warnings == ()


def test_every_name_of_the_contract_is_read() -> None:
    settings = load_settings(
        {
            "DISCORD_TOKEN": "abc",
            "LMSTUDIO_BASE_URL": "http://10.0.0.2:1234/v1, http://10.0.0.3:1234",
            "LMSTUDIO_API_TOKEN": "lm",
            "LMSTUDIO_MODEL": "qwen3",
            "CLAWBOT_CONFIG": "elsewhere.json",
            "CLAWBOT_DATA_DIR": "state",
            "CLAWBOT_DATABASE_URL": "sqlite:///x.db",
            "CLAWBOT_OWNER_IDS": "1, 2",
            "CLAWBOT_METRICS_ADDR": "127.0.0.1:9100",
            "CLAWBOT_DISCORD_API_BASE": "http://127.0.0.1:1/api/v10",
            "CLAWBOT_DISCORD_GATEWAY_URL": "ws://127.0.0.1:2/",
        }
    ).settings
    assert settings.discord.token is not None
    assert settings.discord.token.get_secret_value() == "abc"
    assert settings.lmstudio.base_url == ("http://10.0.0.2:1234", "http://10.0.0.3:1234")
    assert settings.lmstudio.api_token is not None
    assert settings.lmstudio.api_token.get_secret_value() == "lm"
    assert settings.chat.model == "qwen3"
    assert settings.store.data_dir == Path("state")
    assert settings.store.database_url == "sqlite:///x.db"
    assert settings.discord.owner_ids == (1, 2)
    assert settings.metrics.addr == "127.0.0.1:9100"
    assert settings.discord.api_base == "http://127.0.0.1:1/api/v10"
    assert settings.discord.gateway_url == "ws://127.0.0.1:2/"


def test_the_recipes_flat_keys_are_read() -> None:
    settings = load_settings(
        {},
        {
            "model_endpoint": "http://10.0.0.2:1234/v1",
            "max_tokens": 512,
            "temperature": 0.2,
            "network_timeout": 25_000,
        },
    ).settings
    assert settings.lmstudio.base_url == ("http://10.0.0.2:1234",)
    assert settings.chat.max_tokens == 512
    assert settings.chat.temperature == 0.2
    assert settings.lmstudio.network_timeout_ms == 25_000


def test_the_environment_wins_over_the_file_and_the_file_over_the_default() -> None:
    file = {"temperature": 0.2, "chat": {"top_p": 0.5}}
    settings = load_settings({"CLAWBOT_CHAT__TEMPERATURE": "1.5"}, file).settings
    assert (settings.chat.temperature, settings.chat.top_p) == (1.5, 0.5)
    assert settings.chat.max_tokens == 2048


@pytest.mark.parametrize("value_ms", [20_000, 30_000])
def test_a_usual_network_timeout_is_no_warning(value_ms: int) -> None:
    assert load_settings({}, {"network_timeout": value_ms}).warnings == ()


@pytest.mark.parametrize("value_ms", [19_999, 30_001])
def test_an_unusual_network_timeout_is_allowed_with_a_warning(value_ms: int) -> None:
    result = load_settings({}, {"network_timeout": value_ms})
    assert result.settings.lmstudio.network_timeout_ms == value_ms
    assert len(result.warnings) == 1
    assert "network_timeout" in result.warnings[0]


def test_metrics_for_the_whole_network_are_a_warning() -> None:
    assert (
        "CLAWBOT_METRICS_ADDR" in load_settings({"CLAWBOT_METRICS_ADDR": "0.0.0.0:1"}).warnings[0]
    )


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("DISCORD_TOKN", "DISCORD_TOKEN"),
        ("discord_token", "DISCORD_TOKEN"),
        ("DISCORD_BOT_TOKEN", "DISCORD_TOKEN"),
        ("LMSTUDIO_URL", "LMSTUDIO_BASE_URL"),
        ("LMSTUDIO_BASEURL", "LMSTUDIO_BASE_URL"),
        ("CLAWBOT_TEMPERATURE", "CLAWBOT_CHAT__TEMPERATURE"),
        ("CLAWBOT_CHAT_TEMPERATURE", "CLAWBOT_CHAT__TEMPERATURE"),
        ("CLAWBOT_QUEU__MAX_WAITING", "CLAWBOT_QUEUE__MAX_WAITING"),
        ("CLAWBOT_CONFIGG", "CLAWBOT_CONFIG"),
        ("CLAWBOT_DATADIR", "CLAWBOT_DATA_DIR"),
        ("ALLOWED_ROLE_IDS", "CLAWBOT_DISCORD__ALLOWED_ROLE_IDS"),
        ("blocked_user_ids", "CLAWBOT_DISCORD__BLOCKED_USER_IDS"),
        ("DM_POLICY", "CLAWBOT_DISCORD__DM_POLICY"),
    ],
)
def test_an_unknown_variable_names_the_right_one(name: str, right: str) -> None:
    assert problems({name: "x"}) == (f"{name}: unknown; did you mean {right}?",)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("OWNER_IDS", "CLAWBOT_OWNER_IDS"),
        ("ADMIN_ROLE_IDS", "CLAWBOT_DISCORD__ADMIN_ROLE_IDS"),
        ("PROXY_APPLICATION_IDS", "CLAWBOT_DISCORD__PROXY_APPLICATION_IDS"),
    ],
)
def test_another_programs_list_of_those_who_may_do_more_is_a_warning_only(
    name: str, right: str
) -> None:
    result = load_settings({name: "x"})
    assert result.warnings == (f"{name}: unknown; did you mean {right}?",)
    assert result.settings == load_settings({}).settings


def test_another_programs_list_may_stand_beside_our_own() -> None:
    assert load_settings(
        {"OWNER_IDS": "x", "CLAWBOT_OWNER_IDS": "1"}
    ).settings.discord.owner_ids == (1,)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ({"temprature": 1}, "clawbot.json: temprature: unknown; did you mean temperature?"),
        ({"chat": {"modle": 1}}, "clawbot.json: chat.modle: unknown; did you mean chat.model?"),
        ({"queue": 3}, "clawbot.json: queue: must be an object of settings in { }"),
        ({"max_tokens": True}, "clawbot.json: max_tokens: must be a whole number from 1 to 131072"),
        (
            {"network_timeout": 30},
            "clawbot.json: network_timeout: must be a whole number from 1000 to 600000, in milliseconds",
        ),
        ({"base_url": "x"}, "clawbot.json: base_url: unknown; did you mean lmstudio.base_url?"),
    ],
)
def test_a_wrong_key_of_the_file_is_named(file: Mapping[str, object], line: str) -> None:
    assert problems({}, file) == (line,)


def test_a_foreign_variable_is_none_of_our_business() -> None:
    assert load_settings({"PATH": "x", "OPENAI_API_KEY": "y"}).settings == Settings()


def test_an_empty_value_counts_as_none() -> None:
    empty = dict.fromkeys(names.environment_names(), " ")
    assert load_settings(empty, {"temperature": None, "chat": None}).settings == Settings()


def test_two_forms_of_one_setting_may_agree_but_not_differ() -> None:
    agreeing = {"temperature": 0.2, "chat": {"temperature": 0.2}}
    assert load_settings({}, agreeing).settings.chat.temperature == 0.2
    differing = {"temperature": 0.2, "chat": {"temperature": 0.3}}
    assert problems({}, differing) == (
        "clawbot.json: chat.temperature: says something else than clawbot.json: temperature",
    )
    assert problems({"LMSTUDIO_MODEL": "a", "CLAWBOT_CHAT__MODEL": "b"}) == (
        "CLAWBOT_CHAT__MODEL: says something else than LMSTUDIO_MODEL",
    )


def test_all_problems_come_at_once_one_line_each() -> None:
    found = problems(
        {
            "CLAWBOT_CHAT__TEMPERATURE": "hot",
            "LMSTUDIO_BASE_URL": "ftp://box, http://u:p@box",
            "LMSTUDIO_X": "1",
        },
        {"max_tokens": 0, "nonsense\nkey": 1},
        require_token=True,
    )
    assert all("\n" not in line for line in found)
    assert [line.split(":")[0] for line in found] == [
        "LMSTUDIO_X",
        "clawbot.json",
        "LMSTUDIO_BASE_URL",
        "LMSTUDIO_BASE_URL",
        "CLAWBOT_CHAT__TEMPERATURE",
        "clawbot.json",
        "DISCORD_TOKEN",
    ]


@pytest.mark.parametrize("value", ["hot", "-1", "99", "nan", "inf", "1e999", "0x1", "1,5"])
def test_a_number_out_of_range_is_told_the_range(value: str) -> None:
    assert problems({"CLAWBOT_CHAT__TEMPERATURE": value}) == (
        "CLAWBOT_CHAT__TEMPERATURE: must be a number from 0 to 2",
    )


def test_a_token_is_only_missed_where_it_is_needed() -> None:
    assert load_settings({}).settings.discord.token is None
    assert problems({}, require_token=True)[0].startswith("DISCORD_TOKEN: is not set")


def test_the_token_is_trimmed_and_otherwise_left_to_discord() -> None:
    token = load_settings({"DISCORD_TOKEN": "  any text \n"}).settings.discord.token
    assert token is not None
    assert token.get_secret_value() == "any text"
    assert problems({"DISCORD_TOKEN": "two\nlines"}) == (
        "DISCORD_TOKEN: must be one line without control characters",
    )


@pytest.mark.parametrize("name", sorted(names.environment_names()))
def test_no_value_is_ever_repeated(name: str) -> None:
    for value in (SECRET, f"http://u:{SECRET}@h", f"{SECRET}\x00{SECRET}", f"{SECRET},{SECRET}"):
        shown = shown_of({name: value})
        target = names.environment_names()[name]
        assert SECRET not in shown or (shown.startswith("Settings") and not names.is_secret(target))


def shown_of(env: Mapping[str, str]) -> str:
    """Return all that settings, or the error instead of them, print of themselves."""
    try:
        return repr(load_settings(env).settings)
    except SettingsError as exc:
        return f"{exc!r} {exc} {exc.__cause__!r} {exc.__context__!r}"


def test_a_file_may_give_lists_as_text_as_one_value_or_as_a_list() -> None:
    for given in ("1,2", [1, 2], ["1", 2]):
        assert load_settings({}, {"discord": {"owner_ids": given}}).settings.discord.owner_ids == (
            1,
            2,
        )
    assert load_settings({}, {"discord": {"owner_ids": 7}}).settings.discord.owner_ids == (7,)


@pytest.mark.parametrize("text", ["[1, 2]", '["1", "2"]', "['1','2']", "1;2", "1 2", "“1”, “2”,"])
def test_a_list_of_ids_is_read_as_people_write_one(text: str) -> None:
    settings = load_settings({"CLAWBOT_OWNER_IDS": text}).settings
    assert settings.discord.owner_ids == (1, 2)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('["http://a:1", "http://b:2"]', ("http://a:1", "http://b:2")),
        ("[::1]:1234", ("http://[::1]:1234",)),
    ],
)
def test_a_list_of_servers_may_be_json_and_an_address_of_ipv6_is_none(
    text: str, kept: tuple[str, ...]
) -> None:
    settings = load_settings({"LMSTUDIO_BASE_URL": text}).settings
    assert settings.lmstudio.base_url == kept


@pytest.mark.parametrize("text", ["[" * 100_000, "[true]", "[1.5]", '[{"a": 1}]', "[null]"])
def test_any_other_list_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="must be a list of ids"):
        load_settings({"CLAWBOT_OWNER_IDS": text})


def test_a_server_named_twice_is_used_once() -> None:
    text = "http://box:1/v1,http://box:1"
    assert load_settings({"LMSTUDIO_BASE_URL": text}).settings.lmstudio.base_url == (
        "http://box:1",
    )


def test_a_home_folder_is_resolved() -> None:
    data_dir = load_settings({"CLAWBOT_DATA_DIR": "~/bot"}).settings.store.data_dir
    assert data_dir == Path.home() / "bot"


def test_what_a_restriction_means_for_direct_messages_is_said() -> None:
    restricted = {"CLAWBOT_DISCORD__ALLOWED_ROLE_IDS": "7"}
    (closed,) = load_settings(restricted).warnings
    assert "direct messages are closed" in closed
    (opened,) = load_settings({**restricted, "CLAWBOT_DISCORD__DM_POLICY": "open"}).warnings
    assert "strangers may ask in direct messages" in opened
    assert not load_settings({**restricted, "CLAWBOT_DISCORD__DM_POLICY": "owners"}).warnings


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"LMSTUDIO_BASE_URL": "a:1,b:1", "LMSTUDIO_API_TOKEN": "x,y,z"}, "more tokens than"),
        ({"CLAWBOT_LMSTUDIO__WAKE": "00:11:22:33:44:55,00:11:22:33:44:56"}, "more machines than"),
        ({"CLAWBOT_LMSTUDIO__SUSPEND_AFTER_S": "600"}, "need each other"),
        ({"CLAWBOT_LMSTUDIO__EXTRA_COPIES": "1"}, "which bounds them"),
        ({"CLAWBOT_LMSTUDIO__SUSPEND_COMMAND": "ssh, llm, suspend"}, "need each other"),
        (
            {
                "CLAWBOT_LMSTUDIO__SUSPEND_AFTER_S": "600",
                "CLAWBOT_LMSTUDIO__SUSPEND_COMMAND": "ssh llm systemctl suspend",
            },
            "with commas between them",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_named_in_one_sentence(
    env: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings({"DISCORD_TOKEN": "x", **env})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("CLAWBOT_LMSTUDIO__WAKE", "00:00:00:00:00:00", "one network card"),
        ("CLAWBOT_LMSTUDIO__WAKE", "ff:ff:ff:ff:ff:ff@192.168.1.255", "one network card"),
        ("CLAWBOT_LMSTUDIO__WAKE", "01-00-5e-00-00-01", "one network card"),
        ("CLAWBOT_DISCORD__NO_PROXY", "http://discord.com", "names of hosts"),
        ("CLAWBOT_DISCORD__NO_PROXY", "discord.com discord.gg", "names of hosts"),
    ],
)
def test_a_value_that_could_never_do_anything_is_refused(
    name: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError, match=allowed):
        load_settings({"DISCORD_TOKEN": "x", name: value})


def test_of_no_proxy_what_is_meant_for_other_programs_is_left_out() -> None:
    env = {
        "HTTPS_PROXY": "http://box:3128",
        "NO_PROXY": "localhost,10.0.0.0/8 discord.gg http://x/",
    }
    assert load_settings(env).settings.discord.no_proxy == ("localhost", "discord.gg")
