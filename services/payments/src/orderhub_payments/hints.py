"""Follows up what webhooks hint at: asks the provider for the truth, and never books by what an event says.

Where a question about the payment is open, it is asked again at once, and the answer moves the payment as any answer
does. Where none is, payment and provider have to agree; what differs is kept and named, for a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from orderhub_chassis.db import Database
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.telemetry import log

from orderhub_payments import metrics, reconcile
from orderhub_payments.clients import Provider, ProviderRecord, Providers, not_configured
from orderhub_payments.webhooks import Hint
from orderhub_payments.worker import WAKE

HINTED: Final = "payments:webhooks"
BATCH: Final = 50
AGAIN: Final = timedelta(seconds=30)
"""Both the lease of a look, and the pause after one that could not be made."""
KEPT: Final = timedelta(days=30)
PRUNING: Final = timedelta(minutes=10)
PRUNED_AT_ONCE: Final = 1000

STORE: Final = """
insert into provider_events (provider, id, type, provider_ref, status, finding, looks, next_look_at, received_at)
values ($1, $2, $3, $4, 'new', '', 0, $5, $5) on conflict (provider, id) do nothing returning 1
"""
CLAIM: Final = """
with due as (
    select provider, id from provider_events where status = 'new' and next_look_at <= $1
    order by next_look_at limit $2 for update skip locked
)
update provider_events e set looks = looks + 1, next_look_at = $3 from due
where (e.provider, e.id) = (due.provider, due.id)
returning e.provider, e.id, e.provider_ref
"""
END: Final = """
update provider_events set status = $3, finding = $4 where provider = $1 and id = any($2) and status = 'new'
"""
HASTEN: Final = """
update payment_intents set next_attempt_at = $2
where payment_id = $1 and status = 'pending' and next_attempt_at > $2 and lease_until <= $2
"""
PRUNE: Final = """
delete from provider_events e using (
    select provider, id from provider_events where received_at < $1 order by received_at limit $2
) old where (e.provider, e.id) = (old.provider, old.id) returning 1
"""


class Hints:
    """`store` is called by whoever receives; `look` and `prune` run as jobs."""

    def __init__(self, db: Database, providers: Providers) -> None:
        self._db = db
        self._providers = providers

    async def store(self, hint: Hint) -> bool:
        """False for a repetition. Raises Unavailable."""
        now = self._db.clock.now()
        stored = await self._db.fetchval(STORE, hint.provider, hint.id, hint.type, hint.provider_ref, now)
        if stored:
            self._db.hints.notify_here(HINTED)
        return bool(stored)

    async def look(self) -> bool:
        """Take what is due; True when there may be more. One look serves all events about an authorization."""
        now = self._db.clock.now()
        rows = await self._db.fetch(CLAIM, now, BATCH, now + AGAIN)
        events: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            events.setdefault((row["provider"], row["provider_ref"]), []).append(row["id"])
        # Side by side: one that Stripe does not answer holds up no other.
        await asyncio.gather(*(self._look_at(provider, ref, ids) for (provider, ref), ids in events.items()))
        return len(rows) == BATCH

    async def prune(self) -> bool:
        """Forget what is old; True when there may be more."""
        rows = await self._db.fetch(PRUNE, self._db.clock.now() - KEPT, PRUNED_AT_ONCE)
        return len(rows) == PRUNED_AT_ONCE

    async def _look_at(self, name: str, ref: str, ids: Sequence[str]) -> None:
        provider = self._providers.get(name)
        try:
            found = await self._found(provider, ref) if provider else None
        except Unavailable as error:
            log("webhooks").warning("webhooks.look_waits", ref=ref, reason=error.detail)
            return
        if found is None:
            reason = "the payment moves" if provider else not_configured(name)
            tell = log("webhooks").info if provider else log("webhooks").warning
            tell("webhooks.look_waits", ref=ref, reason=reason)
            return
        status, finding = found
        await self._db.execute(END, name, ids, status, finding)
        metrics.WEBHOOK_FINDINGS.labels(status).inc(len(ids))
        if finding:
            log("webhooks").error("webhooks.finding", provider=name, ref=ref, status=status, finding=finding)

    async def _found(self, provider: Provider, ref: str) -> tuple[str, str] | None:
        """(status, finding); None where the payment has moved during the look, which then has to be repeated."""
        record = await provider.find(ref)
        if record is None:
            return "unknown", f"{provider.name} has no {ref} for this API key"
        side = await self._side(provider, record)
        if side is None:
            return "unknown", f"{ref} ({record.status}, {record.amount} {record.currency}) has no payment"
        if side.busy:
            await self._db.execute(HASTEN, side.payment_id, self._db.clock.now())
            self._db.hints.notify_here(WAKE)
            return "hastened", ""
        differences = await reconcile.settled(self._db, provider, side, record)
        if differences is None:
            return None
        words = "; ".join(f"{d.code}: {d.detail}" for d in differences)
        return ("differs" if differences else "agrees"), words

    async def _side(self, provider: Provider, record: ProviderRecord) -> reconcile.Side | None:
        """Our payment of this record, if it is this provider's."""
        try:
            order_id = UUID(record.reference)
        except ValueError:
            return None
        side = await reconcile.side_of(self._db, order_id)
        return side if side and side.provider == provider.name else None
