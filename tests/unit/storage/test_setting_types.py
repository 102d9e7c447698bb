"""How text becomes a setting, and what is refused."""

from __future__ import annotations

import pytest

from bot.core.errors import AdmissionError
from bot.storage.setting_types import (
    SETTING_TYPES,
    InvalidSettingError,
    SettingValue,
    setting_type,
)
from config import units


def parse_setting(name: str, text: str) -> SettingValue:
    return setting_type(name).parse(text)


def load_value(name: str, stored: str) -> SettingValue:
    return setting_type(name).load(stored)


def dump_value(name: str, value: SettingValue) -> str:
    return setting_type(name).dump(value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0", 0.0),
        ("temperature", " 0.31 ", 0.31),
        ("temperature", "0,7", 0.7),
        ("temperature", "2", 2.0),
        ("temperature", ".5", 0.5),
        ("top_p", "1", 1.0),
        ("top_p", "0.01", 0.01),
        ("max_tokens", "1", 1),
        ("max_tokens", "131072", 131_072),
        ("model", "qwen/qwen3-8b@q4_k_m", "qwen/qwen3-8b@q4_k_m"),
        ("system_prompt", "Be kind.\n\tAlways.", "Be kind.\n\tAlways."),
        ("system_prompt", "x" * 6000, "x" * 6000),
        ("system_prompt", "```Be kind.```", "Be kind."),
        ("system_prompt", " ```md\nBe kind.\n\nAlways.\n```\n", "Be kind.\n\nAlways."),
        ("system_prompt", "````\nWrite ```py\n1\n``` so.\n````", "Write ```py\n1\n``` so."),
        ("system_prompt", "```\na\n```\nb\n```\nc\n```", "```\na\n```\nb\n```\nc\n```"),
        ("system_prompt", "```a``` is code", "```a``` is code"),
        ("reasoning", "LOW", "low"),
        ("show_footer", "on", True),
        ("show_footer", "False", False),
        ("network_timeout", "25000", 25_000),
        ("network_timeout", "25 s", 25_000),
        ("network_timeout", "2 min", 120_000),
        ("max_tokens", "4k", 4000),
        ("max_tokens", "1.5k", 1500),
        ("max_tokens", "2 048 tokens", 2048),
        ("hold_s", "1,5 h", 5400.0),
        ("hold_s", "5 mins", 300.0),
        ("hold_s", "1,800.5", 1800.5),
        ("hold_s", "1.800,5 s", 1800.5),
        ("hold_s", "1 800", 1800.0),
        ("hold_s", "0,500", 0.5),
        ("first_token_timeout_s", "1.000", 1000.0),
        ("max_tokens", "2,048", 2048),
        ("max_tokens", "2.048", 2048),
        ("max_tokens", "131'072", 131_072),
        ("max_tokens", "2’048", 2048),
        ("max_tokens", "２０４８", 2048),
        ("max_tokens", "٢٬٠٤٨", 2048),
        ("temperature", "٠٫٧", 0.7),
        ("temperature", "०.७", 0.7),
        ("temperature", "+0.7", 0.7),
        ("temperature", "1.000", 1.0),
        ("temperature", "\u2066`0,7`\u2069", 0.7),
        ("hold_s", "500 ms", 0.5),
        ("temperature", "½", 0.5),
        ("temperature", "1 ¼", 1.25),
        ("hold_s", "1½ Std.", 5400.0),
        ("top_p", "70 %", 0.7),
        ("top_p", "７０％", 0.7),
        ("memory_gib", "96 GB", 96.0),
        ("max_image_bytes", "1,5 Mo", 1_572_864),
        ("per_person_per_minute", "30/min", 30.0),
        ("per_person_per_minute", "30 / minute", 30.0),
        ("max_image_bytes", "2 MB", 2_097_152),
        ("temperature", "-0", 0.0),
        ("dm_policy", "Owners", "owners"),
        ("allowed_channel_ids", "<#12>, 13 <#12>", (12, 13)),
        ("allowed_role_ids", "<@&12>", (12,)),
        ("blocked_user_ids", "<@!12> <@13>", (12, 13)),
        ("blocked_user_ids", "None", ()),
    ],
)
def test_what_people_type_is_understood(name: str, text: str, value: SettingValue) -> None:
    parsed = parse_setting(name, text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("5 menit", 300), ("5 minutter", 300), ("5 Minuten", 300), ("5 minutes", 300), ("5 minutos", 300),
        ("5 minut", 300), ("5 minuti", 300), ("5 minučių", 300), ("5 perc", 300), ("5 minuten", 300),
        ("5 minuta", 300), ("5 minuuttia", 300), ("5 phút", 300), ("5 dakika", 300), ("5 λεπτά", 300),
        ("5 минути", 300), ("5 минут", 300), ("5 хвилин", 300), ("5 मिनट", 300), ("5 นาที", 300),
        ("5分钟", 300), ("5分鐘", 300), ("5分", 300), ("5분", 300), ("2 Stunden", 7200), ("2 heures", 7200),
        ("2 timmar", 7200), ("2 godziny", 7200), ("2 часа", 7200), ("2時間", 7200), ("2 Tage", 172_800),
        ("2 di\u0301as", 172_800), ("90 секунд", 90), ("90초", 90), ("90 SEKUNDEN", 90),
    ],
)  # fmt: skip
def test_durations_are_understood_in_the_languages_that_discord_has(
    said: str, seconds: float
) -> None:
    assert parse_setting("stale_after_s", said) == seconds


