"""The examples of the OpenAPI document. A test executes every one: its ids are replaced by real ones, nothing else.

`role` is who asks. A name that begins with `refused` shows a problem.
"""

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
A_USER_ENTRY: Final = {**A_PERSON, "disabled": False, "created_at": AT}
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

AUTH: Final[dict[str, tuple[Example, ...]]] = {
    "register": (
        Example(
            "customer", "Become a customer", "anybody", 201, TOKENS,
            {"email": "grace@example.org", "password": "a long password", "name": "Grace"},
        ),
        Example(
            "refused-password", "The password is too short", "anybody", 400,
            problem(
                400, "Bad Request", "request.length", "/password: expected str of length >= 10",
                {"pointer": "/password", "code": "length", "detail": "expected str of length >= 10"},
            ),
            {"email": "grace@example.org", "password": "short"},
        ),
    ),
    "login": (
        Example(
            "login", "Log in", "anybody", 200, TOKENS,
            {"email": "ada@example.org", "password": "a password for tests"},
        ),
        Example(
            "refused", "Wrong password, or unknown address", "anybody", 401,
            problem(
                401, "Unauthorized", "auth.wrong_credentials", "the e-mail address or the password is wrong"
            ),
            {"email": "nobody@example.org", "password": "a wrong password"},
        ),
    ),
    "refresh": (
        Example("refresh", "Exchange the token", "anybody", 200, TOKENS, {"refresh_token": "ohr_c2VjcmV0"}),
        Example(
            "refused", "Spent, revoked or unknown", "anybody", 401,
            problem(
                401, "Unauthorized", "auth.refresh_refused",
                "the refresh token is not valid any more: log in again",
            ),
            {"refresh_token": "ohr_unknown"},
        ),
    ),
    "logout": (Example("logout", "Log out", "anybody", 204, None, {"refresh_token": "ohr_c2VjcmV0"}),),
    "getMe": (Example("me", "Who am I", "customer", 200, A_USER),),
}  # fmt: skip

CATALOGUE: Final[dict[str, tuple[Example, ...]]] = {
    "getVendor": (Example("vendor", "A vendor", "anybody", 200, A_VENDOR, None, {"vendor_id": VENDOR}),),
    "updateVendor": (
        Example(
            "address", "Move", "vendor", 200, {**A_VENDOR, "email": "sales@blue-lagoon.example", "version": 2},
            {
                "address": {
                    "line1": "Havenweg 14", "city": "Rotterdam", "postal_code": "3011", "country": "NL",
                    "lat": 51.92, "lon": 4.48,
                },
                "email": "sales@blue-lagoon.example",
            },
        ),
    ),
    "listProducts": (
        Example(
            "search", "What can be bought now", "anybody", 200, page(A_PRODUCT), None,
            {"q": "driftwood", "in_stock": True, "sort": "price", "limit": 20},
        ),
    ),
    "createProduct": (
        Example(
            "good", "A good", "vendor", 201, {**A_PRODUCT, "sku": "WOOD-2"},
            {
                "sku": "WOOD-2", "title": "Driftwood, large", "kind": "good", "price": eur(2500), "stock": 20,
                "description": "Soaked for a month.",
            },
        ),
        Example(
            "animals", "Animals that are sold one by one", "vendor", 201,
            {**A_PRODUCT, "sku": "FERRET-2", "kind": "individual", "species": "mustela_furo", "facts": FACTS},
            {
                "sku": "FERRET-2", "title": "Ferret", "kind": "individual", "species": "mustela_furo",
                "price": eur(18000), "facts": {"life_stage": "juvenile", "weaned": True},
            },
        ),
    ),
    "getProduct": (
        Example("product", "A product", "anybody", 200, A_PRODUCT, None, {"product_id": PRODUCT}),
        Example(
            "refused", "No such product", "anybody", 404,
            problem(404, "Not Found", "inventory.product_not_found", "there is no such product"),
            None, {"product_id": NOTHING},
        ),
    ),
    "updateProduct": (
        Example(
            "price", "A new price, unless somebody was faster", "vendor", 200, {**A_PRODUCT, "version": 2},
            {"price": eur(1600)}, {"product_id": PRODUCT, "If-Match": '"1"'},
        ),
    ),
    "archiveProduct": (
        Example(
            "archive", "Take it out of the catalogue", "vendor", 200, {**A_PRODUCT, "status": "archived"},
            None, {"product_id": PRODUCT},
        ),
    ),
    "importProducts": (
        Example(
            "file", "A file", "vendor", 200,
            {"rows": 1, "created": 1, "updated": 0, "unchanged": 0, "errors": [], "errors_total": 0},
            CSV, {"partial": False},
        ),
    ),
    "changeStock": (
        Example(
            "delta", "Ten more", "vendor", 200, A_PRODUCT, {"delta": 10, "reason": "delivery from the mill"},
            {"product_id": PRODUCT},
        ),
        Example(
            "count", "What was counted", "vendor", 200, A_PRODUCT, {"set": 97, "reason": "stocktaking"},
            {"product_id": PRODUCT, "If-Match": '"1"'},
        ),
        Example(
            "refused", "Setting needs If-Match", "vendor", 428,
            problem(
                428, "Precondition Required", "request.if_match_required",
                "this needs If-Match with the ETag of the version that you have seen",
            ),
            {"set": 97, "reason": "stocktaking"}, {"product_id": PRODUCT},
        ),
    ),
    "listAnimals": (
        Example("animals", "Animals on sale", "anybody", 200, page(AN_ANIMAL), None, {"product_id": FERRETS}),
    ),
    "addAnimal": (
        Example(
            "animal", "One more", "vendor", 201, AN_ANIMAL,
            {"identifier": "528140000123457", "facts": {"born_on": "2025-11-03", "weaned": True, "weight_kg": 1.4}},
            {"product_id": FERRETS},
        ),
    ),
    "releaseAnimal": (
        Example(
            "refused", "Only from quarantine", "vendor", 409,
            problem(409, "Conflict", "inventory.wrong_animal_status", "the animal is free"),
            None, {"animal_id": ANIMAL},
        ),
    ),
}  # fmt: skip

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


