"""Search on a hundred thousand products: fast for rare words, common words and prefixes, by index in each case."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from orderhub_chassis.db import Database
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb
from orderhub_inventory import app
from orderhub_inventory.queries import products as queries
from orderhub_inventory.settings import Settings

from .conftest import Client, make_vendor

MANY = 100_000
# Every product is a fish; every tenth is red; every thousandth a discus; one carries each number. Of the oldest, twenty
# each are goods, of a rare species, archived, and of another vendor.
FILL = """
insert into products (id, vendor_id, sku, title, description, kind, price_minor, currency, status, species,
    life_stage, created_at, updated_at, words)
select lpad(to_hex(n), 32, '0')::uuid, case when n between 61 and 80 then $3::uuid else $1 end, 'S-' || n, 'Fish ' || n, '',
    case when n > 20 then 'countable' else 'good' end, 1 + n % 997, 'EUR',
    case when n between 41 and 60 then 'archived' else 'active' end,
    case when n <= 20 then '' when n <= 40 then 'rare' else 'species_' || n % 50 end, '', now(), now(),
    array['s-' || n, 's', n::text, 'fish', 'species'] || case when n % 10 = 0 then array['red'] else '{}' end
    || case when n % 1000 = 0 then array['discus'] else '{}' end
from generate_series(1, $2::int) n
"""
JOURNAL = """
insert into stock_movements
    (product_id, kind, delta_on_hand, delta_reserved, delta_quarantined, reason, actor, at)
select product_id, 'opened', on_hand, 0, 0, '', 'test', now() from stocks where on_hand > 0
"""


async def put_on_the_shelf(sql: asyncpg.Connection, on_hand: str) -> None:
    """Anew, so that no row's former versions are read. `on_hand` is an expression over products."""
    await sql.execute("truncate stocks, stock_movements")
    await sql.execute(f"insert into stocks select id, {on_hand}, 0, 0, 1 from products")
    await sql.execute(JOURNAL)
    await sql.execute("vacuum analyze stocks")


@pytest.fixture
async def search(settings: Settings) -> AsyncIterator[Database]:
    """Sessions as those that the product searches with."""
    url = settings.database_url.get_secret_value()
    async with Database.open(url, service="inventory", session=app.PLANS) as db:
        yield db


@pytest.fixture
async def other(api: Client) -> pb.Vendor:
    return await make_vendor(api, "Other")


@pytest.fixture
async def full(vendor: pb.Vendor, other: pb.Vendor, sql: asyncpg.Connection) -> asyncpg.Connection:
    await sql.execute(FILL, vendor.id, MANY, other.id)
    await put_on_the_shelf(sql, "10")
    await sql.execute("vacuum analyze products")
    return sql


QUESTIONS: dict[str, dict[str, Any]] = {
    "one": {"q": "s-73421"},
    "rare": {"q": "discus"},
    "rare by price": {"q": "disc fish", "sort": "price"},
    "common": {"q": "fish"},
    "common by title": {"q": "fis", "sort": "-title"},
    "frequent": {"q": "red", "in_stock": True},
    "nothing": {"q": "submarine"},
    "a contradiction": {"q": "red s-73421"},
    "by price": {"sort": "price", "in_stock": True},
    "a species": {"species": "species_7", "sort": "title"},
    "newest": {},
}


IN_STOCK: dict[str, dict[str, Any]] = {
    "newest": {},
    "oldest": {"sort": "created"},
    "by price": {"sort": "price"},
    "by title, backwards": {"sort": "-title"},
    "a species": {"species": "species_0"},
    "a common word": {"q": "fish"},
    "a common word by price": {"q": "fish", "sort": "price"},
    "a rarer one": {"q": "red"},
}


def explained(rows: list[Any]) -> str:
    return "\n".join(row[0] for row in rows)


