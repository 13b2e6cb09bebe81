"""Reads: one delivery, and the lists of each party. Nothing here locks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
from orderhub_chassis.db import Database

from orderhub_delivery import store
from orderhub_delivery.model import Delivery, Scope, Status


class Wanted(msgspec.Struct, frozen=True):
    """A page of a list: newest first, only ids below `before`."""

    scope: Scope
    order_id: UUID | None
    status: Status | None
    before: UUID | None
    limit: int


async def delivery(db: Database, id: UUID) -> Delivery | None:
    row = await db.fetchrow(f"{store.WITH_POSITION} where d.id = $1", id)
    return store.delivery_of(row) if row else None


async def deliveries(db: Database, wanted: Wanted) -> list[Delivery]:
    """Each party's branch runs along its own index and stops at the limit; what two of them find is shown once."""
    arguments: list[Any] = []
    common = list(_filters(wanted, arguments))
    branches = [
        f"(select id from deliveries where {' and '.join([*party, *common]) or 'true'} order by id desc"
        f" limit {wanted.limit:d})"
        for party in _parties(wanted.scope, arguments)
    ]
    if not branches:
        return []
    rows = await db.fetch(
        f"{store.WITH_POSITION} where d.id in ({' union '.join(branches)}) order by d.id desc limit {wanted.limit:d}",
        *arguments,
    )
    return [store.delivery_of(row) for row in rows]


def _filters(wanted: Wanted, arguments: list[Any]) -> Iterator[str]:
    for condition, value in (
        ("order_id =", wanted.order_id), ("status =", wanted.status), ("id <", wanted.before)
    ):  # fmt: skip
        if value is not None:
            arguments.append(value)
            yield f"{condition} ${len(arguments)}"


def _parties(scope: Scope, arguments: list[Any]) -> Iterator[list[str]]:
    if scope.everything:
        yield []
        return
    for column, value in (
        ("vendor_id", scope.vendor_id), ("customer_id", scope.customer_id), ("courier_id", scope.courier_id)
    ):  # fmt: skip
        if value is not None:
            arguments.append(value)
            yield [f"{column} = ${len(arguments)}"]
    if scope.courier_id is not None:
        yield ["status = 'CREATED'", "not held"]
