"""The embedded bus: a partitioned durable log of record batches in a PostgreSQL database of its own.

Leases live by the bus database's clock. A row of the log is a whole record batch with all of its partitions; positions
count within the topic and are given out under the topic's lock. See the functions in migrations/0001_pre_log.sql.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orderhub_contracts import topics
from orderhub_contracts.topics import Topic

from orderhub_chassis import hints, messages
from orderhub_chassis.bus import identity
from orderhub_chassis.bus.base import TopicMismatch
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.messages import Delivery, OutboxBatch
from orderhub_chassis.telemetry import log

PACKAGE = "orderhub_chassis.bus"
"""Whose migrations the bus database needs."""
SESSION = {"plan_cache_mode": "force_generic_plan"}
"""A handful of statements for ever, each with one good plan: left to itself, the server plans the reads anew each time."""
TTL = timedelta(seconds=4)
COMMIT_EVERY = 0.25
"""Seconds between the commits of a member's positions; what is delivered again meanwhile, the inbox drops."""
POLL_MIN, POLL_MAX = 0.005, 0.2
ROWS_PER_TOPIC = 100

PRUNE_EVERY = timedelta(minutes=1)

# A little of each topic, and no more bytes than are needed for $4 messages.
READ = """
select t, position, batch_id, count, records from (
    select w.t, l.position, l.batch_id, l.count, l.records,
           sum(l.count) over (order by l.position - w.o, w.t) - l.count as before
    from unnest($1::smallint[], $2::bigint[]) as w (t, o)
    cross join lateral (
        select position, batch_id, count, records from log
        where topic_id = w.t and position >= w.o order by position limit $3
    ) l
) r
where before < $4 order by before
"""
COMMIT = """
update leases l set committed = greatest(l.committed, x.c)
from unnest($3::smallint[], $4::smallint[], $5::bigint[], $6::bigint[]) as x (t, p, g, c)
where l.group_name = $1 and l.member = $2 and l.topic_id = x.t and l.partition = x.p and l.generation = x.g
"""
RELEASE = """
update leases l set member = null, expires_at = '-infinity'
from unnest($3::smallint[], $4::smallint[], $5::bigint[]) as x (t, p, g)
where l.group_name = $1 and l.member = $2 and l.topic_id = x.t and l.partition = x.p and l.generation = x.g
"""
LAG = """
select t.name, max(t.next_position - l.committed) as lag from leases l join topics t on t.id = l.topic_id
where l.group_name = $1 group by t.name
"""
# The first condition is the one that the BRIN index on published_at can answer.
PRUNE = """
delete from log l using topics t
where l.published_at < now() - (select min(retention) from topics)
  and t.id = l.topic_id and l.published_at < now() - t.retention
  and l.position < coalesce((select min(committed) from leases s where s.topic_id = l.topic_id), l.position + 1)
"""


@dataclass(slots=True)
class Held:
    """A partition that this member holds, in positions of its topic.

    The next one to read; the first after what was last delivered; the first that is not committed. What holds nothing
    for this partition is passed over, and counts as committed as soon as nothing is under way.
    """

    generation: int
    next_position: int
    delivered: int
    committed: int
    wanted: bool = True
    fresh: bool = True
    unreadable: str = ""

    @property
    def busy(self) -> bool:
        return self.committed < self.delivered


Place = tuple[int, int]
"""Topic id and partition."""


