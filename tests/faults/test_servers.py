"""Servers die, come back and stay away for a while, and processes die with a batch in hand, while orders run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest
from fleet import REPLICAS, Fleet
from load import Load, during
from orderhub_backends.control import Backends
from shop import eventually

pytestmark = [pytest.mark.backends, pytest.mark.breaking]

BROKERS = ("kafka-1", "kafka-2", "kafka-3")
MEANWHILE = 20
"""Orders that are accepted while something is away."""
REDIS_SECONDS = 30.0
"""How long Redis is away."""


@pytest.fixture
def servers(breakable: Backends) -> Iterator[Backends]:
    """Whatever a test does to them, all run at its end."""
    yield breakable
    for name in ("postgres15", "redis", *BROKERS):
        if not breakable.is_running(name):
            breakable.start(name, wait=name != "kafka-1")


@pytest.mark.parametrize("end", [Backends.stop, Backends.kill], ids=["shut-down", "killed"])
def test_a_postgres_that_is_restarted_loses_nothing(
    fleet: Fleet, servers: Backends, end: Callable[[Backends, str], None]
) -> None:
    def fault(_: Load) -> None:
        end(servers, "postgres15")
        servers.start("postgres15")

    during(fleet, fault)


def test_a_redis_that_is_away_for_half_a_minute_loses_nothing(fleet: Fleet, servers: Backends) -> None:
    """Orders are accepted all the while."""

    def fault(load: Load) -> None:
        servers.kill("redis")
        begin, accepted = time.monotonic(), len(load.accepted)
        fleet.until(lambda: len(load.accepted) >= accepted + MEANWHILE, within=60)
        time.sleep(max(0.0, begin + REDIS_SECONDS - time.monotonic()))
        servers.start("redis")

    during(fleet, fault, orders=450)


@pytest.mark.parametrize("lost", [BROKERS[:1], BROKERS[1:], BROKERS], ids=["one", "two", "all"])
def test_brokers_that_are_killed_and_come_back_lose_nothing(
    fleet: Fleet, servers: Backends, lost: tuple[str, ...]
) -> None:
    """Orders are accepted without any broker; their sagas go on when there are enough of them again."""

    def fault(load: Load) -> None:
        for name in lost:
            servers.kill(name)
        accepted = len(load.accepted)
        fleet.until(lambda: len(load.accepted) >= accepted + MEANWHILE, within=60)
        for name in lost:
            servers.start(name, wait=name == lost[-1])

    during(fleet, fault)


def test_brokers_that_are_restarted_one_after_another_lose_nothing(fleet: Fleet, servers: Backends) -> None:
    def fault(_: Load) -> None:
        for name in BROKERS:
            servers.stop(name)
            servers.start(name)

    during(fleet, fault, orders=400)


@pytest.mark.parametrize(
    ("service", "table"),
    [
        ("inventory", "reservations"), ("payments", "payments"), ("delivery", "deliveries"), ("orders", "ended_runs")
    ],
)  # fmt: skip
def test_consumers_that_are_killed_with_a_batch_in_hand_lose_nothing(
    fleet: Fleet, service: str, table: str
) -> None:
    """All of a service's replicas die in the middle of a transaction, their offsets not committed yet."""

    async def killed_mid_batch() -> None:
        async with fleet.held(service, table):
            waiting = "select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'"
            await eventually(lambda: fleet.sql(service, waiting, f"orderhub_{service}"))
            for number in range(REPLICAS):
                fleet.kill(f"{service}-{number + 1}")

    def fault(_: Load) -> None:
        asyncio.run(killed_mid_batch())
        for number in range(REPLICAS):
            fleet.begin(f"{service}-{number + 1}")

    during(fleet, fault)
