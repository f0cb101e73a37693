"""Settings from the environment and `.env`; every wrong one is named before anything starts."""

import ipaddress
import os
import re
import sys
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.environment import DEFAULT_PORT, NOT_SETTINGS
from shared.errors import ConfigError
from shared.lora import Loras
from shared.wire.memory import MemoryMode
from shared.wire.turn_request import Thinking

_CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
_REDIS_SCHEMES = ("redis", "rediss", "unix", "sentinel", "sentinels", *_CLUSTER_SCHEMES)
_PREFIX = "PALAVER_"
DEFAULT_WINDOW = 3500
"""Tokens."""
_SMALLEST_WINDOW = 64
_LONGEST_S = 86400 * 3650
MOST_CELLS = 256
"""Their number in a job's id has two hex digits."""
_NEXT_URL = re.compile(r",(?=[a-z+]+://)")
"""What separates servers: the nodes or Sentinels of one server are also separated by commas."""
_CONTEXT_VARIABLE = "PALAVER_DEFAULT_CONTEXT"


def _names(value: object) -> object:
    """A comma-separated list as a tuple of trimmed, non-empty strings."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _host(text: str) -> str:
    """A host's name as requests are compared with it: without port, brackets and trailing dot."""
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?", text.lower())
    if match is None:
        raise ValueError(f"{text!r}: allowed are host names such as chat.example or [fd00::1]")
    return match[1].strip("[]").removesuffix(".")


def _origin(text: str) -> str:
    """An origin as browsers write it."""
    origin = text.lower().removesuffix("/")
    if not re.fullmatch(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?", origin):
        raise ValueError(f"{text!r}: allowed are origins such as https://chat.example:8443")
    return origin


HostNames = Annotated[
    tuple[Annotated[str, AfterValidator(_host)], ...], NoDecode, BeforeValidator(_names)
]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_names)
]
LogFormat = Literal["auto", "human", "json"]
SecondsOrNone = Annotated[float, Field(ge=0, le=_LONGEST_S, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=_LONGEST_S, allow_inf_nan=False)]


def _env(
    name: str,
    default: Any,
    description: str,
    *,
    unit: Literal["s", "bytes", "tokens"] | None = None,
    shown: str | None = None,
    **constraints: Any,
) -> Any:
    """A setting. What a person reads of it is in docs/configuration.md, made by `make docs`.

    Args:
        description: Markdown, in sentences.
        unit: of the value.
        shown: what the default means, where the value does not say so.
    """
    return Field(
        default,
        validation_alias=AliasChoices(name),
        description=description,
        json_schema_extra={"unit": unit, "shown": shown},
        **constraints,
    )


def _seconds(name: str, default: float | None, description: str, **options: Any) -> Any:
    return _env(name, default, description, unit="s", **options)


