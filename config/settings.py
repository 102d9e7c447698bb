"""The settings: sections, ranges, units and defaults. Nothing here reads a file or a variable.

Every field is reachable as ``CLAWBOT_<SECTION>__<FIELD>`` and as ``{"section": {"field": …}}`` in
``clawbot.json``; the fields with a contract name of their own (``DISCORD_TOKEN``, ``model_endpoint``
and so on) are listed in ``config.names``.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    model_validator,
)

from config import addresses, defaults
from config.live import Live

_UNWRITABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _one_line(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().isprintable():
        raise ValueError("must be one line without control characters")
    return secret


def _wake(value: object) -> addresses.WakeTarget:
    return value if isinstance(value, addresses.WakeTarget) else addresses.wake_target(str(value))


def _proxy(secret: SecretStr) -> SecretStr:
    return SecretStr(addresses.proxy_address(secret.get_secret_value()))


def _number_or_auto(value: object) -> object:
    return 0 if value == "auto" else value


def _plain(text: str) -> str:
    if _UNWRITABLE.search(text):
        raise ValueError("must be plain text without control characters")
    return text


def _file_path(path: Path) -> Path:
    if _UNWRITABLE.search(str(path)) or not {"\n", "\t", "\r"}.isdisjoint(str(path)):
        raise ValueError(
            "must be a path on one line; in double quotes a backslash is written twice, or use /"
        )
    return path.expanduser()


def _model_key(text: str) -> str:
    if not text.strip() or not text.isprintable() or ".." in text:
        raise ValueError("must be a model's name on one line")
    return text


def _language(text: str) -> str:
    words = " ".join(text.split())
    if not any(map(str.isalpha, words)) or not all(map(_is_of_a_name, words)):
        raise ValueError("must be a language's name")
    return words


def _is_of_a_name(character: str) -> bool:
    """Return whether a language's name may have it; vowel signs of Hindi and Thai are marks."""
    return unicodedata.category(character)[0] in "LM" or character in " ()'’-"


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


Snowflake = Annotated[int, Field(ge=1, lt=2**64)]
Secret = Annotated[SecretStr, AfterValidator(_one_line)]
LMStudioAddress = Annotated[str, AfterValidator(addresses.lmstudio_base)]
FilePath = Annotated[Path, AfterValidator(_file_path)]
ModelKey = Annotated[str, AfterValidator(_model_key)]
Language = Annotated[str, AfterValidator(_language)]

_EVERYWHERE: Final = Live("global")
_BY_FILE: Final = Live("file")
_PER_CHANNEL: Final = Live("channel")