class PostgresBus:
    """The adapter; `open` creates missing topics and refuses those with other partitions."""

    def __init__(
        self, db: Database, ids: dict[str, int], *, identity: str = "", ttl: timedelta = TTL
    ) -> None:
        self._db = db
        self._ids = ids
        self.identity = identity
        self._names = {number: topics.BY_NAME[name] for name, number in ids.items()}
        self._ttl = ttl

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, db: Database, *, ttl: timedelta = TTL) -> AsyncIterator[PostgresBus]:
        """Raises TopicMismatch. Prunes in the background while open."""
        name = identity.embedded(await db.fetchval(identity.EMBEDDED))
        bus = cls(db, await _ensure_topics(db), identity=name, ttl=ttl)
        pruner = asyncio.create_task(bus._keep_pruned())
        try:
            yield bus
        finally:
            pruner.cancel()
            await asyncio.gather(pruner, return_exceptions=True)

    async def _keep_pruned(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY.total_seconds() * random.uniform(0.5, 1))
            try:
                await self.prune()
            except Unavailable as error:
                log("bus").warning("bus.prune_failed", error=str(error))

    async def publish(self, batches: Sequence[OutboxBatch]) -> None:
        rows = [
            (
                self._ids[batch.topic.name], batch.batch_id, batch.count, _counts(batch), batch.data,
            )
            for batch in batches
        ]  # fmt: skip
        if not rows:
            return
        await self._db.execute("select publish($1, $2, $3, $4, $5)", *map(list, zip(*rows, strict=True)))
        for name in {batch.topic.name for batch in batches}:
            self._db.hints.notify(f"topic:{name}")

    @contextlib.asynccontextmanager
    async def consumer(
        self, group: str, topics: Sequence[Topic], member: str
    ) -> AsyncIterator[PostgresConsumer]:
        numbers = {self._ids[topic.name]: topic.name for topic in topics}
        consumer = PostgresConsumer(self._db, group, member, numbers, self._ttl)
        try:
            await consumer.join()
            yield consumer
        finally:
            with contextlib.suppress(Unavailable):
                await consumer.leave()

    async def lag(self, group: str) -> dict[str, int]:
        return {row["name"]: row["lag"] for row in await self._db.fetch(LAG, group)}

    async def prune(self) -> None:
        """Drop what is past its topic's retention and committed by every registered group."""
        await self._db.execute(PRUNE)

    async def forget_members(self) -> None:
        """Free all leases. Only for a launcher that knows that none of the members lives any more."""
        await self._db.execute("update leases set member = null, expires_at = '-infinity'")
        await self._db.execute("delete from members")


