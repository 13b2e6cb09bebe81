"""Every route as nine callers, against the whole product: what comes of it is what docs/rbac.md says.

The thing that is asked for belongs to the customer, the vendor and the courier; the stranger, the other vendor and the other
courier are what an attacker with an account of its own is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from orderhub_chassis.calls import InternalTokens, service_caller
from orderhub_chassis.clock import SystemClock
from orderhub_gateway.examples import EXAMPLES, Example, things
from orderhub_gateway.policy import ROLES
from scenes import STAGES, Scene, ask, nothing

DOCUMENT: Final = Path(__file__).resolve().parents[4] / "docs" / "rbac.md"
NOBODY: Final = "–"
PARTIES: Final = ("customer", "vendor", "courier")
OWNERS: Final = {"revokeSession": ("customer",), "listSessions": ("customer",)}
"""Whose the thing is, where it is not an order's: customer, vendor and courier all have a hold on that."""
ALLOWED, UNKNOWN, FORBIDDEN, HIDDEN, FILTERED = "allowed", "401", "403", "404", "allowed, and left out"
DOOR: Final = {"auth.unauthenticated": UNKNOWN, "auth.token_refused": UNKNOWN, "auth.forbidden": FORBIDDEN}
ENDS_ITS_USERS: Final = frozenset({"logoutAll", "changePassword"})


class Who(NamedTuple):
    """A caller: which column of the table is its, and whether the thing is its own."""

    role: str
    stranger: bool = False


CALLERS: Final = {
    "anonymous": Who("anonymous"),
    "service": Who("service"),
    "stranger": Who("customer", True),
    "other vendor": Who("vendor", True),
    "other courier": Who("courier", True),
    "customer": Who("customer"),
    "vendor": Who("vendor"),
    "courier": Who("courier"),
    "operator": Who("operator"),
}
"""Strangers first: what they are refused must still be there for those whose it is."""


def table() -> dict[str, dict[str, str]]:
    """By route (`METHOD template`), what each column of docs/rbac.md says."""
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith(("| route", "| `"))]
    head, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0].strip("`"): dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def expected(name: str, route: str, row: dict[str, str], who: Who) -> str:
    if who.role == "service":
        # Where a token is not looked at, a wrong one does no harm.
        return ALLOWED if row["permission"] in ("accounts:open", "payments:notify") else UNKNOWN
    whose = row[who.role]
    if whose == NOBODY:
        return UNKNOWN if who.role == "anonymous" else FORBIDDEN
    if whose in ("all", "self", "signed") or not _is_foreign(name, who):
        return ALLOWED
    return FILTERED if route.startswith("GET") and "{" not in route else HIDDEN


def _is_foreign(name: str, who: Who) -> bool:
    return who.stranger or who.role not in OWNERS.get(name, PARTIES)


def outcome(answer: Any, example: Example, listed: set[str]) -> str:
    """`listed`: the ids that a list shows where they are not left out."""
    code = answer.json().get("code", "") if answer.status_code >= 400 else ""
    if code in DOOR:
        return DOOR[code]
    as_shown = (example.answer or {}).get("code") == code
    if answer.status_code == 404 and not as_shown:
        return HIDDEN
    odd = answer.status_code in (401, 403) or answer.status_code >= 500
    if odd and not as_shown and code not in ("auth.refresh_refused", "auth.mfa_token_refused"):
        return f"{answer.status_code} {code}"
    if (
        answer.status_code == 200
        and "next_cursor" in answer.text
        and not any(x in answer.text for x in listed)
    ):
        return FILTERED
    return ALLOWED


async def taken(scene: Scene) -> None:
    """By the courier; until then it is free, and any courier may take it."""
    await scene.order()
    await scene.act("assign")


OTHER_STAGES: Final[dict[str, Callable[[Scene], Awaitable[None]]]] = {
    **dict.fromkeys(("getDelivery", "listDeliveries", "assignDelivery", "cancelDelivery"), taken),
    "listSessions": Scene.session,
}


