"""The bot's own account and application, the gateway's address, and commands."""

from __future__ import annotations

from typing import Any

from sandbox.discord import render
from sandbox.discord.commands import check_command, check_count
from sandbox.discord.errors import ApiError, form
from sandbox.discord.messages import JsonObject
from sandbox.discord.rest import Call, Result, Route


def me(call: Call) -> Result:
    """Return the bot's account."""
    return render.me(call.world.bot_user)


def patch_me(call: Call) -> Result:
    """Change the bot's user name."""
    body = call.object()
    with form() as opened:
        opened.text("username", body.get("username"), least=2, most=32, required=False)
    call.world.bot_user.username = body.get("username", call.world.bot_user.username)
    return me(call)


def user(call: Call) -> Result:
    """Return an account."""
    found = call.world.users.get(call.id("user_id"))
    if found is None:
        raise ApiError(10013)
    return render.user(found)


def application(call: Call) -> Result:
    """Return the application with its owner."""
    world = call.world
    flags = 1 << 19 if world.portal_intents & 1 << 15 else 0
    return {
        "id": str(world.bot_user.id),
        "name": world.bot_user.username,
        "icon": None,
        "description": "",
        "type": None,
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "owner": render.user(world.owner if world.team is None else world.team.user),
        "team": None if world.team is None else render.team(world.team),
        "bot": render.user(world.bot_user),
        "flags": flags,
        "flags_new": str(flags),
        "tags": [],
        "rpc_origins": [],
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "explicit_content_filter": 0,
        "eligible_oauth2_scopes": ["applications.commands", "bot", "identify"],
        "integration_types_config": {"0": {}},
        "approximate_guild_count": len(world.bot_guilds()),
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
    }


def gateway(call: Call) -> Result:
    """Return the gateway's address."""
    return {"url": call.sandbox.gateway_url}


def gateway_bot(call: Call) -> Result:
    """Return the gateway's address and the identify budget."""
    return {
        "url": call.sandbox.gateway_url,
        "shards": 1,
        "session_start_limit": call.sandbox.hub.session_start_limit(),
    }


# Commands


def _scope(call: Call) -> tuple[int | None, dict[int, JsonObject]]:
    if call.id("application_id") != call.world.bot_user.id:
        raise ApiError(20012)
    guild_id = call.guild().id if "guild_id" in call.params else None
    return guild_id, call.world.commands.scope(guild_id)


def _one(call: Call) -> tuple[int | None, dict[int, JsonObject], JsonObject]:
    guild_id, scope = _scope(call)
    command = scope.get(call.id("command_id"))
    if command is None:
        raise ApiError(10063)
    return guild_id, scope, command


def _made(call: Call, given: JsonObject, guild_id: int | None, command_id: int) -> JsonObject:
    ids = call.world.ids
    needed = given.get("default_member_permissions")
    command: dict[str, Any] = {
        "id": str(command_id),
        "application_id": str(call.world.bot_user.id),
        "version": str(ids.next()),
        "type": given.get("type", 1),
        "name": given["name"],
        "name_localizations": given.get("name_localizations"),
        "description": given.get("description", ""),
        "description_localizations": given.get("description_localizations"),
        "default_member_permissions": None if needed is None else str(needed),
        "dm_permission": given.get("dm_permission", True),
        "nsfw": given.get("nsfw", False),
        "contexts": given.get("contexts"),
        "integration_types": given.get("integration_types") or [0],
        "options": given.get("options") or [],
    }
    if guild_id is not None:
        command["guild_id"] = str(guild_id)
    return command


def _same_name(scope: dict[int, JsonObject], given: JsonObject) -> int | None:
    for command_id, command in scope.items():
        if (command["name"], command["type"]) == (given["name"], given.get("type", 1)):
            return command_id
    return None


def commands(call: Call) -> Result:
    """Return the commands of a scope."""
    return list(_scope(call)[1].values())


def put_commands(call: Call) -> Result:
    """Replace all commands of a scope; those whose name stays keep their id."""
    guild_id, scope = _scope(call)
    if not isinstance(call.body, list):
        error = {"code": "LIST_TYPE_CONVERT", "message": "Only iterables may be used in a ListType"}
        raise ApiError(50035, errors={"_errors": [error]})
    with form() as opened:
        for index, given in enumerate(call.body):
            check_command(opened, given, f"{index}.")
    check_count(call.body)
    replaced: dict[int, JsonObject] = {}
    for given in call.body:
        command_id = _same_name(scope, given) or call.world.ids.next()
        replaced[command_id] = _made(call, given, guild_id, command_id)
    scope.clear()
    scope.update(replaced)
    return list(scope.values())


def post_command(call: Call) -> Result:
    """Create a command, or overwrite the one of that name."""
    guild_id, scope = _scope(call)
    given = call.object()
    with form() as opened:
        check_command(opened, given)
    same = _same_name(scope, given)
    if same is None:
        check_count([*scope.values(), given])
    command_id = same or call.world.ids.next()
    scope[command_id] = _made(call, given, guild_id, command_id)
    return scope[command_id]


def get_command(call: Call) -> Result:
    """Return one command."""
    return _one(call)[2]


def patch_command(call: Call) -> Result:
    """Change one command."""
    guild_id, scope, command = _one(call)
    given = command | call.object()
    with form() as opened:
        check_command(opened, given)
    command_id = int(command["id"])
    scope[command_id] = _made(call, given, guild_id, command_id)
    return scope[command_id]


def delete_command(call: Call) -> Result:
    """Delete one command."""
    _, scope, command = _one(call)
    del scope[int(command["id"])]
    return None


_APP = "/applications/{application_id}"
_COMMAND_ROUTES = tuple(
    route
    for base in (_APP + "/commands", _APP + "/guilds/{guild_id}/commands")
    for route in (
        Route("GET", base, commands),
        Route("PUT", base, put_commands, "command_write"),
        Route("POST", base, post_command, "command_write", status=201),
        Route("GET", base + "/{command_id}", get_command),
        Route("PATCH", base + "/{command_id}", patch_command, "command_write"),
        Route("DELETE", base + "/{command_id}", delete_command, "command_write"),
    )
)
ROUTES = (
    Route("GET", "/users/@me", me),
    Route("PATCH", "/users/@me", patch_me),
    Route("GET", "/users/{user_id}", user),
    Route("GET", "/oauth2/applications/@me", application),
    Route("GET", "/applications/@me", application),
    Route("GET", "/gateway", gateway, token=False),
    Route("GET", "/gateway/bot", gateway_bot),
    *_COMMAND_ROUTES,
)
