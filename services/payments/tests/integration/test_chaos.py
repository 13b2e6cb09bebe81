"""Crashes, twins and bad moments: one effect at the provider, one answer to the saga, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from orderhub_chassis.ids import uuid7
from orderhub_chassis.service import Surroundings
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_payments.app import build
from orderhub_payments.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

OK = replies_pb2.OUTCOME_SUCCEEDED
AUTHORIZE, CAPTURE = 2, 4


@pytest.fixture(autouse=True)
def revived(simulator: Any) -> Iterator[None]:
    """A test that failed half-way leaves no dead or sleeping provider to the next."""
    yield
    if simulator.process.poll() is None:
        simulator.signal(signal.SIGCONT)
    else:
        simulator.start()


async def open_intents(settings: Settings, condition: str = "true") -> int:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        return await connection.fetchval(
            f"select count(*) from payment_intents where status = 'pending' and {condition}"
        )
    finally:
        await connection.close()


def environment(settings: Settings) -> dict[str, str]:
    """What `python -m orderhub_payments` needs to be this service."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("ORDERHUB_")}
    secret = {
        "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "BUS": settings.bus,
        "INTERNAL_KEY": settings.internal_key, "CURSOR_KEY": settings.cursor_key,
        "SIMULATOR_API_KEY": settings.simulator_api_key,
    }  # fmt: skip
    plain = {
        "SIMULATOR_URL": settings.simulator_url,
        "PROVIDER_TIMEOUT": f"PT{settings.provider_timeout.total_seconds()}S",
        "LEASE": f"PT{settings.lease.total_seconds()}S",
        "POLL": f"PT{settings.poll.total_seconds()}S",
    }
    values = {**{name: s.get_secret_value() for name, s in secret.items()}, **plain}
    return {**own, **{f"ORDERHUB_PAYMENTS_{name}": value for name, value in values.items()}}


@asynccontextmanager
async def payments_process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "orderhub_payments",
        env=environment(settings),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_provider_killed_between_call_and_answer_is_asked_again_under_the_same_key(
    settings: Any, simulator: Any, orders: Any, order_id: UUID, eventually: Any
) -> None:
    """Stopped, it has the call in its socket and answers nothing; then it dies, and comes back."""
    configured = settings()
    async with build(configured, Surroundings()) as service:
        await orders.authorized(order_id)
        simulator.signal(signal.SIGSTOP)
        await orders.send(orders.capturing(order_id))

        async def asked() -> bool:
            return await open_intents(configured, "kind = 'capture' and attempts = 1") == 1

        await eventually(asked)
        simulator.kill()

        async def told_unknown() -> bool:
            outcomes = [r.outcome for r in orders.replies_to(order_id, CAPTURE)]
            return outcomes == [replies_pb2.OUTCOME_UNKNOWN] and not service.chassis.readiness.ok

        await eventually(told_unknown)
        simulator.start()
        assert (await orders.definite(order_id, CAPTURE)).payment.status == "CAPTURED"
        (theirs,) = await simulator.authorizations(order_id)
        assert theirs["captured_minor"] == 5000
        assert service.chassis.readiness.ok


async def test_a_provider_that_is_away_for_long_exhausts_nothing(
    settings: Any, simulator: Any, orders: Any, eventually: Any
) -> None:
    configured = settings()
    ids = [uuid7() for _ in range(20)]
    async with build(configured, Surroundings()):
        simulator.kill()
        await orders.send(*[orders.authorizing(id) for id in ids])

        async def tried_often() -> bool:
            return await open_intents(configured, "attempts > 8") == 20

        await eventually(tried_often)
        await orders.send(*[orders.reversing(id) for id in ids[:10]])
        simulator.start()
        for id in ids:
            assert (await orders.definite(id, AUTHORIZE)).outcome == OK
        for id in ids[:10]:
            assert (await orders.definite(id, AUTHORIZE, compensation=True)).payment.status == "VOIDED"


async def test_a_provider_that_is_back_is_asked_at_once_whatever_pause_has_begun(
    settings: Any, simulator: Any, orders: Any, eventually: Any
) -> None:
    """After a long outage some payments had just begun a long pause."""
    configured = settings()
    ids = [uuid7() for _ in range(5)]
    async with build(configured, Surroundings()):
        simulator.kill()
        await orders.send(*[orders.authorizing(id) for id in ids])

        async def pausing() -> bool:
            return await open_intents(configured, "attempts > 0 and lease_until <= now()") == 5

        await eventually(pausing)
        connection = await asyncpg.connect(configured.database_url.get_secret_value())
        await connection.execute("update payment_intents set next_attempt_at = now() + interval '1 hour'")
        await connection.close()
        simulator.start()
        another = uuid7()
        await orders.send(orders.authorizing(another))
        for id in (another, *ids):
            assert (await orders.definite(id, AUTHORIZE)).outcome == OK


