"""The terminal demo, as a person sees it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from sandbox.lmstudio import Answer, LMStudioSandbox, text_of
from tests.support.process import clawbot, ended
from tests.support.terminal import (
    CTRL_C,
    CTRL_D,
    DOWN,
    ENTER,
    ESCAPE,
    NOWHERE,
    PAGE_UP,
    SHIFT_TAB,
    TAB,
    UP,
    Terminal,
    demo,
)

SIZES = [(80, 24), (200, 50)]
READY = "Enter: send"
PROSE = " ".join(f"word{number}" for number in range(90)) + "."


@contextlib.asynccontextmanager
async def ready(
    folder: Path, lm: LMStudioSandbox | None = None, size: tuple[int, int] = (80, 24)
) -> AsyncGenerator[Terminal, None]:
    """Start the demo, in front of ``lm`` or the demo's own stand-in, and wait for the bot."""
    environment = {"LMSTUDIO_BASE_URL": lm.base_url} if lm else NOWHERE
    async with demo(folder, size=size, environment=environment) as terminal:
        await terminal.shows(READY)
        yield terminal


async def assert_ends_in_order(terminal: Terminal) -> None:
    """Check that the process ends with a word and nothing else."""
    assert await terminal.ended() == 0
    await terminal.until(lambda: terminal.is_closed)
    _, full_screen_left, after = terminal.raw.rpartition(b"\x1b[?1049l")
    assert full_screen_left
    assert "Stopping …" in after.decode()
    assert b"Traceback" not in terminal.raw
    assert b"ERROR" not in terminal.raw


async def test_what_was_said_before_the_demo_is_no_question_that_ctrl_c_stops(
    tmp_path: Path,
) -> None:
    async with demo(tmp_path, size=(80, 24), environment=NOWHERE) as terminal:
        await terminal.shows("Welcome!")
        await terminal.until(lambda: "starting" in terminal.text or READY in terminal.text)
        assert "busy" not in terminal.text
        terminal.type(CTRL_C)
        await assert_ends_in_order(terminal)


@pytest.mark.parametrize("size", SIZES)
async def test_markdown_is_drawn(
    tmp_path: Path, lm: LMStudioSandbox, size: tuple[int, int]
) -> None:
    lm.answer(
        "## Head\nSome **bold**, *slanted*, `coded`.\n- item\n> quote\n```py\ndef f(): pass\n```\nend"
    )
    async with ready(tmp_path, lm, size) as terminal:
        terminal.type(f"hello{ENTER}")
        await terminal.shows("@Clawbot hello", "Details")
        rows = terminal.rows
        assert {
            "Head",
            "Some bold, slanted, coded.",
            "• item",
            "▎ quote",
            "    def f(): pass",
            "end",
        } <= set(rows)
        assert terminal.style_of("bold").bold
        assert terminal.style_of("slanted").italics
        assert terminal.style_of("coded").fg != "default"
        assert terminal.style_of("def").fg != "default"


