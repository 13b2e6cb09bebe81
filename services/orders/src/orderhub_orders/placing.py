"""PlaceOrder, from request to a priced order: pure over the views that the request names."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from orderhub_chassis import ids
from orderhub_chassis.errors import FieldError, Invalid, invalid_field
from orderhub_contracts.common.v1.common_pb2 import Address, AnimalFacts
from orderhub_contracts.countries import COUNTRIES
from orderhub_contracts.orders.v1 import orders_pb2 as pb

from orderhub_orders.errors import (
    AmbiguousSku,
    ArchivedProduct,
    MixedCurrencies,
    MixedVendors,
    PositionRequired,
    UnknownProduct,
)
from orderhub_orders.model import Line, Order

MAX_LINES: Final = 100
MAX_QUANTITY: Final = 1_000_000
MAX_TOTAL: Final = 2**53
CANDIDATES: Final = 20


class ProductView(msgspec.Struct, frozen=True):
    id: UUID
    vendor_id: UUID
    sku: str
    title: str
    kind: str
    price_minor: int
    currency: str
    status: str
    facts: AnimalFacts


class AnimalView(msgspec.Struct, frozen=True):
    id: UUID
    product_id: UUID
    status: str
    facts: AnimalFacts


class Catalogue(msgspec.Struct):
    """What the requests of a batch name, as orders knows it."""

    products: dict[UUID, ProductView] = msgspec.field(default_factory=dict)
    by_sku: defaultdict[str, list[ProductView]] = msgspec.field(default_factory=lambda: defaultdict(list))
    animals: dict[UUID, AnimalView] = msgspec.field(default_factory=dict)
    free: defaultdict[UUID, list[AnimalView]] = msgspec.field(default_factory=lambda: defaultdict(list))
    vendors: dict[UUID, Address] = msgspec.field(default_factory=dict)


def check_request(request: pb.PlaceOrderRequest) -> None:
    """Raises Invalid that names every wrong field."""
    errors: list[FieldError] = []
    if not 1 <= len(request.lines) <= MAX_LINES:
        errors.append(FieldError("/lines", "length", f"must have 1 to {MAX_LINES} lines"))
    for number, line in enumerate(request.lines):
        errors += _line_errors(f"/lines/{number}", line)
    errors += _address_errors("/ship_to", request.ship_to)
    if not 1 <= len(request.payment_token) <= 255:
        errors.append(FieldError("/payment/token", "length", "must have 1 to 255 characters"))
    if len(request.comment) > 2000:
        errors.append(FieldError("/comment", "length", "must have at most 2000 characters"))
    if errors:
        first = errors[0]
        raise Invalid(f"{first.pointer}: {first.detail}", code="validation", errors=tuple(errors))


def _line_errors(pointer: str, line: pb.OrderLineRequest) -> list[FieldError]:
    errors = []
    ways = [bool(line.product_id), bool(line.sku), bool(line.animal_id)]
    if sum(ways) != 1 or (line.vendor_id and not line.sku):
        errors.append(
            FieldError(
                pointer,
                "line_reference",
                "names exactly one of product_id, sku (with vendor_id) or animal_id",
            )
        )
    for name in ("product_id", "vendor_id", "animal_id"):
        if (value := getattr(line, name)) and not _is_uuid(value):
            errors.append(FieldError(f"{pointer}/{name}", "uuid", "is not a UUID"))
    if len(line.sku) > 64:
        errors.append(FieldError(f"{pointer}/sku", "length", "must have at most 64 characters"))
    if line.animal_id and line.quantity not in (0, 1):
        errors.append(FieldError(f"{pointer}/quantity", "range", "an animal is ordered once"))
    elif not line.animal_id and not 1 <= line.quantity <= MAX_QUANTITY:
        errors.append(FieldError(f"{pointer}/quantity", "range", f"must be between 1 and {MAX_QUANTITY}"))
    return errors


def _is_uuid(value: str) -> bool:
    try:
        ids.parse(value)
    except ValueError:
        return False
    return True


def _address_errors(pointer: str, address: Address) -> list[FieldError]:
    errors = []
    for name, most in (("name", 200), ("line1", 200), ("city", 100), ("postal_code", 20)):
        if not 1 <= len(getattr(address, name)) <= most:
            errors.append(FieldError(f"{pointer}/{name}", "length", f"must have 1 to {most} characters"))
    if address.country not in COUNTRIES:
        errors.append(FieldError(f"{pointer}/country", "country", "must be an ISO 3166-1 alpha-2 code"))
    if address.HasField("position"):
        if not -90 <= address.position.lat <= 90:
            errors.append(FieldError(f"{pointer}/lat", "range", "must be between -90 and 90"))
        if not -180 <= address.position.lon <= 180:
            errors.append(FieldError(f"{pointer}/lon", "range", "must be between -180 and 180"))
    return errors


def unknown_references(request: pb.PlaceOrderRequest, catalogue: Catalogue) -> bool:
    """Whether inventory has to be asked before this request can be decided."""
    return any(_is_unknown(line, catalogue) for line in request.lines)


def _is_unknown(line: pb.OrderLineRequest, catalogue: Catalogue) -> bool:
    """Its product, or only the vendor: news of the two may come in any order."""
    products = _named(line, catalogue)
    return not products or any(product.vendor_id not in catalogue.vendors for product in products)


def _named(line: pb.OrderLineRequest, catalogue: Catalogue) -> list[ProductView]:
    if line.sku:
        return _matches(line, catalogue)
    animal = catalogue.animals.get(ids.parse(line.animal_id)) if line.animal_id else None
    product_id = animal.product_id if animal else ids.parse(line.product_id) if line.product_id else None
    product = catalogue.products.get(product_id) if product_id else None
    return [product] if product else []


def _matches(line: pb.OrderLineRequest, catalogue: Catalogue) -> list[ProductView]:
    found = catalogue.by_sku.get(line.sku.casefold(), [])
    return [p for p in found if not line.vendor_id or p.vendor_id == ids.parse(line.vendor_id)]


def place_order(
    request: pb.PlaceOrderRequest,
    catalogue: Catalogue,
    *,
    id: UUID,
    customer_id: str,
    trace_id: str,
    now: datetime,
) -> Order:
    """The order at today's prices. Raises Failures that name the line and the reason; nothing is half-made."""
    check_request(request)
    products = [_product(number, line, catalogue) for number, line in enumerate(request.lines)]
    _one_vendor(products)
    if (
        request.lines
        and any(p.kind != "good" for p, _ in products)
        and not request.ship_to.HasField("position")
    ):
        raise PositionRequired(
            "animals need the position of the address", errors=(
                FieldError("/ship_to/lat", "required", "is required for animals"),
                FieldError("/ship_to/lon", "required", "is required for animals"),
            ),
        )  # fmt: skip
    lines = [
        _line(number, asked, product, animal, catalogue)
        for number, (asked, (product, animal)) in enumerate(zip(request.lines, products, strict=True))
    ]
    first = products[0][0]
    order = Order(
        id=id, customer_id=customer_id, vendor_id=first.vendor_id, currency=first.currency, lines=lines,
        payment_token=request.payment_token, pickup=catalogue.vendors[first.vendor_id].SerializeToString(), ship_to=request.ship_to.SerializeToString(),
        comment=request.comment, created_at=now, updated_at=now, trace_id=trace_id, now=now,
        items_minor=sum(line.total_minor for line in lines),
    )  # fmt: skip
    if order.total_minor > MAX_TOTAL:
        raise invalid_field("/lines", "total", "the total is too large")
    order.record("order.placed", "The order is placed")
    return order


