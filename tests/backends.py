"""The product's variables for servers of `deploy/backends`, and an empty place for it on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote
from uuid import uuid4

import httpx
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


def kafka(backend: Backend) -> str:
    return f"kafka://{backend('kafka')['servers']}"


def connect(backend: Backend) -> str:
    return backend("connect")["url"]


def redis(backend: Backend) -> str:
    return backend("redis")["url"]


def secure_redis(backend: Backend) -> str:
    found = backend("redis-secure")
    return with_parameters(found["url"], ssl_ca_certs=found["ca"])


VARIABLES: Mapping[str, tuple[str, Callable[[Backend], str]]] = {
    "postgres15": ("ORDERHUB_DATABASE_URL", postgres),
    "pgbouncer": ("ORDERHUB_DATABASE_URL", pooled),
    "kafka": ("ORDERHUB_BUS", kafka),
    "connect": ("ORDERHUB_CONNECT_URL", connect),
    "redis": ("ORDERHUB_REDIS_URL", redis),
    "redis-secure": ("ORDERHUB_REDIS_URL", secure_redis),
}
"""Server → the variable that names it, and what to say. Who uses Keycloak says more: see `keycloak`."""


def variables(backend: Backend, servers: Sequence[str]) -> dict[str, str]:
    """Names on brokers are the product's own, as they are everybody's; with Kafka Connect messages are captured."""
    found = {VARIABLES[name][0]: VARIABLES[name][1](backend) for name in servers if name in VARIABLES}
    if "kafka" in servers:
        found["ORDERHUB_KAFKA_PREFIX"] = f"e2e-{uuid4().hex[:12]}."
    if "connect" in servers:
        found["ORDERHUB_RELAY"] = "cdc"
    return found


def forget_connectors(backend: Backend) -> None:
    """Remove what an earlier product had registered, and what it held in PostgreSQL's log."""
    with httpx.Client(base_url=backend("connect")["url"], timeout=60, trust_env=False) as http:
        for name in http.get("/connectors").json():
            http.delete(f"/connectors/{name}").raise_for_status()

    async def drop() -> None:
        where = environment.on_server(postgres(backend))(environment.ADMINISTRATION)
        async with driver.opened(where) as connection:
            while rows := await connection.fetch("select slot_name, active from pg_replication_slots"):
                for row in rows:
                    if not row["active"]:
                        await connection.execute("select pg_drop_replication_slot($1)", row["slot_name"])
                await asyncio.sleep(0.1)

    asyncio.run(drop())


def empty(backend: Backend) -> None:
    """Drop what an earlier product left on PostgreSQL 15, which the pooler stands before, too."""

    async def drop() -> None:
        async with driver.opened(
            environment.on_server(postgres(backend))(environment.ADMINISTRATION)
        ) as connection:
            for name in topology.MIGRATIONS:
                await connection.execute(f'drop database if exists "{name}" with (force)')

    asyncio.run(drop())
