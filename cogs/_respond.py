"""Answers to interactions, in whatever state they are: fresh, deferred, answered or expired."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any, Final

import discord
from discord import app_commands
from discord.utils import MISSING

from bot.core.clock import Clock
from bot.core.errors import BotError, describe
from bot.core.tasks import end_tasks
from bot.core.wording import plain_reason
from bot.delivery.splitter import MESSAGE_UNITS, fit, units
from bot.gateway.rest import LOST
from bot.queue.fair_queue import in_words
from cogs._sink import parameters, request, webhook_route

_log = logging.getLogger(__name__)

ANSWERED_ALREADY = 40060
"""Discord's code for a second response to an interaction."""
GONE_CODES = frozenset({10062, 10008, 10015, 50027, ANSWERED_ALREADY})
"""Unknown interaction, message or webhook, invalid token, already answered: nobody is waiting."""


async def say(
    interaction: discord.Interaction,
    text: str,
    *,
    file: discord.File = MISSING,
    view: discord.ui.View = MISSING,
) -> None:
    """Answer an interaction in one message that only the person sees, whatever state it is in.

    Args:
        interaction: Fresh, deferred (``defer`` then decides who sees it) or answered already.
        text: Cut at Discord's 2000 characters.
        file: Sent along.
        view: Buttons and menus.
    """
    content = shortened(text)
    try:
        if not interaction.response.is_done():
            await _answer(interaction, content, file, view)
        elif interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
            await _fill_in(interaction, content, file, view)
        else:
            await _follow_up(interaction, content, file, view)
    except discord.HTTPException as exc:
        if exc.code not in GONE_CODES:
            _log.warning("an interaction could not be answered (%s, %s)", exc.status, exc.code)
    except LOST as exc:
        _log.warning("an interaction could not be answered (%s)", plain_reason(exc))


MOST_PAGES: Final = 6
"""Messages of one answer; beyond that it is cut."""


async def say_lines(
    interaction: discord.Interaction, lines: Iterable[str], *, is_replacing: bool = False
) -> None:
    """Answer as ``say`` does, or rewrite as ``replace`` does, in as many messages as the lines take."""
    first, *further = _pages(lines)
    await (replace if is_replacing else say)(interaction, first)
    for page in further:
        await say_further(interaction, page)


def _pages(lines: Iterable[str]) -> list[str]:
    """Return lines as messages, one at least."""
    pages = [""]
    for line in lines:
        for piece in _pieces(line):
            if units(pages[-1]) + 1 + units(piece) > MESSAGE_UNITS:
                pages.append("")
            pages[-1] += f"\n{piece}" if pages[-1] else piece
    return pages[:MOST_PAGES]


async def say_further(
    interaction: discord.Interaction, text: str, *, file: discord.File = MISSING
) -> None:
    """Say something more to whoever was answered, in a message of its own that only they see."""
    try:
        await _follow_up(interaction, shortened(text), file)
    except LOST as exc:
        _log.warning("an answer could not be gone on with (%s)", plain_reason(exc))


def _pieces(line: str) -> Iterator[str]:
    """Yield a line in parts that fit into a message, cut between words."""
    while units(line) > MESSAGE_UNITS:
        end = fit(line, 0, MESSAGE_UNITS)
        end = line.rfind(" ", 0, end) if " " in line[:end] else end
        yield line[:end]
        line = line[end:].lstrip()
    yield line


async def _answer(
    interaction: discord.Interaction, content: str, file: discord.File, view: discord.ui.View
) -> None:
    """Answer afresh; where Discord has a sign already whose confirmation was lost, after that one."""
    try:
        await interaction.response.send_message(
            content, ephemeral=True, suppress_embeds=True, file=file, view=view
        )
    except discord.HTTPException as exc:
        if exc.code != ANSWERED_ALREADY:
            raise
        if interaction.type is discord.InteractionType.application_command:
            await _fill_in(interaction, content, file, view)
        else:
            await _follow_up(interaction, content, file, view)


async def _follow_up(
    interaction: discord.Interaction,
    content: str,
    file: discord.File = MISSING,
    view: discord.ui.View = MISSING,
) -> None:
    await interaction.followup.send(
        content, ephemeral=True, suppress_embeds=True, file=file, view=view
    )


async def replace(
    interaction: discord.Interaction[Any], text: str, view: discord.ui.View | None = None
) -> None:
    """Rewrite the message that a pressed button or menu belongs to, also once the press is answered."""
    if interaction.response.is_done():
        await _fill_in(interaction, shortened(text), view=view)
    else:
        await interaction.response.edit_message(
            content=shortened(text), view=view, suppress_embeds=True
        )


async def close(interaction: discord.Interaction[Any], text: str) -> None:
    """Put a sentence in the place of a message with buttons or menus that nobody used in time."""
    with contextlib.suppress(*LOST):
        await interaction.edit_original_response(content=text, view=None)


async def revise(
    interaction: discord.Interaction, text: str, *, file: discord.File = MISSING
) -> None:
    """Change an answer that ``say`` gave; where Discord doesn't take it, the answer stays as it is."""
    try:
        await _fill_in(interaction, shortened(text), file)
    except LOST as exc:
        _log.warning("an answer could not be changed (%s)", plain_reason(exc))