class Section(BaseModel):
    """Base of all sections: frozen, strict about names, silent about values in errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )


class DiscordSettings(Section):
    """Discord: who we are, who may ask, and where."""

    token: Secret | None = Field(None, description="Bot token")
    api_base: Annotated[str, AfterValidator(addresses.discord_api_base)] = Field(
        defaults.DISCORD_API_BASE, description="REST address of another Discord"
    )
    gateway_url: Annotated[str, AfterValidator(addresses.gateway_address)] | None = Field(
        None, description="Gateway address of another Discord"
    )
    proxy: Annotated[Secret, AfterValidator(_proxy)] | None = Field(
        None,
        description="Proxy through which Discord is reached, never LM Studio: http, https or socks5, with "
        "user:password@ where it wants them; HTTPS_PROXY and NO_PROXY hold when unset",
    )
    no_proxy: tuple[Annotated[str, AfterValidator(addresses.excepted_host)], ...] = Field(
        (),
        description="Hosts of Discord's that are reached without the proxy, with all names below them; * for "
        "all",
    )
    cdn_hosts: tuple[Annotated[str, AfterValidator(addresses.cdn_host)], ...] = Field(
        (),
        description="Hosts that keep another Discord's attachments: host for https, "
        "or host:port for exactly that port, also over http",
    )
    owner_ids: tuple[Snowflake, ...] = Field(
        (), description="People who may change global settings, besides the application's owner"
    )
    message_content: bool = Field(
        True, description="Ask for the Message Content intent; go on without it when refused"
    )
    dm_policy: Annotated[Literal["open", "owners", "closed"] | None, _EVERYWHERE] = Field(
        None,
        description="Who may ask in a direct message; when unset, everybody, but nobody where "
        "servers, channels or roles are restricted",
    )
    allowed_guild_ids: Annotated[tuple[Snowflake, ...], Live("global", "guild")] = Field(
        (), description="Answer only in these servers (guilds); in all when empty"
    )
    allowed_channel_ids: Annotated[tuple[Snowflake, ...], Live("guild", "channel")] = Field(
        (),
        description="Answer only in these channels or categories, and their threads; in all when empty",
    )
    blocked_channel_ids: Annotated[tuple[Snowflake, ...], Live("guild", "channel")] = Field(
        (), description="Never answer in these channels or categories"
    )
    allowed_role_ids: Annotated[tuple[Snowflake, ...], Live("channel", "role")] = Field(
        (), description="Answer only people with one of these roles; all when empty"
    )
    blocked_user_ids: Annotated[tuple[Snowflake, ...], Live("guild", "person")] = Field(
        (), description="Never answer these people"
    )
    admin_role_ids: Annotated[tuple[Snowflake, ...], Live("guild", "role")] = Field(
        (),
        description="Roles that may change a server's settings, besides those with Manage Server",
    )
    proxy_application_ids: tuple[Snowflake, ...] = Field(
        (),
        description="Applications that say people's messages again (PluralKit and its like), whose "
        "copies may differ from what was deleted; copies with the same text need none",
    )
    shards: Annotated[int, BeforeValidator(_number_or_auto)] = Field(
        1,
        ge=0,
        le=256,
        description="Connections to Discord (shards) that servers are shared out among, as Discord demands "
        "of bots in 2500 servers; auto, or 0, is what Discord recommends. Not 1, and with PostgreSQL, several "
        "processes share them",
    )
    # Discord resets the token at 1000 in 24 hours; a fifth of that leaves room for restarts.
    identifies_per_day: int = Field(200, ge=10, le=900, description="Gateway log-ins per 24 hours")
    requests_per_s: int = Field(
        45,
        ge=1,
        le=1_000,
        description="Most requests to Discord in any second; it allows most bots 50",
    )

    @property
    def is_restricted(self) -> bool:
        """Whether the bot answers only some servers, channels or roles."""
        return bool(self.allowed_guild_ids or self.allowed_channel_ids or self.allowed_role_ids)

    @property
    def direct_messages(self) -> Literal["open", "owners", "closed"]:
        """Who may ask in a direct message."""
        return self.dm_policy or ("closed" if self.is_restricted else "open")


class LMStudioSettings(Section):
    """LM Studio: where it is and how long to wait for it."""

    base_url: Annotated[tuple[LMStudioAddress, ...], AfterValidator(_once), _BY_FILE] = Field(
        (defaults.LMSTUDIO_BASE_URL,), min_length=1, description="LM Studio, one or more servers"
    )
    api_token: Annotated[Secret | None, _BY_FILE] = Field(
        None,
        description="API token of LM Studio, 0.4 or later; one for each address, in their order, "
        "separated by commas",
    )
    ca_file: FilePath | None = Field(None, description="CA certificates (PEM) for https")
    certificate_sha256: str | None = Field(
        None, description="SHA-256 fingerprint of a self-signed certificate to trust"
    )
    network_timeout_ms: Annotated[int, _EVERYWHERE] = Field(
        30_000,
        ge=1_000,
        le=600_000,
        description="Longest connecting, and longest silence between tokens, in milliseconds",
    )
    # Loading 50 to 65 GB, and a cold prompt of 16k tokens at 300 tokens/s.
    first_token_timeout_s: Annotated[float, _EVERYWHERE] = Field(
        180.0,
        ge=5,
        le=3600,
        description="Least patience for the first token, in seconds; grows with the prompt",
    )
    # Far over the longest useful answer, under an hour of a stuck slot.
    total_timeout_s: Annotated[float, _EVERYWHERE] = Field(
        900.0, ge=30, le=7200, description="Hard cap of one answer, in seconds"
    )
    health_interval_s: float = Field(
        15.0,
        ge=1,
        le=600,
        description="Time between looks at a server, in seconds",
    )
    retry_attempts: Annotated[int, _EVERYWHERE] = Field(
        3, ge=0, le=10, description="Retries of a question, before anything was shown"
    )
    # LM Studio that restarts is back within this.
    retry_budget_s: Annotated[float, _EVERYWHERE] = Field(
        60.0,
        ge=0,
        le=600,
        description="Time that all retries of a question may take, in seconds",
    )
    fallback_model: Annotated[ModelKey | None, Live("global", "model")] = Field(
        None, description="Model to use when the first can't be loaded"
    )
    allowed_models: tuple[str, ...] = Field(
        (), description="Models that every server (guild) may choose, also when that loads them"
    )

    allowed_networks: Annotated[
        tuple[Annotated[str, AfterValidator(addresses.network)], ...], _BY_FILE
    ] = Field(
        (),
        description="Networks in which owners may add a server by /model endpoint, such as 192.168.1.0/24",
    )
    memory_gib: Annotated[float | None, _EVERYWHERE] = Field(
        None,
        ge=1,
        le=16_384,
        description="Memory that a machine has for models, in GiB; tells which of them fit",
        examples=[16, 96],
    )
    wake: Annotated[
        tuple[Annotated[addresses.WakeTarget, PlainValidator(_wake)], ...], _BY_FILE
    ] = Field(
        (),
        description="MAC address of each machine that may sleep, in the order of the addresses; none for one "
        "that never does; MAC@192.168.1.255 sends the packet there",
    )

    extra_copies: int = Field(
        0,
        ge=0,
        le=8,
        description="Further copies of a loaded model that are loaded while the line is longer than a minute, as "
        "far as memory_gib has room, and unloaded when nobody needs them",
    )
    unload_after_s: float | None = Field(
        None,
        ge=60,
        le=604_800,
        description="Time without a question after which all models are unloaded, in seconds; never when unset",
    )
    suspend_after_s: float | None = Field(
        None,
        ge=60,
        le=604_800,
        description="Time without a question after which the command below is run once, in seconds; never when "
        "unset",
    )
    suspend_command: tuple[str, ...] = Field(
        (),
        description="Program and arguments that suspend the model's machine, such as "
        "ssh, llm, systemctl suspend; no shell reads them",
    )

    @property
    def api_tokens(self) -> tuple[str, ...]:
        """The token of each address, in the order of ``base_url``; empty or missing for none."""
        if self.api_token is None:
            return ()
        text = self.api_token.get_secret_value()
        if len(self.base_url) == 1:
            return (text,)
        return tuple(part.strip() for part in text.split(","))

    @model_validator(mode="after")
    def _has_an_address_for_each(self) -> Self:
        if len(self.api_tokens) > len(self.base_url):
            raise ValueError("LMSTUDIO_API_TOKEN has more tokens than LMSTUDIO_BASE_URL addresses")
        if (self.suspend_after_s is None) != (not self.suspend_command):
            raise ValueError(
                "CLAWBOT_LMSTUDIO__SUSPEND_AFTER_S and CLAWBOT_LMSTUDIO__SUSPEND_COMMAND need each other"
            )
        if any(" " in word.strip() for word in self.suspend_command[:1]):
            raise ValueError(
                "CLAWBOT_LMSTUDIO__SUSPEND_COMMAND must be a program and its arguments with commas between "
                "them, such as ssh, llm, systemctl suspend"
            )
        if self.extra_copies and self.memory_gib is None:
            raise ValueError(
                "CLAWBOT_LMSTUDIO__EXTRA_COPIES needs CLAWBOT_LMSTUDIO__MEMORY_GIB, which bounds them"
            )
        if len(self.wake) > len(self.base_url):
            raise ValueError(
                "CLAWBOT_LMSTUDIO__WAKE names more machines than LMSTUDIO_BASE_URL addresses"
            )
        return self


class ChatDefaults(Section):
    """What holds where no guild or channel has its own value."""

    model: Annotated[ModelKey | None, Live("channel", "model")] = Field(
        None,
        max_length=200,
        description="Model key; the loaded one if unset",
        examples=["qwen/qwen3-8b"],
    )
    temperature: Annotated[float, _PER_CHANNEL] = Field(
        0.7, ge=0, le=2, description="Sampling temperature", examples=[0.7, 0, 0.3, 1]
    )
    top_p: Annotated[float, _PER_CHANNEL] = Field(
        0.95, gt=0, le=1, description="Nucleus sampling (top-p)"
    )
    max_tokens: Annotated[int, _PER_CHANNEL] = Field(
        2048, ge=1, le=131_072, description="Longest answer, in tokens"
    )
    system_prompt: Annotated[str, AfterValidator(_plain), _PER_CHANNEL] = Field(
        defaults.SYSTEM_PROMPT,
        max_length=defaults.SYSTEM_PROMPT_CHARS,
        description="Persona: the text every prompt begins with",
        examples=["You are a patient tutor."],
    )
    language: Annotated[Language | None, _PER_CHANNEL] = Field(
        None,
        max_length=40,
        description="Language that I answer in; the question's own if unset",
        examples=["English", "Deutsch", "Français", "Español", "Português", "Italiano", "日本語"],
    )
    reasoning: Annotated[Literal["auto", "off", "on", "low", "medium", "high"], _PER_CHANNEL] = (
        Field("auto", description="How much the model may think")
    )
    show_footer: Annotated[bool, _PER_CHANNEL] = Field(
        False, description="A quiet line with model and speed below each answer"
    )
    answer_to: Annotated[Literal["mention", "every_message", "never"], _PER_CHANNEL] = Field(
        "mention",
        description="Which messages I answer; of every message those that are for others are left out",
    )
    answer_in: Annotated[Literal["here", "thread"], _PER_CHANNEL] = Field(
        "here", description="Where I answer a mention: in place, or in a thread of its own"
    )
    waiting_mark: Annotated[bool, _PER_CHANNEL] = Field(
        False, description="Put 👀 on a question until its answer begins"
    )
    summaries: Annotated[Literal["off", "auto"], _PER_CHANNEL] = Field(
        "auto",
        description="Sum up, while nobody asks, what will fall out of a long conversation",
    )


class ContextSettings(Section):
    """How much of a conversation the model is given."""

    max_messages: Annotated[int, _EVERYWHERE] = Field(
        400, ge=2, le=2000, description="Longest reply chain that is read, in messages"
    )
    max_images: Annotated[int, _EVERYWHERE] = Field(
        4, ge=0, le=10, description="Images per request"
    )
    max_text_file_bytes: Annotated[int, _EVERYWHERE] = Field(
        262_144, ge=0, le=4_194_304, description="Longest text file that is read, in bytes"
    )
    max_image_bytes: Annotated[int, _EVERYWHERE] = Field(
        4_194_304, ge=0, le=26_214_400, description="Largest image or PDF that is read, in bytes"
    )
    fallback_context_tokens: Annotated[int, _EVERYWHERE] = Field(
        4096,
        ge=512,
        le=1_048_576,
        description="Context length, in tokens, when the server doesn't say",
    )
    cache_messages: int = Field(1000, ge=0, le=50_000, description="Messages kept in memory")
    warm_ahead: Annotated[bool, _EVERYWHERE] = Field(
        True,
        description="While nobody asks, get to know a newly loaded model, and read what it will be asked",
    )


class QueueSettings(Section):
    """The line of questions."""

    slots: Annotated[int | None, _EVERYWHERE] = Field(
        None, ge=1, le=64, description="Answers at the same time; what LM Studio allows when unset"
    )
    max_waiting: Annotated[int, _EVERYWHERE] = Field(
        256, ge=1, le=10_000, description="Most questions waiting in all"
    )
    max_waiting_channel: Annotated[int, _EVERYWHERE] = Field(
        64, ge=1, le=1_000, description="Most questions waiting per channel"
    )
    max_waiting_person: Annotated[int, _EVERYWHERE] = Field(
        10, ge=1, le=1_000, description="Most questions waiting per person"
    )
    per_person_per_minute: Annotated[float, _EVERYWHERE] = Field(
        30, gt=0, le=1_000, description="Questions per person and minute"
    )
    per_guild_per_minute: Annotated[float, _EVERYWHERE] = Field(
        240, gt=0, le=10_000, description="Questions per server (guild) and minute"
    )
    burst_window_s: Annotated[float, _EVERYWHERE] = Field(
        2.0,
        ge=0,
        le=30,
        description="Messages of one person within this many seconds become one question",
    )
    hold_s: Annotated[float, _EVERYWHERE] = Field(
        1800,
        ge=0,
        le=86_400,
        description="How long to hold questions while the model is down, in seconds",
    )
    shutdown_grace_s: float = Field(
        6.0,
        ge=0,
        le=300,
        description="Time for running answers when the bot is stopped, in seconds",
    )
    stale_after_s: Annotated[float, _EVERYWHERE] = Field(
        3600,
        ge=0,
        le=604_800,
        description="Missed mentions older than this many seconds are declined",
    )


class DeliverySettings(Section):
    """How answers appear in Discord."""

    # Discord's buckets are 5 per 5 s, observed.
    writes_per_5_s: int = Field(
        4, ge=1, le=5, description="Posts and edits per channel in 5 seconds"
    )
    stage_after_s: Annotated[float, _EVERYWHERE] = Field(
        2.0,
        ge=0,
        le=60,
        description="Show what is going on when the first word takes longer, in seconds",
    )
    max_messages: Annotated[int, _EVERYWHERE] = Field(
        6, ge=1, le=20, description="Messages per answer; a longer one comes as a file"
    )
    allow_invites: bool = Field(False, description="Leave Discord invites in answers")


class StoreSettings(Section):
    """Where things are kept."""

    data_dir: FilePath = Field(Path("data"), description="Folder of the database")
    database_url: Annotated[str, AfterValidator(addresses.database_address)] | None = Field(
        None, repr=False, description="SQLAlchemy URL; SQLite in the folder if unset"
    )
    retention_days: int = Field(
        30, ge=1, le=3650, description="How long ended questions are kept, in days"
    )
    max_mib: int = Field(
        1024,
        ge=32,
        le=1_048_576,
        description="Most that stored questions take, in MiB; the oldest of who has most go first",
    )
    max_guild_mib: int = Field(
        256,
        ge=1,
        le=1_048_576,
        description="Most that a server's (guild's) stored questions take, in MiB",
    )
    max_person_mib: int = Field(
        32,  # an ordinary question with its answer's thinking takes 2 to 10 KiB
        ge=1,
        le=1_048_576,
        description="Most that a person's stored questions take, in MiB",
    )
    left_server_days: int = Field(
        14,
        ge=0,
        le=3650,
        description="How long a server's data is kept once the bot was removed from it, in days",
    )
    reserve_mib: int = Field(
        256,
        ge=0,
        le=1_048_576,
        description="Room to leave on the disk, in MiB; with less, old questions are deleted",
    )


class LoggingSettings(Section):
    """The log."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="What is logged: this level and above"
    )
    json_lines: bool = Field(False, description="Log one JSON object a line")
    file: FilePath | None = Field(
        None, description="File that the log is written to as well; none when unset"
    )
    file_mib: int = Field(
        10,
        ge=1,
        le=1024,
        description="Size at which the log's file is put aside and a new one begun, in MiB",
    )
    file_count: int = Field(
        5, ge=2, le=100, description="How many log files are kept, the oldest go"
    )


