"""What is revoked before its time: written in the transaction of its cause, taken to Redis after the commit.

Whoever ends something calls `revoke`; nobody has to think of Redis. Sessions that end by `store.sessions` are in here
already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.db import Database, Transaction
from orderhub_contracts.revocations import KEPT, Kind, Revocation

HINT: Final = "auth:revocations"
"""Wakes whoever takes them to Redis."""
INSERT: Final = """
insert into revocations (kind, value, epoch, revoked_at, until) select $1, value, $3, $4, $5 from unnest($2::text[]) value
"""
RAISE_EPOCH: Final = "update users set epoch = epoch + 1 where id = $1 returning epoch"
UNSENT: Final = "select * from revocations where sent_at is null order by id limit $1"
STANDING: Final = "select * from revocations where until > $1 and id > $2 order by id limit $3"
SENT: Final = "update revocations set sent_at = $2 where id = any ($1::bigint[])"
OLDEST_UNSENT: Final = "select min(revoked_at) from revocations where sent_at is null"
PRUNE: Final = """
delete from revocations where id in (select id from revocations where until < $1 limit $2)
"""
STANDS: Final = """
select exists (
    select from revocations
    where until > $1 and ((kind, value) in (('jti', $2), ('client', $3)) or (kind = 'user' and value = $4 and epoch > $5))
)
"""
Numbered = tuple[int, Revocation]


async def revoke(tx: Transaction, kind: Kind, *values: UUID | str, now: datetime, epoch: int = 0) -> None:
    """From the commit on, and at every gateway within a second, whatever names one of these is refused.

    For users there is `revoke_user`.
    """
    if values:
        await tx.execute(INSERT, kind, [str(value) for value in values], epoch, now, now + KEPT)
        tx.hint(HINT)


async def revoke_user(tx: Transaction, user_id: UUID, *, now: datetime) -> None:
    """All access tokens that this user has now, whichever session or client they belong to. Those that are issued
    afterwards are good: the user has to be loaded again for them, as its epoch is another."""
    epoch = await tx.fetchval(RAISE_EPOCH, user_id)
    if epoch is not None:
        await revoke(tx, Kind.USER, user_id, now=now, epoch=epoch)


async def stands(db: Database, claims: Mapping[str, Any]) -> bool:
    """Whether one of them names this access token of ours; of its session the row itself tells."""
    given = (claims["jti"], claims["client_id"], claims["sub"], claims.get("epoch", 0))
    return bool(await db.fetchval(STANDS, db.clock.now(), *given))


async def unsent(db: Database, limit: int) -> list[Numbered]:
    return [_from(row) for row in await db.fetch(UNSENT, limit)]


async def standing(db: Database, after: int, limit: int, *, now: datetime) -> list[Numbered]:
    """Those that still matter, sent or not, in the order of their numbers."""
    return [_from(row) for row in await db.fetch(STANDING, now, after, limit)]


async def note_sent(db: Database, numbers: Sequence[int], *, now: datetime) -> None:
    await db.execute(SENT, numbers, now)


async def oldest_unsent(db: Database) -> datetime | None:
    found: datetime | None = await db.fetchval(OLDEST_UNSENT)
    return found


async def prune_revocations(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete those that nothing alive is about; returns how many."""
    return int((await tx.execute(PRUNE, before, limit)).split()[-1])


def _from(row: Any) -> Numbered:
    until = int(row["until"].timestamp())
    return row["id"], Revocation(Kind(row["kind"]), row["value"], until, row["epoch"])
