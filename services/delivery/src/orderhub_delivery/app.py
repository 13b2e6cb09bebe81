"""Opens, wires and closes the delivery service; the only room that knows all the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_chassis.settings import SettingsError
from orderhub_contracts.delivery.v1 import delivery_pb2, delivery_pb2_grpc

from orderhub_delivery import consumers, welfare
from orderhub_delivery.api import DeliveryServicer
from orderhub_delivery.settings import Settings
from orderhub_delivery.welfare import RuleFileError, RuleSet

PACKAGE = "orderhub_delivery"


@dataclass(frozen=True, slots=True)
class Service:
    chassis: Chassis
    grpc_port: int


@asynccontextmanager
async def build(settings: Settings, around: Surroundings) -> AsyncIterator[Service]:
    """The service, ready to answer. Raises SettingsError for a rule file that cannot be used."""
    rules = _rules(settings.rules_folder)
    async with open_chassis("delivery", settings, around, package=PACKAGE) as chassis:
        await chassis.consume(consumers.spec(rules))
        servicer = DeliveryServicer(chassis.db, rules, chassis.cursors)
        port = await chassis.serve_grpc(
            [lambda server: delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(servicer, server)],
            [delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"].full_name],
        )
        chassis.readiness.opened = True
        yield Service(chassis, port)


def _rules(folder: Path | None) -> RuleSet:
    try:
        return welfare.load_rules(sorted(folder.glob("*.toml")) if folder else ())
    except RuleFileError as error:
        raise SettingsError(f"ORDERHUB_DELIVERY_RULES_FOLDER: {error}") from error
