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
    ],
)
def test_what_the_chosen_provider_lacks_is_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**given)
    assert re.search(words, refused.value.errors()[0]["msg"])
    assert "0123456789" not in refused.value.errors()[0]["msg"]


def test_stripe_alone_is_enough_and_its_leases_outlive_its_calls() -> None:
    settings = Settings(**WITHOUT, **STRIPE, provider="stripe", simulator_api_key="")
    assert settings.simulator_api_key is None
    assert settings.longest_call == settings.stripe_timeout
    assert settings.lease_length - settings.longest_call == settings.lease - settings.provider_timeout
    plain = Settings(**NEEDED)
    assert (plain.longest_call, plain.lease_length) == (plain.provider_timeout, plain.lease)


def test_several_webhook_secrets_are_separated_by_commas() -> None:
    settings = Settings(**NEEDED, **STRIPE | {"stripe_webhook_secret": "whsec_the_old, whsec_the_new"})
    assert settings.webhook_secrets == (b"whsec_the_old", b"whsec_the_new")
