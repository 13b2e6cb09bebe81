"""Examples of deliveries."""

from __future__ import annotations

from typing import Final

from orderhub_gateway.examples.things import (
    A_DELIVERY,
    AT,
    DELIVERY,
    FERRETS,
    HOME,
    ON_ITS_WAY,
    ORDER,
    SHOP,
    TAKEN,
    Example,
    page,
    problem,
)

DELIVERIES: Final[dict[str, tuple[Example, ...]]] = {
    "quoteDelivery": (
        Example(
            "ferret", "May a ferret travel to Berlin?", "customer", 200,
            {"verdict": "allow", "rule_set_hash": "5d41402abc4b2a76", "distance_km": 617.2, "findings": []},
            {"lines": [{"product_id": FERRETS, "quantity": 1}], "ship_to": HOME},
        ),
    ),
    "createDelivery": (
        Example(
            "refused", "While another is live", "vendor", 409,
            problem(409, "Conflict", "delivery.already_live", "another delivery of this order is live"),
            {
                "order_id": ORDER, "description": "second attempt", "pickup_address": {**SHOP, "phone": ""},
                "delivery_address": HOME,
            },
            {"Idempotency-Key": "6f1c2b1e-delivery"},
        ),
    ),
    "listDeliveries": (
        Example("open", "Work for a courier", "courier", 200, page(A_DELIVERY), None, {"status": "CREATED"}),
    ),
    "getDelivery": (
        Example("delivery", "A delivery", "customer", 200, A_DELIVERY, None, {"delivery_id": DELIVERY}),
    ),
    "assignDelivery": (
        Example("take", "Take it", "courier", 200, TAKEN, {}, {"delivery_id": DELIVERY}),
    ),
    "pickUpDelivery": (
        Example("pickup", "It left the vendor", "courier", 200, ON_ITS_WAY, None, {"delivery_id": DELIVERY}),
    ),
    "reportPosition": (
        Example(
            "position", "Where I am", "courier", 200,
            {**ON_ITS_WAY, "position": {"lat": 52.1, "lon": 7.3, "at": AT}},
            {"position": {"lat": 52.1, "lon": 7.3}}, {"delivery_id": DELIVERY},
        ),
    ),
    "handOverDelivery": (
        Example(
            "door", "At the door", "courier", 200, {**ON_ITS_WAY, "status": "COMPLETED", "recipient": "Ada"},
            {"recipient": "Ada"}, {"delivery_id": DELIVERY},
        ),
    ),
    "failDelivery": (
        Example(
            "nobody", "Nobody opened", "courier", 200,
            {**ON_ITS_WAY, "status": "FAILED", "reason": {"code": "delivery.failed", "message": "x", "lines": None}},
            {"reason": "nobody opened"}, {"delivery_id": DELIVERY},
        ),
    ),
    "cancelDelivery": (
        Example(
            "off", "Call it off", "vendor", 200,
            {**A_DELIVERY, "status": "CANCELLED", "reason": {"code": "delivery.cancelled", "message": "x", "lines": None}},
            {"reason": "the van broke down"}, {"delivery_id": DELIVERY},
        ),
    ),
}  # fmt: skip