class PostgresConsumer:
    """One member of a group on the embedded bus."""

    def __init__(
        self, db: Database, group: str, member: str, numbers: dict[int, str], ttl: timedelta
    ) -> None:
        self._db = db
        self._group = group
        self._member = member
        self._numbers = numbers
        self._ttl = ttl
        self._held: dict[Place, Held] = {}
        self._uncommitted: dict[Place, tuple[int, int]] = {}
        self._ids = {name: number for number, name in numbers.items()}
        self._woken = asyncio.Event()
        self._interrupted = False
        self._drained = False
        self._pause = POLL_MIN
        self._valid_until = 0.0
        self._now = asyncio.get_running_loop().time
        self._keeper: asyncio.Task[None] | None = None

    async def join(self) -> None:
        await self._heartbeat()
        for name in self._numbers.values():
            self._db.hints.share(f"topic:{name}", self._woken)
        self._keeper = asyncio.create_task(self._keep())

    async def leave(self) -> None:
        self._db.hints.unsubscribe(self._woken)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._flush()
        await self._release(list(self._held))
        await self._db.execute(
            "delete from members where group_name = $1 and member = $2", self._group, self._member
        )

    async def _keep(self) -> None:
        """Heartbeats and commits until cancelled."""
        beat = self._ttl.total_seconds() / 4
        due = self._now() + beat
        while True:
            await asyncio.sleep(min(COMMIT_EVERY, beat))
            try:
                await self._flush()
                if self._now() >= due:
                    due = self._now() + beat
                    await self._heartbeat()
            except Unavailable as error:
                log("bus").warning("bus.heartbeat_failed", group=self._group, error=str(error))

    async def _heartbeat(self) -> None:
        asked_at = self._now()
        rows = await self._db.fetch(
            "select * from heartbeat($1, $2, $3, $4)",
            self._group,
            self._member,
            list(self._numbers),
            self._ttl,
        )
        self._valid_until = asked_at + self._ttl.total_seconds()
        mine = {(row["topic_id"], row["partition"]): row for row in rows}
        for place in self._held.keys() - mine.keys():
            del self._held[place]
        for place, row in mine.items():
            held = self._held.get(place)
            if held is None or held.generation != row["generation"]:
                held = self._held[place] = Held(row["generation"], *[row["committed"]] * 3)
            held.wanted = row["wanted"]
        await self._let_go()

    async def _let_go(self) -> None:
        """Release what another member should have, once nothing of it is under way here."""
        places = [place for place, held in self._held.items() if not held.wanted and not held.busy]
        if places:
            await self._flush()
            await self._release(places)

    async def _release(self, places: list[Place]) -> None:
        generations = [self._held.pop(place).generation for place in places]
        await self._db.execute(
            RELEASE, self._group, self._member, [t for t, _ in places], [p for _, p in places], generations
        )

    async def poll(self, max_records: int, timeout: float) -> list[Delivery]:
        deadline = self._now() + timeout
        while True:
            if self._drained and not self._interrupted:
                await self._wait(min(self._pause, max(deadline - self._now(), 0)))
            self._woken.clear()
            deliveries = await self._read(max_records)
            if deliveries:
                self._pause = POLL_MIN
                return deliveries
            if self._interrupted or self._now() >= deadline:
                return []

    def interrupt(self) -> None:
        self._interrupted = True
        self._woken.set()

    async def _wait(self, seconds: float) -> None:
        """Sooner on a hint; without one the pauses grow, also over several polls."""
        self._pause = min(self._pause * 2, POLL_MAX)
        if await hints.wait(self._woken, seconds):
            self._pause = POLL_MIN

    async def _read(self, max_records: int) -> list[Delivery]:
        self._require_lease()
        asked = {place: held for place, held in self._held.items() if held.wanted and not held.unreadable}
        begin = _earliest(asked)
        rows = await self._db.fetch(READ, list(begin), list(begin.values()), ROWS_PER_TOPIC, max_records)
        # What was read short of the limits was all there was: look again on the next hint, or after a pause.
        self._drained = sum(row["count"] for row in rows) < max_records and len(rows) < ROWS_PER_TOPIC
        # A heartbeat may have taken or renewed partitions meanwhile.
        still = {
            place: held for place, held in asked.items() if held.wanted and self._held.get(place) is held
        }
        deliveries = [delivery for row in rows for delivery in self._take(row, still)]
        self._pass_over(rows, still)
        if not deliveries and (
            reasons := [held.unreadable for held in self._held.values() if held.unreadable]
        ):
            raise Unavailable(reasons[0])
        return deliveries

    def _require_lease(self) -> None:
        """A member whose heartbeats fail must stop by itself: the others have its partitions by now."""
        if self._keeper is not None and self._keeper.done():
            self._keeper.result()
        if self._now() >= self._valid_until:
            self._held.clear()
            raise Unavailable(f"the bus has not heard from {self._member} for {self._ttl.total_seconds()} s")

    def _take(self, row: Any, asked: dict[Place, Held]) -> Iterator[Delivery]:
        """What can be read of a row. Another format stops its partitions until this code is replaced."""
        topic, position = row["t"], row["position"]
        try:
            parts = messages.unpack(row["records"]).parts
        except messages.Undecodable as error:
            self._stop([place for place in asked if place[0] == topic], position, error, asked)
            return
        for part in parts:
            held = asked.get((topic, part.partition))
            if held is None or position < held.next_position:
                continue
            try:
                records = messages.batch_from_bytes(part.batch).records
            except messages.Undecodable as error:
                self._stop([(topic, part.partition)], position, error, asked)
                continue
            held.delivered = held.next_position = position + 1
            yield Delivery(self._numbers[topic], part.partition, position, row["batch_id"], records)

    def _stop(self, places: list[Place], position: int, error: Exception, asked: dict[Place, Held]) -> None:
        for place in places:
            held = asked.pop(place)
            held.unreadable = f"{self._numbers[place[0]]}/{place[1]} at {position}: {error}"

    def _pass_over(self, rows: list[Any], asked: dict[Place, Held]) -> None:
        """All that was read lies behind the partitions that it held nothing for."""
        ends = {row["t"]: row["position"] + 1 for row in rows}
        for place, held in asked.items():
            if (end := ends.get(place[0], 0)) > held.next_position:
                held.next_position = end
            self._confirm(place, held, held.committed)

    def _confirm(self, place: Place, held: Held, position: int) -> None:
        """Committed up to there, and when nothing is under way any more, up to all that was passed over."""
        committed = max(held.committed, position)
        if committed >= held.delivered:
            committed = max(committed, held.next_position)
        if committed > held.committed:
            held.committed = committed
            self._uncommitted[place] = (held.generation, committed)

    def _place(self, delivery: Delivery) -> Place:
        return self._ids[delivery.topic], delivery.partition

    def holds(self, delivery: Delivery) -> bool:
        held = self._held.get(self._place(delivery))
        alive = self._now() < self._valid_until
        return alive and held is not None and delivery.position < held.next_position

    def fresh_since_assignment(self, delivery: Delivery) -> bool:
        held = self._held.get(self._place(delivery))
        return held is None or held.fresh

    async def commit(self, deliveries: Sequence[Delivery]) -> None:
        """Collected, and written at the latest with the next heartbeat round.

        The first one of a lease is written at once: what follows may kill the process, and would otherwise never
        come first after an assignment, where it is counted.
        """
        first = False
        for delivery in deliveries:
            place = self._place(delivery)
            held = self._held.get(place)
            if held is not None and delivery.position < held.next_position:
                self._confirm(place, held, delivery.position + 1)
                first, held.fresh = first or held.fresh, False
        if first:
            await self._flush()

    async def _flush(self) -> None:
        if not self._uncommitted:
            return
        pending, self._uncommitted = self._uncommitted, {}
        rows = [(t, p, generation, position) for (t, p), (generation, position) in sorted(pending.items())]
        try:
            await self._db.execute(COMMIT, self._group, self._member, *map(list, zip(*rows, strict=True)))
        except Unavailable:
            self._uncommitted = {**pending, **self._uncommitted}
            raise


