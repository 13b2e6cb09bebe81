"""Settings of the simulator, read as ORDERHUB_SIMULATOR_<NAME>."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from orderhub_chassis.settings import CommonSettings, PostgresUrl
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict


class Settings(CommonSettings):
    model_config = SettingsConfigDict(env_prefix="ORDERHUB_SIMULATOR_")
    service: ClassVar[str] = "simulator"

    database_url: PostgresUrl = Field(description="PostgreSQL URL of the simulator's own database.")
    api_key: SecretStr = Field(
        min_length=16, description="What callers send as a bearer token; at least 16 characters."
    )
    host: str = Field("127.0.0.1", description="Address that the HTTP server binds.")
    port: int = Field(0, ge=0, le=65535, description="HTTP port; 0 takes any free one.")
    timeout_seconds: float = Field(
        1.0, ge=0, le=300, description="How long a simulated time-out holds the answer of a single call."
    )
    database_pool_size: int = Field(
        4, ge=2, le=100, description="Most connections to the simulator's database."
    )
    write_batch: int = Field(1000, ge=1, le=10_000, description="Most operations in one write transaction.")
    write_backlog: int = Field(
        20_000, ge=1, description="Operations that may wait; beyond it the answer is 503."
    )
    shutdown_grace: timedelta = Field(
        timedelta(seconds=10), description="Time to finish what is under way at a stop."
    )
