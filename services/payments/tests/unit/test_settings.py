"""What the settings of payments may not say."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from orderhub_payments.settings import Settings
from pydantic import ValidationError

NEEDED = {
    "database_url": "postgresql://x", "redis_url": "redis://x", "bus": "postgresql://x", "internal_key": "i" * 32,
    "cursor_key": "c" * 32, "simulator_url": "http://x", "simulator_api_key": "k" * 16,
}  # fmt: skip


@pytest.mark.parametrize("seconds", [3, 4])
def test_a_lease_that_could_end_during_its_call_is_refused(seconds: int) -> None:
    with pytest.raises(ValidationError, match="ORDERHUB_PAYMENTS_LEASE must be above"):
        Settings(**NEEDED, lease=timedelta(seconds=seconds), provider_timeout=timedelta(seconds=4))


def test_the_shipped_lease_outlives_the_shipped_call() -> None:
    settings = Settings(**NEEDED)
    assert settings.lease > settings.provider_timeout


STRIPE = {"stripe_api_key": "sk_test_0123456789", "stripe_webhook_secret": "whsec_0123456789"}
WITHOUT = {name: value for name, value in NEEDED.items() if not name.startswith("simulator")}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (WITHOUT, r"SIMULATOR_URL: is required with .*PROVIDER=simulator; .*SIMULATOR_API_KEY: is required"),
        (
            WITHOUT | {"provider": "stripe"},
            r"STRIPE_API_KEY: is required with .*PROVIDER=stripe; .*WEBHOOK_SECRET: ",
        ),
        (
            WITHOUT | {"provider": "stripe", "stripe_api_key": "sk_test_0123456789"},
            r"STRIPE_WEBHOOK_SECRET: is required with ORDERHUB_PAYMENTS_PROVIDER=stripe$",
        ),
        (
            NEEDED | {"stripe_api_key": "sk_test_0123456789"},
            r"STRIPE_WEBHOOK_SECRET: is required with ORDERHUB_PAYMENTS_STRIPE_API_KEY$",
        ),
        (
            NEEDED | STRIPE | {"stripe_webhook_secret": "whsec_0123456789,,"},
            r"STRIPE_WEBHOOK_SECRET: a secret of the list is empty",
        ),
        (
            NEEDED | STRIPE | {"stripe_webhook_secret": "whsec_0123456789,whsec_short"},
            r"STRIPE_WEBHOOK_SECRET: each secret of the list must have at least 16 characters",
        ),
    ],
)
def test_what_the_chosen_provider_lacks_is_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**given)
    assert re.search(words, refused.value.errors()[0]["msg"])
    assert "0123456789" not in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize("name", ["stripe_api_key", "simulator_api_key"])
@pytest.mark.parametrize("value", ["sk_test_0123456789\n", "sk_test_\t0123456789", "sk_test_\0000123456789"])
def test_a_key_that_no_header_can_carry_is_refused_at_the_start(name: str, value: str) -> None:
    """Otherwise no question at all could be sent, and each would be repeated for ever."""
    with pytest.raises(ValidationError, match="must be one line of printable characters") as refused:
        Settings(**NEEDED | STRIPE | {name: value})
    assert "0123456789" not in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize("name", ["stripe_timeout", "provider_timeout"])
def test_a_call_without_any_time_is_refused(name: str) -> None:
    """0 would be no limit at all to the HTTP client, and outlive every lease."""
    with pytest.raises(ValidationError, match=name):
        Settings(**NEEDED, **{name: "0"})


def test_stripe_alone_is_enough_and_its_leases_outlive_its_calls() -> None:
    settings = Settings(**WITHOUT, **STRIPE, provider="stripe", simulator_api_key="")
    assert settings.simulator_api_key is None
    assert settings.longest_call == settings.stripe_timeout
    assert settings.lease_length - settings.longest_call == settings.lease - settings.provider_timeout
    plain = Settings(**NEEDED)
    assert (plain.longest_call, plain.lease_length) == (plain.provider_timeout, plain.lease)


def test_several_webhook_secrets_are_separated_by_commas() -> None:
    settings = Settings(
        **NEEDED, **STRIPE | {"stripe_webhook_secret": "whsec_of_last_year, whsec_of_this_year"}
    )
    assert settings.webhook_secrets == (b"whsec_of_last_year", b"whsec_of_this_year")
