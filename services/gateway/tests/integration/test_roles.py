"""Every operation as every role: who comes past the door, and who does not."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

WHO = {"-": "anybody", "c": "customer", "v": "vendor", "d": "courier", "o": "operator"}
ALL = "-cvdo"
TABLE = {
    "register": ALL, "login": ALL, "refresh": ALL, "logout": ALL, "getMe": "cvdo", "logoutAll": "cvdo",
    "listSessions": "cvdo", "revokeSession": "cvdo", "changePassword": "cvdo",
    "requestPasswordReset": ALL, "confirmPasswordReset": ALL, "requestEmailVerification": "cvdo",
    "confirmEmailVerification": ALL,
    "getVendor": ALL, "updateVendor": "v",
    "listProducts": ALL, "getProduct": ALL, "createProduct": "vo", "updateProduct": "vo", "archiveProduct": "vo",
    "importProducts": "vo", "changeStock": "vo", "listAnimals": ALL, "addAnimal": "vo", "releaseAnimal": "vo",
    "placeOrder": "c", "listOrders": "cvo", "getOrder": "cvo", "cancelOrder": "cvo", "getTimeline": "cvo",
    "listPayments": "cvo", "getPayment": "cvo", "refundPayment": "vo",
    "receiveStripeWebhook": ALL,
    "quoteDelivery": "cvdo", "createDelivery": "vo", "listDeliveries": "cvdo", "getDelivery": "cvdo",
    "assignDelivery": "do", "pickUpDelivery": "do", "reportPosition": "d", "handOverDelivery": "do",
    "failDelivery": "do", "cancelDelivery": "vo",
    "releaseOrder": "o", "rejectOrder": "o", "listSagas": "o", "getSaga": "o", "retrySaga": "o",
    "compensateSaga": "o", "skipSaga": "o", "forceSaga": "o", "listDeadLetters": "o", "getDeadLetter": "o", "replayDeadLetter": "o",
    "listLedger": "o", "reconcile": "o", "listUsers": "o", "createUser": "o", "getUser": "o", "updateUser": "o",
}  # fmt: skip


async def operations(api: Any) -> dict[str, tuple[str, str, list[str]]]:
    """(method, path with ids, documented roles) by operation id."""
    document = (await api("GET", "/openapi.json")).json()
    found = {}
    for path, methods in document["paths"].items():
        filled = "/".join(str(uuid4()) if part.startswith("{") else part for part in path.split("/"))
        for method, operation in methods.items():
            found[operation["operationId"]] = (method.upper(), filled, operation["x-roles"])
    return found


async def test_every_route_lets_in_the_roles_of_the_table_and_no_other(api: Any) -> None:
    found = await operations(api)
    assert set(found) == set(TABLE)
    for name, (method, path, documented) in found.items():
        for letter, role in WHO.items():
            answer = await api(method, path, headers=await api.as_(role))
            expected = "in" if letter in TABLE[name] else "401" if role == "anybody" else "403"
            actual = str(answer.status_code) if answer.status_code in (401, 403) else "in"
            assert actual == expected, (name, role, answer.text)
            assert (role in documented) is (letter in TABLE[name]) or role == "anybody"
            if actual == "403":
                assert answer.json()["code"] == "auth.forbidden"


async def test_the_policy_names_no_route_that_does_not_exist(api: Any) -> None:
    from importlib import resources

    document = (await api("GET", "/openapi.json")).json()
    routes = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    rules = (resources.files("orderhub_gateway") / "policy.csv").read_text().splitlines()
    for rule in (line.split(", ") for line in rules if line.startswith("p, ")):
        _, _, path, method = rule
        assert any(path == known and method in ("*", verb) for known, verb in routes), rule
