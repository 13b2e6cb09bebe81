"""Messages across the bus: sent = applied + parked + dead, nothing is skipped, nothing waits for ever, keys are whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID

from google.protobuf.message import DecodeError
from orderhub_contracts import topics
from orderhub_contracts.orders.v1 import orders_pb2

from orderhub import topology
from orderhub.buses import SENT, TAKEN
from orderhub.checks.model import Check, Row, View

WAITING_TO_LEAVE: Final = """
select batch_id, topic, count from outbox
union all select split_part(ce_id, '.', 1)::uuid, topic, count(*)::int from outbox_events group by 1, 2
"""
SET_ASIDE: Final = """
select topic, status, count(*) as messages from dead_letters where consumer = $1 and status <> 'done'
group by topic, status
"""
ADMITTED: Final = "select batch_id, partition, admitted from inbox where consumer = $1"


def service_of(group: str) -> str:
    """A consumer group is named like its service, whose database keeps its inbox."""
    return f"orderhub_{group}"


async def sent_is_taken(view: View) -> list[Row]:
    """Per topic and consumer: what all outboxes ever sent is what the inbox took plus what is still on its way."""
    sent: dict[str, int] = defaultdict(int)
    leaving: dict[str, dict[UUID, int]] = defaultdict(dict)
    for database in topology.WITH_OUTBOX:
        for row in await view.rows(database, SENT):
            sent[row["topic"]] += row["messages"]
        for row in await view.rows(database, WAITING_TO_LEAVE):
            leaving[row["topic"]][row["batch_id"]] = row["count"]
    logged = await view.bus.logged()
    rows: list[Row] = []
    for group, read in topics.READERS.items():
        rows += await _compared(view, group, [topic.name for topic in read], sent, leaving, logged)
    return rows


async def _compared(
    view: View,
    group: str,
    read: list[str],
    sent: dict[str, int],
    leaving: dict[str, dict[UUID, int]],
    logged: list[Any],
) -> list[Row]:
    database = service_of(group)
    taken = {row["topic"]: row["messages"] for row in await view.rows(database, TAKEN, group)}
    admitted = {
        (row["batch_id"], row["partition"]): row["admitted"]
        for row in await view.rows(database, ADMITTED, group)
    }
    aside = {(r["topic"], r["status"]): r["messages"] for r in await view.rows(database, SET_ASIDE, group)}
    rows: list[Row] = []
    for topic in read:
        waiting = _on_the_way(topic, admitted, leaving[topic], logged)
        if sent[topic] != taken.get(topic, 0) + waiting:
            dead, parked = aside.get((topic, "dead"), 0), aside.get((topic, "parked"), 0)
            rows.append(
                {
                    "topic": topic, "consumer": group, "sent": sent[topic], "applied": taken.get(topic, 0) - dead - parked,
                    "parked": parked, "dead": dead, "on_the_way": waiting,
                }
            )  # fmt: skip
    return rows


def _on_the_way(
    topic: str, admitted: dict[tuple[UUID, int], int], leaving: dict[UUID, int], logged: list[Any]
) -> int:
    """In the log and not admitted, or in an outbox and not even in the log. A batch that is in both counts once."""
    here = [row for row in logged if row["topic"] == topic]
    published = {row["batch_id"] for row in here}
    in_log = sum(row["count"] - admitted.get((row["batch_id"], row["partition"]), 0) for row in here)
    return in_log + sum(count for batch, count in leaving.items() if batch not in published)


async def nothing_is_skipped(view: View) -> list[Row]:
    """What a consumer has confirmed on the bus stands in its inbox: a batch confirmed and not admitted is lost."""
    logged, confirmed = await view.bus.logged(), await view.bus.confirmed()
    rows: list[Row] = []
    for group, read in topics.READERS.items():
        admitted = {
            (r["batch_id"], r["partition"]): r["admitted"]
            for r in await view.rows(service_of(group), ADMITTED, group)
        }
        names = {topic.name for topic in read}
        rows += _skipped(group, [row for row in logged if row["topic"] in names], confirmed, admitted)
    return rows


def _skipped(
    group: str, logged: list[Any], confirmed: dict[Any, int], admitted: dict[tuple[UUID, int], int]
) -> Iterator[Row]:
    for row in logged:
        taken = admitted.get((row["batch_id"], row["partition"]), 0)
        if (
            row["position"] < confirmed.get((group, row["topic"], row["partition"]), 0)
            and taken < row["count"]
        ):
            yield {
                "consumer": group, "topic": row["topic"], "partition": row["partition"], "batch_id": row["batch_id"],
                "messages": row["count"], "admitted": taken,
            }  # fmt: skip


async def idempotent_orders_are_there(view: View) -> list[Row]:
    """Every order that was answered under an Idempotency-Key is there, so a repetition finds what it speaks of."""
    orders = {
        row["id"]
        for row in await view.rows(
            "orderhub_orders",
            "select id from orders where created_at > $1::timestamptz - interval '25 hours'",
            view.now,
        )
    }
    rows: list[Row] = []
    async for row in view.stream(
        "orderhub_orders",
        "select principal, route, key, response from idempotency_keys where length(response) > 0",
    ):
        named = _order_in(row["response"])
        if named is not None and named not in orders:
            rows.append(
                {"principal": row["principal"], "route": row["route"], "key": row["key"], "order_id": named}
            )
    return rows


def _order_in(response: bytes) -> UUID | None:
    try:
        return UUID(orders_pb2.Order.FromString(response).id)
    except (DecodeError, ValueError):
        return None


def _everywhere(name: str, says: str, sql: str, *, live_only: bool = False) -> Check:
    """The same statement on every database with outbox and inbox; a finding names its database."""

    async def find(view: View) -> Iterable[Row]:
        arguments = (view.now,) if "$1" in sql else ()
        return [
            {"database": database, **dict(row)}
            for database in topology.WITH_OUTBOX
            for row in await view.rows(database, sql, *arguments)
        ]

    return Check(name, says, find, live_only)


CHECKS: Final = (
    Check("messages.sent", "messages sent = applied + parked + dead, per topic and consumer", sent_is_taken),
    Check("messages.skipped", "what a consumer has confirmed stands in its inbox", nothing_is_skipped),
    _everywhere(
        "messages.outbox", "no message waits in an outbox for half a minute, or for two behind a replication slot",
        # A row that is published stays until Kafka Connect has noted it (each minute) and no transaction is as old.
        """
        select id, topic, count, created_at from outbox where created_at < $1::timestamptz - interval '30 seconds'
        union all
        select position, topic, 1, created_at from outbox_events where created_at < $1::timestamptz - interval '2 minutes'
        order by created_at, id
        """,
        live_only=True,
    ),
    _everywhere(
        "messages.parked", "a key is parked as long as something waits under it, and only then",
        """
        select coalesce(p.consumer, d.consumer) as consumer, coalesce(p.topic, d.topic) as topic,
               coalesce(p.key, d.key) as key, p.key is not null as parked, coalesce(d.waiting, 0) as waiting
        from parked_keys p full join (
            select consumer, topic, key, count(*) as waiting from dead_letters where status <> 'done'
            group by consumer, topic, key
        ) d on d.consumer = p.consumer and d.topic = p.topic and d.key = p.key
        where p.key is null or d.key is null order by 1, 2, 3
        """,
    ),
    _everywhere(
        "idempotency.answer", "a key that is taken has its answer",
        "select principal, route, key from idempotency_keys where length(fingerprint) = 0 order by 1, 2, 3",
    ),
    Check("idempotency.order", "an order answered under a key is there", idempotent_orders_are_there),
    Check(
        "bus.positions", "each topic's log ends where the next batch goes, and nobody has confirmed more",
        lambda view: view.bus.misplaced(),
    ),
)  # fmt: skip
