"""Commands as a person types them, and how a line can go on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from bot.demo.terminal.commands import CommandCompleter, Typed, flattened, read
from sandbox.discord.values.json_objects import JsonObject

STRING, SUBCOMMAND, MESSAGE_MENU = 3, 1, 3


def option(name: str, *, required: bool = False) -> JsonObject:
    return {"type": STRING, "name": name, "description": f"The {name}", "required": required}


REGISTERED: list[JsonObject] = [
    {"type": 1, "name": "help", "description": "Help"},
    {
        "type": 1,
        "name": "ask",
        "description": "Ask",
        "options": [option("prompt", required=True), option("new")],
    },
    {
        "type": 1,
        "name": "config",
        "description": "Settings",
        "options": [
            {
                "type": SUBCOMMAND,
                "name": "show",
                "description": "Show",
                "options": [option("setting")],
            },
            {
                "type": SUBCOMMAND,
                "name": "set",
                "description": "Change",
                "options": [
                    option("setting", required=True),
                    option("value", required=True),
                    option("scope"),
                ],
            },
        ],
    },
    {"type": MESSAGE_MENU, "name": "Ask about this", "description": ""},
]
COMMANDS = flattened(REGISTERED)


def test_each_subcommand_is_a_command_and_menus_are_none() -> None:
    assert [each.name for each in COMMANDS] == ["help", "ask", "config show", "config set"]
    assert COMMANDS[3].usage == "/config set setting:… value:… [scope:…]"


@pytest.mark.parametrize(
    ("line", "name", "options"),
    [
        ("/help", "help", {}),
        ("  /help ", "help", {}),
        (
            "/config set setting:temperature value:0.31",
            "config set",
            {"setting": "temperature", "value": "0.31"},
        ),
        ("/config set temperature 0.31", "config set", {"setting": "temperature", "value": "0.31"}),
        (
            "/config set temperature value:0.31",
            "config set",
            {"setting": "temperature", "value": "0.31"},
        ),
        ("/ask prompt:what is  a cache?", "ask", {"prompt": "what is  a cache?"}),
        ("/ask what is: a cache?", "ask", {"prompt": "what is: a cache?"}),
        ("/ask prompt:see http://a.b/c d:e", "ask", {"prompt": "see http://a.b/c d:e"}),
        ("/ask prompt:two\nlines new:true", "ask", {"prompt": "two\nlines", "new": "true"}),
    ],
)
def test_a_line_is_a_command_with_its_options(
    line: str, name: str, options: dict[str, str]
) -> None:
    typed = read(line, COMMANDS)
    assert typed.command is not None
    assert (typed.command.name, typed.options, typed.surplus) == (name, options, "")


@pytest.mark.parametrize("line", ["/", "/nonsense", "/config", "/configure set", "/helper"])
def test_what_is_no_command_is_known_for_it(line: str) -> None:
    assert read(line, COMMANDS) == Typed(None, {})


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("/config set", "setting"),
        ("/config set setting:", "setting"),
        ("/config set setting:temperature", "value"),
        ("/config set value:0.3", "setting"),
        ("/config set setting:temperature value:0.3", None),
        ("/help", None),
        ("/nonsense", None),
    ],
)
def test_a_required_option_without_a_value_is_missing(line: str, missing: str | None) -> None:
    found = read(line, COMMANDS).missing
    assert (found["name"] if found else None) == missing


def test_words_that_no_option_takes_are_surplus() -> None:
    assert read("/config show bogus:1", COMMANDS).surplus == "bogus:1"


@given(st.text())
def test_any_line_can_be_read(text: str) -> None:
    typed = read("/" + text, COMMANDS)
    assert typed.command is None or typed.command in COMMANDS
    assert read("/ask prompt:" + text, COMMANDS).command is COMMANDS[1]


async def continuations(line: str) -> list[str]:
    async def suggest(_: Typed, asked: JsonObject, text: str) -> list[tuple[str, str]]:
        offered = (f"{asked['name']} {number}" for number in (1, 2))
        return [(each, each) for each in offered if each.startswith(text)]

    completer = CommandCompleter(lambda: COMMANDS, suggest)
    found = completer.get_completions_async(Document(line), CompleteEvent())
    return [f"{line[: len(line) + each.start_position]}{each.text}" async for each in found]


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("/", ["/help", "/ask ", "/config show ", "/config set "]),
        ("/conf", ["/config show ", "/config set "]),
        ("/config set ", ["/config set setting:", "/config set value:", "/config set scope:"]),
        (
            "/config set setting:",
            ["/config set setting:setting 1", "/config set setting:setting 2"],
        ),
        ("/config set setting:x v", ["/config set setting:x value:"]),
        ("/config set setting:x value:value 2", ["/config set setting:x value:value 2"]),
        ("hello", []),
        ("/nonsense ", []),
    ],
)
async def test_a_line_can_go_on(line: str, completed: list[str]) -> None:
    assert await continuations(line) == completed
