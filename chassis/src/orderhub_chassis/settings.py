"""Settings: environment over `.env` over a YAML file; a secret has no default; one line per mistake.

A service's class derives from ServiceSettings and sets `env_prefix="ORDERHUB_<SERVICE>_"`. Values that are
shared by all services (bus, Redis, log level …) live in CommonSettings and are read as `ORDERHUB_<NAME>`;
the service's own variable of the same name wins.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import yaml  # type: ignore[import-untyped]
from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "ORDERHUB_"
NUMBER = re.compile(r"\d+(\.\d+)?")
MASK = "********"
S = TypeVar("S", bound="CommonSettings")


class SettingsError(Exception):
    """The settings do not allow a start; the message is one line and names the variable."""


def from_file(settings_cls: type[BaseSettings]) -> dict[str, Any]:
    """The YAML file's values for this class: those at its top, and over them those under the service's name.

    The file is `ORDERHUB_CONFIG`, or `orderhub.yaml` in the working directory if there is one.
    """
    path, values = _file()
    name = _prefix(settings_cls).removeprefix(PREFIX).strip("_").lower()
    section = values.get(name, {})
    if not isinstance(section, dict):
        raise SettingsError(f"ORDERHUB_CONFIG: {path} is not a table of names and values")
    return {name: value for name, value in values.items() if not isinstance(value, dict)} | section


def given() -> dict[str, str]:
    """Every variable that is set, wherever: the environment over `.env` over the file."""
    _, values = _file()
    found: dict[str, Any] = {}
    for name, value in values.items():
        entries = (
            {f"{name}_{key}": v for key, v in value.items()} if isinstance(value, dict) else {name: value}
        )
        found |= {f"{PREFIX}{key}".upper(): entry for key, entry in entries.items()}
    found |= {name: value for name, value in _all_sources().items() if name.startswith(PREFIX)}
    return {name: str(value) for name, value in found.items()}


def _file() -> tuple[Path, dict[str, Any]]:
    named = os.environ.get("ORDERHUB_CONFIG", "")
    path = Path(named or "orderhub.yaml")
    if not named and not path.exists():
        return path, {}
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(
            f"ORDERHUB_CONFIG: {path} cannot be read: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(values, dict):
        raise SettingsError(f"ORDERHUB_CONFIG: {path} is not a table of names and values")
    return path, values


def _prefix(settings_cls: type[BaseSettings]) -> str:
    return str(settings_cls.model_config.get("env_prefix", PREFIX))


class CommonSettings(BaseSettings):
    """What every process reads. Names in units of their own type: timedelta takes ISO 8601 or seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )
    service: ClassVar[str] = "orderhub"

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is written."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="json for machines, console for people."
    )
    public_url: str = Field("http://127.0.0.1:8080", description="Where clients reach the gateway.")

    @field_validator("*", mode="before")
    @classmethod
    def _seconds(cls, value: Any, info: ValidationInfo) -> Any:
        """A duration may be given as a number of seconds, also a fraction of one."""
        field = cls.model_fields[info.field_name or ""]
        if field.annotation is timedelta and isinstance(value, str) and NUMBER.fullmatch(value.strip()):
            return float(value)
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
            InitSettingsSource(settings_cls, from_file(settings_cls)),
        )


class ServiceSettings(CommonSettings):
    """What every service with a database, a bus and a gRPC port reads."""

    database_url: SecretStr = Field(description="PostgreSQL URL of this service's own database.")
    redis_url: SecretStr = Field(description="Redis URL: wake-up hints, limits, blocklist.")
    bus: SecretStr = Field(description="postgresql://… of the embedded bus's database.")
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
        6, ge=2, le=100, description="Most connections to this service's database."
    )
    call_timeout: timedelta = Field(
        timedelta(seconds=5), description="Deadline of one call to another service."
    )
    shutdown_grace: timedelta = Field(
        timedelta(seconds=10), description="Time to finish what is under way at a stop."
    )
    consumer_batch: int = Field(
        400, ge=1, le=10_000, description="Most messages in one consumer transaction."
    )
    replay_rate: float = Field(
        5, gt=0, le=1000, description="Replays of dead letters per second, dry ones too, over all replicas."
    )
    instance: str = Field(
        default_factory=lambda: f"{os.uname().nodename}-{os.getpid()}", description="Name of this replica."
    )

    @field_validator("bus")
    @classmethod
    def _known_bus(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return value


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
    try:
        return settings_cls(**_common_fallback(settings_cls, overrides), **overrides)
    except ValidationError as error:
        raise SettingsError(_one_line(settings_cls, error)) from None


def _common_fallback(settings_cls: type[CommonSettings], overrides: dict[str, Any]) -> dict[str, Any]:
    """`ORDERHUB_REDIS_URL` stands in where `ORDERHUB_ORDERS_REDIS_URL` is not set."""
    prefix = _prefix(settings_cls)
    if prefix == PREFIX:
        return {}
    found: dict[str, Any] = {}
    sources = _all_sources()
    for name in settings_cls.model_fields:
        own, common = (prefix + name).upper(), (PREFIX + name).upper()
        if name not in overrides and own not in sources and common in sources:
            found[name] = sources[common]
    return found


def _all_sources() -> dict[str, Any]:
    from dotenv import dotenv_values

    values: dict[str, Any] = {k.upper(): v for k, v in dotenv_values(".env").items() if v is not None}
    return values | {k.upper(): v for k, v in os.environ.items()}


def _one_line(settings_cls: type[CommonSettings], error: ValidationError) -> str:
    names = {name: variable for name, variable, _ in variables(settings_cls)}
    parts = []
    for item in error.errors(include_url=False, include_input=False):
        field = str(item["loc"][0]) if item["loc"] else ""
        reason = "is required" if item["type"] == "missing" else item["msg"]
        parts.append(f"{names.get(field, field)}: {reason}")
    return "; ".join(parts)


def masked(settings: CommonSettings) -> dict[str, str]:
    """Every variable with its value, secrets as `********`."""
    shown: dict[str, str] = {}
    for name, variable, _ in variables(type(settings)):
        value = getattr(settings, name)
        shown[variable] = MASK if isinstance(value, SecretStr) else str(value)
    return shown
