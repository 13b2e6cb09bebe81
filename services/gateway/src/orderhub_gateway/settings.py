"""The settings of the gateway: what it reads as ORDERHUB_GATEWAY_<NAME>."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from orderhub_chassis.grpc import MAX_MESSAGE
from orderhub_chassis.settings import PREFIX, Addresses, CommonSettings, RedisUrl
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from orderhub_gateway import issuers

ORIGIN = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
MIB = 1024 * 1024
LARGEST_BODY = MAX_MESSAGE - MIB
"""A body goes on in one gRPC message, which holds more than the body."""


class Settings(CommonSettings):
    """The gateway has no database and no bus, so it is no ServiceSettings."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}GATEWAY_")
    service: ClassVar[str] = "gateway"

    host: str = Field("127.0.0.1", description="Address that the public API binds.")
    port: int = Field(8080, ge=0, le=65535, description="Port of the public API; 0 takes any free one.")
    auth_address: Addresses = Field(
        description="host:port of auth's gRPC; of several replicas their IP addresses, separated by commas."
    )
    inventory_address: Addresses = Field(
        description="host:port of inventory's gRPC; of several replicas their IP addresses, separated by commas."
    )
    orders_address: Addresses = Field(
        description="host:port of orders' gRPC; of several replicas their IP addresses, separated by commas."
    )
    payments_address: Addresses = Field(
        description="host:port of payments' gRPC; of several replicas their IP addresses, separated by commas."
    )
    delivery_address: Addresses = Field(
        description="host:port of delivery's gRPC; of several replicas their IP addresses, separated by commas."
    )
    redis_url: RedisUrl = Field(description="Redis URL of the rate limits.")
    internal_key: SecretStr = Field(
        min_length=32, description="Signs the internal tokens that services pass on; at least 32 characters."
    )
    cursor_key: SecretStr = Field(min_length=32, description="Signs list cursors; at least 32 characters.")
    audience: str = Field("orderhub-api", description="Audience that an access token must have.")
    oidc_issuers: Annotated[tuple[issuers.Issuer, ...], NoDecode] = Field(
        (),
        validation_alias=issuers.VARIABLE,
        description="Issuers whose access tokens count beside those of auth: a JSON list, see deploy/keycloak.",
    )
    ready_file: Path | None = Field(
        None, description="The gateway is not ready before this file exists; unset: at once."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose scripts may call the API, separated by commas."
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="Networks whose X-Forwarded-For is believed, separated by commas."
    )
    rate_per_principal: float = Field(100, gt=0, description="Requests per second of one principal.")
    burst_per_principal: int = Field(200, ge=1, description="Requests that one principal may make at once.")
    rate_per_address: float = Field(50, gt=0, description="Requests per second without a token, per address.")
    burst_per_address: int = Field(100, ge=1, description="Requests without a token at once, per address.")
    auth_rate_per_address: float = Field(
        5, gt=0, description="Logins, registrations and refreshes per second and address."
    )
    auth_burst_per_address: int = Field(
        150, ge=1, description="Logins, registrations and refreshes at once, per address."
    )
    login_rate_per_account: float = Field(
        0.2, gt=0, description="Logins per second to one account from one address."
    )
    login_burst_per_account: int = Field(
        10, ge=1, description="Logins at once to one account from one address."
    )
    webhook_rate_per_address: float = Field(
        100, gt=0, description="Webhooks of the card provider per second and address."
    )
    webhook_burst_per_address: int = Field(
        500, ge=1, description="Webhooks of the card provider at once, per address."
    )
    sunset_refuses: bool = Field(
        False,
        description="Whether a route whose Sunset is over answers 410; without, it goes on being served.",
    )
    target_limit: int = Field(
        8192, ge=1024, le=65_535, description="Longest target of a request, with its query, in bytes."
    )
    headers_limit: int = Field(
        32 * 1024, ge=4096, le=MIB, description="Largest sum of a request's header lines in bytes."
    )
    body_limit: int = Field(MIB, ge=1024, le=LARGEST_BODY, description="Largest request body in bytes.")
    json_depth: int = Field(
        32, ge=8, le=200, description="Deepest nesting of arrays and objects in a JSON body."
    )
    head_limit: timedelta = Field(
        timedelta(seconds=10),
        gt=timedelta(0),
        description="Longest time for the head of a request, and for what is left of a body after its answer.",
    )
    import_limit: int = Field(
        20 * MIB, ge=1024, le=LARGEST_BODY, description="Largest CSV file of an import in bytes."
    )
    webhook_limit: int = Field(
        256 * 1024, ge=1024, le=LARGEST_BODY, description="Largest webhook of the card provider in bytes."
    )
    revocations_keep: timedelta = Field(
        timedelta(minutes=5),
        description="How long reads and orders go on by the last list of revoked tokens while Redis is away.",
    )
    revocations_critical: Literal["some", "all"] = Field(
        "some",
        description="What is closed at once while it is not known which tokens are revoked: some (operators, payments,"
        " accounts), or all that has a token of auth's.",
    )
    request_limit: timedelta = Field(
        timedelta(seconds=60), description="Longest time for one request, with its body."
    )
    own_keys_refresh: timedelta = Field(
        timedelta(seconds=10),
        gt=timedelta(0),
        description="How often auth is asked for its public keys, where no hint comes sooner.",
    )
    call_timeout: timedelta = Field(
        timedelta(seconds=10), description="Deadline of one call to another service."
    )
    calls_per_upstream: int = Field(
        1000, ge=1, description="Most calls to one service at once; what comes on top is answered 503."
    )
    waits_at_once: int = Field(
        5000, ge=1, description="Most requests at once that wait for an order to settle; others do not wait."
    )
    passwords_at_once: int = Field(
        0,
        ge=0,
        description="Requests with a password that are under way at once, others wait their turn; 0 means one per core.",
    )
    passwords_waiting: int = Field(
        500, ge=0, description="Requests with a password that may wait; what comes on top is answered 503."
    )
    repeat_ratio: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the calls to a service that may be repeated after it was away, reads and those with an"
        " Idempotency-Key alone; 0 repeats nothing.",
    )
    circuit_failures: int = Field(
        10,
        ge=1,
        description="Failed calls to a service, if half of all fail, after which it is not asked any more.",
    )
    circuit_window: timedelta = Field(
        timedelta(seconds=10), gt=timedelta(0), description="Time within which these have failed."
    )
    circuit_pause: timedelta = Field(
        timedelta(seconds=1),
        gt=timedelta(0),
        description="Time until one call finds out whether the service is back, and between such calls.",
    )
    import_timeout: timedelta = Field(timedelta(seconds=55), description="Deadline of one import.")
    # 200 of the largest orders, as they come back with their titles, still fit into one gRPC message.
    place_batch: int = Field(100, ge=1, le=200, description="Most orders in one call to orders.")
    shutdown_grace: timedelta = Field(
        timedelta(seconds=10), description="Time to finish what is under way at a stop."
    )
    drain_delay: timedelta = Field(
        timedelta(0),
        description="At a stop, time between /readyz telling of it and the closing of the doors; a little longer than"
        " load balancers need to notice.",
    )
    instance: str = Field(
        default_factory=lambda: f"{os.uname().nodename}-{os.getpid()}", description="Name of this replica."
    )

    @field_validator("oidc_issuers", mode="before")
    @classmethod
    def _issuers(cls, value: Any) -> tuple[issuers.Issuer, ...]:
        return issuers.parse(value)

    @model_validator(mode="after")
    def _nobody_is_us(self) -> Settings:
        if any(one.issuer == self.public_url for one in self.oidc_issuers):
            raise ValueError(f"{issuers.VARIABLE}: issuer: {self.public_url} is this installation itself")
        return self

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """As browsers send them (RFC 6454, section 6.2): in small letters, without a path."""
        if not all(ORIGIN.fullmatch(origin) for origin in value):
            raise ValueError(
                "must be origins such as https://shop.example, separated by commas, without a path"
            )
        return tuple(origin.lower() for origin in value)
