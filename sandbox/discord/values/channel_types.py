"""Numbers of channel types (Discord: resources, "Channel")."""

from __future__ import annotations

TEXT, DM, VOICE, GROUP_DM, CATEGORY, ANNOUNCEMENT = 0, 1, 2, 3, 4, 5
ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD, STAGE, FORUM, MEDIA = 10, 11, 12, 13, 15, 16
THREADS = frozenset({ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD})
WITH_MESSAGES = frozenset({TEXT, DM, VOICE, GROUP_DM, ANNOUNCEMENT, STAGE}) | THREADS
FORUMS = frozenset({FORUM, MEDIA})
WITH_THREADS = frozenset({TEXT, ANNOUNCEMENT}) | FORUMS

TYPES_BY_NAME: dict[str, int] = {
    "text": TEXT,
    "voice": VOICE,
    "category": CATEGORY,
    "announcement": ANNOUNCEMENT,
    "stage": STAGE,
    "forum": FORUM,
    "media": MEDIA,
}
