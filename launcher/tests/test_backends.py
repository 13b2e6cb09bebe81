"""`doctor` about servers: each is asked as the services will use it, and what is wrong is named with its remedy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from orderhub import backends, doctor, home, ports, topology
from orderhub.backends import Targets
from orderhub.exits import Exit
from orderhub.output import Output
from orderhub_chassis import migrate
from redis import asyncio as redis

MakeDatabase = Callable[..., Awaitable[str]]
Found = dict[str, tuple[str, str]]


async def asked(look: Any, targets: Targets) -> Found:
    """What → (seen, wrong)."""
    return {found.what: (found.seen, found.wrong) async for found in look(targets)}


async def of_orders(url: str) -> tuple[str, str]:
    return (await asked(backends.postgres, Targets({"orderhub_orders": url})))["database orderhub_orders"]


async def of_server(url: str, **given: str) -> tuple[str, str]:
    found = await asked(backends.postgres, Targets({"orderhub_orders": url}, given=given))
    return next(value for what, value in found.items() if what.startswith("PostgreSQL at"))


@pytest.fixture
async def orders(make_database: MakeDatabase) -> str:
    return await make_database(*topology.MIGRATIONS["orderhub_orders"])


@contextlib.asynccontextmanager
async def admin(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def test_a_good_database_on_a_good_server(orders: str) -> None:
    assert await of_orders(orders) == ("as the code wants it", "")
    seen, wrong = await of_server(orders)
    assert not wrong
    assert "connections" in seen


async def test_a_database_behind_a_pooler_is_asked_as_the_services_ask_it(orders: str) -> None:
    """The parameter is ours: a server that is told of it refuses the connection."""
    pooled = f"{orders}{'&' if '?' in orders else '?'}pooler=transaction"
    assert await of_orders(pooled) == ("as the code wants it", "")
    assert (await of_server(pooled))[1] == ""


async def test_missing_migrations_and_a_missing_database(make_database: MakeDatabase, orders: str) -> None:
    _, wrong = await of_orders(await make_database("orderhub_chassis"))
    assert wrong.endswith("migrations are missing, from 0001_pre_orders.sql on: run `orderhub migrate`")
    _, wrong = await of_orders(urlunsplit(urlsplit(orders)._replace(path="/not_there")))
    assert "the database is missing (make it by `orderhub migrate`)" in wrong


async def test_a_roll_out_that_lacks_its_end(orders: str) -> None:
    async with admin(orders) as connection:
        assert await backends._migrations(connection, ("orderhub_orders",)) == ""
        files = "orderhub_chassis.migrate.migrations_of"
        later = [migrate.Migration("0099_post_later.sql", "post", "select 1")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files, lambda package: later)
            wrong = await backends._migrations(connection, ("orderhub_orders",))
    assert wrong.startswith("a roll-out is not finished: once no old code runs, `orderhub migrate --post`")


async def test_a_user_who_may_not_create_tables_and_a_read_only_server(orders: str) -> None:
    database = urlsplit(orders).path.strip("/")
    async with admin(orders) as connection:
        await connection.execute(f"create role weak_{database} login password 'sesame-weak'")
        try:
            parts = urlsplit(orders)
            netloc = f"weak_{database}:sesame-weak@{parts.netloc.rpartition('@')[2]}"
            _, wrong = await of_orders(urlunsplit(parts._replace(netloc=netloc)))
            assert wrong.startswith(f"user weak_{database} may not create tables: make it the owner")
            assert "sesame-weak" not in wrong
        finally:
            await connection.execute(f"drop role weak_{database}")
        await connection.execute(f"alter database {database} set default_transaction_read_only = on")
    assert await of_orders(orders) == (
        "as the code wants it",
        "is read-only (a standby?): name the primary server",
    )


async def test_connections_for_two_replicas_of_everything_and_what_cdc_needs(orders: str) -> None:
    needed = backends.connections_needed({})
    assert backends.connections_needed({"ORDERHUB_ORDERS_DATABASE_POOL_SIZE": "16"}) == needed + 2 * (16 - 5)
    assert backends.connections_needed({"ORDERHUB_BUS": "kafka://broker:9092"}) < needed
    _, wrong = await of_server(orders, ORDERHUB_DATABASE_POOL_SIZE="100")
    assert "raise max_connections, or make ORDERHUB_DATABASE_POOL_SIZE smaller" in wrong
    _, wrong = await of_server(orders, ORDERHUB_RELAY="cdc")
    assert wrong.startswith("wal_level is replica, and ORDERHUB_RELAY=cdc needs logical")


async def test_a_server_that_is_not_there_is_named_once_and_without_its_password() -> None:
    url = "postgresql://u:sesame@127.0.0.1:1/orderhub_orders"
    found = await asked(backends.postgres, Targets({"orderhub_orders": url, "orderhub_auth": url}))
    server = [wrong for what, (_, wrong) in found.items() if what == "PostgreSQL at 127.0.0.1:1"]
    assert len(server) == 1
    assert "nobody listens there" in server[0]
    assert "sesame" not in str(found)


def test_a_clock_that_is_off() -> None:
    now = datetime.now(UTC)
    assert backends._skew(now, now) == ""
    assert backends._skew(now + timedelta(hours=1), now).startswith("its clock is 3600 s ahead of")
    assert backends._skew(now - timedelta(hours=1), now).startswith("its clock is 3600 s behind")


async def test_redis_and_what_it_forgets(tmp_path: Path) -> None:
    from orderhub import embedded

    server = await asyncio.to_thread(embedded.start_redis, tmp_path / "redis")
    try:
        ((seen, wrong),) = (await asked(backends.of_redis, Targets(redis=(server.url(),)))).values()
        assert (seen[0], wrong) == ("6", "")
        client = redis.from_url(server.url())
        await client.config_set("maxmemory", "100mb")
        await client.config_set("maxmemory-policy", "allkeys-lru")
        await client.aclose()
        ((_, wrong),) = (await asked(backends.of_redis, Targets(redis=(server.url(),)))).values()
        assert (
            wrong == "maxmemory-policy is allkeys-lru, which forgets limits when it is full: set noeviction"
        )
    finally:
        await asyncio.to_thread(server.stop)
    ((_, wrong),) = (await asked(backends.of_redis, Targets(redis=(server.url(),)))).values()
    assert "nobody listens there" in wrong


async def test_brokers_are_asked_one_by_one() -> None:
    async def hang_up(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.close()

    broker = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    address = f"127.0.0.1:{broker.sockets[0].getsockname()[1]}"
    found = await asked(backends.kafka, Targets(brokers=(address, "127.0.0.1:1")))
    broker.close()
    assert found[f"Kafka at {address}"] == ("listens", "")
    assert "nobody listens there" in found["Kafka at 127.0.0.1:1"][1]


@contextlib.asynccontextmanager
async def answering(status: str) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.mark.parametrize(
    ("variable", "status", "words"),
    [
        ("ORDERHUB_CLICKHOUSE_URL", "200 OK", ""),
        ("ORDERHUB_CLICKHOUSE_URL", "401 Unauthorized", ""),
        ("ORDERHUB_CLICKHOUSE_URL", "503 Busy", "answers 503: look into its log"),
    ],
)
async def test_what_speaks_http_answers(variable: str, status: str, words: str) -> None:
    async with answering(status) as url:
        targets = Targets(pages=tuple(backends._pages({variable: url})))
        assert targets.pages
        ((_, wrong),) = (await asked(backends.pages, targets)).values()
    assert wrong.endswith(words)
    assert bool(wrong) is bool(words)


async def test_a_page_that_nobody_serves() -> None:
    pages = (("ORDERHUB_CLICKHOUSE_URL", "http://127.0.0.1:1/ping"),)
    ((_, wrong),) = (await asked(backends.pages, Targets(pages=pages))).values()
    assert wrong.startswith("127.0.0.1:1/ping: nobody listens there")


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("http://user:sesame@logs/db", "http://logs:8123/ping"),
        ("https://user:sesame@logs/db", "https://logs:8443/ping"),
        ("http://user:sesame@[::1]:9000/db", "http://[::1]:9000/ping"),
        ("http://user:ses/ame@logs/db", None),
        ("chdb:///var/lib/logs", None),
    ],
)
def test_clickhouse_is_asked_without_the_login_of_its_url(url: str, page: str | None) -> None:
    found = backends._pages({"ORDERHUB_CLICKHOUSE_URL": url})
    assert found == ([("ORDERHUB_CLICKHOUSE_URL", page)] if page else [])


async def test_clickhouse_with_a_login_answers() -> None:
    async with answering("200 OK") as url:
        given = {"ORDERHUB_CLICKHOUSE_URL": url.replace("http://", "http://user:sesame@") + "/db"}
        targets = Targets(pages=tuple(backends._pages(given)))
        ((seen, wrong),) = (await asked(backends.pages, targets)).values()
    assert (seen.endswith("/ping answers"), wrong) == (True, "")


async def test_the_certificates_of_a_page_are_not_asked_for(tmp_path: Path) -> None:
    """They stay behind the question mark, for the connection alone."""
    page = f"https://127.0.0.1:1/ping?sslrootcert={tmp_path / 'none.pem'}"
    ((_, wrong),) = (
        await asked(backends.pages, Targets(pages=(("ORDERHUB_CLICKHOUSE_URL", page),)))
    ).values()
    assert wrong.startswith("127.0.0.1:1/ping: ")
    assert "No such file" in wrong


@pytest.fixture
def nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("ORDERHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("nothing_given")
def test_urls_that_are_none_are_named_once_and_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORDERHUB_DATABASE_URL", "postgresql://u:ses/ame@127.0.0.1:1/any")
    monkeypatch.setenv("ORDERHUB_REDIS_URL", "redis://:ses/ame@127.0.0.1:1/0")
    monkeypatch.setenv("ORDERHUB_BUS", "kafka://127.0.0.1:1")
    assert doctor.run(home.at(tmp_path / "home"), Output(as_json=True), port=ports.free_port()) == Exit.FOUND
    said = capsys.readouterr().out
    found = {one["what"]: one["wrong"] for one in json.loads(said)["looked_at"] if one["wrong"]}
    assert set(found) == {"settings", "Kafka at 127.0.0.1:1"}
    assert found["settings"].count("ORDERHUB_DATABASE_URL") == 1
    assert "ses/ame" not in said
    assert "'ses'" not in said


@pytest.mark.usefixtures("nothing_given")
def test_doctor_looks_at_the_servers_that_are_configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORDERHUB_DATABASE_URL", "postgresql://u:sesame@127.0.0.1:1/any")
    monkeypatch.setenv("ORDERHUB_REDIS_URL", "redis://:sesame@127.0.0.1:1/0")
    place = home.at(tmp_path / "home")
    assert doctor.run(place, Output(as_json=True), port=ports.free_port()) == Exit.FOUND
    said = capsys.readouterr().out
    found = {one["what"]: one["wrong"] for one in json.loads(said)["looked_at"] if one["wrong"]}
    assert set(found) == {
        "PostgreSQL at 127.0.0.1:1",
        *(f"database {name}" for name in topology.MIGRATIONS),
        "Redis at 127.0.0.1:1/0",
    }
    assert all("nobody listens there" in wrong for wrong in found.values())
    assert "sesame" not in said
