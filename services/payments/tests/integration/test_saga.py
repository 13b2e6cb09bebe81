"""The saga's commands against the real provider: every token, duplicates, reordering, and what the ledger says."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from orderhub_chassis.ids import uuid7
from orderhub_chassis.participant import STALE_EPOCH
from orderhub_contracts.orders.v1 import replies_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")

OK, NO, REFUSED, UNKNOWN = (
    replies_pb2.OUTCOME_SUCCEEDED,
    replies_pb2.OUTCOME_FAILED,
    replies_pb2.OUTCOME_REFUSED,
    replies_pb2.OUTCOME_UNKNOWN,
)
AUTHORIZE, CAPTURE = 2, 4


async def balances(sql: asyncpg.Connection, order_id: UUID) -> dict[str, int]:
    rows = await sql.fetch(
        "select split_part(account, ':', 1) as account, sum(amount_minor)::bigint as sum from ledger_entries"
        " where order_id = $1 group by 1 having sum(amount_minor) <> 0",
        order_id,
    )
    return {row["account"]: row["sum"] for row in rows}


async def test_authorize_and_capture_move_the_money_once_and_post_it(
    service: Any, orders: Any, simulator: Any, sql: asyncpg.Connection, order_id: UUID, eventually: Any
) -> None:
    authorized = await orders.authorized(order_id)
    assert (authorized.outcome, authorized.payment.status) == (OK, "AUTHORIZED")
    assert await balances(sql, order_id) == {}
    captured = await orders.captured(order_id)
    assert (captured.outcome, captured.payment.status) == (OK, "CAPTURED")
    assert captured.payment.captured.amount_minor == 5000
    (theirs,) = await simulator.authorizations(order_id)
    assert (theirs["status"], theirs["captured_minor"]) == ("captured", 5000)
    assert await balances(sql, order_id) == {"provider_clearing": 5000, "vendor_payable": -5000}

    async def both_told() -> bool:
        return orders.kinds(order_id) == ["payment.authorized", "payment.captured"]

    await eventually(both_told)
    assert await sql.fetchval("select max(token) from payment_intents where order_id = $1", order_id) == ""


@pytest.mark.parametrize("token", ["tok_timeout", "tok_flaky"])
async def test_a_provider_that_fails_at_first_authorizes_exactly_once(
    service: Any, orders: Any, simulator: Any, sql: asyncpg.Connection, order_id: UUID, token: str
) -> None:
    reply = await orders.authorized(order_id, token=token)
    assert (reply.outcome, reply.payment.status) == (OK, "AUTHORIZED")
    assert len(await simulator.authorizations(order_id)) == 1
    attempts = await sql.fetchval("select attempts from payment_intents where order_id = $1", order_id)
    assert attempts == {"tok_timeout": 2, "tok_flaky": 3}[token]


@pytest.mark.parametrize(
    ("token", "code", "status"),
    [
        ("tok_declined", "payments.declined", "DECLINED"),
        ("tok_insufficient_funds", "payments.insufficient_funds", "DECLINED"),
        ("tok_of_nobody", "payments.unknown_token", "FAILED"),
    ],
)
async def test_a_card_that_says_no_ends_the_step_with_the_reason(
    service: Any, orders: Any, order_id: UUID, token: str, code: str, status: str
) -> None:
    reply = await orders.authorized(order_id, token=token)
    assert (reply.outcome, reply.reason.code, reply.payment.status) == (NO, code, status)
    undone = await orders.reversed(order_id)
    assert (undone.outcome, undone.payment.status) == (OK, status)


@pytest.mark.parametrize("token", ["tok_capture_timeout", "tok_capture_flaky"])
async def test_an_unclear_capture_is_told_as_unknown_once_and_then_definitely(
    service: Any, orders: Any, simulator: Any, sql: asyncpg.Connection, order_id: UUID, token: str
) -> None:
    await orders.authorized(order_id, token=token)
    assert (await orders.captured(order_id)).outcome == OK
    assert [r.outcome for r in orders.replies_to(order_id, CAPTURE)] == [UNKNOWN, OK]
    (theirs,) = await simulator.authorizations(order_id)
    assert theirs["captured_minor"] == 5000
    assert await balances(sql, order_id) == {"provider_clearing": 5000, "vendor_payable": -5000}


@pytest.mark.parametrize("token", ["tok_ok", "tok_void_flaky"])
async def test_reversing_an_authorization_voids_it(
    service: Any, orders: Any, simulator: Any, sql: asyncpg.Connection, order_id: UUID, token: str
) -> None:
    await orders.authorized(order_id, token=token)
    reply = await orders.reversed(order_id)
    assert (reply.outcome, reply.payment.status) == (OK, "VOIDED")
    (theirs,) = await simulator.authorizations(order_id)
    assert theirs["status"] == "voided"
    assert await balances(sql, order_id) == {}
    assert (await orders.captured(order_id)).reason.code == STALE_EPOCH


@pytest.mark.parametrize("token", ["tok_ok", "tok_refund_flaky"])
async def test_reversing_a_capture_refunds_all_of_it(
    service: Any, orders: Any, simulator: Any, sql: asyncpg.Connection, order_id: UUID, token: str
) -> None:
    await orders.authorized(order_id, token=token)
    await orders.captured(order_id)
    reply = await orders.reversed(order_id)
    assert (reply.payment.status, reply.payment.refunded.amount_minor) == ("REFUNDED", 5000)
    (theirs,) = await simulator.authorizations(order_id)
    assert theirs["refunded_minor"] == 5000
    assert await balances(sql, order_id) == {"refunds": 5000, "vendor_payable": -5000}
    refund = await sql.fetchrow("select * from refunds where order_id = $1", order_id)
    assert (refund["status"], refund["requested_by"]) == ("succeeded", "saga")
    assert refund["reason"] == "the order was cancelled"


async def test_a_reversal_that_overtakes_wins_for_ever(
    service: Any, orders: Any, simulator: Any, sql: asyncpg.Connection, order_id: UUID
) -> None:
    assert (await orders.reversed(order_id)).outcome == OK
    late = await orders.authorized(order_id)
    assert (late.outcome, late.reason.code) == (REFUSED, STALE_EPOCH)
    assert await simulator.authorizations(order_id) == []
    assert await sql.fetchval("select count(*) from payments where order_id = $1", order_id) == 0


async def test_a_reversal_right_behind_the_authorization_voids_what_it_brings(
    service: Any, orders: Any, simulator: Any, order_id: UUID
) -> None:
    await orders.send(orders.authorizing(order_id, token="tok_timeout"), orders.reversing(order_id))
    undone = await orders.definite(order_id, AUTHORIZE, compensation=True)
    assert (undone.outcome, undone.payment.status) == (OK, "VOIDED")
    assert (await orders.definite(order_id, AUTHORIZE)).payment.status == "AUTHORIZED"
    (theirs,) = await simulator.authorizations(order_id)
    assert theirs["status"] == "voided"


async def test_every_command_many_times_has_one_effect_and_one_answer(
    service: Any, orders: Any, simulator: Any, sql: asyncpg.Connection, order_id: UUID, eventually: Any
) -> None:
    await orders.send(*[orders.authorizing(order_id)] * 5)
    await orders.definite(order_id, AUTHORIZE)
    await orders.send(*[orders.capturing(order_id)] * 5)
    await orders.definite(order_id, CAPTURE)
    await orders.send(*[orders.reversing(order_id)] * 5)
    await orders.definite(order_id, AUTHORIZE, compensation=True)
    await orders.send(orders.authorizing(order_id, epoch=2), orders.reversing(order_id))
    await orders.send(orders.capturing(order_id))

    async def told_again() -> bool:
        return len(orders.replies_to(order_id, CAPTURE)) > 1

    await eventually(told_again)
    for step, compensation in ((AUTHORIZE, False), (CAPTURE, False), (AUTHORIZE, True)):
        answers = orders.replies_to(order_id, step, compensation=compensation)
        assert len({answer.SerializeToString() for answer in answers}) == 1
    (theirs,) = await simulator.authorizations(order_id)
    assert (theirs["captured_minor"], theirs["refunded_minor"]) == (5000, 5000)
    kinds = await sql.fetch(
        "select kind, count(*) from payment_intents where order_id = $1 group by 1 order by 1", order_id
    )
    assert [tuple(row) for row in kinds] == [("authorize", 1), ("capture", 1), ("refund", 1)]


async def test_commands_in_the_wrong_state_are_refused_with_the_state(
    service: Any, orders: Any, order_id: UUID
) -> None:
    unknown = await orders.captured(order_id)
    assert (unknown.outcome, unknown.reason.code) == (REFUSED, "payments.wrong_state")
    declined = uuid7()
    await orders.authorized(declined, token="tok_declined")
    refused = await orders.captured(declined)
    assert (refused.outcome, refused.payment.status, refused.payment.version) == (REFUSED, "DECLINED", 2)


async def test_many_orders_at_once_are_asked_in_batches(
    service: Any, orders: Any, sql: asyncpg.Connection
) -> None:
    ids = [uuid7() for _ in range(250)]
    tokens = ["tok_ok", "tok_declined", "tok_flaky", "tok_timeout", "tok_ok"]
    await orders.send(*[orders.authorizing(id, token=tokens[n % 5]) for n, id in enumerate(ids)])
    replies = [await orders.definite(id, AUTHORIZE) for id in ids]
    assert [r.outcome for r in replies] == [NO if n % 5 == 1 else OK for n in range(250)]
    assert await sql.fetchval("select count(*) from payment_intents where status = 'pending'") == 0