async def test_kill_9_between_call_and_result_asks_the_same_key_after_the_restart(
    settings: Any, simulator: Any, orders: Any, order_id: UUID, eventually: Any
) -> None:
    """The provider did the work, the process that asked is gone: the lease ends, the next one asks again."""
    lease = timedelta(seconds=1)
    configured = settings(lease=lease, provider_timeout=timedelta(milliseconds=900))
    async with payments_process(configured) as first:
        simulator.signal(signal.SIGSTOP)
        await orders.send(orders.authorizing(order_id))

        async def asked() -> bool:
            return await open_intents(configured, "attempts = 1") == 1

        await eventually(asked, within=20)
        first.kill()
        await first.wait()
    simulator.signal(signal.SIGCONT)
    async with build(configured, Surroundings()):
        assert (await orders.definite(order_id, AUTHORIZE)).payment.status == "AUTHORIZED"
    assert len(await simulator.authorizations(order_id)) == 1


async def test_a_graceful_stop_gives_its_leases_back(
    settings: Any, simulator: Any, orders: Any, eventually: Any
) -> None:
    """With one operation per call and a stopped provider the second intent waits in memory when the stop comes."""
    configured = settings(
        provider_timeout=timedelta(seconds=1),
        lease=timedelta(minutes=10),
        worker_batch=1,
        worker_parallel=1,
    )
    ids = [uuid7(), uuid7()]
    async with build(configured, Surroundings()):
        simulator.signal(signal.SIGSTOP)
        await orders.send(*[orders.authorizing(id) for id in ids])

        async def leased() -> bool:
            return await open_intents(configured, "lease_until > now()") == 2

        await eventually(leased)
    simulator.signal(signal.SIGCONT)
    assert await open_intents(configured, "lease_until > now() + interval '1 minute'") == 0
    async with build(configured, Surroundings()):
        for id in ids:
            assert (await orders.definite(id, AUTHORIZE)).outcome == OK


async def test_two_replicas_share_the_work_and_ask_nothing_twice(
    settings: Any, simulator: Any, orders: Any
) -> None:
    one = settings(instance="one")
    two = one.model_copy(update={"instance": "two"})
    ids = [uuid7() for _ in range(120)]
    async with build(one, Surroundings()), build(two, Surroundings()):
        await orders.send(*[orders.authorizing(id, token="tok_flaky") for id in ids])
        for id in ids:
            assert (await orders.definite(id, AUTHORIZE)).outcome == OK
        await orders.send(*[orders.capturing(id) for id in ids])
        for id in ids:
            assert (await orders.definite(id, CAPTURE)).outcome == OK
        await orders.send(*[orders.reversing(id) for id in ids])
        for id in ids:
            assert (await orders.definite(id, AUTHORIZE, compensation=True)).payment.status == "REFUNDED"
    for id in ids:
        (theirs,) = await simulator.authorizations(id)
        assert (theirs["captured_minor"], theirs["refunded_minor"]) == (5000, 5000)
        for step, compensation in ((AUTHORIZE, False), (CAPTURE, False), (AUTHORIZE, True)):
            assert len(orders.replies_to(id, step, compensation=compensation)) == 1


async def test_leases_that_end_during_the_call_let_two_workers_ask_and_only_one_write(
    settings: Any, simulator: Any, orders: Any, order_id: UUID, eventually: Any
) -> None:
    """Both workers hang on the stopped provider with the same key; their answers arrive together."""
    one = settings(instance="one", lease=timedelta(seconds=60))
    two = one.model_copy(update={"instance": "two"})
    async with build(one, Surroundings()), build(two, Surroundings()):
        simulator.signal(signal.SIGSTOP)
        await orders.send(orders.authorizing(order_id))

        async def first_asks() -> bool:
            return await open_intents(one, "attempts = 1") == 1

        await eventually(first_asks)
        connection = await asyncpg.connect(one.database_url.get_secret_value())
        await connection.execute("update payment_intents set lease_until = now()")

        async def second_asks() -> bool:
            return await open_intents(one, "attempts = 2") == 1

        await eventually(second_asks)
        simulator.signal(signal.SIGCONT)
        assert (await orders.definite(order_id, AUTHORIZE)).outcome == OK
        versions = await connection.fetch(
            "select version, status from payments where order_id = $1", order_id
        )
        await connection.close()
        assert [tuple(row) for row in versions] == [(2, "AUTHORIZED")]
    assert len(await simulator.authorizations(order_id)) == 1
    assert len(orders.replies_to(order_id, AUTHORIZE)) == 1
