"""Each way in which a server cannot be used is told apart, and no word of it is a secret."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from orderhub_chassis import outages
from orderhub_chassis.outages import Kind
from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

PASSWORD = "sesame-open-the-door"


async def outage_of(url):
    with pytest.raises(Exception) as failed:
        await asyncpg.connect(url, timeout=5)
    found = outages.explain(failed.value)
    assert PASSWORD not in found.words
    return found


async def redis_outage_of(url):
    client = redis.from_url(url, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0))
    with pytest.raises(Exception) as failed:
        await client.ping()
    await client.aclose()
    found = outages.explain(failed.value)
    assert PASSWORD not in found.words
    return found


@asynccontextmanager
async def answering(line):
    """A server that answers whatever comes with these bytes and hangs up; None: it never answers."""

    serving = set()

    async def serve(reader, writer):
        serving.add(asyncio.current_task())
        with contextlib.suppress(OSError):
            await reader.read(8)
            if line is not None:
                writer.write(line)
                await writer.drain()
            else:
                await reader.read()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.gather(*serving)


async def test_postgresql_that_is_not_there():
    assert (await outage_of(f"postgresql://u:{PASSWORD}@127.0.0.1:1/shop")).kind is Kind.REFUSED
    assert (await outage_of(f"postgresql://u:{PASSWORD}@localhost:1/shop")).kind is Kind.REFUSED
    found = await outage_of(f"postgresql://u:{PASSWORD}@nowhere.invalid:1/shop")
    assert found.kind is Kind.UNKNOWN_HOST


async def test_a_unix_socket_that_is_not_there(tmp_path):
    assert (await outage_of(f"postgresql://u@/shop?host={tmp_path}")).kind is Kind.REFUSED


async def test_a_server_that_speaks_no_tls_and_one_that_never_answers():
    async with answering(b"N") as port:
        url = f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/shop?sslmode=require"
        assert (await outage_of(url)).kind is Kind.TLS
    async with answering(None) as port:
        with pytest.raises(TimeoutError) as failed:
            await asyncpg.connect(f"postgresql://u@127.0.0.1:{port}/shop?sslmode=disable", timeout=0.05)
        assert outages.explain(failed.value).kind is Kind.NO_ANSWER


async def test_a_missing_database(bus_url):
    parts = urlsplit(bus_url)
    found = await outage_of(urlunsplit(parts._replace(path="/no_such_database")))
    assert found.kind is Kind.NO_DATABASE
    assert "no_such_database" in found.words
    assert "orderhub migrate" in found.words


async def test_a_wrong_password(bus_url):
    """For one role alone the server of the tests asks for a password."""
    admin = await asyncpg.connect(bus_url)
    file = await admin.fetchval("show hba_file")
    rules = await admin.fetchval("select pg_read_file($1)", file)
    try:
        await admin.execute("create role locked login password 'right'")
        await _write(admin, file, f"local all locked scram-sha-256\n{rules}")
        parts = urlsplit(bus_url)
        url = urlunsplit(parts._replace(netloc=f"locked:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"))
        found = await outage_of(url)
        assert found.kind is Kind.PASSWORD
        assert "locked" in found.words
    finally:
        await _write(admin, file, rules)
        await admin.execute("drop role locked")
        await admin.close()


async def _write(admin, file, text):
    """By the server itself: the file may belong to another user. Returns when the new rules hold."""
    await admin.execute("create temp table hba (line text)")
    await admin.executemany("insert into hba values ($1)", [(line,) for line in text.splitlines()])
    await admin.execute(f"copy hba to '{file}'")
    await admin.execute("drop table hba")
    before = await admin.fetchval("select pg_conf_load_time()")
    await admin.execute("select pg_reload_conf()")
    while await admin.fetchval("select pg_conf_load_time()") == before:  # noqa: ASYNC110 - over a connection
        await asyncio.sleep(0.01)


async def test_redis_that_is_not_there_wants_a_password_or_speaks_no_tls():
    assert (await redis_outage_of(f"redis://:{PASSWORD}@127.0.0.1:1/0")).kind is Kind.REFUSED
    async with answering(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n") as port:
        assert (await redis_outage_of(f"redis://:{PASSWORD}@127.0.0.1:{port}/0")).kind is Kind.PASSWORD
    async with answering(b"-NOAUTH Authentication required.\r\n") as port:
        assert (await redis_outage_of(f"redis://127.0.0.1:{port}/0")).kind is Kind.PASSWORD
    async with answering(b"-LOADING Redis is loading the dataset in memory\r\n") as port:
        assert (await redis_outage_of(f"redis://127.0.0.1:{port}/0")).kind is Kind.STARTING
    async with answering(b"-ERR no TLS here\r\n") as port:
        assert (await redis_outage_of(f"rediss://:{PASSWORD}@127.0.0.1:{port}/0")).kind is Kind.TLS


def test_the_cause_is_looked_for_behind_the_words_around_it():
    try:
        try:
            raise ssl.SSLCertVerificationError("self-signed certificate")
        except ssl.SSLError as error:
            raise RuntimeError("it did not work") from error
    except RuntimeError as error:
        found = outages.explain(error)
    assert found.kind is Kind.TLS
    assert "self-signed" in found.words
    assert outages.explain(RuntimeError("odd\nthing")) == outages.Outage(Kind.OTHER, "odd thing")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"postgresql://u:{PASSWORD}@db.internal:5432/shop?sslmode=require", "db.internal:5432/shop"),
        (f"postgresql://u:{PASSWORD}@/shop?host=/run/postgres&port=1", "/run/postgres/shop"),
        (f"redis://:{PASSWORD}@127.0.0.1:6379/0", "127.0.0.1:6379/0"),
        (f"unix://:{PASSWORD}@/run/redis.sock?db=1", "/run/redis.sock"),
    ],
)
def test_a_place_has_no_password(url, place):
    assert outages.place(url) == place