class MetricsSettings(Section):
    """The address of /metrics, /healthz and /readyz."""

    addr: Annotated[str, AfterValidator(addresses.listen_address)] | None = Field(
        None, description="host:port of /metrics, /healthz and /readyz; off when unset"
    )


class Settings(Section):
    """Everything, resolved and checked."""

    discord: DiscordSettings = DiscordSettings()
    lmstudio: LMStudioSettings = LMStudioSettings()
    chat: ChatDefaults = ChatDefaults()
    context: ContextSettings = ContextSettings()
    queue: QueueSettings = QueueSettings()
    delivery: DeliverySettings = DeliverySettings()
    store: StoreSettings = StoreSettings()
    logging: LoggingSettings = LoggingSettings()
    metrics: MetricsSettings = MetricsSettings()


class LiveSettings:
    """The settings in force: what the operator wrote, with what owners set by command over it.

    Args:
        settings: What the operator wrote.

    Attributes:
        base: What the operator wrote.
        view: What is in force whenever it is looked at; give this, or a section of it, to whatever stays.
    """

    def __init__(self, settings: Settings) -> None:
        self.base = settings
        self.view = settings.model_copy(deep=True)

    def put_in_force(self, settings: Settings) -> None:
        """Have the view, whose sections others keep, show these."""
        for name in Settings.model_fields:
            vars(getattr(self.view, name)).update(vars(getattr(settings, name)))
