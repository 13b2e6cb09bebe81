"""Settings of inventory, read as ORDERHUB_INVENTORY_<NAME>."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from orderhub_chassis.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="ORDERHUB_INVENTORY_")
    service: ClassVar[str] = "inventory"

    reservation_question_after: timedelta = Field(
        timedelta(minutes=10),
        gt=timedelta(0),
        description="How long a reservation stands before orders is asked whether its run is alive.",
    )
    reservation_question_every: timedelta = Field(
        timedelta(minutes=1),
        gt=timedelta(0),
        description="How often the question is asked until it is answered.",
    )
    reservation_sweep: timedelta = Field(
        timedelta(seconds=5), gt=timedelta(0), description="How often old reservations are looked for."
    )
    import_max_rows: int = Field(200_000, ge=1, description="Most rows in one import.")
