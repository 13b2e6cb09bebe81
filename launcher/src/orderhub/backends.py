"""What `doctor` asks of the servers that are configured: each is used as the services will use it, and nothing is changed.

A function per kind of server, in `BACKENDS`. A server that nobody has configured is not looked at: what `up` embeds is
asked only while it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import urllib.error
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import asyncpg
from orderhub_chassis import clickhouse, driver, migrate, outages
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.settings import KAFKA, ClickHouseUrl, PostgresUrl, RedisUrl, SettingsError
from pydantic import TypeAdapter, ValidationError
from redis import RedisError
from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from orderhub import connections, direct, environment, home, issuers, settings, topology
from orderhub.exits import Refused

SECONDS: Final = 5.0
LEAST_POSTGRES: Final = 15
LEAST_REDIS: Final = (6, 2)
MOST_SKEW: Final = timedelta(seconds=1)
REPLICAS: Final = 2
"""Of each service: what connections are planned for."""


@dataclass(frozen=True)
class Diagnosis:
    """`wrong` is empty where all is well; then `seen` says what is there."""

    what: str
    seen: str
    wrong: str = ""


@dataclass(frozen=True)
class Targets:
    """The servers of this installation. `databases` by name, `given` all variables that are set."""

    databases: Mapping[str, str] = field(default_factory=dict)
    redis: tuple[str, ...] = ()
    brokers: tuple[str, ...] = ()
    pages: tuple[tuple[str, str], ...] = ()
    """(variable, URL that has to answer)"""
    given: Mapping[str, str] = field(default_factory=dict)


def targets(place: home.Home) -> Targets:
    """From what runs here, else from the settings. Raises Refused where these are no good."""
    given, runtime = settings.given(), place.runtime()
    databases, caches = (
        _databases(given),
        [value for name, value in given.items() if name.endswith("REDIS_URL")],
    )
    if runtime is not None:
        databases |= {name: url for name, url in runtime.urls.items() if name in topology.MIGRATIONS}
        caches.append(runtime.urls["redis"])
    bus = given.get("ORDERHUB_BUS", "")
    brokers = tuple(bus.removeprefix(KAFKA).split(",")) if bus.startswith(KAFKA) else ()
    return Targets(
        {name: url for name, url in databases.items() if _is_url(url, PostgresUrl)},
        tuple(dict.fromkeys(url for url in caches if _is_url(url, RedisUrl))),
        brokers, tuple(_pages(given)), given,
    )  # fmt: skip


def _is_url(text: str, kind: Any) -> bool:
    """One that is none is named by `doctor`'s line about the settings; what drivers say of it would show the password."""
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


