"""SQL of the write path: load and lock in key order, save set-wise. Locks payments, then the standings of orders without.

Intents are locked with their payment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from orderhub_chassis import participant
from orderhub_chassis.db import Database, Transaction

from orderhub_payments.commands import Book, Job
from orderhub_payments.ledger import Posting
from orderhub_payments.model import Asked, Intent, Kind, Payment, Refund, Stage, Status, operation_of

LOAD_PAYMENTS: Final = "select * from payments where order_id = any($1) order by order_id for update"
LOAD_OPEN: Final = """
select * from payment_intents where status = 'pending' and payment_id = any($1)
union all
select * from payment_intents where status = 'waiting' and payment_id = any($1)
order by seq
"""
INSERT_PAYMENTS: Final = """
insert into payments (
    id, order_id, customer_id, vendor_id, status, currency, amount_minor, authorized_minor, captured_minor,
    refunded_minor, refund_pending_minor, provider, provider_ref, reason_code, version, saga_epoch, saga_answers,
    created_at, updated_at)
select i, o, c, v, s, cu, am, 0, 0, 0, 0, p, '', '', ve, e, a, $12, $12
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::text[],
            $9::bigint[], $10::bigint[], $11::bytea[]) u (i, o, c, v, s, cu, am, p, ve, e, a)
"""
UPDATE_PAYMENTS: Final = """
update payments p set status = s, authorized_minor = a, captured_minor = c, refunded_minor = r,
    refund_pending_minor = rp, provider_ref = pr, reason_code = rc, version = v, saga_epoch = e, saga_answers = sa,
    updated_at = $12
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
            $9::bigint[], $10::bigint[], $11::bytea[]) u (i, s, a, c, r, rp, pr, rc, v, e, sa)
where p.id = i
"""
INSERT_INTENTS: Final = """
insert into payment_intents (
    id, payment_id, order_id, kind, amount_minor, provider_key, token, saga, refund_id, reason, traceparent, status,
    attempts, next_attempt_at, lease_owner, lease_until, told_unknown, problem, created_at, updated_at)
select i, p, o, k, am, pk, t, s, r, re, tp, st, at, na, lo, lu, false, '', $17, $17
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::bytea[],
            $9::uuid[], $10::text[], $11::text[], $12::text[], $13::int[], $14::timestamptz[], $15::text[],
            $16::timestamptz[]) with ordinality u (i, p, o, k, am, pk, t, s, r, re, tp, st, at, na, lo, lu, n)
order by n
"""
UPDATE_INTENTS: Final = """
update payment_intents p set kind = k, amount_minor = am, refund_id = r, status = st, attempts = at,
    next_attempt_at = na, lease_owner = lo, lease_until = lu, told_unknown = tu, problem = pr, updated_at = $12
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::int[], $7::timestamptz[], $8::text[],
            $9::timestamptz[], $10::bool[], $11::text[]) u (i, k, am, r, st, at, na, lo, lu, tu, pr)
where p.id = i
"""
END_INTENTS: Final = """
update payment_intents p set status = s, token = '', problem = pr, updated_at = $4
from unnest($1::uuid[], $2::text[], $3::text[]) u (i, s, pr) where p.id = i
"""
INSERT_REFUNDS: Final = """
insert into refunds (id, payment_id, order_id, amount_minor, currency, reason, requested_by, status, created_at, updated_at)
select i, p, o, a, c, r, b, s, $9, $9
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])
     u (i, p, o, a, c, r, b, s)
"""
UPDATE_REFUNDS: Final = """
update refunds r set status = s, updated_at = $3 from unnest($1::uuid[], $2::text[]) u (i, s) where r.id = i
"""
INSERT_TRANSACTIONS: Final = """
insert into ledger_transactions (id, kind, payment_id, order_id, created_at)
select i, k, p, o, $5 from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[]) u (i, k, p, o)
"""
# One statement for all entries: the trigger that keeps them balanced looks at the rows of its statement.
INSERT_ENTRIES: Final = """
insert into ledger_entries (transaction_id, account, amount_minor, currency, order_id)
select t, a, m, c, o from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::uuid[])
    with ordinality u (t, a, m, c, o, n)
