"""The product's variables for servers of `deploy/backends`, and an empty place for it on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from orderhub import environment, topology
from orderhub_chassis import driver

Backend = Callable[[str], Mapping[str, str]]


def with_parameters(url: str, **parameters: str) -> str:
    query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in parameters.items())
    return f"{url}{'&' if '?' in url else '?'}{query}"


def postgres(backend: Backend) -> str:
    """The administration's URL of PostgreSQL 15, over TLS with the server's name checked."""
    found = backend("postgres15")
    return with_parameters(found["url"], sslmode="verify-full", sslrootcert=found["ca"])


def pooled(backend: Backend) -> str:
    return with_parameters(backend("pgbouncer")["url"], pooler="transaction")


def redis(backend: Backend) -> str:
    return backend("redis")["url"]


def secure_redis(backend: Backend) -> str:
    found = backend("redis-secure")
    return with_parameters(found["url"], ssl_ca_certs=found["ca"])


VARIABLES: Mapping[str, tuple[str, Callable[[Backend], str]]] = {
    "postgres15": ("ORDERHUB_DATABASE_URL", postgres),
    "pgbouncer": ("ORDERHUB_DATABASE_URL", pooled),
    "redis": ("ORDERHUB_REDIS_URL", redis),
    "redis-secure": ("ORDERHUB_REDIS_URL", secure_redis),
}
"""Server → the variable that names it, and what to say."""


def variables(backend: Backend, servers: Sequence[str]) -> dict[str, str]:
    return {VARIABLES[name][0]: VARIABLES[name][1](backend) for name in servers}


def empty(backend: Backend) -> None:
    """Drop what an earlier product left on PostgreSQL 15, which the pooler stands before, too."""

    async def drop() -> None:
        async with driver.opened(
            environment.on_server(postgres(backend))(environment.ADMINISTRATION)
        ) as connection:
            for name in topology.MIGRATIONS:
                await connection.execute(f'drop database if exists "{name}" with (force)')

    asyncio.run(drop())
