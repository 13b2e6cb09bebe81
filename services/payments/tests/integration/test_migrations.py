"""What earlier code has written is there after the migrations, in its new place."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import msgspec
from orderhub_chassis.db import Database
from orderhub_chassis.migrate import migrations_of
from orderhub_payments import store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAID, TOMBSTONE, UNKNOWN = UUID(int=1), UUID(int=2), UUID(int=3)
PAYMENT = """
insert into payments (id, order_id, customer_id, vendor_id, status, currency, amount_minor, authorized_minor,
    captured_minor, refunded_minor, refund_pending_minor, provider, provider_ref, reason_code, version, created_at,
    updated_at)
values ($1, $1, $1, $1, 'PENDING', 'EUR', 5, 0, 0, 0, 0, 'simulator', '', '', 1, $2, $2)
"""


async def test_standings_of_the_time_when_all_of_them_had_rows_of_their_own(make_database) -> None:
    url = await make_database("orderhub_chassis")
    first, *later = migrations_of("orderhub_payments")
    connection = await asyncpg.connect(url)
    await connection.execute(first.sql)
    await connection.execute(PAYMENT, PAID, NOW)
    answers = msgspec.msgpack.encode({"run/2/0": b"reply"})
    await connection.execute(
        "insert into saga_standings values ($1, 3, $2), ($3, 7, '')", PAID, answers, TOMBSTONE
    )
    for migration in later:
        await connection.execute(migration.sql)
    assert await connection.fetchval("select array_agg(order_id) from saga_standings") == [TOMBSTONE]
    await connection.close()
    async with Database.open(url, service="payments") as db:
        book = await db.run(lambda tx: store.load(tx, [PAID, TOMBSTONE, UNKNOWN], provider="simulator"))
    found = {id: (s.epoch, s.answers, s.kept) for id, s in book.standings.items()}
    assert found == {
        PAID: (3, {"run/2/0": b"reply"}, True),
        TOMBSTONE: (7, {}, True),
        UNKNOWN: (0, {}, False),
    }