STOPPED: Final = "I was stopped before I was done with this. Use the command again when I'm back."
LAST_WORDS_S: Final = 2.0
"""Seconds for them; a stop in order waits no longer."""


@contextlib.asynccontextmanager
async def deferred(interaction: discord.Interaction[Any]) -> AsyncGenerator[None, None]:
    """Work for a command whose answer is deferred; where the bot is stopped first, the answer says so."""
    try:
        yield
    except asyncio.CancelledError:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await say(interaction, STOPPED)
        raise


ACKNOWLEDGE_S: Final = 3.0
"""Discord takes the first response to an interaction within 3 seconds (receiving and responding);
discord.py would go on trying for 25."""


OTHERWISE: Final = {"is_answered_otherwise": True}
"""Extras of a command that opens a form at once, or acknowledges what it has stored."""
LATEST_S: Final = 1.5
"""Seconds after which a question or a press is acknowledged although it isn't stored yet."""


class Acknowledgement:
    """The first sign to whoever used a command or button: made once, whoever asks for it first.

    Args:
        interaction: Fresh.
        within_s: How long Discord is asked to take it, in seconds.
        is_private: Only the person sees the answer to a command that follows.
    """

    def __init__(
        self,
        interaction: discord.Interaction[Any],
        within_s: float = ACKNOWLEDGE_S,
        *,
        is_private: bool = False,
    ) -> None:
        self._interaction = interaction
        self._within_s = within_s
        self._is_private = is_private
        self._once = asyncio.Lock()
        self._is_given = False

    async def give(self) -> None:
        """Defer the interaction, unless it is answered already; never raises for Discord."""
        async with self._once:
            if self._is_given or self._interaction.response.is_done():
                return
            self._is_given = True
            try:
                async with asyncio.timeout(self._within_s):
                    await self._interaction.response.defer(ephemeral=self._is_private)
            except LOST as exc:
                # Discord may have it all the same: whoever answers finds out.
                _log.warning("an interaction could not be acknowledged (%s)", plain_reason(exc))

    async def settle(self) -> None:
        """Wait for a sign that is under way, and have none given from now on."""
        async with self._once:
            self._is_given = True


@contextlib.asynccontextmanager
async def in_time(
    interaction: discord.Interaction[Any], clock: Clock
) -> AsyncGenerator[Acknowledgement]:
    """Acknowledge a question or a press in time, however long the journal takes for it.

    Raises:
        BotError: As the block does, once no sign is under way any more: what is said goes where it went.
    """
    acknowledgement = Acknowledgement(interaction)
    late = asyncio.get_running_loop().create_task(_give_late(acknowledgement, clock))
    try:
        yield acknowledgement
    except BotError:
        await acknowledgement.settle()
        raise
    finally:
        await end_tasks(late)


async def _give_late(acknowledgement: Acknowledgement, clock: Clock) -> None:
    await clock.sleep(LATEST_S)
    await acknowledgement.give()


def shortened(text: str) -> str:
    """Return a text of at most 2000 UTF-16 units, with an ellipsis where it was cut."""
    if units(text) <= MESSAGE_UNITS:
        return text
    return text[: fit(text, 0, MESSAGE_UNITS - 1)] + "…"


async def _fill_in(
    interaction: discord.Interaction,
    content: str,
    file: discord.File = MISSING,
    view: discord.ui.View | None = MISSING,
) -> None:
    """Edit a response with previews suppressed, which discord.py's own edit can't.

    Args:
        interaction: Answered or deferred.
        content: The text.
        file: Sent along.
        view: The buttons from now on; ``None`` takes those away that stand there.
    """
    route = webhook_route(
        "PATCH", "/messages/@original", interaction.application_id, interaction.token
    )
    with parameters(content, file=file, view=view) as params:
        shown = await request(interaction.client.http, route, params)
    if view and not view.is_finished():
        interaction._state.store_view(view, int(shown["id"]))  # noqa: SLF001 - no public way


async def failure(interaction: discord.Interaction, error: BaseException) -> None:
    """Answer any failure of a command, button or modal in one plain sentence."""
    original = error
    if isinstance(error, app_commands.CommandInvokeError):
        original = error.original
    if isinstance(original, app_commands.CommandOnCooldown):
        wait = in_words(original.retry_after)
        await say(interaction, f"You asked for that a few times already. Try again in {wait}.")
        return
    if isinstance(original, app_commands.CheckFailure):
        await say(interaction, str(original) or "You may not do that here.")
        return
    if isinstance(original, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        await say(interaction, "That command has changed. Please reload Discord and try again.")
        return
    if isinstance(original, app_commands.TransformerError):
        await say(interaction, "I can't find that in this server. Please choose from the list.")
        return
    if isinstance(original, LOST):
        _log.warning("an interaction was lost (%s)", plain_reason(original))
        return
    report = describe(original)
    _log.log(
        report.log_level,
        "command %s failed: %s %s",
        interaction.command.qualified_name if interaction.command else "?",
        plain_reason(original),
        report.reference,
        exc_info=None if isinstance(original, BotError) else original,
    )
    await say(interaction, report.user_text)
