"""Examples of orders."""

from __future__ import annotations

from typing import Final

from orderhub_gateway.examples.things import (
    AN_ORDER,
    AT,
    CANCELLED,
    NO_ORDER,
    NOTHING,
    ORDER,
    PAYMENT,
    PLACED,
    TO_PLACE,
    TRACE,
    VENDOR,
    Example,
    page,
    problem,
)

ORDERS: Final[dict[str, tuple[Example, ...]]] = {
    "placeOrder": (
        Example(
            "goods", "Two of a product", "customer", 202, PLACED, TO_PLACE,
            {"Idempotency-Key": "6f1c2b1e-goods"},
        ),
        Example(
            "settled", "By SKU, and wait until it is settled", "customer", 200, AN_ORDER,
            {**TO_PLACE, "lines": [{"vendor_id": VENDOR, "sku": "WOOD-1", "quantity": 1}], "comment": "Please ring."},
            {"Idempotency-Key": "6f1c2b1e-settled", "Prefer": "wait=20"},
        ),
        Example(
            "declined", "A declined card: the order is the answer", "customer", 200,
            {
                **AN_ORDER, "status": "REJECTED",
                "reason": {"code": "payments.declined", "message": "the card was declined", "lines": None},
                "payment": {"id": PAYMENT, "status": "DECLINED"}, "delivery": None,
            },
            {**TO_PLACE, "payment": {"token": "tok_declined"}},
            {"Idempotency-Key": "6f1c2b1e-declined", "Prefer": "wait=20"},
        ),
        Example(
            "refused-key", "Without an Idempotency-Key", "customer", 400,
            problem(
                400, "Bad Request", "idempotency.key_required",
                "this needs an Idempotency-Key header, so that a repetition does no harm",
            ),
            TO_PLACE,
        ),
    ),
    "listOrders": (
        Example("mine", "My orders", "customer", 200, page(AN_ORDER), None, {"status": "CONFIRMED", "limit": 10}),
    ),
    "getOrder": (
        Example("order", "An order", "customer", 200, AN_ORDER, None, {"order_id": ORDER}),
        Example("refused", "No such order, or a stranger's", "customer", 404, NO_ORDER, None, {"order_id": NOTHING}),
    ),
    "cancelOrder": (
        Example(
            "changed-mind", "Cancel it", "customer", 202, CANCELLED, {"reason": "changed my mind"},
            {"order_id": ORDER, "Idempotency-Key": "6f1c2b1e-cancel"},
        ),
    ),
    "getTimeline": (
        Example(
            "timeline", "What happened", "customer", 200,
            {
                "items": [
                    {
                        "at": AT, "seq": 1, "kind": "order.placed", "title": "Order placed", "detail": "",
                        "service": "orders", "trace_id": TRACE,
                    },
                ],
            },
            None, {"order_id": ORDER},
        ),
    ),
}  # fmt: skip
