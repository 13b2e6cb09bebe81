"""Reads of the catalogue. Every page is a keyset page over an index; search goes through the GIN index on words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.db import Database

from orderhub_inventory.model.catalogue import Product, Vendor, words_of
from orderhub_inventory.model.stock import Animal, Stock
from orderhub_inventory.store.catalogue import PRODUCT_COLUMNS, VENDOR_COLUMNS, product_of, vendor_of
from orderhub_inventory.store.shelves import animal_of

ROW = f"""select {PRODUCT_COLUMNS}, s.on_hand, s.reserved, s.quarantined, s.version
from products p join stocks s on s.product_id = p.id"""
# sort → (column, direction); the id breaks ties in the same direction.
SORTS: Final[dict[str, tuple[str, str]]] = {
    "": ("id", "desc"),
    "-created": ("id", "desc"),
    "created": ("id", "asc"),
    "price": ("price_minor", "asc"),
    "-price": ("price_minor", "desc"),
    "title": ("title", "asc"),
    "-title": ("title", "desc"),
}
WORDS_ASKED = 8
LOOKED_AT = 1500
FREE_ANIMALS_SHOWN = 50
ANY_STATUS = "any"

BATCH = f"""{ROW} where p.id in (
    select unnest($1::uuid[])
    union all select q.id from unnest($2::uuid[], $3::text[]) u (v, sku)
        join products q on q.vendor_id = u.v and lower(q.sku) = u.sku
    union all select q.id from products q where lower(q.sku) = any($4)
    union all select a.product_id from animals a where a.id = any($5)
) order by p.id limit 5000"""
BATCH_ANIMALS = f"""
select * from animals where id = any($1)
union
select free.* from unnest($2::uuid[]) p (id) cross join lateral (
    select * from animals a where a.product_id = p.id and a.status = 'free' order by a.id limit {FREE_ANIMALS_SHOWN}
) free
order by id"""

Row = tuple[Product, Stock]


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of products is narrowed to, and its order: one of SORTS."""

    q: str = ""
    vendor_id: UUID | None = None
    species: str = ""
    kind: str = ""
    in_stock: bool | None = None
    status: str = "active"
    sort: str = ""

    @property
    def scope(self) -> str:
        """Binds a cursor to this very list."""
        return f"products:{self!r}"


@dataclass(frozen=True, slots=True)
class Page:
    """`position` leads to the next page; None where this is the last."""

    rows: list[Row]
    position: list[Any] | None


def row_of(row: Any) -> Row:
    return product_of(row), Stock(
        row["id"], row["on_hand"], row["reserved"], row["quarantined"], row["version"]
    )


def tsquery(q: str) -> str:
    """Every word of `q` as a prefix; empty where there is none. The words are alphanumeric: nothing to escape."""
    return " & ".join(f"'{word}':*" for word in words_of(q)[:WORDS_ASKED])


@dataclass(slots=True)
class _Sql:
    """Clauses with their arguments, numbered as they come."""

    clauses: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)

    def value(self, value: Any) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def where(self) -> str:
        return f"where {' and '.join(self.clauses)}" if self.clauses else ""


def page_query(wanted: Filter, after: Sequence[Any] | None, limit: int) -> tuple[str, list[Any]]:
    """The SQL of one page and its arguments; one row more than `limit` tells whether there is a next page.

    With words the matches are collected first, through the index on words, and then sorted.
    """
    sql = _Sql()
    sql.clauses += [*_status(wanted), *_after(wanted, after, sql)]
    if not wanted.q:
        sql.clauses += _narrowed(wanted, sql)
        return f"{ROW} {sql.where()} order by {_order(wanted)} limit {sql.value(limit + 1)}", sql.arguments
    sql.clauses += [_words(wanted, sql), *_narrowed(wanted, sql)]
    found = f"with found as materialized ({ROW} {sql.where()}) select * from found p"
    return f"{found} order by {_order(wanted)} limit {sql.value(limit + 1)}", sql.arguments


def near_query(wanted: Filter, after: Sequence[Any] | None, limit: int) -> tuple[str, list[Any]]:
    """The same page, as far as the next LOOKED_AT products in the order of the list fill it."""
    sql = _Sql()
    sql.clauses += [*_status(wanted), *_after(wanted, after, sql)]
    near = f"select * from products p {sql.where()} order by {_order(wanted)} limit {LOOKED_AT}"
    sql.clauses = [_words(wanted, sql), *_narrowed(wanted, sql)]
    row = ROW.replace("from products p", f"from ({near}) p")
    return f"{row} {sql.where()} order by {_order(wanted)} limit {sql.value(limit + 1)}", sql.arguments


def _keys(wanted: Filter) -> list[str]:
    column, _ = SORTS[wanted.sort]
    return ["p.id"] if column == "id" else [f"p.{column}", "p.id"]


