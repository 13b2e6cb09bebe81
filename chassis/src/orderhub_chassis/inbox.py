"""The inbox: one row per record batch and partition that a consumer has seen, locked in key order.

Advanced in the transaction of the effects, so whatever a twin, a rebalance or a restart delivers again
finds nothing to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from orderhub_contracts.events.v1.records_pb2 import Record

from orderhub_chassis.db import Transaction
from orderhub_chassis.messages import Delivery

# $5 are the texts of integer arrays, one for each batch: partition, highest index, how many, and so on in threes. As
# arrays of their own they would be sixty values for a batch of twelve partitions.
INSERT = """
with new as (
    insert into inbox (consumer, batch_id, partition, topic, upto, admitted, at)
    select $1, x.b, x.a[i], x.t, x.a[i + 1], x.a[i + 2], $2
    from (select b, t, a::int[] as a from unnest($3::uuid[], $4::text[], $5::text[]) as u (b, t, a)) x
    cross join lateral generate_series(1, cardinality(x.a), 3) i
    order by x.b, x.a[i]
    on conflict (batch_id, partition, consumer) do nothing
    returning batch_id, partition
)
select batch_id, array_agg(partition) as partitions from new group by batch_id
union all select null, null where exists (select from parked_keys where consumer = $1)
"""
LOCK = """
select batch_id, partition, upto from inbox
where consumer = $1 and (batch_id, partition) in (select * from unnest($2::uuid[], $3::int[]))
order by batch_id, partition for update
"""
ADVANCE = """
update inbox i set upto = x.u, admitted = i.admitted + x.n, at = $2
from unnest($3::uuid[], $4::int[], $5::int[], $6::int[]) as x (b, p, u, n)
where i.consumer = $1 and i.batch_id = x.b and i.partition = x.p
"""


Place = tuple[UUID, int]
Fresh = list[tuple[Delivery, Record]]


async def admit(tx: Transaction, consumer: str, deliveries: Sequence[Delivery], *, now: datetime) -> Fresh:
    """Lock the batches and return, in order, the records that this consumer has not applied yet.

    Waits for a twin that has the same batch open. A batch that is delivered twice in one call counts once.
    """
    return (await admit_and_look(tx, consumer, deliveries, now=now))[0]


async def admit_and_look(
    tx: Transaction, consumer: str, deliveries: Sequence[Delivery], *, now: datetime
) -> tuple[Fresh, bool]:
    """As `admit`; also whether this consumer has parked keys at all, in the same round trip."""
    fresh, seen = _unseen(deliveries, {})
    found = await tx.fetch(INSERT, consumer, now, *_by_batch(deliveries, seen))
    new = {(row["batch_id"], p) for row in found if row["batch_id"] is not None for p in row["partitions"]}
    if len(new) == len(seen):
        return fresh, any(row["batch_id"] is None for row in found)
    # The twin that we may have waited for can have parked a key that this look could not see.
    return await _admit_known(tx, consumer, deliveries, sorted(seen.keys() - new), now), True


def _unseen(
    deliveries: Sequence[Delivery], upto: dict[Place, int]
) -> tuple[Fresh, dict[Place, tuple[int, int]]]:
    """The records above `upto`, and per place the last index and how many they are."""
    fresh: Fresh = []
    seen: dict[Place, tuple[int, int]] = {}
    for delivery in deliveries:
        place = (delivery.batch_id, delivery.partition)
        last, count = seen.get(place, (upto.get(place, -1), 0))
        for record in delivery.records:
            if record.index > last:
                fresh.append((delivery, record))
                last, count = record.index, count + 1
        seen[place] = (last, count)
    return fresh, seen


def _by_batch(
    deliveries: Sequence[Delivery], seen: dict[Place, tuple[int, int]]
) -> tuple[list[UUID], list[str], list[str]]:
    """Batches, their topics, and what was seen of their partitions, as $3 to $5 of INSERT take it."""
    topics = {d.batch_id: d.topic for d in deliveries}
    numbers: defaultdict[UUID, list[int]] = defaultdict(list)
    for (batch_id, partition), (upto, count) in seen.items():
        numbers[batch_id] += (partition, upto, count)
    texts = ["{" + ",".join(map(str, found)) + "}" for found in numbers.values()]
    return list(numbers), [topics[batch_id] for batch_id in numbers], texts


async def _admit_known(
    tx: Transaction, consumer: str, deliveries: Sequence[Delivery], known: list[Place], now: datetime
) -> Fresh:
    rows = await tx.fetch(LOCK, consumer, [b for b, _ in known], [p for _, p in known])
    upto = {(row["batch_id"], row["partition"]): row["upto"] for row in rows}
    fresh, seen = _unseen(deliveries, upto)
    advance = [(b, p, *seen[b, p]) for b, p in known if seen[b, p][1]]
    if advance:
        await tx.execute(ADVANCE, consumer, now, *map(list, zip(*advance, strict=True)))
    return fresh


async def prune(tx: Transaction, *, before: datetime, limit: int = 5000) -> int:
    """Forget batches that the topics' retention has long dropped; their counts stay in inbox_totals."""
    rows = await tx.fetch(
        "delete from inbox where ctid in (select ctid from inbox where at < $1 limit $2)"
        " returning consumer, topic, admitted",
        before, limit,
    )  # fmt: skip
    totals: dict[tuple[str, str], int] = {}
    for row in rows:
        totals[row["consumer"], row["topic"]] = (
            totals.get((row["consumer"], row["topic"]), 0) + row["admitted"]
        )
    for (consumer, topic), messages in sorted(totals.items()):
        await tx.execute(
            "insert into inbox_totals values ($1, $2, $3)"
            " on conflict (consumer, topic) do update set messages = inbox_totals.messages + excluded.messages",
            consumer, topic, messages,
        )  # fmt: skip
    return len(rows)
