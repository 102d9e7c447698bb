"""A local Discord: gateway and REST v10 over real sockets, as strict as the real one."""

from __future__ import annotations

from sandbox.discord.faults import Fault, Faults
from sandbox.discord.interactions import Interaction
from sandbox.discord.messages import Attachment, Message, Pings, Version
from sandbox.discord.model import Channel, Guild, Member, Role, User
from sandbox.discord.options import NotOfferedError
from sandbox.discord.people import Person
from sandbox.discord.permissions import Permission
from sandbox.discord.records import CloseRecord, GatewayRecord, RequestRecord
from sandbox.discord.server import DiscordSandbox
from sandbox.discord.webhooks import Proxy, Webhook

__all__ = [
    "Attachment",
    "Channel",
    "CloseRecord",
    "DiscordSandbox",
    "Fault",
    "Faults",
    "GatewayRecord",
    "Guild",
    "Interaction",
    "Member",
    "Message",
    "NotOfferedError",
    "Permission",
    "Person",
    "Pings",
    "Proxy",
    "RequestRecord",
    "Role",
    "User",
    "Version",
    "Webhook",
]
