"""The pool: never more than its size, nobody forgotten, nothing broken handed out."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from orderhub_chassis.pool import Pool


@pytest.fixture
async def make_pool(small_world):
    pools = []

    def make(size, connect=None):
        pools.append(Pool(connect or (lambda: asyncpg.connect(small_world.database.url)), size))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close(5)


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_connections_are_used_again_and_no_more_are_opened_than_needed(make_pool):
    pool = make_pool(3)
    first = await pool.acquire()
    pool.release(first)
    assert await pool.acquire() is first
    assert (pool.open_connections, pool.idle_connections) == (1, 0)


async def test_when_all_are_out_the_next_waits_in_the_order_of_arrival(make_pool):
    pool, served = make_pool(2), []
    out = [await pool.acquire(), await pool.acquire()]

    async def use(number):
        connection = await pool.acquire()
        served.append(number)
        await connection.fetchval("select 1")
        pool.release(connection)

    waiting = [asyncio.create_task(use(number)) for number in range(10)]
    await turns()
    assert served == []
    for connection in out:
        pool.release(connection)
    await asyncio.gather(*waiting)
    assert served == list(range(10))
    assert (pool.open_connections, pool.idle_connections) == (2, 2)


async def test_never_more_than_size_even_when_all_come_at_once(make_pool, small_world):
    opened = []

    async def connect():
        opened.append(await asyncpg.connect(small_world.database.url))
        return opened[-1]

    pool = make_pool(3, connect)

    async def use():
        connection = await pool.acquire()
        assert await connection.fetchval("select 1") == 1
        pool.release(connection)

    await asyncio.gather(*(use() for _ in range(30)))
    assert len(opened) <= 3


async def test_a_broken_connection_is_replaced(make_pool):
    pool = make_pool(1)
    broken = await pool.acquire()
    broken.terminate()
    await turns()
    pool.release(broken)
    connection = await pool.acquire()
    assert await connection.fetchval("select 1") == 1
    pool.release(connection)
    connection.terminate()
    await turns()
    assert await (await pool.acquire()).fetchval("select 1") == 1
    assert pool.open_connections == 1


async def test_a_waiter_gets_the_room_of_a_broken_connection(make_pool):
    pool = make_pool(1)
    broken = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await turns()
    broken.terminate()
    pool.release(broken)
    assert await (await asyncio.wait_for(waiting, 5)).fetchval("select 1") == 1


async def test_a_connection_that_was_left_in_a_transaction_is_not_used_again(make_pool, small_world):
    pool = make_pool(1)
    connection = await pool.acquire()
    await connection.execute("begin")
    await connection.execute("insert into effects (key, number) values ('lost', 1)")
    pool.release(connection)
    other = await pool.acquire()
    assert other is not connection
    assert not other.is_in_transaction()
    assert await small_world.effects() == []


async def test_a_connect_that_fails_is_seen_by_its_caller_and_leaves_room(make_pool, small_world):
    failing = True

    async def connect():
        if failing:
            raise OSError("no route")
        return await asyncpg.connect(small_world.database.url)

    pool = make_pool(1, connect)
    outcomes = await asyncio.gather(*(pool.acquire() for _ in range(4)), return_exceptions=True)
    assert [str(error) for error in outcomes] == ["no route"] * 4
    failing = False
    assert await (await pool.acquire()).fetchval("select 1") == 1


async def test_whoever_stops_waiting_passes_its_turn_on(make_pool):
    pool = make_pool(1)
    held = await pool.acquire()
    impatient, patient = (asyncio.create_task(pool.acquire()) for _ in range(2))
    await turns()
    impatient.cancel()
    pool.release(held)
    assert await asyncio.wait_for(patient, 5) is held


async def test_whoever_is_cancelled_in_the_turn_of_its_luck_passes_the_connection_on(make_pool):
    pool = make_pool(1)
    held = await pool.acquire()
    lucky, patient = (asyncio.create_task(pool.acquire()) for _ in range(2))
    await turns()
    pool.release(held)
    lucky.cancel()
    assert await asyncio.wait_for(patient, 5) is held


async def test_closing_ends_the_waiting_and_what_is_out(make_pool):
    pool = make_pool(1)
    held = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await turns()
    await pool.close(1)
    with pytest.raises(ConnectionError):
        await waiting
    with pytest.raises(ConnectionError):
        await pool.acquire()
    assert held.is_closed()
    pool.release(held)
    assert pool.open_connections == 0
