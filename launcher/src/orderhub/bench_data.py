"""The products of `seed --bench`: what `load` and the benchmarks order, apart from the demo's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2

from orderhub import imports
from orderhub.inside import Inside

VENDOR: Final = "Load Bench"
PRODUCTS: Final = 5000
STOCK: Final = 1_000_000_000
VENDOR_CSV: Final = (
    "name,country,line1,city,postal_code,lat,lon,email\n"
    f"{VENDOR},NL,Testweg 1,Utrecht,3511,52.09,5.12,bench@load.orderhub.example\n"
)
HEAD: Final = "vendor,sku,title,kind,species,price_minor,currency,stock,life_stage,age_days,weight_kg,weaned,carapace_cm"


def catalogue(count: int = PRODUCTS) -> str:
    rows = (
        f"{VENDOR},BENCH-{n:05},Bench product {n},good,,{100 + n % 900},EUR,{STOCK},,,0.1,,"
        for n in range(count)
    )
    return "\n".join([HEAD, *rows, ""])


async def seed(inside: Inside, *, progress: Callable[[Any], None] | None = None) -> Any:
    """Make the vendor and the products; those that are there stay as they are."""
    imports.require_all(await imports.vendors(inside, VENDOR_CSV.encode()))
    return await imports.products(inside, catalogue().encode(), progress=progress)


async def product_ids(inside: Inside) -> list[str]:
    """The ids of the bench products; seeds them first when there are fewer than there should be."""
    found = await _listed(inside)
    if len(found) < PRODUCTS:
        imports.require_all(await seed(inside))
        found = await _listed(inside)
    return found


async def _listed(inside: Inside) -> list[str]:
    vendors = await inside.call(
        "inventory", inside.inventory.ListVendors, inventory_pb2.ListVendorsRequest(name=VENDOR)
    )
    return await _products_of(inside, vendors.items[0].id) if vendors.items else []


async def _products_of(inside: Inside, vendor_id: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        request = inventory_pb2.ListProductsRequest(
            vendor_id=vendor_id, page=common_pb2.PageRequest(limit=imports.PAGE, cursor=cursor)
        )
        answer = await inside.call("inventory", inside.inventory.ListProducts, request)
        found += [product.id for product in answer.items]
        cursor = answer.next_cursor
        if not cursor:
            return found
