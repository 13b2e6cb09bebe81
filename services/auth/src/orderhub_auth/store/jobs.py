"""Which work was begun when: one replica does it per period."""

from __future__ import annotations

from datetime import datetime, timedelta

from orderhub_chassis.db import Transaction

BEGIN = """
insert into jobs (name, began_at) values ($1, $2)
on conflict (name) do update set began_at = excluded.began_at where jobs.began_at <= $3
returning name
"""


async def begin(tx: Transaction, name: str, *, now: datetime, every: timedelta) -> bool:
    """False where it was begun within the period: two who ask at once wait for each other, and one is told so."""
    return await tx.fetchval(BEGIN, name, now, now - every) is not None
