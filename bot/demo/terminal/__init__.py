"""The demo in a terminal: a full screen, or plain lines where there is none."""

from __future__ import annotations

import sys
from typing import Final

from prompt_toolkit.utils import is_dumb_terminal

from bot.demo.run import wait_online
from bot.demo.terminal.chat import HELP, Chat
from bot.demo.terminal.lines import Paper, typed_lines
from bot.demo.terminal.screen import Screen
from bot.demo.world import Demo

SCRIPT: Final = (
    "What does a KV cache keep?",
    "And why should a chat bot care?",
    "/config set setting:temperature value:0.31",
)
"""A mention, a follow-up by reply, and a slash command."""


async def talk(demo: Demo) -> None:
    """Hold a conversation until the person leaves.

    Raises:
        DependencyError: The bot didn't come online.
    """
    chat = Chat(demo)
    chat.note(f"{demo.sentence}\n{HELP}")
    paper = Paper(chat)
    has_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    try:
        if has_terminal and not is_dumb_terminal():
            await Screen(chat, wait_online(demo)).run()
        else:
            await wait_online(demo)
            paper.write(chat.notes[0])
            await paper.exchange(typed_lines(), shows_questions=not has_terminal)
    finally:
        if has_terminal:
            paper.write_all()
            paper.say("Stopping …")


async def script(demo: Demo) -> None:
    """Play a short conversation.

    Raises:
        DependencyError: The bot didn't come online.
    """
    chat = Chat(demo)
    paper = Paper(chat, marks_ephemeral=False)
    paper.say(demo.sentence)
    await wait_online(demo)
    for line in SCRIPT:
        await paper.turn(line)
