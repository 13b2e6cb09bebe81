"""Imports: rows of CSV into vendors and products, decided over what the catalogue holds already.

A known product (same vendor and SKU) takes over the row's fields. Its stock stays: `stock` is what a new product
starts with, so that importing a file again never brings back what was sold. `age_days` counts from the day of the
import; for a known animal it is only read where the ages are to be rebased, else it would grow no older.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

from msgspec.structs import replace

from orderhub_inventory.commands import catalogue, tables
from orderhub_inventory.commands.catalogue import Opened
from orderhub_inventory.commands.tables import Row, RowError
from orderhub_inventory.model import checks
from orderhub_inventory.model.catalogue import Place, Product, Vendor, name_key
from orderhub_inventory.model.checks import Wrong
from orderhub_inventory.model.stock import Animal, AnimalStatus, Facts, Kind, Stock

PRODUCT_COLUMNS = (
    "vendor", "sku", "title", "description", "kind", "species", "price_minor", "currency", "stock", "life_stage",
    "age_days", "born_on", "weight_kg", "weaned", "carapace_cm", "identifier",
)  # fmt: skip
PRODUCT_REQUIRED = ("sku", "title", "kind", "price_minor", "currency", "stock")
VENDOR_COLUMNS = ("name", "country", "line1", "city", "postal_code", "lat", "lon", "email", "phone")
VENDOR_REQUIRED = ("name", "country", "line1", "city", "postal_code")
Key = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A row that is good in itself. `dated` says that born_on is an absolute date and not counted from today."""

    line: int
    vendor_id: UUID
    sku: str
    title: str
    description: str | None
    kind: Kind
    price: tuple[int, str]
    stock: int
    facts: Facts
    dated: bool
    identifier: str

    @property
    def key(self) -> Key:
        return self.vendor_id, self.sku.lower()


@dataclass(frozen=True, slots=True)
class Importer:
    """Who may import for whom. `own` is the vendor of a vendor user, or what an operator names for all rows."""

    vendors: Mapping[str, UUID]
    own: UUID | None
    today: date

    def vendor(self, name: str) -> UUID:
        if not name and self.own:
            return self.own
        if not name:
            raise Wrong("required", "is required")
        found = self.vendors.get(name_key(name))
        if found is None:
            raise Wrong("unknown_vendor", "there is no vendor of this name")
        if self.own and found != self.own:
            raise Wrong("not_yours", "is another vendor than the one of this import")
        return found


def product_row(row: Row, importer: Importer) -> ProductRow | None:
    """None where anything is wrong; the row then says what."""
    kind = row.take("kind", checks.kind)
    vendor_id = row.take("vendor", importer.vendor)
    sku = row.take("sku", checks.sku)
    title = row.take("title", checks.title)
    description = row.optional("description", checks.description)
    amount = row.take("price_minor", tables.whole, checks.amount_minor)
    currency = row.take("currency", checks.currency)
    stock = row.take("stock", tables.whole, _stock_of(kind))
    facts = _facts(row, kind, importer.today)
    identifier = row.take("identifier", checks.identifier)
    if row.errors or None in (kind, vendor_id, sku, title, amount, currency, stock):
        return None
    assert kind
    assert vendor_id
    assert sku
    assert title
    assert amount
    assert currency
    assert stock is not None
    return ProductRow(
        row.line, vendor_id, sku, title, description, kind, (amount, currency), stock, facts,
        bool(row["born_on"]), identifier or "",
    )  # fmt: skip


def _stock_of(kind: Kind | None) -> Callable[[int], int]:
    def check(value: int) -> int:
        if kind is Kind.INDIVIDUAL and value not in (0, 1):
            raise Wrong("range", "an individual animal is 0 or 1")
        return checks.amount_of_stock(value)

    return check


def _facts(row: Row, kind: Kind | None, today: date) -> Facts:
    if kind is Kind.GOOD:
        for column in ("age_days", "born_on", "weaned", "carapace_cm"):
            if row[column]:
                row.wrong(column, "enum", "is for animals")
    return Facts(
        row.take("species", checks.species, kind) or "",
        row.take("life_stage", checks.life_stage, kind) or "",
        _born_on(row, today),
        row.optional("weaned", tables.yes_or_no),
        row.optional("carapace_cm", tables.decimal, checks.carapace_cm),
        row.optional("weight_kg", tables.decimal, checks.weight_kg),
    )


def _born_on(row: Row, today: date) -> date | None:
    if row["age_days"] and row["born_on"]:
        row.wrong("age_days", "enum", "give born_on or age_days, not both")
    if row["born_on"]:
        day = row.take("born_on", checks.day)
        return row.take("born_on", lambda _: checks.born_on(day, today)) if day else None
    age = row.optional("age_days", tables.whole, _age)
    return today - timedelta(days=age) if age is not None else None


