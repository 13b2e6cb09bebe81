"""Settings of the delivery service, read as ORDERHUB_DELIVERY_<NAME>."""

from __future__ import annotations

from typing import ClassVar

from orderhub_chassis.settings import ServiceSettings
from pydantic import DirectoryPath, Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="ORDERHUB_DELIVERY_")
    service: ClassVar[str] = "delivery"

    rules_folder: DirectoryPath | None = Field(
        None, description="Folder with further live-animal rule files (*.toml); they add to the shipped ones."
    )
