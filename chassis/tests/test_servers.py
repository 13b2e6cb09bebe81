"""PostgreSQL 15 over TLS, and behind PgBouncer in transaction mode: what a service does, where no session is its own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import timedelta
from urllib.parse import quote, urlsplit
from uuid import uuid4

import asyncpg
import pytest
from orderhub_chassis import driver, migrate
from orderhub_chassis.bus import postgres as postgres_bus
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Unavailable
from orderhub_contracts import topics

pytestmark = pytest.mark.backends

TASKS = 40
"""More than the pooler has sessions for one database."""


def named(url, database, **parameters):
    query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in parameters.items())
    return f"{url.rpartition('/')[0]}/{database}" + "?" * bool(query) + query


@pytest.fixture
async def database(backend):
    """The name of a fresh database on the server."""
    name = f"t_{uuid4().hex[:20]}"
    async with driver.opened(backend("postgres15")["url"]) as admin:
        await admin.execute(f"create database {name}")
    yield name
    async with driver.opened(backend("postgres15")["url"]) as admin:
        await admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def pooled(backend, database):
    return named(backend("pgbouncer")["url"], database, pooler="transaction")


@pytest.fixture
async def db(pooled):
    async with driver.opened(pooled) as connection:
        await migrate.migrate(connection, "orderhub_chassis")
    async with Database.open(
        pooled, service="payments", size=TASKS, session={"work_mem": "12345kB"}
    ) as opened:
        yield opened


async def test_it_is_the_server_that_the_sql_keeps_to(backend):
    async with driver.opened(backend("postgres15")["url"]) as connection:
        assert connection.get_server_version().major == 15


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
async def test_every_sslmode_does_what_it_says(backend, database, mode):
    found = backend("postgres15")
    ca = {"sslrootcert": found["ca"]} if mode.startswith("verify") else {}
    async with Database.open(named(found["url"], database, sslmode=mode, **ca), service="payments") as db:
        encrypted = await db.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    assert encrypted is (mode not in ("disable", "allow"))


@contextlib.asynccontextmanager
async def under_another_address(url):
    """The server as somebody in the middle would offer it: the same bytes from 127.0.0.2."""
    parts = urlsplit(url)

    async def copy(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader, writer):
        to, back = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(copy(reader, back), copy(to, writer), return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.2", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield url.replace(f"@{parts.hostname}:{parts.port}/", f"@127.0.0.2:{port}/")


async def test_a_server_of_another_ca_or_with_another_name_is_refused(backend, database, a_ca):
    found = backend("postgres15")
    with pytest.raises(ssl.SSLCertVerificationError, match="CERTIFICATE_VERIFY_FAILED"):
        await driver.connect(named(found["url"], database, sslmode="verify-ca", sslrootcert=str(a_ca)), {})
    async with under_another_address(found["url"]) as url:
        async with driver.opened(named(url, database, sslmode="verify-ca", sslrootcert=found["ca"])):
            pass
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            await driver.connect(named(url, database, sslmode="verify-full", sslrootcert=found["ca"]), {})


async def test_every_statement_meets_its_own_answer_however_few_sessions_there_are(db):
    """A statement that stayed prepared in a session would be met there by another task, under the same name."""

    async def ask(number):
        questions = [
            db.fetchval(f"select $1::int + {number}", 1),
            db.fetchrow(f"select $1::text as a{number}, $2::int[] as b", str(number), [number]),
            db.fetch("select n from generate_series(1, $1::int) n", number + 1),
        ]
        value, row, rows = await asyncio.gather(*questions)
        assert value == number + 1
        assert dict(row) == {f"a{number}": str(number), "b": [number]}
        assert len(rows) == number + 1

    for _ in range(5):
        await asyncio.gather(*(ask(number) for number in range(TASKS)))


async def test_settings_hold_in_every_transaction_and_stay_in_no_session(db, backend, database):
    wanted = "select current_setting('work_mem'), current_setting('enable_seqscan'), current_setting('lock_timeout')"
    assert tuple(await db.fetchrow(wanted)) == ("12345kB", "off", "10s")
    async with db.transaction() as tx:
        assert tuple(await tx.fetchrow(wanted)) == ("12345kB", "off", "10s")
    bare = named(backend("pgbouncer")["url"], database, pooler="transaction")
    async with driver.opened(bare) as other, other.transaction():
        assert tuple(await other.fetchrow(wanted)) == ("4MB", "on", "0")
        assert await other.fetchval("select count(*) from pg_prepared_statements where name <> ''") == 0


async def insert_and_fail(db):
    async with db.connection() as connection:
        await connection.execute("insert into things values (3)")
        await connection.execute("select 1 / 0")


async def test_what_is_written_outside_a_transaction_is_kept_and_what_fails_is_not(db):
    await db.execute("create table things (id int primary key)")
    await db.execute("insert into things values ($1)", 1)
    with pytest.raises(asyncpg.UniqueViolationError):
        await db.execute("insert into things values (2), ($1)", 1)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await insert_and_fail(db)
    assert [row["id"] for row in await db.fetch("select id from things")] == [1]
    assert await db.fetchval("select $1::int", 1) == 1, "the connection is as good as before"


async def test_several_processes_that_migrate_through_the_pooler_apply_everything_once(pooled):
    async def once():
        async with driver.opened(pooled) as connection:
            return await migrate.migrate(connection, "orderhub_chassis", postgres_bus.PACKAGE)

    applied = [name for names in await asyncio.gather(*(once() for _ in range(6))) for name in names]
    packages = ("orderhub_chassis", postgres_bus.PACKAGE)
    assert sorted(applied) == sorted(m.name for package in packages for m in migrate.migrations_of(package))


async def test_the_embedded_bus_works_behind_the_pooler(pooled):
    async with driver.opened(pooled) as connection:
        await migrate.migrate(connection, postgres_bus.PACKAGE)
    async with (
        Database.open(pooled, service="bus", size=3, session=postgres_bus.SESSION) as db,
        postgres_bus.PostgresBus.open(db, ttl=timedelta(seconds=4)) as bus,
        bus.consumer("payments", topics.TOPICS[:1], "one"),
    ):
        assert await bus.lag("payments") == {topics.TOPICS[0].name: 0}


async def answers(db):
    try:
        return await db.fetchval("select $1::int", 5) == 5
    except Unavailable:
        return False


async def test_a_pooler_without_its_server_is_away_and_comes_back(db, backend, database, eventually):
    async with driver.opened(backend("postgres15")["url"]) as admin:
        await admin.execute(f"alter database {database} allow_connections false")
        end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1"
        await admin.fetch(end, database)
        assert not await answers(db)
        await admin.execute(f"alter database {database} allow_connections true")
    await eventually(lambda: answers(db), within=30)
