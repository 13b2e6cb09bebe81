"""The OpenAPI 3.1 document: the routes as Litestar knows them, the shapes as msgspec checks them, and the rest here.

The rest: who may call (from the policy), the headers that the edge handles, problems, and examples. Each example
is executed by a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import msgspec
from litestar import Litestar
from orderhub_chassis.problems import Problem
from orderhub_contracts.api_keys import SCOPES

from orderhub_gateway.examples import EXAMPLES, Example
from orderhub_gateway.policy import ANYBODY, ROLES, Policy
from orderhub_gateway.retirements import RETIRED
from orderhub_gateway.schemas import (
    api_keys,
    auth,
    catalogue,
    clients,
    common,
    deliveries,
    keys,
    mfa,
    operator,
    orders,
    payments,
)

REFERENCE: Final = "#/components/schemas/"
PAGE: Final = re.compile(r"Page_[\w.]*\.(\w+)_")
KEY_REQUIRED: Final = frozenset({"placeOrder", "refundPayment", "createDelivery"})
KEYLESS: Final = frozenset(
    {
        "register",
        "login",
        "refresh",
        "logout",
        "logoutAll",
        "revokeSession",
        "changePassword",
        "requestPasswordReset",
        "confirmPasswordReset",
        "requestEmailVerification",
        "confirmEmailVerification",
        "updateMe",
        "verifySecondFactor",
        "enrollTotp",
        "confirmTotp",
        "disableTotp",
        "renewRecoveryCodes",
        "switchOffMfa",
        "updateUser",
        "replaceClient",
        "deleteClient",
        "renewClientSecret",
        "createApiKey",
        "updateApiKey",
        "revokeApiKey",
        "quoteDelivery",
        "importProducts",
        "replayDeadLetter",
        "setMaintenance",
        "receiveStripeWebhook",
    }
)
PROBLEMS: Final = {
    ("login", 401): {"anyOf": [{"$ref": REFERENCE + "MfaRequired"}, {"$ref": REFERENCE + "Problem"}]},
}
"""Problems with members of their own, by operation and status."""
CONDITIONAL: Final = frozenset({"updateVendor", "updateProduct", "archiveProduct", "changeStock"})
WAITING: Final = frozenset({"placeOrder", "cancelOrder"})
TITLE: Final = {
    "title": "OrderHub",
    "version": "1",
    "description": "Orders, payments, stock and deliveries, of goods and of live animals. Every refusal is a problem"
    " (RFC 9457) with a stable `code`; lists are newest first and go on with `next_cursor`.",
}
PROBLEM_RESPONSE: Final = {
    "description": "A problem (RFC 9457): `code` is stable, `errors` names fields.",
    "content": {"application/problem+json": {"schema": {"$ref": REFERENCE + "Problem"}}},
}
BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "`access_token` of a login; an API key is taken as well.",
}
API_KEY: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Api-Key",
    "description": "A vendor's API key, where one of its scopes (`x-scopes`) opens the route.",
}


class Document:
    """Made at the first request for it: a tenth of a second that the start need not wait for."""

    def __init__(self, app: Litestar, roles: Policy) -> None:
        self._app = app
        self._roles = roles

    @cached_property
    def bytes(self) -> bytes:
        return msgspec.json.encode(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        document = self._app.openapi_schema.to_schema()
        document["info"], document["servers"] = TITLE, [{"url": "/"}]
        document["components"] = {
            "schemas": _schemas(),
            "securitySchemes": {"bearer": BEARER, "apiKey": API_KEY},
        }
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                self._complete(path, method.upper(), operation)
        return document

    def _complete(self, path: str, method: str, operation: dict[str, Any]) -> None:
        name = operation["operationId"]
        summary, _, more = _words(self._app, name).partition(".")
        operation["summary"], operation["tags"] = summary, [path.split("/")[3]]
        if more.strip():
            operation["description"] = more.strip()
        self._say_who(path, method, operation)
        if (path, method) in RETIRED:
            operation["deprecated"] = True
        for parameter in operation.get("parameters", ()):
            _plain(parameter)
        operation.setdefault("parameters", []).extend(_headers(name, method))
        _responses(name, operation)
        _body(operation.get("requestBody"))
        if name == "importProducts":
            operation["requestBody"] = {
                "required": True,
                "content": {"text/csv": {"schema": {"type": "string"}}},
            }
        if name == "receiveStripeWebhook":
            operation["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": {"type": "object"}}},
            }
        _show_examples(operation, EXAMPLES.get(name, ()))

    def _say_who(self, path: str, method: str, operation: dict[str, Any]) -> None:
        """`x-roles` is what the policy allows, `x-scopes` what opens it to an API key; `security` says whether a token is
        needed.
        """
        public = self._roles.allows(ANYBODY, path, method)
        scopes = self._roles.scopes_for(SCOPES, path, method)
        operation["security"] = [] if public else [{"bearer": []}, *([{"apiKey": []}] if scopes else [])]
        operation["x-scopes"] = scopes
        operation["x-roles"] = [role for role in ROLES if self._roles.allows(role, path, method)]


def _words(app: Litestar, name: str) -> str:
    """The docstring of the operation's handler: its first sentence is the summary."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if getattr(handler, "operation_id", None) == name:
                return " ".join((handler.fn.__doc__ or name).split())
    return name


