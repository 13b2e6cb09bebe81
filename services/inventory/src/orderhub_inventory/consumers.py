"""What inventory hears: which rows a batch of commands locks, and which decision each command meets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from orderhub_chassis import ids, participant
from orderhub_chassis.consumer import ConsumerSpec, Context, Decision
from orderhub_chassis.db import Transaction
from orderhub_chassis.messages import Envelope
from orderhub_contracts import topics
from orderhub_contracts.inventory.v1 import commands_pb2 as pb

from orderhub_inventory import metrics
from orderhub_inventory.commands import reservations
from orderhub_inventory.commands.reservations import Desk
from orderhub_inventory.store import shelves

ACTOR = "service:orders"

HANDLERS: dict[type, Decision[Desk]] = {
    pb.ReserveStock: participant.answering(reservations.reserve_stock),
    pb.CommitStock: participant.answering(reservations.commit_stock),
    pb.ReleaseStock: participant.answering(reservations.release_stock),
    pb.ExtendReservation: reservations.extend_reservation,
}


def spec(ask_after: timedelta) -> ConsumerSpec[Desk]:
    """`ask_after`: how long a reservation stands before orders is asked about it."""

    async def load(tx: Transaction, envelopes: Sequence[Envelope], context: Context) -> Desk:
        return await load_desk(tx, envelopes, ask_after)

    return ConsumerSpec(
        "inventory", topics.READERS["inventory"], load, HANDLERS, save_desk, after_commit=metrics.observe
    )


async def load_desk(tx: Transaction, envelopes: Sequence[Envelope], ask_after: timedelta) -> Desk:
    """Standings first, then all that the batch's orders want or hold."""
    order_ids = {ids.parse(envelope.payload.order_id) for envelope in envelopes}
    reserves = [e.payload for e in envelopes if isinstance(e.payload, pb.ReserveStock)]
    wishes = [wish for command in reserves for wish in reservations.wishes_of(command)]
    standings = await participant.load(tx, order_ids)
    shelf = await shelves.load(
        tx,
        order_ids,
        (wish.product_id for wish in wishes if wish.product_id),
        (id for wish in wishes for id in wish.animal_ids),
    )
    wanted = Counter(wish.animal_ids[0] for wish in wishes if len(wish.animal_ids) == 1)
    return Desk(standings, shelf, ask_after, wanted)


async def save_desk(tx: Transaction, desk: Desk, context: Context) -> None:
    await participant.save(tx, desk.standings)
    await shelves.save(tx, desk.shelf, actor=ACTOR, now=context.now)
