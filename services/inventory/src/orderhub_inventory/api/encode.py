"""Rows turned into messages."""

from __future__ import annotations

from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb

from orderhub_inventory import events
from orderhub_inventory.model.catalogue import Product, Vendor
from orderhub_inventory.model.stock import Animal, Stock


def vendor(vendor: Vendor, *, private: bool = False) -> pb.Vendor:
    """`private`: the reader is the vendor itself or an operator."""
    return pb.Vendor(
        id=str(vendor.id),
        name=vendor.name,
        country=vendor.address.country,
        address=events.address_message(vendor),
        version=vendor.version,
        email=vendor.email if private else "",
    )


def product(product: Product, stock: Stock) -> pb.Product:
    return pb.Product(
        id=str(product.id),
        vendor_id=str(product.vendor_id),
        sku=product.sku,
        title=product.title,
        description=product.description,
        kind=product.kind,
        species=product.facts.species,
        price=Money(amount_minor=product.price_minor, currency=product.currency),
        status=product.status,
        stock=pb.Stock(
            on_hand=stock.on_hand,
            reserved=stock.reserved,
            available=stock.available,
            quarantined=stock.quarantined,
        ),
        version=stock.version,
        facts=events.facts_message(product.facts),
    )


def animal(animal: Animal) -> pb.Animal:
    return pb.Animal(
        id=str(animal.id),
        product_id=str(animal.product_id),
        vendor_id=str(animal.vendor_id),
        status=animal.status,
        facts=events.facts_message(animal.facts, str(animal.id)),
        identifier=animal.identifier,
        version=animal.version,
    )
