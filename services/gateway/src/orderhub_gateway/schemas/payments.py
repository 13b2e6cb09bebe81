"""Shapes of `payments/…`."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from orderhub_gateway.schemas.common import Input, Money, MoneyInput, ReasonText

PaymentStatus = Literal[
    "PENDING", "AUTHORIZED", "CAPTURED", "VOIDED", "PARTIALLY_REFUNDED", "REFUNDED", "DECLINED", "FAILED"
]


class Refund(msgspec.Struct, kw_only=True):
    id: str
    amount: Money
    reason: str
    status: Literal["pending", "succeeded", "failed"]
    created_at: str


class Payment(msgspec.Struct, kw_only=True):
    id: str
    order_id: str
    status: PaymentStatus
    authorized: Money
    captured: Money
    refunded: Money
    provider: str
    provider_ref: str | None
    refunds: list[Refund]
    version: int


class RefundPayment(Input):
    """Without `amount`, all that is left is refunded."""

    reason: ReasonText
    amount: MoneyInput | UnsetType = UNSET


class WebhookReceipt(msgspec.Struct, kw_only=True):
    """`ignored` is an event of no interest here; a repeated one has no further effect."""

    outcome: Literal["stored", "repeated", "ignored"]
