"""Settings of a server: environment over a toml file over defaults."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import platformdirs

from funcledger_schemas.limits import (
    BACKLOG_BYTES,
    BACKLOG_TASKS,
    BODIES,
    BODIES_PER_PRINCIPAL,
    BODY_LIMIT,
    CONNECTIONS,
    CONNECTIONS_PER_ADDRESS,
    OPEN_WAITS,
    REQUEST_BURST,
    REQUEST_RATE,
)

PREFIX = "FUNCLEDGER_"
#: More workers than any machine has use for.
MOST_WORKERS = 4096
#: The least that a limit may be.
_LEAST = {
    "request_burst": 1,
    "open_waits": 1,
    "backlog_tasks": 1,
    "backlog_bytes": 1,
    "connections": 1,
    "connections_per_address": 1,
    "bodies": BODY_LIMIT,
    "bodies_per_user": BODY_LIMIT,
}


class SettingsError(Exception):
    """Raised when a setting cannot be used; the message names it and where it came from."""


class Secret:
    """A text that shows itself to nobody who does not ask."""

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret()"


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a server may be told. Each field is ``FUNCLEDGER_<NAME>`` in the environment."""

    #: Where everything is kept that must survive.
    data_dir: Path
    #: The address to listen on; anything but loopback is for those who put TLS in front.
    host: str = "127.0.0.1"
    #: The port to listen on; 0 picks a free one.
    port: int = 8642
    #: Further names the server may be addressed by (Host header), comma-separated in the environment.
    allowed_hosts: tuple[str, ...] = ()
    #: Worker processes of the local endpoint; by default one for each processor core.
    workers: int = 0
    #: Partitions of tasks and results when the log is first made.
    partitions: int = 16
    #: debug, info, warning or error.
    log_level: str = "info"
    #: How the process logs: text, or json (one object a line, with the ids of task and trace).
    log_format: Literal["text", "json"] = "text"
    #: Where events are kept: sqlite (in the data directory) or kafka.
    log: Literal["sqlite", "kafka"] = "sqlite"
    #: Where read models are kept: sqlite (in the data directory) or mongo.
    read_models: Literal["sqlite", "mongo"] = "sqlite"
    #: Brokers to begin with, as host:port, comma-separated.
    kafka_bootstrap: str = "127.0.0.1:9092"
    #: What names of topics and consumer groups in the cluster begin with.
    kafka_topic_prefix: str = "funcledger."
    #: Copies of each partition of new topics, all but one of which must be in sync for an append; by default
    #: as many as there are brokers, three at most.
    kafka_replication: int | None = None
    #: As librdkafka knows them: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; PLAIN, SCRAM-SHA-512 ...
    kafka_security_protocol: str = ""
    kafka_sasl_mechanism: str = ""
    kafka_sasl_username: str = ""
    kafka_sasl_password: Secret = Secret()
    kafka_ssl_ca_location: str = ""
    kafka_ssl_certificate_location: str = ""
    kafka_ssl_key_location: str = ""
    kafka_ssl_key_password: Secret = Secret()
    #: mongodb:// address, with account and password where one is needed.
    mongo_uri: Secret = Secret("mongodb://127.0.0.1:27017/")
    mongo_database: str = "funcledger"
    #: An external schema registry with Confluent's API; records carry its ids. May hold an account.
    schema_registry_url: Secret = Secret()
    #: A private file of users and their tokens; see docs/production.md.
    tokens_file: Path | None = None
    #: The same as text: name=SHA-256 of the token, comma-separated.
    tokens: Secret = Secret()
    #: Seconds that requests under way may take when the server is told to stop.
    drain: float = 10.0
    #: Requests per second that each user may send for ever (0: any number), and at once after a pause.
    request_rate: float = REQUEST_RATE
    request_burst: int = REQUEST_BURST
    #: Streams and waits that each user may have open.
    open_waits: int = OPEN_WAITS
    #: Connections that the server has open, in all and from one address (a proxy's: all of its clients').
    connections: int = CONNECTIONS
    connections_per_address: int = CONNECTIONS_PER_ADDRESS
    #: Bytes of requests' bodies that are held in memory for one user or endpoint, and for all.
    bodies_per_user: int = BODIES_PER_PRINCIPAL
    bodies: int = BODIES
    #: Unfinished tasks of an endpoint, and bytes of them, from which on it is given no more.
    backlog_tasks: int = BACKLOG_TASKS
    backlog_bytes: int = BACKLOG_BYTES


#: Variables whose values nobody should see but the process they are for.
SECRETS = frozenset(
    {PREFIX + field.name.upper() for field in msgspec.structs.fields(Settings) if field.type is Secret}
    | {PREFIX + "TOKEN", PREFIX + "CREDENTIAL"}
)


def default_data_dir() -> Path:
    """Where a server of this user keeps its data unless told otherwise."""
    return platformdirs.user_data_path("funcledger")


def config_file(environ: Mapping[str, str]) -> Path:
    """The toml file that is read when it exists."""
    named = environ.get(PREFIX + "CONFIG")
    return Path(named) if named else platformdirs.user_config_path("funcledger") / "funcledger.toml"


def _from_file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text()).get("server", {})
    except FileNotFoundError:
        if required:
            raise SettingsError(f"there is no settings file {path} ({PREFIX}CONFIG names it)") from None
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise SettingsError(f"[server] in {path} must be a table")
    return table


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        text = environ.get(PREFIX + name.upper())
        if text:  # a compose file passes on what is not set as empty
            found[name] = [h.strip() for h in text.split(",")] if name == "allowed_hosts" else text
    return found


def load(given: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force; ``given`` (from the command line) comes before everything, its Nones aside.

    Raises:
        SettingsError: a value that cannot be used, or a name there is no setting for.
    """
    path = config_file(environ)
    merged: dict[str, Any] = {"data_dir": str(default_data_dir())}
    merged |= _from_file(path, required=PREFIX + "CONFIG" in environ)
    merged |= _from_environment(environ)
    merged |= {name: value for name, value in (given or {}).items() if value is not None}
    merged["data_dir"] = str(Path(merged["data_dir"]).expanduser())
    try:
        settings = msgspec.convert(merged, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"a setting cannot be used: {error} (from {PREFIX}*, {path} or the command line)"
        ) from error
    return _checked(settings)


def _path(kind: type, value: Any) -> Any:
    return kind(value)


def _checked(settings: Settings) -> Settings:
    if not 0 <= settings.port <= 65535:
        raise SettingsError(f"port must be between 0 and 65535, not {settings.port}")
    if not 1 <= settings.partitions <= 10_000:
        raise SettingsError(f"partitions must be between 1 and 10,000, not {settings.partitions}")
    if not 0 <= settings.workers <= MOST_WORKERS:
        raise SettingsError(
            f"workers must be between 0, which is one for each core, and {MOST_WORKERS}, "
            f"not {settings.workers}"
        )
    if settings.kafka_replication is not None and settings.kafka_replication < 1:
        raise SettingsError(f"kafka_replication must be at least 1, not {settings.kafka_replication}")
    for name, least in _LEAST.items():
        if getattr(settings, name) < least:
            raise SettingsError(f"{name} must be at least {least}, not {getattr(settings, name)}")
    if settings.request_rate < 0:
        raise SettingsError(f"request_rate must not be negative, not {settings.request_rate}")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise SettingsError(f"log_level must be debug, info, warning or error, not {settings.log_level!r}")
    return settings
