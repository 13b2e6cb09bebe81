"""Vendors and products: loaded with locks, written set-wise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from orderhub_chassis.db import Transaction

from orderhub_inventory.model.catalogue import Place, Product, Vendor
from orderhub_inventory.model.stock import Kind, Stock
from orderhub_inventory.store.shelves import columns, facts_of, facts_values, lock_stocks

VENDOR_COLUMNS = "id, name, email, line1, city, postal_code, country, phone, lat, lon, version"
PRODUCT_COLUMNS = """p.id, p.vendor_id, p.sku, p.title, p.description, p.kind, p.price_minor, p.currency, p.status,
    p.species, p.life_stage, p.born_on, p.weaned, p.carapace_cm, p.weight_kg, p.with_mother"""
# A word holds no space, so the words of many rows travel in one text[] parameter.
WORDS = "string_to_array(nullif(words, ''), ' ')"

INSERT_VENDORS = """
insert into vendors (id, name, name_key, email, line1, city, postal_code, country, phone, lat, lon, version,
    created_at, updated_at)
select *, $13, $13 from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::double precision[], $11::double precision[], $12::bigint[])
on conflict (name_key) do nothing returning id
"""
UPDATE_VENDORS = """
update vendors v set name = u.name, name_key = u.name_key, email = u.email, line1 = u.line1, city = u.city,
    postal_code = u.postal_code, country = u.country, phone = u.phone, lat = u.lat, lon = u.lon,
    version = u.version, updated_at = $13
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::double precision[], $11::double precision[], $12::bigint[])
    u (id, name, name_key, email, line1, city, postal_code, country, phone, lat, lon, version)
where v.id = u.id
"""
PRODUCT_ARRAYS = """unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::date[], $13::boolean[], $14::double precision[],
    $15::double precision[], $16::boolean[], $17::text[])
    u (id, vendor_id, sku, title, description, kind, price_minor, currency, status,
       species, life_stage, born_on, weaned, carapace_cm, weight_kg, with_mother, words)"""
INSERT_PRODUCTS = f"""
insert into products (id, vendor_id, sku, title, description, kind, price_minor, currency, status,
    species, life_stage, born_on, weaned, carapace_cm, weight_kg, with_mother, words, created_at, updated_at)
select id, vendor_id, sku, title, description, kind, price_minor, currency, status, species, life_stage, born_on,
    weaned, carapace_cm, weight_kg, with_mother, {WORDS}, $18, $18
from {PRODUCT_ARRAYS}
"""
UPDATE_PRODUCTS = f"""
update products p set title = u.title, description = u.description, price_minor = u.price_minor,
    currency = u.currency, status = u.status, life_stage = u.life_stage, born_on = u.born_on, weaned = u.weaned,
    carapace_cm = u.carapace_cm, weight_kg = u.weight_kg, with_mother = u.with_mother,
    words = {WORDS.replace("words", "u.words")}, updated_at = $18
from {PRODUCT_ARRAYS}
where p.id = u.id
"""


def vendor_of(row: Any) -> Vendor:
    address = Place(
        *(row[name] for name in ("line1", "city", "postal_code", "country", "phone", "lat", "lon"))
    )
    return Vendor(row["id"], row["name"], row["email"], address, row["version"])


def product_of(row: Any) -> Product:
    return Product(
        row["id"], row["vendor_id"], row["sku"], row["title"], row["description"], Kind(row["kind"]),
        row["price_minor"], row["currency"], facts_of(row), row["status"],
    )  # fmt: skip


def _vendor_values(vendor: Vendor, key: str) -> tuple[Any, ...]:
    at = vendor.address
    where = (at.line1, at.city, at.postal_code, at.country, at.phone, at.lat, at.lon)
    return vendor.id, vendor.name, key, vendor.email, *where, vendor.version


def _product_values(p: Product) -> tuple[Any, ...]:
    named = (p.id, p.vendor_id, p.sku, p.title, p.description, p.kind)
    return *named, p.price_minor, p.currency, p.status, *facts_values(p.facts), " ".join(p.words())


async def lock_vendors(tx: Transaction, ids: Collection[UUID]) -> dict[UUID, Vendor]:
    """Whoever adds products to a vendor holds its row, so that a SKU is looked up and taken in one go."""
    rows = await tx.fetch(
        f"select {VENDOR_COLUMNS} from vendors where id = any($1) order by id for update", sorted(ids)
    )
    return {row["id"]: vendor_of(row) for row in rows}


async def lock_vendors_by_name(tx: Transaction, keys: Collection[str]) -> dict[str, Vendor]:
    rows = await tx.fetch(
        f"select {VENDOR_COLUMNS}, name_key from vendors where name_key = any($1) order by id for update",
        keys,
    )
    return {row["name_key"]: vendor_of(row) for row in rows}


async def add_vendors(tx: Transaction, vendors: dict[str, Vendor], *, now: datetime) -> set[UUID]:
    """By name key; returns those that were added: the others' names are taken."""
    values = columns((_vendor_values(vendor, key) for key, vendor in vendors.items()), 12)
    return {row["id"] for row in await tx.fetch(INSERT_VENDORS, *values, now)}


async def save_vendors(tx: Transaction, vendors: dict[str, Vendor], *, now: datetime) -> None:
    values = columns((_vendor_values(vendor, key) for key, vendor in vendors.items()), 12)
    await tx.execute(UPDATE_VENDORS, *values, now)


async def lock_product(tx: Transaction, id: UUID) -> tuple[Product, Stock] | None:
    """The stock's lock is the product's."""
    stock = (await lock_stocks(tx, [id])).get(id)
    if stock is None:
        return None
    row = await tx.fetchrow(f"select {PRODUCT_COLUMNS} from products p where p.id = $1", id)
    return product_of(row), stock


async def find_skus(tx: Transaction, keys: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], UUID]:
    """Product ids by vendor and lower-case SKU."""
    rows = await tx.fetch(
        "select p.vendor_id, lower(p.sku) as sku, p.id from unnest($1::uuid[], $2::text[]) u (v, s)"
        " join products p on p.vendor_id = u.v and lower(p.sku) = u.s",
        *columns(keys, 2),
    )
    return {(row["vendor_id"], row["sku"]): row["id"] for row in rows}


async def products_by_id(tx: Transaction, ids: Collection[UUID]) -> dict[UUID, Product]:
    """The caller holds their stocks."""
    rows = await tx.fetch(f"select {PRODUCT_COLUMNS} from products p where p.id = any($1)", ids)
    return {row["id"]: product_of(row) for row in rows}


async def add_products(tx: Transaction, products: Sequence[Product], *, now: datetime) -> None:
    if products:
        await tx.execute(INSERT_PRODUCTS, *columns(map(_product_values, products), 17), now)


async def save_products(tx: Transaction, products: Sequence[Product], *, now: datetime) -> None:
    if products:
        await tx.execute(UPDATE_PRODUCTS, *columns(map(_product_values, products), 17), now)
