"""Opens, wires and closes the orders service; the only file that knows all the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_contracts.orders.v1 import orders_pb2, orders_pb2_grpc

from orderhub_orders import consumers
from orderhub_orders.api import OrdersServicer
from orderhub_orders.clients import Inventory
from orderhub_orders.observing import Observer
from orderhub_orders.settings import Settings
from orderhub_orders.sweeping import Sweeper
from orderhub_orders.waiting import LOOK_AGAIN, Waiters


@dataclass(frozen=True, slots=True)
class Service:
    chassis: Chassis

    @property
    def grpc_port(self) -> int:
        return self.chassis.grpc_port


@asynccontextmanager
async def build(settings: Settings, around: Surroundings) -> AsyncIterator[Service]:
    async with open_chassis("orders", settings, around, package="orderhub_orders") as chassis:
        waiters = Waiters()
        chassis.readiness.when_draining(waiters.release)
        observer = Observer(waiters, around.clock)
        inventory = Inventory(await chassis.connect(settings.inventory_address))
        await chassis.consume(consumers.spec(observer.saved))
        sweeper = Sweeper(chassis.db, observer.saved, settings.pivot_alert_after)
        await chassis.every(settings.sweep_every, "sweeper", sweeper.sweep)
        await chassis.every(LOOK_AGAIN, "waiting", partial(waiters.look, chassis.db))
        servicer = OrdersServicer(chassis.db, chassis.tokens, chassis.cursors, inventory, waiters)
        await chassis.serve_grpc(
            [lambda server: orders_pb2_grpc.add_OrdersServiceServicer_to_server(servicer, server)],
            [orders_pb2.DESCRIPTOR.services_by_name["OrdersService"].full_name],
        )
        chassis.readiness.opened = True
        yield Service(chassis)
