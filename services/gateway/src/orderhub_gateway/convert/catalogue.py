"""Vendors, products and animals."""

from __future__ import annotations

from typing import Any, cast

from msgspec import UnsetType
from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb

from orderhub_gateway.convert import common
from orderhub_gateway.schemas.catalogue import (
    Animal,
    AnimalStatus,
    CreateProduct,
    Facts,
    FactsInput,
    ImportReport,
    Product,
    RowError,
    Stock,
    UpdateProduct,
    UpdateVendor,
    Vendor,
    VendorAddress,
    VendorAddressInput,
)
from orderhub_gateway.schemas.common import ProductKind, ProductStatus


def vendor(message: pb.Vendor) -> Vendor:
    found = message.address
    place = found.position if found.HasField("position") else None
    return Vendor(
        id=message.id,
        name=message.name,
        country=message.country,
        address=VendorAddress(
            line1=found.line1,
            city=found.city,
            postal_code=found.postal_code,
            lat=place.lat if place else None,
            lon=place.lon if place else None,
        ),
        email=message.email or None,
        version=message.version,
    )


def to_vendor_address(given: VendorAddressInput) -> common_pb2.Address:
    return common_pb2.Address(
        line1=given.line1,
        city=given.city,
        postal_code=given.postal_code,
        country=given.country,
        position=common.to_position(given.lat, given.lon, "/address"),
    )


def to_update_vendor(given: UpdateVendor, if_version: int) -> pb.UpdateVendorRequest:
    address = None if isinstance(given.address, UnsetType) else to_vendor_address(given.address)
    return pb.UpdateVendorRequest(
        name=common.present(given.name),
        address=address,
        email=common.present(given.email),
        if_version=if_version,
    )


def facts(message: common_pb2.AnimalFacts) -> Facts:
    return Facts(
        life_stage=message.life_stage or None,
        born_on=message.born_on or None,
        weaned=message.weaned if message.HasField("weaned") else None,
        carapace_cm=message.carapace_cm if message.HasField("carapace_cm") else None,
        weight_kg=message.weight_kg if message.HasField("weight_kg") else None,
        with_mother=message.with_mother if message.HasField("with_mother") else None,
    )


def to_facts(given: FactsInput | UnsetType | None, species: str = "") -> common_pb2.AnimalFacts | None:
    if given is None or isinstance(given, UnsetType):
        return common_pb2.AnimalFacts(species=species) if species else None
    return common_pb2.AnimalFacts(
        species=species,
        life_stage=given.life_stage,
        born_on=given.born_on.isoformat() if given.born_on else "",
        weaned=given.weaned,
        carapace_cm=given.carapace_cm,
        weight_kg=given.weight_kg,
        with_mother=given.with_mother,
    )


def product(message: pb.Product) -> Product:
    return Product(
        id=message.id,
        vendor_id=message.vendor_id,
        sku=message.sku,
        title=message.title,
        description=message.description,
        kind=cast(ProductKind, message.kind),
        species=message.species or None,
        price=common.money(message.price),
        status=cast(ProductStatus, message.status),
        stock=stock(message.stock),
        version=message.version,
        facts=facts(message.facts) if message.species else None,
    )


def stock(message: pb.Stock) -> Stock:
    return Stock(
        on_hand=message.on_hand,
        reserved=message.reserved,
        available=message.available,
        quarantined=message.quarantined,
    )


def to_create_product(given: CreateProduct) -> pb.CreateProductRequest:
    return pb.CreateProductRequest(
        sku=given.sku,
        title=given.title,
        description=given.description,
        kind=given.kind,
        price=common.to_money(given.price),
        facts=to_facts(given.facts, given.species or ""),
        initial_stock=given.stock,
        vendor_id=common.text(given.vendor_id),
    )


def to_update_product(given: UpdateProduct, id: str, if_version: int) -> pb.UpdateProductRequest:
    return pb.UpdateProductRequest(
        id=id,
        title=common.present(given.title),
        description=common.present(given.description),
        price=common.to_money(given.price),
        status=common.present(given.status),
        facts=to_facts(given.facts),
        if_version=if_version,
    )


def animal(message: pb.Animal) -> Animal:
    return Animal(
        id=message.id,
        product_id=message.product_id,
        vendor_id=message.vendor_id,
        status=cast(AnimalStatus, message.status),
        identifier=message.identifier or None,
        species=message.facts.species,
        facts=facts(message.facts),
        version=message.version,
    )


def import_report(message: pb.ImportProgress) -> ImportReport:
    # The message is called ImportError, which a type checker takes for the builtin.
    errors: list[Any] = list(message.errors)
    return ImportReport(
        rows=message.rows_read,
        created=message.created,
        updated=message.updated,
        unchanged=message.unchanged,
        errors=[RowError(line=e.line, column=e.column, code=e.code, message=e.message) for e in errors],
        errors_total=message.errors_total or len(errors),
    )
