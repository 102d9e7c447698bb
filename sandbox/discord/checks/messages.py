"""What Discord refuses in a message's body (Discord: resources, "Message")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.discord.checks.components import check_components
from sandbox.discord.checks.form import Form, utf16_len
from sandbox.discord.values.content import (
    COMPONENTS_V2,
    EPHEMERAL,
    IS_VOICE_MESSAGE,
    SUPPRESS_EMBEDS,
    SUPPRESS_NOTIFICATIONS,
    AllowedMentions,
    Attachment,
    Upload,
)
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.snowflakes import Snowflakes

MAX_CONTENT_CHARS = 2000
MAX_EMBED_CHARS = 6000
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_FILES = 10
_PARSE = {"roles", "users", "everyone"}
_SETTABLE = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2 | IS_VOICE_MESSAGE
_EMBED_TEXTS = (("title", 256), ("description", 4096), ("url", 2048))
_TYPES = {
    "txt": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "py": "text/x-python; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
}


def check_content(form: Form, body: JsonObject, path: str = "") -> None:
    """Check ``content``, ``tts``, ``nonce`` and ``flags``."""
    form.text(path + "content", body.get("content"), most=MAX_CONTENT_CHARS, required=False)
    nonce = body.get("nonce")
    if isinstance(nonce, str):
        form.text(path + "nonce", nonce, most=25)
    elif nonce is not None and not isinstance(nonce, int):
        form.wrong(path + "nonce", "NONCE_TYPE", "Nonce must be an integer or a string.")
    flags = body.get("flags")
    if flags is not None and (not isinstance(flags, int) or isinstance(flags, bool)):
        form.wrong(path + "flags", "NUMBER_TYPE_COERCE", "Value is not int.")
    if flags and isinstance(flags, int) and flags & COMPONENTS_V2:
        for key in ("content", "embeds", "poll", "sticker_ids"):
            if body.get(key):
                form.wrong(
                    path + key,
                    "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                    f"The '{key}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
                )


def check_embeds(form: Form, embeds: object, path: str = "embeds") -> None:
    """Check the embeds' sizes, one by one and all together."""
    if embeds is None:
        return
    if not isinstance(embeds, list):
        form.wrong(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return
    if len(embeds) > 10:
        form.wrong(path, "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    total = sum(_check_embed(form, embed, f"{path}.{index}") for index, embed in enumerate(embeds))
    if total > MAX_EMBED_CHARS:
        form.wrong(path, "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")


def _check_embed(form: Form, embed: object, path: str) -> int:
    if not isinstance(embed, dict):
        form.wrong(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return 0
    counted: list[tuple[str, object, int]] = [
        (key, embed.get(key), most) for key, most in _EMBED_TEXTS[:2]
    ]
    counted.append(("footer.text", (embed.get("footer") or {}).get("text"), 2048))
    counted.append(("author.name", (embed.get("author") or {}).get("name"), 256))
    fields = embed.get("fields") or []
    if len(fields) > 25:
        form.wrong(f"{path}.fields", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for index, entry in enumerate(fields):
        for key, most in (("name", 256), ("value", 1024)):
            where = f"fields.{index}.{key}"
            if not entry.get(key):
                form.required(f"{path}.{where}")
            counted.append((where, entry.get(key), most))
    for where, value, most in counted:
        form.text(f"{path}.{where}", value, most=most, required=False)
    form.text(f"{path}.url", embed.get("url"), most=2048, required=False)
    return sum(utf16_len(value) for _, value, _ in counted if isinstance(value, str))


def read_allowed_mentions(form: Form, value: object) -> AllowedMentions:
    """Check and return ``allowed_mentions``; absent means that everything pings."""
    if value is None:
        return AllowedMentions()
    path = "allowed_mentions"
    if not isinstance(value, dict):
        form.wrong(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return AllowedMentions()
    parse = value.get("parse")
    for index, entry in enumerate(parse or ()):
        if entry not in _PARSE:
            form.choices(f"{path}.parse.{index}", "('users', 'roles', 'everyone')")
    ids: dict[str, frozenset[int]] = {}
    for key in ("users", "roles"):
        listed = value.get(key) or []
        if len(listed) > 100:
            form.wrong(f"{path}.{key}", "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
        if listed and key in (parse or ()):
            form.wrong(
                path,
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{key}"] and {key}: [ids...] are mutually exclusive.',
            )
        ids[key] = frozenset(int(entry) for entry in listed if str(entry).isdigit())
    return AllowedMentions(
        parse=frozenset(parse or ()),
        users=ids["users"],
        roles=ids["roles"],
        replied_user=bool(value.get("replied_user", False)),
    )


def read_flags(body: JsonObject, *, ephemeral: bool = False) -> int:
    """Return the flags that a bot may set; Discord ignores the rest."""
    allowed = _SETTABLE | (EPHEMERAL if ephemeral else 0)
    return int(body.get("flags") or 0) & allowed


def check_body(body: JsonObject) -> AllowedMentions:
    """Check a whole message body but for its files and reference.

    Raises:
        ApiError: 50035 with every field that is wrong.
    """
    form = Form()
    check_content(form, body)
    check_embeds(form, body.get("embeds"))
    flags = body.get("flags")
    v2 = isinstance(flags, int) and bool(flags & COMPONENTS_V2)
    check_components(form, body.get("components"), v2=v2)
    mentions = read_allowed_mentions(form, body.get("allowed_mentions"))
    form.finish()
    return mentions


def refuse_empty(content: str, *others: object) -> None:
    """Refuse a message in which there is nothing to see.

    Raises:
        ApiError: 50006.
    """
    if not content.strip() and not any(others):
        raise ApiError(50006)


def read_attachments(
    ids: Snowflakes,
    body: JsonObject,
    files: Mapping[str, Upload],
    kept: list[Attachment] | None = None,
) -> list[Attachment]:
    """Return a message's attachments after a create or an edit.

    Args:
        ids: Makes their ids.
        body: The message body, whose ``attachments`` describe the files.
        files: The uploads, by form field (``files[0]``).
        kept: What the message has already, on an edit.

    Raises:
        ApiError: 30015, 40005 or 50035.
    """
    listed = body.get("attachments")
    described: dict[str, Any] = {str(entry.get("id")): entry for entry in listed or ()}
    old = kept or []
    stay = old if listed is None else [each for each in old if str(each.id) in described]
    fresh = []
    for name, upload in files.items():
        number = name.removeprefix("files[").removesuffix("]")
        if not number.isdigit():
            raise _bad_file(name)
        if len(upload.data) > MAX_FILE_BYTES:
            raise ApiError(40005)
        about = described.get(number, {})
        filename = str(about.get("filename") or upload.filename)
        fresh.append(
            Attachment(
                ids.next(),
                safe_name(filename),
                content_type_of(filename),
                upload.data,
                about.get("description"),
            )
        )
    if len(stay) + len(fresh) > MAX_FILES:
        raise ApiError(30015)
    return [*stay, *fresh]


def _bad_file(name: str) -> ApiError:
    error = {"code": "UNKNOWN_FIELD", "message": f"Unknown file field {name[:50]}"}
    return ApiError(50035, errors={"files": {"_errors": [error]}})


def safe_name(filename: str) -> str:
    """Return the name under which Discord keeps a file."""
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in filename)


def content_type_of(filename: str) -> str | None:
    """Return the MIME type that Discord would tell from a file's name."""
    return _TYPES.get(filename.rpartition(".")[2].lower())