class Settings(BaseSettings):
    """All settings, in the order and with the descriptions of docs/configuration.md."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    port: int = _env("PORT", DEFAULT_PORT, "The API's port.", ge=1, le=65535)
    host: str = _env(
        "HOST",
        "127.0.0.1",
        "The API's address; not loopback only with API keys or `PALAVER_ALLOW_OPEN=1`.",
        min_length=1,
    )

    redis_url: str | None = _env(
        "REDIS_URL",
        None,
        "A Redis or Valkey server: `redis://`, `rediss://`, `unix://` or `sentinel(s)://`; or "
        "[a cluster](deploy.md#a-cluster): `redis(s)+cluster://`. Several, separated by commas, "
        "share the [cells](scaling.md#cells).",
        shown="embedded Valkey",
    )
    cells: int = _env(
        "PALAVER_CELLS",
        1,
        "Parts of the namespace, [cells](scaling.md#cells), which may be on different servers. It "
        "is chosen with the namespace and never changed.",
        ge=1,
        le=MOST_CELLS,
    )
    cells_per_worker: int = _env(
        "PALAVER_CELLS_PER_WORKER",
        0,
        "Cells that a worker takes turns from: those with the fewest workers when it starts. `0`: "
        "all.",
        ge=0,
        le=MOST_CELLS,
    )
    replicas: int = _env(
        "PALAVER_REPLICAS",
        0,
        "[Replicas](durability.md) of the Redis server that must have a "
        "prompt before it counts as accepted, and the end of its turn before anybody is told.",
        ge=0,
        le=16,
    )
    fsync: Literal["everysec", "always"] = _env(
        "PALAVER_FSYNC",
        "everysec",
        "When the embedded server writes to the disk: `everysec`, so that a machine that crashes "
        "loses a second at most, or `always`, before it answers.",
    )
    namespace: str = _env(
        "PALAVER_NAMESPACE",
        "palaver",
        "Prefix of every key, so that several installations can share a database.",
        pattern=r"^[A-Za-z0-9_.-]{1,32}$",
    )
    data_dir: Path = _env(
        "PALAVER_DATA_DIR",
        Path("data"),
        "Folder for the embedded server's data and converted models.",
    )

    model_path: Path | None = _env(
        "PALAVER_MODEL_PATH", None, "The model, a GGUF file.", shown="bundled SmolLM2-135M"
    )
    model_name: str | None = _env(
        "PALAVER_MODEL_NAME",
        None,
        "What the model is called in answers and lists.",
        shown="the file's name",
        max_length=200,
    )
    default_model: str | None = _env(
        "PALAVER_DEFAULT_MODEL",
        None,
        "Which model replies to prompts that name none, where workers run several.",
        shown="the one that was there first",
        max_length=200,
    )
    chat_template: Path | None = _env(
        "PALAVER_CHAT_TEMPLATE",
        None,
        "A Jinja file that replaces the model's chat template.",
        shown="the model's own",
    )
    context_length: int = _env(
        "PALAVER_CONTEXT_LENGTH",
        DEFAULT_WINDOW,
        "The window: prompt and reply together. `0` is the longest that the model was trained for "
        "or its file can stretch it to; more than that is never used. The same for all workers "
        "of a model.",
        unit="tokens",
        ge=0,
        le=10_000_000,
    )
    trim_to: float = _env(
        "PALAVER_TRIM_TO",
        0.6,
        "A full window is trimmed, oldest turns first, until this share of it is used.",
        gt=0,
        le=1,
    )
    memory: MemoryMode = _env(
        "PALAVER_MEMORY",
        "fifo",
        "What becomes of turns that leave the window, unless request or conversation say: `fifo`: "
        "the model does not see them any more; `summary`: it is shown "
        "[a summary, and quotes](memory.md) of what the prompt speaks of.",
    )
    recall_tokens: int | None = _env(
        "PALAVER_RECALL_TOKENS",
        None,
        "Tokens of a prompt that may be quotes of earlier turns; `0`: none.",
        unit="tokens",
        shown="an eighth of the window",
        ge=0,
        le=1_000_000,
    )
    summary_tokens: int | None = _env(
        "PALAVER_SUMMARY_TOKENS",
        None,
        "Tokens of the running summary of turns that have left the window; `0`: none is made.",
        unit="tokens",
        shown="a tenth of the window",
        ge=0,
        le=1_000_000,
    )
    max_tokens: int = _env(
        "PALAVER_MAX_TOKENS",
        512,
        "Longest reply, unless the request sets `max_tokens`: up to eight times this, and at most "
        "the window.",
        unit="tokens",
        ge=1,
        le=1_000_000,
    )
    temperature: float | None = _env(
        "PALAVER_TEMPERATURE",
        None,
        "`temperature` of requests without one.",
        shown="what the model's file recommends, or `0.8`",
        ge=0,
        le=2,
    )
    top_p: float | None = _env(
        "PALAVER_TOP_P",
        None,
        "`top_p` of requests without one.",
        shown="what the model's file recommends, or `0.95`",
        ge=0,
        le=1,
    )
    top_k: int | None = _env(
        "PALAVER_TOP_K",
        None,
        "`top_k` of requests without one.",
        shown="what the model's file recommends, or `40`",
        ge=0,
        le=2**31 - 1,
    )
    min_p: float | None = _env(
        "PALAVER_MIN_P",
        None,
        "`min_p` of requests without one.",
        shown="what the model's file recommends, or `0.05`",
        ge=0,
        le=1,
    )
    repeat_penalty: float | None = _env(
        "PALAVER_REPEAT_PENALTY",
        None,
        "`repeat_penalty` of requests without one.",
        shown="what the model's file recommends, or `1`",
        gt=0,
        le=2,
    )
    reasoning: Thinking = _env(
        "PALAVER_REASONING",
        "auto",
        "How much a reasoning model thinks, unless the request says: `auto` is the model's own "
        "way, `off`, `low`, `medium` and `high` work as far as its chat template can be told.",
    )
    reasoning_tokens: int = _env(
        "PALAVER_REASONING_TOKENS",
        2048,
        "Longest thought, and at most half of what is left of the window; then the model has to "
        "answer. It does not count as reply, unless the request sets `max_tokens`.",
        unit="tokens",
        ge=1,
        le=1_000_000,
    )
    default_context: str = _env(
        _CONTEXT_VARIABLE,
        "You are a helpful, concise assistant.",
        "Instructions for conversations that are started without any. Empty: none.",
    )
    loras: Loras = _env(
        "PALAVER_LORA",
        (),
        "Comma-separated LoRA files (GGUF) that the model is loaded with, each with a scale if it "
        "is not 1: `style.gguf,law.gguf:0.5`.",
        shown="none",
    )
    slots: int = _env(
        "PALAVER_SLOTS",
        8,
        "Conversations that a worker decodes at the same time. Unless it is set, fewer [if 8 do "
        "not fit](models.md#it-does-not-fit) into memory.",
        ge=1,
        le=256,
    )
    gpu_layers: int = _env(
        "PALAVER_GPU_LAYERS",
        -1,
        "Layers on the GPU, if there is one. `-1`: all. Unless it is set, fewer [if all do not "
        "fit](models.md#it-does-not-fit).",
        ge=-1,
    )
    split: Literal["none", "layer", "row"] = _env(
        "PALAVER_SPLIT",
        "none",
        "Where there are several GPUs. `none`: worker n has the whole model on GPU n. `layer`: "
        "each worker spreads its layers over all GPUs. `row`: each layer is spread, where "
        "llama.cpp's build for these GPUs can.",
    )
    cpu_moe: int = _env(
        "PALAVER_CPU_MOE",
        0,
        "Of a mixture of experts, in how many of the first layers the experts stay in host memory "
        "and on the CPU. `-1`: in all.",
        ge=-1,
    )
    kv_type: Literal["f16", "q8_0"] = _env(
        "PALAVER_KV_TYPE",
        "f16",
        "Numbers in the KV cache. `q8_0` takes 53% of the memory of `f16`, and needs flash "
        "attention.",
    )
    flash_attention: Literal["auto", "on", "off"] = _env(
        "PALAVER_FLASH_ATTENTION",
        "auto",
        "`auto`: where a GPU supports it, and wherever `PALAVER_KV_TYPE` needs it; otherwise it is "
        "off on CPUs, where it is slower.",
    )
    speculation: Literal["auto", "off"] = _env(
        "PALAVER_SPECULATION",
        "auto",
        "`auto`: while one or two replies are written, what followed when their newest words last "
        "appeared in the conversation is evaluated with them, where that pays. It changes no "
        "reply's probabilities.",
    )
    draft_model_path: Path | None = _env(
        "PALAVER_DRAFT_MODEL_PATH",
        None,
        "A smaller model (GGUF) with the same vocabulary, which drafts where the conversation "
        "itself has nothing to offer ([speculation](models.md#drafts)).",
        shown="none",
    )
    load_mode: Literal["auto", "none", "mmap", "mlock", "mmap+mlock"] = _env(
        "PALAVER_LOAD_MODE",
        "auto",
        "How weights come into host memory. `mmap`: workers share the file's pages. `none`: each "
        "worker reads a copy of its own. With `mlock` they are never swapped out. `auto`: `mmap` "
        "where the devices support it.",
    )
    threads: int | None = _env(
        "PALAVER_THREADS",
        None,
        "CPU threads of each worker.",
        shown="cores divided by workers",
        ge=1,
        le=1024,
    )
    convert: Literal["auto", "off"] = _env(
        "PALAVER_CONVERT",
        "auto",
        "`auto`: weights for which llama.cpp has no fast CPU kernels are converted once. `off`: "
        "they are used as they are, however slow.",
    )
    park_bytes: int | None = _env(
        "PALAVER_PARK_BYTES",
        None,
        "Host memory of each worker for the KV caches of idle conversations, at most. `0`: none.",
        unit="bytes",
        shown="a quarter of what is free beside the model at the start, divided by workers, and at "
        "least 128 MiB",
        ge=0,
    )

    sync_timeout: Seconds = _seconds(
        "PALAVER_SYNC_TIMEOUT",
        120.0,
        "How long `POST /` waits for a reply before it returns `202`.",
    )
    job_timeout: Seconds = _seconds(
        "PALAVER_JOB_TIMEOUT", 600.0, "Longest time from acceptance to reply."
    )
    first_token_alert: Seconds = _seconds(
        "PALAVER_FIRST_TOKEN_ALERT",
        10.0,
        "`/ops` reports it if 5 % of first tokens take longer.",
    )
    queue_limit: int = _env("PALAVER_QUEUE_LIMIT", 1000, "Unfinished turns in total.", ge=1)
    pending_turns: int = _env(
        "PALAVER_PENDING_TURNS", 8, "Unfinished turns per conversation.", ge=1, le=1000
    )
    max_attempts: int = _env(
        "PALAVER_MAX_ATTEMPTS",
        3,
        "Workers that may die while running a turn before the turn fails.",
        ge=1,
        le=100,
    )
    max_body_bytes: int = _env(
        "PALAVER_MAX_BODY_BYTES", 1 << 20, "Longest request body.", unit="bytes", ge=1024
    )

    job_ttl: Seconds = _seconds("PALAVER_JOB_TTL", 86400.0, "How long a finished job is kept.")
    events_ttl: Seconds = _seconds(
        "PALAVER_EVENTS_TTL", 300.0, "How long a finished job's events are kept."
    )
    conversation_ttl: SecondsOrNone = _seconds(
        "PALAVER_CONVERSATION_TTL",
        0.0,
        "How long a conversation is kept after its last turn. `0`: for ever.",
    )
    history_limit: int = _env(
        "PALAVER_HISTORY_LIMIT",
        0,
        "Messages kept per conversation, and always those in the window. `0`: no limit.",
        ge=0,
    )
    alternatives: int = _env(
        "PALAVER_ALTERNATIVES",
        8,
        "Tails of a conversation that are kept when `replace_from` replaces them; the oldest "
        "are dropped. `0`: none.",
        ge=0,
        le=100,
    )
    lease: Seconds = _seconds(
        "PALAVER_LEASE",
        30.0,
        "A worker that has not been heard from for this long loses its turns to others.",
    )
    heartbeat_setting: Seconds | None = _seconds(
        "PALAVER_HEARTBEAT",
        None,
        "Time between a worker's heartbeats; at most half the lease.",
        shown="a third of the lease",
    )
    affinity_wait: SecondsOrNone = _seconds(
        "PALAVER_AFFINITY_WAIT",
        10.0,
        "Longest time that a turn waits for the busy worker whose cache has its conversation: "
        "four times what that saves, and no longer than this. `0`: any worker may start it at "
        "once.",
    )
    grace: SecondsOrNone = _seconds(
        "PALAVER_GRACE",
        30.0,
        "After SIGTERM, how long running turns may take to finish before they are handed over. "
        "`palaver serve` and `make run` set it to 0, unless it is set.",
    )

    api_keys_file: Path | None = _env(
        "PALAVER_API_KEYS_FILE",
        None,
        "The file of API keys, managed with `palaver keys`. Without it no key is needed.",
        shown="none",
    )
    allow_open: bool = _env(
        "PALAVER_ALLOW_OPEN",
        False,
        "`1`: without API keys, serve everybody, on any address and behind a proxy.",
        shown="`0`",
    )
    open_list_setting: bool | None = _env(
        "PALAVER_OPEN_LIST",
        None,
        "Without API keys, whether `GET /conversations` lists all conversations (`1`), or none "
        "(`0`).",
        shown="`1` if `HOST` is loopback and `PALAVER_ALLOW_OPEN` is not set",
    )
    sharing: bool = _env(
        "PALAVER_SHARING",
        False,
        "`1`: owners can make links under which everybody can read a conversation.",
        shown="`0`",
    )
    allowed_hosts: HostNames = _env(
        "PALAVER_ALLOWED_HOSTS",
        (),
        "Comma-separated host names under which the server may be addressed, besides loopback "
        "names and, if `HOST` is not loopback, IP addresses.",
        shown="none",
    )
    allowed_origins: Origins = _env(
        "PALAVER_ALLOWED_ORIGINS",
        (),
        "Comma-separated origins of other web pages that may use the API.",
        shown="none",
    )

    log_level: Literal["debug", "info", "warning", "error"] = _env(
        "PALAVER_LOG_LEVEL", "info", "`debug`, `info`, `warning` or `error`."
    )
    log_format: LogFormat = _env(
        "PALAVER_LOG_FORMAT",
        "auto",
        "`human`, `json`, or `auto`: JSON unless standard output is a terminal.",
    )

    _cell: int | None = PrivateAttr(default=None)

    def of_cell(self, number: int) -> "Settings":
        """What is set for one of several cells: its server, its names, its share of the limits."""
        urls = self.redis_urls
        changes = {
            "redis_url": urls[number % len(urls)] if urls else None,
            "queue_limit": -(-self.queue_limit // self.cells),
        }
        settings = self.model_copy(update=changes)
        settings._cell = number
        return settings

    @cached_property
    def heartbeat(self) -> float:
        """Seconds between a worker's heartbeats; a third of the lease unless set."""
        return self.heartbeat_setting or self.lease / 3

    @property
    def open_list(self) -> bool:
        """Whether everybody may list all conversations where there are no API keys."""
        if self.open_list_setting is not None:
            return self.open_list_setting
        return self.is_local

    @property
    def is_local(self) -> bool:
        """Whether only this machine's users reach the server."""
        return is_loopback(self.host) and not self.allow_open

    @property
    def shows_turns(self) -> bool:
        """Whether everybody is an operator where there are no API keys.

        Who sees turns sees ids of conversations: nobody may where the list of them is turned off.
        """
        return self.is_local and self.open_list

    @property
    def redis_urls(self) -> tuple[str, ...]:
        """The servers of `REDIS_URL`; none for the embedded one."""
        return () if self.redis_url is None else tuple(_NEXT_URL.split(self.redis_url))

    @property
    def is_on_cluster(self) -> bool:
        """Whether the data are on a Redis Cluster."""
        return any(_scheme(url) in _CLUSTER_SCHEMES for url in self.redis_urls)

    @property
    def keyspace(self) -> str:
        """What all names in Redis begin with; a hash tag where one slot has to have them all."""
        if self._cell is not None:
            return f"{{{self.namespace}:{self._cell}}}"
        return f"{{{self.namespace}}}" if self.is_on_cluster else self.namespace

    @property
    def window(self) -> int:
        """Tokens of the window; with context length 0, only workers know the real one."""
        return self.context_length or DEFAULT_WINDOW

    @property
    def max_tokens_limit(self) -> int:
        """The largest `max_tokens` that a request may set."""
        limit = self.max_tokens * 8
        return min(limit, self.context_length) if self.context_length else limit

    @model_validator(mode="after")
    def _check_together(self) -> "Settings":
        urls = self.redis_urls
        if any(_scheme(url) not in _REDIS_SCHEMES for url in urls):
            raise ValueError(
                f"REDIS_URL: allowed are {', '.join(s + '://' for s in _REDIS_SCHEMES)}"
            )
        if len(urls) > self.cells:
            raise ValueError(
                f"PALAVER_CELLS={self.cells}: REDIS_URL names {len(urls)} servers, each of which "
                "needs a cell"
            )
        if 0 < self.context_length < _SMALLEST_WINDOW:
            raise ValueError(
                f"PALAVER_CONTEXT_LENGTH={self.context_length}: allowed are 0 (the model's own) "
                f"and {_SMALLEST_WINDOW} or more"
            )
        if self.heartbeat > self.lease / 2:
            raise ValueError(
                f"PALAVER_HEARTBEAT={self.heartbeat:g}: allowed is at most half of "
                f"PALAVER_LEASE={self.lease:g}"
            )
        if self.kv_type != "f16" and self.flash_attention == "off":
            raise ValueError(
                f"PALAVER_KV_TYPE={self.kv_type}: needs flash attention; PALAVER_FLASH_ATTENTION "
                "may be auto or on"
            )
        for name, path in (
            ("PALAVER_MODEL_PATH", self.model_path),
            ("PALAVER_DRAFT_MODEL_PATH", self.draft_model_path),
            ("PALAVER_CHAT_TEMPLATE", self.chat_template),
            *(("PALAVER_LORA", lora.path) for lora in self.loras),
        ):
            if path is not None and not path.is_file():
                raise ValueError(f"{name}={path}: there is no such file")
        return self


