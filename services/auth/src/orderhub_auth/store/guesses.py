"""Wrong passwords, counted by the hash of what they were counted for."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from orderhub_chassis.db import Transaction

from orderhub_auth.backoff import Count, Counts, Keys

# A row that is there is written as it is: locked from then on, or the clean-up might take it before it is read.
TOUCH = """
insert into guesses (key, failures) select key, 0 from unnest($1::bytea[]) as key order by key
on conflict (key) do update set failures = guesses.failures
"""
LOAD = "select * from guesses where key = any ($1::bytea[]) order by key for update"
SAVE = """
update guesses g set failures = s.failures, failed_at = s.failed_at, succeeded_at = s.succeeded_at
from unnest($1::bytea[], $2::int[], $3::timestamptz[], $4::timestamptz[]) as s (key, failures, failed_at, succeeded_at)
where g.key = s.key
"""
NOTE = """
insert into guesses (key, failures, failed_at) values ($1, 0, $2)
on conflict (key) do update set failed_at = excluded.failed_at
"""
# A day is longer than the longest count is remembered (backoff.py).
PRUNE = """
delete from guesses where key in (
    select key from guesses
    where coalesce(failed_at, '-infinity') < $1::timestamptz - interval '1 day'
        and coalesce(succeeded_at, '-infinity') < $2::timestamptz limit $3)
"""
NAMES = [field.name for field in fields(Counts)]


async def load_counts(tx: Transaction, keys: Keys) -> Counts:
    """Locked, in the order of their keys."""
    wanted = [getattr(keys, name) for name in NAMES]
    await tx.execute(TOUCH, wanted)
    rows = {row["key"]: row for row in await tx.fetch(LOAD, wanted)}
    found = [rows[key] for key in wanted]
    return Counts(*(Count(row["failures"], row["failed_at"], row["succeeded_at"]) for row in found))


async def save_counts(tx: Transaction, keys: Keys, counts: Counts) -> None:
    each = [getattr(counts, name) for name in NAMES]
    await tx.execute(
        SAVE, [getattr(keys, name) for name in NAMES], [one.failures for one in each],
        [one.failed_at for one in each], [one.succeeded_at for one in each],
    )  # fmt: skip


async def note_request(tx: Transaction, key: bytes, *, now: datetime) -> None:
    """That somebody asked for a mail to an address, whether there is such a user or not; it counts as nothing."""
    await tx.execute(NOTE, key, now)


async def prune_guesses(tx: Transaction, *, now: datetime, known_since: datetime, limit: int = 1000) -> int:
    """Delete what says nothing any more; returns how many."""
    return int((await tx.execute(PRUNE, now, known_since, limit)).split()[-1])