def _over(action: str) -> tuple[Example, ...]:
    """An action on a run that is over."""
    answer = problem(409, "Conflict", "orders.wrong_saga_state", "the run is over")
    summary = f"{action.capitalize()}: not when the run is over"
    return (
        Example("refused", summary, "operator", 409, answer, {"reason": "looked at it"}, {"run_id": RUN}),
    )


ADMIN: Final[dict[str, tuple[Example, ...]]] = {
    "releaseOrder": (
        Example(
            "refused", "Only from hold", "operator", 409,
            problem(409, "Conflict", "orders.not_on_hold", "the order is CONFIRMED"), None, {"order_id": ORDER},
        ),
    ),
    "rejectOrder": (
        Example(
            "refused", "Only from hold", "operator", 409,
            problem(409, "Conflict", "orders.not_on_hold", "the order is CONFIRMED"),
            {"reason": "the papers are missing"}, {"order_id": ORDER},
        ),
    ),
    "listSagas": (
        Example("of-order", "Of an order", "operator", 200, page(A_SAGA), None, {"order_id": ORDER}),
    ),
    "getSaga": (Example("run", "A run", "operator", 200, A_SAGA, None, {"run_id": RUN}),),
    "retrySaga": _over("retry"),
    "compensateSaga": _over("compensate"),
    "skipSaga": _over("skip"),
    "forceSaga": _over("force"),
    "listDeadLetters": (
        Example(
            "open", "What waits for a person", "operator", 200, {"items": [], "next_cursor": None}, None,
            {"status": "dead"},
        ),
    ),
    "getDeadLetter": (
        Example(
            "unknown", "No service has it", "operator", 404,
            problem(404, "Not Found", "dead_letters.not_found", "there is no such dead letter"),
            None, {"dead_letter_id": NOTHING},
        ),
    ),
    "replayDeadLetter": (
        Example(
            "refused", "No service has it", "operator", 404,
            problem(404, "Not Found", "dead_letters.not_found", "there is no such dead letter"),
            {"dry_run": True}, {"dead_letter_id": NOTHING},
        ),
    ),
    "listLedger": (
        Example("of-order", "Of an order", "operator", 200, page(AN_ENTRY), None, {"order_id": ORDER}),
    ),
    "reconcile": (
        Example("clean", "Everything agrees", "operator", 200, {"payments_checked": 1, "differences": []}),
    ),
    "listUsers": (
        Example("couriers", "All couriers", "operator", 200, page(A_USER_ENTRY), None, {"role": "courier"}),
    ),
    "createUser": (
        Example(
            "courier", "A courier", "operator", 201,
            {**A_USER_ENTRY, "roles": ["courier"], "email_verified": True},
            {"email": "courier@example.org", "password": "a long password", "roles": ["courier"], "name": "Linus"},
        ),
    ),
}  # fmt: skip

EXAMPLES: Final = {**AUTH, **CATALOGUE, **ORDERS, **PAYMENTS, **DELIVERIES, **ADMIN}
"""By operation id."""
