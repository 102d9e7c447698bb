"""Tells the open tabs what happens: in the local Discord at once, inside the bot a few times a second."""

from __future__ import annotations

import secrets
from typing import Final

from bot.core.clock import Clock
from bot.demo.page.actions import MAX_HISTORY
from bot.demo.page.faults import Panel
from bot.demo.page.inside import Inside
from bot.demo.page.tabs import Tabs
from bot.demo.page.view import TYPING_S, Json, View
from bot.demo.world import Demo
from bot.ops.terminal import program
from sandbox.discord import Channel
from sandbox.discord.checks.messages import MAX_CONTENT_CHARS, MAX_FILE_BYTES, MAX_FILES
from sandbox.discord.state.events import (
    Event,
    InteractionCreated,
    MessageChanged,
    MessageCreated,
    MessageDeleted,
    MessagesDeleted,
    ReactionChanged,
    TypingStarted,
)
from sandbox.discord.state.guilds import ChannelChanged, ChannelCreated, ChannelDeleted

PROTOCOL: Final = 1
PULSE_S: Final = 0.2
"""Between two looks inside, in seconds."""


def next_steps() -> tuple[str, ...]:
    """Return how a person gets from the stand-in to their own model and server, as Markdown."""
    clawbot, folder = program(), "the folder where you start the demo"
    address = "`LMSTUDIO_BASE_URL=http://192.168.1.20:1234`, with its address,"
    return (
        "Start LM Studio, load a model, and turn its server on (Developer, Start server).",
        f"If it runs on another machine, write {address} into a file named `.env` in {folder}.",
        f"Run `{clawbot} demo` again: then your model answers.",
        f"For your own server, make a bot token as the README shows. Then run `{clawbot} init` and `{clawbot}`.",
    )


class Live:
    """Watches one demo.

    Args:
        view: Renders it.
        panel: What can be made to go wrong.
        tabs: Who is told.
    """

    def __init__(self, demo: Demo, view: View, panel: Panel, tabs: Tabs) -> None:
        self._demo = demo
        self._run_id = secrets.token_hex(8)
        self._view = view
        self._inside = Inside(demo)
        self._panel = panel
        self._tabs = tabs
        self._world = demo.discord.world
        self._bot = view.bot()
        self._registered = demo.registered()
        self._controls = panel.controls()

    def start(self) -> None:
        """Begin to watch."""
        self._world.subscribe(self._on_event)
        self._world.changes.watch(self._on_change)

    def stop(self) -> None:
        """Watch no longer."""
        self._world.unsubscribe(self._on_event)
        self._world.changes.unwatch(self._on_change)

    async def pulse(self, clock: Clock) -> None:
        """Look inside for ever."""
        while True:
            await clock.sleep(PULSE_S)
            if self._tabs:
                self.look()

    def snapshot(self) -> Json:
        """Return everything as it stands, having told the open tabs the same."""
        self._on_change()
        self.look()
        view = self._view
        return {
            "type": "snapshot",
            "protocol": PROTOCOL,
            "run": self._run_id,
            "now": self._world.now(),
            "bot": view.bot(),
            "model": self._model(),
            "people": view.people(),
            "users": view.users(),
            "roles": view.roles(),
            "guild": {"id": str(self._demo.places.guild.id), "name": self._demo.places.guild.name},
            "channels": view.channels(),
            "messages": view.windows(),
            "typing": view.typing(),
            "commands": view.commands(),
            "faults": self._panel.controls(),
            "inside": self._inside.snapshot(),
            "limits": {
                "message_chars": MAX_CONTENT_CHARS,
                "files_per_message": MAX_FILES,
                "file_bytes": MAX_FILE_BYTES,
                "history_page": MAX_HISTORY,
            },
        }

    def _model(self) -> Json:
        is_stand_in = self._demo.lmstudio is not None
        return {
            "kind": "stand_in" if is_stand_in else "lm_studio",
            "sentence": self._demo.sentence,
            "address": self._demo.address,
            "next": list(next_steps()) if is_stand_in else [],
            "faults_why": self._panel.why_not,
        }

    # What happens in Discord

    def _on_event(self, event: Event) -> None:
        if isinstance(event, InteractionCreated):
            self._view.note(event.interaction)
        elif self._tabs:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        match event:
            case MessageCreated() | MessageChanged() | ReactionChanged():
                self._tabs.event("message", {"message": self._view.message(event.message)})
            case MessageDeleted(message):
                self._gone(message.channel, [message.id])
            case MessagesDeleted(channel, messages):
                self._gone(channel, [each.id for each in messages])
            case TypingStarted(channel, user):
                until = self._world.now() + TYPING_S
                where = {"channel_id": str(channel.id), "user_id": str(user.id)}
                self._tabs.event("typing", where | {"until": until})
            case ChannelCreated(_, channel) | ChannelChanged(_, channel):
                if self._view.shows(channel):
                    self._tabs.event("channel", {"channel": self._view.channel(channel)})
            case ChannelDeleted(_, channel):
                self._tabs.event("channel_gone", {"id": str(channel.id)})
            case _:
                pass  # members and roles stay as they are in a demo

    def _gone(self, channel: Channel, ids: list[int]) -> None:
        gone = {"channel_id": str(channel.id), "ids": [str(each) for each in ids]}
        self._tabs.event("message_gone", gone)

    def _on_change(self) -> None:
        bot, registered = self._view.bot(), self._demo.registered()
        if registered != self._registered:
            self._registered = registered
            self._tabs.event("commands", {"commands": self._view.commands()})
        if bot != self._bot:
            self._bot = bot
            self._tabs.event("bot", bot)
        for request in self._inside.new_requests():
            self._tabs.event("request", {"request": request})

    # What happens inside

    def look(self) -> None:
        """Tell what has changed inside since the last look."""
        for prompt in self._inside.new_prompts():
            self._tabs.event("prompt", {"prompt": prompt})
        queue = self._inside.new_queue()
        if queue is not None:
            self._tabs.event("queue", queue)
        for clock in self._inside.new_clocks():
            self._tabs.event("clock", {"clock": clock})
        controls = self._panel.controls()
        if controls != self._controls:
            self._controls = controls
            self._tabs.event("faults", {"faults": controls})