async def test_no_question_on_a_hundred_thousand_products_scans_them_or_reads_much(
    full: asyncpg.Connection, search: Database, blocks_read: Any
) -> None:
    """20 ms are some twenty thousand blocks in memory; looking at every product and its stock reads 400,000."""
    db, dear, scanned = search, {}, {}
    for name, filters in QUESTIONS.items():
        wanted = queries.Filter(**filters)
        for query in (queries.page_query, queries.near_query) if wanted.q else (queries.page_query,):
            sql, arguments = query(wanted, None, 50)
            plan = explained(await db.fetch(f"explain {sql}", *arguments))
            if "Seq Scan" in plan:
                scanned[name] = plan
        _, dear[name] = await blocks_read(db, lambda asked, f=wanted: queries.page(asked, f, None, 50))
    middle = "select price_minor, id from products order by price_minor, id offset 60000 limit 1"
    after = list(await full.fetchrow(middle))
    by_price = queries.Filter(sort="price", q="fish")
    _, dear["far down by price"] = await blocks_read(
        db, lambda asked: queries.page(asked, by_price, after, 50)
    )
    assert scanned == {}
    assert {name: blocks for name, blocks in dear.items() if blocks > 12_000} == {}, dear
    sql, arguments = queries.page_query(queries.Filter(q="discus"), None, 50)
    assert "products_search" in explained(await db.fetch(f"explain {sql}", *arguments))
    rare = await queries.page(db, queries.Filter(q="DISC", sort="price"), None, 200)
    assert len(rare.rows) == MANY // 1000
    prices = [found.price_minor for found, _ in rare.rows]
    assert prices == sorted(prices)


@pytest.mark.parametrize(("few", "others"), [(0, 10), (10, 0)], ids=["few-are-sold-out", "few-are-left"])
async def test_what_few_products_have_is_found_without_looking_at_all_the_others(
    full: asyncpg.Connection, search: Database, blocks_read: Any, few: int, others: int
) -> None:
    """Of the hundred thousand, ten are in stock, or ten are not."""
    await put_on_the_shelf(full, f"case when sku like 'S-%2500' then {few} else {others} end")
    dear, found = {}, {}
    for name, filters in IN_STOCK.items():
        wanted = queries.Filter(**filters, in_stock=few > 0)
        page, dear[name] = await blocks_read(search, lambda asked, f=wanted: queries.page(asked, f, None, 50))
        found[name] = len(page.rows)
    assert found == dict.fromkeys(IN_STOCK, 10)
    assert {name: blocks for name, blocks in dear.items() if blocks > 12_000} == {}, dear


async def test_only_a_product_that_sells_out_or_comes_back_touches_an_index(full: asyncpg.Connection) -> None:
    """Any other change of a stock is HOT, which is what makes it cheap."""

    async def hot() -> int:
        await full.execute("select pg_stat_force_next_flush()")
        return int(await full.fetchval("select pg_stat_get_tuples_hot_updated('stocks'::regclass)"))

    some = "product_id in (select product_id from stocks order by product_id limit 100)"
    before = await hot()
    await full.execute(f"update stocks set on_hand = on_hand + 1 where {some}")
    assert await hot() == before + 100
    await full.execute(f"update stocks set on_hand = 0 where {some}")
    assert await hot() == before + 100
    await put_on_the_shelf(full, "10")


FEW: dict[str, dict[str, Any]] = {
    "of a kind": {"kind": "good"},
    "of a species": {"species": "rare"},
    "archived": {"status": "archived"},
    "none of a kind": {"kind": "individual"},
    "none of a species": {"species": "none"},
}


async def test_few_of_many_and_all_of_them_are_listed_in_any_order_without_looking_at_the_others(
    full: asyncpg.Connection, search: Database, other: pb.Vendor, blocks_read: Any
) -> None:
    dear: dict[Any, int] = {}
    questions = FEW | {"a vendor's": {"vendor_id": UUID(other.id)}, "of every status": {"status": "any"}}
    for (name, filters), q, sort in product(questions.items(), ("", "fish", "red"), queries.SORTS):
        wanted = queries.Filter(**filters, q=q, sort=sort)
        page, blocks = await blocks_read(search, lambda asked, f=wanted: queries.page(asked, f, None, 50))
        all_of_them = 2 if q == "red" else 20
        assert len(page.rows) == (0 if "none" in name else 50 if "every" in name else all_of_them), wanted
        dear[name, q, sort] = blocks
    assert {asked: blocks for asked, blocks in dear.items() if blocks > 2_500} == {}
