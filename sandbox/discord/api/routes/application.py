"""The bot's own account and application, the gateway's address, and commands."""

from __future__ import annotations

from typing import Any

from sandbox.discord import rendering
from sandbox.discord.api.request import ApiRequest, Result
from sandbox.discord.api.router import Route
from sandbox.discord.checks.commands import check_command, check_count
from sandbox.discord.checks.form import collect_errors
from sandbox.discord.values.addresses import gateway_url
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.json_objects import JsonObject


def me(request: ApiRequest) -> Result:
    """Return the bot's account."""
    return rendering.own_user_object(request.world.bot_user)


def patch_me(request: ApiRequest) -> Result:
    """Change the bot's user name."""
    body = request.object()
    with collect_errors() as form:
        form.text("username", body.get("username"), least=2, most=32, required=False)
    request.world.bot_user.username = body.get("username", request.world.bot_user.username)
    return me(request)


def user(request: ApiRequest) -> Result:
    """Return an account."""
    found = request.world.users.get(request.id("user_id"))
    if found is None:
        raise ApiError(10013)
    return rendering.user_object(found)


def application(request: ApiRequest) -> Result:
    """Return the application with its owner."""
    world = request.world
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
        "owner": rendering.user_object(world.owner if world.team is None else world.team.user),
        "team": None if world.team is None else rendering.team_object(world.team),
        "bot": rendering.user_object(world.bot_user),
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


def gateway(request: ApiRequest) -> Result:
    """Return the gateway's address."""
    return {"url": gateway_url(request.world.origin)}


def gateway_bot(request: ApiRequest) -> Result:
    """Return the gateway's address and the identify budget."""
    return {
        "url": gateway_url(request.world.origin),
        "shards": request.options.shards,
        "session_start_limit": request.budget.session_start_limit(request.options.max_concurrency),
    }


# Commands


def _scope(request: ApiRequest) -> tuple[int | None, dict[int, JsonObject]]:
    if request.id("application_id") != request.world.bot_user.id:
        raise ApiError(20012)
    guild_id = request.guild().id if "guild_id" in request.params else None
    return guild_id, request.world.commands.scope(guild_id)


def _command_of_path(request: ApiRequest) -> tuple[int | None, dict[int, JsonObject], JsonObject]:
    guild_id, scope = _scope(request)
    command = scope.get(request.id("command_id"))
    if command is None:
        raise ApiError(10063)
    return guild_id, scope, command


def _command_object(
    request: ApiRequest, given: JsonObject, guild_id: int | None, command_id: int
) -> JsonObject:
    ids = request.world.ids
    needed = given.get("default_member_permissions")
    command: dict[str, Any] = {
        "id": str(command_id),
        "application_id": str(request.world.bot_user.id),
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


def commands(request: ApiRequest) -> Result:
    """Return the commands of a scope."""
    return list(_scope(request)[1].values())


def put_commands(request: ApiRequest) -> Result:
    """Replace all commands of a scope; those whose name stays keep their id."""
    guild_id, scope = _scope(request)
    if not isinstance(request.body, list):
        error = {"code": "LIST_TYPE_CONVERT", "message": "Only iterables may be used in a ListType"}
        raise ApiError(50035, errors={"_errors": [error]})
    with collect_errors() as form:
        for index, given in enumerate(request.body):
            check_command(form, given, f"{index}.")
    check_count(request.body)
    replaced: dict[int, JsonObject] = {}
    for given in request.body:
        command_id = _same_name(scope, given) or request.world.ids.next()
        replaced[command_id] = _command_object(request, given, guild_id, command_id)
    scope.clear()
    scope.update(replaced)
    return list(scope.values())


def post_command(request: ApiRequest) -> Result:
    """Create a command, or overwrite the one of that name."""
    guild_id, scope = _scope(request)
    given = request.object()
    with collect_errors() as form:
        check_command(form, given)
    same = _same_name(scope, given)
    if same is None:
        check_count([*scope.values(), given])
    command_id = same or request.world.ids.next()
    scope[command_id] = _command_object(request, given, guild_id, command_id)
    return scope[command_id]


def get_command(request: ApiRequest) -> Result:
    """Return one command."""
    return _command_of_path(request)[2]


def patch_command(request: ApiRequest) -> Result:
    """Change one command."""
    guild_id, scope, command = _command_of_path(request)
    given = command | request.object()
    with collect_errors() as form:
        check_command(form, given)
    command_id = int(command["id"])
    scope[command_id] = _command_object(request, given, guild_id, command_id)
    return scope[command_id]


def delete_command(request: ApiRequest) -> Result:
    """Delete one command."""
    _, scope, command = _command_of_path(request)
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