def _earliest(held: dict[Place, Held]) -> dict[int, int]:
    """Topic → where to read on: at the partition that is furthest behind."""
    begin: dict[int, int] = {}
    for (topic, _), one in held.items():
        begin[topic] = min(begin.get(topic, one.next_position), one.next_position)
    return begin


def _counts(batch: OutboxBatch) -> str:
    """An array literal: partition, number of records, and so on in pairs."""
    return "{" + ",".join(f"{partition},{count}" for partition, count in batch.counts) + "}"


async def _ensure_topics(db: Database) -> dict[str, int]:
    known = {row["name"]: row for row in await db.fetch("select id, name, partitions from topics")}
    for topic in topics.TOPICS:
        found = known.get(topic.name)
        if found is None:
            await db.execute(
                "insert into topics (name, partitions, retention) values ($1, $2, $3) on conflict do nothing",
                topic.name, topic.partitions, topic.retention,
            )  # fmt: skip
        elif found["partitions"] != topic.partitions:
            raise TopicMismatch(
                f"topic {topic.name} has {found['partitions']} partitions, topics.py says {topic.partitions}"
            )
    await db.execute(
        "update topics t set retention = r from unnest($1::text[], $2::interval[]) u (n, r)"
        " where t.name = n and t.retention <> r",
        [topic.name for topic in topics.TOPICS], [topic.retention for topic in topics.TOPICS],
    )  # fmt: skip
    return {row["name"]: row["id"] for row in await db.fetch("select id, name from topics")}
