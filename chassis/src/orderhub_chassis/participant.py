"""A saga participant's side: refuse stale epochs, answer a repeated command with the first answer.

Each participant keeps one standing per order: the highest epoch it has seen (a tombstone is that standing after the
end) and its definite answers. Transient answers are not stored, so a retry of the command runs again. A standing has
a row of its own, or a place in the row of what the participant keeps of the order: `packed` and `unpacked`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar
from uuid import UUID

import msgspec
from orderhub_contracts.common.v1.common_pb2 import Reason
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply

from orderhub_chassis import ids
from orderhub_chassis.consumer import Context, Decision
from orderhub_chassis.db import Transaction
from orderhub_chassis.messages import Envelope, Outgoing

STALE_EPOCH = "saga.stale_epoch"


class Standing(msgspec.Struct):
    """One order as this participant knows it in terms of sagas."""

    order_id: UUID
    epoch: int = 0
    answers: dict[str, bytes] = msgspec.field(default_factory=dict)
    changed: bool = False
    kept: bool = False


class HasStandings(Protocol):
    """A loaded state that `answering` can guard."""

    standings: dict[UUID, Standing]


S = TypeVar("S", bound=HasStandings)
Answer = Callable[[S, Envelope, Context], "SagaReply | Iterable[Outgoing | SagaReply] | None"]


ANSWERS: Final = msgspec.msgpack.Decoder(dict[str, bytes])
LOAD = "select order_id, epoch, answers from saga_standings where order_id = any($1) order by order_id for update"
INSERT = "insert into saga_standings select * from unnest($1::uuid[], $2::bigint[], $3::bytea[])"
UPDATE = """
update saga_standings s set epoch = e, answers = a
from unnest($1::uuid[], $2::bigint[], $3::bytea[]) u (i, e, a) where s.order_id = i
"""


async def load(tx: Transaction, order_ids: Iterable[UUID]) -> dict[UUID, Standing]:
    """Lock the rows of these orders, in key order. An order that is not known yet has no row to lock: of two
    transactions that meet it at once, the one that saves later fails by the key, and runs again."""
    wanted = sorted(set(order_ids))
    standings = {id: Standing(id) for id in wanted}
    for row in await tx.fetch(LOAD, wanted):
        id = row["order_id"]
        standings[id] = unpacked(id, row["epoch"], row["answers"])
    return standings


def unpacked(order_id: UUID, epoch: int, answers: bytes) -> Standing:
    """A standing from the two values that a row keeps of it."""
    return Standing(order_id, epoch, ANSWERS.decode(answers) if answers else {}, kept=True)


def packed(standing: Standing) -> tuple[int, bytes]:
    """Epoch and answers as a row keeps them."""
    return standing.epoch, msgspec.msgpack.encode(standing.answers) if standing.answers else b""


async def save(tx: Transaction, standings: dict[UUID, Standing]) -> None:
    changed = [s for s in standings.values() if s.changed]
    for statement, rows in (
        (INSERT, [s for s in changed if not s.kept]),
        (UPDATE, [s for s in changed if s.kept]),
    ):
        if rows:
            epochs, answers = zip(*map(packed, rows), strict=True)
            tx.write(statement, [s.order_id for s in rows], list(epochs), list(answers))


def answering(decide: Answer[S]) -> Decision[S]:
    """Wrap a decision on a saga command: stale epochs and repetitions never reach it.

    `decide` returns the reply, or None when the answer comes later (then `settle` records it), or an iterable of
    other messages with at most one reply among them.
    """

    def handle(state: S, envelope: Envelope, context: Context) -> Iterable[Outgoing]:
        saga = _saga_of(envelope)
        standing = state.standings[ids.parse(saga.order_id)]
        known = guard(standing, saga)
        if known is not None:
            return [reply_message(saga, known)]
        _advance(standing, saga.epoch)
        answer = decide(state, envelope, context)
        if answer is None:
            return []
        items: Sequence[Outgoing | SagaReply] = [answer] if isinstance(answer, SagaReply) else list(answer)
        return [settle(standing, saga, item) if isinstance(item, SagaReply) else item for item in items]

    return handle


def _saga_of(envelope: Envelope) -> SagaRef:
    saga = envelope.saga
    if saga is None:
        raise ValueError(f"{envelope.record.type} {envelope.record.id} carries no saga step")
    return saga


def guard(standing: Standing, saga: SagaRef) -> SagaReply | None:
    """The answer that needs no decision: the stored one, or a refusal of a stale epoch."""
    stored = standing.answers.get(_step(saga))
    if stored is not None:
        return SagaReply.FromString(stored)
    if saga.epoch < standing.epoch:
        return refused(saga.order_id, STALE_EPOCH, f"epoch {saga.epoch} is older than {standing.epoch}")
    return None


def settle(standing: Standing, saga: SagaRef, reply: SagaReply) -> Outgoing:
    """Record a definite answer and make its message; a transient one is only sent."""
    if not reply.transient and reply.outcome != replies_pb2.OUTCOME_UNKNOWN:
        standing.answers[_step(saga)] = reply.SerializeToString()
        standing.changed = True
    return reply_message(saga, reply)


def _advance(standing: Standing, epoch: int) -> None:
    if epoch > standing.epoch:
        standing.epoch = epoch
        standing.changed = True


def _step(saga: SagaRef) -> str:
    return f"{saga.run_id}/{saga.step}/{int(saga.compensation)}"


def reply_message(saga: SagaRef, reply: SagaReply) -> Outgoing:
    return Outgoing(reply, saga.order_id, saga=saga)


def refused(order_id: str, code: str, message: str) -> SagaReply:
    """The command met a state or an epoch in which it cannot be done."""
    return SagaReply(
        order_id=order_id, outcome=replies_pb2.OUTCOME_REFUSED, reason=Reason(code=code, message=message)
    )


def failed(order_id: str, reason: Reason) -> SagaReply:
    """A business answer: no."""
    return SagaReply(order_id=order_id, outcome=replies_pb2.OUTCOME_FAILED, reason=reason)