@pytest.mark.parametrize("size", SIZES)
async def test_mentions_and_times_are_shown_as_names_and_times(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with ready(tmp_path, size=size) as terminal:
        terminal.type(f"/config set temperature 0.5{ENTER}")
        await terminal.shows("temperature is now 0.5", "Only you can see this message.")
        terminal.type(f"/config show{ENTER}")
        await terminal.shows("from this server, by @Otto", "ago")
        assert not [mark for mark in ("<@", "<t:", "**", "-#") if mark in terminal.text]


@pytest.mark.parametrize("size", SIZES)
async def test_no_row_ends_inside_a_word(
    tmp_path: Path, lm: LMStudioSandbox, size: tuple[int, int]
) -> None:
    lm.answer(PROSE)
    async with ready(tmp_path, lm, size) as terminal:
        terminal.type(f"hello{ENTER}")
        await terminal.shows(PROSE, "Details")


async def test_the_input_is_alive_while_an_answer_runs(tmp_path: Path, lm: LMStudioSandbox) -> None:
    lm.script(Answer("Slow but sure.", pause_after=1), "The second answer.")
    async with ready(tmp_path, lm) as terminal:
        terminal.type(f"first{ENTER}")
        await terminal.shows("Ctrl-C: stop it", "Stop")
        terminal.type("a second one")
        await terminal.shows("> a second one")
        terminal.type(f"{ENTER}/config show{ENTER}")
        await terminal.shows("top_p")
        assert len(lm.completions) >= 1
        lm.resume()
        await terminal.shows("The second answer.")


async def test_ctrl_c_stops_the_answer_and_then_ends_the_demo(
    tmp_path: Path, lm: LMStudioSandbox
) -> None:
    lm.answer(Answer("Slow but sure.", pause_after=1))
    async with ready(tmp_path, lm) as terminal:
        terminal.type(f"first{ENTER}")
        await terminal.shows("Slow", "Ctrl-C: stop it")
        terminal.type(f"draft{CTRL_C}")
        await terminal.shows("Slow", "Ctrl-C: stop it")
        terminal.type(CTRL_C)
        await terminal.shows("Stopped", READY)
        terminal.type(CTRL_C)
        await assert_ends_in_order(terminal)


async def test_stop_stops_the_answer(tmp_path: Path, lm: LMStudioSandbox) -> None:
    lm.answer(Answer("Slow but sure.", pause_after=1))
    async with ready(tmp_path, lm) as terminal:
        terminal.type(f"first{ENTER}")
        await terminal.shows("Slow", "Ctrl-C: stop it")
        terminal.type(f"/stop{ENTER}")
        await terminal.shows("Details", READY)


@pytest.mark.parametrize("command", ["a long answer, please", "/diag network"])
async def test_the_demo_ends_in_the_middle_of_anything(tmp_path: Path, command: str) -> None:
    async with ready(tmp_path) as terminal:
        terminal.type(command + ENTER)
        await terminal.shows(command, "Clawbot")
        terminal.type(CTRL_D)
        await assert_ends_in_order(terminal)


async def test_a_pasted_text_is_one_question(tmp_path: Path, lm: LMStudioSandbox) -> None:
    lm.answer("Understood.")
    async with ready(tmp_path, lm) as terminal:
        terminal.paste("one\r\ntwo\nthree\x1b[2J")
        await terminal.shows("> one two three^[[2J")
        terminal.type(ENTER)
        await terminal.shows("Understood.")
        (asked,) = lm.completions
        assert "one\ntwo\nthree" in str(asked.messages[-1]["content"])


@pytest.mark.parametrize("text", ["0123456789" * 1000, "0123456789" * 199 + "😀" * 5])
async def test_a_text_that_is_too_long_is_sent_as_a_file(
    tmp_path: Path, lm: LMStudioSandbox, text: str
) -> None:
    lm.answer("A long text.")
    async with ready(tmp_path, lm) as terminal:
        terminal.paste(text)
        await terminal.shows("0123456789")
        terminal.type(ENTER)
        await terminal.shows("[file] message.txt", "A long text.")
        assert "0123456789" * 100 in str(lm.completions[-1].messages[-1]["content"])


@pytest.mark.parametrize("size", SIZES)
async def test_wide_characters_are_shown_once(
    tmp_path: Path, lm: LMStudioSandbox, size: tuple[int, int]
) -> None:
    lm.answer("答" * 300 + " 🎉🎉🎉 👨‍👩‍👧 🇩🇪 done")
    async with ready(tmp_path, lm, size) as terminal:
        terminal.type("問" * 90 + ENTER)
        await terminal.shows("done", "Details")
        assert terminal.text.count("問") == 90
        assert terminal.text.count("答") == 300
        assert terminal.text.count("🎉") == 3


async def test_lines_come_back_by_the_up_key(tmp_path: Path) -> None:
    async with ready(tmp_path) as terminal:
        terminal.type(f"/new{ENTER}/quiet{ENTER}")
        await terminal.shows("A new conversation begins.", "There is no command /quiet.")
        terminal.type(UP)
        await terminal.shows("> /quiet")
        terminal.type(UP)
        await terminal.shows("> /new")


async def test_a_slash_shows_the_commands(tmp_path: Path) -> None:
    async with ready(tmp_path) as terminal:
        terminal.type("/")
        await terminal.shows("/ask", "/config show", "/config set", "Ask the model something")
        terminal.type(ENTER)
        await terminal.shows("/press button:… Press a button", "/quit End the demo")
        terminal.type(f"/nonsense{ENTER}")
        await terminal.shows("There is no command /nonsense. / shows those that there are.")


async def test_names_and_values_are_completed_and_required_options_asked_for(
    tmp_path: Path,
) -> None:
    async with ready(tmp_path) as terminal:
        terminal.type("/config se")
        await terminal.shows("Change a setting")
        terminal.type(TAB)
        await terminal.shows("> /config set")
        terminal.type(ENTER)
        await terminal.shows("> /config set setting:", "setting: Which one (required)")
        terminal.type("temp")
        await terminal.shows("> /config set setting:temp", " temperature")
        await terminal.until(lambda: " top_p " not in terminal.words)  # what doesn't fit is gone
        terminal.type(TAB + ENTER)
        await terminal.shows(
            "> /config set setting:temperature value:", "value: The new value (required)"
        )
        await terminal.shows(" 0.3 ", " 0.7 ")
        terminal.type(f"0.3{ENTER}")
        await terminal.shows("temperature is now 0.3")


async def test_values_out_of_range_are_refused_in_a_sentence(tmp_path: Path) -> None:
    async with ready(tmp_path) as terminal:
        terminal.type(f"/config set setting:nothing value:1{ENTER}")
        await terminal.shows("There is no setting of that name.")
        terminal.type(f"/config show bogus{ENTER}")
        await terminal.shows(
            "“bogus” belongs to no option. Write it as /config show [setting:…] [scope:…]."
        )
        assert "['" not in terminal.text


async def test_buttons_are_pressed_by_key_and_by_name(tmp_path: Path, lm: LMStudioSandbox) -> None:
    lm.script(Answer("The first.", reasoning="A secret thought."), "The second.")
    async with ready(tmp_path, lm) as terminal:
        terminal.type(f"hello{ENTER}")
        await terminal.shows("The first.", "Regenerate Show thinking Details")
        terminal.type(f"/press nothing{ENTER}")
        await terminal.shows(
            "There is no such button. There are: Regenerate, Show thinking, Details."
        )
        terminal.type(f"/press show thinking{ENTER}")
        await terminal.shows("A secret thought.", "Only you can see this message.")
        terminal.type(TAB)
        await terminal.shows("Enter: press the button")
        assert terminal.style_of("Regenerate   Show").bold
        terminal.type(ENTER)
        await terminal.shows("The second.")


@pytest.mark.parametrize("size", SIZES)
async def test_menus_are_chosen_from_and_forms_filled_in_by_keys(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with ready(tmp_path, size=size) as terminal:
        terminal.type(f"/setup{ENTER}")
        await terminal.shows("When I'm mentioned, in place ▾", "Ask a test question Refresh")
        terminal.type(SHIFT_TAB * 6)  # from the end: five buttons, then the last menu
        await terminal.shows("Enter: open the menu")
        terminal.type(ENTER)
        await terminal.shows("(x) When I'm mentioned, in place", "Enter: choose", "Esc: back")
        terminal.type(DOWN + ENTER)
        await terminal.shows("When and where: When I'm mentioned, in a thread", READY)

        terminal.type(TAB * 2)
        await terminal.shows("Enter: open the menu")
        terminal.type(ENTER)
        await terminal.shows("[ ] #general", "Space: mark")
        terminal.type(f" {DOWN} {ENTER}")
        await terminal.shows("chosen channels only", "Leave it", READY)
        terminal.type(f"/press Change it{ENTER}")
        await terminal.shows("Channels: #general, #games", READY)
        terminal.type(TAB * 2 + ENTER)
        await terminal.shows("[x] #general", "[x] #games")
        terminal.type(f" {ESCAPE}")  # closed without a choice
        await terminal.shows("Channels: #general, #games", READY)

        terminal.type(f"/press Persona{ENTER}")
        await terminal.shows("Persona *", "Submit")
        terminal.type(f"Be brief. {TAB}{ENTER}")
        await terminal.shows("Be brief. You are", "Nothing is changed yet.", "Use it", READY)
        terminal.type(f"/press Use it{ENTER}")
        await terminal.shows("system_prompt is now Be brief. You are", READY)


async def test_a_file_is_sent_by_its_path_typed_or_dropped(
    tmp_path: Path, lm: LMStudioSandbox
) -> None:
    notes = tmp_path / "my notes.txt"
    notes.write_text("Bring tea.", encoding="utf-8")
    async with ready(tmp_path, lm) as terminal:
        terminal.type(f"/attach file:{notes.name} question:what is it?{ENTER}")
        await lm.wait_until(lambda: lm.completions)
        await terminal.shows("what is it?", "[file] my notes.txt, 10 bytes", "Details")
        assert "Bring tea." in text_of(lm.completions[0].messages[-1])
        terminal.type(f"'{notes}'{ENTER}")
        await lm.wait_until(lambda: len(lm.completions) == 2)
        assert "Bring tea." in text_of(lm.completions[1].messages[-1])
        terminal.type(f"/attach nowhere.txt{ENTER}")
        await terminal.shows("nowhere.txt can't be sent: No such file or directory.")


async def test_a_messages_menu_is_used(tmp_path: Path, lm: LMStudioSandbox) -> None:
    async with ready(tmp_path, lm) as terminal:
        terminal.type(f"/menu Ask{ENTER}")
        await terminal.shows("There are: Ask about this, Summarise from here.")
        terminal.type(f"/menu command:Ask about this message:no such words{ENTER}")
        await terminal.shows("No message here has these words.")
        terminal.type(f"/menu command:ask about this message:Welcome{ENTER}")
        await lm.wait_until(lambda: lm.completions)
        assert "Welcome!" in text_of(lm.completions[0].messages[-1])
        await terminal.shows("Details")


async def test_a_long_answer_is_scrolled_through(tmp_path: Path, lm: LMStudioSandbox) -> None:
    lm.answer("\n\n".join(f"Paragraph {number} of many." for number in range(60)))
    async with ready(tmp_path, lm) as terminal:
        terminal.type(f"hello{ENTER}")
        await terminal.shows("Paragraph 59 of many.", "Details")
        terminal.type(PAGE_UP * 20)
        await terminal.shows("@Clawbot hello", "Paragraph 1 of many.")
        terminal.type(f"/new{ENTER}")
        await terminal.shows("Paragraph 59 of many.", "A new conversation begins.")


async def test_the_window_may_change_during_an_answer(tmp_path: Path, lm: LMStudioSandbox) -> None:
    lm.answer(Answer(f"Begin {PROSE}", pause_after=3))
    async with ready(tmp_path, lm, (120, 40)) as terminal:
        terminal.type(f"hello{ENTER}")
        await terminal.shows("Begin", "Stop")
        for size in ((40, 30), (200, 50), (80, 24), (2, 1), (60, 30)):
            terminal.resize(*size)
        lm.resume()
        await terminal.shows("Begin " + PROSE, "Details")


async def test_control_characters_never_reach_the_terminal(
    tmp_path: Path, lm: LMStudioSandbox
) -> None:
    lm.answer("A\x1b]0;title\x07B\x1b[2JC\x9b31mD\rE `\x1b[5m` done")
    async with ready(tmp_path, lm) as terminal:
        terminal.paste("x\x1b]0;title\x07y\x9b31mz")
        terminal.type(ENTER)
        await terminal.shows("done", "Details")
        terminal.type(CTRL_D)
        await assert_ends_in_order(terminal)
        assert not [
            each
            for each in (b"\x1b]0;", b"\x07", b"\x1b[2JC", b"\x9b31m", b"\x1b[5m")
            if each in terminal.raw
        ]


async def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path) -> None:
    async with demo(tmp_path, environment={**NOWHERE, "TERM": "dumb"}) as terminal:
        await terminal.shows("you")
        terminal.type("what does it keep?\n")
        await terminal.shows("keys and values")
        terminal.type(CTRL_C)
        assert await terminal.ended() == 0
        await terminal.until(lambda: terminal.is_closed)
        assert "Stopping …" in terminal.raw.decode()
        assert b"\x1b" not in terminal.raw
        assert b"Traceback" not in terminal.raw


async def test_a_signal_leaves_the_terminal_in_order(tmp_path: Path) -> None:
    async with ready(tmp_path) as terminal:
        terminal.process.terminate()
        await assert_ends_in_order(terminal)


async def test_without_an_input_it_ends(tmp_path: Path) -> None:
    async with clawbot("demo", "--terminal", folder=tmp_path, environment=NOWHERE) as process:
        done = await ended(process, "")
    assert (done.code, done.err) == (0, "")
