"""What the simulator asks of its PostgreSQL: to come back, to refuse wrong money, to read no table whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest
from orderhub import embedded
from orderhub_simulator.app import build
from orderhub_simulator.settings import Settings
from pydantic import SecretStr


def start_behind(door: Path, folder: Path) -> embedded.Postgres:
    """A server takes another port at each start; the door is always at the same place."""
    server = embedded.start_postgres(folder)
    door.unlink(missing_ok=True)
    door.symlink_to(server.sockets / f".s.PGSQL.{server.port}")
    return server


async def test_while_the_database_is_away_the_answer_is_503_and_later_all_is_well(
    client_of: Any, settings: Settings, tmp_path: Path
) -> None:
    door, folder = tmp_path / ".s.PGSQL.5432", tmp_path / "postgres"
    server = start_behind(door, folder)
    try:
        url = f"postgresql://{embedded.SUPERUSER}@/postgres?host={tmp_path}"
        moved = settings.model_copy(update={"database_url": SecretStr(url)})
        async with build(moved) as service, client_of(service.url) as client:
            assert (await client.authorize()).status_code == 200
            server.stop()
            assert client.error_of(await client.authorize("a2")) == (503, "unavailable", None)
            assert (await client.get("/v1/authorizations")).status_code == 503
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/livez")).status_code == 200
            assert [s["http_status"] for s in await client.batch({"op": "lookup", "key": "b1"})] == [503]
            server = start_behind(door, folder)
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.authorize()).headers["idempotency-replayed"] == "true"
            assert (await client.authorize("a2")).status_code == 200
    finally:
        server.stop()


WRONG_MONEY = [
    "captured_minor = 1001, status = 'captured'",
    "captured_minor = 500, refunded_minor = 501, status = 'captured'",
    "captured_minor = 500, status = 'voided'",
    "status = 'declined'",
    "amount_minor = 0",
    "currency = 'eur'",
]


async def test_the_database_itself_refuses_wrong_money(client: Any, sql: asyncpg.Connection) -> None:
    await client.authorize()
    for change in WRONG_MONEY:
        with pytest.raises(asyncpg.CheckViolationError):
            await sql.execute(f"UPDATE authorizations SET {change}")


async def test_look_ups_use_an_index_from_the_first_row(client: Any, sql: asyncpg.Connection) -> None:
    await client.authorize()
    await sql.execute("SET enable_seqscan = off")
    for query in (
        "SELECT * FROM operations WHERE key = ANY(ARRAY['a1'])",
        "SELECT * FROM authorizations WHERE reference = 'order-1'",
        "SELECT * FROM authorizations WHERE (updated_at, id) > (now(), '00000000-0000-0000-0000-000000000000') ORDER BY updated_at, id LIMIT 5",
        "SELECT * FROM refunds WHERE authorization_id = '00000000-0000-0000-0000-000000000000'",
    ):
        plan = "\n".join(row[0] for row in await sql.fetch("EXPLAIN " + query))
        assert "Index" in plan, plan
        assert "Seq Scan" not in plan, plan


async def test_a_growing_table_is_never_read_whole(client: Any, sql: asyncpg.Connection) -> None:
    """Plans that are made on empty tables stay for a while; statistics are not there yet."""
    for round in range(12):
        keys = [f"{round}-{n}" for n in range(50)]
        held = await client.batch(*(client.authorizing(f"a{key}") for key in keys))
        ids = [slot["body"]["id"] for slot in held]
        captures = [
            {"op": "capture", "key": f"c{key}", "authorization_id": id, "amount_minor": 1000}
            for key, id in zip(keys, ids, strict=True)
        ]
        assert {slot["http_status"] for slot in await client.batch(*captures)} == {200}
        await client.get("/v1/authorizations", params={"reference": "order-1"})
        await client.get(f"/v1/authorizations/{ids[0]}")
    assert await rows_read_whole(sql) == 0


async def rows_read_whole(sql: asyncpg.Connection) -> int:
    """PostgreSQL adds a session's numbers up when the session is idle for a second or ends, so they all end here."""
    await sql.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'orderhub-%'"
    )
    return await sql.fetchval(
        "SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname <> 'schema_migrations'"
    )