class Walk:
    """The callers, and the things that are theirs."""

    def __init__(self, api: Any, operations: dict[str, Any], other_vendor: str) -> None:
        self.api = api
        self.operations = operations
        api.vendors["-other"] = other_vendor
        self.service = InternalTokens("i" * 40, SystemClock()).sign(service_caller("orders"))

    async def headers(self, name: str, who: Who) -> dict[str, str]:
        if who.role == "anonymous":
            return {}
        if who.role == "service":
            return {"authorization": f"Bearer {self.service}"}
        own: dict[str, str] = await self.api.as_(who.role, "-other" if who.stranger else "")
        return own

    async def outcomes(self, name: str, permission: str) -> dict[str, str]:
        """What each caller gets; the first example is what they ask."""
        scene, example = Scene(self.api), EXAMPLES[name][0]
        await self.api.token("courier")
        await OTHER_STAGES.get(name, STAGES.get(name, nothing))(scene)
        method, path, described = self.operations[name]
        if "{" not in path and method == "GET" and permission != "ledger:read":
            filters = {"order_id": example.parameters["order_id"]} if "order_id" in example.parameters else {}
            example = dataclasses.replace(example, parameters=filters)
        found = {}
        for caller, who in CALLERS.items():
            answer = await ask(
                scene, self._again(example), (method, path, described), await self.headers(name, who)
            )
            found[caller] = outcome(answer, example, self._listed(scene, permission))
        if name in ENDS_ITS_USERS:
            self.api.forget_users()
        return found

    def _again(self, example: Example) -> Example:
        """No caller may be answered with what another one got."""
        given = {k: v for k, v in example.parameters.items() if k not in ("Prefer", "If-Match")}
        return dataclasses.replace(example, parameters=given)

    def _listed(self, scene: Scene, permission: str) -> set[str]:
        kinds = {
            "orders:read": things.ORDER, "payments:read": things.PAYMENT, "deliveries:read": things.DELIVERY,
            "sessions:use": things.SESSION, "api_keys:use": things.API_KEY,
        }  # fmt: skip
        kind = kinds.get(permission)
        return {scene.ids.get(kind, "-")} if kind else {""}


async def test_every_route_does_for_each_of_nine_callers_what_the_table_says(whole: Any) -> None:
    document = (await whole("GET", "/openapi.json")).json()
    operations = {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    rows = table()
    assert {f"{method} {path}" for method, path, _ in operations.values()} == set(rows), "run tools/rbac.py"
    mine, other = whole.vendor_id, await whole.make_vendor()
    whole.vendor_id = mine
    walk, wrong = Walk(whole, operations, other), list[Any]()
    for name, (method, path, _) in operations.items():
        route = f"{method} {path}"
        row = rows[route]
        found = await walk.outcomes(name, row["permission"])
        wanted = {caller: expected(name, route, row, who) for caller, who in CALLERS.items()}
        wrong += [
            (name, caller, wanted[caller], found[caller])
            for caller in CALLERS
            if wanted[caller] != found[caller]
        ]
    assert not wrong, "\n".join(map(str, wrong))


def test_the_table_has_a_column_for_everybody_and_closes_what_only_operators_may_do() -> None:
    for route, row in table().items():
        assert list(row) == ["permission", "anonymous", *ROLES, "API key"]
        if "/admin/" in route:
            assert [row[role] for role in ("anonymous", *ROLES)] == [NOBODY, NOBODY, NOBODY, NOBODY, "all"]


@pytest.mark.parametrize("name", ["authorization-internal", "x-user-id", "x-roles"])
async def test_an_internal_token_or_a_users_name_in_a_header_of_the_request_is_nobody(
    api: Any, name: str
) -> None:
    token = InternalTokens("i" * 40, SystemClock()).sign(service_caller("orders"))
    answer = await api("GET", "/v1/admin/users", headers={name: token})
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.unauthenticated")
