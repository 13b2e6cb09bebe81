"""The snapshots that inventory tells the world, each with its version; keyed by the vendor."""

from __future__ import annotations

from orderhub_chassis.messages import Outgoing
from orderhub_contracts.common.v1.common_pb2 import Address, AnimalFacts, Money, Position
from orderhub_contracts.events.v1 import events_pb2 as pb

from orderhub_inventory.model.catalogue import Product, Vendor
from orderhub_inventory.model.stock import Animal, Facts


def facts_message(facts: Facts, animal_id: str = "") -> AnimalFacts:
    """A fact that is not known stays unset; nobody may take a default for one."""
    return AnimalFacts(
        animal_id=animal_id,
        species=facts.species,
        life_stage=facts.life_stage,
        born_on=facts.born_on.isoformat() if facts.born_on else "",
        weaned=facts.weaned,
        carapace_cm=facts.carapace_cm,
        weight_kg=facts.weight_kg,
        with_mother=facts.with_mother,
    )


def address_message(vendor: Vendor) -> Address:
    place = vendor.address
    at = Position(lat=place.lat, lon=place.lon) if place.lat is not None and place.lon is not None else None
    return Address(
        name=vendor.name,
        line1=place.line1,
        city=place.city,
        postal_code=place.postal_code,
        country=place.country,
        phone=place.phone,
        position=at,
    )


def vendor_changed(vendor: Vendor) -> Outgoing:
    snapshot = pb.VendorChanged(
        vendor_id=str(vendor.id), name=vendor.name, address=address_message(vendor), version=vendor.version
    )
    return _about(str(vendor.id), snapshot)


def product_changed(product: Product, version: int) -> Outgoing:
    snapshot = pb.ProductChanged(
        product_id=str(product.id),
        vendor_id=str(product.vendor_id),
        sku=product.sku,
        title=product.title,
        kind=product.kind,
        price=Money(amount_minor=product.price_minor, currency=product.currency),
        status=product.status,
        version=version,
        facts=facts_message(product.facts),
    )
    return _about(str(product.vendor_id), snapshot)


def animal_changed(animal: Animal) -> Outgoing:
    snapshot = pb.AnimalChanged(
        animal_id=str(animal.id),
        product_id=str(animal.product_id),
        vendor_id=str(animal.vendor_id),
        status=animal.status,
        version=animal.version,
        facts=facts_message(animal.facts, str(animal.id)),
    )
    return _about(str(animal.vendor_id), snapshot)


def _about(vendor_id: str, snapshot: pb.VendorChanged | pb.ProductChanged | pb.AnimalChanged) -> Outgoing:
    return Outgoing(snapshot, vendor_id, vendor_id=vendor_id)
