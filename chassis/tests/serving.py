"""A whole service in a process of its own. Not a test: `test_runner.py` starts it and sends it signals.

Its consumer applies a batch only when it gets the advisory lock 99 (shared); its job fails where BUG is set.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import ClassVar

from orderhub_chassis import main
from orderhub_chassis.consumer import ConsumerSpec
from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_chassis.settings import PREFIX, ServiceSettings
from orderhub_chassis.telemetry import log
from orderhub_contracts import topics
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}PAYMENTS_")
    service: ClassVar[str] = "payments"


async def load(tx, envelopes, context):
    return []


def decide(state, envelope, context):
    log("till").info("till.decides", token=envelope.payload.token)
    logging.getLogger("some.library").warning("a library says %s", "hello")
    state.append((envelope.key, int(envelope.payload.token)))
    return []


async def save(tx, state, context):
    await tx.execute(
        "insert into effects (key, number) select * from unnest($1::text[], $2::int[])",
        [key for key, _ in state],
        [number for _, number in state],
    )
    await tx.execute("select pg_advisory_xact_lock_shared(99)")


async def job() -> None:
    if os.environ.get("BUG"):
        raise LookupError("a bug in a job")


@asynccontextmanager
async def build(settings: Settings, around: Surroundings) -> AsyncIterator[Chassis]:
    async with open_chassis("payments", settings, around, package="orderhub_chassis") as chassis:
        spec = ConsumerSpec("payments", (topics.PAYMENTS_COMMANDS,), load, {AuthorizePayment: decide}, save)
        await chassis.consume(spec)
        await chassis.every(timedelta(seconds=1), "job", job)
        await chassis.serve_grpc([], [])
        chassis.readiness.opened = True
        print(chassis.http_port, chassis.grpc_port, flush=True)
        yield chassis


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    main.run_service(Settings, build)