@pytest.mark.parametrize(
    "name",
    [
        "Bahasa Indonesia", "Dansk", "Deutsch", "English", "Español", "Français", "Hrvatski", "Italiano",
        "Lietuviškai", "Magyar", "Nederlands", "Norsk", "Polski", "Português do Brasil", "Română", "Suomi",
        "Svenska", "Tiếng Việt", "Türkçe", "Čeština", "Ελληνικά", "български", "Pусский", "Українська", "हिन्दी",
        "ไทย", "中文", "日本語", "繁體中文", "한국어", "Plattdüütsch (Low German)",
    ],
)  # fmt: skip
def test_languages_are_taken_by_the_names_that_discord_has_for_them(name: str) -> None:
    assert parse_setting("language", f" {name} ") == name


def test_no_word_stands_for_two_durations() -> None:
    rows = (units._MILLISECONDS, units._SECONDS, units._MINUTES, units._HOURS, units._DAYS)
    named = [word for row in rows for word in row.split()]
    assert len(named) == len(set(named)) == len(units.DURATIONS)
    assert all(
        parse_setting("stale_after_s", f"100 {word}") for word in named if word not in units._DAYS
    )


_BAD_NUMBERS = (
    "hot", "", " ", "nan", "NaN", "inf", "-inf", "Infinity", "1e999", "1e1", "0x1", "1_0", "--1",
    "0.7.1", "0,7,1", "1 2", "٩٩٩٩٩٩", "2½", "½½", "0.½", "⅓", "1\x00", "true", "None", "[]", "99999999999999999999", "9" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("text", [*_BAD_NUMBERS, "99", "-1", "2.0001", "-0.1"])
def test_a_temperature_out_of_range_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(InvalidSettingError, match=r"from 0 to 2, for example 0\.7"):
        parse_setting("temperature", text)


@pytest.mark.parametrize("text", [*_BAD_NUMBERS, "0", "0.0", "-0", "1.01", "99", "-1"])
def test_a_top_p_out_of_range_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(InvalidSettingError, match=r"over 0 and up to 1, for example 0\.95"):
        parse_setting("top_p", text)


@pytest.mark.parametrize("text", [*_BAD_NUMBERS, "0", "-1", "131073", "1.5", "2048.0", "1,5"])
def test_max_tokens_out_of_range_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="from 1 to 131072, for example 2048"):
        parse_setting("max_tokens", text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("system_prompt", ""),
        ("system_prompt", "   "),
        ("system_prompt", "x" * 6001),
        ("system_prompt", "a\x00b"),
        ("system_prompt", "a\x1b[31mb"),
        ("system_prompt", "a\ud800b"),
        ("model", ""),
        ("model", "a/../b"),
        ("model", "a\nb"),
        ("model", "a\u202eb"),
        ("model", "x" * 201),
        ("reasoning", "medium-rare"),
        ("reasoning", "none"),
        ("show_footer", "perhaps"),
        ("network_timeout", "999"),
        ("network_timeout", "600001"),
        ("hold_s", "1 fortnight"),
        ("hold_s", "1 год"),
        ("temperature", "70 %"),
        ("top_p", "101 %"),
        ("max_tokens", "½"),
        ("hold_s", "1,800"),
        ("hold_s", "1.800 s"),
        ("max_tokens", "1,000.000"),
        ("max_tokens", "20,48"),
        ("max_tokens", "1.5"),
        ("allowed_channel_ids", "<@12>"),
        ("allowed_channel_ids", "+<#1> <#2>"),
        ("allowed_channel_ids", "0"),
        ("allowed_channel_ids", "99999999999999999999"),
        ("allowed_channel_ids", "general"),
        ("allowed_channel_ids", " ".join(map(str, range(1, 52)))),
        ("network_timeout", "30 tokens"),
    ],
)
def test_other_values_are_refused_with_what_is_allowed(name: str, text: str) -> None:
    with pytest.raises(AdmissionError) as caught:
        parse_setting(name, text)
    assert SETTING_TYPES[name].allowed in caught.value.sentence


