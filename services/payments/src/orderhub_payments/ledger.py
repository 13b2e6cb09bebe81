"""The double-entry postings: which accounts a capture and a refund move. Pure; debit positive, credit negative.

- `provider_clearing`: what the provider owes us.
- `vendor_payable:{vendor}`: what we owe the vendor before refunds.
- `refunds`: what was granted back; set against vendor_payable when vendors are paid out.
- `customer:{order}`: what we owe the customer, between the grant of a refund and its payment.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from orderhub_payments.model import Payment

PROVIDER_CLEARING: Final = "provider_clearing"
REFUNDS: Final = "refunds"


class Posting(msgspec.Struct, frozen=True):
    """A ledger transaction with two entries; `cause` is its id, so that nothing is posted twice."""

    cause: UUID
    kind: str
    payment: Payment
    debit: str
    credit: str
    amount: int


def customer(order_id: UUID) -> str:
    return f"customer:{order_id}"


def vendor_payable(vendor_id: UUID) -> str:
    return f"vendor_payable:{vendor_id}"


def capture(payment: Payment, intent_id: UUID) -> Posting:
    return Posting(
        intent_id, "capture", payment, PROVIDER_CLEARING, vendor_payable(payment.vendor_id), payment.captured
    )


def refund_granted(payment: Payment, refund_id: UUID, amount: int) -> Posting:
    return Posting(refund_id, "refund_granted", payment, REFUNDS, customer(payment.order_id), amount)


def refund_paid(payment: Payment, intent_id: UUID, amount: int) -> Posting:
    return Posting(intent_id, "refund_paid", payment, customer(payment.order_id), PROVIDER_CLEARING, amount)


def refund_returned(payment: Payment, intent_id: UUID, amount: int) -> Posting:
    return Posting(intent_id, "refund_returned", payment, customer(payment.order_id), REFUNDS, amount)
