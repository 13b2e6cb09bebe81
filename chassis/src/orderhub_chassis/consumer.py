"""Runs a service's consumer: polls, applies batch by batch, and decides what to do when that fails.

- Infrastructure away: the batch is kept and tried again for ever, with backoff; /readyz says so.
- One bad message: the batch is halved until the culprit is alone; lone attempts are counted durably before they
  start, so that a message that kills the process is given up too. After `MAX_ATTEMPTS` it is a dead letter.
- Undecodable bytes are set aside in the batch's own transaction.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from typing import Generic, TypeVar
from uuid import UUID

from orderhub_contracts.events.v1.records_pb2 import Record

from orderhub_chassis import deadletters, metrics, replays
from orderhub_chassis.bus.base import Bus
from orderhub_chassis.bus.base import Consumer as BusConsumer
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.effects import Cause, ConsumerSpec, Context, Decision, Effects, Outcome
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.health import Readiness
from orderhub_chassis.messages import Delivery
from orderhub_chassis.telemetry import about, log

__all__ = ["MAX_ATTEMPTS", "ConsumerSpec", "Context", "Decision", "Runner"]

S = TypeVar("S")
MAX_ATTEMPTS = 5
KILLED = "the process ended during each attempt"


class Runner(Generic[S]):
    """One member of the group; `run` goes on until cancelled and then finishes the batch that is open."""

    def __init__(
        self,
        spec: ConsumerSpec[S],
        db: Database,
        bus: Bus,
        member: str,
        readiness: Readiness,
        batch: int,
        replay_rate: float,
    ) -> None:
        self._spec = spec
        self._db = db
        self._bus = bus
        self._member = member
        self._readiness = readiness
        self._batch = batch
        self._replay_rate = replay_rate
        self._effects = Effects(spec, db)
        self._stopping = asyncio.Event()
        self._member_of_group: BusConsumer | None = None
        # Messages with a row in message_attempts; those of them that may have killed a process; and lone attempts
        # that are counted but were cut short by infrastructure.
        self._counted: set[str] = set()
        self._suspects: set[str] = set()
        self._open: dict[str, int] = {}
        # Dead letters whose last replay is counted but was cut short by infrastructure.
        self._open_replays: set[UUID] = set()

    def stop(self) -> None:
        self._stopping.set()
        if self._member_of_group is not None:
            self._member_of_group.interrupt()

    async def run(self) -> None:
        while not self._stopping.is_set():
            try:
                async with self._bus.consumer(self._spec.name, self._spec.topics, self._member) as consumer:
                    await self._consume(consumer)
            except (Unavailable, OSError) as error:
                await self._wait_for(error, 0.5)

    async def _consume(self, consumer: BusConsumer) -> None:
        self._member_of_group = consumer
        while not self._stopping.is_set():
            try:
                deliveries = await consumer.poll(self._batch, timeout=0.5)
            except Unavailable as error:
                await self._wait_for(error, 0.5)
                continue
            self._readiness.ready("consumer")
            if deliveries:
                await self._handle(consumer, deliveries)

    async def _handle(self, consumer: BusConsumer, deliveries: list[Delivery]) -> None:
        """Until the batch is applied, or all of it has gone to another member, or there is no time left."""
        backoff = 0.05
        while deliveries:
            try:
                await self._count_first_attempts(consumer, deliveries)
                await self._apply_or_halve(deliveries)
                await consumer.commit(deliveries)
                return
            except Unavailable as error:
                await self._wait_for(error, backoff)
                backoff = min(backoff * 2, 5.0)
            kept = [] if self._stopping.is_set() else [d for d in deliveries if consumer.holds(d)]
            self._forget([d for d in deliveries if d not in kept])
            deliveries = kept

    async def _wait_for(self, error: Exception, seconds: float) -> None:
        self._readiness.unready("consumer", str(error))
        log("consumer").warning(
            "consumer.waits", consumer=self._spec.name, reason=str(error), seconds=seconds
        )
        await asyncio.sleep(seconds * random.uniform(0.5, 1))

    async def _count_first_attempts(self, consumer: BusConsumer, deliveries: list[Delivery]) -> None:
        """What comes first after an assignment may have killed the last holder: mark it before it runs.

        A message that is marked already, and not by us, is a suspect, and will be tried alone.
        """
        ids = {r.id for d in deliveries if consumer.fresh_since_assignment(d) for r in d.records}
        if new := sorted(ids - self._counted):
            marked = await deadletters.first_attempts(
                self._db, self._spec.name, new, now=self._db.clock.now()
            )
            self._counted.update(new)
            self._suspects.update(set(new) - marked)

    async def _apply_or_halve(self, deliveries: Sequence[Delivery]) -> None:
        if not self._any_suspect(deliveries):
            try:
                await self._apply(deliveries)
                return
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the halves will show whose it is
                log("consumer").warning("consumer.batch_failed", consumer=self._spec.name, error=repr(error))
        singles = [_single(d, r) for d in deliveries for r in d.records]
        if len(singles) == 1:
            await self._apply_alone(singles[0])
            return
        middle = len(singles) // 2
        await self._apply_or_halve(singles[:middle])
        await self._apply_or_halve(singles[middle:])

    def _any_suspect(self, deliveries: Sequence[Delivery]) -> bool:
        return bool(self._suspects) and any(r.id in self._suspects for d in deliveries for r in d.records)

    async def _apply_alone(self, delivery: Delivery) -> None:
        """Try one message up to MAX_ATTEMPTS times, each counted before it starts; then give it up."""
        record = delivery.records[0]
        with about(record):
            while True:
                attempts = await self._count_attempt(record)
                try:
                    if attempts <= MAX_ATTEMPTS:
                        await self._apply([delivery])
                    else:
                        await self._bury(delivery, Cause(KILLED, attempts=MAX_ATTEMPTS))
                    return
                except Unavailable:
                    self._open[record.id] = attempts
                    raise
                except Exception as error:  # noqa: BLE001 - counted, logged, and kept as a dead letter
                    log("consumer").error("consumer.message_failed", attempt=attempts, exc_info=error)
                    if attempts >= MAX_ATTEMPTS:
                        stack = traceback.format_exc(limit=20)
                        await self._bury(delivery, Cause(f"{type(error).__name__}: {error}", stack, attempts))
                        return
                    await asyncio.sleep(0.01 * 2**attempts * random.uniform(0.5, 1))

    async def _count_attempt(self, record: Record) -> int:
        """The number of the attempt that begins; one that infrastructure has cut short begins again."""
        if attempts := self._open.pop(record.id, 0):
            return attempts
        self._counted.add(record.id)
        return await deadletters.next_attempt(self._db, self._spec.name, record.id, now=self._db.clock.now())

    async def _bury(self, delivery: Delivery, cause: Cause) -> None:
        self._observe(await self._db.run(lambda tx: self._effects.give_up(tx, delivery, cause)))
        self._forget([delivery])

    async def _apply(self, deliveries: Sequence[Delivery]) -> None:
        started = time.perf_counter()
        counted = (
            [r.id for d in deliveries for r in d.records if r.id in self._counted] if self._counted else []
        )
        outcome = await self._db.run(lambda tx: self._effects.apply(tx, deliveries, counted))
        self._forget(deliveries)
        self._observe(outcome)
        self._measure(deliveries, outcome, time.perf_counter() - started)

    def _forget(self, deliveries: Sequence[Delivery]) -> None:
        if self._counted:
            ids = {record.id for delivery in deliveries for record in delivery.records}
            self._counted -= ids
            self._suspects -= ids
            for id in ids & self._open.keys():
                del self._open[id]

    def _observe(self, outcome: Outcome[S]) -> None:
        """What the world may know of a transaction once it is committed."""
        name = self._spec.name
        if self._spec.after_commit:
            for state in outcome.states:
                self._spec.after_commit(state)
        for topic, record, reason in outcome.buried:
            metrics.DEAD_LETTERS.labels(name, topic).inc()
            with about(record):
                log("consumer").error("consumer.dead_letter", consumer=name, topic=topic, reason=reason)
        for topic, count in Counter(outcome.parked).items():
            metrics.PARKED.labels(name, topic).inc(count)

    def _measure(self, deliveries: Sequence[Delivery], outcome: Outcome[S], seconds: float) -> None:
        name = self._spec.name
        total = sum(len(d.records) for d in deliveries)
        metrics.CONSUMER_BATCH.labels(name).observe(total)
        metrics.CONSUMER_SECONDS.labels(name).observe(seconds)
        if total != len(outcome.fresh):
            metrics.DUPLICATES.labels(name).inc(total - len(outcome.fresh))
        for topic, count in Counter(delivery.topic for delivery, _ in outcome.fresh).items():
            metrics.CONSUMED.labels(name, topic).inc(count)

    async def replay(self, dead_letter: UUID, *, dry_run: bool, force: bool = False) -> tuple[int, list[str]]:
        """Run a dead letter and all that is parked behind it, in order, with the code of today.

        Returns how many were applied and what was (dry run: would be) sent. Raises what the handler raises;
        then nothing has changed but the count of replays. Raises ReplayedTooOften, which `force` (and a dry run)
        does not heed, and ReplaysTooFast.
        """

        async def begin(tx: Transaction) -> replays.Waiting:
            waiting = await replays.find(tx, self._spec.name, dead_letter)
            if not dry_run and waiting.id not in self._open_replays:
                await replays.count(tx, waiting, force=force)
            await replays.keep_pace(tx, self._replay_rate)
            return waiting

        waiting = await self._db.run(begin)
        topic, key = waiting.topic, waiting.key
        if dry_run:
            outcome, outgoing = await self._db.dry_run(lambda tx: self._effects.replay(tx, topic, key))
            return outcome.replayed, [f"{m.payload.DESCRIPTOR.full_name} {m.key}" for m in outgoing]
        self._open_replays.discard(waiting.id)
        try:
            outcome = await self._db.run(lambda tx: self._effects.replay(tx, topic, key))
        except Unavailable:
            self._open_replays.add(waiting.id)
            raise
        self._observe(outcome)
        return outcome.replayed, []


def _single(delivery: Delivery, record: Record) -> Delivery:
    return Delivery(delivery.topic, delivery.partition, delivery.position, delivery.batch_id, [record])
