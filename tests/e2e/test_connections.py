"""No part opens more connections to PostgreSQL than are planned for it, whatever the other tests ask of it meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from fleet import REPLICAS, Fleet
from orderhub import connections, topology
from shop import Shop, of

pytestmark = pytest.mark.usefixtures("fits")

OPEN = """
select application_name as who, datname as database, count(*) as n from pg_stat_activity
where application_name like 'orderhub-%' group by 1, 2
"""


async def test_no_pool_is_larger_than_planned(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=200)
    asked = [customer.place(of(product)) for _ in range(40)]
    asked += [customer.found("products", q="hay", limit=5) for _ in range(40)]
    await asyncio.gather(*asked)
    services = [service for service in topology.SERVICES if service.has_database]
    planned = {service.database: connections.own(service.name) for service in services}
    planned[topology.BUS_DATABASE] = sum(connections.bus(service.name) for service in services)
    provider = "orderhub_simulator"  # a party of its own, which is not in the plan
    found = {row["database"]: row["n"] for row in await shop.hub.sql("orders", OPEN)}
    on_brokers = "kafka" in shop.hub.runtime.urls
    assert (topology.BUS_DATABASE in found) != on_brokers
    assert found.keys() >= {"orderhub_orders", "orderhub_inventory"}
    replicas = REPLICAS if isinstance(shop.hub, Fleet) else 1
    assert {
        name: n for name, n in found.items() if name != provider and n > replicas * planned.get(name, 0)
    } == {}
