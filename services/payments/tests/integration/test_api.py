"""The gRPC door: who sees what, refunds once per key, the ledger, and mistakes named by their field."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from orderhub_chassis.errors import Failure, Kind
from orderhub_chassis.ids import uuid7
from orderhub_contracts.common.v1.common_pb2 import Money, PageRequest
from orderhub_contracts.payments.v1 import payments_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def a_captured_payment(orders: Any, people: Any, order_id: UUID, **over: Any) -> str:
    await orders.authorized(order_id, people=people, **over)
    return (await orders.captured(order_id)).payment.payment_id


def a_refund(payment_id: str, amount: int = 2000, **over: Any) -> pb.RefundPaymentRequest:
    values = {"amount": Money(amount_minor=amount, currency="EUR"), "reason": "arrived broken", **over}
    return pb.RefundPaymentRequest(payment_id=payment_id, **values)


async def settled(client: Any, payment_id: str, people: Any, eventually: Any) -> pb.Payment:
    """The payment as soon as no refund of it is pending."""

    async def done() -> pb.Payment | None:
        found = await client.call("GetPayment", pb.GetPaymentRequest(id=payment_id), people.operator)
        return None if any(refund.status == "pending" for refund in found.refunds) else found

    return await eventually(done)


async def refusal(call: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        await call
    return caught.value


async def test_only_those_whose_it_is_and_the_operator_see_a_payment(
    service: Any, orders: Any, client: Any, people: Any, order_id: UUID
) -> None:
    id = await a_captured_payment(orders, people, order_id)
    one, by_order = pb.GetPaymentRequest(id=id), pb.ListPaymentsRequest(order_id=str(order_id))
    for caller in (people.customer, people.vendor, people.operator):
        found = await client.call("GetPayment", one, caller)
        assert (found.order_id, found.status, found.captured.amount_minor) == (
            str(order_id),
            "CAPTURED",
            5000,
        )
        assert [p.id for p in (await client.call("ListPayments", by_order, caller)).items] == [id]
        assert [
            p.id for p in (await client.call("ListPayments", pb.ListPaymentsRequest(), caller)).items
        ] == [id]
    for caller in (people.other_customer, people.other_vendor):
        assert (await refusal(client.call("GetPayment", one, caller))).kind is Kind.NOT_FOUND
        assert list((await client.call("ListPayments", by_order, caller)).items) == []
        assert list((await client.call("ListPayments", pb.ListPaymentsRequest(), caller)).items) == []
    assert (await refusal(client.call("GetPayment", one, people.courier))).kind is Kind.FORBIDDEN
    assert (await refusal(client.call("GetPayment", one, people.nobody))).kind is Kind.UNAUTHENTICATED


async def test_a_list_goes_on_from_its_cursor_newest_first(
    service: Any, orders: Any, client: Any, people: Any
) -> None:
    ids = [(await orders.authorized(uuid7(), people=people)).payment.payment_id for _ in range(5)]
    for caller in (people.customer, people.vendor):
        seen, cursor = [], ""
        while True:
            page = pb.ListPaymentsRequest(page=PageRequest(limit=2, cursor=cursor))
            answer = await client.call("ListPayments", page, caller)
            seen += [payment.id for payment in answer.items]
            cursor = answer.next_cursor
            if not cursor:
                break
        assert seen == sorted(ids, reverse=True)


async def test_a_partial_and_then_a_full_refund_pay_the_money_back(
    service: Any, orders: Any, simulator: Any, client: Any, people: Any, order_id: UUID, eventually: Any
) -> None:
    id = await a_captured_payment(orders, people, order_id)
    asked = await client.call("RefundPayment", a_refund(id), people.vendor, idempotency_key="k1")
    assert [(r.status, r.amount.amount_minor, r.reason) for r in asked.refunds] == [
        ("pending", 2000, "arrived broken")
    ]
    part = await settled(client, id, people, eventually)
    assert (part.status, part.refunded.amount_minor) == ("PARTIALLY_REFUNDED", 2000)
    everything = pb.RefundPaymentRequest(payment_id=id, reason="goodwill")
    await client.call("RefundPayment", everything, people.operator, idempotency_key="k2")
    full = await settled(client, id, people, eventually)
    assert (full.status, full.refunded.amount_minor) == ("REFUNDED", 5000)
    assert [(r.status, r.amount.amount_minor) for r in full.refunds] == [
        ("succeeded", 2000),
        ("succeeded", 3000),
    ]
    (theirs,) = await simulator.authorizations(order_id)
    assert theirs["refunded_minor"] == 5000

    async def told() -> bool:
        return orders.kinds(order_id)[2:] == ["payment.refund_requested", "payment.refunded"] * 2

    await eventually(told)


async def test_the_same_key_refunds_once_however_often_and_at_once(
    service: Any, orders: Any, simulator: Any, client: Any, people: Any, order_id: UUID, eventually: Any
) -> None:
    id = await a_captured_payment(orders, people, order_id)
    key = {"idempotency_key": "k", "fingerprint": b"the same"}
    answers = await asyncio.gather(
        *[client.call("RefundPayment", a_refund(id), people.vendor, **key) for _ in range(5)]
    )
    answers.append(await client.call("RefundPayment", a_refund(id), people.vendor, **key))
    assert len({answer.SerializeToString() for answer in answers}) == 1
    assert len((await settled(client, id, people, eventually)).refunds) == 1
    (theirs,) = await simulator.authorizations(order_id)
    assert theirs["refunded_minor"] == 2000
    other = {"idempotency_key": "k", "fingerprint": b"another"}
    reused = await refusal(client.call("RefundPayment", a_refund(id, 1), people.vendor, **other))
    assert (reused.kind, reused.code) == (Kind.UNPROCESSABLE, "idempotency.key_reused")


async def test_refunds_at_once_never_give_back_more_than_was_captured(
    service: Any, orders: Any, simulator: Any, client: Any, people: Any, order_id: UUID, eventually: Any
) -> None:
    id = await a_captured_payment(orders, people, order_id)
    answers = await asyncio.gather(
        *[
            client.call("RefundPayment", a_refund(id, 2000), people.vendor, idempotency_key=f"k{n}")
            for n in range(4)
        ],
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, Failure)]
    assert [failure.code for failure in refused] == ["payments.refund_exceeds_captured"] * 2
    done = await settled(client, id, people, eventually)
    assert done.refunded.amount_minor == 4000
    (theirs,) = await simulator.authorizations(order_id)
    assert theirs["refunded_minor"] == 4000


async def test_a_cancel_behind_a_refund_gives_back_the_rest(
    service: Any, orders: Any, client: Any, people: Any, order_id: UUID, eventually: Any
) -> None:
    id = await a_captured_payment(orders, people, order_id, token="tok_refund_flaky")
    await client.call("RefundPayment", a_refund(id), people.vendor, idempotency_key="k")
    reply = await orders.reversed(order_id)
    assert (reply.payment.status, reply.payment.refunded.amount_minor) == ("REFUNDED", 5000)
    found = await settled(client, id, people, eventually)
    assert [r.amount.amount_minor for r in found.refunds] == [2000, 3000]


async def test_refunds_are_for_the_vendor_of_the_order_and_the_operator(
    service: Any, orders: Any, client: Any, people: Any, order_id: UUID
) -> None:
    id = await a_captured_payment(orders, people, order_id)

    async def ask(caller: Any, **over: Any) -> Failure:
        request = a_refund(id, **over)
        return await refusal(client.call("RefundPayment", request, caller, idempotency_key="k"))

    assert (await ask(people.customer)).kind is Kind.FORBIDDEN
    assert (await ask(people.courier)).kind is Kind.FORBIDDEN
    assert (await ask(people.nobody)).kind is Kind.UNAUTHENTICATED
    assert (await ask(people.other_vendor)).kind is Kind.NOT_FOUND


WRONG: list[tuple[dict[str, Any], Kind, str]] = [
    ({"amount": Money(amount_minor=0, currency="EUR")}, Kind.INVALID, "/amount/amount_minor"),
    ({"amount": Money(amount_minor=-5, currency="EUR")}, Kind.INVALID, "/amount/amount_minor"),
    ({"amount": Money(amount_minor=5, currency="EUROS")}, Kind.INVALID, "/amount/currency"),
    ({"amount": Money(amount_minor=5, currency="USD")}, Kind.UNPROCESSABLE, "/amount/currency"),
    ({"amount": Money(amount_minor=5001, currency="EUR")}, Kind.UNPROCESSABLE, "/amount/amount_minor"),
    ({"amount": Money(amount_minor=2**63 - 1, currency="EUR")}, Kind.UNPROCESSABLE, "/amount/amount_minor"),
    ({"reason": ""}, Kind.INVALID, "/reason"),
    ({"reason": " \n"}, Kind.INVALID, "/reason"),
    ({"reason": "a\0b"}, Kind.INVALID, "/reason"),
    ({"reason": "x" * 501}, Kind.INVALID, "/reason"),
    ({"payment_id": "nonsense"}, Kind.INVALID, "/payment_id"),
    ({"payment_id": str(UUID(int=1))}, Kind.NOT_FOUND, ""),
]


async def test_a_wrong_refund_is_refused_by_its_field_and_changes_nothing(
    service: Any, orders: Any, client: Any, people: Any, order_id: UUID, sql: asyncpg.Connection
) -> None:
    id = await a_captured_payment(orders, people, order_id)
    for number, (over, kind, pointer) in enumerate(WRONG):
        request = a_refund(id)
        request.MergeFrom(pb.RefundPaymentRequest(payment_id=over.get("payment_id", "")))
        if "amount" in over:
            request.amount.CopyFrom(over["amount"])
        request.reason = over.get("reason", request.reason)
        failure = await refusal(
            client.call("RefundPayment", request, people.operator, idempotency_key=f"k{number}")
        )
        assert (failure.kind, [e.pointer for e in failure.errors]) == (kind, [pointer] if pointer else []), (
            over
        )
    keyless = await refusal(client.call("RefundPayment", a_refund(id), people.vendor))
    assert keyless.code == "idempotency.key_required"
    assert await sql.fetchval("select count(*) from refunds where order_id = $1", order_id) == 0


@pytest.mark.parametrize("token", ["tok_ok", "tok_declined"])
async def test_what_was_not_captured_cannot_be_refunded(
    service: Any, orders: Any, client: Any, people: Any, order_id: UUID, token: str
) -> None:
    id = (await orders.authorized(order_id, token=token, people=people)).payment.payment_id
    failure = await refusal(client.call("RefundPayment", a_refund(id), people.vendor, idempotency_key="k"))
    assert (failure.kind, failure.code) == (Kind.CONFLICT, "payments.not_refundable")


async def test_reads_refuse_malformed_ids_limits_and_cursors(service: Any, client: Any, people: Any) -> None:
    wrong = {
        "/id": ("GetPayment", pb.GetPaymentRequest(id="1")),
        "/query/order_id": ("ListPayments", pb.ListPaymentsRequest(order_id="x")),
        "/query/limit": ("ListPayments", pb.ListPaymentsRequest(page=PageRequest(limit=201))),
        "/query/cursor": ("ListLedger", pb.ListLedgerRequest(page=PageRequest(cursor="abc"))),
        "/query/account": ("ListLedger", pb.ListLedgerRequest(account="a\0")),
    }
    for pointer, (method, request) in wrong.items():
        failure = await refusal(client.call(method, request, people.operator))
        assert (failure.kind, failure.errors[0].pointer) == (Kind.INVALID, pointer)


async def test_the_operator_reads_the_ledger_by_order_and_account(
    service: Any, orders: Any, client: Any, people: Any, order_id: UUID
) -> None:
    other = uuid7()
    await a_captured_payment(orders, people, other)
    await a_captured_payment(orders, people, order_id)
    await orders.reversed(order_id)
    answer = await client.call("ListLedger", pb.ListLedgerRequest(order_id=str(order_id)), people.operator)
    kinds = ["refund_paid"] * 2 + ["refund_granted"] * 2 + ["capture"] * 2
    assert [entry.kind for entry in answer.items] == kinds
    assert sum(entry.amount.amount_minor for entry in answer.items) == 0
    payable = pb.ListLedgerRequest(
        account=f"vendor_payable:{people.vendor.vendor_id}", page=PageRequest(limit=1)
    )
    first = await client.call("ListLedger", payable, people.operator)
    payable.page.cursor = first.next_cursor
    second = await client.call("ListLedger", payable, people.operator)
    seen = [(entry.order_id, entry.amount.amount_minor) for entry in (*first.items, *second.items)]
    assert (seen, second.next_cursor) == ([(str(order_id), -5000), (str(other), -5000)], "")
    for caller in (people.customer, people.vendor, people.courier):
        for method, request in (("ListLedger", payable), ("Reconcile", pb.ReconcileRequest())):
            assert (await refusal(client.call(method, request, caller))).kind is Kind.FORBIDDEN
