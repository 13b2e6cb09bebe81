"""The same saga as a DBOS workflow of four durable steps: `dbos_saga.py URL ORDERS IN_FLIGHT`, prints one JSON line.

The database has the tables of `tables.sql`; DBOS keeps its own beside them.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from dbos import DBOS

SKUS = 1000
TOTAL_MINOR = 100
WARM_UP = 50

pool: Any = None


@DBOS.step()
async def reserve(sku: int) -> None:
    await pool.execute(
        "update stock set available = available - 1, reserved = reserved + 1 where sku = $1 and available >= 1",
        sku,
    )


@DBOS.step()
async def capture(order_id: str, amount_minor: int) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "insert into payments values ($1, 'CAPTURED', $2)", UUID(order_id), amount_minor
        )
        await connection.execute(
            "insert into ledger_entries (order_id, account, amount_minor)"
            " values ($1, 'customer', -$2::bigint), ($1, 'vendor', $2::bigint)",
            UUID(order_id), amount_minor,
        )  # fmt: skip


@DBOS.step()
async def book(order_id: str, delivery_id: str) -> None:
    await pool.execute("insert into deliveries values ($1, $2, 'CREATED')", UUID(delivery_id), UUID(order_id))


@DBOS.step()
async def confirm(order_id: str) -> None:
    await pool.execute("update orders set status = 'CONFIRMED' where id = $1", UUID(order_id))


@DBOS.workflow()
async def place_order(order_id: str, delivery_id: str, sku: int) -> None:
    await reserve(sku)
    await capture(order_id, TOTAL_MINOR)
    await book(order_id, delivery_id)
    await confirm(order_id)


async def one() -> float:
    """Seconds from the insert of the order to its confirmation."""
    began, order_id, sku = time.perf_counter(), uuid4(), random.randint(1, SKUS)
    await pool.execute("insert into orders values ($1, 'PENDING', $2, 1, $3)", order_id, sku, TOTAL_MINOR)
    await place_order(str(order_id), str(uuid4()), sku)
    return time.perf_counter() - began


async def many(count: int, in_flight: int) -> list[float]:
    gate = asyncio.Semaphore(in_flight)

    async def gated() -> float:
        async with gate:
            return await one()

    return await asyncio.gather(*(gated() for _ in range(count)))


async def main(url: str, orders: int, in_flight: int) -> None:
    global pool
    pool = await asyncpg.create_pool(url, min_size=8, max_size=16)
    DBOS.launch()
    await many(WARM_UP, in_flight)
    began = time.perf_counter()
    seconds = await many(orders, in_flight)
    rate = orders / (time.perf_counter() - began)
    confirmed = await pool.fetchval("select count(*) from orders where status = 'CONFIRMED'")
    print(json.dumps({
        "per_second": rate,
        "p50_ms": 1000 * statistics.median(seconds),
        "p99_ms": 1000 * sorted(seconds)[int(orders * 0.99)],
        "unconfirmed": orders + WARM_UP - confirmed,
    }))  # fmt: skip
    DBOS.destroy()
    await pool.close()


if __name__ == "__main__":
    wanted_url, wanted_orders, wanted_in_flight = sys.argv[1:]
    DBOS(
        config={
            "name": "bench",
            "system_database_url": wanted_url,
            "log_level": "ERROR",
        }
    )
    asyncio.run(main(wanted_url, int(wanted_orders), int(wanted_in_flight)))
