"""The publishing side: an idempotent producer that leaves no gap and gives up nothing by itself.

What it cannot deliver within the cluster's `patience` it throws away and says so; the relay then begins again with the
first row that is not acknowledged. What arrives twice so carries the same batch id and index, and the inbox drops it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import confluent_kafka as kafka

from orderhub_chassis import messages
from orderhub_chassis.bus.kafka.attributes import headers_of
from orderhub_chassis.bus.kafka.cluster import Cluster, unavailable
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.messages import OutboxBatch

OPTIONS: Final[dict[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    # Nothing later may overtake what is not delivered: an error ends this producer instead.
    "enable.gapless.guarantee": True,
    "message.timeout.ms": 0,
    "delivery.report.only.error": True,
    # The end of a publish flushes; until then what comes together travels together.
    "linger.ms": 5,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 200_000,
}


class Producer:
    """One publish at a time, in a thread of its own: the client library waits there, and the loop goes on."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._seconds = cluster.patience.total_seconds()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-producer")
        self._client: kafka.Producer | None = None
        self._away = ""

    async def publish(self, batches: Sequence[OutboxBatch]) -> None:
        """Returns when all of it is acknowledged by all in-sync replicas. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._publish, batches)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown(wait=False)

    def _publish(self, batches: Sequence[OutboxBatch]) -> None:
        client = self._client = self._client or kafka.Producer(
            self._cluster.client(self._name, error_cb=self._on_error, **OPTIONS)
        )
        refused: list[kafka.KafkaError] = []
        try:
            self._produce(client, batches, refused)
            left = client.flush(self._seconds)
            if refused:
                raise unavailable(refused[0])
            if left:
                raise Unavailable(
                    f"Kafka: {left} messages are not acknowledged after {self._seconds:g} s{self._reason()}"
                )
            self._away = ""
        except (Unavailable, kafka.KafkaException, BufferError) as error:
            self._drop()
            if isinstance(error, Unavailable):
                raise
            raise unavailable(error.args[0]) from error

    def _produce(
        self, client: kafka.Producer, batches: Sequence[OutboxBatch], refused: list[kafka.KafkaError]
    ) -> None:
        """`refused` is this publish's own: what a producer that was dropped reports late concerns no other."""

        def on_delivery(error: kafka.KafkaError | None, _: Any) -> None:
            if error is not None:
                refused.append(error)

        for batch in batches:
            topic = self._cluster.prefix + batch.topic.name
            for part in messages.unpack(batch.data).parts:
                for record in messages.batch_from_bytes(part.batch).records:
                    client.produce(
                        topic, record.payload, record.key.encode(), part.partition, on_delivery,
                        timestamp=record.time_us // 1000, headers=headers_of(record),
                    )  # fmt: skip
            client.poll(0)

    def _on_error(self, error: kafka.KafkaError) -> None:
        self._away = error.str()

    def _reason(self) -> str:
        return f": {self._away}" if self._away else ""

    def _drop(self) -> None:
        """Forget the producer and all that it holds."""
        client, self._client, self._away = self._client, None, ""
        if client is not None:
            with contextlib.suppress(kafka.KafkaException):
                client.purge()
                client.flush(0)