def _databases(given: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if server := given.get("ORDERHUB_DATABASE_URL"):
        dsn = environment.on_server(server)
        found = {name: dsn(name) for name in topology.MIGRATIONS}
    for name in (*topology.NAMES, topology.SIMULATOR):
        if url := given.get(f"ORDERHUB_{name.upper()}_DATABASE_URL"):
            found[f"orderhub_{name}"] = url
    if (bus := given.get("ORDERHUB_BUS", "")).startswith("postgres"):
        found[topology.BUS_DATABASE] = bus
    elif bus:
        found.pop(topology.BUS_DATABASE, None)
    return found


def _pages(given: Mapping[str, str]) -> list[tuple[str, str]]:
    url = given.get(CLICKHOUSE, "")
    return [(CLICKHOUSE, _ping(url))] if url.startswith("http") and _is_url(url, ClickHouseUrl) else []


def _ping(url: str) -> str:
    """What ClickHouse answers without a login; the certificates stay behind the question mark."""
    parts = urlsplit(url)
    server = parts.netloc.rpartition("@")[2]
    port = "" if parts.port else f":{clickhouse.port_of(parts)}"
    return f"{parts.scheme}://{server}{port}/ping" + "?" * bool(parts.query) + parts.query


CLICKHOUSE: Final = "ORDERHUB_CLICKHOUSE_URL"


# --- PostgreSQL ---


async def postgres(found: Targets) -> AsyncIterator[Diagnosis]:
    """One line per server and one per database."""
    servers: dict[str, str] = {}
    for url in found.databases.values():
        servers.setdefault(outages.place(url).rpartition("/")[0], url)
    for where, url in servers.items():
        async for diagnosis in _server(where, url, found):
            yield diagnosis
    for name, url in found.databases.items():
        yield await _database(name, url)


async def _server(where: str, url: str, found: Targets) -> AsyncIterator[Diagnosis]:
    what = f"PostgreSQL at {where}"
    for database in (environment.ADMINISTRATION, urlsplit(url).path.lstrip("/")):
        try:
            async with _connected(environment.on_server(url)(database)) as connection:
                yield Diagnosis(what, *await _judged(connection, found))
                return
        except REFUSES as error:
            refusal = error
    yield Diagnosis(what, "", f"{where}: {outages.explain(refusal).words}")


async def _judged(connection: Any, found: Targets) -> tuple[str, str]:
    """What is seen of a server, and what is wrong with it."""
    asked_at = datetime.now(UTC)
    row = await connection.fetchrow(
        "select current_setting('server_version') as version, clock_timestamp() as now,"
        " current_setting('server_version_num')::int / 10000 as major, current_setting('wal_level') as wal_level,"
        " current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as room"
    )
    wrong = [_skew(row["now"], asked_at)]
    if row["major"] < LEAST_POSTGRES:
        wrong.append(f"version {row['version']} is too old: {LEAST_POSTGRES} or newer is needed")
    if row["room"] < (needed := connections_needed(found.given)):
        wrong.append(
            f"{row['room']} connections are allowed, {REPLICAS} replicas of everything open up to {needed}:"
            " raise max_connections, or make ORDERHUB_DATABASE_POOL_SIZE smaller"
        )
    if found.given.get("ORDERHUB_RELAY") == "cdc" and row["wal_level"] != "logical":
        wrong.append(
            f"wal_level is {row['wal_level']}, and ORDERHUB_RELAY=cdc needs logical: set it and restart"
        )
    return f"{row['version']}, {row['room']} connections", "; ".join(filter(None, wrong))


def connections_needed(given: Mapping[str, str]) -> int:
    """What two replicas of everything may open, with the sizes of pools that are set."""

    def size(service: str, name: str) -> int:
        default = connections.default(service, name)
        value = given.get(f"ORDERHUB_{service}_{name}".upper(), given.get(f"ORDERHUB_{name}".upper(), ""))
        return int(value) if value.isdigit() else default

    embedded_bus = not given.get("ORDERHUB_BUS", "").startswith(KAFKA)
    return connections.total(connections.plan(REPLICAS, embedded_bus=embedded_bus, size=size))


async def _database(name: str, url: str) -> Diagnosis:
    what = f"database {name}"
    try:
        async with _connected(url) as connection:
            wrong = await _permissions(connection)
            wrong = wrong or await _migrations(connection, topology.MIGRATIONS[name])
    except REFUSES as error:
        return Diagnosis(what, "", f"{outages.place(url)}: {outages.explain(error).words}")
    return Diagnosis(what, "as the code wants it", wrong)


async def _migrations(connection: Any, packages: tuple[str, ...]) -> str:
    missing = await migrate.pending(connection, *packages)
    if not missing:
        return ""
    if await migrate.pending(connection, *packages, phase="pre"):
        return f"{len(missing)} migrations are missing, from {missing[0]} on: run `orderhub migrate`"
    return f"a roll-out is not finished: once no old code runs, `orderhub migrate --post` ({missing[0]} …)"


async def _permissions(connection: Any) -> str:
    """What this user may not do and a service has to; empty where there is nothing."""
    row = await connection.fetchrow(
        "select current_user as who, current_database() as database, pg_is_in_recovery() as standby,"
        " current_setting('default_transaction_read_only') = 'on' as read_only,"
        " has_schema_privilege('public', 'CREATE') as may_create"
    )
    if row["standby"] or row["read_only"]:
        return "is read-only (a standby?): name the primary server"
    if not row["may_create"]:
        return (
            f"user {row['who']} may not create tables: make it the owner"
            f" (alter database {row['database']} owner to {row['who']})"
        )
    return ""


@contextlib.asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    async with asyncio.timeout(SECONDS):
        connection = await driver.connect(url, {})
    try:
        yield connection
    finally:
        await connection.close(timeout=SECONDS)


# --- Redis ---


async def of_redis(found: Targets) -> AsyncIterator[Diagnosis]:
    for url in found.redis:
        where = outages.place(url)
        client = redis.from_url(
            url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS, retry=Retry(NoBackoff(), 0)
        )
        try:
            yield Diagnosis(f"Redis at {where}", *await _judged_redis(client))
        except (RedisError, OSError) as error:
            yield Diagnosis(f"Redis at {where}", "", f"{where}: {outages.explain(error).words}")
        finally:
            await client.aclose()


async def _judged_redis(client: Any) -> tuple[str, str]:
    asked_at = datetime.now(UTC)
    seconds, micros = await client.time()
    wrong = [_skew(datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros), asked_at)]
    server, memory = await client.info("server"), await client.info("memory")
    version, policy = str(server["redis_version"]), str(memory.get("maxmemory_policy", "noeviction"))
    if tuple(map(int, version.split(".")[:2])) < LEAST_REDIS:
        wrong.append(f"version {version} is too old: {LEAST_REDIS[0]}.{LEAST_REDIS[1]} or newer is needed")
    if memory.get("maxmemory") and policy != "noeviction":
        wrong.append(f"maxmemory-policy is {policy}, which forgets limits when it is full: set noeviction")
    return version, "; ".join(filter(None, wrong))


