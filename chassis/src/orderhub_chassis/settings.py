"""Settings: environment over `.env` over a YAML file; a secret has no default; one line per mistake.

A service's class derives from ServiceSettings and sets `env_prefix="ORDERHUB_<SERVICE>_"`. Values that are
shared by all services (bus, Redis, log level …) live in CommonSettings and are read as `ORDERHUB_<NAME>`;
the service's own variable of the same name wins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from orderhub_chassis import sources, urls
from orderhub_chassis.sources import PREFIX as PREFIX
from orderhub_chassis.sources import SettingsError as SettingsError
from orderhub_chassis.sources import given as given

NUMBER = re.compile(r"-?\d+(\.\d+)?")
ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,/@\[\]]+):[0-9]{1,5}")
MASK = "********"
KAFKA: Final = "kafka://"
BROKER = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
SHOWN: Final = 40
"""Characters of a wrong value that are repeated to the user."""
WORDS: Final = (
    ("missing", "is required"),
    ("int_", "must be a whole number"),
    ("float_", "must be a number"),
    ("finite_number", "must be a number"),
    ("bool_", "must be true or false"),
    ("string_type", "must be text"),
    ("time_delta", "must be a time: seconds such as 1.5, or ISO 8601 such as PT5M"),
    ("literal_error", "must be {expected}"),
    ("too_short", "must have at least {min_length} characters"),
    ("string_too_short", "must have at least {min_length} characters"),
    ("greater_than_equal", "must be at least {ge}"),
    ("greater_than", "must be above {gt}"),
    ("less_than_equal", "must be at most {le}"),
    ("less_than", "must be below {lt}"),
    ("path_not_directory", "must be a folder that is there"),
    ("ip_v", "must be networks such as 10.0.0.0/8, separated by commas"),
    ("value_error", "{error}"),
)
"""The begin of pydantic's name of an error, and what a user is told; in braces what pydantic knows about it."""
SILENT: Final = ("missing", "value_error")
"""Errors after which the value is not repeated: there is none, or it may hold a password."""
S = TypeVar("S", bound="CommonSettings")


