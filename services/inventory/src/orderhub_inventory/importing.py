"""Runs an import: reads and checks every row, then writes all of it in one transaction, and tells how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from orderhub_chassis.db import Database, Transaction
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb

from orderhub_inventory import errors, events, metrics
from orderhub_inventory.commands import imports, tables
from orderhub_inventory.commands.catalogue import Opened
from orderhub_inventory.commands.imports import Changes, Importer, Key, Known, ProductRow
from orderhub_inventory.commands.tables import Row, RowError, Table
from orderhub_inventory.model.catalogue import Vendor, name_key
from orderhub_inventory.model.stock import Kind, Stock
from orderhub_inventory.queries import products as queries
from orderhub_inventory.store import catalogue, shelves

R = TypeVar("R")
CHECKED_AT_ONCE, WRITTEN_AT_ONCE = 500, 2000
ERRORS_TOLD = 20_000
WORTH_ANALYZING = 1000
TICK_SECONDS = 0.5


@dataclass(slots=True)
class Progress:
    """How far an import is. `misfits` are rows that are good in themselves and do not fit the catalogue."""

    total: int = 0
    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    applied: bool = False
    errors: list[RowError] = field(default_factory=list)
    misfits: list[RowError] = field(default_factory=list)

    def restart(self) -> None:
        """Nothing is written: not yet, or not any more."""
        self.created = self.updated = self.unchanged = 0
        self.applied = False
        self.misfits = []

    def count(self, changes: Changes) -> None:
        self.created += len(changes.opened)
        self.updated += changes.updated
        self.unchanged += changes.unchanged
        self.misfits += changes.errors

    def message(self, *, done: bool = False) -> pb.ImportProgress:
        wrong = sorted([*self.errors, *self.misfits], key=lambda e: (e.line, e.column)) if done else []
        return pb.ImportProgress(
            rows_read=self.read,
            rows_total=self.total,
            created=self.created,
            updated=self.updated,
            unchanged=self.unchanged,
            applied=self.applied,
            errors_total=len(self.errors) + len(self.misfits),
            errors=[_error_message(error) for error in wrong[:ERRORS_TOLD]],
            done=done,
        )


def _error_message(error: RowError) -> pb.ImportError:
    return pb.ImportError(line=error.line, column=error.column, code=error.code, message=error.message)


class Misfits(Exception):
    """Takes back what was written of an import that is not partial."""


async def import_products(
    db: Database, request: pb.ImportProductsRequest, own: UUID | None, *, actor: str, most_rows: int
) -> AsyncIterator[pb.ImportProgress]:
    """`own`: the only vendor whose products may be in the file; None where any may. Raises Invalid for no CSV."""
    columns, required = imports.PRODUCT_COLUMNS, imports.PRODUCT_REQUIRED
    table = await asyncio.to_thread(tables.read, request.csv, columns, required, most_rows)
    importer = Importer(await queries.vendor_ids(db), own, db.clock.now().date())
    progress, rows = Progress(), list[ProductRow]()
    async for message in _check(table, lambda row: imports.product_row(row, importer), rows, progress):
        yield message
    progress.errors += (twice := imports.doubled(rows))
    lines = {error.line for error in twice}
    rows = [row for row in rows if row.line not in lines]

    async def write(tx: Transaction) -> None:
        await _write_products(tx, db, request, rows, progress, actor)

    async for message in _finish(db, write, progress, rows, partial=request.partial):
        yield message


async def import_vendors(
    db: Database, request: pb.ImportVendorsRequest, *, most_rows: int
) -> AsyncIterator[pb.ImportProgress]:
    columns, required = imports.VENDOR_COLUMNS, imports.VENDOR_REQUIRED
    table = await asyncio.to_thread(tables.read, request.csv, columns, required, most_rows)
    progress, rows = Progress(), list[Vendor]()
    seen: dict[str, int] = {}
    async for message in _check(
        table, lambda row: imports.vendor_row(row, db.new_id(), seen), rows, progress
    ):
        yield message

    by_name = {name_key(vendor.name): vendor for vendor in rows}

    async def write(tx: Transaction) -> None:
        await _write_vendors(tx, db, by_name, progress)

    async for message in _finish(db, write, progress, rows, partial=request.partial):
        yield message


async def _check(
    table: Table, check: Callable[[Row], R | None], good: list[R], progress: Progress
) -> AsyncIterator[pb.ImportProgress]:
    """Fills `good`, some rows at a time, so that the service answers others in between."""
    progress.total = len(table.rows)
    progress.errors += table.errors
    for chunk in chunks(table.rows, CHECKED_AT_ONCE):
        good += [found for row in chunk if (found := check(row)) is not None]
        progress.errors += [error for row in chunk for error in row.errors]
        progress.read += len(chunk)
        yield progress.message()
        await asyncio.sleep(0)


def chunks(rows: Sequence[R], size: int) -> Iterator[Sequence[R]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


async def _finish(
    db: Database,
    write: Callable[[Transaction], Awaitable[None]],
    progress: Progress,
    rows: Sequence[object],
    *,
    partial: bool,
) -> AsyncIterator[pb.ImportProgress]:
    if rows and (partial or not progress.errors):
        task = asyncio.ensure_future(db.run(write))
        try:
            while not task.done():
                await asyncio.wait([task], timeout=TICK_SECONDS)
                yield progress.message()
            await task
        except Misfits:
            misfits = progress.misfits
            progress.restart()
            progress.misfits = misfits
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    if progress.created + progress.updated >= WORTH_ANALYZING:
        await db.execute("analyze products, stocks, animals")
    _count(progress)
    yield progress.message(done=True)


def _count(progress: Progress) -> None:
    for outcome in ("created", "updated", "unchanged"):
        metrics.IMPORTED.labels(outcome).inc(getattr(progress, outcome))
    refused = {error.line for error in [*progress.errors, *progress.misfits]}
    metrics.IMPORTED.labels("refused").inc(len(refused))


async def _write_products(
    tx: Transaction,
    db: Database,
    request: pb.ImportProductsRequest,
    rows: Sequence[ProductRow],
    progress: Progress,
    actor: str,
) -> None:
    """Some rows at a time, so that the service answers others in between; all locks are taken first."""
    progress.restart()
    await catalogue.lock_vendors(tx, {row.vendor_id for row in rows})
    ids = await catalogue.find_skus(tx, [row.key for row in rows])
    stocks = await shelves.lock_stocks(tx, ids.values())
    for chunk in chunks(rows, WRITTEN_AT_ONCE):
        known = await _known(tx, chunk, ids, stocks)
        changes = imports.merge(chunk, known, rebase=request.rebase_ages, new_id=db.new_id)
        await _save(tx, changes, actor=actor, now=db.clock.now())
        progress.count(changes)
    if progress.misfits and not request.partial:
        raise Misfits
    progress.applied = True


async def _known(
    tx: Transaction, rows: Sequence[ProductRow], ids: Mapping[Key, UUID], stocks: Mapping[UUID, Stock]
) -> Known:
    products = await catalogue.products_by_id(tx, [ids[row.key] for row in rows if row.key in ids])
    alone = [product.id for product in products.values() if product.kind is Kind.INDIVIDUAL]
    animals = await shelves.first_animals(tx, alone) if alone else {}
    return Known(ids, products, stocks, animals)


async def _save(tx: Transaction, changes: Changes, *, actor: str, now: datetime) -> None:
    await open_products(tx, changes.opened, actor=actor, now=now)
    await catalogue.save_products(tx, changes.changed, now=now)
    await shelves.save_stocks(tx, list(changes.touched.values()))
    await shelves.save_animals(tx, list(changes.animals.values()), now=now)
    for product in changes.changed:
        tx.send(events.product_changed(product, changes.touched[product.id].version))
    tx.send_all(map(events.animal_changed, changes.animals.values()))


async def open_products(tx: Transaction, opened: Sequence[Opened], *, actor: str, now: datetime) -> None:
    """New products with their stock, animals and first movements. The caller holds the vendors."""
    await catalogue.add_products(tx, [new.product for new in opened], now=now)
    await shelves.add_stocks(tx, [new.stock for new in opened])
    await shelves.add_animals(tx, [animal for new in opened for animal in new.animals], now=now)
    await shelves.add_movements(tx, [m for new in opened for m in new.movements], actor=actor, now=now)
    for new in opened:
        tx.send(events.product_changed(new.product, new.stock.version))
        tx.send_all(map(events.animal_changed, new.animals))


async def _write_vendors(
    tx: Transaction, db: Database, rows: Mapping[str, Vendor], progress: Progress
) -> None:
    now, known = db.clock.now(), await catalogue.lock_vendors_by_name(tx, list(rows))
    new = {key: vendor for key, vendor in rows.items() if key not in known}
    if len(added := await catalogue.add_vendors(tx, new, now=now) if new else set()) < len(new):
        raise errors.VendorNameTaken(next(v.name for v in new.values() if v.id not in added))
    changed = {
        key: vendor
        for key, vendor in known.items()
        if vendor.edit(name=rows[key].name, email=rows[key].email, address=rows[key].address)
    }
    await catalogue.save_vendors(tx, changed, now=now)
    tx.send_all(map(events.vendor_changed, [*new.values(), *changed.values()]))
    progress.restart()
    progress.created, progress.updated = len(new), len(changed)
    progress.unchanged, progress.applied = len(known) - len(changed), True
