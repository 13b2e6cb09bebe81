"""Where the brokers are, how to speak to them, and what their client library reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

import confluent_kafka as kafka
from confluent_kafka import admin

from orderhub_chassis.errors import Unavailable
from orderhub_chassis.settings import KAFKA, KafkaSettings, SettingsError
from orderhub_chassis.telemetry import log

T = TypeVar("T")
ANSWER_SECONDS: Final = 10.0
"""How long a question to the brokers may take."""
TTL: Final = timedelta(seconds=10)
PATIENCE: Final = timedelta(seconds=10)
MOVING: Final = (
    kafka.KafkaError.NOT_LEADER_FOR_PARTITION,
    kafka.KafkaError.LEADER_NOT_AVAILABLE,
    kafka.KafkaError.UNKNOWN_TOPIC_OR_PART,
    kafka.KafkaError._UNKNOWN_PARTITION,
    kafka.KafkaError.FENCED_LEADER_EPOCH,
    kafka.KafkaError.UNKNOWN_LEADER_EPOCH,
    kafka.KafkaError.NOT_COORDINATOR,
    kafka.KafkaError.COORDINATOR_NOT_AVAILABLE,
    kafka.KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
"""What brokers answer for the moment in which a topic is new or its leader another."""
CONNECTIONS: Final = {
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1000,
    # A minute by default, for which a commit to a broker that hangs would keep everything waiting.
    "socket.timeout.ms": 10_000,
}


class _Lines:
    """librdkafka's own log lines, which would go to stderr as they are, in ours. Its levels are syslog's."""

    def log(self, level: int, text: str, *arguments: Any) -> None:
        log("kafka").info("kafka.client", line=text % arguments if arguments else text, level=level)


@dataclass(frozen=True, slots=True)
class Cluster:
    """`servers` is `host:port,…`; `options` are librdkafka's own (security.protocol, sasl.*, ssl.*).

    Names of topics and groups carry `prefix`, so that several installations can share brokers. `replication` is how many
    copies of a topic are made. `ttl` is how long a member may be silent before its partitions go to others, `patience` how
    long a publish waits to be acknowledged.
    """

    servers: str
    options: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    replication: int = 3
    ttl: timedelta = TTL
    patience: timedelta = PATIENCE

    @classmethod
    def of(cls, bus: str, settings: KafkaSettings) -> Cluster:
        """`bus` is kafka://host:port,…; the rest is in the settings."""
        options = {"security.protocol": settings.kafka_security} | _login(settings) | _certificates(settings)
        return cls(
            bus.removeprefix(KAFKA), options, settings.kafka_prefix, settings.kafka_replication,
            settings.kafka_session_timeout,
        )  # fmt: skip

    def client(self, name: str, **more: Any) -> dict[str, Any]:
        """Options of any client."""
        return {
            "bootstrap.servers": self.servers, "client.id": name, "logger": _Lines(), "log_level": 3, "log.connection.close": False,
            **CONNECTIONS, **self.options, **more,
        }  # fmt: skip

    def admin(self) -> Administration:
        return Administration(self)


def _login(settings: KafkaSettings) -> dict[str, str]:
    if not settings.kafka_security.startswith("sasl") or settings.kafka_password is None:
        return {}
    return {
        "sasl.mechanism": settings.kafka_mechanism,
        "sasl.username": settings.kafka_username,
        "sasl.password": settings.kafka_password.get_secret_value(),
    }


def _certificates(settings: KafkaSettings) -> dict[str, str]:
    password = settings.kafka_key_password.get_secret_value() if settings.kafka_key_password else ""
    found = {
        "ssl.ca.location": settings.kafka_ca,
        "ssl.certificate.location": settings.kafka_certificate,
        "ssl.key.location": settings.kafka_key,
        "ssl.key.password": password,
    }
    return {name: value for name, value in found.items() if value}


async def answered(question: Callable[[], T]) -> T:
    """Asked again while leaders move. The question blocks, so it runs beside the loop. Raises KafkaException."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ANSWER_SECONDS
    while True:
        try:
            return await asyncio.to_thread(question)
        except kafka.KafkaException as error:
            if error.args[0].code() not in MOVING or loop.time() > deadline:
                raise
        await asyncio.sleep(0.1)


class Administration:
    """Questions to the brokers. It remembers why connections failed, which an answer
    that never came does not say.

    Raises SettingsError for what the client library cannot work with, such as a file that holds no certificate.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._reason = ""
        try:
            self._client = admin.AdminClient(cluster.client("orderhub", error_cb=self._note))
        except kafka.KafkaException as error:
            raise SettingsError(f"ORDERHUB_KAFKA_*: {error.args[0].str()}") from error

    def _note(self, error: kafka.KafkaError) -> None:
        if error.code() != kafka.KafkaError._ALL_BROKERS_DOWN:
            self._reason = error.str()

    async def ask(self, question: Callable[[admin.AdminClient], T]) -> T:
        """Raises Unavailable."""
        try:
            return await answered(lambda: question(self._client))
        except kafka.KafkaException as error:
            raise await self._explained(error.args[0]) from error

    async def _explained(self, error: kafka.KafkaError) -> Unavailable:
        await asyncio.to_thread(self._client.poll, 0.1)
        reason = f" ({self._reason})" if self._reason else ""
        return Unavailable(f"{unavailable(error).detail}{reason}")


def unavailable(error: Any) -> Unavailable:
    return Unavailable(f"Kafka: {error.str() if isinstance(error, kafka.KafkaError) else error}")
