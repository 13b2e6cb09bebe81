"""The databases of an installation: reached where they run, created, migrated, and freed of what dead members held."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from orderhub_chassis import migrate as migrations
from orderhub_chassis.bus.postgres import PostgresBus
from orderhub_chassis.db import Database

from orderhub import buses, embedded, environment, home, settings, topology
from orderhub.exits import Exit, Refused
from orderhub.reach import Reach, connected


async def ensure(reach: Reach) -> list[str]:
    """Create the databases that are missing; returns their names."""
    async with connected(reach.dsn(environment.ADMINISTRATION)) as connection:
        there = {row["datname"] for row in await connection.fetch("select datname from pg_database")}
        missing = [name for name in topology.databases(reach.kafka) if name not in there]
        for name in missing:
            await connection.execute(f'create database "{name}"')
    return missing


async def migrate(reach: Reach, phase: migrations.Phase = "all") -> dict[str, list[str]]:
    """Bring all databases to the newest schema, or one step of a roll-out, and the brokers to the topics.

    Returns what was applied in each database. Raises Refused, also where messages are still on another bus than the one
    named now.
    """
    wanted = topology.databases(reach.kafka)
    applied = await asyncio.gather(
        *(_migrate(reach.dsn(name), packages, phase) for name, packages in wanted.items())
    )
    await buses.enter(reach)
    return dict(zip(wanted, applied, strict=True))


async def _migrate(dsn: str, packages: tuple[str, ...], phase: migrations.Phase) -> list[str]:
    async with connected(dsn) as connection:
        try:
            return await migrations.migrate(connection, *packages, phase=phase)
        except migrations.MigrationError as error:
            raise Refused(str(error)) from error


async def forget_the_dead(reach: Reach) -> None:
    """Free the leases of processes that are gone, so that nobody waits for them to expire. Only with nothing running.

    Brokers have no such door: there the sessions of the dead run out.
    """
    if not reach.kafka:
        async with Database.open(reach.dsn(topology.BUS_DATABASE), service="launcher", size=1) as database:
            await PostgresBus(database, {}).forget_members()
    await asyncio.gather(*(_free_relay(reach.dsn(name)) for name in topology.WITH_OUTBOX))


async def _free_relay(dsn: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute("delete from relay_lease")


@contextlib.contextmanager
def reachable(place: home.Home) -> Iterator[Reach]:
    """The databases of an installation that runs or does not; with the latter its PostgreSQL runs for the block.

    Raises Refused where there is nothing yet, or where it cannot be started.
    """
    runtime, chosen = place.runtime(), settings.loaded()
    if runtime is not None:
        yield Reach(lambda name: runtime.urls[name], True, runtime.urls.get(buses.KAFKA, ""))
    elif chosen.database_url is not None:
        yield Reach(environment.on_server(chosen.database_url.get_secret_value()), False, chosen.kafka)
    elif not place.is_initialised:
        raise Refused(f"there is no OrderHub in {place.path} yet: start it by `orderhub up`", Exit.NOT_NOW)
    else:
        try:
            with home.opened(place.path), embedded.postgres(place.postgres) as server:
                yield Reach(server.dsn, False, chosen.kafka)
        except embedded.StartRefused as error:
            raise Refused(str(error)) from error
