"""Orders through the whole product: gateway, all services, the provider's simulator."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4


async def test_an_order_is_placed_paid_delivered_and_refunded(whole: Any) -> None:
    product = await whole.make_product()
    answer = await whole.place(product, headers={"prefer": "wait=20"})
    assert answer.status_code == 200, answer.text
    order = answer.json()
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.headers["location"] == f"/api/v1/orders/{order['id']}"
    assert answer.headers["etag"] == f'"{order["version"]}"'
    assert order["status"] == "CONFIRMED"
    assert order["totals"]["total"] == {"amount_minor": 3000, "currency": "EUR"}
    assert order["payment"]["status"] == "CAPTURED"
    assert order["reason"] is None
    assert order["lines"][0]["animal"] is None
    await deliver(whole, order)
    await refund(whole, order)
    await strangers_see_nothing(whole, order)


async def deliver(whole: Any, order: dict[str, Any]) -> None:
    courier, path = await whole.as_("courier"), f"/v1/deliveries/{order['delivery']['id']}"
    listed = (await whole("GET", "/v1/deliveries?status=CREATED", headers=courier)).json()
    assert order["delivery"]["id"] in [item["id"] for item in listed["items"]]
    for action, body in (
        ("assign", None),
        ("pickup", None),
        ("position", {"position": {"lat": 52, "lon": 7}}),
    ):
        answer = await whole("POST", f"{path}/{action}", json=body, headers=courier)
        assert answer.status_code == 200, answer.text
    done = await whole("POST", f"{path}/handover", json={"recipient": "Ada"}, headers=courier)
    assert (done.json()["status"], done.json()["recipient"]) == ("COMPLETED", "Ada")
    await settled(whole, order["id"], "COMPLETED")


async def refund(whole: Any, order: dict[str, Any]) -> None:
    path = f"/v1/payments/{order['payment']['id']}"
    headers = await whole.as_("vendor", **{"idempotency-key": uuid4().hex})
    body = {"amount": {"amount_minor": 500, "currency": "EUR"}, "reason": "arrived scratched"}
    first, again = [await whole("POST", f"{path}/refunds", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (202, 202), first.text
    assert again.headers["idempotency-replayed"] == "true"
    other = {**body, "reason": "another reason"}
    reused = await whole("POST", f"{path}/refunds", json=other, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency.key_reused")
    too_much = {"amount": {"amount_minor": 2501, "currency": "EUR"}, "reason": "greed"}
    headers = await whole.as_("vendor", **{"idempotency-key": uuid4().hex})
    assert (await whole("POST", f"{path}/refunds", json=too_much, headers=headers)).status_code == 422


async def strangers_see_nothing(whole: Any, order: dict[str, Any]) -> None:
    """Another customer, another vendor: it is not there."""
    for role in ("customer", "vendor"):
        stranger = await whole.as_(role, "stranger")
        for path in (f"/v1/orders/{order['id']}", f"/v1/orders/{order['id']}/timeline",
                     f"/v1/payments/{order['payment']['id']}", f"/v1/deliveries/{order['delivery']['id']}"):  # fmt: skip
            assert (await whole("GET", path, headers=stranger)).status_code == 404, path
        cancel = await whole("POST", f"/v1/orders/{order['id']}/cancel", headers=stranger)
        assert cancel.status_code == 404
        assert (await whole("GET", "/v1/orders", headers=stranger)).json()["items"] == []


async def settled(whole: Any, id: str, status: str) -> dict[str, Any]:
    deadline = asyncio.get_running_loop().time() + 20
    while True:
        order = (await whole("GET", f"/v1/orders/{id}", headers=await whole.as_("operator"))).json()
        if order["status"] == status:
            return dict(order)
        assert asyncio.get_running_loop().time() < deadline, order
        await asyncio.sleep(0.02)


async def test_placing_is_idempotent_and_cancelling_gives_everything_back(
    whole: Any, an_order_of: Any
) -> None:
    product = await whole.make_product()
    headers = await whole.as_("customer", **{"idempotency-key": "the-same"})
    body = an_order_of(product)
    answers = await asyncio.gather(
        *(whole("POST", "/v1/orders", json=body, headers=headers) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers) == 3
    reused = await whole("POST", "/v1/orders", json={**body, "comment": "other"}, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency.key_reused")
    other = await whole.as_("customer", "2", **{"idempotency-key": "the-same"})
    assert (await whole("POST", "/v1/orders", json=body, headers=other)).headers.get(
        "idempotency-replayed"
    ) is None

    id = answers[0].json()["id"]
    await settled(whole, id, "CONFIRMED")
    cancelled = await whole(
        "POST", f"/v1/orders/{id}/cancel", json={"reason": "no"}, headers=await whole.as_("customer")
    )
    assert cancelled.status_code in (200, 202), cancelled.text
    order = await settled(whole, id, "CANCELLED")
    assert order["payment"]["status"] in ("VOIDED", "REFUNDED")
    timeline = (await whole("GET", f"/v1/orders/{id}/timeline", headers=await whole.as_("customer"))).json()
    assert [item["seq"] for item in timeline["items"]] == list(range(1, len(timeline["items"]) + 1))


async def test_orders_that_cannot_be_are_refused_before_they_are_accepted(whole: Any) -> None:
    product = await whole.make_product()
    for lines, code in (
        ([{"product_id": str(uuid4()), "quantity": 1}], "orders.unknown_product"),
        ([{"sku": "NO-SUCH-SKU", "quantity": 1}], "orders.unknown_product"),
        ([{"animal_id": str(uuid4())}], "orders.unknown_product"),
    ):
        answer = await whole.place(product, lines=lines)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
        assert answer.json()["errors"][0]["pointer"].startswith("/lines/0")
    for lines in (
        [{"quantity": 1}],
        [{"product_id": product["id"]}],
        [{"sku": "A", "product_id": product["id"], "quantity": 1}],
    ):
        answer = await whole.place(product, lines=lines)
        assert answer.status_code == 400, answer.text
        assert answer.json()["errors"][0]["pointer"].startswith("/lines/0")
    nowhere = {"name": "Ada", "line1": "Weg 1", "city": "Mitrovica", "postal_code": "40000", "country": "XK"}
    answer = await whole.place(product, ship_to=nowhere)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/ship_to/country")
    sold_out = await whole.place(
        product, lines=[{"product_id": product["id"], "quantity": 101}], headers={"prefer": "wait=20"}
    )
    assert sold_out.json()["status"] == "REJECTED"
    assert sold_out.json()["reason"]["lines"][0]["code"].endswith("out_of_stock")


async def test_versions_guard_the_catalogue(whole: Any, eventually: Any) -> None:
    product = await whole.make_product()
    path, vendor = f"/v1/products/{product['id']}", await whole.as_("vendor")
    seen = (await whole("GET", path)).headers["etag"]
    changed = await whole(
        "PATCH", path, json={"title": "Driftwood, wet"}, headers={**vendor, "if-match": seen}
    )
    assert (changed.status_code, changed.json()["title"]) == (200, "Driftwood, wet")
    for stale in (seen, '"999"', 'W/"1"', '"abc"'):
        answer = await whole("PATCH", path, json={"title": "x"}, headers={**vendor, "if-match": stale})
        assert answer.status_code == 412, (stale, answer.text)
    assert (
        await whole("PATCH", path, json={"title": "x"}, headers={**vendor, "if-match": "1"})
    ).status_code == 400
    assert (
        await whole("PATCH", path, json={"title": "any"}, headers={**vendor, "if-match": "*"})
    ).status_code == 200
    stock = {"set": 7, "reason": "counted"}
    assert (await whole("POST", f"{path}/stock", json=stock, headers=vendor)).status_code == 428
    fresh = (await whole("GET", path)).headers["etag"]
    counted = await whole("POST", f"{path}/stock", json=stock, headers={**vendor, "if-match": fresh})
    assert counted.json()["stock"]["on_hand"] == 7
    assert (await whole("GET", path)).headers["etag"] == counted.headers["etag"]
    other = await whole.as_("vendor", "stranger")
    assert (await whole("PATCH", path, json={"title": "mine"}, headers=other)).status_code == 404
    assert (await whole("DELETE", path, headers=vendor)).json()["status"] == "archived"

    async def refused() -> Any:  # orders hears of it a moment later
        answer = await whole.place(product)
        return answer if answer.status_code == 422 else None

    answer = await eventually(refused)
    assert answer.json()["code"] == "orders.archived_product"


async def test_lists_go_on_with_their_cursor_and_with_no_other(whole: Any) -> None:
    made = [await whole.make_product(title=f"Stone {number}") for number in range(5)]
    ids, cursor = [], ""
    while True:
        query = f"vendor_id={whole.vendor_id}&limit=2" + (f"&cursor={cursor}" if cursor else "")
        answer = (await whole("GET", f"/v1/products?{query}")).json()
        ids += [item["id"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = answer["next_cursor"]
    assert ids == [product["id"] for product in reversed(made)]
    for bad in (cursor[:-3], "x" + cursor, cursor + "A"):
        answer = await whole("GET", f"/v1/products?vendor_id={whole.vendor_id}&limit=2&cursor={bad}")
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor.malformed")
    elsewhere = await whole("GET", f"/v1/orders?cursor={cursor}", headers=await whole.as_("customer"))
    assert elsewhere.status_code == 400


async def test_an_import_names_every_bad_row_and_changes_nothing(whole: Any) -> None:
    name = (await whole("GET", f"/v1/vendors/{whole.vendor_id}")).json()["name"]
    columns = "vendor,sku,title,kind,species,price_minor,currency,stock,life_stage,age_days,weight_kg,weaned,carapace_cm"
    rows = [
        f"{name},S-1,Stone,good,,900,EUR,4,,,,,",
        f"{name},S-2,Stone,good,,cheap,EUR,4,,,,,",
        f"{name},S-3,Stone,good,,900,EURO,4,,,,,",
    ]
    csv = "\n".join([columns, *rows])
    headers = await whole.as_("vendor", **{"content-type": "text/csv; charset=utf-8"})
    refused = await whole("POST", "/v1/products/import", content=csv, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "import.rows_refused")
    assert {error["pointer"].split("/")[2] for error in refused.json()["errors"]} == {"3", "4"}
    assert (await whole("GET", f"/v1/products?vendor_id={whole.vendor_id}")).json()["items"] == []
    partial = await whole("POST", "/v1/products/import?partial=true", content=csv, headers=headers)
    assert partial.status_code == 200, partial.text
    assert (partial.json()["created"], partial.json()["errors_total"]) == (1, 2)


async def test_operators_see_what_happened_and_that_it_adds_up(whole: Any) -> None:
    order = (await whole.place(await whole.make_product(), headers={"prefer": "wait=20"})).json()
    operator = await whole.as_("operator")
    ledger = (await whole("GET", f"/v1/admin/ledger?order_id={order['id']}", headers=operator)).json()[
        "items"
    ]
    assert ledger
    assert sum(entry["amount"]["amount_minor"] for entry in ledger) == 0
    report = (await whole("GET", "/v1/admin/reconcile", headers=operator)).json()
    assert report == {"payments_checked": 1, "differences": []}
    dead = await whole("GET", "/v1/admin/dead-letters", headers=operator)
    assert dead.json() == {"items": [], "next_cursor": None}
    sagas = (await whole("GET", f"/v1/admin/sagas?order_id={order['id']}", headers=operator)).json()["items"]
    one = await whole("GET", f"/v1/admin/sagas/{sagas[0]['run_id']}", headers=operator)
    assert one.json() == sagas[0]


async def test_a_quote_is_the_welfare_verdict(whole: Any, an_order_of: Any) -> None:
    wood = await whole.make_product()
    body = {key: an_order_of(wood)[key] for key in ("lines", "ship_to")}
    headers = await whole.as_("customer")
    answer = await whole("POST", "/v1/deliveries/quote", json=body, headers=headers)
    assert answer.json()["verdict"] == "allow", answer.text
    assert 550 < answer.json()["distance_km"] < 700
    slider = await whole.make_product(
        kind="countable", species="trachemys_scripta", facts={"life_stage": "juvenile", "carapace_cm": 8}
    )
    lines = [{"sku": slider["sku"], "vendor_id": whole.vendor_id, "quantity": 1}]
    far = {**body["ship_to"], "country": "US", "city": "Austin", "lat": 30.27, "lon": -97.74}
    refused = await whole(
        "POST", "/v1/deliveries/quote", json={"lines": lines, "ship_to": far}, headers=headers
    )
    assert refused.json()["verdict"] == "refuse", refused.text
    assert any(finding["rule_id"] for finding in refused.json()["findings"])
    nowhere = {**body["ship_to"], "country": "ZZ"}
    answer = await whole("POST", "/v1/deliveries/quote", json={**body, "ship_to": nowhere}, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/ship_to/country")
    unknown = await whole(
        "POST",
        "/v1/deliveries/quote",
        json={**body, "lines": [{"sku": "NO", "quantity": 1}]},
        headers=headers,
    )
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (404, "/lines/0")
