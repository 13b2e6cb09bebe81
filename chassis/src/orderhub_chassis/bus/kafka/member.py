"""One member of a consumer group.

The client library is driven by a thread of its own: it fetches ahead, answers rebalances while messages are worked on, and
commits. A partition that another member should have is given up when nothing of it is under way here; one that the brokers
have taken away is dropped at once. A member whose event loop stands still steps aside, as it can neither work nor say so.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import confluent_kafka as kafka
from orderhub_contracts.topics import Topic

from orderhub_chassis import hints
from orderhub_chassis.bus.kafka.cluster import ANSWER_SECONDS, Cluster, unavailable
from orderhub_chassis.bus.kafka.records import deliveries_of
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.messages import Delivery
from orderhub_chassis.telemetry import log

COMMIT_EVERY: Final = 0.25
"""Seconds between the commits of a member's positions; what is delivered again meanwhile, the inbox drops."""
ROUND_SECONDS: Final = 0.05
FETCHED_AT_ONCE: Final = 2000
BUFFERED_MOST: Final = 10_000
"""Messages that wait here; above that the partitions are paused until half of them are gone."""
PROBE_EVERY: Final = 0.5
REBALANCING: Final = (
    kafka.KafkaError.ILLEGAL_GENERATION,
    kafka.KafkaError.REBALANCE_IN_PROGRESS,
    kafka.KafkaError.UNKNOWN_MEMBER_ID,
)
"""What a commit is answered while the group is dividing its partitions anew."""

Place = tuple[str, int]
"""Topic as the brokers have it, and partition."""


class _Rebalancing(Exception):
    """Offsets could not be written as the group is changing."""


@dataclass(slots=True)
class Held:
    """A partition that this member holds; offsets are the first not yet delivered, confirmed by the caller, written."""

    generation: int
    delivered: int = -1
    confirmed: int = -1
    written: int = -1
    fresh: bool = True
    leaving: bool = False

    @property
    def busy(self) -> bool:
        return self.confirmed < self.delivered


