"""Opens, wires and closes the simulator; the only room that knows all the others."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from orderhub_chassis import driver, http, outages, starting, telemetry
from orderhub_chassis.db import Database
from orderhub_chassis.health import Readiness
from orderhub_chassis.migrate import migrate
from orderhub_chassis.service import Surroundings

from orderhub_simulator.api.routes import Api
from orderhub_simulator.settings import Settings
from orderhub_simulator.writer import Transactions, Writer

# Longer than any client pool keeps an idle connection, so that it is never the server who closes first.
KEEP_ALIVE_SECONDS = 75
# Every statement here reaches its rows by key. A generic plan that was made while the tables were empty would read
# them whole until the next ANALYZE: 53,000 rows per update after half a minute of load.
BY_KEY_ONLY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}

log = telemetry.log("simulator")


@dataclass(frozen=True, slots=True)
class Service:
    """The running simulator; `url` has the port that was really bound."""

    url: str


@contextlib.asynccontextmanager
async def build(settings: Settings, around: Surroundings | None = None) -> AsyncIterator[Service]:
    """The simulator, ready to answer; on leaving it stops accepting and finishes what is under way.

    Waits for its database, and says so in its log.
    """
    readiness, where = Readiness(), outages.place(settings.database_url.get_secret_value())
    async with contextlib.AsyncExitStack() as stack:
        database: Database = await starting.until_there(
            readiness, "database", where,
            lambda: stack.enter_async_context(_database(settings, around or Surroundings())),
            variable="ORDERHUB_SIMULATOR_DATABASE_URL",
        )  # fmt: skip
        writer = await stack.enter_async_context(_writer(settings, database))
        api = Api(settings, database, writer, readiness)
        async with http.serve(
            api,
            host=settings.host,
            port=settings.port,
            grace=settings.shutdown_grace.total_seconds(),
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ) as port:
            readiness.opened = True
            service = Service(_url(settings.host, port))
            log.info("listening", url=service.url)
            yield service


@contextlib.asynccontextmanager
async def _database(settings: Settings, around: Surroundings) -> AsyncIterator[Database]:
    """A party of its own migrates its own database, so that it can be started alone."""
    url = settings.database_url.get_secret_value()
    async with driver.opened(url) as connection:
        for name in await migrate(connection, "orderhub_simulator"):
            log.info("migrated", name=name)
    async with Database.open(
        url,
        service=settings.service,
        size=settings.database_pool_size,
        clock=around.clock,
        new_id=around.new_id,
        session=BY_KEY_ONLY,
    ) as database:
        yield database


@contextlib.asynccontextmanager
async def _writer(settings: Settings, database: Database) -> AsyncIterator[Writer]:
    """A writer that dies ends the service: without it every call would wait for ever."""
    writer = Writer(Transactions(database).apply, batch=settings.write_batch, backlog=settings.write_backlog)
    running = asyncio.create_task(writer.run())
    running.add_done_callback(functools.partial(_end_with, asyncio.current_task()))
    try:
        yield writer
    finally:
        writer.close()
        await running


def _end_with(owner: asyncio.Task[Any] | None, writing: asyncio.Task[None]) -> None:
    if owner and not writing.cancelled() and writing.exception():
        owner.cancel()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
