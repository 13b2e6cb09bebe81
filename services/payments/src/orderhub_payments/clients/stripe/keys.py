"""How long Stripe remembers an idempotency key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from orderhub_payments.model import Asked

KEPT: Final = timedelta(hours=20)
"""Stripe keeps a key for 24 hours at least; the rest is for clocks that differ."""


def may_be_forgotten(asked: Asked, now: datetime) -> bool:
    return asked.since is not None and now - asked.since > KEPT
