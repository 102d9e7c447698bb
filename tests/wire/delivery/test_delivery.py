"""A whole answer over the real library to the sandbox."""

from __future__ import annotations

from functools import partial

from bot.core.domain import MessageId
from bot.delivery.delivery import Delivery
from bot.delivery.pacing import ChannelPacer
from config.settings import DeliverySettings
from tests.unit.delivery.helpers import DONE, STOP, question
from tests.wire.delivery.helpers import MESSAGES, SUPPRESS_EMBEDS, DiscordRig, discord_rig


def _delivery(here: DiscordRig, asked_id: int, *, posted: tuple[MessageId, ...] = ()) -> Delivery:
    return Delivery(
        sink=here.sink(),
        pacer=ChannelPacer(4),
        clock=here.clock,
        question=question(asked_id),
        settings=DeliverySettings(),
        live_controls=STOP,
        posted=posted,
    )


async def test_a_long_streamed_answer_arrives_whole_quiet_and_in_order() -> None:
    text = "\n\n".join(f"Paragraph {number}. " + "word " * 120 for number in range(6))
    async with discord_rig() as here:
        asked = await here.ada.say(here.channel, "hello")
        async with _delivery(here, asked.id) as delivery:
            for end in range(50, len(text), 50):
                delivery.show(partial(str, text[:end]))
                await here.clock.sleep(0.1)
            await here.sandbox.wait_until(here.bot_messages)
            await delivery.finish(text, controls=DONE, remarks=("Left out 2 messages.",))
        messages = here.bot_messages()
        assert [message.id for message in messages] == list(delivery.message_ids)
        shown = " ".join(message.content for message in messages)
        assert shown.split() == [*text.split(), *["-#", "Left", "out", "2", "messages."]]
        assert [button["label"] for message in messages for button in message.buttons] == [
            "Regenerate"
        ]
        for message in messages:
            for version in message.versions:
                assert len(version.content) <= 2000
                assert version.flags & SUPPRESS_EMBEDS
        assert here.sandbox.unexpected == []


async def test_a_crash_between_two_lives_leaves_one_answer() -> None:
    async with discord_rig() as here:
        asked = await here.ada.say(here.channel, "hello")
        async with _delivery(here, asked.id) as delivery:
            delivery.show(lambda: "Half of")
            await here.sandbox.wait_until(here.bot_messages)
        async with _delivery(here, asked.id) as again:
            await again.deliver(("The whole.",), controls=DONE)
        (message,) = here.bot_messages()
        assert message.content == "The whole."
        nonces = {each.body["nonce"] for each in here.sandbox.requests_to("POST", MESSAGES)}
        assert nonces == {f"{asked.id}-r-0"}


async def test_a_deleted_answer_ends_the_work() -> None:
    async with discord_rig() as here:
        asked = await here.ada.say(here.channel, "hello")
        async with _delivery(here, asked.id) as delivery:
            delivery.show(lambda: "Some words.")
            (message,) = await here.sandbox.wait_until(here.bot_messages)
            await here.sandbox.owner.delete(message)
            await here.clock.sleep(2.0)
            delivery.show(lambda: "Some words. Some more.")
            await delivery.gone.wait()
        assert here.bot_messages() == []