def _order(wanted: Filter) -> str:
    return ", ".join(f"{key} {SORTS[wanted.sort][1]}" for key in _keys(wanted))


def _status(wanted: Filter) -> list[str]:
    return [] if wanted.status == ANY_STATUS else [f"p.status = '{wanted.status}'"]


def _after(wanted: Filter, after: Sequence[Any] | None, sql: _Sql) -> list[str]:
    if after is None:
        return []
    sign = "<" if SORTS[wanted.sort][1] == "desc" else ">"
    return [f"({', '.join(_keys(wanted))}) {sign} ({', '.join(map(sql.value, after))})"]


def _words(wanted: Filter, sql: _Sql) -> str:
    return f"p.search @@ {sql.value(tsquery(wanted.q))}::text::tsquery"


def _narrowed(wanted: Filter, sql: _Sql) -> Iterator[str]:
    if wanted.vendor_id:
        yield f"p.vendor_id = {sql.value(wanted.vendor_id)}"
    if wanted.species:
        yield f"p.species = {sql.value(wanted.species)}"
    if wanted.kind:
        yield f"p.kind = {sql.value(wanted.kind)}"
    if wanted.in_stock is not None:
        yield "s.in_stock" if wanted.in_stock else "not s.in_stock"


async def page(db: Database, wanted: Filter, after: Sequence[Any] | None, limit: int) -> Page:
    rows = [row_of(row) for row in await _fetch(db, wanted, after, limit)]
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1][0]
    column, _ = SORTS[wanted.sort]
    return Page(rows[:limit], [last.id.bytes] if column == "id" else [getattr(last, column), last.id.bytes])


async def _fetch(db: Database, wanted: Filter, after: Sequence[Any] | None, limit: int) -> list[Any]:
    """A common word fills the page from the products that are next anyway; only a rarer one is looked up.

    The planner cannot tell these two apart: it takes every prefix for 2 % of the catalogue.
    """
    if wanted.q:
        if not words_of(wanted.q):
            return []
        sql, arguments = near_query(wanted, after, limit)
        near = await db.fetch(sql, *arguments)
        if len(near) > limit:
            return near
    sql, arguments = page_query(wanted, after, limit)
    return await db.fetch(sql, *arguments)


async def product(db: Database, id: UUID) -> Row | None:
    row = await db.fetchrow(f"{ROW} where p.id = $1", id)
    return row_of(row) if row else None


@dataclass(frozen=True, slots=True)
class Keys:
    """How a batch names its products; SKUs in lower case."""

    ids: set[UUID]
    by_vendor: set[tuple[UUID, str]]
    skus: set[str]
    animals: set[UUID]


async def batch(db: Database, keys: Keys) -> list[Row]:
    """Every product that any key matches, archived ones too."""
    rows = await db.fetch(
        BATCH,
        keys.ids,
        [v for v, _ in keys.by_vendor],
        [s for _, s in keys.by_vendor],
        keys.skus,
        keys.animals,
    )
    return [row_of(row) for row in rows]


async def animals(db: Database, ids: Collection[UUID], products: Collection[UUID]) -> list[Animal]:
    """These animals in whatever status, and the first free ones of these products."""
    return [animal_of(row) for row in await db.fetch(BATCH_ANIMALS, ids, products)]


async def animals_of(
    db: Database, product_id: UUID, *, free_only: bool, before: UUID, limit: int
) -> list[Animal]:
    """Newest first; one more than `limit`."""
    free = "and status = 'free'" if free_only else ""
    rows = await db.fetch(
        f"select * from animals where product_id = $1 and id < $2 {free} order by id desc limit $3",
        product_id, before, limit + 1,
    )  # fmt: skip
    return [animal_of(row) for row in rows]


async def animal(db: Database, id: UUID) -> Animal | None:
    row = await db.fetchrow("select * from animals where id = $1", id)
    return animal_of(row) if row else None


async def vendors(db: Database, ids: Collection[UUID]) -> list[Vendor]:
    rows = await db.fetch(f"select {VENDOR_COLUMNS} from vendors where id = any($1) order by id", ids)
    return [vendor_of(row) for row in rows]


async def vendors_page(db: Database, key: str, before: UUID, limit: int) -> list[Vendor]:
    """Newest first; one more than `limit`. `key` narrows to one name."""
    rows = await db.fetch(
        f"select {VENDOR_COLUMNS} from vendors where ($1 = '' or name_key = $1) and id < $2"
        " order by id desc limit $3",
        key, before, limit + 1,
    )  # fmt: skip
    return [vendor_of(row) for row in rows]


async def vendor_ids(db: Database) -> dict[str, UUID]:
    """All vendors by name key."""
    rows = await db.fetch("select name_key, id from vendors")
    return {row["name_key"]: row["id"] for row in rows}
