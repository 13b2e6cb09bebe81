"""Settings of the orders service; each is the environment variable `ORDERHUB_ORDERS_<NAME>`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from orderhub_chassis.settings import Addresses, ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="ORDERHUB_ORDERS_")
    service: ClassVar[str] = "orders"

    inventory_address: Addresses = Field(
        description="host:port of inventory's gRPC; of several replicas their IP addresses, separated by commas."
    )
    sweep_every: timedelta = Field(
        timedelta(seconds=1), description="How often step deadlines are looked at."
    )
    pivot_alert_after: timedelta = Field(
        timedelta(minutes=5), description="A capture that is not known after this time is reported."
    )
