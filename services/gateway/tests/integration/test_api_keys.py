"""API keys over HTTP: what they open, for whose things, and that they end within a second."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from orderhub_chassis.clock import ManualClock, rfc3339
from orderhub_contracts import api_keys as contract
from orderhub_contracts.api_keys import SCOPES

ROW = re.compile(r"^\| `(?P<method>[A-Z]+) (?P<path>\S+)` \|.*\| (?P<scopes>[^|]+) \|$", re.MULTILINE)
DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "rbac.md"


async def make_key(api: Any, *scopes: str, name: str = "", **over: Any) -> dict[str, Any]:
    body = {"name": "ERP", "scopes": list(scopes or ("orders:read",)), **over}
    answer = await api("POST", "/v1/api-keys", json=body, headers=await api.as_("vendor", name))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def by(key: dict[str, Any]) -> dict[str, str]:
    return {"x-api-key": key["key"]}


async def code(api: Any, headers: dict[str, str], path: str = "/v1/orders") -> tuple[int, str]:
    answer = await api("GET", path, headers=headers)
    return answer.status_code, answer.json().get("code", "")


async def test_each_scope_opens_the_routes_that_the_table_says_and_no_other(api: Any) -> None:
    keys = {scope: await make_key(api, scope) for scope in SCOPES}
    rows = [match.groupdict() for match in ROW.finditer(DOCUMENT.read_text())]
    assert len(rows) > 60
    wrong = []
    for row in rows:
        path = re.sub(r"\{.*?\}", str(uuid4()), row["path"])
        to_anybody = row["scopes"] in ("all", "self", "signed")
        for scope, key in keys.items():
            answer = await api(row["method"], path, headers=by(key))
            refused = answer.status_code == 403
            opened = to_anybody or scope in row["scopes"].split(", ")
            wrong += [(row, scope, answer.status_code)] if refused is opened else []
            if refused:
                assert answer.json()["code"] in ("auth.insufficient_scope", "auth.forbidden"), answer.text
    assert not wrong, "\n".join(map(str, wrong))


async def test_a_key_does_for_its_vendor_what_its_scopes_say_and_nothing_for_another(whole: Any) -> None:
    mine, other = whole.vendor_id, await whole.make_vendor()
    whole.vendor_id, whole.vendors["-other"] = mine, other
    scopes = (
        "products:write",
        "stock:write",
        "orders:read",
        "payments:read",
        "payments:refund",
        "deliveries:read",
    )
    key, foreign = await make_key(whole, *scopes), await make_key(whole, *scopes, name="-other")
    body = {
        "sku": "K-1",
        "title": "Stone",
        "kind": "good",
        "price": {"amount_minor": 100, "currency": "EUR"},
        "stock": 9,
    }
    product = (await whole("POST", "/v1/products", json=body, headers=by(key))).json()
    assert product["vendor_id"] == mine
    change = {"delta": 1, "reason": "counted"}
    placed = (await whole.place(product, headers={"prefer": "wait=30"})).json()
    assert placed["status"] == "CONFIRMED"
    delivery, payment = placed["delivery"]["id"], placed["payment"]["id"]
    refund = {"reason": "broken", "amount": {"amount_minor": 100, "currency": "EUR"}}
    for method, path, given in (
        ("POST", f"/v1/products/{product['id']}/stock", change),
        ("PATCH", f"/v1/products/{product['id']}", {"title": "Stones"}),
        ("GET", f"/v1/orders/{placed['id']}", None),
        ("GET", f"/v1/payments/{payment}", None),
        ("GET", f"/v1/deliveries/{delivery}", None),
        ("POST", f"/v1/payments/{payment}/refunds", refund),
    ):
        for headers, expected in ((by(foreign), {404}), (by(key), {200, 202})):
            answer = await whole(
                method, path, json=given, headers={**headers, "idempotency-key": uuid4().hex}
            )
            assert answer.status_code in expected, (method, path, answer.text)
    assert (await whole("GET", "/v1/orders", headers=by(foreign))).json()["items"] == []
    assert [one["id"] for one in (await whole("GET", "/v1/orders", headers=by(key))).json()["items"]] == [
        placed["id"]
    ]


async def test_a_key_is_taken_in_either_header_and_not_in_both(api: Any) -> None:
    key, path = await make_key(api), "/v1/payments"
    assert await code(api, by(key), path) == (403, "auth.insufficient_scope")
    assert await code(api, {"authorization": f"Bearer {key['key']}"}, path) == (
        403,
        "auth.insufficient_scope",
    )
    both = {**by(key), **await api.as_("vendor")}
    assert await code(api, both, path) == (401, "auth.token_refused")


async def test_a_key_is_shown_once_and_nowhere_else(api: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        created = await api(
            "POST", "/v1/api-keys", json={"name": "ERP", "scopes": ["orders:read"]},
            headers=await api.as_("vendor", **{"idempotency-key": "once"}),
        )  # fmt: skip
        key = created.json()
        await api("GET", "/v1/orders", headers=by(key))
        seen = [
            await api("GET", path, headers=await api.as_(role))
            for role in ("vendor", "operator")
            for path in ("/v1/api-keys", f"/v1/api-keys/{key['id']}")
        ]
        changed = await api(
            "PATCH", f"/v1/api-keys/{key['id']}", json={"name": "x"}, headers=await api.as_("vendor")
        )
    assert created.headers["cache-control"] == "no-store"
    assert contract.read(key["key"])
    secret = key["key"].removeprefix(key["prefix"])
    for answer in (*seen, changed):
        assert answer.status_code == 200, answer.text
        assert key["id"] in answer.text
        assert secret not in answer.text
        assert "key_hash" not in answer.text
    assert secret not in str(logs)


async def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(api: Any) -> None:
    key, revoked = await make_key(api), await make_key(api)
    await api("DELETE", f"/v1/api-keys/{revoked['id']}", headers=await api.as_("vendor"))
    public_id = key["prefix"].removeprefix(contract.PREFIX)
    wrong = contract.assembled(public_id, "0" * contract.SECRET_LENGTH)
    unknown = contract.assembled("0" * contract.PUBLIC_LENGTH, "0" * contract.SECRET_LENGTH)
    answers = [
        await api("GET", "/v1/orders", headers={"x-api-key": text})
        for text in (wrong, unknown, revoked["key"], key["key"][:-1], "ohk_", "")
    ]
    told = {(a.status_code, str({**a.json(), "trace_id": ""}), *sorted(a.headers.keys())) for a in answers}
    assert len(told) == 1, told
    assert answers[0].json()["code"] == "auth.api_key_refused"


async def end_by_revoking(api: Any, key: dict[str, Any], clock: ManualClock) -> None:
    answer = await api("DELETE", f"/v1/api-keys/{key['id']}", headers=await api.as_("operator"))
    assert answer.status_code == 204


async def end_by_disabling_the_maker(api: Any, key: dict[str, Any], clock: ManualClock) -> None:
    path = f"/v1/admin/users/{key['created_by']}"
    answer = await api("PATCH", path, json={"disabled": True}, headers=await api.as_("operator"))
    assert answer.status_code == 200


async def end_by_another_vendor(api: Any, key: dict[str, Any], clock: ManualClock) -> None:
    change = {"roles": ["vendor"], "vendor_id": str(uuid4())}
    path = f"/v1/admin/users/{key['created_by']}"
    answer = await api("PATCH", path, json=change, headers=await api.as_("operator"))
    assert answer.status_code == 200


async def end_by_time(api: Any, key: dict[str, Any], clock: ManualClock) -> None:
    soon = rfc3339(clock.now() + timedelta(seconds=1))
    path = f"/v1/api-keys/{key['id']}"
    answer = await api("PATCH", path, json={"expires_at": soon}, headers=await api.as_("operator"))
    assert answer.status_code == 200


ENDS = {
    "revoked": end_by_revoking, "its maker disabled": end_by_disabling_the_maker,
    "its maker another vendor's": end_by_another_vendor, "over": end_by_time,
}  # fmt: skip


@pytest.mark.parametrize("why", ENDS)
async def test_a_key_is_refused_a_second_after_its_end(open_gateway: Any, why: str) -> None:
    clock = ManualClock()
    api = await open_gateway(clock=clock)
    key, other = await make_key(api), await make_key(api, name="-other")
    for one in (key, other):
        assert await code(api, by(one), "/v1/payments") == (403, "auth.insufficient_scope")
    await ENDS[why](api, key, clock)
    clock.advance(timedelta(seconds=1))
    assert await code(api, by(key), "/v1/payments") == (401, "auth.api_key_refused")
    assert await code(api, by(other), "/v1/payments") == (403, "auth.insufficient_scope")


async def test_each_key_has_limits_of_its_own(open_gateway: Any) -> None:
    api = await open_gateway(rate_per_principal=0.001, burst_per_principal=4)
    first, second = await make_key(api), await make_key(api)
    statuses = [(await api("GET", "/v1/payments", headers=by(first))).status_code for _ in range(5)]
    assert statuses == [403, 403, 403, 403, 429]
    assert (await api("GET", "/v1/payments", headers=by(second))).status_code == 403


async def test_no_body_gives_a_key_more_than_it_may_have(api: Any) -> None:
    key, mine = await make_key(api), await api.as_("vendor")
    path = f"/v1/api-keys/{key['id']}"
    for method, where, body in (
        ("PATCH", path, {"scopes": ["payments:refund"]}),
        ("PATCH", path, {"vendor_id": str(uuid4())}),
        ("PATCH", path, {"revoked_at": None}),
        ("POST", "/v1/api-keys", {"name": "x", "scopes": ["users:write"]}),
        ("POST", "/v1/api-keys", {"name": "x", "scopes": ["orders:read"], "roles": ["operator"]}),
        ("POST", "/v1/api-keys", {"name": "x", "scopes": ["orders:read"], "key": "ohk_mine"}),
    ):
        answer = await api(method, where, json=body, headers=mine)
        assert answer.status_code == 400, answer.text
    foreign = {"name": "x", "scopes": ["orders:read"], "vendor_id": str(uuid4())}
    answer = await api("POST", "/v1/api-keys", json=foreign, headers=mine)
    assert (answer.status_code, answer.json()["code"]) == (404, "auth.vendor_not_found")
