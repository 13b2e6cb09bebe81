"""People of other issuers at the door of a whole gateway."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from idp import SLOWLY
from orderhub_gateway.tokens import principal_id


async def test_a_person_of_another_issuer_is_shown_by_what_the_token_says(
    idp: Any, open_gateway: Any
) -> None:
    api = await open_gateway(oidc_issuers=[idp.settings()])
    shown = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {idp.token()}"})
    assert shown.status_code == 200, shown.text
    assert shown.json() == {
        "id": principal_id(idp.url, idp.claims()["sub"]), "email": "ada@example.org", "name": "Ada",
        "roles": ["customer"], "email_verified": True, "vendor_id": None, "issuer": idp.url,
        "phone": None, "address": None, "updated_at": None, "mfa_enabled": False,
    }  # fmt: skip
    bare = idp.token(email=7, name=None, preferred_username="ada", email_verified="true")
    shown = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {bare}"})
    assert (shown.json()["email"], shown.json()["name"], shown.json()["email_verified"]) == ("", "ada", False)
    own = await api("GET", "/v1/auth/me", headers=await api.as_("customer"))
    assert (own.status_code, own.json()["issuer"]) == (200, None)


async def test_refusals_at_the_door_say_why(idp: Any, open_gateway: Any) -> None:
    api = await open_gateway(oidc_issuers=[idp.settings(**SLOWLY)])
    cases = [
        (idp.token(aud="other"), 401, "auth.token_refused"),
        (idp.token(realm_access={"roles": ["operator"]}), 403, "auth.forbidden"),
        (idp.token(realm_access={"roles": ["seller"]}), 403, "auth.vendor_missing"),
    ]
    for token, status, code in cases:
        answer = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert "ratelimit" in answer.headers


async def test_an_issuer_that_is_away_is_a_503_for_its_people_alone(
    idp: Any, open_gateway: Any, eventually: Any
) -> None:
    idp.status, idp.jwks = 500, b""
    api = await open_gateway(oidc_issuers=[idp.settings()])

    async def noted() -> Any:
        return (await api("GET", "/readyz")).json().get("notes")

    assert await eventually(noted) == {f"issuer {idp.url}": "its keys cannot be had: it answered 500"}

    async def ready() -> bool:  # Redis is asked once, too
        return bool((await api("GET", "/readyz")).status_code == 200)

    await eventually(ready)
    answer = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {idp.token()}"})
    assert (answer.status_code, answer.json()["code"]) == (503, "auth.issuer_unavailable"), answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert "127.0.0.1" not in answer.json()["detail"]
    assert (await api("GET", "/v1/auth/me", headers=await api.as_("customer"))).status_code == 200
    assert f'orderhub_gateway_issuer_away{{issuer="{idp.url}"}} 1.0' in (await api("GET", "/metrics")).text


@pytest.fixture
def oidc_issuers(idp: Any) -> list[Any]:
    return [idp.settings()]


async def test_customers_and_vendors_of_another_issuer_do_business(
    idp: Any, whole: Any, an_order_of: Any
) -> None:
    def bearer(sub: str, role: str, **claims: Any) -> dict[str, str]:
        token = idp.token(sub=sub, realm_access={"roles": [role]}, **claims)
        return {"authorization": f"Bearer {token}", "idempotency-key": uuid4().hex}

    seller = bearer("a vendor", "seller", vendor_id=whole.vendor_id)
    goods = {"sku": "FOREIGN-1", "title": "Driftwood", "kind": "good", "stock": 5, "price": {"amount_minor": 1500, "currency": "EUR"}}  # fmt: skip
    made = await whole("POST", "/v1/products", json=goods, headers=seller)
    assert (made.status_code, made.json()["vendor_id"]) == (201, whole.vendor_id), made.text
    ada = bearer("ada", "customer")
    placed = await whole(
        "POST", "/v1/orders", json=an_order_of(made.json()), headers={**ada, "prefer": "wait=20"}
    )
    assert placed.json()["status"] == "CONFIRMED", placed.text
    assert placed.json()["customer_id"] == principal_id(idp.url, "ada")
    path = f"/v1/orders/{placed.json()['id']}"
    readers = [ada, seller, bearer("an operator", "staff")]
    assert [(await whole("GET", path, headers=who)).status_code for who in readers] == [200, 200, 200]
    strangers = [
        bearer("eve", "customer"),
        bearer("b", "seller", vendor_id=str(uuid4())),
        await whole.as_("customer"),
    ]
    assert [(await whole("GET", path, headers=who)).status_code for who in strangers] == [404, 404, 404]
    paid = await whole("GET", f"/v1/payments?order_id={placed.json()['id']}", headers=ada)
    assert [payment["status"] for payment in paid.json()["items"]] == ["CAPTURED"]


async def test_who_sends_two_tokens_is_nobody(idp: Any, open_gateway: Any) -> None:
    """Which of them counts, a proxy on the way might see otherwise than we do."""
    api = await open_gateway(oidc_issuers=[idp.settings()])
    tokens = [idp.token(), await api.token("customer")]
    for pair in (tokens, tokens[::-1]):
        shown = await api("GET", "/v1/auth/me", headers=[("authorization", f"Bearer {one}") for one in pair])
        assert (shown.status_code, shown.json()["code"]) == (400, "request.header_doubled"), shown.text
