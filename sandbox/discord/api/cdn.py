"""The CDN: which file an address serves."""

from __future__ import annotations

from sandbox.discord.state.world import World
from sandbox.discord.values.content import Attachment


def file_at(world: World, path: str) -> Attachment | None:
    """Return the file at a path; ``None`` where there is none, or no longer."""
    parts = path.strip("/").split("/")
    if parts[0] == "ephemeral-attachments" and len(parts) == 3 and parts[1].isdigit():
        return world.uploads.get(int(parts[1]))
    if parts[0] != "attachments" or len(parts) != 4 or not parts[1].isdigit():
        return None
    channel = world.channels.get(int(parts[1]))
    if channel is None:
        return None
    for message in [*channel.messages.values(), *channel.hidden.values()]:
        for attachment in message.attachments:
            if str(attachment.id) == parts[2]:
                return attachment
    return None
