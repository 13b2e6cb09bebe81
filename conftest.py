"""Shared by all tests: one PostgreSQL and one Redis per run, and a fresh database for each test that wants one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from orderhub import embedded
from orderhub_backends.control import Backends
from orderhub_backends.places import Places
from orderhub_chassis import migrate
from orderhub_chassis.bus import postgres as postgres_bus
from orderhub_chassis.db import Database
from orderhub_chassis.settings import ServiceSettings

POSTGRES, REDIS = "ORDERHUB_TEST_POSTGRES", "ORDERHUB_TEST_REDIS"
MESSAGING = "orderhub_chassis"
MakeDatabase = Callable[..., Awaitable[str]]
FOLDER = "orderhub-test-"
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
"""A file system in memory, where it has that many bytes left and the machine twice as many: on a disk a new database takes
ten times as long, which was half of the time that the tests took. What they ask of PostgreSQL is the same."""
STOPS = pytest.StashKey[list[Callable[[], object]]]()


def pytest_configure(config: pytest.Config) -> None:
    """The first process starts the servers; the workers inherit their addresses."""
    if hasattr(config, "workerinput") or POSTGRES in os.environ or config.option.collectonly:
        return
    folder = _folder()
    server = embedded.start_postgres(folder / "postgres", settings={"max_connections": "400"})
    cache = embedded.start_redis(folder / "redis")
    os.environ[POSTGRES], os.environ[REDIS] = server.dsn("postgres"), cache.url()
    config.stash[STOPS] = [cache.stop, server.stop, lambda: shutil.rmtree(folder, ignore_errors=True)]


def _folder() -> Path:
    """Of this run; in memory where there is plenty, and then what runs that were killed have left there goes first."""
    name = f"{FOLDER}{os.getpid()}-"
    if not MEMORY.is_dir():
        return Path(tempfile.mkdtemp(prefix=name))
    for left in MEMORY.glob(f"{FOLDER}*"):
        if not Path("/proc", left.name.removeprefix(FOLDER).partition("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(facts["MemAvailable"].split()[0]) * 1024
    plenty = shutil.disk_usage(MEMORY).free >= ROOM and available >= 2 * ROOM
    return Path(tempfile.mkdtemp(prefix=name, dir=MEMORY if plenty else None))


def pytest_unconfigure(config: pytest.Config) -> None:
    for stop in config.stash.get(STOPS, []):
        stop()
        os.environ.pop(POSTGRES, None)


def dsn(database: str) -> str:
    parts = urlsplit(os.environ[POSTGRES])
    return urlunsplit(parts._replace(path=f"/{database}"))


async def _template(packages: tuple[str, ...]) -> str:
    """A migrated database to copy from, made once per run whichever worker comes first."""
    content = "".join(m.name + m.checksum for package in packages for m in migrate.migrations_of(package))
    name = f"template_{hashlib.sha256(('|'.join(packages) + content).encode()).hexdigest()[:16]}"
    admin = await asyncpg.connect(dsn("postgres"))
    try:
        await admin.execute("select pg_advisory_lock(711)")
        if not await admin.fetchval("select 1 from pg_database where datname = $1", name):
            await admin.execute(f"create database {name}_new")
            connection = await asyncpg.connect(dsn(f"{name}_new"))
            await migrate.migrate(connection, *packages)
            await connection.close()
            await admin.execute(f"alter database {name}_new rename to {name}")
    finally:
        await admin.close()
    return name


@asynccontextmanager
async def databases() -> AsyncIterator[MakeDatabase]:
    """`await make("orderhub_chassis", "orderhub_orders")`: the URL of a fresh migrated database, dropped at the end."""
    made: list[str] = []

    async def make(*packages: str) -> str:
        template = await _template(packages)
        name = f"t_{uuid4().hex[:20]}"
        admin = await asyncpg.connect(dsn("postgres"))
        await admin.execute("select pg_advisory_lock_shared(712)")
        await admin.execute(f"create database {name} template {template}")
        await admin.close()
        made.append(name)
        return dsn(name)

    yield make
    admin = await asyncpg.connect(dsn("postgres"))
    for name in made:
        await admin.execute(f"drop database if exists {name} with (force)")
    await admin.close()


@pytest.fixture
async def make_database() -> AsyncIterator[MakeDatabase]:
    async with databases() as make:
        yield make


@pytest.fixture(scope="session")
def open_databases() -> Callable[[], AbstractAsyncContextManager[MakeDatabase]]:
    """For what lives longer than one test: `async with open_databases() as make_database`."""
    return databases


@pytest.fixture
async def bus_url(make_database: MakeDatabase) -> str:
    """A fresh embedded bus."""
    return await make_database(postgres_bus.PACKAGE)


@pytest.fixture(scope="session")
def redis_url() -> str:
    return os.environ[REDIS]


@pytest.fixture
def make_settings(make_database: MakeDatabase, bus_url: str, redis_url: str) -> Callable[..., Awaitable[Any]]:
    """`await make_settings(orderhub_orders.settings.Settings, "orderhub_orders", **over)`: settings on fresh databases."""

    async def make(settings_cls: type[ServiceSettings], package: str, **over: Any) -> Any:
        values: dict[str, Any] = {
            "bus": bus_url,
            "redis_url": redis_url,
            "internal_key": "i" * 40,
            "cursor_key": "c" * 40,
            **over,
        }
        if "database_url" not in values:
            values["database_url"] = await make_database(MESSAGING, package)
        return settings_cls(**values)

    return make


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    """`await eventually(condition, within=10)`: polls an async condition until it is truthy and returns its value."""

    async def poll(condition: Callable[[], Awaitable[Any]], *, within: float = 10.0) -> Any:
        deadline = asyncio.get_running_loop().time() + within
        while True:
            value = await condition()
            if value:
                return value
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"did not become true within {within} s: {condition!r}")
            await asyncio.sleep(0.01)

    return poll


class Asked:
    """A database that notes what it is asked."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.questions: list[tuple[str, tuple[Any, ...]]] = []

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        self.questions.append((sql, arguments))
        return await self._db.fetch(sql, *arguments)


