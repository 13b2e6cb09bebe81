"""Opens, wires and closes inventory; the only room that knows all the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orderhub_chassis.db import Database
from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_contracts.inventory.v1 import inventory_pb2, inventory_pb2_grpc

from orderhub_inventory import consumers, questions
from orderhub_inventory.api.servicer import InventoryServicer
from orderhub_inventory.settings import Settings

# A search is planned anew each time: a plan that is made once does not know the words and sorts half of the catalogue.
# A parallel worker takes 5 ms to start, which is what a whole search costs without it. Everything else names
# its rows by key and keeps its plans.
PLANS = {"plan_cache_mode": "force_custom_plan", "max_parallel_workers_per_gather": "0"}
SEARCHES = 3
"""How many lists of products are read at once."""


@dataclass(frozen=True, slots=True)
class Service:
    """Inventory, ready to answer on `grpc_port`."""

    chassis: Chassis

    @property
    def grpc_port(self) -> int:
        return self.chassis.grpc_port


@asynccontextmanager
async def build(settings: Settings, around: Surroundings) -> AsyncIterator[Service]:
    async with open_chassis("inventory", settings, around, package="orderhub_inventory") as chassis:
        await chassis.consume(consumers.spec(settings.reservation_question_after))
        await chassis.every(
            settings.reservation_sweep,
            "reservation-questions",
            lambda: questions.ask(chassis.db, settings.reservation_question_every),
        )
        search = await chassis.enter(
            Database.open(
                settings.database_url.get_secret_value(), service="inventory", size=SEARCHES,
                clock=around.clock, session=PLANS,
            )
        )  # fmt: skip
        servicer = InventoryServicer(chassis.db, search, chassis.cursors, settings.import_max_rows)
        await chassis.serve_grpc(
            [lambda server: inventory_pb2_grpc.add_InventoryServiceServicer_to_server(servicer, server)],
            [inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"].full_name],
        )
        chassis.readiness.opened = True
        yield Service(chassis)
