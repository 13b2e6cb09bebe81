"""Payments with Stripe as it runs: saga commands, the worker, the database, webhooks over gRPC, reconcile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.errors import Failure
from orderhub_chassis.grpc import client as grpc_client
from orderhub_chassis.ids import uuid7
from orderhub_chassis.service import Surroundings
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.payments.v1 import payments_pb2 as pb
from orderhub_contracts.payments.v1 import payments_pb2_grpc
from orderhub_payments.app import Service, build
from orderhub_payments.hints import KEPT
from orderhub_payments.reconcile import reconcile
from orderhub_payments.settings import Settings
from stripe_server import API_KEY as STRIPE_KEY
from stripe_server import SECRET, StripeServer, event, running, sign

pytestmark = pytest.mark.asyncio(loop_scope="module")

OK, FAILED, UNKNOWN = replies_pb2.OUTCOME_SUCCEEDED, replies_pb2.OUTCOME_FAILED, replies_pb2.OUTCOME_UNKNOWN
VISA = "pm_card_visa"
CAPTURE = 4


@dataclass
class Moved:
    """A clock that can be set forward while a service runs."""

    offset: timedelta = timedelta(0)

    def now(self) -> datetime:
        return SystemClock(self.offset).now()

    def monotonic(self) -> float:
        return SystemClock().monotonic()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[StripeServer]:
    async with running() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clock() -> Moved:
    return Moved()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chosen(
    common: dict[str, Any], server: StripeServer, fresh: Callable[..., Awaitable[str]]
) -> Callable[..., Settings]:
    """`chosen(**over)`: payments with Stripe alone; quick retries."""
    quick = {
        "database_url": await fresh("orderhub_chassis", "orderhub_payments"),
        "provider": "stripe",
        "stripe_api_key": STRIPE_KEY,
        "stripe_webhook_secret": f"whsec_that_was_rotated,{SECRET}",
        "stripe_url": server.url,
        "stripe_timeout": timedelta(seconds=2),
        "retry_first": timedelta(milliseconds=10),
        "retry_longest": timedelta(milliseconds=100),
        "poll": timedelta(milliseconds=100),
    }
    return lambda **over: Settings(**{**common, **quick, **over})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def payments(chosen: Callable[..., Settings], clock: Moved) -> AsyncIterator[Service]:
    async with build(chosen(), Surroundings(clock=clock)) as running_one:
        yield running_one


class Hook:
    """Stripe as it calls us: gRPC as the gateway does it, and the database to see what came of it."""

    def __init__(self, peer: Any, sql: asyncpg.Connection, clock: Moved) -> None:
        self._peer = peer
        self._stub = payments_pb2_grpc.PaymentsServiceStub(peer.channel)
        self.sql = sql
        self._clock = clock

    async def post(self, body: bytes, header: str | None = None) -> str:
        signature = sign(body, self._clock.now().timestamp()) if header is None else header
        request = pb.ReceiveStripeWebhookRequest(signature=signature, body=body)
        answer = await self._peer.call(self._stub.ReceiveStripeWebhook, request)
        return str(answer.outcome)

    async def tell(self, ref: str, type: str = "charge.refunded", id: str = "") -> str:
        about = {"id": ref, "object": "payment_intent"}
        if not type.startswith("payment_intent."):
            about = {"id": "ch_1", "object": "charge", "payment_intent": ref}
        return await self.post(event(id or f"evt_{uuid7().hex}", type, about))

    async def findings(self, ref: str) -> list[tuple[str, str]]:
        """(status, finding) of each event about it; once all were looked at."""
        rows = await self.sql.fetch(
            "select status, finding from provider_events where provider_ref = $1 order by received_at", ref
        )
        return [] if any(row["status"] == "new" for row in rows) else [tuple(row) for row in rows]

    async def payment(self, order_id: UUID) -> Any:
        return await self.sql.fetchrow("select * from payments where order_id = $1", order_id)


@pytest_asyncio.fixture(loop_scope="module")
async def hook(payments: Service, chosen: Callable[..., Settings], clock: Moved) -> AsyncIterator[Hook]:
    sql = await asyncpg.connect(chosen().database_url.get_secret_value())
    address, tokens = f"127.0.0.1:{payments.grpc_port}", payments.chassis.tokens
    async with grpc_client.connect(address, tokens, timedelta(seconds=5)) as peer:
        yield Hook(peer, sql, clock)
    await sql.close()


async def held(orders: Any, hook: Hook, order_id: UUID) -> str:
    """The reference of a fresh authorization of 5000 EUR cents."""
    reply = await orders.authorized(order_id, token=VISA)
    assert reply.outcome == OK
    return str((await hook.payment(order_id))["provider_ref"])


async def differences(payments: Service, order_id: object) -> list[str]:
    report = await reconcile(payments.chassis.db, payments.providers)
    return sorted(d.code for d in report.differences if d.order_id == str(order_id))


# ---- the saga's steps


async def test_a_whole_order_is_authorized_captured_and_paid_back(
    payments: Service, orders: Any, hook: Hook, server: StripeServer, order_id: UUID
) -> None:
    ref = await held(orders, hook, order_id)
    assert (await orders.captured(order_id)).outcome == OK
    assert (await orders.reversed(order_id)).outcome == OK
    row = await hook.payment(order_id)
    assert (row["provider"], row["status"], row["refunded_minor"]) == ("stripe", "REFUNDED", 5000)
    assert [server.effects[f"{what} {ref}"] for what in ("authorized", "captured", "refunded")] == [1, 1, 1]
    assert await differences(payments, order_id) == []


async def test_an_order_that_is_undone_before_it_is_captured_is_voided(
    payments: Service, orders: Any, hook: Hook, server: StripeServer, order_id: UUID
) -> None:
    ref = await held(orders, hook, order_id)
    assert (await orders.reversed(order_id)).outcome == OK
    assert server.intents[ref]["status"] == "canceled"
    assert (await hook.payment(order_id))["status"] == "VOIDED"
    assert await differences(payments, order_id) == []


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_chargeDeclinedInsufficientFunds", "payments.insufficient_funds"),
        ("pm_card_chargeDeclined", "payments.declined"),
        ("pm_needs_action", "payments.authentication_required"),
        ("tok_ok", "payments.unknown_token"),
    ],
)
async def test_a_card_that_cannot_pay_is_told_with_its_reason(
    payments: Service, orders: Any, order_id: UUID, token: str, code: str
) -> None:
    reply = await orders.authorized(order_id, token=token)
    assert (reply.outcome, reply.reason.code) == (FAILED, code)
    assert await differences(payments, order_id) == []


@pytest.mark.parametrize("how", ["reset", "half", "hang"])
async def test_money_that_moved_while_the_answer_was_lost_moves_once(
    payments: Service, orders: Any, hook: Hook, server: StripeServer, order_id: UUID, how: str
) -> None:
    for path in ("/payment_intents", "/capture", "/refunds"):
        server.fail(path, how)
    ref = await held(orders, hook, order_id)
    assert (await orders.captured(order_id)).outcome == OK
    (first, *_) = orders.replies_to(order_id, CAPTURE)
    assert first.outcome == UNKNOWN, "past the pivot the saga is told that it has to wait"
    assert (await orders.reversed(order_id)).outcome == OK
    assert [server.effects[f"{what} {ref}"] for what in ("authorized", "captured", "refunded")] == [1, 1, 1]
    assert len(server.of_order(order_id)) == 1
    assert await differences(payments, order_id) == []


async def test_a_stripe_that_is_busy_locked_or_broken_is_asked_until_it_answers(
    payments: Service, orders: Any, hook: Hook, server: StripeServer, order_id: UUID
) -> None:
    for status, code in ((429, "rate_limit"), (409, "idempotency_key_in_use"), (500, ""), (503, "")):
        server.fail("/payment_intents", "status", status=status, code=code)
        server.fail("/capture", "status", status=status, code=code)
    server.fail("/capture", "saved")
    ref = await held(orders, hook, order_id)
    assert (await orders.captured(order_id)).outcome == OK
    assert server.effects[f"captured {ref}"] == 1
    keys = {
        key
        for method, path, key in server.asked
        if path.endswith(f"{ref}/capture") and ":capture:" not in key
    }
    assert len(keys) == 1, "one key for all attempts, but the one whose fault was kept"


async def test_how_long_stripe_wants_to_be_left_alone_is_kept_to(
    orders: Any, hook: Hook, server: StripeServer, order_id: UUID, eventually: Any
) -> None:
    server.fail("/payment_intents", "status", status=429, code="rate_limit", headers={"Retry-After": "40"})
    await orders.send(orders.authorizing(order_id, token=VISA))
    waits = "select next_attempt_at - updated_at from payment_intents where order_id = $1 and problem <> ''"
    pause = await eventually(lambda: hook.sql.fetchval(waits, order_id))
    assert timedelta(seconds=30) < pause <= timedelta(seconds=40), (
        "and not the tenth of a second of the settings"
    )
    await hook.sql.execute(
        "update payment_intents set next_attempt_at = now(), updated_at = now() where order_id = $1", order_id
    )
    assert (await orders.definite(order_id, 2)).outcome == OK


async def test_a_key_that_stripe_has_forgotten_authorizes_nothing_twice(
    payments: Service,
    orders: Any,
    hook: Hook,
    server: StripeServer,
    clock: Moved,
    order_id: UUID,
    eventually: Any,
) -> None:
    server.fail("/payment_intents", "reset")
    server.fail(
        "/payment_intents", "status", times=1, status=429, headers={"Retry-After": "60"}, code="rate_limit"
    )
    await orders.send(orders.authorizing(order_id, token=VISA))
    waiting = "select 1 from payment_intents where order_id = $1 and problem = 'rate_limit'"
    await eventually(lambda: hook.sql.fetchval(waiting, order_id))
    server.saved.clear()
    try:
        clock.offset = timedelta(hours=25)
        assert (await orders.definite(order_id, 2)).outcome == OK
    finally:
        clock.offset = timedelta(0)
    assert len(server.of_order(order_id)) == 1


# ---- webhooks


async def test_a_hint_hastens_what_is_open_and_is_believed_in_nothing(
    payments: Service, orders: Any, hook: Hook, server: StripeServer, order_id: UUID, eventually: Any
) -> None:
    """Stripe is still at it; the retry would be a minute away; the event tells that it is worth to ask."""
    await orders.send(orders.authorizing(order_id, token="pm_processing"))
    (intent,) = await eventually(lambda: _async(server.of_order(order_id)))
    server.fail(
        "/payment_intents", "status", times=1, status=429, headers={"Retry-After": "60"}, code="rate_limit"
    )
    waiting = "select 1 from payment_intents where order_id = $1 and problem = 'rate_limit'"
    await eventually(lambda: hook.sql.fetchval(waiting, order_id))
    assert await hook.tell(intent["id"], "payment_intent.succeeded") == "stored"
    await eventually(lambda: hook.findings(intent["id"]))
    assert (await hook.payment(order_id))["status"] == "PENDING", "whatever the event said"
    intent |= {"status": "requires_capture", "amount_capturable": 5000}
    await hook.tell(intent["id"], "payment_intent.amount_capturable_updated")
    assert (await orders.definite(order_id, 2)).outcome == OK
    # Who looks at the second event may find that the payment has been asked about already.
    found = {status for status, _ in await eventually(lambda: hook.findings(intent["id"]))}
    assert {"hastened"} <= found <= {"hastened", "agrees"}


async def _async(value: Any) -> Any:
    return value


async def test_events_in_any_order_and_again_and_again_change_nothing(
    payments: Service, orders: Any, hook: Hook, server: StripeServer, order_id: UUID, eventually: Any
) -> None:
    ref = await held(orders, hook, order_id)
    await orders.captured(order_id)
    before = dict(await hook.payment(order_id))
    types = [
        "charge.refunded", "payment_intent.canceled", "payment_intent.succeeded", "refund.failed",
        "payment_intent.processing", "payment_intent.amount_capturable_updated", "payment_intent.payment_failed",
    ]  # fmt: skip
    for round in range(2):
        outcomes = {await hook.tell(ref, type, id=f"evt_{ref}_{type}") for type in types}
        assert outcomes == {"repeated" if round else "stored"}
    found = await eventually(lambda: hook.findings(ref))
    assert found == [("agrees", "")] * len(types)
    assert dict(await hook.payment(order_id)) == before
    assert server.effects[f"captured {ref}"] == 1


async def test_a_refund_made_at_stripes_dashboard_is_named_and_never_booked(
    payments: Service, orders: Any, hook: Hook, server: StripeServer, order_id: UUID, eventually: Any
) -> None:
    ref = await held(orders, hook, order_id)
    await orders.captured(order_id)
    server.refund({"payment_intent": ref, "amount": "700"})
    await hook.tell(ref)
    assert await eventually(lambda: hook.findings(ref)) == [
        ("differs", "provider.refunded: ours 0, the provider's 700")
    ]
    assert await differences(payments, order_id) == ["provider.refunded"]
    assert (await hook.payment(order_id))["refunded_minor"] == 0
    reply = await orders.reversed(order_id)
    assert (reply.outcome, reply.reason.code) == (FAILED, "payments.refund_rejected"), "more than is left"
    assert server.effects[f"refunded {ref}"] == 1


async def test_an_authorization_that_ran_out_is_discovered_and_its_capture_fails_openly(
    payments: Service, orders: Any, hook: Hook, server: StripeServer, order_id: UUID, eventually: Any
) -> None:
    ref = await held(orders, hook, order_id)
    server.cancel(server.intents[ref])
    await hook.tell(ref, "payment_intent.canceled")
    assert await eventually(lambda: hook.findings(ref)) == [
        ("differs", "provider.status: ours authorized, the provider's voided")
    ]
    assert await differences(payments, order_id) == ["provider.status"]
    reply = await orders.captured(order_id)
    assert (reply.outcome, reply.reason.code) == (FAILED, "payments.capture_rejected")
    assert (await orders.reversed(order_id)).outcome == OK
    assert (await hook.payment(order_id))["status"] == "VOIDED"
    assert await differences(payments, order_id) == []


async def test_an_event_about_nobodys_payment_is_kept_for_reconcile(
    payments: Service, hook: Hook, server: StripeServer, eventually: Any
) -> None:
    assert await hook.tell("pi_of_nobody") == "stored"
    ((status, finding),) = await eventually(lambda: hook.findings("pi_of_nobody"))
    assert (status, finding) == ("unknown", "stripe has no pi_of_nobody for this API key")
    server.create({"payment_method": VISA, "amount": "100", "currency": "eur", "metadata[order_id]": "x"})
    stranger = list(server.intents)[-1]
    await hook.tell(stranger)
    ((status, finding),) = await eventually(lambda: hook.findings(stranger))
    assert (status, finding) == ("unknown", f"{stranger} (authorized, 100 EUR) has no payment")
    report = await reconcile(payments.chassis.db, payments.providers)
    found = [d.detail for d in report.differences if d.code == "provider.unknown_event"]
    assert [detail for detail in found if "pi_of_nobody" in detail]
    assert not [detail for detail in found if stranger in detail], "the listing names it"
    assert [
        d for d in report.differences if d.code == "provider.unknown_authorization" and stranger in d.detail
    ]
    del server.intents[stranger]


async def test_while_stripe_is_away_a_hint_waits(
    payments: Service,
    orders: Any,
    hook: Hook,
    server: StripeServer,
    clock: Moved,
    order_id: UUID,
    eventually: Any,
) -> None:
    ref = await held(orders, hook, order_id)
    intent = server.intents[ref]
    server.intents[ref] = {"broken": True}
    await hook.tell(ref)
    looks = "select looks from provider_events where provider_ref = $1"
    await eventually(lambda: hook.sql.fetchval(looks, ref))
    assert await hook.findings(ref) == []
    server.intents[ref] = intent
    try:
        clock.offset = timedelta(minutes=1)
        assert await eventually(lambda: hook.findings(ref)) == [("agrees", "")]
    finally:
        clock.offset = timedelta(0)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "payments.webhook_signature_malformed"),
        ("t=1,v1=00", "payments.webhook_signature_wrong"),
        (sign(b"{}", 1), "payments.webhook_out_of_time"),
        (None, "payments.webhook_malformed"),
    ],
)
async def test_who_is_not_stripe_is_refused_with_a_code(hook: Hook, header: str | None, code: str) -> None:
    with pytest.raises(Failure) as refused:
        await hook.post(b"{}", header)
    assert (refused.value.kind, refused.value.code) == ("invalid", code)


async def test_an_event_of_no_interest_is_taken_and_leaves_nothing(hook: Hook) -> None:
    assert await hook.tell("pi_1", "payment_intent.created", id="evt_of_no_interest") == "ignored"
    assert not await hook.sql.fetchval("select 1 from provider_events where id = 'evt_of_no_interest'")


async def test_old_events_are_forgotten(payments: Service, hook: Hook, clock: Moved) -> None:
    from orderhub_payments.hints import Hints

    await hook.tell("pi_1", id="evt_old")
    hints = Hints(payments.chassis.db, payments.providers)
    assert await hints.prune() is False
    assert await hook.sql.fetchval("select 1 from provider_events where id = 'evt_old'")
    try:
        clock.offset = KEPT + timedelta(hours=1)
        await hints.prune()
    finally:
        clock.offset = timedelta(0)
    assert await hook.sql.fetchval("select count(*) from provider_events") == 0
    assert await hook.tell("pi_1", id="evt_old") == "stored", "forgotten: a hint like any other"


# ---- who asks, and whom


async def test_a_person_refunds_a_part(
    payments: Service,
    orders: Any,
    hook: Hook,
    server: StripeServer,
    people: Any,
    order_id: UUID,
    eventually: Any,
) -> None:
    await orders.send(orders.authorizing(order_id, token=VISA, people=people))
    await orders.definite(order_id, 2)
    await orders.captured(order_id)
    row = await hook.payment(order_id)
    address = f"127.0.0.1:{payments.grpc_port}"
    from orderhub_chassis.calls import Call

    async with grpc_client.connect(address, payments.chassis.tokens, timedelta(seconds=5)) as peer:
        stub = payments_pb2_grpc.PaymentsServiceStub(peer.channel)
        request = pb.RefundPaymentRequest(
            payment_id=str(row["id"]), amount=Money(amount_minor=700, currency="EUR"), reason="scratched"
        )
        call = Call(caller=people.vendor, idempotency_key="k", fingerprint=b"f")
        await peer.call(stub.RefundPayment, request, call=call)
    refunded = "select refunded_minor from payments where order_id = $1 and refunded_minor > 0"
    assert await eventually(lambda: hook.sql.fetchval(refunded, order_id)) == 700
    assert await differences(payments, order_id) == []


async def test_anybody_may_call_since_the_signature_says_who_speaks(hook: Hook) -> None:
    assert await hook.tell("pi_1", "customer.created") == "ignored"