def _age(days: int) -> int:
    if not 0 <= days <= checks.OLDEST:
        raise Wrong("range", f"must be between 0 and {checks.OLDEST}")
    return days


@dataclass(slots=True)
class Changes:
    """What an import does; `errors` are rows that are good in themselves and yet do not fit."""

    opened: list[Opened] = field(default_factory=list)
    changed: list[Product] = field(default_factory=list)
    touched: dict[UUID, Stock] = field(default_factory=dict)
    animals: dict[UUID, Animal] = field(default_factory=dict)
    updated: int = 0
    unchanged: int = 0
    errors: list[RowError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue has of the rows' keys, locked."""

    ids: Mapping[Key, UUID]
    products: Mapping[UUID, Product]
    stocks: Mapping[UUID, Stock]
    animals: Mapping[UUID, Animal]
    """By product: the animal that the product's row is about."""


def doubled(rows: Sequence[ProductRow]) -> list[RowError]:
    """A product that stands twice in the file: which of the two is meant?"""
    first: dict[Key, int] = {}
    found = []
    for row in rows:
        line = first.setdefault(row.key, row.line)
        if line != row.line:
            found.append(RowError(row.line, "sku", "doubled", f"is on line {line} already"))
    return found


def merge(rows: Sequence[ProductRow], known: Known, *, rebase: bool, new_id: Callable[[], UUID]) -> Changes:
    changes = Changes()
    for row in rows:
        id = known.ids.get(row.key)
        if id is None:
            changes.opened.append(_open(row, new_id))
        elif known.products[id].kind is not row.kind:
            message = f"the product is a {known.products[id].kind}; a kind never changes"
            changes.errors.append(RowError(row.line, "kind", "enum", message))
        elif known.products[id].facts.species != row.facts.species:
            message = f"the product is {known.products[id].facts.species}; a species never changes"
            changes.errors.append(RowError(row.line, "species", "enum", message))
        else:
            _update(row, known, id, changes, rebase=rebase)
    return changes


def _open(row: ProductRow, new_id: Callable[[], UUID]) -> Opened:
    alone = row.kind is Kind.INDIVIDUAL
    product = Product(
        new_id(), row.vendor_id, row.sku, row.title, row.description or "", row.kind, *row.price,
        Facts(row.facts.species) if alone else row.facts,
    )  # fmt: skip
    return catalogue.open_product(
        product, row.stock, animal_id=new_id(), animal_facts=row.facts, identifier=row.identifier
    )


def _update(row: ProductRow, known: Known, id: UUID, changes: Changes, *, rebase: bool) -> None:
    product, stock, animal = known.products[id], known.stocks[id], known.animals.get(id)
    fixed = row.dated or rebase
    facts = None if row.kind is Kind.INDIVIDUAL else _facts_after(product.facts, row.facts, fixed=fixed)
    changed = product.edit(title=row.title, description=row.description, price=row.price, facts=facts)
    if changed:
        stock.touch()
        changes.changed.append(product)
        changes.touched[id] = stock
    if animal is not None and animal.status not in (AnimalStatus.SOLD, AnimalStatus.WITHDRAWN):
        animal.learn(_facts_after(animal.facts, row.facts, fixed=fixed))
        if animal.changed:
            changes.animals[animal.id] = animal
    if changed or (animal is not None and animal.changed):
        changes.updated += 1
    else:
        changes.unchanged += 1


def _facts_after(before: Facts, row: Facts, *, fixed: bool) -> Facts:
    """The row's facts. An age counted from today is only taken where it is meant so, or where none is known."""
    facts = replace(row, with_mother=before.with_mother)
    return facts if fixed or before.born_on is None else replace(facts, born_on=before.born_on)


def vendor_row(row: Row, id: UUID, seen: dict[str, int]) -> Vendor | None:
    """`seen`: the line of each name so far."""
    name = row.take("name", checks.text, 100)
    if name and (line := seen.setdefault(name_key(name), row.line)) != row.line:
        row.wrong("name", "doubled", f"is on line {line} already")
    lat = row.optional("lat", tables.decimal, lambda v: checks.degrees(v, 90))
    lon = row.optional("lon", tables.decimal, lambda v: checks.degrees(v, 180))
    if bool(row["lat"]) != bool(row["lon"]):
        row.wrong("lat", "required", "give lat and lon, or neither")
    place = Place(
        row.take("line1", checks.text, 200) or "",
        row.take("city", checks.text, 100) or "",
        row.take("postal_code", checks.text, 20) or "",
        row.take("country", checks.country) or "",
        row.take("phone", checks.phone) or "",
        lat,
        lon,
    )
    email = row.take("email", checks.email)
    return None if row.errors or not name else Vendor(id, name, email or "", place)
