"""Settings of payments, read as ORDERHUB_PAYMENTS_<NAME>."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self

from orderhub_chassis.settings import CommonSettings, HttpUrl, ServiceSettings
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

LEAST_SECRET: Final = 16


def _one_line(value: SecretStr) -> SecretStr:
    """What was read from a file may end in a line break, with which no request could be sent."""
    if not value.get_secret_value().isprintable():
        raise ValueError("must be one line of printable characters")
    return value


ApiKey = Annotated[SecretStr, Field(min_length=LEAST_SECRET), AfterValidator(_one_line)]


class ProviderSettings(CommonSettings):
    """Who the card providers are and how they are asked: all that `orderhub doctor` needs of these settings."""

    model_config = SettingsConfigDict(env_prefix="ORDERHUB_PAYMENTS_")
    service: ClassVar[str] = "payments"

    provider: Literal["simulator", "stripe"] = Field(
        "simulator",
        description="The card provider that new payments use; payments that are there stay with theirs.",
    )
    simulator_url: HttpUrl | None = Field(
        None, description="Where the card provider's simulator listens; required with provider=simulator."
    )
    simulator_api_key: ApiKey | None = Field(
        None,
        description="The simulator's API key (ORDERHUB_SIMULATOR_API_KEY stands in); required with"
        " provider=simulator.",
    )
    stripe_api_key: ApiKey | None = Field(
        None,
        description="Stripe's secret or restricted API key; required with provider=stripe, and for as long as"
        " payments of Stripe are open.",
    )
    stripe_webhook_secret: SecretStr | None = Field(
        None,
        min_length=LEAST_SECRET,
        description="Signing secret of the webhook endpoint (whsec_…); several, separated by commas, while it is"
        " rotated; required with stripe_api_key.",
    )
    stripe_url: HttpUrl = Field("https://api.stripe.com", description="Where Stripe's API is.")
    stripe_timeout: timedelta = Field(
        timedelta(seconds=15),
        gt=timedelta(0),
        description="Time for one batch of questions to Stripe; with Stripe, leases are longer by as much.",
    )
    stripe_parallel: int = Field(20, ge=1, le=100, description="Most requests to Stripe under way at once.")
    provider_timeout: timedelta = Field(
        timedelta(seconds=4), gt=timedelta(0), description="Time for one batch of questions to the provider."
    )
    worker_parallel: int = Field(2, ge=1, le=16, description="Calls of the provider that may be under way.")

    @field_validator(
        "simulator_url", "simulator_api_key", "stripe_api_key", "stripe_webhook_secret", mode="before"
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        """A deployment's template sets a variable that has no value to nothing."""
        return None if value == "" else value

    @model_validator(mode="after")
    def _the_chosen_provider_is_configured(self) -> Self:
        """Stripe's webhooks belong to it: without them what happens at its dashboard is seen by nobody."""
        by_simulator = self.provider == "simulator" and "ORDERHUB_PAYMENTS_PROVIDER=simulator"
        by_stripe = self.provider == "stripe" and "ORDERHUB_PAYMENTS_PROVIDER=stripe"
        needed = {
            "simulator_url": by_simulator,
            "simulator_api_key": by_simulator,
            "stripe_api_key": by_stripe,
            "stripe_webhook_secret": by_stripe
            or (self.stripe_api_key and "ORDERHUB_PAYMENTS_STRIPE_API_KEY"),
        }
        missing = {name: by for name, by in needed.items() if by and getattr(self, name) is None}
        if missing:
            raise ValueError(
                "; ".join(
                    f"ORDERHUB_PAYMENTS_{n.upper()}: is required with {by}" for n, by in missing.items()
                )
            )
        return self

    @model_validator(mode="after")
    def _every_webhook_secret_is_one(self) -> Self:
        """Whoever guesses the shortest of them may speak for Stripe."""
        shortest = min(map(len, self.webhook_secrets), default=LEAST_SECRET)
        if shortest == 0:
            raise ValueError("ORDERHUB_PAYMENTS_STRIPE_WEBHOOK_SECRET: a secret of the list is empty")
        if shortest < LEAST_SECRET:
            raise ValueError(
                "ORDERHUB_PAYMENTS_STRIPE_WEBHOOK_SECRET: each secret of the list must have at least"
                f" {LEAST_SECRET} characters"
            )
        return self

    @property
    def webhook_secrets(self) -> tuple[bytes, ...]:
        """Any of them may have signed."""
        if self.stripe_webhook_secret is None:
            return ()
        return tuple(s.strip().encode() for s in self.stripe_webhook_secret.get_secret_value().split(","))

    @property
    def longest_call(self) -> timedelta:
        """Within which every batch of questions is over, whoever is asked."""
        return (
            max(self.provider_timeout, self.stripe_timeout) if self.stripe_api_key else self.provider_timeout
        )


class Settings(ProviderSettings, ServiceSettings):
    # Of two bases the second's would win.
    model_config = ProviderSettings.model_config

    lease: timedelta = Field(
        timedelta(seconds=10),
        description="Time after which another worker may ask the same; above provider_timeout.",
    )
    worker_batch: int = Field(100, ge=1, le=1000, description="Most operations in one call of the provider.")
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
    def _lease_outlives_the_call(self) -> Self:
        if self.lease <= self.provider_timeout:
            raise ValueError("ORDERHUB_PAYMENTS_LEASE must be above ORDERHUB_PAYMENTS_PROVIDER_TIMEOUT")
        return self

    @property
    def lease_length(self) -> timedelta:
        """The lease, longer by as much as Stripe may take longer than the simulator."""
        return self.lease + self.longest_call - self.provider_timeout