def _scheme(url: str) -> str | None:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return None


def load_settings(**overrides: Any) -> Settings:
    """Read the settings.

    `overrides` replace environment variables by name (`PORT=8080`).

    Raises:
        ConfigError: one line for each wrong setting: name, value, what is allowed.
    """
    try:
        if _is_set_empty(_CONTEXT_VARIABLE):
            # For other settings empty means "not set"; here it means no instructions.
            overrides.setdefault(_CONTEXT_VARIABLE, "")
        settings = Settings(**overrides)
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(item) for item in error.errors())) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f".env is not UTF-8: {error}") from None
    for name in unknown_settings():
        print(f"palaver: warning: there is no setting {name}", file=sys.stderr)
    return settings


def _is_set_empty(name: str) -> bool:
    """Whether the environment, or else `.env`, gives a variable no text."""
    value = os.environ[name] if name in os.environ else dotenv_values(".env").get(name)
    return value is not None and not value.strip()


def unknown_settings() -> list[str]:
    """Names in the environment or `.env` that look like settings and are not: misspelt ones."""
    known = {
        str(choice)
        for field in Settings.model_fields.values()
        if isinstance(field.validation_alias, AliasChoices)
        for choice in field.validation_alias.choices
    }
    known |= NOT_SETTINGS
    named = {*os.environ, *dotenv_values(".env")}
    return sorted(name for name in named if name.startswith(_PREFIX) and name not in known)


def _describe(item: Any) -> str:
    if not item["loc"]:
        return str(item["msg"]).removeprefix("Value error, ")
    name = item["loc"][0]
    return f"{name}={item['input']}: {item['msg']}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address (`HOST`)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
