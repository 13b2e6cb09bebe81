"""Reading along: for who has no database of its own to note in what it has seen, and does no harm by doing it twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from orderhub_contracts.events.v1.records_pb2 import Record

from orderhub_chassis.bus.base import Consumer

MOST = 100


async def follow(
    consumer: Consumer, work: Callable[[Sequence[Record]], Awaitable[None]], *, seconds: float
) -> bool:
    """Hand what comes within so many seconds to `work`, at least once; whether anything came.

    Raises Unavailable when the bus cannot be reached, and what `work` raises: then it comes again.
    """
    deliveries = await consumer.poll(MOST, timeout=seconds)
    if deliveries:
        await work([record for delivery in deliveries for record in delivery.records])
        await consumer.commit(deliveries)
    return bool(deliveries)
