"""CSV files into inventory, with progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2

from orderhub.exits import Refused
from orderhub.inside import Inside

IMPORT_SECONDS = 600.0
PAGE = 200
Progress = Callable[[Any], None]


async def products(
    inside: Inside,
    content: bytes,
    *,
    partial: bool = False,
    rebase_ages: bool = False,
    vendor_id: str = "",
    progress: Progress | None = None,
) -> Any:
    """The final ImportProgress; what is wrong with the file stands in it."""
    request = inventory_pb2.ImportProductsRequest(
        csv=content, partial=partial, rebase_ages=rebase_ages, vendor_id=vendor_id
    )
    return await _last(inside, inside.inventory.ImportProducts, request, progress)


async def vendors(inside: Inside, content: bytes) -> Any:
    """The same for vendors."""
    request = inventory_pb2.ImportVendorsRequest(csv=content)
    return await _last(inside, inside.inventory.ImportVendors, request, None)


async def vendor_ids(inside: Inside) -> dict[str, str]:
    """Name → id of all vendors."""
    found: dict[str, str] = {}
    cursor = ""
    while True:
        page = common_pb2.PageRequest(limit=PAGE, cursor=cursor)
        request = inventory_pb2.ListVendorsRequest(page=page)
        answer = await inside.call("inventory", inside.inventory.ListVendors, request)
        found |= {vendor.name: vendor.id for vendor in answer.items}
        cursor = answer.next_cursor
        if not cursor:
            return found


async def _last(inside: Inside, method: Any, request: Any, progress: Progress | None) -> Any:
    last = inventory_pb2.ImportProgress()
    async for last in inside.stream("inventory", method, request, timeout=IMPORT_SECONDS):
        if progress:
            progress(last)
    return last


def require_all(done: Any) -> Any:
    """Raises Refused where a row is wrong, with the first of them."""
    if done.errors_total:
        shown = "; ".join(map(wrong_row, done.errors[:3]))
        more = f"; and {done.errors_total - 3} more" if done.errors_total > 3 else ""
        raise Refused(f"{done.errors_total} rows are wrong: {shown}{more}")
    return done


def wrong_row(error: Any) -> str:
    column = f" {error.column}:" if error.column else ""
    return f"line {error.line}:{column} {error.message}"
