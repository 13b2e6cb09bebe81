"""InventoryService over gRPC: who may do what, and how a request becomes a call."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from orderhub_chassis import idempotency
from orderhub_chassis.calls import Caller, current_call
from orderhub_chassis.cursors import Cursors, page_limit
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import invalid_field
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb
from orderhub_contracts.inventory.v1 import inventory_pb2_grpc

from orderhub_inventory import errors, importing, metrics
from orderhub_inventory.api import encode, requests
from orderhub_inventory.api.fields import identity
from orderhub_inventory.api.writing import Writing
from orderhub_inventory.model.catalogue import Product, name_key
from orderhub_inventory.model.stock import Animal
from orderhub_inventory.queries import products as queries

M = TypeVar("M", bound=Message)
LAST: Final = UUID(int=2**128 - 1)


class InventoryServicer(inventory_pb2_grpc.InventoryServiceServicer):  # type: ignore[misc]
    def __init__(self, db: Database, search: Database, cursors: Cursors, import_max_rows: int) -> None:
        self._db = db
        self._search = search
        self._cursors = cursors
        self._import_max_rows = import_max_rows
        self._write = Writing(db)

    async def GetVendor(self, request: pb.GetVendorRequest, context: Any) -> pb.Vendor:
        found = await queries.vendors(self._db, [identity("/id", request.id)])
        if not found:
            raise errors.VendorNotFound
        return encode.vendor(found[0], private=_owns(current_call.get().caller, found[0].id))

    async def ListVendors(self, request: pb.ListVendorsRequest, context: Any) -> pb.ListVendorsResponse:
        caller = current_call.get().caller
        caller.need("operator", "service")
        limit, key = page_limit(request.page.limit), name_key(request.name)
        scope = f"vendors:{key}"
        rows = await queries.vendors_page(
            self._db, _no_nul("/query/name", key), self._before(scope, request.page.cursor), limit
        )
        following = self._cursors.encode(scope, [rows[limit - 1].id.bytes]) if len(rows) > limit else ""
        items = [encode.vendor(vendor, private=_owns(caller, vendor.id)) for vendor in rows[:limit]]
        return pb.ListVendorsResponse(items=items, next_cursor=following)

    async def CreateVendor(self, request: pb.CreateVendorRequest, context: Any) -> pb.Vendor:
        current_call.get().caller.need("operator")
        vendor = requests.new_vendor(request, self._db.new_id())
        return await self._once(
            context, "CreateVendor", pb.Vendor, lambda tx: self._write.create_vendor(tx, vendor)
        )

    async def UpdateVendor(self, request: pb.UpdateVendorRequest, context: Any) -> pb.Vendor:
        id = _acting_vendor(request.vendor_id)
        edit = requests.vendor_edit(request)
        return await self._once(
            context,
            "UpdateVendor",
            pb.Vendor,
            lambda tx: self._write.update_vendor(tx, id, edit, request.if_version),
        )

    async def ListProducts(self, request: pb.ListProductsRequest, context: Any) -> pb.ListProductsResponse:
        wanted, limit = requests.product_filter(request), page_limit(request.page.limit)
        if wanted.status != "active" and not _may_see_archived(current_call.get().caller, wanted.vendor_id):
            raise invalid_field("/query/status", "enum", "only your own archived products can be listed")
        after = self._cursors.decode(wanted.scope, request.page.cursor) if request.page.cursor else None
        started = time.perf_counter()
        page = await queries.page(self._search, wanted, _position(after), limit)
        metrics.SEARCH_SECONDS.labels(str(bool(wanted.q)).lower()).observe(time.perf_counter() - started)
        return pb.ListProductsResponse(
            items=[encode.product(*row) for row in page.rows],
            next_cursor=self._cursors.encode(wanted.scope, page.position) if page.position else "",
        )

    async def GetProduct(self, request: pb.GetProductRequest, context: Any) -> pb.Product:
        found = await queries.product(self._db, identity("/id", request.id))
        if found is None:
            raise errors.ProductNotFound
        return encode.product(*found)

    async def BatchGetProducts(
        self, request: pb.BatchGetProductsRequest, context: Any
    ) -> pb.BatchGetProductsResponse:
        """Whatever the products' standing, and with animals that are not on sale: for other services alone."""
        current_call.get().caller.need("service")
        keys = requests.keys(request)
        rows = await queries.batch(self._db, keys)
        alone = [product.id for product, _ in rows if product.kind == "individual"]
        animals = await queries.animals(self._db, keys.animals, alone) if alone else []
        vendors = await queries.vendors(self._db, {product.vendor_id for product, _ in rows})
        return pb.BatchGetProductsResponse(
            products=[encode.product(*row) for row in rows],
            animals=[encode.animal(animal) for animal in animals],
            vendors=[encode.vendor(vendor) for vendor in vendors],
        )

    async def CreateProduct(self, request: pb.CreateProductRequest, context: Any) -> pb.Product:
        vendor_id = _acting_vendor(request.vendor_id)
        opened = requests.new_product(request, vendor_id, self._db.new_id, self._db.clock.now().date())
        return await self._once(
            context, "CreateProduct", pb.Product, lambda tx: self._write.create_product(tx, opened)
        )

    async def UpdateProduct(self, request: pb.UpdateProductRequest, context: Any) -> pb.Product:
        product = await self._own_product(request.id)
        edit = requests.product_edit(request, product, self._db.clock.now().date())
        return await self._once(
            context,
            "UpdateProduct",
            pb.Product,
            lambda tx: self._write.update_product(tx, product.id, edit, request.if_version),
        )

    async def ArchiveProduct(self, request: pb.ArchiveProductRequest, context: Any) -> pb.Product:
        product, edit = await self._own_product(request.id), requests.ARCHIVE
        return await self._once(
            context,
            "ArchiveProduct",
            pb.Product,
            lambda tx: self._write.update_product(tx, product.id, edit, request.if_version),
        )

    async def ChangeStock(self, request: pb.ChangeStockRequest, context: Any) -> pb.Product:
        product = await self._own_product(request.product_id)
        change = requests.stock_change(request)
        return await self._once(
            context, "ChangeStock", pb.Product, lambda tx: self._write.change_stock(tx, product.id, change)
        )

    async def ImportProducts(
        self, request: pb.ImportProductsRequest, context: Any
    ) -> AsyncIterator[pb.ImportProgress]:
        caller = current_call.get().caller
        caller.need("vendor", "operator")
        anyone = caller.has("operator") and not request.vendor_id
        own = None if anyone else _acting_vendor(request.vendor_id)
        if own and not await queries.vendors(self._db, [own]):
            raise errors.VendorNotFound
        async for progress in importing.import_products(
            self._db, request, own, actor=caller.principal, most_rows=self._import_max_rows
        ):
            yield progress

    async def ImportVendors(
        self, request: pb.ImportVendorsRequest, context: Any
    ) -> AsyncIterator[pb.ImportProgress]:
        current_call.get().caller.need("operator")
        async for progress in importing.import_vendors(self._db, request, most_rows=self._import_max_rows):
            yield progress

    async def ListAnimals(self, request: pb.ListAnimalsRequest, context: Any) -> pb.ListAnimalsResponse:
        """The vendor and operators see all; everybody else those that can be bought."""
        found = await queries.product(self._db, identity("/product_id", request.product_id))
        if found is None:
            raise errors.ProductNotFound
        product, limit = found[0], page_limit(request.page.limit)
        scope = f"animals:{product.id}"
        rows = await queries.animals_of(
            self._db, product.id, free_only=not _owns(current_call.get().caller, product.vendor_id),
            before=self._before(scope, request.page.cursor), limit=limit,
        )  # fmt: skip
        following = self._cursors.encode(scope, [rows[limit - 1].id.bytes]) if len(rows) > limit else ""
        return pb.ListAnimalsResponse(items=map(encode.animal, rows[:limit]), next_cursor=following)

    async def AddAnimal(self, request: pb.AddAnimalRequest, context: Any) -> pb.Animal:
        product = await self._own_product(request.product_id)
        today = self._db.clock.now().date()
        animal = requests.new_animal(request, product, self._db.new_id(), today)
        return await self._once(
            context, "AddAnimal", pb.Animal, lambda tx: self._write.add_animal(tx, product.id, animal)
        )

    async def ReleaseAnimal(self, request: pb.ReleaseAnimalRequest, context: Any) -> pb.Animal:
        animal = await self._own_animal(request.id)
        return await self._once(
            context, "ReleaseAnimal", pb.Animal, lambda tx: self._write.release_animal(tx, animal)
        )

    async def WithdrawAnimal(self, request: pb.WithdrawAnimalRequest, context: Any) -> pb.Animal:
        animal = await self._own_animal(request.id)
        reason = requests.reason(request.reason)
        return await self._once(
            context, "WithdrawAnimal", pb.Animal, lambda tx: self._write.withdraw_animal(tx, animal, reason)
        )

    async def _own_product(self, id: str) -> Product:
        """Of the caller's vendor; a stranger's is not found."""
        caller = current_call.get().caller
        caller.need("vendor", "operator")
        found = await queries.product(self._db, identity("/id", id))
        if found is None or not _owns(caller, found[0].vendor_id):
            raise errors.ProductNotFound
        return found[0]

    async def _own_animal(self, id: str) -> Animal:
        caller = current_call.get().caller
        caller.need("vendor", "operator")
        animal = await queries.animal(self._db, identity("/id", id))
        if animal is None or not _owns(caller, animal.vendor_id):
            raise errors.AnimalNotFound
        return animal

    def _before(self, scope: str, cursor: str) -> UUID:
        return UUID(bytes=self._cursors.decode(scope, cursor)[0]) if cursor else LAST

    async def _once(
        self, context: Any, route: str, answer: type[M], work: Callable[[Transaction], Awaitable[M]]
    ) -> M:
        result, replayed = await idempotency.once(self._db, current_call.get(), route, answer, work)
        if replayed:
            await context.send_initial_metadata((("x-idempotency-replayed", "true"),))
        return result


def _owns(caller: Caller, vendor_id: UUID) -> bool:
    return caller.has("operator") or (caller.has("vendor") and caller.vendor_id == str(vendor_id))


def _may_see_archived(caller: Caller, vendor_id: UUID | None) -> bool:
    return caller.has("operator") or (vendor_id is not None and _owns(caller, vendor_id))


def _acting_vendor(asked: str) -> UUID:
    """For whom the caller acts: operators name the vendor, a vendor is itself."""
    caller = current_call.get().caller
    caller.need("vendor", "operator")
    if caller.has("operator") and (asked or not caller.vendor_id):
        return identity("/vendor_id", asked)
    if not caller.vendor_id or (asked and asked != caller.vendor_id):
        raise errors.VendorNotFound
    return UUID(caller.vendor_id)


def _position(after: list[Any] | None) -> list[Any] | None:
    """A cursor's position with its id as an id again; the id is always last."""
    return [*after[:-1], UUID(bytes=after[-1])] if after else None


def _no_nul(pointer: str, value: str) -> str:
    if "\0" in value:
        raise invalid_field(pointer, "characters", "must not contain the NUL character")
    return value
