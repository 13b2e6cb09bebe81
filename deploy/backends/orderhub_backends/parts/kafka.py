"""Kafka in KRaft mode, each process broker and controller at once: three, one, and one behind TLS and SCRAM."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

from .. import machine, probes
from ..certificates import certificate
from ..processes import Program
from ..room import LOOPBACK, Part, Plan, Room, properties
from .jvm import java

NODES = (1, 2, 3)
HEAP_MEGABYTES = 384
USER, SCRAM = "orderhub", "SCRAM-SHA-512"
LOGIN = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="{}" password="{}";'
# What tests need to be quick, and what nobody should meet for the first time in production: replication for real, no
# topic by accident.
FOR_TESTS = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 500,
    "offsets.topic.num.partitions": 12,
    "transaction.state.log.num.partitions": 6,
    # A killed broker is missed after two seconds instead of nine.
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 500,
    "log.retention.check.interval.ms": 10_000,
}


def replicated(copies: int, insync: int) -> dict[str, object]:
    return {
        "default.replication.factor": copies,
        "min.insync.replicas": insync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": insync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": insync,
    }


def formatted(room: Room, node: int, configuration: Path, *more: str) -> None:
    """Writes the cluster's id into the log folder of a node, once."""
    if (room.folder / f"data-{node}" / "meta.properties").exists():
        return
    argv = [*java(room.pins["kafka"] / "files", 256), "kafka.tools.StorageTool", "format"]
    # One word: an id may begin with a dash.
    argv += [f"--cluster-id={cluster_id(room)}", "-c", str(configuration), *more]
    machine.run(argv, what=f"formatting the log folder of Kafka node {node}")


def cluster_id(room: Room) -> str:
    """Kafka's form of a UUID: its bytes in base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(uuid.UUID(room.secret("cluster")).bytes).decode().rstrip("=")


def _configuration(room: Room, node: int) -> Path:
    voters = ",".join(f"{one}@{LOOPBACK}:{room.port(f'controller-{one}')}" for one in NODES)
    client = f"PLAINTEXT://{LOOPBACK}:{room.port(f'kafka-{node}')}"
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{client},CONTROLLER://{LOOPBACK}:{room.port(f'controller-{node}')},"
        f"PROXIED://{LOOPBACK}:{room.port(f'behind-{node}')}",
        "advertised.listeners": f"{client},PROXIED://{LOOPBACK}:{room.port(f'proxied-{node}')}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": room.folder / f"data-{node}",
        **replicated(3, 2),
        **FOR_TESTS,
    }
    return room.write(f"kafka-{node}.properties", properties(values))


def _broker(room: Room, node: int) -> Program:
    configuration = _configuration(room, node)
    formatted(room, node, configuration)
    port = room.port(f"kafka-{node}")
    return Program(
        f"kafka-{node}",
        [*java(room.pins["kafka"] / "files", HEAP_MEGABYTES), "kafka.Kafka", str(configuration)],
        ready=probes.kafka(port, {port}),
        grace_seconds=10.0,
    )


def _cluster(room: Room) -> Plan:
    """Clients of `proxied` find nobody there until a test listens and passes on to `behind`: brokers tell their clients
    where to come, so a way that can be troubled has to be one that they tell.
    """
    ports = [room.port(f"kafka-{node}") for node in NODES]

    def servers(name: str) -> str:
        return ",".join(f"{LOOPBACK}:{room.port(f'{name}-{node}')}" for node in NODES)

    def all_see_all() -> None:
        for port in ports:
            probes.kafka(port, set(ports))()

    return Plan(
        [_broker(room, node) for node in NODES],
        {"servers": servers("kafka"), "proxied": servers("proxied"), "behind": servers("behind")},
        ready=all_see_all,
    )


def _secure(room: Room) -> Plan:
    """Who talks to it, itself included, does so over TLS and with a password."""
    port, controller, password = room.port("kafka-secure"), room.port("controller"), room.secret("password")
    tls = certificate(room)
    keys = room.write("tls/keystore.pem", tls.key.read_text() + tls.chain.read_text())
    client = f"SASL_SSL://{LOOPBACK}:{port}"
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{client},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": client,
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.enabled.mechanisms": SCRAM,
        "sasl.mechanism.inter.broker.protocol": SCRAM,
        f"listener.name.sasl_ssl.{SCRAM.lower()}.sasl.jaas.config": LOGIN.format(USER, password),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": keys,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": tls.ca,
        "log.dirs": room.folder / "data-1",
        **replicated(1, 1),
        **FOR_TESTS,
    }
    configuration = room.write("kafka-secure.properties", properties(values))
    formatted(room, 1, configuration, "--add-scram", f"{SCRAM}=[name={USER},password={password}]")
    program = Program(
        "kafka-secure",
        [*java(room.pins["kafka"] / "files", HEAP_MEGABYTES), "kafka.Kafka", str(configuration)],
        ready=probes.kafka_secure(port, tls.ca),
        grace_seconds=10.0,
    )
    address = {"servers": f"{LOOPBACK}:{port}", "ca": str(tls.ca), "user": USER, "password": password}
    return Plan([program], address)


def _single(room: Room) -> Plan:
    """No copies: what brokers cost without any of each other's work."""
    port, controller = room.port("kafka-single"), room.port("controller")
    client = f"PLAINTEXT://{LOOPBACK}:{port}"
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{client},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": client,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": room.folder / "data-1",
        **replicated(1, 1),
        **FOR_TESTS,
    }
    configuration = room.write("kafka-single.properties", properties(values))
    formatted(room, 1, configuration)
    argv = [*java(room.pins["kafka"] / "files", HEAP_MEGABYTES), "kafka.Kafka", str(configuration)]
    program = Program("kafka-single", argv, ready=probes.kafka(port, {port}), grace_seconds=10.0)
    return Plan([program], {"servers": f"{LOOPBACK}:{port}"})


KAFKA = Part("kafka", ("kafka",), _cluster)
KAFKA_SINGLE = Part("kafka-single", ("kafka",), _single)
KAFKA_SECURE = Part("kafka-secure", ("kafka",), _secure)
