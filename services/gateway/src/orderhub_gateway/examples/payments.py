"""Examples of payments."""

from __future__ import annotations

from typing import Final

from orderhub_gateway.examples.things import A_PAYMENT, A_REFUND, ORDER, PAYMENT, Example, eur, page, problem

PAYMENTS: Final[dict[str, tuple[Example, ...]]] = {
    "listPayments": (
        Example("of-order", "Of an order", "customer", 200, page(A_PAYMENT), None, {"order_id": ORDER}),
    ),
    "getPayment": (
        Example("payment", "A payment", "customer", 200, A_PAYMENT, None, {"payment_id": PAYMENT}),
    ),
    "refundPayment": (
        Example(
            "part", "A part", "vendor", 202, {**A_PAYMENT, "refunds": [A_REFUND]},
            {"amount": eur(500), "reason": "arrived scratched"},
            {"payment_id": PAYMENT, "Idempotency-Key": "6f1c2b1e-refund"},
        ),
    ),
    "receiveStripeWebhook": (
        Example(
            "forged", "Signed by somebody else", "anybody", 400,
            problem(
                400, "Bad Request", "payments.webhook_signature_wrong",
                "no secret of this endpoint has made this signature over this body",
            ),
            {"id": "evt_1", "object": "event", "type": "charge.refunded", "data": {"object": {"id": "ch_1"}}},
            {"Stripe-Signature": "t=1492774577,v1=" + "0" * 64},
        ),
    ),
}  # fmt: skip
