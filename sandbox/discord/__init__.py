"""A local Discord: gateway and REST v10 over real sockets, as strict as the real one."""

from __future__ import annotations

from sandbox.discord.faults import Fault, Faults
from sandbox.discord.people.not_offered import NotOfferedError
from sandbox.discord.people.person import Person
from sandbox.discord.people.webhooks import Proxy, Webhook
from sandbox.discord.records import CloseRecord, GatewayRecord, RequestRecord
from sandbox.discord.server import DiscordSandbox
from sandbox.discord.state.guilds import Channel, Guild, Member, Message, Role
from sandbox.discord.state.interactions import Interaction
from sandbox.discord.values.accounts import User
from sandbox.discord.values.content import Attachment, Pings, Version
from sandbox.discord.values.permissions import Permission

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
