"""The settings of auth: what it reads as ORDERHUB_AUTH_<NAME>."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from orderhub_chassis.settings import PREFIX, ServiceSettings
from orderhub_contracts.revocations import LONGEST_ACCESS
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

SHORTEST_SECRET = 32
MOST_MEMORY_KIB = 4 * 1024 * 1024
"""4 GiB: twice what RFC 9106, section 4, recommends first. Each login under way takes as much."""


class Settings(ServiceSettings):
    """The Argon2id defaults are OWASP's: 19 MiB, two passes, one lane."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}AUTH_")
    service: ClassVar[str] = "auth"

    key_encryption_key: SecretStr = Field(
        min_length=32,
        description="Seals the private signing keys and the secrets of authenticator apps in the database; at least 32"
        " characters.",
    )
    former_key_encryption_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Other secrets that open what is sealed, separated by spaces: while the key-encryption key is"
        " changed (docs/operations.md).",
    )
    audience: str = Field("orderhub-api", description="Audience of the access tokens.")
    access_lifetime: timedelta = Field(
        LONGEST_ACCESS, gt=timedelta(0), le=LONGEST_ACCESS, description="Life of an access token."
    )
    refresh_lifetime: timedelta = Field(
        timedelta(days=30), description="Life of a session after its last refresh."
    )
    refresh_grace: timedelta = Field(
        timedelta(seconds=20),
        description="How long a spent refresh token is taken for a concurrent refresh, not for theft.",
    )
    browser_lifetime: timedelta = Field(
        timedelta(hours=12),
        gt=timedelta(0),
        description="How long a browser stays logged in at the OpenID Provider.",
    )
    reset_lifetime: timedelta = Field(
        timedelta(hours=1), gt=timedelta(0), description="How long a mailed code for a new password works."
    )
    verification_lifetime: timedelta = Field(
        timedelta(hours=24),
        gt=timedelta(0),
        description="How long a mailed code for an e-mail address works.",
    )
    wrong_passwords_per_place: int = Field(
        5, ge=1, description="Wrong passwords for one account from one place before it has to wait there."
    )
    wrong_passwords_per_account: int = Field(
        20, ge=1, description="Wrong passwords for one account from anywhere before strangers have to wait."
    )
    wrong_passwords_per_address: int = Field(
        50, ge=1, description="Wrong passwords from one address, for any account, before it has to wait."
    )
    require_verified_email: bool = Field(
        False,
        description="Whether a user orders only with a proved e-mail address; it may log in without one.",
    )
    mailbox: Path | None = Field(
        None,
        description="Folder for mails with reset and verification codes, for demos: `orderhub up` sets it where all parts"
        " are its own. Never set it on servers.",
    )
    jwks_max_age: timedelta = Field(
        timedelta(minutes=5), description="How long the public keys may be cached."
    )
    key_rotation: timedelta = Field(
        timedelta(days=30), description="How long a signing key signs before the next one takes over."
    )
    key_margin: timedelta = Field(
        timedelta(minutes=2),
        description="What is added to the time that public keys may be cached for, before a new key signs and before an"
        " old one leaves the set.",
    )
    key_reload: timedelta = Field(
        timedelta(seconds=10),
        gt=timedelta(0),
        description="How often each replica reads the signing keys and looks whether the next is due, where no hint"
        " comes sooner; below the margin.",
    )
    api_key_longest: timedelta = Field(
        timedelta(days=365),
        gt=timedelta(0),
        description="How long an API key lives at most, and where nothing is said of when it ends.",
    )
    api_keys_per_vendor: int = Field(
        20, ge=1, description="API keys of one vendor that may live at once; more are refused."
    )
    argon2_memory_kib: int = Field(
        19_456, ge=8, le=MOST_MEMORY_KIB, description="Memory of one password hash in KiB."
    )
    argon2_passes: int = Field(2, ge=1, description="Passes of one password hash.")
    password_threads: int = Field(
        0, ge=0, le=64, description="Password hashes computed at once; 0 means one less than there are cores."
    )
    password_queue: int = Field(
        100, ge=1, description="Password hashes that may wait; more logins than that are told to come later."
    )

    @field_validator("former_key_encryption_keys", mode="before")
    @classmethod
    def _separated(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("former_key_encryption_keys")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(one.get_secret_value()) < SHORTEST_SECRET for one in value):
            raise ValueError(f"each must have at least {SHORTEST_SECRET} characters")
        return value

    @model_validator(mode="after")
    def _keys_have_time(self) -> Self:
        """A key is followed before its time is over, by one that all replicas have read."""
        if self.key_reload >= self.key_margin:
            raise ValueError("ORDERHUB_AUTH_KEY_RELOAD: must be below ORDERHUB_AUTH_KEY_MARGIN")
        least = self.longest_token + 2 * (self.jwks_max_age + self.key_margin)
        if self.key_rotation <= least:
            raise ValueError(
                f"ORDERHUB_AUTH_KEY_ROTATION: must be above {least.total_seconds():g} seconds, which a change of keys takes"
            )
        return self

    @property
    def longest_token(self) -> timedelta:
        """The longest life of anything that is signed: retired keys stay published for it."""
        return self.access_lifetime
