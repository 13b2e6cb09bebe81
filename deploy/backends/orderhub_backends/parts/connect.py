"""Kafka Connect, distributed with one worker, with Debezium's connector for PostgreSQL."""

from __future__ import annotations

from .. import probes
from ..processes import Program
from ..room import LOOPBACK, Part, Plan, Room, properties
from .jvm import java

HEAP_MEGABYTES = 384
CONNECTOR = "io.debezium.connector.postgresql.PostgresConnector"


def _plan(room: Room) -> Plan:
    port = room.port("connect")
    values: dict[str, object] = {
        "bootstrap.servers": room.others["kafka"]["servers"],
        "group.id": "connect",
        "listeners": f"http://{LOOPBACK}:{port}",
        "rest.advertised.host.name": LOOPBACK,
        "plugin.path": room.pins["debezium"],
        "plugin.discovery": "service_load",
        "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "offset.flush.interval.ms": 1000,
        # One worker: nobody else is waited for when it comes back.
        "scheduled.rebalance.max.delay.ms": 0,
    }
    for kind in ("config", "offset", "status"):
        values[f"{kind}.storage.topic"] = f"connect.{kind}"
        values[f"{kind}.storage.replication.factor"] = 3
    values |= {"offset.storage.partitions": 5, "status.storage.partitions": 1}
    configuration = room.write("connect.properties", properties(values))

    def ready() -> None:
        probes.http_says(port, "/health")()
        probes.http_says(port, "/connector-plugins", CONNECTOR)()

    main = "org.apache.kafka.connect.cli.ConnectDistributed"
    argv = [*java(room.pins["connect"] / "files", HEAP_MEGABYTES), main, str(configuration)]
    return Plan([Program("connect", argv, ready)], {"url": f"http://{LOOPBACK}:{port}"})


CONNECT = Part("connect", ("connect", "debezium"), _plan, needs=("kafka", "postgres15"))
