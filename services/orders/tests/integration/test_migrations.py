"""What earlier code has written is there after the migrations, in its new place."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from orderhub_chassis.db import Database
from orderhub_chassis.migrate import migrations_of
from orderhub_orders import queries, store
from orderhub_orders.engine import State

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = """
insert into orders (id, customer_id, vendor_id, status, currency, items_minor, total_minor, payment_token, pickup,
    ship_to, epoch, last_seq, created_at, updated_at)
select lpad(n::text, 32, '0')::uuid, 'c', gen_random_uuid(), 'PENDING', 'EUR', 1, 1, 't', '', '', 2, 1, $1, $1
from generate_series(1, 2) n
"""
RUNS = """
insert into saga_runs (id, order_id, definition, definition_version, state, step, epoch, attempts, deadline_at,
    expires_at, stop_requested, created_at, updated_at)
select lpad((n + 10)::text, 32, '0')::uuid, lpad((case n when 1 then 1 else 2 end)::text, 32, '0')::uuid,
    case n when 3 then 'cancel_order' else 'place_order' end, 1, case n when 2 then 'FAILED' else 'RUNNING' end, 1, 2, n,
    case n when 2 then null else $1::timestamptz end, $1, n = 1, $1, $1
from generate_series(1, 3) n
"""


async def test_runs_of_the_time_when_they_had_a_table_of_their_own(make_database) -> None:
    """One that is live, and one that is over with another that follows it."""
    url = await make_database("orderhub_chassis")
    first, *later = migrations_of("orderhub_orders")
    connection = await asyncpg.connect(url)
    await connection.execute(first.sql)
    await connection.execute(ORDERS, NOW)
    await connection.execute(RUNS, NOW)
    for migration in later:
        await connection.execute(migration.sql)
    await connection.close()
    one, two = UUID(int=0x1), UUID(int=0x2)
    async with Database.open(url, service="orders") as db:
        loaded = await db.run(lambda tx: store.load_orders(tx, [one, two], now=NOW))
        shown = {saga.run_id: saga for saga in await queries.sagas_page(db, "", None, None, 10)}
    runs = {
        id: (run.definition, run.state, run.step, run.attempts, run.stop_requested)
        for id, run in loaded.live.items()
    }
    assert runs == {
        one: ("place_order", State.RUNNING, 1, 1, True), two: ("cancel_order", State.RUNNING, 1, 3, False)
    }  # fmt: skip
    assert {run.deadline_at for run in loaded.live.values()} == {NOW}
    assert sorted((saga.state, saga.order_id) for saga in shown.values()) == [
        ("FAILED", str(two)), ("RUNNING", str(one)), ("RUNNING", str(two))
    ]  # fmt: skip
