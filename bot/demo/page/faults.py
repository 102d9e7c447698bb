"""What can be made to go wrong: the controls of the panel, and what each does to the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from bot.core.wording import counted
from bot.demo.answers import MODEL
from bot.demo.page.fields import ActionError
from bot.demo.page.view import Json
from bot.demo.world import Demo, Voice
from sandbox.lmstudio import Fault, LMStudioSandbox

Kind = Literal["choice", "switch", "button"]

WORDS_BEFORE_CUT: Final = 40
"""Tokens that come before a stream is cut: the thinking, and the first words."""
LIMITED_REQUESTS: Final = 3
LIMITED_S: Final = 3.0
TOO_FEW_TOKENS: Final = 16
"""A context for which there is no memory when memory is short."""

_SPEEDS: Final[dict[str, tuple[str, float]]] = {
    "normal": ("Normal", 1.0),
    "slow": ("Slow (a fifth)", 0.2),
    "crawl": ("Very slow (a twentieth)", 0.05),
}
_DELAYS: Final[dict[str, tuple[str, float]]] = {
    "none": ("None", 0.0),
    "half": ("Half a second", 0.5),
    "two": ("Two seconds", 2.0),
}
_MARKUPS: Final = {
    "field": "A field of its own",
    "qwen3_hybrid": "<think> … </think>",
    "qwen3_thinking_open_missing": "… </think>, the opening is missing",
    "gpt_oss": "gpt-oss channels",
    "magistral": "[THINK] … [/THINK]",
    "granite32": "“Here is my thought process:”",
    "kimi_vl": "◁think▷ … ◁/think▷",
    "gemma4": "<|channel>thought … <channel|>",
    "command_a": "<|START_THINKING|> …",
}


@dataclass(frozen=True, slots=True)
class Control:
    """One control.

    Attributes:
        act: Does it, given the value.
        value: Reads the present one.
        note: Says what is armed.
    """

    id: str
    group: str
    kind: Kind
    label: str
    hint: str
    act: Callable[[str | bool | None], Awaitable[None]]
    value: Callable[[], str | bool | None] = lambda: None
    note: Callable[[], str] = lambda: ""
    choices: tuple[tuple[str, str], ...] = ()


class Panel:
    """All controls of one demo."""

    def __init__(self, demo: Demo) -> None:
        self._discord = demo.discord
        self._turn = asyncio.Lock()
        self._model = _ModelFaults(demo.lmstudio, demo.voice) if demo.lmstudio else None
        own = self._model.controls() if self._model is not None else []
        self._controls = {each.id: each for each in [*own, *self._of_discord()]}

    def controls(self) -> list[Json]:
        """Return them as the page draws them."""
        return [_drawn(each) for each in self._controls.values()]

    @property
    def why_not(self) -> str:
        """Why the model's controls are missing; empty where they aren't."""
        if self._model is not None:
            return ""
        return "A real LM Studio answers: only the stand-in can be made to fail."

    async def set(self, wanted: str, value: object) -> None:
        """Use a control.

        Raises:
            ActionError: There is none, or it takes no such value.
        """
        control = self._controls.get(wanted)
        if control is None:
            raise ActionError("not_found", "There is no such control.")
        if control.kind == "choice" and value not in [key for key, _ in control.choices]:
            raise ActionError("bad_request", "The control offers no such choice.")
        if control.kind == "switch" and not isinstance(value, bool):
            raise ActionError("bad_request", "The control takes true or false.")
        async with self._turn:
            await control.act(value if isinstance(value, str | bool) else None)

    def _of_discord(self) -> list[Control]:
        discord, faults = self._discord, self._discord.faults

        async def drop(_value: str | bool | None) -> None:
            faults.drop()

        async def refuse(value: str | bool | None) -> None:
            faults.refuse_connections = -1 if value else 0
            if value:
                faults.drop()

        async def limit(_value: str | bool | None) -> None:
            faults.rate_limit(route="/messages", retry_after_s=LIMITED_S, times=LIMITED_REQUESTS)

        async def clear(_value: str | bool | None) -> None:
            faults.clear()
            discord.options.rest_delay_s = 0.0
            if self._model is not None:
                await self._model.clear()

        def limited() -> str:
            left = sum(each.times for each in faults.rest)
            return f"Strikes the next {counted(left, 'request')}." if left else ""

        return [
            Control("gateway_drop", "Discord", "button", "Drop the gateway",
                    "Breaks the bot's connection; it resumes and misses nothing.", drop),
            Control("gateway_refuse", "Discord", "switch", "Refuse the gateway",
                    "The bot stays offline until this is off again.", refuse,
                    lambda: faults.refuse_connections != 0),
            Control("rest_429", "Discord", "button", "Rate limit (429)",
                    f"The next {LIMITED_REQUESTS} requests about messages must wait"
                    f" {LIMITED_S:.0f} seconds.", limit, note=limited),
            Control("rest_slow", "Discord", "choice", "Delay of requests",
                    "How long each request of the bot is on its way.", self._set_delay,
                    self._delay, choices=_offered(_DELAYS)),
            Control("clear", "All", "button", "Everything back to normal",
                    "Ends all of the above.", clear),
        ]  # fmt: skip

    async def _set_delay(self, value: str | bool | None) -> None:
        self._discord.options.rest_delay_s = _DELAYS[str(value)][1]

    def _delay(self) -> str:
        now_s = self._discord.options.rest_delay_s
        return next((key for key, (_, each) in _DELAYS.items() if each == now_s), "none")


class _ModelFaults:
    """What happens to the stand-in for a model.

    Args:
        lmstudio: The stand-in.
        voice: How it speaks.
    """

    def __init__(self, lmstudio: LMStudioSandbox, voice: Voice) -> None:
        self._lmstudio = lmstudio
        self._voice = voice
        self._timing = lmstudio.timing
        self._speed = "normal"
        self._is_on = True

    def controls(self) -> list[Control]:
        """Return the controls of the model and of LM Studio."""
        return [
            Control("model_speed", "Model", "choice", "Speed",
                    "How fast the model reads and writes.", self._set_speed,
                    lambda: self._speed, choices=_offered(_SPEEDS)),
            Control("model_thinks", "Model", "switch", "Thinks before it answers",
                    "What it thinks is hidden from people.", self._set_thinks,
                    lambda: self._voice.thinks),
            Control("model_markup", "Model", "choice", "How it marks its thinking",
                    "Models differ; the bot takes all of these out.", self._set_markup,
                    lambda: self._voice.markup, choices=tuple(_MARKUPS.items())),
            Control("model_unload", "Model", "button", "Unload the model",
                    "As somebody at the machine would; the next question loads it again.",
                    self._unload, note=self._loaded),
            Control("model_memory", "Model", "switch", "Too little memory",
                    "The model is unloaded, and can't be loaded again until this is off.",
                    self._set_memory, self._is_short),
            Control("stream_cut", "Model", "button", "Cut the next answer",
                    "The connection breaks in the middle of the words.", self._cut,
                    note=self._armed),
            Control("lmstudio_power", "Model", "switch", "LM Studio is on",
                    "Off: nothing listens at its address.", self._power, lambda: self._is_on),
        ]  # fmt: skip

    async def clear(self) -> None:
        """Make everything normal again."""
        self._lmstudio.faults.clear()
        self._voice.reset()
        await self._set_speed("normal")
        await self._power(True)
        await self._set_memory(False)

    async def _set_speed(self, value: str | bool | None) -> None:
        self._speed = str(value)
        factor, usual = _SPEEDS[self._speed][1], self._timing.speed
        speed = None if usual is None else usual * factor
        self._lmstudio.set_timing(replace(self._timing, speed=speed))

    async def _set_thinks(self, value: str | bool | None) -> None:
        self._voice.thinks = bool(value)

    async def _set_markup(self, value: str | bool | None) -> None:
        self._voice.markup = str(value)

    async def _unload(self, _value: str | bool | None) -> None:
        self._lmstudio.unload(MODEL)

    def _loaded(self) -> str:
        return "" if self._lmstudio.is_loaded(MODEL) else "It is not loaded."

    async def _set_memory(self, value: str | bool | None) -> None:
        was_short = self._is_short()
        self._lmstudio.options.memory_tokens = TOO_FEW_TOKENS if value else None
        if value:
            self._lmstudio.unload(MODEL)
        elif was_short and self._is_on and not self._lmstudio.is_loaded(MODEL):
            await self._lmstudio.load(MODEL)

    def _is_short(self) -> bool:
        return self._lmstudio.options.memory_tokens is not None

    async def _cut(self, _value: str | bool | None) -> None:
        self._lmstudio.faults.next(Fault.RESET_AFTER_TOKENS, after_tokens=WORDS_BEFORE_CUT)

    def _armed(self) -> str:
        armed = self._lmstudio.faults.armed
        if not armed:
            return ""
        return f"Strikes the next {armed} answers." if armed > 1 else "Strikes the next answer."

    async def _power(self, value: str | bool | None) -> None:
        if bool(value) is self._is_on:
            return
        self._is_on = bool(value)
        await (self._lmstudio.start() if value else self._lmstudio.stop())


def _offered(table: dict[str, tuple[str, float]]) -> tuple[tuple[str, str], ...]:
    return tuple((key, label) for key, (label, _) in table.items())


def _drawn(control: Control) -> Json:
    return {
        "id": control.id,
        "group": control.group,
        "kind": control.kind,
        "label": control.label,
        "hint": control.hint,
        "value": control.value(),
        "choices": [{"value": value, "label": label} for value, label in control.choices],
        "note": control.note(),
    }
