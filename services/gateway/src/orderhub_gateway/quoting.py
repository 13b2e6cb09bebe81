"""A quote's lines, looked up in the catalogue: what the welfare rules need to know of each."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UnsetType
from orderhub_chassis.errors import FieldError, NotFound, Unprocessable
from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.delivery.v1 import delivery_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb

from orderhub_gateway.clients import Service, as_gateway
from orderhub_gateway.convert import common
from orderhub_gateway.convert import deliveries as convert
from orderhub_gateway.errors import bad_field
from orderhub_gateway.schemas.deliveries import QuoteDelivery
from orderhub_gateway.schemas.orders import OrderLineInput

NAMING = ("product_id", "sku", "animal_id")


class LineNotFound(NotFound):
    code = "quote.product_not_found"


class SkuAmbiguous(Unprocessable):
    code = "quote.sku_ambiguous"


class MixedVendors(Unprocessable):
    code = "quote.mixed_vendors"


async def quote_request(inventory: Service, asked: QuoteDelivery) -> delivery_pb2.QuoteDeliveryRequest:
    """Raises a Failure that names the line which is not to be found, ambiguous, or of another vendor."""
    keys = [_key(number, line) for number, line in enumerate(asked.lines)]
    asking = pb.BatchGetProductsRequest(keys=keys)
    known = await inventory(inventory.stub.BatchGetProducts, asking, call=as_gateway())
    products = [_product(number, key, known) for number, key in enumerate(keys)]
    vendors = {product.vendor_id for product in products}
    if len(vendors) > 1:
        raise MixedVendors("all lines must be of one vendor")
    return delivery_pb2.QuoteDeliveryRequest(
        pickup=common.to_address(asked.pickup, "/pickup") if asked.pickup else _home(known, vendors.pop()),
        ship_to=common.to_address(asked.ship_to, "/ship_to"),
        lines=[
            convert.plan_line(number + 1, _quantity(line), product, _animals(product, key, known.animals))
            for number, (line, product, key) in enumerate(zip(asked.lines, products, keys, strict=True))
        ],
    )


def _key(number: int, line: OrderLineInput) -> pb.ProductKey:
    if sum(not isinstance(getattr(line, name), UnsetType) for name in NAMING) != 1:
        raise bad_field(f"/lines/{number}", "required", f"exactly one of {', '.join(NAMING)} is required")
    return pb.ProductKey(
        product_id=common.text(line.product_id),
        vendor_id=common.text(line.vendor_id) if not isinstance(line.sku, UnsetType) else "",
        sku=common.text(line.sku),
        animal_id=common.text(line.animal_id),
    )


def _product(number: int, key: pb.ProductKey, known: pb.BatchGetProductsResponse) -> pb.Product:
    of_animal = {animal.product_id for animal in known.animals if animal.id == key.animal_id}
    found = [product for product in known.products if _matches(product, key) or product.id in of_animal]
    pointer = f"/lines/{number}"
    if not found:
        error = FieldError(pointer, "not_found", "there is no such product")
        raise LineNotFound("there is no such product", errors=(error,))
    if len(found) > 1:
        error = FieldError(f"{pointer}/sku", "ambiguous", "several vendors have this SKU: add vendor_id")
        raise SkuAmbiguous("several vendors have this SKU", errors=(error,))
    return found[0]


def _matches(product: pb.Product, key: pb.ProductKey) -> bool:
    if key.product_id:
        return product.id == key.product_id
    same_sku = bool(key.sku) and product.sku.lower() == key.sku.lower()
    return same_sku and product.vendor_id == (key.vendor_id or product.vendor_id)


def _animals(product: pb.Product, key: pb.ProductKey, animals: Sequence[pb.Animal]) -> list[pb.Animal]:
    """The one that was named, or all that could be taken."""
    if product.kind != "individual":
        return []
    named = [animal for animal in animals if animal.id == key.animal_id]
    return named or [a for a in animals if a.product_id == product.id and a.status == "free"]


def _quantity(line: OrderLineInput) -> int:
    return 1 if isinstance(line.quantity, UnsetType) else line.quantity


def _home(known: pb.BatchGetProductsResponse, vendor_id: str) -> common_pb2.Address:
    return next(vendor.address for vendor in known.vendors if vendor.id == vendor_id)
