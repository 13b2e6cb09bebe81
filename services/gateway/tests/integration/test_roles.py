"""Every operation as every role: who comes past the door, and who does not."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from orderhub_contracts.api_keys import SCOPES
from orderhub_gateway.policy import ANYBODY, ROLES, SCOPE, WHOSE, Policy

WHO = {"-": "anybody", "c": "customer", "v": "vendor", "d": "courier", "o": "operator"}
ALL = "-cvdo"
TABLE = {
    "register": ALL, "login": ALL, "refresh": ALL, "logout": ALL, "getMe": "cvdo", "updateMe": "cvdo", "logoutAll": "cvdo",
    "listSessions": "cvdo", "revokeSession": "cvdo", "changePassword": "cvdo",
    "requestPasswordReset": ALL, "confirmPasswordReset": ALL, "requestEmailVerification": "cvdo",
    "confirmEmailVerification": ALL,
    "verifySecondFactor": ALL, "enrollTotp": "cvdo", "confirmTotp": "cvdo", "disableTotp": "cvdo",
    "renewRecoveryCodes": "cvdo", "countRecoveryCodes": "cvdo", "switchOffMfa": "o",
    "createApiKey": "vo", "listApiKeys": "vo", "getApiKey": "vo", "updateApiKey": "vo", "revokeApiKey": "vo",
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
    "listSigningKeys": "o", "rotateSigningKeys": "o",
    "registerClient": "o", "listClients": "o", "getClient": "o", "replaceClient": "o", "deleteClient": "o",
    "renewClientSecret": "o",
    "getMaintenance": "o", "setMaintenance": "o",
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
            if name == "logoutAll":  # and with it the access token
                api.forget_users()
            actual = str(answer.status_code) if answer.status_code in (401, 403) else "in"
            assert actual == expected, (name, role, answer.text)
            assert (role in documented) is (letter in TABLE[name]) or role == "anybody"
            if actual == "403":
                assert answer.json()["code"] == "auth.forbidden"


async def test_the_policy_and_the_document_have_the_same_routes(api: Any) -> None:
    document = (await api("GET", "/openapi.json")).json()
    documented = {
        f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods
    }
    assert set(Policy().routes()) == documented


def test_every_permission_has_a_route_and_somebody_and_every_rule_says_whose() -> None:
    rules, routes = Policy().rules(), Policy().routes()
    assert {rule.permission for rule in rules} == set(routes.values())
    assert {rule.whose for rule in rules} <= set(WHOSE)
    assert {rule.who for rule in rules} == {ANYBODY, *ROLES, *(SCOPE + scope for scope in SCOPES)}
    assert len({(rule.who, rule.permission) for rule in rules}) == len(rules)
