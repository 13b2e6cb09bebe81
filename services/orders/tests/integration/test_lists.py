"""A hundred thousand orders: whatever is asked for, a page costs a page, and a sweep what is under way."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from orderhub_chassis.db import Database
from orderhub_chassis.ids import uuid7
from orderhub_orders import queries, sweeping

MANY = 100_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VENDOR, HELD = uuid7(), UUID(int=50_000)
# Every thousandth order is held, the oldest customer and vendor have fifty orders, all ids rise.
FILL = """
insert into orders (id, customer_id, vendor_id, status, currency, items_minor, total_minor, payment_token, pickup,
    ship_to, epoch, last_seq, created_at, updated_at)
select lpad(to_hex(n), 32, '0')::uuid, case when n <= 50 then 'old' else 'c-' || n % 5000 end,
    case when n <= 50 then $1 else gen_random_uuid() end, case when n % 1000 = 0 then 'ON_HOLD' else 'CONFIRMED' end,
    'EUR', 1, 1, 't', '', '', 1, 1, $2, $2
from generate_series(1, $3::int) n
"""
ENDED = """
insert into ended_runs (id, order_id, definition, definition_version, state, step, epoch, attempts, expires_at,
    stop_requested, reason, created_at, updated_at)
select id, id, 'place_order', 1, 'SUCCEEDED', 0, 1, 0, $1, false, '', $1, $1 from orders where status <> 'ON_HOLD'
"""
LIVE = """
update orders set run_id = id, run_definition = 'place_order', run_definition_version = 1, run_state = 'HELD',
    run_step = 0, run_attempts = 0, run_expires_at = $1, run_stop_requested = false, run_reason = '', run_created_at = $1,
    run_moved_at = $1 where status = 'ON_HOLD'
"""
LINES = "insert into order_lines select id, 1, id, 'S', 'S', 'good', 1, 1 from orders"


@pytest.fixture
async def full(world) -> Database:
    db = world.service.chassis.db
    await db.execute(FILL, VENDOR, NOW, MANY)
    await db.execute(ENDED, NOW)
    await db.execute(LIVE, NOW)
    await db.execute(LINES)
    return db


async def test_a_page_of_orders_reads_little_whatever_is_asked(full, blocks_read):
    first, questions = UUID(int=40_000), {}
    for name, filters, before, wanted in (
        ("newest", ["", None, "", None, None], None, 51),
        ("further on", ["", None, "", None, None], first, 51),
        ("a customer", ["old", None, "", None, None], None, 50),
        ("a vendor", ["", VENDOR, "", None, None], None, 50),
        ("held", ["", None, "ON_HOLD", None, None], None, 51),
        ("held further on", ["", None, "ON_HOLD", None, None], first, 39),
        ("held of a customer", ["c-0", None, "ON_HOLD", None, None], None, 20),
        ("pending", ["", None, "PENDING", None, None], None, 0),
        ("confirmed", ["", None, "CONFIRMED", NOW, None], None, 51),
    ):
        shown, read = await blocks_read(
            full, lambda db, f=filters, b=before: queries.orders(db, f, b, 51, now=NOW)
        )
        assert len(shown) == wanted, name
        questions[name] = read
    assert {name: blocks for name, blocks in questions.items() if blocks > 1500} == {}, questions


async def test_a_page_of_saga_runs_reads_little_whatever_is_asked(full, blocks_read):
    first, questions = UUID(int=40_000), {}
    for name, state, order_id, before, wanted in (
        ("newest", "", None, None, 51),
        ("further on", "", None, first, 51),
        ("of an order", "", UUID(int=7), None, 1),
        ("held", "HELD", None, None, 51),
        ("held further on", "HELD", None, first, 39),
        ("stuck", "STUCK", None, None, 0),
        ("succeeded", "SUCCEEDED", None, None, 51),
        ("held, of an order", "HELD", UUID(int=1000), None, 1),
    ):
        shown, read = await blocks_read(
            full, lambda db, s=state, o=order_id, b=before: queries.sagas_page(db, s, o, b, 51)
        )
        assert len(shown) == wanted, name
        questions[name] = read
    assert {name: blocks for name, blocks in questions.items() if blocks > 1500} == {}, questions


async def test_a_sweep_reads_the_live_runs_alone(full, blocks_read):
    """One is due among a hundred that are live."""
    await full.execute("update orders set run_deadline_at = $1 where run_id = $2", NOW, HELD)
    due, read = await blocks_read(full, lambda db: db.fetch(sweeping.DUE, NOW, sweeping.BATCH))
    assert [row["id"] for row in due] == [HELD]
    assert read < 300
