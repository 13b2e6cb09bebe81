"""Compares payments, the ledger and each provider's own listing, and names every difference.

What somebody did at a provider by hand (a capture, a refund, a cancel) is named and never booked. The system may go on
meanwhile: the listing is read first and our side after it, so that every authorization in it has its payment; and what
differs counts only when it still does on a second look that nothing changed under.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.clock import SystemClock
from orderhub_chassis.db import Database, Transaction

from orderhub_payments.clients import Provider, ProviderRecord, Providers, not_configured, opened
from orderhub_payments.settings import Settings

CHUNK: Final = 1000
# A payment, its refunds and its ledger change together: read in one statement, so that they agree.
PAYMENTS: Final = """
select p.*, l.*, r.*,
       exists (select from payment_intents i where i.payment_id = p.id and i.status = 'pending') as busy
from payments p
cross join lateral (
    select coalesce(sum(amount_minor) filter (where account = 'provider_clearing'), 0)::bigint as clearing,
           coalesce(sum(amount_minor) filter (where account = 'vendor_payable:' || p.vendor_id), 0)::bigint as payable,
           coalesce(sum(amount_minor) filter (where account = 'refunds'), 0)::bigint as granted,
           coalesce(sum(amount_minor) filter (where account = 'customer:' || p.order_id), 0)::bigint as customer
    from ledger_entries where order_id = p.order_id) l
cross join lateral (
    select coalesce(sum(amount_minor) filter (where status = 'succeeded'), 0)::bigint as paid_back,
           coalesce(sum(amount_minor) filter (where status = 'pending'), 0)::bigint as on_the_way
    from refunds where payment_id = p.id) r
"""
PAGE: Final = PAYMENTS + "where p.order_id > $1 order by p.order_id limit $2"
ONE: Final = PAYMENTS + "where p.order_id = $1"
UNBALANCED: Final = """
select t.id, t.payment_id, t.order_id, coalesce(sum(e.amount_minor), 0)::bigint as rest, count(e.id) as entries
from ledger_transactions t left join ledger_entries e on e.transaction_id = t.id
group by t.id having coalesce(sum(e.amount_minor), 0) <> 0 or count(e.id) < 2 or min(e.currency) <> max(e.currency)
"""
STRAY: Final = """
select e.id, e.order_id from ledger_entries e
where not exists (select from ledger_transactions t where t.id = e.transaction_id)
   or not exists (select from payments p where p.order_id = e.order_id)
