"""The databases of an installation: reached where they run, created, migrated, and freed of what dead members held."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
from orderhub_chassis import migrate as migrations
from orderhub_chassis.bus.postgres import PostgresBus
from orderhub_chassis.db import Database

from orderhub import embedded, environment, home, settings, topology
from orderhub.environment import Dsn
from orderhub.exits import Exit, Refused


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        variable = "ORDERHUB_DATABASE_URL: " if settings.loaded().database_url else ""
        raise Refused(f"{variable}the database cannot be reached: {error or type(error).__name__}") from error
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


async def ensure(dsn: Dsn) -> list[str]:
    """Create the databases that are missing; returns their names."""
    async with connected(dsn(environment.ADMINISTRATION)) as connection:
        there = {row["datname"] for row in await connection.fetch("select datname from pg_database")}
        missing = [name for name in topology.MIGRATIONS if name not in there]
        for name in missing:
            await connection.execute(f'create database "{name}"')
    return missing


async def migrate(dsn: Dsn, phase: migrations.Phase = "all") -> dict[str, list[str]]:
    """Bring all databases to the newest schema, or one step of a roll-out; returns what was applied in each."""
    applied = await asyncio.gather(
        *(_migrate(dsn(name), packages, phase) for name, packages in topology.MIGRATIONS.items())
    )
    return dict(zip(topology.MIGRATIONS, applied, strict=True))


async def _migrate(dsn: str, packages: tuple[str, ...], phase: migrations.Phase) -> list[str]:
    async with connected(dsn) as connection:
        try:
            return await migrations.migrate(connection, *packages, phase=phase)
        except migrations.MigrationError as error:
            raise Refused(str(error)) from error


async def forget_the_dead(dsn: Dsn) -> None:
    """Free the leases of processes that are gone, so that nobody waits for them to expire. Only with nothing running."""
    async with Database.open(dsn(topology.BUS_DATABASE), service="launcher", size=1) as database:
        await PostgresBus(database, {}).forget_members()
    names = [service.database for service in topology.SERVICES if service.has_database]
    await asyncio.gather(*(_free_relay(dsn(name)) for name in names))


async def _free_relay(dsn: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute("delete from relay_lease")


@contextlib.contextmanager
def reachable(place: home.Home) -> Iterator[tuple[Dsn, bool]]:
    """The databases of an installation that runs or does not; with the latter its PostgreSQL runs for the block.

    Yields (URLs, whether it runs). Raises Refused where there is nothing yet, or where it cannot be started.
    """
    runtime, elsewhere = place.runtime(), settings.loaded().database_url
    if runtime is not None:
        yield lambda name: runtime.urls[name], True
    elif elsewhere is not None:
        yield environment.on_server(elsewhere.get_secret_value()), False
    elif not place.is_initialised:
        raise Refused(f"there is no OrderHub in {place.path} yet: start it by `orderhub up`", Exit.NOT_NOW)
    else:
        try:
            with home.opened(place.path), embedded.postgres(place.postgres) as server:
                yield server.dsn, False
        except embedded.StartRefused as error:
            raise Refused(str(error)) from error