def _schemas() -> dict[str, Any]:
    """All structs of the schemas package, and the pages of what is listed."""
    modules = (api_keys, auth, catalogue, clients, common, deliveries, keys, mfa, operator, orders, payments)
    structs: list[Any] = [Problem, *(found for module in modules for found in _structs(module))]
    listed = [
        auth.UserEntry,
        auth.Session,
        api_keys.ApiKey,
        catalogue.Product,
        catalogue.Animal,
        clients.OAuthClient,
        orders.Order,
        payments.Payment,
    ]
    listed += [deliveries.Delivery, operator.Saga, operator.DeadLetter, operator.LedgerEntry]
    page: Any = common.Page
    pages = [page[item] for item in listed]
    _, components = msgspec.json.schema_components([*structs, *pages], ref_template=REFERENCE + "{name}")
    return dict(sorted(components.items()))


def _structs(module: Any) -> Iterator[Any]:
    for found in vars(module).values():
        is_struct = isinstance(found, type) and issubclass(found, msgspec.Struct)
        if is_struct and found is not common.Input and found is not common.Page:
            yield found


def _plain(parameter: dict[str, Any]) -> None:
    """A parameter that may be absent is written as what it is when it is there."""
    schema = parameter["schema"]
    if "oneOf" in schema:
        present = [choice for choice in schema.pop("oneOf") if choice.get("type") != "null"]
        schema.update(present[0])
    if isinstance(schema.get("type"), list):
        schema["type"] = next(kind for kind in schema["type"] if kind != "null")
    if "enum" in schema:
        schema["enum"] = [choice for choice in schema["enum"] if choice is not None]
    for name in ("deprecated", "allowEmptyValue", "allowReserved"):
        parameter.pop(name, None)


def _body(body: dict[str, Any] | None) -> None:
    """A body that may be left out is no `null`."""
    for content in (body or {}).get("content", {}).values():
        if "oneOf" in content["schema"]:
            content["schema"] = next(shape for shape in content["schema"]["oneOf"] if "$ref" in shape)
            assert body is not None
            body["required"] = False


def _headers(name: str, method: str) -> Iterator[dict[str, Any]]:
    if method != "GET" and name not in KEYLESS:
        yield _header(
            "Idempotency-Key",
            {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            "The same key and request again get the first answer again, for 24 hours.",
            required=name in KEY_REQUIRED,
        )
    if name == "receiveStripeWebhook":
        yield _header(
            "Stripe-Signature",
            {"type": "string", "maxLength": 4096},
            "`t=<unix seconds>,v1=<hex>[,v1=<hex>]`, by the endpoint's secret.",
            required=True,
        )
    if name in CONDITIONAL:
        yield _header(
            "If-Match",
            {"type": "string", "pattern": '^(\\*|"[0-9]{1,18}")$'},
            "The ETag of the version that was seen; 412 when there is a newer one.",
        )
    if name in WAITING:
        yield _header(
            "Prefer",
            {"type": "string", "pattern": "^wait=[0-9]{1,2}$"},
            "`wait=N`: answer as soon as the order is settled, at the latest after N seconds (30 at most).",
        )


def _header(name: str, schema: dict[str, Any], words: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "description": words, "schema": schema}


def _responses(name: str, operation: dict[str, Any]) -> None:
    """The one success, problems for the rest, and the second success of what can wait."""
    responses = operation["responses"]
    status, success = next((s, r) for s, r in responses.items() if s.startswith("2"))
    success.pop("headers", None)
    if not any("$ref" in content["schema"] for content in success.get("content", {}).values()):
        success.pop("content", None)
    for content in success.get("content", {}).values():
        content["schema"]["$ref"] = PAGE.sub(r"Page_\1_", content["schema"]["$ref"])
    success["description"] = "Accepted; it goes on in the background." if status == "202" else "Done."
    operation["responses"] = {status: success, "default": PROBLEM_RESPONSE}
    if name in WAITING:
        operation["responses"]["200"] = {**success, "description": "The order is settled."}


def _show_examples(operation: dict[str, Any], examples: tuple[Example, ...]) -> None:
    """An example has one name in every place: parameters, body and response."""
    for example in examples:
        for parameter in operation["parameters"]:
            if parameter["name"] in example.parameters:
                shown = {"summary": example.summary, "value": example.parameters[parameter["name"]]}
                parameter.setdefault("examples", {})[example.name] = shown
        for content in operation.get("requestBody", {}).get("content", {}).values():
            shown = {"summary": example.summary, "value": example.body}
            content.setdefault("examples", {})[example.name] = shown
        for response in _contents(operation, example.status):
            response.setdefault("examples", {})[example.name] = {"value": example.answer}


def _contents(operation: dict[str, Any], status: int) -> Iterator[dict[str, Any]]:
    """Where an answer of that status is described; problems get an entry of their own."""
    if str(status) not in operation["responses"]:
        schema = PROBLEMS.get((operation["operationId"], status), {"$ref": REFERENCE + "Problem"})
        operation["responses"][str(status)] = {
            "description": "A problem (RFC 9457).",
            "content": {"application/problem+json": {"schema": schema}},
        }
    content = operation["responses"][str(status)].get("content")
    if content is not None:
        copied = {media: dict(shape) for media, shape in content.items()}
        operation["responses"][str(status)] = {**operation["responses"][str(status)], "content": copied}
        yield from copied.values()