class KafkaConsumer:
    """See `bus.base.Consumer`; `join` and `leave` are the bus's to call."""

    def __init__(self, cluster: Cluster, group: str, member: str, topics: Sequence[Topic]) -> None:
        self._cluster = cluster
        self._member = member
        self._names = [cluster.prefix + topic.name for topic in topics]
        self._ttl = cluster.ttl.total_seconds()
        self._client = kafka.Consumer(cluster.client(member, **self._options(cluster.prefix + group)))
        self._thread = threading.Thread(target=self._live, name=f"kafka-{group}", daemon=True)
        # What both threads touch, under `_changed`.
        self._changed = threading.Condition()
        self._held: dict[Place, Held] = {}
        self._buffer: deque[tuple[int, Any]] = deque()
        self._generations = 0
        self._firsts: list[asyncio.Future[None]] = []
        self._trouble = ""
        self._died: Exception | None = None
        # The loop's side.
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._interrupted = False
        self._gone = asyncio.Event()
        # The thread's side.
        self._leaving = False
        self._aside = False
        self._paused = False
        self._assigned_anew = False
        self._loop_seen = self._committed_at = self._probed_at = time.monotonic()
        self._beat_asked = False

    def _options(self, group: str) -> dict[str, Any]:
        ttl_ms = int(self._ttl * 1000)
        return {
            "group.id": group,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": ttl_ms,
            "heartbeat.interval.ms": max(100, ttl_ms // 4),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
            "fetch.error.backoff.ms": 50,
            "queued.max.messages.kbytes": 16 * 1024,
            "error_cb": self._on_error,
        }

    # --- the loop's side -------------------------------------------------------------------------------------------

    def join(self) -> None:
        self._thread.start()

    async def leave(self) -> None:
        """Commit, give the partitions back, and end the thread."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        await self._gone.wait()
        await asyncio.to_thread(self._thread.join)

    async def poll(self, max_records: int, timeout: float) -> list[Delivery]:
        deadline = self._loop.time() + timeout
        while True:
            self._woken.clear()
            found = self._take(max_records)
            if found:
                return list(deliveries_of(found, self._cluster.prefix))
            self._require_well()
            left = deadline - self._loop.time()
            if self._interrupted or left <= 0:
                return []
            await hints.wait(self._woken, left)

    def _take(self, most: int) -> list[Any]:
        found: list[Any] = []
        with self._changed:
            while self._buffer and len(found) < most:
                generation, message = self._buffer.popleft()
                held = self._held.get((message.topic(), message.partition()))
                if held is None or held.generation != generation or held.leaving:
                    continue
                if held.delivered < 0:
                    held.confirmed = message.offset()
                held.delivered = message.offset() + 1
                found.append(message)
        return found

    def _require_well(self) -> None:
        if self._died is not None:
            raise self._died
        if self._trouble:
            raise Unavailable(self._trouble)

    def interrupt(self) -> None:
        self._interrupted = True
        self._woken.set()

    def holds(self, delivery: Delivery) -> bool:
        """No only where the partition will be delivered anew: who is told so forgets what it has of it."""
        held = self._held.get(self._place(delivery))
        return held is not None and delivery.position < held.delivered

    def fresh_since_assignment(self, delivery: Delivery) -> bool:
        held = self._held.get(self._place(delivery))
        return held is None or held.fresh

    def _place(self, delivery: Delivery) -> Place:
        return self._cluster.prefix + delivery.topic, delivery.partition

    async def commit(self, deliveries: Sequence[Delivery]) -> None:
        """Collected, and written by the thread; the first of a lease at once, as what follows may kill the process."""
        durable: asyncio.Future[None] | None = None
        with self._changed:
            for delivery in deliveries:
                held = self._held.get(self._place(delivery))
                if held is None or delivery.position >= held.delivered:
                    continue
                held.confirmed = max(held.confirmed, delivery.position + 1)
                if held.fresh:
                    held.fresh = False
                    durable = durable or self._loop.create_future()
            if durable is not None:
                self._firsts.append(durable)
            self._changed.notify_all()
        if durable is not None:
            await durable

    # --- the thread's side -----------------------------------------------------------------------------------------

    def _live(self) -> None:
        try:
            self._subscribe()
            while not self._leaving:
                self._round()
            self._write_commits()
        except Exception as error:  # noqa: BLE001 - raised to whoever polls
            log("bus").error("bus.member_died", member=self._member, exc_info=error)
            self._died = error
        finally:
            self._end()

    def _end(self) -> None:
        self._leaving = True
        try:
            self._client.close()
        except (kafka.KafkaException, RuntimeError) as error:
            log("bus").warning("bus.leave_failed", member=self._member, error=str(error))
        with self._changed:
            self._held.clear()
            self._buffer.clear()
        self._settle_firsts(Unavailable(f"Kafka: {self._member} has left the group"))
        self._tell(self._gone.set)
        self._tell(self._woken.set)

    def _subscribe(self) -> None:
        self._client.subscribe(
            self._names, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _round(self) -> None:
        self._watch_loop()
        if self._aside:
            self._client.poll(ROUND_SECONDS)  # leaving the group is answered here as well
            return
        self._fetch()
        self._hold_back()
        now = time.monotonic()
        if self._firsts or now - self._committed_at >= COMMIT_EVERY:
            self._committed_at = now
            self._write_commits()
        if self._trouble and now - self._probed_at >= PROBE_EVERY:
            self._probe()

    def _fetch(self) -> None:
        """What is there as soon as anything is: `consume` alone would wait until it has as many as asked.

        The first is kept before more is asked for, as its partition may come anew meanwhile, from an earlier offset.
        """
        first = self._client.poll(ROUND_SECONDS)
        if first is not None:
            self._keep([first])
            self._keep(self._client.consume(FETCHED_AT_ONCE, 0))

    def _keep(self, found: list[Any]) -> None:
        with self._changed:
            for message in found:
                if (error := message.error()) is not None:
                    self._on_error(error)
                    continue
                held = self._held.get((message.topic(), message.partition()))
                if held is not None and not held.leaving:
                    self._trouble = ""
                    self._buffer.append((held.generation, message))
        self._tell(self._woken.set)

    def _hold_back(self) -> None:
        """What is paused stays so over a rebalance, and what that brings is not paused."""
        waiting = len(self._buffer)
        if waiting > BUFFERED_MOST and (self._assigned_anew or not self._paused):
            self._paused, self._assigned_anew = True, False
            self._client.pause(self._client.assignment())
        elif self._paused and waiting < BUFFERED_MOST // 2:
            self._paused = False
            self._client.resume(self._client.assignment())

    def _write_commits(self) -> None:
        with self._changed:
            pending = {
                place: held.confirmed for place, held in self._held.items() if held.confirmed > held.written
            }
        failure: Unavailable | None = None
        if pending:
            try:
                failure = self._commit_offsets(pending)
            except _Rebalancing:
                return  # the next round writes what is still held then
        with self._changed:
            if failure is None:
                for place, offset in pending.items():
                    if (held := self._held.get(place)) is not None:
                        held.written = max(held.written, offset)
        self._settle_firsts(failure)

    def _commit_offsets(self, pending: dict[Place, int]) -> Unavailable | None:
        offsets = [
            kafka.TopicPartition(topic, partition, offset) for (topic, partition), offset in pending.items()
        ]
        try:
            answers = self._client.commit(offsets=offsets, asynchronous=False)
        except kafka.KafkaException as error:
            return self._not_committed(error.args[0])
        wrong = next((answer.error for answer in answers or () if answer.error is not None), None)
        return self._not_committed(wrong) if wrong is not None else None

    def _not_committed(self, error: kafka.KafkaError) -> Unavailable:
        if error.code() in REBALANCING:
            raise _Rebalancing
        log("bus").warning("bus.commit_failed", member=self._member, error=error.str())
        return unavailable(error)

    def _settle_firsts(self, failure: Unavailable | None) -> None:
        with self._changed:
            waiting, self._firsts = self._firsts, []
        for future in waiting:
            self._tell(_settle, future, failure)

    def _tell(self, call: Any, *arguments: Any) -> None:
        """Run something in the loop; one that is closed has nobody who waits."""
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            log("bus").debug("bus.loop_closed", member=self._member)

    # --- rebalances ------------------------------------------------------------------------------------------------

    def _on_assign(self, _: Any, partitions: list[Any]) -> None:
        with self._changed:
            for partition in partitions:
                self._generations += 1
                self._held[partition.topic, partition.partition] = Held(self._generations)
            self._trouble, self._assigned_anew = "", True

    def _on_revoke(self, _: Any, partitions: list[Any]) -> None:
        """Others should have these: let what is under way end, and commit it."""
        places = [(partition.topic, partition.partition) for partition in partitions]
        with self._changed:
            for place in places:
                if place in self._held:
                    self._held[place].leaving = True
        while self._any_busy(places):
            self._watch_loop()
            with self._changed:
                self._changed.wait(ROUND_SECONDS)
        if not self._aside:
            self._write_commits()
        self._drop(places)

    def _any_busy(self, places: list[Place]) -> bool:
        if self._leaving or self._aside:
            return False
        with self._changed:
            return any(held.busy for place in places if (held := self._held.get(place)) is not None)

    def _on_lost(self, _: Any, partitions: list[Any]) -> None:
        log("bus").warning("bus.partitions_lost", member=self._member, partitions=len(partitions))
        self._drop([(partition.topic, partition.partition) for partition in partitions])

    def _drop(self, places: list[Place]) -> None:
        with self._changed:
            for place in places:
                self._held.pop(place, None)

    # --- signs of life ---------------------------------------------------------------------------------------------

    def _watch_loop(self) -> None:
        """Leave the group while the loop stands still for longer than a lease, and join again when it moves."""
        if not self._beat_asked:
            self._beat_asked = True
            self._tell(self._beat)
        frozen = time.monotonic() - self._loop_seen > self._ttl
        if frozen and not self._aside:
            log("bus").warning("bus.loop_stands_still", member=self._member, seconds=self._ttl)
            self._aside = True
            with self._changed:
                self._held.clear()
                self._buffer.clear()
            self._client.unsubscribe()
        elif self._aside and not frozen:
            self._aside = False
            self._subscribe()

    def _beat(self) -> None:
        """Runs in the loop."""
        self._loop_seen = time.monotonic()
        self._beat_asked = False

    def _on_error(self, error: kafka.KafkaError) -> None:
        """Single brokers may go: the client library finds the others. What lasts is told to whoever polls."""
        lasting = error.code() not in (kafka.KafkaError._TRANSPORT, kafka.KafkaError._RESOLVE)
        if error.fatal() or lasting:
            self._trouble = unavailable(error).detail
            self._tell(self._woken.set)

    def _probe(self) -> None:
        """Whether the brokers answer again."""
        self._probed_at = time.monotonic()
        try:
            self._client.list_topics(self._names[0], timeout=min(1.0, ANSWER_SECONDS))
        except kafka.KafkaException:
            return
        self._trouble = ""


def _settle(future: asyncio.Future[None], failure: Unavailable | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)
