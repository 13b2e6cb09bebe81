"""Reads beside the write path: plain SQL to rows, each on an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.db import Database, Transaction

# A payment and its refunds are one fact: read in one statement, so that they agree.
PAYMENTS: Final = """
select p.*, r.* from payments p left join lateral (
    select array_agg(id order by id) as ids, array_agg(amount_minor order by id) as amounts,
           array_agg(reason order by id) as reasons, array_agg(status order by id) as statuses,
           array_agg(created_at order by id) as times
    from refunds where payment_id = p.id) r on true
where {filter} order by p.id desc
"""
SEEN: Final = "($1 or p.customer_id = $2 or p.vendor_id = $3)"
ONE: Final = PAYMENTS.format(filter=f"p.id = $4 and {SEEN}")
OF_ORDER: Final = PAYMENTS.format(filter=f"p.order_id = $4 and {SEEN} and p.id < $5") + "limit $6"
ALL: Final = PAYMENTS.format(filter="p.id < $1") + "limit $2"
OF_CUSTOMER: Final = PAYMENTS.format(filter="p.customer_id = $1 and p.id < $2") + "limit $3"
OF_VENDOR: Final = PAYMENTS.format(filter="p.vendor_id = $1 and p.id < $2") + "limit $3"
LEDGER: Final = """
select e.id, e.transaction_id, e.account, e.amount_minor, e.currency, e.order_id, t.payment_id, t.kind, t.created_at
from ledger_entries e join ledger_transactions t on t.id = e.transaction_id
where {filter} e.id < $1 order by e.id desc limit $2
"""
OPEN: Final = """
select count(*) filter (where status = 'pending') as pending, count(*) filter (where status = 'waiting') as waiting,
       min(created_at) as oldest
from (select status, created_at from payment_intents where status = 'pending'
      union all select status, created_at from payment_intents where status = 'waiting') o
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose payments may be seen: all, or those of a customer or of a vendor."""

    all: bool
    customer_id: UUID | None
    vendor_id: UUID | None


@dataclass(frozen=True, slots=True)
class RefundRow:
    id: UUID
    amount: int
    currency: str
    reason: str
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentRow:
    id: UUID
    order_id: UUID
    status: str
    currency: str
    authorized: int
    captured: int
    refunded: int
    provider: str
    provider_ref: str
    version: int
    refunds: tuple[RefundRow, ...]


@dataclass(frozen=True, slots=True)
class EntryRow:
    id: int
    transaction_id: UUID
    account: str
    amount: int
    currency: str
    order_id: UUID
    payment_id: UUID
    kind: str
    created_at: datetime


async def payment(db: Database | Transaction, id: UUID, scope: Scope) -> PaymentRow | None:
    row = await db.fetchrow(ONE, scope.all, scope.customer_id, scope.vendor_id, id)
    return _payment(row) if row else None


async def payments(
    db: Database, scope: Scope, *, order_id: UUID | None, before: UUID, limit: int
) -> list[PaymentRow]:
    """Newest first."""
    if order_id is not None:
        args = (scope.all, scope.customer_id, scope.vendor_id, order_id, before, limit)
        return [_payment(row) for row in await db.fetch(OF_ORDER, *args)]
    if scope.all:
        return [_payment(row) for row in await db.fetch(ALL, before, limit)]
    mine = await db.fetch(OF_CUSTOMER, scope.customer_id, before, limit) if scope.customer_id else []
    theirs = await db.fetch(OF_VENDOR, scope.vendor_id, before, limit) if scope.vendor_id else []
    merged = {row["id"]: row for row in (*mine, *theirs)}
    return [_payment(merged[id]) for id in sorted(merged, reverse=True)[:limit]]


async def ledger(
    db: Database, *, account: str, order_id: UUID | None, before: int, limit: int
) -> list[EntryRow]:
    """Newest first; an empty account and no order mean all."""
    filters, arguments = "", [before, limit]
    for column, value in (("account", account), ("order_id", order_id)):
        if value:
            arguments.append(value)  # type: ignore[arg-type]
            filters += f"e.{column} = ${len(arguments)} and "
    return [_entry(row) for row in await db.fetch(LEDGER.format(filter=filters), *arguments)]


async def open_intents(db: Database) -> tuple[int, int, datetime | None]:
    """How many are pending and how many wait, and since when the oldest."""
    row = await db.fetchrow(OPEN)
    return row["pending"], row["waiting"], row["oldest"]


def _payment(row: Any) -> PaymentRow:
    return PaymentRow(
        row["id"], row["order_id"], row["status"], row["currency"], row["authorized_minor"], row["captured_minor"],
        row["refunded_minor"], row["provider"], row["provider_ref"], row["version"], _refunds(row),
    )  # fmt: skip


def _refunds(row: Any) -> tuple[RefundRow, ...]:
    if row["ids"] is None:
        return ()
    columns = (row["ids"], row["amounts"], row["reasons"], row["statuses"], row["times"])
    return tuple(
        RefundRow(id, amount, row["currency"], reason, status, at)
        for id, amount, reason, status, at in zip(*columns, strict=True)
    )


def _entry(row: Any) -> EntryRow:
    return EntryRow(
        row["id"], row["transaction_id"], row["account"], row["amount_minor"], row["currency"], row["order_id"],
        row["payment_id"], row["kind"], row["created_at"],
    )  # fmt: skip
