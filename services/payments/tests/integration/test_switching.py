"""The setting is changed while payments are open: each stays with the provider that it began with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from orderhub_chassis.ids import uuid7
from orderhub_chassis.service import Surroundings
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_payments.app import Service, build
from orderhub_payments.hints import Hints
from orderhub_payments.reconcile import reconcile, reconcile_with
from orderhub_payments.settings import Settings
from orderhub_payments.webhooks import Hint
from pydantic import SecretStr
from stripe_server import API_KEY as STRIPE_KEY
from stripe_server import SECRET, StripeServer, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAPTURE = 4
UNKNOWN = replies_pb2.OUTCOME_UNKNOWN


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[StripeServer]:
    async with running() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def configured(
    common: dict[str, Any], server: StripeServer, simulator: Any, fresh: Callable[..., Awaitable[str]]
) -> Callable[..., Settings]:
    """`configured("stripe", stripe=True, simulator=False)`: one database, whatever is chosen and configured."""
    quick = {
        "database_url": await fresh("orderhub_chassis", "orderhub_payments"),
        "retry_first": timedelta(milliseconds=10),
        "retry_longest": timedelta(milliseconds=100),
        "poll": timedelta(milliseconds=100),
    }
    by_name: dict[str, dict[str, Any]] = {
        "stripe": {
            "stripe_api_key": STRIPE_KEY, "stripe_webhook_secret": SECRET, "stripe_url": server.url,
            "stripe_timeout": timedelta(seconds=2),
        },
        "simulator": {"simulator_url": simulator.url, "simulator_api_key": "a-key-for-tests-only"},
    }  # fmt: skip

    def settings(chosen: str, *also: str) -> Settings:
        described = {name: value for one in (chosen, *also) for name, value in by_name[one].items()}
        return Settings(**{**common, **quick, **described, "provider": chosen})

    return settings


@asynccontextmanager
async def payments(settings: Settings) -> AsyncIterator[tuple[Service, asyncpg.Connection]]:
    sql = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        async with build(settings, Surroundings()) as service:
            yield service, sql
    finally:
        await sql.close()


async def provider_of(sql: asyncpg.Connection, order_id: UUID) -> str:
    return str(await sql.fetchval("select provider from payments where order_id = $1", order_id))


async def _now(value: Any) -> Any:
    return value


async def test_open_payments_wait_for_their_own_provider_and_go_on_with_it(
    configured: Callable[..., Settings], orders: Any, server: StripeServer, simulator: Any, eventually: Any
) -> None:
    by_stripe, by_simulator = uuid7(), uuid7()
    async with payments(configured("stripe")) as (_, sql):
        await orders.authorized(by_stripe, token="pm_card_visa")
        assert await provider_of(sql, by_stripe) == "stripe"
    asked = len(server.asked)
    async with payments(configured("simulator")) as (service, sql):
        await orders.authorized(by_simulator)
        assert await provider_of(sql, by_simulator) == "simulator"
        await orders.send(orders.capturing(by_stripe))
        problem = (
            "select problem from payment_intents where order_id = $1 and status = 'pending' and attempts > 2"
        )
        words = await eventually(lambda: sql.fetchval(problem, by_stripe))
        assert "'stripe' is not configured: set ORDERHUB_PAYMENTS_STRIPE_*" in words
        await eventually(lambda: _now(orders.replies_to(by_stripe, CAPTURE)))
        assert [reply.outcome for reply in orders.replies_to(by_stripe, CAPTURE)] == [UNKNOWN]
        assert service.chassis.readiness.ok, "new payments are made as ever"
        report = await reconcile(service.chassis.db, service.providers)
        assert [(d.code, d.detail[:31]) for d in report.differences] == [
            ("provider.not_configured", "1 payments were not compared: t")
        ]
        await orders.captured(by_simulator)
    assert len(server.asked) == asked
    assert await simulator.authorizations(by_stripe) == []
    both = configured("simulator", "stripe")
    async with payments(both) as (service, sql):
        assert [await one.examine() for one in service.providers] == [
            "takes our API key",
            f"takes our API key and speaks {server.speaks}",
        ]
        assert (await orders.definite(by_stripe, CAPTURE)).outcome == replies_pb2.OUTCOME_SUCCEEDED
        for order_id in (by_stripe, by_simulator):
            await orders.reversed(order_id)
        assert [intent["status"] for intent in server.of_order(by_stripe)] == ["succeeded"]
        (authorization,) = await simulator.authorizations(by_simulator)
        assert authorization["refunded_minor"] == 5000
        report = await reconcile(service.chassis.db, service.providers)
        assert (report.payments_checked, report.differences) == (2, ())
    assert (await reconcile_with(both)).differences == ()


async def test_one_batch_for_both_is_asked_of_both(
    configured: Callable[..., Settings], orders: Any, server: StripeServer
) -> None:
    """The other's outage says nothing of the chosen one."""
    old, new = [uuid7() for _ in range(3)], [uuid7() for _ in range(3)]
    async with payments(configured("stripe")) as (_, _sql):
        for order_id in old:
            await orders.authorized(order_id, token="pm_card_visa")
    async with payments(configured("simulator", "stripe")) as (service, _):
        for order_id in new:
            await orders.authorized(order_id)
        server.fail("/capture", "status", times=3, status=503)
        await orders.send(*(orders.capturing(order_id) for order_id in old + new))
        for order_id in old + new:
            assert (await orders.definite(order_id, CAPTURE)).outcome == replies_pb2.OUTCOME_SUCCEEDED
        assert service.chassis.readiness.ok


async def test_webhooks_are_taken_before_the_api_key_is_set_and_looked_at_when_it_is(
    configured: Callable[..., Settings], server: StripeServer, eventually: Any
) -> None:
    """What arrives while Stripe is not configured waits, and the log says for what."""
    server.create({"payment_method": "pm_card_visa", "amount": "100", "currency": "eur"})
    ref = list(server.intents)[-1]
    hint = Hint("stripe", "evt_early", "charge.refunded", ref)
    looks = "select looks from provider_events where id = 'evt_early'"
    status = "select status from provider_events where id = 'evt_early' and status <> 'new'"
    keyless = configured("simulator").model_copy(update={"stripe_webhook_secret": SecretStr(SECRET)})
    async with payments(keyless) as (service, sql):
        assert await Hints(service.chassis.db, service.providers).store(hint)
        assert await eventually(lambda: sql.fetchval(looks))
        assert await sql.fetchval(status) is None
    async with payments(configured("simulator", "stripe")) as (_, sql):
        await sql.execute("update provider_events set next_look_at = now()")
        assert await eventually(lambda: sql.fetchval(status)) == "unknown"
    del server.intents[ref]
