"""Where the data of an installation is reached."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
from orderhub_chassis import driver

from orderhub import settings
from orderhub.environment import Dsn
from orderhub.exits import Refused


@dataclass(frozen=True)
class Reach:
    """URLs of the databases by name, whether the product runs on them, and the brokers where the bus is there."""

    dsn: Dsn
    live: bool
    kafka: str = ""


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    try:
        connection = await driver.connect(dsn, {})
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        variable = "ORDERHUB_DATABASE_URL: " if settings.loaded().database_url else ""
        raise Refused(f"{variable}the database cannot be reached: {error or type(error).__name__}") from error
    try:
        yield connection
    finally:
        await connection.close(timeout=5)
