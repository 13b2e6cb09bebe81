"""Stripe's webhooks at the public door: the body goes on byte by byte, nobody needs a token, and floods are cut."""

from __future__ import annotations

import hmac
import json
import time
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest

PATH = "/v1/payments/webhooks/stripe"
SECRET = "whsec_of_the_tests_only"
"""As conftest gives it to payments."""


def an_event(**over: Any) -> bytes:
    """With the spaces, the order and the letters that a second encoder would not give back."""
    about = {"id": "pi_1", "object": "payment_intent", "description": "Стикер ☂"}
    found = {
        "type": "payment_intent.succeeded",
        "id": f"evt_{uuid4().hex}",
        "data": {"object": about},
        **over,
    }
    return json.dumps(found, indent=3, ensure_ascii=False).encode() + b"\n"


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    at = int(time.time())
    made = hmac.new(secret.encode(), b"%d.%s" % (at, body), sha256).hexdigest()
    # As Stripe calls: its own content type and Accept.
    return {
        "stripe-signature": f"t={at},v1={made}",
        "content-type": "application/json; charset=utf-8",
        "accept": "*/*; q=0.5, application/xml",
    }


async def test_an_event_is_taken_once_whoever_repeats_it(whole: Any) -> None:
    body = an_event()
    outcomes = []
    for _ in range(3):
        answer = await whole("POST", PATH, content=body, headers=signed(body))
        assert answer.status_code == 200, answer.text
        outcomes.append(answer.json())
    assert outcomes == [{"outcome": "stored"}, {"outcome": "repeated"}, {"outcome": "repeated"}]
    other = an_event(type="an.event.of.the.future")
    answer = await whole("POST", PATH, content=other, headers=signed(other))
    assert (answer.status_code, answer.json()) == (200, {"outcome": "ignored"})
    changed = [
        (body + b" ", signed(body)),
        (body, signed(body, "another")),
        (body, {}),
        (b"{}", signed(b"{}")),
    ]
    codes = []
    for sent, headers in changed:
        answer = await whole("POST", PATH, content=sent, headers=headers)
        assert answer.status_code == 400, answer.text
        codes.append(answer.json()["code"])
    assert codes == [
        "payments.webhook_signature_wrong", "payments.webhook_signature_wrong",
        "payments.webhook_signature_malformed", "payments.webhook_malformed",
    ]  # fmt: skip


async def test_no_token_is_looked_at_and_the_address_is_counted_by_itself(open_gateway: Any) -> None:
    api = await open_gateway(webhook_rate_per_address=0.01, webhook_burst_per_address=2)
    headers = {"authorization": "Bearer expired", **signed(b"{}")}
    answers = [await api("POST", PATH, content=b"{}", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 429], (
        "payments is not behind this gateway"
    )
    assert answers[-1].json()["code"] == "gateway.rate_limited"
    assert all(answer.headers["ratelimit-policy"].startswith('"webhooks";q=2') for answer in answers)
    assert (await api("GET", "/v1/products")).status_code != 429


async def test_webhooks_go_on_without_redis(open_gateway: Any) -> None:
    """The provider would repeat them for days; whoever else posts here gains nothing."""
    api = await open_gateway(redis_url="redis://127.0.0.1:9/0")
    answer = await api("POST", PATH, content=b"{}", headers=signed(b"{}"))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), "past the limits, to payments"


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_above_the_limit_is_refused_at_the_door(open_gateway: Any, announced: bool) -> None:
    api = await open_gateway(webhook_limit=1024)
    body = b" " * 1025

    async def stream() -> Any:
        yield body

    answer = await api("POST", PATH, content=body if announced else stream(), headers=signed(body))
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


async def test_it_is_only_posted_to(api: Any) -> None:
    assert (await api("GET", PATH)).status_code == 405