order by n
"""
# The payment is locked too: whoever writes an answer holds it while it reads the intent's attempts and writes them.
CLAIM: Final = """
with due as (
    select i.id, p.currency, p.provider, p.provider_ref from payment_intents i join payments p on p.id = i.payment_id
    where i.status = 'pending' and i.next_attempt_at <= $1 and i.lease_until <= $1
    order by i.payment_id limit $2 for update skip locked
)
update payment_intents i set attempts = i.attempts + 1, lease_owner = $3, lease_until = $4, updated_at = $1
from due where i.id = due.id
returning i.*, due.currency, due.provider, due.provider_ref
"""
HASTEN: Final = """
update payment_intents set next_attempt_at = $1
where status = 'pending' and next_attempt_at > $1 and lease_until <= $1
"""
RELEASE: Final = """
update payment_intents i set lease_until = $1 from unnest($2::uuid[], $3::int[]) u (id, n)
where i.id = u.id and i.attempts = u.n and i.status = 'pending'
"""


class Lease(msgspec.Struct, frozen=True):
    """Whose it is to ask, and until when nobody else does."""

    owner: str
    until: datetime


async def load(tx: Transaction, order_ids: Iterable[UUID], *, provider: str) -> Book:
    """Everything about these orders that a decision may need, locked."""
    wanted = sorted(set(order_ids))
    payments, standings = {}, {}
    for row in await tx.fetch(LOAD_PAYMENTS, wanted):
        id = row["order_id"]
        payments[id] = _payment(row)
        standings[id] = participant.unpacked(id, row["saga_epoch"], row["saga_answers"])
    if without := [id for id in wanted if id not in payments]:
        standings |= await participant.load(tx, without)
    intents: dict[UUID, list[Intent]] = {}
    if payments:
        for row in await tx.fetch(LOAD_OPEN, [payment.id for payment in payments.values()]):
            intents.setdefault(row["payment_id"], []).append(_intent(row))
    return Book(standings, payments, intents, provider)


async def save(tx: Transaction, book: Book, *, now: datetime, lease: Lease | None) -> None:
    """Write what changed. With a lease, what is to be asked belongs to this worker at once and goes into book.jobs."""
    if lease:
        book.jobs = _lease(book, lease)
    # A new payment's standing has its row too, though nobody will read it: its key is what two transactions that meet an
    # unknown order at once run into, of which one is to make the payment and the other a tombstone.
    known = book.payments.keys() - {payment.order_id for payment in book.new_payments}
    await participant.save(tx, {id: s for id, s in book.standings.items() if id not in known})
    await _save_payments(tx, book, now)
    await _save_intents(tx, book, now)
    if book.new_refunds:
        tx.write(INSERT_REFUNDS, *_columns(map(_refund_row, book.new_refunds)), now)
    if ended := book.ended_refunds:
        tx.write(UPDATE_REFUNDS, list(ended), list(ended.values()), now)
    if book.postings:
        tx.write(INSERT_TRANSACTIONS, *_columns(map(_transaction_row, book.postings)), now)
        tx.write(INSERT_ENTRIES, *_columns(row for posting in book.postings for row in _entry_rows(posting)))


def _lease(book: Book, lease: Lease) -> list[Job]:
    """Every intent that this transaction made pending."""
    jobs = []
    for payment in book.payments.values():
        intent = book.pending(payment)
        if intent is not None and intent.started:
            intent.lease(lease.owner, lease.until)
            jobs.append(_job(intent, payment.provider, payment.currency, payment.provider_ref, lease.until))
    return jobs


def _job(intent: Intent, provider: str, currency: str, provider_ref: str, until: datetime) -> Job:
    operation = operation_of(intent, currency, provider_ref)
    if intent.attempts > 1:
        operation = msgspec.structs.replace(operation, asked=Asked(intent.attempts, intent.created_at))
    return Job(intent.id, intent.order_id, intent.kind, intent.attempts, until, operation, provider)


async def _save_payments(tx: Transaction, book: Book, now: datetime) -> None:
    """Each with its order's standing."""
    new = {payment.id for payment in book.new_payments}
    standings = book.standings
    if new:
        rows = [_new_payment_row(p) + participant.packed(standings[p.order_id]) for p in book.new_payments]
        tx.write(INSERT_PAYMENTS, *_columns(rows), now)
    changed = [
        _payment_row(p) + participant.packed(standings[p.order_id])
        for p in book.payments.values()
        if (p.changed or standings[p.order_id].changed) and p.id not in new
    ]
    if changed:
        tx.write(UPDATE_PAYMENTS, *_columns(changed), now)


