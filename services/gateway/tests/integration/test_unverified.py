"""Who has to prove an address logs in without, and orders with."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest


@pytest.fixture
def auth_over() -> dict[str, Any]:
    return {"require_verified_email": True}


async def test_an_unproved_address_logs_in_and_orders_nothing(whole: Any, an_order_of: Any) -> None:
    product = await whole.make_product()
    user = {"email": f"{uuid4().hex}@example.org", "password": "a password for tests"}
    assert (await whole("POST", "/v1/auth/register", json=user)).status_code == 202
    pair = (await whole("POST", "/v1/auth/login", json=user)).json()
    assert pair["user"]["roles"] == ["customer"]
    mine = {"authorization": f"Bearer {pair['access_token']}"}
    headers = {**mine, "idempotency-key": uuid4().hex}
    refused = await whole("POST", "/v1/orders", json=an_order_of(product), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "orders.email_not_verified")
    for path in ("auth/me", "orders", "auth/sessions"):
        assert (await whole("GET", f"/v1/{path}", headers=mine)).status_code == 200, path
    assert (await whole("POST", "/v1/auth/email/verify/request", headers=mine)).status_code == 202
    assert (await whole.place(product)).status_code in (200, 202), "who was made by an operator is known"
