"""Which replay of a dead letter may begin: none without end, and not faster than beside the live traffic.

What is decided here is committed before the replay runs, so that one that kills the process is counted too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from orderhub_chassis.db import Transaction
from orderhub_chassis.errors import Conflict, NotFound, RateLimited

MAX_REPLAYS: Final = 3
"""Replays in vain after which the operator has to insist."""
BURST: Final = 10
"""Replays that may follow each other at once after a pause."""

# The dead letter that the named message's key waits for: it stands for all that a replay runs.
FIND: Final = """
select first.id, first.topic, first.key, first.replays
from dead_letters named join dead_letters first using (consumer, topic, key)
where named.id = $1 and consumer = $2 and named.status <> 'done' and first.status <> 'done'
order by first.seq limit 1 for update of first
"""
PACE: Final = (
    "select greatest(full_at - clock_timestamp(), interval '0') from replay_pace where id = 1 for update"
)


class DeadLetterNotFound(NotFound):
    """There is none, or it is done."""

    code = "dead_letters.not_found"


class ReplayedTooOften(Conflict):
    code = "dead_letters.replayed_too_often"


class ReplaysTooFast(RateLimited):
    code = "dead_letters.replayed_too_fast"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The dead letter that a key waits for, and how often it has been replayed."""

    id: UUID
    topic: str
    key: str
    replays: int


async def find(tx: Transaction, consumer: str, id: UUID) -> Waiting:
    """Locked. Raises DeadLetterNotFound."""
    row = await tx.fetchrow(FIND, id, consumer)
    if row is None:
        raise DeadLetterNotFound(f"no open dead letter {id}")
    return Waiting(row["id"], row["topic"], row["key"], row["replays"])


async def count(tx: Transaction, waiting: Waiting, *, force: bool) -> None:
    """One more of this dead letter. Raises ReplayedTooOften."""
    if waiting.replays >= MAX_REPLAYS and not force:
        raise ReplayedTooOften(
            f"replayed {waiting.replays} times, and still dead: mend the cause and try a dry run, or use force"
        )
    await tx.execute("update dead_letters set replays = replays + 1 where id = $1", waiting.id)


async def keep_pace(tx: Transaction, rate: float) -> None:
    """One more of this service's `rate` per second, dry runs too. Raises ReplaysTooFast with when to come again."""
    interval = timedelta(seconds=1 / rate)
    until_full: timedelta = await tx.fetchval(PACE)
    if (wait := until_full + interval - BURST * interval) > timedelta(0):
        raise ReplaysTooFast(
            "too many replays at once: slow down", retry_after=math.ceil(wait.total_seconds())
        )
    await tx.execute(
        "update replay_pace set full_at = greatest(full_at, clock_timestamp()) + $1 where id = 1", interval
    )
