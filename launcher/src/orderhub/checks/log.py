"""What lies on the embedded bus, and how far its readers are, for the checks; `checks.brokers` says the same of Kafka."""

from __future__ import annotations

from typing import Any, Final

from orderhub.checks.model import Confirmed, Row

LOGGED: Final = """
select distinct on (l.batch_id, partition)
    l.batch_id, l.parts[2 * n - 1] as partition, l.parts[2 * n] as count, l.position, t.name as topic
from log l join topics t on t.id = l.topic_id cross join generate_series(1, cardinality(l.parts) / 2) n
order by l.batch_id, partition, l.position
"""
CONFIRMED: Final = """
select s.group_name, t.name as topic, s.partition, s.committed from leases s join topics t on t.id = s.topic_id
"""
MISPLACED: Final = """
select * from (
    select t.name as topic, t.next_position,
           (select max(position) from log l where l.topic_id = t.id) as last,
           (select max(committed) from leases s where s.topic_id = t.id) as confirmed
    from topics t
) ends where last >= next_position or confirmed > next_position order by topic
"""


class EmbeddedLog:
    """`connection` is to the bus's database, in the pass's transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def logged(self) -> list[Row]:
        return list(await self._connection.fetch(LOGGED))

    async def confirmed(self) -> Confirmed:
        rows = await self._connection.fetch(CONFIRMED)
        return {(row["group_name"], row["topic"], row["partition"]): row["committed"] for row in rows}

    async def misplaced(self) -> list[Row]:
        return [dict(row) for row in await self._connection.fetch(MISPLACED)]
