"""Each request decoded into checked values; raises Invalid that names every wrong field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.errors import invalid_field
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb

from orderhub_inventory.api import fields as decoding
from orderhub_inventory.api.fields import Fields
from orderhub_inventory.commands import catalogue
from orderhub_inventory.commands.catalogue import Opened
from orderhub_inventory.commands.reservations import parse_id
from orderhub_inventory.model import checks
from orderhub_inventory.model.catalogue import ACTIVE, ARCHIVED, Place, Product, Vendor
from orderhub_inventory.model.stock import Animal, Facts, Kind
from orderhub_inventory.queries.products import ANY_STATUS, SORTS, Filter, Keys

MOST_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class VendorEdit:
    name: str | None
    email: str | None
    address: Place | None


@dataclass(frozen=True, slots=True)
class ProductEdit:
    title: str | None = None
    description: str | None = None
    price: tuple[int, str] | None = None
    status: str | None = None
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class StockChange:
    """One of `to`, `by` and `release_quarantine`."""

    to: int | None
    by: int | None
    release_quarantine: bool
    reason: str
    if_version: int


ARCHIVE: Final = ProductEdit(status=ARCHIVED)


def new_vendor(request: pb.CreateVendorRequest, id: UUID) -> Vendor:
    fields = Fields()
    name = fields.take("/name", checks.text, request.name, 100) or ""
    email = fields.take("/email", checks.email, request.email) or ""
    address = decoding.place(fields, request.address)
    fields.check()
    return Vendor(id, name, email, address)


def vendor_edit(request: pb.UpdateVendorRequest) -> VendorEdit:
    fields = Fields()
    edit = VendorEdit(
        fields.take("/name", checks.text, request.name, 100) if request.HasField("name") else None,
        fields.take("/email", checks.email, request.email) if request.HasField("email") else None,
        decoding.place(fields, request.address) if request.HasField("address") else None,
    )
    _version(fields, request.if_version)
    fields.check()
    return edit


def _version(fields: Fields, if_version: int) -> None:
    if if_version < 0:
        fields.wrong("/if_version", "range", "must not be negative")


def new_product(
    request: pb.CreateProductRequest, vendor_id: UUID, new_id: Callable[[], UUID], today: date
) -> Opened:
    """Kind individual: an initial stock of 1 is the animal that the facts describe."""
    fields = Fields()
    kind = fields.take("/kind", checks.kind, request.kind)
    product = Product(
        new_id(),
        vendor_id,
        fields.take("/sku", checks.sku, request.sku) or "",
        fields.take("/title", checks.title, request.title) or "",
        fields.take("/description", checks.description, request.description) or "",
        kind or Kind.GOOD,
        *decoding.price(fields, request),
    )
    facts = decoding.facts(fields, request.facts, kind, today)
    stock = fields.take("/initial_stock", checks.amount_of_stock, request.initial_stock) or 0
    if kind is Kind.INDIVIDUAL and stock > 1:
        fields.wrong("/initial_stock", "range", "an individual animal is 0 or 1; add more as animals")
    fields.check()
    product.facts = Facts(facts.species) if kind is Kind.INDIVIDUAL else facts
    return catalogue.open_product(product, stock, animal_id=new_id(), animal_facts=facts)


def product_edit(request: pb.UpdateProductRequest, product: Product, today: date) -> ProductEdit:
    fields = Fields()

    def given(name: str, check: Callable[..., Any], *arguments: Any) -> Any:
        if not request.HasField(name):
            return None
        return fields.take(f"/{name}", check, getattr(request, name), *arguments)

    edit = ProductEdit(
        given("title", checks.title),
        given("description", checks.description),
        decoding.price(fields, request) if request.HasField("price") else None,
        given("status", checks.one_of, (ACTIVE, ARCHIVED)),
        _new_facts(fields, request, product, today) if request.HasField("facts") else None,
    )
    _version(fields, request.if_version)
    fields.check()
    return edit


def _new_facts(fields: Fields, request: pb.UpdateProductRequest, product: Product, today: date) -> Facts:
    if product.kind is Kind.INDIVIDUAL:
        fields.wrong("/facts", "enum", "the facts of an individual animal stand with the animal")
    return decoding.facts(fields, request.facts, product.kind, today, species=product.facts.species)


def stock_change(request: pb.ChangeStockRequest) -> StockChange:
    fields = Fields()
    to, by = request.HasField("set"), request.HasField("delta")
    if to + by + request.release_quarantine != 1:
        fields.wrong("", "required", "give exactly one of set, delta and release_quarantine")
    if to:
        fields.take("/set", checks.amount_of_stock, request.set)
    if to and not request.if_version:
        fields.wrong(
            "/if_version", "required", "setting the stock needs the version that was looked at (If-Match)"
        )
    if by and not 0 < abs(request.delta) <= checks.MOST_STOCK:
        fields.wrong("/delta", "range", f"must not be 0, and at most {checks.MOST_STOCK}")
    reason = fields.take("/reason", checks.reason, request.reason) or ""
    _version(fields, request.if_version)
    fields.check()
    return StockChange(
        request.set if to else None,
        request.delta if by else None,
        request.release_quarantine,
        reason,
        request.if_version,
    )


def new_animal(request: pb.AddAnimalRequest, product: Product, id: UUID, today: date) -> Animal:
    fields = Fields()
    facts = decoding.facts(fields, request.facts, Kind.INDIVIDUAL, today, species=product.facts.species)
    identifier = fields.take("/identifier", checks.identifier, request.identifier) or ""
    # Said after the product has been looked at: a good has no species to compare with.
    if product.kind is Kind.INDIVIDUAL:
        fields.check()
    return catalogue.new_animal(product, id, facts, identifier)


def reason(value: str) -> str:
    fields = Fields()
    given = fields.take("/reason", checks.reason, value) or ""
    fields.check()
    return given


def product_filter(request: pb.ListProductsRequest) -> Filter:
    fields = Fields()
    wanted = Filter(
        fields.take("/query/q", checks.text, request.q, 200) or "" if request.q.strip() else "",
        fields.take("/query/vendor_id", checks.identity, request.vendor_id) if request.vendor_id else None,
        fields.take("/query/species", checks.text, request.species, 64) or "" if request.species else "",
        fields.take("/query/kind", checks.one_of, request.kind, list(Kind)) or "" if request.kind else "",
        request.in_stock if request.HasField("in_stock") else None,
        fields.take("/query/status", checks.one_of, request.status or ACTIVE, (ACTIVE, ARCHIVED, ANY_STATUS))
        or "",
        fields.take("/query/sort", checks.one_of, request.sort, SORTS.keys() - {""}) or ""
        if request.sort
        else "",
    )
    fields.check()
    return wanted


def keys(request: pb.BatchGetProductsRequest) -> Keys:
    """What is malformed names no product, so it is simply not found."""
    if len(request.keys) > MOST_KEYS:
        raise invalid_field("/keys", "length", f"must be at most {MOST_KEYS}")
    found = Keys(set(), set(), set(), set())
    for key in request.keys:
        _add_key(found, key)
    return found


def _add_key(found: Keys, key: pb.ProductKey) -> None:
    vendor_id, sku = parse_id(key.vendor_id), key.sku.lower()
    if id := parse_id(key.product_id):
        found.ids.add(id)
    if animal_id := parse_id(key.animal_id):
        found.animals.add(animal_id)
    if checks.SKU.fullmatch(key.sku) and vendor_id:
        found.by_vendor.add((vendor_id, sku))
    elif checks.SKU.fullmatch(key.sku) and not key.vendor_id:
        found.skus.add(sku)
