"""The PostgreSQL driver: how a connection of ours is opened, and one habit of the driver's that is cut short."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import asyncpg.protocol.protocol as protocol

ARRAYS = (list, tuple, set)
"""What may be sent as an array. Views of dicts are no arrays here: they are refused with a DataError."""

# For every element of an array the driver asks an abstract base class whether it is itself iterable. Plain types answer
# faster: seven values take 0.65 µs to send instead of 1.6 µs. The name stands in the driver's own module. Should a later
# driver no longer look there, nothing breaks; test_driver.py then says that it has become slower.
protocol.IterableABC = ARRAYS


POOLER: Final = "pooler"
"""Our own parameter of a database's URL: `none`, or `transaction` where a pooler hands out a session per transaction."""
NAME: Final = "application_name"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is: the URL as the driver takes it, and whether a pooler in transaction mode is on the way."""

    url: str
    pooled: bool


def address(url: str) -> Address:
    """Takes our own parameter out of a URL; all else stays as it was written."""
    place, _, query = url.partition("?")
    given = query.split("&") if query else []
    kept = [part for part in given if part.partition("=")[0] != POOLER]
    return Address(place + "?" * bool(kept) + "&".join(kept), f"{POOLER}=transaction" in given)


async def connect(url: str, settings: Mapping[str, str]) -> Any:
    """One connection whose prepared statements are kept as long as it lives. Raises what asyncpg raises.

    Behind a pooler nothing may stay in a session, as the next transaction may get another: statements are not kept,
    and of the settings only the name is told; the others stand in `begin`. A single statement needs no transaction,
    as the driver asks for the end of its answer only once.
    """
    where = address(url)
    if where.pooled:
        name = {name: value for name, value in settings.items() if name == NAME}
        return await asyncpg.connect(where.url, server_settings=name, timeout=10, statement_cache_size=0)
    return await asyncpg.connect(
        where.url,
        server_settings=dict(settings),
        timeout=10,
        statement_cache_size=500,
        max_cached_statement_lifetime=0,
        max_cacheable_statement_size=0,
    )


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Any]:
    """A connection for a job of its own, closed at the end of the block."""
    connection = await connect(url, {})
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


def begin(url: str, settings: Mapping[str, str]) -> str:
    """What begins a transaction on a connection to there: behind a pooler with the settings, in the same message."""
    if not address(url).pooled:
        return "begin"
    told = [f"set local {name} = '{value}'" for name, value in settings.items() if name != NAME]
    return "; ".join(["begin", *told])