@pytest.mark.parametrize(
    ("name", "text", "meant"),
    [
        ("temperature", "70 %", "0.7 or 1.4"),
        ("temperature", "７０％", "0.7 or 1.4"),
        ("hold_s", "1,800", "1.8 s or 1800 s"),
    ],
)
def test_what_may_mean_several_values_is_refused_with_all_of_them(
    name: str, text: str, meant: str
) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        parse_setting(name, text)
    assert f"may mean {meant}: please write which." in caught.value.sentence


def test_a_percent_that_can_mean_one_value_only_is_taken() -> None:
    assert parse_setting("temperature", "150 %") == 1.5


_IN_TURN = [
    "ja nein", "yes no", "sí no", "oui non", "da ne", "sì no", "taip ne", "igen nem", "ja nee", "ja nei", "tak nie",
    "sim não", "da nu", "kyllä ei", "ja nej", "có không", "evet hayır", "ano ne", "ναι όχι", "да не", "да нет",
    "так ні", "हाँ नहीं", "ใช่ ไม่", "是 否", "はい いいえ", "對 不是", "예 아니요", "ya tidak", "an aus", "ON OFF", "Ein. Aus.",
    "オン オフ", "开 关", "EVET HAYIR", "AÇIK KAPALI", "JA NEIN", "включено выключено", "켬 끔", "`on` `off`",
]  # fmt: skip
"""A yes and a no in each language that Discord has, and other forms of these."""


@pytest.mark.parametrize("said", _IN_TURN)
def test_yes_and_no_are_understood_in_the_languages_that_discord_has(said: str) -> None:
    assert [parse_setting("waiting_mark", word) for word in said.split()] == [True, False]


@pytest.mark.parametrize(("text", "value"), [("aus", "off"), ("NON", "off"), ("はい", "on")])
def test_a_choice_of_on_and_off_is_understood_in_other_languages(text: str, value: str) -> None:
    assert parse_setting("reasoning", text) == value


def test_no_word_means_yes_and_no() -> None:
    assert len(units.SWITCHES) == len(units._YES.split()) + len(units._NO.split())


def test_a_refusal_does_not_repeat_what_was_typed() -> None:
    with pytest.raises(InvalidSettingError) as caught:
        parse_setting("temperature", "@everyone")
    assert "@everyone" not in caught.value.sentence