def _with_scheme(*schemes: str, look: Callable[[str], None]) -> Callable[[SecretStr], SecretStr]:
    """Found out here, not by a driver whose words would show the password. `look` raises ValueError."""

    def check(value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text.partition("://")[0] not in schemes:
            raise ValueError(_url_words(schemes))
        if not _has_parts(text):
            raise ValueError(urls.NO_PARTS)
        look(text)
        return value

    return check


def _has_parts(url: str) -> bool:
    """Of several hosts, as PostgreSQL has them, nothing is known here."""
    try:
        parts = urlsplit(url)
        return "," in parts.netloc or parts.port != 0
    except ValueError:
        return False


def _http(value: str) -> str:
    schemes = ("http", "https")
    try:
        parts = urlsplit(value)
        known = parts.scheme in schemes and parts.hostname and (parts.port or True)
    except ValueError:
        known = False
    if not known:
        raise ValueError(_url_words(schemes))
    return value


def _url_words(schemes: tuple[str, ...]) -> str:
    *others, last = [f"{scheme}://" for scheme in schemes]
    return f"must be a URL that starts with {', '.join(others)} or {last}"


def _addresses(value: str) -> str:
    """`host:port`, or several IP addresses with their ports, all of one kind, as gRPC takes them."""
    several = [address.strip() for address in value.split(",")]
    if not all(ADDRESS.fullmatch(address) for address in several):
        raise ValueError("must be host:port, or several separated by commas")
    kinds = {_ip_version(address.rpartition(":")[0].strip("[]")) for address in several}
    if len(several) > 1 and (0 in kinds or len(kinds) > 1):
        raise ValueError("several must be IP addresses of one kind; one name may stand for many addresses")
    return value


def _ip_version(host: str) -> int:
    try:
        return ip_address(host).version
    except ValueError:
        return 0


Addresses = Annotated[str, AfterValidator(_addresses)]
"""Where a peer's gRPC is: `host:port`, or its replicas' addresses separated by commas."""


def _bus(value: SecretStr) -> SecretStr:
    """A bus is a database or a list of brokers, and those are told nothing but where they are."""
    text = value.get_secret_value()
    if not text.startswith(KAFKA):
        return _with_scheme("postgresql", "postgres", "kafka", look=urls.postgres)(value)
    if not all(BROKER.fullmatch(broker) for broker in text.removeprefix(KAFKA).split(",")):
        raise ValueError("must be kafka://host:port, with more brokers after commas and nothing else")
    return value


def _file(value: str) -> str:
    if value and not os.path.isfile(value):
        raise ValueError(f"must be a file that is there, not {value!r}")
    return value


PostgresUrl = Annotated[SecretStr, AfterValidator(_with_scheme("postgresql", "postgres", look=urls.postgres))]
RedisUrl = Annotated[SecretStr, AfterValidator(_with_scheme("redis", "rediss", "unix", look=urls.redis))]
ClickHouseUrl = Annotated[
    SecretStr, AfterValidator(_with_scheme("chdb", "http", "https", look=urls.clickhouse))
]
BusUrl = Annotated[SecretStr, AfterValidator(_bus)]
FileName = Annotated[str, AfterValidator(_file)]
HttpUrl = Annotated[str, AfterValidator(_http)]


def _prefix(settings_cls: type[BaseSettings]) -> str:
    return str(settings_cls.model_config.get("env_prefix", PREFIX))


def _section(settings_cls: type[BaseSettings]) -> str:
    return _prefix(settings_cls).removeprefix(PREFIX).strip("_").lower()


class CommonSettings(BaseSettings):
    """What every process reads. Names in units of their own type: timedelta takes ISO 8601 or seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        allow_inf_nan=False,
    )
    service: ClassVar[str] = "orderhub"

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is written."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="json for machines, console for people."
    )
    clock_file: Path | None = Field(
        None,
        description="For tests: a file with the seconds by which this process' clock is off, read again and again.",
    )
    allow_clock_file: bool = Field(False, description="For tests: allows a clock file.")
    public_url: HttpUrl = Field("http://127.0.0.1:8080", description="Where clients reach the gateway.")

    @field_validator("*", mode="before")
    @classmethod
    def _seconds(cls, value: Any, info: ValidationInfo) -> Any:
        """A duration may be given as a number of seconds, also a fraction of one."""
        field = cls.model_fields[info.field_name or ""]
        if field.annotation is timedelta and isinstance(value, str) and NUMBER.fullmatch(value.strip()):
            return float(value)
        return value

    @field_validator("*")
    @classmethod
    def _not_negative(cls, value: Any) -> Any:
        if isinstance(value, timedelta) and value < timedelta(0):
            raise ValueError("must not be negative")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            env_settings,
            dotenv_settings,
            InitSettingsSource(settings_cls, dict(sources.of_file(_section(settings_cls)))),
        )


class KafkaSettings(CommonSettings):
    """How brokers are spoken to where the bus is kafka://…"""

    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="Kafka: the brokers' security protocol."
    )
    kafka_ca: FileName = Field(
        "",
        description="Kafka: file with the certificates that brokers are trusted by; the system's where it is empty.",
    )
    kafka_certificate: FileName = Field(
        "", description="Kafka: file with the client's certificate, for mutual TLS."
    )
    kafka_key: FileName = Field("", description="Kafka: file with the key of that certificate.")
    kafka_key_password: SecretStr | None = Field(None, description="Kafka: password of that key.")
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="Kafka: SASL mechanism, where the security protocol has SASL."
    )
    kafka_username: str = Field("", description="Kafka: SASL user.")
    kafka_password: SecretStr | None = Field(None, description="Kafka: SASL password.")
    kafka_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
        description="Kafka: put before the names of topics and groups, so that installations can share brokers.",
    )
    kafka_replication: int = Field(3, ge=1, le=9, description="Kafka: copies of each topic that is made.")
    relay: Literal["poll", "cdc"] = Field(
        "poll",
        description="Who publishes the outbox: the service's own relay, or Debezium by change data capture (Kafka only).",
    )
    kafka_session_timeout: timedelta = Field(
        timedelta(seconds=10),
        gt=timedelta(0),
        description="Kafka: how long a consumer may be silent before its partitions go to others.",
    )

    @model_validator(mode="after")
    def _whole_login(self) -> Self:
        """A login has both halves, and a certificate its key."""
        if self.kafka_security.startswith("sasl") and not (self.kafka_username and self.kafka_password):
            raise ValueError(
                f"ORDERHUB_KAFKA_USERNAME and ORDERHUB_KAFKA_PASSWORD: are required with {self.kafka_security}"
            )
        if bool(self.kafka_certificate) != bool(self.kafka_key):
            raise ValueError(
                "ORDERHUB_KAFKA_CERTIFICATE and ORDERHUB_KAFKA_KEY: are given together or not at all"
            )
        return self