"""
# Ids grow with time (RFC 9562, version 7): the first match is the oldest.
OLDEST: Final = "select created_at from payments where provider = $1 order by id limit 1"
UNKNOWN_EVENTS: Final = """
select id, type, provider_ref, finding from provider_events where provider = $1 and status = 'unknown' order by id
"""
MARGIN: Final = timedelta(days=1)
"""For a provider's clock, before the first payment that it has of us."""
# What the provider may say of an authorization whose payment has this status here.
EXPECTED: Final = {
    "AUTHORIZED": "authorized",
    "CAPTURED": "captured",
    "PARTIALLY_REFUNDED": "captured",
    "REFUNDED": "captured",
    "VOIDED": "voided",
    "DECLINED": "declined",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement; `code` is stable, `detail` shows both sides."""

    code: str
    order_id: str
    payment_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    payments_checked: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """A payment as we have it."""

    payment_id: UUID
    order_id: UUID
    status: str
    currency: str
    amount: int
    captured: int
    refunded: int
    provider_ref: str
    version: int
    busy: bool
    provider: str
    books: tuple[tuple[str, int, int], ...]
    """The invariants L2 to L5, P1 and P2 at the top of the migration: (code, the payment's, the books')."""

    def differs(self, code: str, detail: str) -> Difference:
        return Difference(code, str(self.order_id), str(self.payment_id), detail)


async def reconcile_with(settings: Settings) -> Report:
    """For a process of its own: opens the database and the providers that the settings name."""
    url = settings.database_url.get_secret_value()
    async with (
        Database.open(url, service=settings.service, size=2) as db,
        opened(settings, SystemClock()) as providers,
    ):
        return await reconcile(db, providers)


async def reconcile(db: Database, providers: Providers) -> Report:
    """Raises Unavailable when the database or a provider cannot be reached."""
    listed = {one.name: await _listed(db, one, chosen=one.name == providers.chosen) for one in providers}
    differences: list[Difference] = []
    known: dict[str, set[str]] = {provider.name: set() for provider in providers}
    skipped = Counter[str]()
    checked = 0
    async for side in _payments(db):
        checked += 1
        differences += _against_books(side)
        provider = providers.get(side.provider)
        if provider is None:
            skipped[side.provider] += 1
            continue
        known[side.provider].add(str(side.order_id))
        records = listed[side.provider].get(str(side.order_id), [])
        if any(_against_provider(side, records)):
            differences += await _second_look(db, provider, side, records)
    for name, by_reference in listed.items():
        differences += _strangers(by_reference, known[name])
        differences += await _unknown_events(db, name, by_reference)
    for name, count in sorted(skipped.items()):
        detail = f"{count} payments were not compared: {not_configured(name)}"
        differences.append(Difference("provider.not_configured", "", "", detail))
    differences += await _within_ledger(db)
    return Report(checked, tuple(differences))


async def _listed(db: Database, provider: Provider, *, chosen: bool) -> dict[str, list[ProviderRecord]]:
    """What the provider lists since a day before its first payment here, by reference; nothing of one that never had
    any, and whom nobody has to reach then."""
    oldest = await db.fetchval(OLDEST, provider.name)
    if oldest is None and not chosen:
        return {}
    since = (oldest or db.clock.now()) - MARGIN
    # Pages overlap where something is made meanwhile.
    records = {record.ref: record async for page in provider.listing(since) for record in page}
    by_reference: dict[str, list[ProviderRecord]] = {}
    for record in records.values():
        by_reference.setdefault(record.reference, []).append(record)
    return by_reference


async def side_of(db: Database, order_id: UUID) -> Side | None:
    """The order's payment as it is now."""
    row = await db.fetchrow(ONE, order_id)
    return _side(row) if row else None


async def settled(
    db: Database, provider: Provider, side: Side, record: ProviderRecord
) -> list[Difference] | None:
    """Where a payment and a record of its provider differ; None when either moved while they were looked at."""
    if not any(_against_provider(side, [record])):
        return []
    again, after = await provider.find(record.ref), await side_of(db, side.order_id)
    if after != side or again != record:
        return None
    return list(_against_provider(side, [record]))


async def _unknown_events(
    db: Database, name: str, by_reference: Mapping[str, list[ProviderRecord]]
) -> list[Difference]:
    """Webhooks about what is no payment of ours; what the listing has too is named by it."""
    refs = {record.ref for records in by_reference.values() for record in records}
    return [
        Difference("provider.unknown_event", "", "", f"{row['id']} ({row['type']}): {row['finding']}")
        for row in await db.fetch(UNKNOWN_EVENTS, name)
        if row["provider_ref"] not in refs
    ]


async def _payments(db: Database) -> AsyncIterator[Side]:
    after = UUID(int=0)
    while rows := await db.fetch(PAGE, after, CHUNK):
        for row in rows:
            yield _side(row)
        after = rows[-1]["order_id"]


def _side(row: Any) -> Side:
    captured, refunded, pending = row["captured_minor"], row["refunded_minor"], row["refund_pending_minor"]
    books = (
        ("ledger.captured", captured, -row["payable"]),
        ("ledger.refunds", refunded + pending, row["granted"]),
        ("ledger.customer", -pending, row["customer"]),
        ("ledger.clearing", captured - refunded, row["clearing"]),
        ("refunds.succeeded", refunded, row["paid_back"]),
        ("refunds.pending", pending, row["on_the_way"]),
    )
    return Side(
        row["id"], row["order_id"], row["status"], row["currency"], row["amount_minor"], captured, refunded,
        row["provider_ref"], row["version"], row["busy"], row["provider"], books,
    )  # fmt: skip


def _against_books(side: Side) -> Iterator[Difference]:
    for code, payment, books in side.books:
        if payment != books:
            yield side.differs(code, f"the payment says {payment}, the books say {books}")


def _against_provider(side: Side, records: list[ProviderRecord]) -> Iterator[Difference]:
    """A payment with a question under way agrees with anything: its answer is not in yet."""
    if side.busy:
        return
    own = [record for record in records if record.ref == side.provider_ref]
    for other in records:
        if other.ref != side.provider_ref:
            yield side.differs(
                "provider.unknown_authorization",
                f"{other.ref} ({other.status}, {other.amount} {other.currency})",
            )
    if not own:
        if side.provider_ref:
            yield side.differs("provider.missing_authorization", f"{side.provider_ref} is not listed")
        return
    yield from _fields(side, own[0])


def _fields(side: Side, record: ProviderRecord) -> Iterator[Difference]:
    pairs = (
        ("provider.status", EXPECTED.get(side.status, side.status), record.status),
        ("provider.amount", side.amount, record.amount),
        ("provider.currency", side.currency, record.currency),
        ("provider.captured", side.captured, record.captured),
        ("provider.refunded", side.refunded, record.refunded),
    )
    for code, ours, theirs in pairs:
        if ours != theirs:
            yield side.differs(code, f"ours {ours}, the provider's {theirs}")


async def _second_look(
    db: Database, provider: Provider, side: Side, listed: list[ProviderRecord]
) -> list[Difference]:
    """The provider's rows as they are now, between two reads of ours that must agree."""
    before = _side(await db.fetchrow(ONE, side.order_id))
    refs = {record.ref for record in listed} | ({before.provider_ref} - {""})
    found = [record for ref in sorted(refs) if (record := await provider.find(ref)) is not None]
    after = _side(await db.fetchrow(ONE, side.order_id))
    return list(_against_provider(after, found)) if after == before else []


def _strangers(by_reference: Mapping[str, list[ProviderRecord]], known: set[str]) -> Iterator[Difference]:
    """Our payment is committed before the provider is asked, and was read after the listing."""
    for reference, records in sorted(by_reference.items()):
        if reference not in known:
            for r in records:
                yield Difference(
                    "provider.unknown_authorization",
                    reference,
                    "",
                    f"{r.ref} ({r.status}, {r.amount} {r.currency}) has no payment",
                )


async def _within_ledger(db: Database) -> list[Difference]:
    return await db.run(_read_ledger)


async def _read_ledger(tx: Transaction) -> list[Difference]:
    # These look at every row, which the sessions of services are told to avoid.
    await tx.execute("set local enable_seqscan = on; set local enable_hashjoin = on")
    found = []
    for row in await tx.fetch(UNBALANCED):
        detail = f"transaction {row['id']}: {row['entries']} entries that sum to {row['rest']}"
        found.append(Difference("ledger.unbalanced", str(row["order_id"]), str(row["payment_id"]), detail))
    for row in await tx.fetch(STRAY):
        detail = f"entry {row['id']} has no transaction or no payment"
        found.append(Difference("ledger.stray_entry", str(row["order_id"]), "", detail))
    return found
