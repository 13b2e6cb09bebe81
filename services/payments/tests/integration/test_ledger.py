"""What the database itself refuses: unbalanced postings, changes of the ledger, money out of nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.events.v1.events_pb2 import PaymentChanged
from orderhub_payments import store

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENTRIES = (
    "insert into ledger_entries (transaction_id, account, amount_minor, currency, order_id)"
    " select t, a, m, c, $5 from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[]) u (t, a, m, c)"
)


@pytest_asyncio.fixture(loop_scope="module")
async def posted(service: Any, orders: Any, sql: asyncpg.Connection, order_id: UUID) -> UUID:
    """A captured payment and one more transaction, still without entries."""
    payment = (await orders.authorized(order_id)).payment.payment_id
    await orders.captured(order_id)
    id = uuid7()
    await sql.execute(
        "insert into ledger_transactions values ($1, 'capture', $2, $3, now())", id, UUID(payment), order_id
    )
    return id


async def test_only_balanced_transactions_of_one_currency_can_be_posted(
    posted: UUID, sql: asyncpg.Connection, order_id: UUID
) -> None:
    for amounts, currencies in (
        ([100, -99], ["EUR", "EUR"]),
        ([100], ["EUR"]),
        ([100, -100], ["EUR", "USD"]),
    ):
        ids, accounts = [posted] * len(amounts), ["a"] * len(amounts)
        with pytest.raises(asyncpg.CheckViolationError, match="does not balance"):
            await sql.execute(ENTRIES, ids, accounts, amounts, currencies, order_id)
    await sql.execute(ENTRIES, [posted] * 2, ["a", "b"], [100, -100], ["EUR", "EUR"], order_id)


async def test_one_bad_transaction_in_a_set_is_enough_to_refuse_it(
    posted: UUID, sql: asyncpg.Connection, order_id: UUID
) -> None:
    unknown = uuid7()
    rows = ([posted, posted, unknown, unknown], list("abab"), [5, -5, 7, -7], ["EUR"] * 4)
    with pytest.raises(asyncpg.ForeignKeyViolationError, match=str(unknown)):
        await sql.execute(ENTRIES, *rows, order_id)
    assert await sql.fetchval("select count(*) from ledger_entries where transaction_id = $1", posted) == 0


@pytest.mark.parametrize(
    ("amounts", "known", "refusal"),
    [
        ([5, -4], True, "does not balance"),
        ([5, 5], True, "does not balance"),
        ([5, -5], False, "does not exist"),
    ],
)
async def test_what_is_joined_with_other_writes_has_to_balance_too(
    posted: UUID,
    service: Any,
    sql: asyncpg.Connection,
    order_id: UUID,
    amounts: list[int],
    known: bool,
    refusal: str,
) -> None:
    """In one statement with its transaction, another balanced one, and the messages: all of it or nothing."""
    good, bad, db = uuid7(), uuid7(), service.chassis.db
    payment_id = await sql.fetchval("select id from payments where order_id = $1", order_id)
    causes = [good, bad] if known else [good]
    accounts, currencies, orders = ["a", "b"] * 2, ["EUR"] * 4, [order_id] * 4

    async def post(amounts: list[int]) -> None:
        async with db.transaction() as tx:
            kinds, payments = ["capture"] * len(causes), [payment_id] * len(causes)
            tx.write(
                store.INSERT_TRANSACTIONS, causes, kinds, payments, [order_id] * len(causes), db.clock.now()
            )
            ids = [good, good, bad, bad]
            tx.write(store.INSERT_ENTRIES, ids, accounts, [7, -7, *amounts], currencies, orders)
            tx.send(Outgoing(PaymentChanged(order_id=str(order_id)), str(order_id)))

    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=f"{bad} {refusal}"):
        await post(amounts)
    written = "select count(*) from ledger_transactions where id = any($1)"
    assert await sql.fetchval(written, [good, bad]) == 0
    if known:
        await post([5, -5])
        assert await sql.fetchval(written, [good, bad]) == 2


@pytest.mark.parametrize("table", ["ledger_entries", "ledger_transactions"])
async def test_what_is_posted_never_changes(posted: UUID, sql: asyncpg.Connection, table: str) -> None:
    for statement in (
        f"update {table} set order_id = gen_random_uuid()",
        f"delete from {table}",
        f"truncate {table} cascade",
    ):
        with pytest.raises(asyncpg.RestrictViolationError, match="immutable"):
            await sql.execute(statement)


@pytest.mark.parametrize(
    "change",
    [
        "refunded_minor = captured_minor + 1, status = 'PARTIALLY_REFUNDED'",
        "refund_pending_minor = captured_minor + 1",
        "refund_pending_minor = 3000, refunded_minor = 2001, status = 'PARTIALLY_REFUNDED'",
        "refunded_minor = -1",
        "captured_minor = authorized_minor + 1",
        "authorized_minor = amount_minor + 1",
        "status = 'VOIDED'",
        "status = 'REFUNDED'",
        "status = 'NONSENSE'",
    ],
)
async def test_a_payment_cannot_say_more_than_was_captured(
    posted: UUID, sql: asyncpg.Connection, change: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await sql.execute(f"update payments set {change}")


async def test_there_is_one_pending_intent_per_payment(
    posted: UUID, sql: asyncpg.Connection, order_id: UUID
) -> None:
    with pytest.raises(asyncpg.UniqueViolationError, match="payment_intents_one_open"):
        await sql.execute("update payment_intents set status = 'pending'")
