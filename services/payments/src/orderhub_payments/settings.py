"""Settings of payments, read as ORDERHUB_PAYMENTS_<NAME>."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from orderhub_chassis.settings import HttpUrl, ServiceSettings
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="ORDERHUB_PAYMENTS_")
    service: ClassVar[str] = "payments"

    provider: Literal["simulator"] = Field(
        "simulator", description="The card provider that new payments use."
    )
    simulator_url: HttpUrl = Field(description="Where the card provider's simulator listens.")
    simulator_api_key: SecretStr = Field(
        min_length=16, description="The simulator's API key (ORDERHUB_SIMULATOR_API_KEY stands in)."
    )
    provider_timeout: timedelta = Field(
        timedelta(seconds=4), description="Time for one batch of questions to the provider."
    )
    lease: timedelta = Field(
        timedelta(seconds=10),
        description="Time after which another worker may ask the same; above provider_timeout.",
    )
    worker_batch: int = Field(100, ge=1, le=1000, description="Most operations in one call of the provider.")
    worker_parallel: int = Field(2, ge=1, le=16, description="Calls of the provider that may be under way.")
    worker_backlog: int = Field(
        1000,
        ge=1,
        description="Intents that may wait in memory for their call; the others wait in the database.",
    )
    poll: timedelta = Field(
        timedelta(milliseconds=500), description="How often due intents are looked for without a hint."
    )
    retry_first: timedelta = Field(
        timedelta(milliseconds=50), description="Pause before the second attempt; it doubles from then on."
    )
    retry_longest: timedelta = Field(timedelta(seconds=30), description="Longest pause between two attempts.")

    @model_validator(mode="after")
    def _lease_outlives_the_call(self) -> Settings:
        if self.lease <= self.provider_timeout:
            raise ValueError("ORDERHUB_PAYMENTS_LEASE must be above ORDERHUB_PAYMENTS_PROVIDER_TIMEOUT")
        return self
