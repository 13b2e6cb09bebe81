"""What the examples of the OpenAPI document are made of: their ids, and a thing of each kind as it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

VENDOR: Final = "01980a2e-0001-7000-8000-000000000001"
CUSTOMER: Final = "01980a2e-0002-7000-8000-000000000002"
COURIER: Final = "01980a2e-0003-7000-8000-000000000003"
PRODUCT: Final = "01980a2e-0004-7000-8000-000000000004"
FERRETS: Final = "01980a2e-0005-7000-8000-000000000005"
ANIMAL: Final = "01980a2e-0006-7000-8000-000000000006"
ORDER: Final = "01980a2e-0007-7000-8000-000000000007"
PAYMENT: Final = "01980a2e-0008-7000-8000-000000000008"
DELIVERY: Final = "01980a2e-0009-7000-8000-000000000009"
RUN: Final = "01980a2e-000a-7000-8000-00000000000a"
DEAD_LETTER: Final = "01980a2e-000b-7000-8000-00000000000b"
SESSION: Final = "01980a2e-000c-7000-8000-00000000000c"
CLIENT: Final = "01980a2e-000d-7000-8000-00000000000d"
API_KEY: Final = "01980a2e-000f-7000-8000-00000000000f"
NOTHING: Final = "01980a2e-00ff-7000-8000-0000000000ff"
AT: Final = "2026-05-04T09:30:00.000000Z"
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"


@dataclass(frozen=True, slots=True)
class Example:
    """One request and its answer. `parameters` are those of path, query and headers, by name."""

    name: str
    summary: str
    role: str
    status: int
    answer: Any
    body: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def eur(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "EUR"}


def problem(status: int, title: str, code: str, detail: str, *errors: Mapping[str, str]) -> dict[str, Any]:
    return {
        "type": f"urn:orderhub:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "trace_id": TRACE,
        "errors": list(errors),
    }


def page(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"items": [item], "next_cursor": None}


HOME: Final = {
    "name": "Ada Lovelace", "line1": "Invalidenstr. 1", "city": "Berlin", "postal_code": "10115", "country": "DE",
    "phone": "+49 30 1234567", "lat": 52.53, "lon": 13.38,
}  # fmt: skip
SHOP: Final = {
    "name": "Blue Lagoon Aquatics", "line1": "Havenweg 12", "city": "Rotterdam", "postal_code": "3011",
    "country": "NL", "phone": None, "lat": 51.92, "lon": 4.48,
}  # fmt: skip
A_PERSON: Final = {
    "id": CUSTOMER, "email": "ada@example.org", "name": "Ada", "roles": ["customer"], "email_verified": False,
    "vendor_id": None,
}  # fmt: skip
A_USER: Final = {**A_PERSON, "issuer": None}
A_ME: Final = {
    **A_USER, "phone": "+49301234567", "updated_at": AT, "mfa_enabled": False,
    "address": {"street_address": "Invalidenstr. 1", "locality": "Berlin", "postal_code": "10115", "country": "DE"},
}  # fmt: skip
A_USER_ENTRY: Final = {
    **A_PERSON,
    "disabled": False,
    "locked_until": None,
    "mfa_enabled": False,
    "created_at": AT,
}
A_SESSION: Final = {
    "id": SESSION, "client": None, "address": "203.0.113.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64)", "created_at": AT,
    "last_seen_at": AT, "expires_at": "2026-06-03T09:30:00.000000Z", "current": True,
}  # fmt: skip
TOKENS: Final = {
    "access_token": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl", "refresh_token": "ohr_c2VjcmV0",
    "token_type": "Bearer", "expires_in": 900, "refresh_expires_in": 2_592_000, "user": A_USER,
}  # fmt: skip
A_VENDOR: Final = {
    "id": VENDOR, "name": "Blue Lagoon Aquatics", "country": "NL",
    "address": {"line1": "Havenweg 12", "city": "Rotterdam", "postal_code": "3011", "lat": 51.92, "lon": 4.48},
    "email": None, "version": 1,
}  # fmt: skip
A_PRODUCT: Final = {
    "id": PRODUCT, "vendor_id": VENDOR, "sku": "WOOD-1", "title": "Driftwood", "description": "Soaked for a month.",
    "kind": "good", "species": None, "price": eur(1500), "status": "active",
    "stock": {"on_hand": 100, "reserved": 0, "available": 100, "quarantined": 0}, "version": 1, "facts": None,
}  # fmt: skip
FACTS: Final = {
    "life_stage": "juvenile", "born_on": "2025-11-03", "weaned": True, "carapace_cm": None, "weight_kg": 1.4,
    "with_mother": False,
}  # fmt: skip
AN_ANIMAL: Final = {
    "id": ANIMAL, "product_id": FERRETS, "vendor_id": VENDOR, "status": "free", "identifier": "528140000123456",
    "species": "mustela_furo", "facts": FACTS, "version": 1,
}  # fmt: skip
AN_ORDER: Final = {
    "id": ORDER, "status": "CONFIRMED", "reason": None, "customer_id": CUSTOMER, "vendor_id": VENDOR,
    "lines": [
        {
            "line_no": 1, "product_id": PRODUCT, "sku": "WOOD-1", "title": "Driftwood", "quantity": 2,
            "unit_price": eur(1500), "line_total": eur(3000), "animal": None,
        },
    ],
    "totals": {"items": eur(3000), "delivery": eur(0), "tax": eur(0), "total": eur(3000)},
    "payment": {"id": PAYMENT, "status": "CAPTURED"}, "delivery": {"id": DELIVERY, "status": "CREATED"},
    "ship_to": HOME, "comment": None, "created_at": AT, "updated_at": AT, "version": 9,
}  # fmt: skip
PLACED: Final = {**AN_ORDER, "status": "PENDING", "payment": None, "delivery": None, "version": 1}
TO_PLACE: Final = {
    "lines": [{"product_id": PRODUCT, "quantity": 2}], "ship_to": HOME, "payment": {"token": "tok_ok"},
}  # fmt: skip
CANCELLED: Final = {
    **AN_ORDER, "status": "CANCELLING", "reason": {"code": "orders.cancelled", "message": "x", "lines": None},
}  # fmt: skip
A_PAYMENT: Final = {
    "id": PAYMENT, "order_id": ORDER, "status": "CAPTURED", "authorized": eur(3000), "captured": eur(3000),
    "refunded": eur(0), "provider": "simulator", "provider_ref": "auth_4f1c", "refunds": [], "version": 3,
}  # fmt: skip
A_REFUND: Final = {
    "id": NOTHING, "amount": eur(500), "reason": "arrived scratched", "status": "pending", "created_at": AT,
}  # fmt: skip
A_DELIVERY: Final = {
    "id": DELIVERY, "order_id": ORDER, "vendor_id": VENDOR, "status": "CREATED", "held": False, "picked_up": False,
    "description": "2 × Driftwood", "pickup_address": SHOP, "delivery_address": HOME, "courier_id": None,
    "recipient": None, "eta": None, "position": None,
    "legs": [
        {"leg_no": 1, "from_city": "Rotterdam", "to_city": "Berlin", "distance_km": 617.2, "status": "PLANNED"},
    ],
    "reason": None, "created_at": AT, "updated_at": AT, "version": 2,
}  # fmt: skip
TAKEN: Final = {**A_DELIVERY, "status": "ASSIGNED", "courier_id": COURIER}
ON_ITS_WAY: Final = {**TAKEN, "status": "IN_PROGRESS", "picked_up": True}
A_SAGA: Final = {
    "run_id": RUN, "order_id": ORDER, "definition": "place_order", "definition_version": 1, "state": "SUCCEEDED",
    "step": 8, "step_name": "confirm", "epoch": 1, "attempts": 0, "deadline_at": None, "created_at": AT,
    "updated_at": AT, "reason": None,
}  # fmt: skip
AN_ENTRY: Final = {
    "id": "1", "transaction_id": NOTHING, "account": "provider_clearing", "amount": eur(3000), "order_id": ORDER,
    "payment_id": PAYMENT, "kind": "capture", "created_at": AT,
}  # fmt: skip
CSV: Final = (
    "vendor,sku,title,kind,species,price_minor,currency,stock,life_stage,age_days,weight_kg,weaned,carapace_cm\n"
    "Blue Lagoon Aquatics,STONE-1,River stone,good,,900,EUR,40,,,,,\n"
)

NO_ORDER: Final = problem(404, "Not Found", "orders.not_found", f"no order {NOTHING}")
