"""What a check is, what it finds, and how it reads: one snapshot per database, rows streamed in the order of their key."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

PREFETCH = 2000
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One row that breaks a check. Two passes find the same thing when these are equal."""

    check: str
    row: tuple[tuple[str, str], ...]

    @property
    def shown(self) -> dict[str, str]:
        return dict(self.row)


def finding(check: str, row: Row) -> Finding:
    return Finding(check, tuple((name, str(value)) for name, value in row.items()))


Confirmed = dict[tuple[str, str, int], int]
"""Consumer group, topic and partition → the first position that is not confirmed."""


class Log(Protocol):
    """What a check can see of a bus."""

    async def logged(self) -> list[Row]:
        """Per batch and partition `batch_id, partition, count, position, topic`."""
        ...

    async def confirmed(self) -> Confirmed: ...

    async def misplaced(self) -> list[Row]:
        """Places whose positions cannot be: confirmed beyond the end, or the end before what is there."""
        ...


@dataclass(frozen=True)
class View:
    """The databases of one pass, each connection in a transaction of its own, so that all its reads see one moment.

    `now` is the time of the pass. `live` is true where the product runs: only then is something that has waited for
    long wrong; at rest it simply waits for the next start.
    """

    connections: Mapping[str, Any]
    bus: Log
    now: datetime
    live: bool

    async def rows(self, database: str, sql: str, *arguments: Any) -> list[Any]:
        return list(await self.connections[database].fetch(sql, *arguments))

    def stream(self, database: str, sql: str) -> AsyncIterator[Any]:
        """Row by row, however many there are."""
        cursor: AsyncIterator[Any] = self.connections[database].cursor(sql, prefetch=PREFETCH)
        return cursor


Find = Callable[[View], Awaitable[Iterable[Row]]]


@dataclass(frozen=True, slots=True)
class Check:
    """`says` is what has to be true. `live_only` where it means nothing of a stopped system."""

    name: str
    says: str
    find: Find
    live_only: bool = False


def by_sql(name: str, says: str, database: str, sql: str, *, live_only: bool = False) -> Check:
    """A check that one database answers alone: every row of the statement is a finding."""

    async def find(view: View) -> Iterable[Row]:
        arguments = (view.now,) if "$1" in sql else ()
        return [dict(row) for row in await view.rows(database, sql, *arguments)]

    return Check(name, says, find, live_only)


async def aligned(
    streams: Mapping[str, AsyncIterator[Any]],
) -> AsyncIterator[tuple[UUID, dict[str, list[Any]]]]:
    """Walk streams that are sorted by their first column together: each key once, with its rows in every stream."""
    iterators = {name: aiter(stream) for name, stream in streams.items()}
    heads: dict[str, Any] = {}
    order: list[tuple[UUID, str]] = []
    for name, iterator in iterators.items():
        await _advance(name, iterator, heads, order)
    while order:
        key = order[0][0]
        found: dict[str, list[Any]] = {name: [] for name in iterators}
        while order and order[0][0] == key:
            name = heapq.heappop(order)[1]
            found[name].append(heads.pop(name))
            await _advance(name, iterators[name], heads, order)
        yield key, found


async def _advance(name: str, iterator: Any, heads: dict[str, Any], order: list[tuple[UUID, str]]) -> None:
    row = await anext(iterator, None)
    if row is not None:
        heads[name] = row
        heapq.heappush(order, (row[0], name))
