"""A peer with several replicas: they take turns, and one that stops, dies or comes back is nobody's failed call."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest
from orderhub_chassis.calls import InternalTokens
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.grpc import client, server
from orderhub_contracts.payments.v1 import payments_pb2, payments_pb2_grpc

TOKENS = InternalTokens("k" * 40, SystemClock())
NAMES = ["orderhub.payments.v1.PaymentsService"]


class Replica(payments_pb2_grpc.PaymentsServiceServicer):
    """Answers with its own name, and can be stopped and started on the same port."""

    def __init__(self, name):
        self.name, self.port, self.health, self.begun = name, 0, None, 0
        self._stack = AsyncExitStack()

    async def GetPayment(self, request, context):
        self.begun += 1
        await asyncio.sleep(0.001)
        return payments_pb2.Payment(id=self.name)

    async def start(self):
        self.health = server.Health()
        register = lambda s: payments_pb2_grpc.add_PaymentsServiceServicer_to_server(self, s)  # noqa: E731
        self.port = await self._stack.enter_async_context(
            server.serve(
                "payments", [register], NAMES, TOKENS, host="127.0.0.1", port=self.port, grace=5,
                peers_health=self.health,
            )
        )  # fmt: skip

    async def stop(self):
        await self._stack.aclose()


@pytest.fixture
async def replicas():
    started = [Replica("first"), Replica("second")]
    for replica in started:
        await replica.start()
    yield started
    for replica in started:
        await replica.stop()


@asynccontextmanager
async def connected(replicas):
    addresses = ", ".join(f"127.0.0.1:{replica.port}" for replica in replicas)
    async with client.connect(addresses, TOKENS, timedelta(seconds=5)) as peer:
        stub = payments_pb2_grpc.PaymentsServiceStub(peer.channel)

        async def ask():
            return (await peer.call(stub.GetPayment, payments_pb2.GetPaymentRequest(id="p"))).id

        yield ask


async def names(ask, calls=20):
    return Counter([await ask() for _ in range(calls)])


async def test_replicas_take_turns(replicas, eventually):
    async with connected(replicas) as ask:

        async def both():
            return await names(ask) == {"first": 10, "second": 10}

        await eventually(both)


async def test_a_replica_that_is_about_to_stop_is_left_out_while_it_still_serves(replicas, eventually):
    async with connected(replicas) as ask:

        async def asked(*who):
            return set(await names(ask)) == set(who)

        await eventually(lambda: asked("first", "second"))
        await replicas[0].health.leave()
        await eventually(lambda: asked("second"))


async def test_replicas_that_restart_one_after_another_fail_no_call(replicas, eventually):
    answered = Counter()
    stopping = asyncio.Event()

    async def customer(ask):
        while not stopping.is_set():
            answered[await ask()] += 1

    async with connected(replicas) as ask:
        customers = [asyncio.create_task(customer(ask)) for _ in range(8)]

        async def is_asked(replica, since):
            return replica.begun > since

        async def is_left_alone(replica):
            since = replica.begun
            for other in replicas:
                if other is not replica:
                    await eventually(lambda o=other, s=other.begun + 20: is_asked(o, s))
            return replica.begun == since

        for _ in range(3):
            for replica in replicas:
                since = replica.begun
                await eventually(lambda r=replica, s=since: is_asked(r, s))
                await replica.health.leave()
                await eventually(lambda r=replica: is_left_alone(r))
                await replica.stop()
                await replica.start()
                since = replica.begun
                await eventually(lambda r=replica, s=since: is_asked(r, s))
        stopping.set()
        await asyncio.gather(*customers)
    assert sum(answered.values()) == sum(replica.begun for replica in replicas), "nothing was done twice"


async def test_with_no_replica_there_a_call_fails_at_once_and_with_one_back_it_is_answered(
    replicas, eventually
):
    async with connected(replicas) as ask:
        await ask()
        for replica in replicas:
            await replica.stop()

        async def refused():
            try:
                await ask()
            except Unavailable:
                return True

        await eventually(refused)
        await replicas[1].start()

        async def answered():
            try:
                return await ask() == "second"
            except Unavailable:
                return False

        await eventually(answered)


@pytest.mark.parametrize(
    ("addresses", "target"),
    [
        ("orders.internal:50051", "orders.internal:50051"),
        (" orders.internal:50051 ", "orders.internal:50051"),
        ("127.0.0.1:1, 127.0.0.1:2", "ipv4:127.0.0.1:1,127.0.0.1:2"),
        ("[::1]:1,[::1]:2", "ipv6:[::1]:1,[::1]:2"),
    ],
)
def test_how_grpc_is_told_the_addresses(addresses, target):
    assert client.target(addresses) == target
