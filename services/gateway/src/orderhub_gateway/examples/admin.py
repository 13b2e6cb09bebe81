"""Examples of what operators do."""

from __future__ import annotations

from typing import Final

from orderhub_gateway.examples.things import (
    A_SAGA,
    A_USER_ENTRY,
    AN_ENTRY,
    COURIER,
    NOTHING,
    ORDER,
    RUN,
    Example,
    page,
    problem,
)

MAINTENANCE_OFF: Final = {
    "enabled": False, "message": "maintenance: changes are not taken right now", "retry_after_seconds": 300,
    "changed_at": "2026-03-01T12:00:00Z", "changed_by": COURIER,
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
    "getMaintenance": (Example("off", "Changes are taken", "operator", 200, MAINTENANCE_OFF),),
    "setMaintenance": (
        Example("off", "Take changes again", "operator", 200, MAINTENANCE_OFF, {"enabled": False}),
        Example(
            "refused", "A time that is none", "operator", 400,
            problem(
                400, "Bad Request", "request.range", "/retry_after_seconds: expected int >= 1",
                {"pointer": "/retry_after_seconds", "code": "range", "detail": "expected int >= 1"},
            ),
            {"enabled": True, "message": "Back at 6 am.", "retry_after_seconds": 0},
        ),
    ),
    "listUsers": (
        Example("couriers", "All couriers", "operator", 200, page(A_USER_ENTRY), None, {"role": "courier"}),
    ),
    "getUser": (
        Example(
            "courier", "A courier", "operator", 200, {**A_USER_ENTRY, "id": COURIER, "roles": ["courier"]},
            parameters={"user_id": COURIER},
        ),
        Example(
            "unknown", "Nobody", "operator", 404,
            problem(404, "Not Found", "auth.user_not_found", "there is no such user"),
            parameters={"user_id": NOTHING},
        ),
    ),
    "updateUser": (
        Example(
            "disable", "Disable a user, whose sessions end", "operator", 200,
            {**A_USER_ENTRY, "id": COURIER, "roles": ["courier"], "disabled": True}, {"disabled": True},
            {"user_id": COURIER},
        ),
        Example(
            "lock", "Lock a user until a time", "operator", 200,
            {**A_USER_ENTRY, "id": COURIER, "roles": ["courier"], "locked_until": "2126-05-04T09:30:00.000000Z"},
            {"locked_until": "2126-05-04T09:30:00Z"}, {"user_id": COURIER},
        ),
        Example(
            "refused", "A vendor's user belongs to a vendor", "operator", 400,
            problem(
                400, "Bad Request", "vendor_id", "/vendor_id: is needed for the role vendor, and only for it",
                {
                    "pointer": "/vendor_id", "code": "vendor_id",
                    "detail": "is needed for the role vendor, and only for it",
                },
            ),
            {"roles": ["vendor"]}, {"user_id": COURIER},
        ),
    ),
    "createUser": (
        Example(
            "courier", "A courier", "operator", 201,
            {**A_USER_ENTRY, "roles": ["courier"], "email_verified": True},
            {"email": "courier@example.org", "password": "a long password", "roles": ["courier"], "name": "Linus"},
        ),
    ),
}  # fmt: skip