async def _save_intents(tx: Transaction, book: Book, now: datetime) -> None:
    """Ended ones first: the index that allows one pending intent looks at each statement's rows one by one."""
    new = {intent.id for intent in book.new_intents}
    changed = [i for held in book.intents.values() for i in held if i.changed and i.id not in new]
    ended, going_on = [i for i in changed if i.ended], [i for i in changed if not i.ended]
    if ended:
        tx.write(END_INTENTS, *_columns((i.id, i.stage, i.problem) for i in ended), now)
        if going_on or book.new_intents:
            await tx.flush()
    if going_on:
        tx.write(UPDATE_INTENTS, *_columns(_intent_row(i, now) for i in going_on), now)
        if book.new_intents:
            await tx.flush()
    if book.new_intents:
        tx.write(INSERT_INTENTS, *_columns(_new_intent_row(i, now) for i in book.new_intents), now)


async def claim(db: Database, lease: Lease, *, now: datetime, limit: int) -> list[Job]:
    """Lease up to `limit` intents that are due and that nobody asks now."""
    rows = await db.fetch(CLAIM, now, limit, lease.owner, lease.until)
    return [
        _job(_intent(row), row["provider"], row["currency"], row["provider_ref"], lease.until) for row in rows
    ]


async def hasten(db: Database, *, now: datetime) -> None:
    """Whatever waits for its next attempt is due."""
    await db.execute(HASTEN, now)


async def release(db: Database, jobs: Sequence[Job], *, now: datetime) -> None:
    """Give leases back that were not used, so that nobody has to wait for their end."""
    await db.execute(RELEASE, now, [job.intent_id for job in jobs], [job.attempts for job in jobs])


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _payment(row: Any) -> Payment:
    return Payment(
        id=row["id"], order_id=row["order_id"], customer_id=row["customer_id"], vendor_id=row["vendor_id"],
        currency=row["currency"], amount=row["amount_minor"], provider=row["provider"],
        status=Status(row["status"]), authorized=row["authorized_minor"], captured=row["captured_minor"],
        refunded=row["refunded_minor"], refund_pending=row["refund_pending_minor"],
        provider_ref=row["provider_ref"], reason_code=row["reason_code"], version=row["version"],
    )  # fmt: skip


def _new_payment_row(p: Payment) -> tuple[Any, ...]:
    return (
        p.id, p.order_id, p.customer_id, p.vendor_id, p.status, p.currency, p.amount, p.provider, p.version,
    )  # fmt: skip


def _payment_row(p: Payment) -> tuple[Any, ...]:
    return (
        p.id, p.status, p.authorized, p.captured, p.refunded, p.refund_pending, p.provider_ref, p.reason_code,
        p.version,
    )  # fmt: skip


def _intent(row: Any) -> Intent:
    return Intent(
        id=row["id"], payment_id=row["payment_id"], order_id=row["order_id"], kind=Kind(row["kind"]),
        amount=row["amount_minor"], provider_key=row["provider_key"], saga=row["saga"],
        traceparent=row["traceparent"], stage=Stage(row["status"]), next_attempt_at=row["next_attempt_at"],
        token=row["token"], reason=row["reason"], refund_id=row["refund_id"], attempts=row["attempts"],
        lease_owner=row["lease_owner"], lease_until=row["lease_until"], told_unknown=row["told_unknown"],
        problem=row["problem"], created_at=row["created_at"],
    )  # fmt: skip


def _new_intent_row(i: Intent, now: datetime) -> tuple[Any, ...]:
    return (
        i.id, i.payment_id, i.order_id, i.kind, i.amount, i.provider_key, i.token, i.saga, i.refund_id, i.reason,
        i.traceparent, i.stage, i.attempts, i.next_attempt_at, i.lease_owner, i.lease_until or now,
    )  # fmt: skip


def _intent_row(i: Intent, now: datetime) -> tuple[Any, ...]:
    return (
        i.id, i.kind, i.amount, i.refund_id, i.stage, i.attempts, i.next_attempt_at, i.lease_owner,
        i.lease_until or now, i.told_unknown, i.problem,
    )  # fmt: skip


def _refund_row(r: Refund) -> tuple[Any, ...]:
    return (
        r.id,
        r.payment_id,
        r.order_id,
        r.amount,
        r.currency,
        r.reason,
        r.requested_by,
        r.status,
    )


def _transaction_row(p: Posting) -> tuple[Any, ...]:
    return p.cause, p.kind, p.payment.id, p.payment.order_id


def _entry_rows(p: Posting) -> list[tuple[Any, ...]]:
    """Debit, then credit."""
    currency, order_id = p.payment.currency, p.payment.order_id
    return [
        (p.cause, p.debit, p.amount, currency, order_id),
        (p.cause, p.credit, -p.amount, currency, order_id),
    ]
