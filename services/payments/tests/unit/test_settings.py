"""What the settings of payments may not say."""

from __future__ import annotations

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
