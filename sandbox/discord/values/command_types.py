"""Numbers of command types and option types (Discord: "Application commands")."""

from __future__ import annotations

CHAT_INPUT, USER_COMMAND, MESSAGE_COMMAND = 1, 2, 3
SUBCOMMAND, SUBCOMMAND_GROUP, STRING, INTEGER, BOOLEAN, USER, CHANNEL = 1, 2, 3, 4, 5, 6, 7
ROLE, MENTIONABLE, NUMBER, ATTACHMENT = 8, 9, 10, 11

MAX_SAFE = 2**53
"""The largest integer that an option carries exactly."""