# --- Kafka ---


async def kafka(found: Targets) -> AsyncIterator[Diagnosis]:
    """Each broker, whether the cluster lets this user in, and each topic that is not as topics.py and the settings say."""
    for broker in found.brokers:
        yield await _broker(broker)
    if not found.brokers:
        return
    from orderhub_chassis.bus.kafka import catalogue
    from orderhub_chassis.bus.kafka.cluster import Cluster

    try:
        cluster = Cluster.of(KAFKA + ",".join(found.brokers), settings.loaded())
    except Refused:  # named by doctor's line about the settings
        return
    try:
        brokers = cluster.admin()
        there = await brokers.ask(lambda client: client.list_topics(timeout=SECONDS))
        differing = await catalogue.differences(cluster, brokers)
    except (Unavailable, SettingsError) as error:
        yield Diagnosis(
            "Kafka",
            "",
            f"{error}: look at ORDERHUB_BUS and ORDERHUB_KAFKA_SECURITY, _USERNAME, _PASSWORD, _CA",
        )
        return
    yield Diagnosis("Kafka", f"cluster {there.cluster_id} of {len(there.brokers)} brokers")
    missing = [one for one in differing if one.missing]
    if missing:
        names = ", ".join(one.topic for one in missing)
        yield Diagnosis("Kafka topics", "", f"missing: {names}: run `orderhub migrate`")
    for one in differing:
        if not one.missing:
            tool = (
                "look at the brokers"
                if one.leaderless
                else "mend it by kafka-configs or kafka-reassign-partitions"
            )
            yield Diagnosis("Kafka topics", "", f"{one}: {tool}")
    if not differing:
        yield Diagnosis(
            "Kafka topics", "all there, with the partitions, copies and retention that they should have"
        )


async def _broker(broker: str) -> Diagnosis:
    host, _, port = broker.rpartition(":")
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.close()
        return Diagnosis(f"Kafka at {broker}", "listens")
    except (OSError, TimeoutError, ValueError) as error:
        return Diagnosis(f"Kafka at {broker}", "", f"{broker}: {outages.explain(error).words}")


# --- what speaks HTTP ---


async def pages(found: Targets) -> AsyncIterator[Diagnosis]:
    """ClickHouse: an answer below 500 is one."""
    for variable, url in found.pages:
        yield Diagnosis(variable, *await asyncio.to_thread(_answered, url))


def _answered(url: str) -> tuple[str, str]:
    where = outages.place(url)
    try:
        status = _status(url)
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        return "", f"{where}: {outages.explain(reason if isinstance(reason, Exception) else error).words}"
    if status >= 500:
        return "", f"{where}: answers {status}: look into its log"
    return f"{where} answers", ""


def _status(url: str) -> int:
    """Without the proxies of the surroundings, which the services do not use either."""
    page, _, query = url.partition("?")
    context = _tls(dict(parse_qsl(query)))
    try:
        with direct.opener(context).open(page, timeout=SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        return int(answer.code)


def _tls(given: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=given.get("sslrootcert"))
    if certificate := given.get("sslcert"):
        context.load_cert_chain(certificate, given.get("sslkey"))
    return context


# --- identity providers ---


async def of_issuers(found: Targets) -> AsyncIterator[Diagnosis]:
    for one in issuers.configured(found.given):
        yield Diagnosis(f"issuer {one.issuer}", *await issuers.judged(one))


# --- all ---

REFUSES: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
BACKENDS: Final[tuple[Callable[[Targets], AsyncIterator[Diagnosis]], ...]] = (
    postgres,
    of_redis,
    kafka,
    pages,
    of_issuers,
)


def _skew(said: datetime, asked_at: datetime) -> str:
    """What is wrong with a server's clock, or with ours."""
    if asked_at - MOST_SKEW <= said <= datetime.now(UTC) + MOST_SKEW:
        return ""
    off = (said - asked_at).total_seconds()
    ahead = "ahead of" if off > 0 else "behind"
    return f"its clock is {abs(off):.0f} s {ahead} this machine's: let both be set by NTP"


async def _all(found: Targets) -> list[Diagnosis]:
    return [diagnosis for look in BACKENDS async for diagnosis in look(found)]


def look(place: home.Home) -> list[Diagnosis]:
    """Everything about the servers. Settings that cannot be read are named by another part of `doctor`."""
    try:
        found = targets(place)
    except Refused:
        return []
    return asyncio.run(_all(found))
