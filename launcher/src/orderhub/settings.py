"""The launcher's own settings, and the loading of every service's settings without starting it."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from orderhub_chassis import settings as chassis
from orderhub_chassis.settings import (
    KAFKA,
    PREFIX,
    BusUrl,
    HttpUrl,
    KafkaSettings,
    PostgresUrl,
    RedisUrl,
    SettingsError,
    load,
)
from orderhub_chassis.sources import Given
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from orderhub import topology
from orderhub.exits import Exit, Refused


class Settings(KafkaSettings):
    """What `orderhub up` reads; its options win over these."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)
    service: ClassVar[str] = "launcher"

    home: str = Field("", description="The data folder; `.orderhub` of the checkout where it is not set.")
    port: int = Field(8080, ge=1, le=65535, description="Port of the gateway on 127.0.0.1.")
    processes: topology.Processes = Field(
        "3", description="How the services share processes: all in one, two or three groups, or each its own."
    )
    database_url: PostgresUrl | None = Field(
        None,
        description="A PostgreSQL server to use instead of the embedded one; the database's name is replaced by each"
        " service's own.",
    )
    redis_url: RedisUrl | None = Field(None, description="A Redis to use instead of the embedded one.")
    bus: BusUrl | None = Field(
        None, description="kafka://host:port,… of brokers to use instead of the embedded bus."
    )

    connect_url: HttpUrl | None = Field(
        None,
        description="REST address of the Kafka Connect that runs Debezium's connectors, where ORDERHUB_RELAY is cdc.",
    )

    @property
    def is_demo(self) -> bool:
        """All parts are our own: nobody's real data or mail is here."""
        return self.database_url is None and self.redis_url is None and not self.kafka

    @property
    def kafka(self) -> str:
        """The URL of the brokers; empty where the embedded bus is used, whose URL `up` decides by itself."""
        url = self.bus.get_secret_value() if self.bus else ""
        return url if url.startswith(KAFKA) else ""


def loaded() -> Settings:
    """The launcher's settings. Raises Refused with one line that names the variable."""
    try:
        return load(Settings)
    except SettingsError as error:
        raise Refused(str(error), Exit.USAGE) from None


def sources() -> dict[str, Given]:
    """Every variable that is set, and where. Raises Refused when a file of settings is no good."""
    try:
        return chassis.given()
    except SettingsError as error:
        raise Refused(str(error), Exit.USAGE) from None


def given() -> dict[str, str]:
    """The same without where."""
    return {name: found.value for name, found in sources().items()}


def settings_of(service: str) -> type[Any]:
    """The settings class of a service or of the simulator."""
    found: type[Any] = importlib.import_module(f"orderhub_{service}.settings").Settings
    return found
