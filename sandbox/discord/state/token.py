"""The bot's token."""

from __future__ import annotations

import secrets


class BotToken:
    """A token of a bot token's shape that is plainly none; it can become invalid.

    Args:
        bot_id: The bot's user id.
    """

    def __init__(self, bot_id: int) -> None:
        head = "sandbox" + str(bot_id)[-17:]
        self.text = f"{head}.{secrets.token_hex(3)}.not-a-real-token-{secrets.token_hex(11)}"
        self._is_valid = True

    def accepts(self, given: object) -> bool:
        """Tell whether a given token is the bot's, and still valid."""
        return self._is_valid and given == self.text

    def invalidate(self) -> None:
        """Make the token invalid, as Discord does after too many IDENTIFYs."""
        self._is_valid = False
