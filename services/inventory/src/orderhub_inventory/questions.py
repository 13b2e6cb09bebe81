"""Reservations never expire by inventory's clock: an old one makes a question to orders, again and again."""

from __future__ import annotations

from datetime import timedelta

from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.inventory.v1 import commands_pb2 as pb

from orderhub_inventory import metrics
from orderhub_inventory.store import shelves


async def ask(db: Database, every: timedelta) -> bool:
    """Ask about what is due now; true when more may be due."""

    async def work(tx: Transaction) -> int:
        now = db.clock.now()
        due = await shelves.ask(tx, now=now, again_at=now + every)
        for order_id, epoch in due:
            question = pb.ReservationDue(order_id=str(order_id), epoch=epoch)
            tx.send(Outgoing(question, str(order_id)))
        return len(due)

    asked = await db.run(work)
    metrics.QUESTIONS.inc(asked)
    return asked >= shelves.ASKED_AT_ONCE
