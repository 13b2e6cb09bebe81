"""Debezium's connectors for `ORDERHUB_RELAY=cdc`: one per service's database, made from the tables as they are.

The outbox event router takes a message's topic, partition, key, payload and attributes from the columns that the chassis
writes, so that what it publishes is what the service's own relay would.
"""

from __future__ import annotations

import asyncio
import functools
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from orderhub_chassis import cdc, driver

from orderhub import direct, topology
from orderhub.exits import Refused
from orderhub.reach import Reach
from orderhub.settings import Settings

READY_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 30
HEARTBEAT_MS: Final = 10_000
HEARTBEAT: Final = "orderhub-heartbeat"
CONVERTERS: Final[Mapping[str, str]] = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    # A payload goes as it is; the heartbeats, which are no bytes, as JSON.
    "value.converter": "io.debezium.converters.BinaryDataConverter",
    "value.converter.delegate.converter.type": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.delegate.converter.type.schemas.enable": "false",
    "header.converter": "org.apache.kafka.connect.storage.StringConverter",
}
ROUTER: Final[Mapping[str, str]] = {
    "transforms": "outbox,spec,content",
    "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
    "transforms.outbox.table.field.event.id": "ce_id",
    "transforms.outbox.table.field.event.key": "key",
    "transforms.outbox.table.field.event.payload": "payload",
    "transforms.outbox.table.fields.additional.placement": ",".join(
        ["partition:partition", *(f"{name}:header" for name in cdc.COLUMNS)]
    ),
    "transforms.outbox.route.by.field": "topic",
    "transforms.spec.type": "org.apache.kafka.connect.transforms.InsertHeader",
    "transforms.spec.header": "ce_specversion",
    "transforms.spec.value.literal": "1.0",
    "transforms.content.type": "org.apache.kafka.connect.transforms.InsertHeader",
    "transforms.content.header": "content-type",
    "transforms.content.value.literal": "application/protobuf",
}
# A heartbeat is no message of ours: the routing must leave it alone.
ONLY_EVENTS: Final[Mapping[str, str]] = {
    f"transforms.{name}.predicate": "heartbeat" for name in ("outbox", "spec", "content")
} | {
    f"transforms.{name}.negate": "true" for name in ("outbox", "spec", "content")
}  # fmt: skip
CERTIFICATES: Final[Mapping[str, str]] = {
    "sslmode": "database.sslmode",
    "sslrootcert": "database.sslrootcert",
    "sslcert": "database.sslcert",
    "sslkey": "database.sslkey",
    "sslpassword": "database.sslpassword",
}
"""Parameter of a database's URL → the connector's. The files have to lie at the same place where Kafka Connect runs."""


def configuration(database: str, url: str, prefix: str) -> dict[str, str]:
    """The connector of one service's database; `prefix` is that of the installation's topics."""
    service = database.removeprefix("orderhub_")
    parts = urlsplit(url)
    given = parse_qsl(parts.query)
    heartbeats = f"{prefix}{HEARTBEAT}"
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": parts.hostname or "localhost",
        "database.port": str(parts.port or 5432),
        "database.user": unquote(parts.username or ""),
        "database.password": unquote(parts.password or ""),
        "database.dbname": database,
        "database.sslmode": "prefer",
        **{CERTIFICATES[name]: value for name, value in given if name in CERTIFICATES},
        "plugin.name": "pgoutput",
        "slot.name": cdc.slot_of(service),
        "publication.name": cdc.slot_of(service),
        "publication.autocreate.mode": "filtered",
        "table.include.list": "public.outbox_events",
        "topic.prefix": f"{prefix}orderhub.{service}",
        "binary.handling.mode": "bytes",
        "tombstones.on.delete": "false",
        "skipped.operations": "u,d,t",
        "snapshot.mode": "initial",
        "poll.interval.ms": "10",
        "heartbeat.interval.ms": str(HEARTBEAT_MS),
        "topic.heartbeat.prefix": heartbeats,
        "topic.creation.default.replication.factor": "-1",
        "topic.creation.default.partitions": "1",
        # What is read by nobody moves the slot of a database in which nothing else happens.
        "heartbeat.action.query": f"select pg_logical_emit_message(false, '{HEARTBEAT}', '')",
        "message.prefix.exclude.list": HEARTBEAT,
        "predicates": "heartbeat",
        "predicates.heartbeat.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.heartbeat.pattern": heartbeats.replace(".", "[.]") + ".*",
        # With idempotence up to five may be under way, and yet nothing overtakes.
        "producer.override.acks": "all",
        "producer.override.enable.idempotence": "true",
        "producer.override.max.in.flight.requests.per.connection": "5",
        "errors.tolerance": "none",
        **CONVERTERS,
        **ROUTER,
        **ONLY_EVENTS,
        "transforms.outbox.route.topic.replacement": prefix + "${routedByValue}",
    }  # fmt: skip


