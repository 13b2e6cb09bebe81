"""The settings of auth: what it reads as ORDERHUB_AUTH_<NAME>."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from orderhub_chassis.settings import PREFIX, ServiceSettings
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

MOST_MEMORY_KIB = 4 * 1024 * 1024
"""4 GiB: twice what RFC 9106, section 4, recommends first. Each login under way takes as much."""


class Settings(ServiceSettings):
    """The Argon2id defaults are OWASP's: 19 MiB, two passes, one lane."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}AUTH_")
    service: ClassVar[str] = "auth"

    key_encryption_key: SecretStr = Field(
        min_length=32,
        description="Seals the private signing keys in the database; at least 32 characters.",
    )
    audience: str = Field("orderhub-api", description="Audience of the access tokens.")
    access_lifetime: timedelta = Field(timedelta(minutes=15), description="Life of an access token.")
    refresh_lifetime: timedelta = Field(
        timedelta(days=30), description="Life of a session after its last refresh."
    )
    refresh_grace: timedelta = Field(
        timedelta(seconds=20),
        description="How long a spent refresh token is taken for a concurrent refresh, not for theft.",
    )
    reset_lifetime: timedelta = Field(
        timedelta(hours=1), gt=timedelta(0), description="How long a mailed code for a new password works."
    )
    verification_lifetime: timedelta = Field(
        timedelta(hours=24),
        gt=timedelta(0),
        description="How long a mailed code for an e-mail address works.",
    )
    jwks_max_age: timedelta = Field(
        timedelta(minutes=5), description="How long the public keys may be cached."
    )
    argon2_memory_kib: int = Field(
        19_456, ge=8, le=MOST_MEMORY_KIB, description="Memory of one password hash in KiB."
    )
    argon2_passes: int = Field(2, ge=1, description="Passes of one password hash.")
    password_threads: int = Field(
        0, ge=0, le=64, description="Password hashes computed at once; 0 means one per core."
    )
    password_queue: int = Field(
        100, ge=1, description="Password hashes that may wait; more logins than that are told to come later."
    )
