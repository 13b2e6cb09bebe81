"""What vendors do: open products, change stock, add, release and withdraw animals. Raises the typed failures."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from orderhub_inventory import errors
from orderhub_inventory.model.catalogue import Product
from orderhub_inventory.model.checks import MOST_STOCK
from orderhub_inventory.model.stock import (
    Animal,
    AnimalStatus,
    Facts,
    Kind,
    Movement,
    Reservation,
    ReservationStatus,
    Shelf,
    Stock,
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A new product with what it starts with."""

    product: Product
    stock: Stock
    animals: list[Animal]
    movements: list[Movement]


def require_version(asked: int, version: int) -> None:
    """0 asks for nothing."""
    if asked and asked != version:
        raise errors.VersionMismatch(asked, version)


def open_product(
    product: Product, amount: int, *, animal_id: UUID, animal_facts: Facts, identifier: str = ""
) -> Opened:
    """With `amount` on hand. Kind individual takes 0 or 1: the one animal that the facts describe."""
    stock = Stock(product.id, 0, 0, 0, 1)
    animals = []
    if product.kind is Kind.INDIVIDUAL and amount:
        animals.append(new_animal(product, animal_id, animal_facts, identifier))
    movements = [stock.apply(Movement(product.id, "opened", amount))] if amount else []
    stock.version = 1
    return Opened(product, stock, animals, movements)


def new_animal(product: Product, id: UUID, facts: Facts, identifier: str) -> Animal:
    return Animal(id, product.id, product.vendor_id, identifier, AnimalStatus.FREE, facts, 1)


def change_stock(product: Product, stock: Stock, *, to: int, kind: str, reason: str) -> list[Movement]:
    """The same amount again is no movement."""
    if product.kind is Kind.INDIVIDUAL:
        raise errors.CountedByAnimals
    pointer = "/set" if kind == "set" else "/delta"
    if to < stock.reserved:
        raise errors.BelowReserved(to, stock.reserved, pointer)
    if to > MOST_STOCK:
        raise errors.TooMuchStock(MOST_STOCK, pointer)
    if to == stock.on_hand:
        return []
    return [stock.apply(Movement(product.id, kind, to - stock.on_hand, reason=reason))]


def end_quarantine(shelf: Shelf, product: Product, reason: str) -> None:
    """All that is quarantined of a countable product goes back on sale."""
    if product.kind is Kind.INDIVIDUAL:
        raise errors.CountedByAnimals
    for line in _quarantined(shelf):
        if line.product_id == product.id:
            shelf.release(line)
    shelf.sign(reason)


def _quarantined(shelf: Shelf) -> list[Reservation]:
    lines = (line for order in shelf.lines.values() for line in order)
    return [line for line in lines if line.status is ReservationStatus.QUARANTINED]


def add_animal(shelf: Shelf, product: Product, animal: Animal) -> None:
    if product.kind is not Kind.INDIVIDUAL:
        raise errors.NoIndividuals
    shelf.move(Movement(product.id, "animal_added", 1))


def release_animal(shelf: Shelf, animal: Animal) -> None:
    """The vendor's word that a quarantined animal may be sold."""
    if animal.status is not AnimalStatus.QUARANTINED:
        raise errors.WrongAnimalStatus(animal.status, "quarantined")
    shelf.release(_line_of(shelf, animal))


def withdraw_animal(shelf: Shelf, animal: Animal, reason: str) -> None:
    if animal.status is AnimalStatus.FREE:
        animal.become(AnimalStatus.WITHDRAWN)
        shelf.move(Movement(animal.product_id, "animal_withdrawn", -1))
    elif animal.status is AnimalStatus.QUARANTINED:
        shelf.write_off(_line_of(shelf, animal))
    else:
        raise errors.WrongAnimalStatus(animal.status, "free or quarantined")
    shelf.sign(reason)


def _line_of(shelf: Shelf, animal: Animal) -> Reservation:
    return next(line for line in _quarantined(shelf) if line.animal_id == animal.id)
