"""Stripe's shapes: what is sent as forms, and what is read of its answers, in its own units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from orderhub_payments.clients.currencies import from_stripe
from orderhub_payments.clients.provider import ProviderRecord
from orderhub_payments.model import Authorize, PayBack

INTENTS: Final = "/v1/payment_intents"
REFUNDS: Final = "/v1/refunds"
PAGE: Final = 100
OPEN: Final = frozenset({"requires_action", "requires_payment_method", "requires_confirmation"})
"""A PaymentIntent that waits for its customer, who is not there."""
WITH_CHARGE: Final = {"expand[]": "latest_charge"}

Form = Mapping[str, str]


class Charge(msgspec.Struct):
    status: str = ""
    amount_refunded: int = 0


class Intent(msgspec.Struct):
    """A PaymentIntent; `latest_charge` is its id where it was not expanded."""

    id: str
    status: str
    amount: int
    currency: str
    amount_received: int = 0
    metadata: dict[str, str] | None = None
    latest_charge: Charge | str | None = None


class Refund(msgspec.Struct):
    id: str
    status: str | None
    amount: int
    metadata: dict[str, str] | None = None
    failure_reason: str | None = None


class Error(msgspec.Struct):
    type: str = ""
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None
    param: str | None = None
    payment_intent: Intent | None = None

    @property
    def word(self) -> str:
        return self.code or self.type or "refused"


class Failed(msgspec.Struct):
    error: Error


class Intents(msgspec.Struct):
    data: list[Intent]
    has_more: bool = False


class Refunds(msgspec.Struct):
    data: list[Refund]
    has_more: bool = False


def authorization(asked: Authorize, amount: int) -> Form:
    return {
        "amount": str(amount),
        "currency": asked.currency.lower(),
        "payment_method": asked.token,
        "capture_method": "manual",
        "confirm": "true",
        "off_session": "true",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "metadata[order_id]": asked.reference,
        "metadata[payment_id]": asked.payment_id,
    }


def refund(asked: PayBack, amount: int) -> Form:
    return {
        "payment_intent": asked.provider_ref,
        "amount": str(amount),
        "metadata[refund_id]": asked.reference,
        "metadata[payment_id]": asked.payment_id,
    }


def record(intent: Intent) -> ProviderRecord:
    """In our minor units and words."""
    currency, charge = intent.currency.upper(), intent.latest_charge
    charge = charge if isinstance(charge, Charge) else Charge()
    # What was authorized and then let go is a charge with all of it "refunded": no money had come.
    refunded = charge.amount_refunded if intent.amount_received else 0
    return ProviderRecord(
        intent.id,
        (intent.metadata or {}).get("order_id", ""),
        _status(intent.status, charge),
        currency,
        from_stripe(intent.amount, currency),
        from_stripe(intent.amount_received, currency),
        from_stripe(refunded, currency),
    )


def _status(status: str, charge: Charge) -> str:
    """Of a canceled one the charge tells whether it ever held anything."""
    if status == "canceled":
        return "voided" if charge.status == "succeeded" else "declined"
    return {"requires_capture": "authorized", "succeeded": "captured"}.get(status, status)
