"""The mutations: in one transaction each loads with locks, decides, saves and sends the new snapshot."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import asyncpg
from orderhub_chassis import participant
from orderhub_chassis.calls import current_call
from orderhub_chassis.db import Database, Transaction
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb

from orderhub_inventory import errors, events, importing
from orderhub_inventory.api import encode
from orderhub_inventory.api.requests import ProductEdit, StockChange, VendorEdit
from orderhub_inventory.commands import catalogue as decisions
from orderhub_inventory.commands.catalogue import Opened, require_version
from orderhub_inventory.model.catalogue import Product, Vendor, name_key
from orderhub_inventory.model.stock import Animal, Shelf, Stock
from orderhub_inventory.store import catalogue, shelves


class Writing:
    """All of it for the caller of the current call, who has been authorised."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create_vendor(self, tx: Transaction, vendor: Vendor) -> pb.Vendor:
        now = self._db.clock.now()
        if not await catalogue.add_vendors(tx, {name_key(vendor.name): vendor}, now=now):
            raise errors.VendorNameTaken(vendor.name)
        tx.send(events.vendor_changed(vendor))
        return encode.vendor(vendor, private=True)

    async def update_vendor(self, tx: Transaction, id: UUID, edit: VendorEdit, if_version: int) -> pb.Vendor:
        vendor = (await catalogue.lock_vendors(tx, [id])).get(id)
        if vendor is None:
            raise errors.VendorNotFound
        require_version(if_version, vendor.version)
        if vendor.edit(name=edit.name, email=edit.email, address=edit.address):
            await self._rename(tx, vendor)
            tx.send(events.vendor_changed(vendor))
        return encode.vendor(vendor, private=True)

    async def _rename(self, tx: Transaction, vendor: Vendor) -> None:
        try:
            await catalogue.save_vendors(tx, {name_key(vendor.name): vendor}, now=self._db.clock.now())
        except asyncpg.UniqueViolationError as error:
            raise errors.VendorNameTaken(vendor.name) from error

    async def create_product(self, tx: Transaction, opened: Opened) -> pb.Product:
        product = opened.product
        if not await catalogue.lock_vendors(tx, [product.vendor_id]):
            raise errors.VendorNotFound
        key = (product.vendor_id, product.sku.lower())
        if taken := (await catalogue.find_skus(tx, [key])).get(key):
            raise errors.SkuTaken(product.sku, taken)
        await importing.open_products(tx, [opened], actor=self._actor(), now=self._db.clock.now())
        return encode.product(product, opened.stock)

    async def update_product(
        self, tx: Transaction, id: UUID, edit: ProductEdit, if_version: int
    ) -> pb.Product:
        product, stock = await self._lock_product(tx, id)
        require_version(if_version, stock.version)
        if product.edit(**{name: getattr(edit, name) for name in edit.__slots__}):
            stock.touch()
            await catalogue.save_products(tx, [product], now=self._db.clock.now())
            await shelves.save_stocks(tx, [stock])
            tx.send(events.product_changed(product, stock.version))
        return encode.product(product, stock)

    async def _lock_product(self, tx: Transaction, id: UUID) -> tuple[Product, Stock]:
        found = await catalogue.lock_product(tx, id)
        if found is None:
            raise errors.ProductNotFound
        return found

    async def change_stock(self, tx: Transaction, id: UUID, change: StockChange) -> pb.Product:
        if change.release_quarantine:
            return await self._end_quarantine(tx, id, change)
        product, stock = await self._lock_product(tx, id)
        require_version(change.if_version, stock.version)
        to = change.to if change.to is not None else stock.on_hand + (change.by or 0)
        kind = "set" if change.to is not None else "changed"
        movements = decisions.change_stock(product, stock, to=to, kind=kind, reason=change.reason)
        if movements:
            await shelves.save_stocks(tx, [stock])
            await shelves.add_movements(tx, movements, actor=self._actor(), now=self._db.clock.now())
            tx.send(events.product_changed(product, stock.version))
        return encode.product(product, stock)

    async def _end_quarantine(self, tx: Transaction, id: UUID, change: StockChange) -> pb.Product:
        orders = await shelves.quarantined_orders(tx, id)
        await participant.load(tx, orders)
        shelf = await shelves.load(tx, orders, [id], [])
        product, stock = (await catalogue.products_by_id(tx, [id]))[id], shelf.stocks[id]
        require_version(change.if_version, stock.version)
        decisions.end_quarantine(shelf, product, change.reason)
        await self._save(tx, shelf)
        if stock.changed:
            tx.send(events.product_changed(product, stock.version))
        return encode.product(product, stock)

    async def add_animal(self, tx: Transaction, product_id: UUID, animal: Animal) -> pb.Animal:
        product, stock = await self._lock_product(tx, product_id)
        shelf = Shelf(stocks={product_id: stock})
        decisions.add_animal(shelf, product, animal)
        await shelves.add_animals(tx, [animal], now=self._db.clock.now())
        await self._save(tx, shelf)
        tx.send(events.animal_changed(animal))
        return encode.animal(animal)

    async def release_animal(self, tx: Transaction, seen: Animal) -> pb.Animal:
        return await self._with_animal(tx, seen, decisions.release_animal)

    async def withdraw_animal(self, tx: Transaction, seen: Animal, reason: str) -> pb.Animal:
        return await self._with_animal(
            tx, seen, lambda shelf, animal: decisions.withdraw_animal(shelf, animal, reason)
        )

    async def _with_animal(
        self, tx: Transaction, seen: Animal, decide: Callable[[Shelf, Animal], None]
    ) -> pb.Animal:
        """`seen` without a lock says whose standing to lock first; when it has changed hands since, it is a no."""
        orders = [seen.order_id] if seen.order_id else []
        await participant.load(tx, orders)
        shelf = await shelves.load(tx, orders, [seen.product_id], [seen.id])
        animal = shelf.animals[seen.id]
        if animal.order_id != seen.order_id:
            raise errors.WrongAnimalStatus(animal.status, seen.status)
        decide(shelf, animal)
        await self._save(tx, shelf)
        tx.send(events.animal_changed(animal))
        return encode.animal(animal)

    async def _save(self, tx: Transaction, shelf: Shelf) -> None:
        await shelves.save(tx, shelf, actor=self._actor(), now=self._db.clock.now())

    def _actor(self) -> str:
        return current_call.get().caller.principal