class ServiceSettings(KafkaSettings):
    """What every service with a database, a bus and a gRPC port reads."""

    database_url: PostgresUrl = Field(description="PostgreSQL URL of this service's own database.")
    redis_url: RedisUrl = Field(description="Redis URL: wake-up hints, limits, blocklist.")
    bus: BusUrl = Field(
        description="postgresql://… of the embedded bus's database, or kafka://host:port,host:port of the brokers."
    )
    internal_key: SecretStr = Field(
        min_length=32, description="Signs the internal tokens that services pass on; at least 32 characters."
    )
    cursor_key: SecretStr = Field(min_length=32, description="Signs list cursors; at least 32 characters.")
    grpc_host: str = Field("127.0.0.1", description="Address that the gRPC server binds.")
    grpc_port: int = Field(0, ge=0, le=65535, description="gRPC port; 0 takes any free one.")
    http_host: str = Field("127.0.0.1", description="Address of the health and metrics port.")
    http_port: int = Field(
        0, ge=0, le=65535, description="Port of /livez, /readyz and /metrics; 0 takes any free one."
    )
    database_pool_size: int = Field(
        5, ge=2, le=100, description="Most connections to this service's database."
    )
    bus_pool_size: int = Field(
        3, ge=2, le=100, description="Most connections to the embedded bus's database."
    )
    call_timeout: timedelta = Field(
        timedelta(seconds=5), description="Deadline of one call to another service."
    )
    shutdown_grace: timedelta = Field(
        timedelta(seconds=10), description="Time to finish what is under way at a stop."
    )
    drain_delay: timedelta = Field(
        timedelta(0),
        description="At a stop, time between /readyz telling of it and the closing of the doors; a little longer than"
        " load balancers need to notice.",
    )
    consumer_batch: int = Field(
        1000, ge=1, le=10_000, description="Most messages in one consumer transaction."
    )
    replay_rate: float = Field(
        5, gt=0, le=1000, description="Replays of dead letters per second, dry ones too, over all replicas."
    )
    instance: str = Field(
        default_factory=lambda: f"{os.uname().nodename}-{os.getpid()}", description="Name of this replica."
    )

    @model_validator(mode="after")
    def _captured_for_brokers(self) -> Self:
        """Debezium knows no embedded bus."""
        if self.relay == "cdc" and not self.bus.get_secret_value().startswith(KAFKA):
            raise ValueError("ORDERHUB_RELAY: cdc needs brokers: set ORDERHUB_BUS to kafka://host:port")
        return self


class ClickHouseSettings(CommonSettings):
    """For a service that keeps something in ClickHouse, beside its other settings."""

    clickhouse_url: ClickHouseUrl = Field(
        description="chdb:///folder for an engine of its own, or http(s)://user:password@host:port/database."
    )


def variables(settings_cls: type[CommonSettings]) -> list[tuple[str, str, FieldInfo]]:
    """(field, environment variable, field info) of every setting, in the order of the class."""
    prefix = _prefix(settings_cls)
    return [
        (name, _variable(prefix, name, field), field) for name, field in settings_cls.model_fields.items()
    ]


def _variable(prefix: str, name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return str(alias) if alias else (prefix + name).upper()


def load(settings_cls: type[S], **overrides: Any) -> S:
    """Read the settings once. Raises SettingsError with one line that names every wrong variable."""
    common = _common_fallback(settings_cls, sources.variables(), overrides)
    try:
        return settings_cls(**common, **overrides)
    except ValidationError as error:
        names = {name: variable for name, variable, _ in variables(settings_cls)}
        names |= {name: (PREFIX + name).upper() for name in common}
        raise SettingsError(_one_line(settings_cls, error, names)) from None


def _common_fallback(
    settings_cls: type[CommonSettings], given: dict[str, str], overrides: dict[str, Any]
) -> dict[str, Any]:
    """`ORDERHUB_REDIS_URL` stands in where `ORDERHUB_ORDERS_REDIS_URL` is not set."""
    prefix = _prefix(settings_cls)
    if prefix == PREFIX:
        return {}
    found: dict[str, Any] = {}
    for name in settings_cls.model_fields:
        own, common = (prefix + name).upper(), (PREFIX + name).upper()
        if name not in overrides and own not in given and common in given:
            found[name] = given[common]
    return found


def _one_line(settings_cls: type[CommonSettings], error: ValidationError, names: dict[str, str]) -> str:
    """Each variable once. What is wrong between several names them itself."""
    parts: dict[str, str] = {}
    for item in error.errors(include_url=False):
        field = str(item["loc"][0]) if item["loc"] else ""
        secret = field in settings_cls.model_fields and is_secret(settings_cls.model_fields[field])
        reason = _reason(item, secret=secret)
        parts.setdefault(field, f"{names.get(field, field)}: {reason}" if field else reason)
    return "; ".join(parts.values())


def _reason(item: ErrorDetails, *, secret: bool) -> str:
    kind, value = item["type"], item["input"]
    template = next((words for begin, words in WORDS if kind.startswith(begin)), "is not valid")
    words = template.format(**{name: _plain(known) for name, known in item.get("ctx", {}).items()})
    if secret or kind in SILENT or not isinstance(value, str):
        return words
    return f"{words}, not {value[:SHOWN]!r}{'…' if len(value) > SHOWN else ''}"


def _plain(known: Any) -> str:
    """Pydantic gives bounds as floats, and choices in quotes."""
    text = f"{known:g}" if isinstance(known, float) else str(known)
    return text.replace("'", "") if text.startswith("'") else text


def is_secret(field: FieldInfo) -> bool:
    """A value that is never shown."""
    return "SecretStr" in str(field.annotation)


def masked(settings: CommonSettings) -> dict[str, str]:
    """Every variable with its value, secrets as `********`."""
    shown: dict[str, str] = {}
    for name, variable, _ in variables(type(settings)):
        value = getattr(settings, name)
        shown[variable] = MASK if isinstance(value, SecretStr) else str(value)
    return shown
