"""Shapes of vendors, products, stock and animals."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from orderhub_gateway.schemas.common import (
    Country,
    Input,
    Latitude,
    Longitude,
    Money,
    MoneyInput,
    ProductKind,
    ProductStatus,
    ReasonText,
    Sku,
    Text,
)

Title = Annotated[str, Meta(min_length=1, max_length=200)]
Description = Annotated[str, Meta(max_length=5000)]
Species = Annotated[str, Meta(min_length=1, max_length=100)]
Pieces = Annotated[int, Meta(ge=0, le=1_000_000_000)]
AnimalStatus = Literal["free", "reserved", "sold", "quarantined", "withdrawn"]
Sort = Literal["created", "-created", "price", "-price", "title", "-title"]
StatusFilter = Literal["active", "archived", "any"]


class VendorAddress(msgspec.Struct, kw_only=True):
    line1: str
    city: str
    postal_code: str
    lat: float | None
    lon: float | None


class Vendor(msgspec.Struct, kw_only=True):
    """`email` is null for everybody but the vendor itself and operators."""

    id: str
    name: str
    country: str
    address: VendorAddress
    email: str | None
    version: int


class VendorAddressInput(Input):
    line1: Text
    city: Annotated[str, Meta(min_length=1, max_length=100)]
    postal_code: Annotated[str, Meta(min_length=1, max_length=20)]
    country: Country
    lat: Latitude | None = None
    lon: Longitude | None = None


class UpdateVendor(Input):
    name: Text | UnsetType = UNSET
    address: VendorAddressInput | UnsetType = UNSET
    email: Annotated[str, Meta(min_length=3, max_length=254)] | UnsetType = UNSET


class Stock(msgspec.Struct, kw_only=True):
    """`quarantined` came back from a journey and waits for the vendor; it is not on hand."""

    on_hand: int
    reserved: int
    available: int
    quarantined: int


class Facts(msgspec.Struct, kw_only=True):
    """What the welfare rules look at."""

    life_stage: str | None
    born_on: str | None
    weaned: bool | None
    carapace_cm: float | None
    weight_kg: float | None
    with_mother: bool | None


class FactsInput(Input):
    life_stage: Annotated[str, Meta(max_length=50)] = ""
    born_on: date | None = None
    weaned: bool | None = None
    carapace_cm: Annotated[float, Meta(ge=0, le=1000)] | None = None
    weight_kg: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    with_mother: bool | None = None


class Product(msgspec.Struct, kw_only=True):
    id: str
    vendor_id: str
    sku: str
    title: str
    description: str
    kind: ProductKind
    species: str | None
    price: Money
    status: ProductStatus
    stock: Stock
    version: int
    facts: Facts | None


class CreateProduct(Input):
    """`vendor_id` is for operators; a vendor creates its own. `stock` is what there is at the start."""

    sku: Sku
    title: Title
    kind: ProductKind
    price: MoneyInput
    description: Description = ""
    species: Species | None = None
    facts: FactsInput | None = None
    stock: Pieces = 0
    vendor_id: UUID | None = None


class UpdateProduct(Input):
    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    price: MoneyInput | UnsetType = UNSET
    status: ProductStatus | UnsetType = UNSET
    facts: FactsInput | UnsetType = UNSET


class ChangeStock(Input):
    """One of `delta`, `set` (with If-Match) and `release_quarantine`."""

    reason: ReasonText
    delta: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)] | UnsetType = UNSET
    set: Pieces | UnsetType = UNSET
    release_quarantine: bool = False


class Animal(msgspec.Struct, kw_only=True):
    id: str
    product_id: str
    vendor_id: str
    status: AnimalStatus
    identifier: str | None
    species: str
    facts: Facts
    version: int


class AddAnimal(Input):
    """`identifier`: a microchip, ring or passport number, unique per vendor."""

    identifier: Annotated[str, Meta(max_length=100)] = ""
    facts: FactsInput | None = None


class ImportReport(msgspec.Struct, kw_only=True):
    """What an import did. Refused rows are named by line and column."""

    rows: int
    created: int
    updated: int
    unchanged: int
    errors: list[RowError]
    errors_total: int


class RowError(msgspec.Struct, kw_only=True):
    line: int
    column: str
    code: str
    message: str