def all_of(reach: Reach, prefix: str) -> dict[str, dict[str, str]]:
    """Connector's name → its configuration, with the database's password."""
    return {
        f"{prefix}{database}": configuration(database, reach.dsn(database), prefix)
        for database in topology.WITH_OUTBOX
    }


async def register(reach: Reach, settings: Settings) -> None:
    """Make or update all connectors, and wait until each reads its log. Raises Refused."""
    if settings.connect_url is None:
        raise Refused(
            "ORDERHUB_CONNECT_URL: is required with ORDERHUB_RELAY=cdc: the REST address of Kafka Connect"
        )
    if settings.database_url is None:
        raise Refused(
            "ORDERHUB_DATABASE_URL: is required with ORDERHUB_RELAY=cdc: a server with wal_level=logical that Kafka Connect"
            " can reach"
        )
    if driver.address(settings.database_url.get_secret_value()).pooled:
        raise Refused(
            "ORDERHUB_DATABASE_URL: a pooler passes no replication on: with ORDERHUB_RELAY=cdc name the server"
        )
    wanted, url = all_of(reach, settings.kafka_prefix), settings.connect_url
    deadline = asyncio.get_running_loop().time() + READY_SECONDS
    for name, config in wanted.items():
        await _until_none(functools.partial(_made, url, name, config), name, deadline)
    for name in wanted:
        await _until_none(functools.partial(_trouble, url, name), name, deadline)


async def _until_none(trouble: Callable[[], str | None], name: str, deadline: float) -> None:
    """Ask, beside the loop, until there is no trouble. Raises Refused."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            found = await asyncio.to_thread(trouble)
        except Rebalancing as error:
            found = str(error)
        if found is None:
            return
        if loop.time() > deadline:
            raise Refused(f"Kafka Connect: {name} does not run after {READY_SECONDS:.0f} s: {found}")
        await asyncio.sleep(PAUSE_SECONDS)


class Rebalancing(Exception):
    """Kafka Connect's workers agree on who does what, as they do after each connector that is new: ask again."""


def _made(url: str, name: str, config: Mapping[str, str]) -> None:
    _ask(url, f"connectors/{name}/config", config)


def _trouble(url: str, name: str) -> str | None:
    """Why the connector does not run yet; a task that has failed is started again, as it may have failed before."""
    tasks = _ask(url, f"connectors/{name}/status").get("tasks", [])
    failed = [task["trace"] for task in tasks if task["state"] == "FAILED"]
    if failed:
        _ask(url, f"connectors/{name}/restart?includeTasks=true&onlyFailed=true", {})
        return "; ".join(line for line in failed[0].splitlines() if not line.startswith("\t"))
    if tasks and all(task["state"] == "RUNNING" for task in tasks):
        return None
    return ", ".join(task["state"] for task in tasks) or "it has no task"


def _ask(url: str, path: str, body: Mapping[str, str] | None = None) -> Any:
    """A GET; with a body a PUT, or a POST where it is empty."""
    method = "GET" if body is None else "PUT" if body else "POST"
    request = urllib.request.Request(
        f"{url.rstrip('/')}/{path}", json.dumps(body).encode() if body else None,
        {"Content-Type": "application/json"}, method=method,
    )  # fmt: skip
    try:
        with direct.opener().open(request, timeout=ANSWER_SECONDS) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        if error.code == 404 and body is None:  # a connector that was just made
            return {}
        said = error.read().decode(errors="replace")[:500]
        if error.code == 409:
            raise Rebalancing(said) from error
        raise Refused(f"ORDERHUB_CONNECT_URL: Kafka Connect refused {path}: {said}") from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an answer that is no JSON
        raise Refused(f"ORDERHUB_CONNECT_URL: Kafka Connect cannot be reached: {error}") from error