def _product(
    number: int, line: pb.OrderLineRequest, catalogue: Catalogue
) -> tuple[ProductView, AnimalView | None]:
    animal = None
    if line.animal_id:
        animal = catalogue.animals.get(ids.parse(line.animal_id))
        product = catalogue.products.get(animal.product_id) if animal else None
        name = "animal_id"
    elif line.product_id:
        product, name = catalogue.products.get(ids.parse(line.product_id)), "product_id"
    else:
        product, name = _by_sku(number, line, catalogue), "sku"
    if product is None:
        raise _line_failure(UnknownProduct, number, name, "is not known")
    if product.status != "active":
        raise _line_failure(ArchivedProduct, number, name, "is archived")
    if product.kind == "individual" and line.quantity > 1:
        raise invalid_field(f"/lines/{number}/quantity", "range", "individuals are ordered one by one")
    return product, animal


def _by_sku(number: int, line: pb.OrderLineRequest, catalogue: Catalogue) -> ProductView | None:
    found = _matches(line, catalogue)
    if len(found) > 1:
        vendors = ", ".join(sorted(str(p.vendor_id) for p in found))
        raise _line_failure(AmbiguousSku, number, "sku", f"is sold by several vendors: {vendors}")
    return found[0] if found else None


def _line_failure(
    failure: type[UnknownProduct | ArchivedProduct | AmbiguousSku], number: int, name: str, detail: str
) -> UnknownProduct | ArchivedProduct | AmbiguousSku:
    pointer = f"/lines/{number}/{name}"
    return failure(f"{pointer}: {detail}", errors=(FieldError(pointer, failure.code, detail),))


def _one_vendor(products: list[tuple[ProductView, AnimalView | None]]) -> None:
    vendors: defaultdict[UUID, list[int]] = defaultdict(list)
    for number, (product, _) in enumerate(products):
        vendors[product.vendor_id].append(number)
    if len(vendors) > 1:
        errors = tuple(
            FieldError(f"/lines/{number}", "vendor", f"belongs to vendor {vendor}")
            for vendor, numbers in sorted(vendors.items())
            for number in numbers
        )
        raise MixedVendors("an order has one vendor; order once per vendor", errors=errors)
    if len({product.currency for product, _ in products}) > 1:
        raise MixedCurrencies("an order has one currency")


def _line(
    number: int,
    asked: pb.OrderLineRequest,
    product: ProductView,
    animal: AnimalView | None,
    catalogue: Catalogue,
) -> Line:
    return Line(
        line_no=number + 1, product_id=product.id, sku=product.sku, title=product.title, kind=product.kind,
        quantity=asked.quantity or 1, unit_price_minor=product.price_minor,
        candidates=_candidates(product, animal, catalogue),
    )  # fmt: skip


def _candidates(product: ProductView, animal: AnimalView | None, catalogue: Catalogue) -> list[AnimalFacts]:
    """The facts that the rules will look at: the animal, the free animals of the product, or the product's own."""
    if animal is not None:
        return [animal.facts]
    if product.kind == "individual":
        return [a.facts for a in catalogue.free[product.id][:CANDIDATES]]
    return [product.facts] if product.kind == "countable" else []
