"""Every request of the adapter is one that Stripe's published schema allows: stripe-mock refuses all others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from orderhub_chassis.clock import SystemClock
from orderhub_payments.clients.stripe import Stripe, keys, stripe
from orderhub_payments.clients.stripe.moves import retrieve
from orderhub_payments.clients.stripe.transport import VERSION
from orderhub_payments.model import Asked, Authorize, Capture, Operation, PayBack, Result, Void

pytestmark = pytest.mark.backends

KEY = "sk_test_0123456789"
LONG_AGO = Asked(2, SystemClock().now() - keys.KEPT - timedelta(hours=1))
PAYMENT = "0198c0de-0000-7000-8000-000000000001"


@dataclass
class Watched:
    """The adapter, and every answer that it got; stripe-mock says 400 or 404 where a request is not allowed."""

    stripe: Stripe
    answers: list[tuple[str, str, int, bytes]] = field(default_factory=list)

    def refused(self) -> list[Any]:
        return [answer for answer in self.answers if answer[2] != 200]


@pytest_asyncio.fixture
async def watched(
    backend: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watched]:
    url, timeout = backend("stripe-mock")["url"], timedelta(seconds=20)
    async with stripe(url, KEY, clock=SystemClock(), timeout=timeout, parallel=4) as one:
        found, send = Watched(one), one.transport.send

        async def watching(method: str, path: str, asked: Any, key: str = "") -> Any:
            answer = await send(method, path, asked, key)
            found.answers.append((method, path, answer.status, answer.body))
            return answer

        monkeypatch.setattr(one.transport, "send", watching)
        yield found


ASKED: list[tuple[Operation, list[tuple[str, str]]]] = [
    (
        Authorize("a", 5000, "EUR", "pm_card_visa", "order", PAYMENT),
        [("POST", "/v1/payment_intents"), ("POST", "/cancel")],
    ),
    (
        Authorize("b", 5000, "JPY", "pm_card_visa", "order", PAYMENT, LONG_AGO),
        [("GET", "/v1/payment_intents/search"), ("POST", "/cancel")],
    ),
    (Capture("c", "pi_1", 5000, "EUR"), [("POST", "/v1/payment_intents/pi_1/capture")]),
    (Void("v", "pi_1"), [("POST", "/v1/payment_intents/pi_1/cancel")]),
    (PayBack("r", "pi_1", 700, "refund", "EUR", PAYMENT), [("POST", "/v1/refunds")]),
    (
        PayBack("s", "pi_1", 700, "refund", "KWD", PAYMENT, LONG_AGO),
        [("GET", "/v1/refunds"), ("POST", "/v1/refunds")],
    ),
]


@pytest.mark.parametrize(("operation", "requests"), ASKED)
async def test_every_operation_is_asked_as_the_schema_wants_it(
    watched: Watched, operation: Operation, requests: list[tuple[str, str]]
) -> None:
    """Its answers are fixtures that fit no question of ours, so that none of them is believed."""
    (result,) = await watched.stripe.execute([operation])
    assert isinstance(result, Result)
    assert watched.refused() == []
    for method, path in requests:
        assert [a for a in watched.answers if a[0] == method and a[1].endswith(path)], watched.answers


async def test_the_listing_and_a_single_look_are_allowed(watched: Watched) -> None:
    async for page in watched.stripe.listing(SystemClock().now()):
        assert page
        break
    assert await watched.stripe.find("pi_1")
    assert await retrieve(watched.stripe.transport, "pi_1")
    assert watched.refused() == []


async def test_a_request_that_the_schema_does_not_allow_is_refused(
    backend: Callable[[str], dict[str, str]],
) -> None:
    """So that the tests above can fail."""
    headers = {"Authorization": f"Bearer {KEY}", "Stripe-Version": VERSION}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{backend('stripe-mock')['url']}/v1/refunds", data={"no_such_field": "1"}) as answer,
    ):
        assert answer.status == 400
