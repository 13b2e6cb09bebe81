"""What one batch does in one transaction: admit, park, decode, load → decide → save, and give up what is broken.

Everything here runs inside the caller's transaction and may run again; logs and metrics of it come after the
commit, from the Outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from orderhub_contracts import topics
from orderhub_contracts.events.v1.records_pb2 import MessageDeadLettered, Record
from orderhub_contracts.orders.v1.replies_pb2 import CommandDeadLettered
from orderhub_contracts.topics import Topic

from orderhub_chassis import deadletters, inbox, messages
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.ids import NewId
from orderhub_chassis.messages import Delivery, Envelope, Outgoing
from orderhub_chassis.telemetry import child_of, current_message, current_traceparent

S = TypeVar("S")
ROOM_FOR_WRAPPING = 64 * 1024


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may know of the outside: the time and a source of ids, both passed in."""

    now: datetime
    new_id: NewId


Decision = Callable[[S, Envelope, Context], Iterable[Outgoing]]


@dataclass(frozen=True, slots=True)
class ConsumerSpec(Generic[S]):
    """What a service consumes: load all that a batch names, decide message by message, save what changed.

    `name` is the consumer group and the service's name. `after_commit` is told the state that was saved. `ignores` says
    of which records nothing is to be done, before they are decoded: they count as applied.
    """

    name: str
    topics: tuple[Topic, ...]
    load: Callable[[Transaction, Sequence[Envelope], Context], Awaitable[S]]
    handlers: Mapping[type[Message], Decision[S]]
    save: Callable[[Transaction, S, Context], Awaitable[None]]
    after_commit: Callable[[S], None] | None = None
    ignores: Callable[[Record], bool] | None = None

    def __post_init__(self) -> None:
        if self.name not in topics.DEAD_LETTERS:
            raise ValueError(f"consumer {self.name} has no dead-letter topic: see CONSUMERS in topics.py")
        strangers = [m.DESCRIPTOR.full_name for m in self.handlers if topics.TOPIC_OF[m] not in self.topics]
        if strangers:
            raise ValueError(f"consumer {self.name} handles what it does not read: {', '.join(strangers)}")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a message is given up."""

    reason: str
    stack: str = ""
    attempts: int = 1


@dataclass(slots=True)
class Outcome(Generic[S]):
    """What a transaction did, for those who look at it after the commit."""

    fresh: list[tuple[Delivery, Record]] = field(default_factory=list)
    states: list[S] = field(default_factory=list)
    buried: list[tuple[str, Record, str]] = field(default_factory=list)
    parked: list[str] = field(default_factory=list)
    replayed: int = 0


class Effects(Generic[S]):
    """The transactions of one consumer."""

    def __init__(self, spec: ConsumerSpec[S], db: Database) -> None:
        self._spec = spec
        self._db = db

    async def apply(
        self, tx: Transaction, deliveries: Sequence[Delivery], counted: Sequence[str]
    ) -> Outcome[S]:
        """All that this consumer has not applied yet; `counted` are the messages with rows of attempts."""
        context, outcome = self._context(), Outcome[S]()
        outcome.fresh, any_parked = await inbox.admit_and_look(
            tx, self._spec.name, deliveries, now=context.now
        )
        if counted:
            await deadletters.forget_attempts(tx, self._spec.name, counted)
        going_on = await self._unparked(tx, outcome, context) if any_parked else outcome.fresh
        envelopes = await self._decodable(tx, going_on, outcome, context)
        if envelopes:
            outcome.states.append(await self._decide(tx, envelopes, context))
        return outcome

    async def give_up(self, tx: Transaction, delivery: Delivery, cause: Cause) -> Outcome[S]:
        """One message that cannot be applied, unless a twin has done with it meanwhile."""
        context, outcome = self._context(), Outcome[S]()
        outcome.fresh = await inbox.admit(tx, self._spec.name, [delivery], now=context.now)
        for found, record in outcome.fresh:
            await self._bury(tx, found.topic, record, cause, outcome, context)
        return outcome

    async def replay(self, tx: Transaction, topic: str, key: str) -> Outcome[S]:
        """The dead letter of a key and all that is parked behind it, in order; then the key is free."""
        context, outcome = self._context(), Outcome[S]()
        for entry in await deadletters.waiting(tx, self._spec.name, topic, key):
            if envelope := self._envelope(topic, -1, entry.id, entry.record):
                outcome.states.append(await self._decide(tx, [envelope], context))
                # The next message of the key has to find what this one wrote.
                await tx.flush()
            await deadletters.done(tx, entry.id, now=context.now)
            outcome.replayed += 1
        await deadletters.free(tx, self._spec.name, topic, key)
        return outcome

    def _context(self) -> Context:
        return Context(self._db.clock.now(), self._db.new_id)

    async def _unparked(self, tx: Transaction, outcome: Outcome[S], context: Context) -> inbox.Fresh:
        """Park what stands behind a dead letter of its key; the rest goes on."""
        keys = sorted({deadletters.key_of(record) for _, record in outcome.fresh})
        parked = await deadletters.parked(tx, self._spec.name, keys)
        if not parked:
            return outcome.fresh
        going_on: inbox.Fresh = []
        for delivery, record in outcome.fresh:
            if (delivery.topic, deadletters.key_of(record)) in parked:
                await self._park(tx, delivery.topic, record, outcome, context)
            else:
                going_on.append((delivery, record))
        return going_on

    async def _decodable(
        self, tx: Transaction, fresh: inbox.Fresh, outcome: Outcome[S], context: Context
    ) -> list[Envelope]:
        """Envelopes of what this consumer handles; undecodable bytes are given up in this transaction."""
        envelopes: list[Envelope] = []
        buried: set[tuple[str, str]] = set()
        for delivery, record in fresh:
            if buried and (delivery.topic, record.key) in buried:
                await self._park(tx, delivery.topic, record, outcome, context)
                continue
            try:
                envelope = self._envelope(delivery.topic, delivery.partition, delivery.batch_id, record)
            except messages.Undecodable as error:
                await self._bury(tx, delivery.topic, record, Cause(str(error)), outcome, context)
                buried.add((delivery.topic, record.key))
                continue
            if envelope is not None:
                envelopes.append(envelope)
        return envelopes

    def _envelope(self, topic: str, partition: int, batch_id: UUID, record: Record) -> Envelope | None:
        """None for what this consumer has no interest in. Raises Undecodable."""
        if self._spec.ignores is not None and self._spec.ignores(record):
            return None
        payload = messages.decode(record)
        interests = type(payload) in self._spec.handlers
        return Envelope(topic, partition, batch_id, record, payload) if interests else None

    async def _decide(self, tx: Transaction, envelopes: Sequence[Envelope], context: Context) -> S:
        state = await self._spec.load(tx, envelopes, context)
        handlers = self._spec.handlers
        try:
            for envelope in envelopes:
                record = envelope.record
                current_message.set(record)
                current_traceparent.set(child_of(record.traceparent))
                tx.send_all(handlers[type(envelope.payload)](state, envelope, context))
        finally:
            current_message.set(None)
            current_traceparent.set("")
        await self._spec.save(tx, state, context)
        return state

    async def _park(
        self, tx: Transaction, topic: str, record: Record, outcome: Outcome[S], context: Context
    ) -> None:
        await deadletters.park(tx, self._spec.name, topic, record, id=context.new_id(), now=context.now)
        outcome.parked.append(topic)

    async def _bury(
        self,
        tx: Transaction,
        topic: str,
        record: Record,
        cause: Cause,
        outcome: Outcome[S],
        context: Context,
    ) -> None:
        """Dead letter, parked key, DLQ message and, for a command, the answer: all in one transaction."""
        id = context.new_id()
        await deadletters.bury(
            tx, self._spec.name, topic, record,
            id=id, reason=cause.reason, stack=cause.stack, attempts=cause.attempts, now=context.now,
        )  # fmt: skip
        tx.send_all(_farewell(self._spec.name, topic, record, id, cause))
        outcome.buried.append((topic, record, cause.reason))


def _farewell(consumer: str, topic: str, record: Record, id: UUID, cause: Cause) -> list[Outgoing]:
    """The DLQ's message, and for a command the reply that its saga waits for."""
    told = MessageDeadLettered(
        dead_letter_id=str(id),
        consumer=consumer,
        topic=topic,
        reason=deadletters.text(cause.reason),
        attempts=cause.attempts,
        record=record,
    )
    if told.ByteSize() > topics.MAX_MESSAGE_BYTES - ROOM_FOR_WRAPPING:
        told.record.ClearField("payload")
    trace = child_of(record.traceparent)
    outgoing = [Outgoing(told, record.key, topic=topics.DEAD_LETTERS[consumer], traceparent=trace)]
    if topic.endswith(".commands.v1") and record.HasField("saga"):
        reply = CommandDeadLettered(
            order_id=record.saga.order_id, consumer=consumer, dead_letter_id=str(id), reason=told.reason
        )
        outgoing.append(Outgoing(reply, record.saga.order_id, saga=record.saga, traceparent=trace))
    return outgoing
