"""Opens, wires and closes payments; the only room that knows all the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_contracts.payments.v1 import payments_pb2_grpc

from orderhub_payments import clients, metrics, queries
from orderhub_payments.api import SERVICE, PaymentsServicer
from orderhub_payments.clients import Providers
from orderhub_payments.consumers import consumer
from orderhub_payments.hints import HINTED, PRUNING, Hints
from orderhub_payments.settings import Settings
from orderhub_payments.webhooks import Receiver
from orderhub_payments.worker import WAKE, Worker

PACKAGE = "orderhub_payments"


@dataclass(frozen=True, slots=True)
class Service:
    """The running service; `worker` and `providers` are there for reconcile and tests."""

    chassis: Chassis
    providers: Providers
    worker: Worker

    @property
    def grpc_port(self) -> int:
        return self.chassis.grpc_port


@asynccontextmanager
async def build(settings: Settings, around: Surroundings) -> AsyncIterator[Service]:
    """Closes the doors first, then the calls to the provider, then what they stand on."""
    async with open_chassis("payments", settings, around, package=PACKAGE) as chassis:
        providers = await chassis.enter(clients.opened(settings, chassis.clock))
        worker = Worker(chassis.db, providers, chassis.readiness, settings)
        hints = Hints(chassis.db, providers)
        await chassis.enter(_closing(worker))
        await chassis.every(settings.poll, "intents", worker.claim, wake=WAKE)
        await chassis.every(timedelta(seconds=5), "intent-gauges", lambda: _observe(chassis))
        if settings.webhook_secrets:
            await chassis.every(settings.poll, "webhooks", hints.look, wake=HINTED)
        await chassis.every(PRUNING, "webhooks-pruning", hints.prune)
        await chassis.consume(consumer(worker, providers.chosen))
        receiver = Receiver(settings.webhook_secrets, chassis.clock)
        servicer = PaymentsServicer(chassis.db, providers, worker, chassis.cursors, receiver, hints)
        await chassis.serve_grpc(
            [lambda server: payments_pb2_grpc.add_PaymentsServiceServicer_to_server(servicer, server)],
            [SERVICE],
        )
        chassis.readiness.opened = True
        yield Service(chassis, providers, worker)


@asynccontextmanager
async def _closing(worker: Worker) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await worker.close()


async def _observe(chassis: Chassis) -> None:
    pending, waiting, oldest = await queries.open_intents(chassis.db)
    metrics.OPEN_INTENTS.labels("pending").set(pending)
    metrics.OPEN_INTENTS.labels("waiting").set(waiting)
    age = (chassis.clock.now() - oldest).total_seconds() if oldest else 0
    metrics.OLDEST_INTENT.set(age)
