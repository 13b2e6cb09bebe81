"""Payments, the ledger and what reconcile finds."""

from __future__ import annotations

from typing import Literal, cast

from orderhub_contracts.payments.v1 import payments_pb2 as pb

from orderhub_gateway.convert import common
from orderhub_gateway.schemas.operator import Difference, LedgerEntry, Reconciliation
from orderhub_gateway.schemas.payments import Payment, PaymentStatus, Refund, WebhookReceipt


def payment(message: pb.Payment) -> Payment:
    return Payment(
        id=message.id,
        order_id=message.order_id,
        status=cast(PaymentStatus, message.status),
        authorized=common.money(message.authorized),
        captured=common.money(message.captured),
        refunded=common.money(message.refunded),
        provider=message.provider,
        provider_ref=message.provider_ref or None,
        refunds=[refund(item) for item in message.refunds],
        version=message.version,
    )


def refund(message: pb.Refund) -> Refund:
    return Refund(
        id=message.id,
        amount=common.money(message.amount),
        reason=message.reason,
        status=cast(Literal["pending", "succeeded", "failed"], message.status),
        created_at=message.created_at,
    )


def receipt(message: pb.ReceiveStripeWebhookResponse) -> WebhookReceipt:
    return WebhookReceipt(outcome=cast(Literal["stored", "repeated", "ignored"], message.outcome))


def ledger_entry(message: pb.LedgerEntry) -> LedgerEntry:
    return LedgerEntry(
        id=message.id,
        transaction_id=message.transaction_id,
        account=message.account,
        amount=common.money(message.amount),
        order_id=message.order_id,
        payment_id=message.payment_id,
        kind=message.kind,
        created_at=message.created_at,
    )


def reconciliation(message: pb.ReconcileResponse) -> Reconciliation:
    differences = [
        Difference(code=d.code, order_id=d.order_id or None, payment_id=d.payment_id or None, detail=d.detail)
        for d in message.differences
    ]
    return Reconciliation(payments_checked=message.payments_checked, differences=differences)