@pytest.mark.parametrize(
    ("text", "value"),
    [("+<#3>", (1, 2, 3)), ("-1", (2,)), ("-1 +3", (2, 3)), ("+2", (1, 2)), ("-9", (1, 2)), ("3", (3,))],
)  # fmt: skip
def test_signs_change_a_list_instead_of_replacing_it(text: str, value: SettingValue) -> None:
    assert setting_type("blocked_channel_ids").parse(text, (1, 2)) == value


@pytest.mark.parametrize("typed", ["temprature", "temp", "“Temp”", "Temperatur "])
def test_an_unknown_name_is_told_the_nearest(typed: str) -> None:
    with pytest.raises(InvalidSettingError, match="mean `temperature`"):
        parse_setting(typed, "1")


@pytest.mark.parametrize("typed", ["`max_tokens`", "Max tokens", " “max_tokens”", "MAX_TOKENS"])
def test_a_settings_name_may_be_pasted_as_it_is_shown(typed: str) -> None:
    assert setting_type(typed).name == "max_tokens"


@pytest.mark.parametrize("text", ["\u200b", " \ufeff\n", "``", "“”"])
def test_a_persona_holds_something_to_see(text: str) -> None:
    with pytest.raises(InvalidSettingError) as refused:
        setting_type("system_prompt").parse(text)
    assert refused.value.sentence.endswith("You are a patient tutor.")


@pytest.mark.parametrize("stored", ["NaN", "1e999", "99", '"hot"', "{", "null", "[1]", ""])
def test_a_stored_value_is_checked_again(stored: str) -> None:
    with pytest.raises(InvalidSettingError):
        load_value("temperature", stored)


@pytest.mark.parametrize(
    ("name", "value"),
    [("allowed_channel_ids", (1, 2**63)), ("blocked_user_ids", ()), ("temperature", 0.31), ("max_tokens", 7), ("show_footer", True), ("model", "a b"),
     ("system_prompt", 'quote " \\ ü 🎈'), ("temperature", 1.0)],
)  # fmt: skip
def test_a_value_comes_back_from_storage_as_it_was(name: str, value: SettingValue) -> None:
    assert load_value(name, dump_value(name, value)) == value


@pytest.mark.parametrize("value", [0.0001, 0.00001, 1e-7, 1.9999999999])
def test_small_numbers_survive_storage(value: float) -> None:
    assert load_value("temperature", dump_value("temperature", value)) == value


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("model", None, "the loaded one"),
        ("show_footer", True, "on"),
        ("show_footer", False, "off"),
        ("temperature", 0.7, "0.7"),
        ("hold_s", 1800.0, "1800 s"),
        ("hold_s", 1.125, "1.1250 s"),
        ("max_tokens", 5, "5"),
        ("model", "x", "x"),
        ("allowed_channel_ids", (1, 2), "<#1>, <#2>"),
        ("allowed_role_ids", (1,), "<@&1>"),
        ("blocked_user_ids", (), "none"),
        ("slots", None, "automatic"),
    ],
)
def test_values_read_as_people_write_them(
    name: str, value: SettingValue | None, words: str
) -> None:
    assert setting_type(name).written(value) == words
    if value is not None:
        assert setting_type(name).parse(words) == value


@pytest.mark.parametrize(
    "form",
    ["“{}”", "„{}“", "«{}»", '"{}"', "'{}'", "`{}`", "```\n{}\n```", "\ufeff{}\u200b", "‘{}’ "],
)
@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0.7", 0.7),
        ("language", "Deutsch", "Deutsch"),
        ("show_footer", "yes", True),
        ("answer_in", "thread", "thread"),
        ("blocked_channel_ids", "<#12>", (12,)),
    ],
)
def test_quotes_and_what_isnt_seen_around_a_value_are_no_part_of_it(
    form: str, name: str, text: str, value: object
) -> None:
    assert setting_type(name).parse(form.format(text)) == value


def test_quotes_around_a_persona_stay() -> None:
    assert setting_type("system_prompt").parse(" “Hm?” is all you say: “Hm?” ") == (
        "“Hm?” is all you say: “Hm?”"
    )