@pytest.fixture
def blocks_read() -> Callable[..., Awaitable[tuple[Any, int]]]:
    """`found, blocks = await blocks_read(db, ask)`: what `ask(db)` gives, and how many blocks of tables and indexes
    its questions look at, their cost on any machine: with the plans of the service's sessions and, where those leave
    the choice to PostgreSQL, with what it keeps for any arguments.
    """

    async def read(db: Database, ask: Callable[[Any], Awaitable[Any]]) -> tuple[Any, int]:
        asked = Asked(db)
        found = await ask(asked)
        async with db.connection() as connection:
            if await connection.fetchval("show plan_cache_mode") == "auto":
                await connection.execute("set plan_cache_mode = force_generic_plan")
            blocks = [await _blocks(connection, sql, arguments) for sql, arguments in asked.questions]
            await connection.execute("reset plan_cache_mode")
        return found, sum(blocks)

    return read


async def _blocks(connection: Any, sql: str, arguments: tuple[Any, ...]) -> int:
    await connection.execute(f"prepare question as {sql}")
    given = ", ".join(map(_literal, arguments))
    explain = "explain (analyze, buffers, format json) execute question"
    (row,) = await connection.fetch(f"{explain}{given and f'({given})'}")
    await connection.execute("deallocate question")
    plan = json.loads(row[0])[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def _literal(argument: Any) -> str:
    if argument is None:
        return "null"
    text = "{" + ",".join(map(str, argument)) + "}" if isinstance(argument, list) else str(argument)
    return "'" + text.replace("'", "''") + "'"


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often Argon2 was computed in this process, by what for: `hash` or `verify`."""
    import argon2

    counted: Counter[str] = Counter()

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def count_and_do(*args: Any) -> Any:
            counted[name] += 1
            return real(*args)

        return count_and_do

    for name in ("hash", "verify"):
        monkeypatch.setattr(argon2.PasswordHasher, name, counting(name, getattr(argon2.PasswordHasher, name)))
    return counted


BACKENDS = Path(__file__).parent / ".orderhub" / "backends" / "running.json"


@pytest.fixture(scope="session")
def backend() -> Callable[[str], dict[str, str]]:
    """`backend("stripe-mock")["url"]`: what `make backends-up` noted of a server; it fails where that is not running."""

    def find(name: str) -> dict[str, str]:
        running: dict[str, dict[str, str]] = json.loads(BACKENDS.read_text()) if BACKENDS.exists() else {}
        if name not in running:
            pytest.fail(f"{name} is not running: make backends-up NAMES={name}")
        return running[name]

    return find


@pytest.fixture(scope="session")
def breakable() -> Iterator[Backends]:
    """Servers that a test may kill, stop and trouble: a second set, as those of `backend` are everybody's.

    A test starts those that it needs: `list(breakable.up(["kafka"]))`. Tests that use it are marked `breaking`, and one
    process runs them all.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.fail("another worker might take these servers down: run what is marked breaking without -n")
    places = Places.here()
    servers = Backends(places.beside(places.folder / "breakable"))
    list(servers.down())  # what a run that was killed has left
    yield servers
    list(servers.down())
