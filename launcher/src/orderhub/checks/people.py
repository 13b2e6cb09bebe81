"""Users against what they own: an order has its customer, a vendor's user its vendor.

The users of other issuers are in no database of ours; their ids are made from what their tokens say (decision 0048).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from orderhub.checks.model import Check, Row, View

VERSION_OF_OTHERS: Final = 5
"""Of a UUID that the gateway made from issuer and subject; our own users have version 7."""


async def customers_are_there(view: View) -> list[Row]:
    known = {row["id"] for row in await view.rows("orderhub_auth", "select id from users")}
    rows = await view.rows(
        "orderhub_orders",
        "select customer_id, count(*) as orders, min(id::text) as first from orders group by 1 order by 1",
    )
    return [dict(row) for row in rows if (id := _id(row["customer_id"])) not in known and not _is_foreign(id)]


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _is_foreign(id: UUID | None) -> bool:
    return id is not None and id.version == VERSION_OF_OTHERS


async def vendors_are_there(view: View) -> list[Row]:
    known = {row["id"] for row in await view.rows("orderhub_inventory", "select id from vendors")}
    users = await view.rows(
        "orderhub_auth", "select id as user_id, vendor_id from users where vendor_id is not null order by id"
    )
    orders = await view.rows(
        "orderhub_orders",
        "select vendor_id, min(id::text) as order_id from orders group by vendor_id order by vendor_id",
    )
    return [dict(row) for row in (*users, *orders) if row["vendor_id"] not in known]


CHECKS: Final = (
    Check("people.customers", "an order's customer is a user", customers_are_there),
    Check("people.vendors", "the vendor of a user or an order is there", vendors_are_there),
)
