"""Numbers of interaction types and callback types (Discord: "Receiving and responding")."""

from __future__ import annotations

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
"""What a person did."""

CHANNEL_MESSAGE, DEFERRED_CHANNEL_MESSAGE = 4, 5
DEFERRED_UPDATE_MESSAGE, UPDATE_MESSAGE = 6, 7
AUTOCOMPLETE_RESULT, MODAL = 8, 9
"""How the bot responds."""
