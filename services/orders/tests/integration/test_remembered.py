"""Orders that are remembered between two messages are exactly what their rows say, whoever wrote them last."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from msgspec.structs import fields
from orderhub_contracts.common.v1.common_pb2 import Reason
from orderhub_contracts.delivery.v1 import commands_pb2 as delivery
from orderhub_contracts.inventory.v1 import commands_pb2 as inventory
from orderhub_contracts.orders.v1 import orders_pb2 as pb
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_contracts.payments.v1 import commands_pb2 as payments
from orderhub_orders import store
from orderhub_orders.engine import State
from orderhub_orders.model import Status
from orderhub_orders.remembered import Remembered

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WAITING = (
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
)


class Comparing:
    """Stands before `load_orders`: what it remembers is compared with what the rows say, under the same locks."""

    def __init__(self) -> None:
        self.real = store.load_orders
        self.compared = 0
        self.differences: list[str] = []

    async def load(self, tx, ids, *, now, remembered=None):
        wanted = list(ids)
        before = {id: kept.order for id, kept in remembered._kept.items()} if remembered is not None else {}
        loaded = await self.real(tx, wanted, now=now, remembered=remembered)
        if remembered is not None:
            self.compared += sum(order is before.get(id) for id, order in loaded.orders.items())
            read = await self.real(tx, wanted, now=now)
            self.differences += _differences(loaded, read)
        return loaded


def _differences(loaded, read) -> list[str]:
    found = []
    for name in ("rests", "versions"):
        if getattr(loaded, name) != getattr(read, name):
            found.append(f"{name}: {getattr(loaded, name)}, not {getattr(read, name)}")
    for name in ("orders", "runs", "live"):
        ours, theirs = getattr(loaded, name), getattr(read, name)
        assert ours.keys() == theirs.keys()
        for key, one in ours.items():
            for field in fields(one):
                pair = getattr(one, field.name), getattr(theirs[key], field.name)
                # An order that was placed without a trace goes by that of the first answer, which is not written.
                if pair[0] != pair[1] and field.name != "trace_id":
                    found.append(f"{name}.{field.name}: {pair[0]!r}, not {pair[1]!r}")
    return found


@pytest.fixture
def comparing(monkeypatch):
    made = Comparing()
    monkeypatch.setattr(store, "load_orders", made.load)
    yield made
    assert made.differences == []


def says(outcome):
    def script(envelope):
        order_id = envelope.payload.order_id
        return [SagaReply(order_id=order_id, outcome=outcome, reason=Reason(code="x.no", message="No."))]

    return script


async def test_of_an_order_that_goes_through_six_of_seven_replies_find_it_remembered(world, comparing):
    orders = [await world.place() for _ in range(3)]
    for order in orders:
        await world.until(order.id, "CONFIRMED")
    assert comparing.compared == 6 * len(orders)


@pytest.mark.parametrize(
    "command",
    [
        delivery.PlanDelivery, inventory.ReserveStock, payments.AuthorizePayment, delivery.BookDelivery,
        payments.CapturePayment,
    ],
)  # fmt: skip
async def test_on_the_way_back_too(world, comparing, command):
    world.participants.scripts[command] = says(replies_pb2.OUTCOME_FAILED)
    placed = await world.place()
    await world.until(placed.id, "REJECTED")
    assert comparing.compared or command is delivery.PlanDelivery


async def test_what_an_operator_wrote_meanwhile_is_seen(world, comparing):
    world.participants.scripts[delivery.PlanDelivery] = says(replies_pb2.OUTCOME_HELD)
    placed = await world.place()
    await world.until(placed.id, "ON_HOLD")
    await world.call("ReleaseOrder", pb.ReleaseOrderRequest(id=placed.id), world.operator)
    await world.until(placed.id, "CONFIRMED")


async def test_a_cancel_between_two_replies_is_seen(world, comparing):
    world.participants.scripts[payments.AuthorizePayment] = lambda envelope: []
    placed = await world.place()
    asked = await world.asked(placed.id, payments.AuthorizePayment)
    await world.call("CancelOrder", pb.CancelOrderRequest(id=placed.id, reason="no more"))
    del world.participants.scripts[payments.AuthorizePayment]
    await world.participants.send(*world.participants.handle(None, asked, None))
    order = await world.until(placed.id, "CANCELLED")
    assert order.reason.code == "orders.cancelled"


async def test_what_the_lock_was_waited_for_is_seen(world):
    """Another process holds the order's row, moves order and run, and commits while we wait."""
    world.participants.silent = True
    placed = await world.place()
    id, db, remembered = UUID(placed.id), world.service.chassis.db, Remembered()

    async def load(tx):
        return await store.load_orders(tx, [id], now=NOW, remembered=remembered)

    store.remember(await db.run(load), remembered)
    assert len(remembered) == 1
    waiting = asyncio.Event()

    async def another(tx):
        loaded = await store.load_orders(tx, [id], now=NOW)
        loaded.orders[id].move(Status.CANCELLING, "order.cancelling", "By another")
        loaded.live[id].state, loaded.live[id].changed = State.COMPENSATING, True
        ours = asyncio.create_task(db.run(load))
        # Not in this transaction: what it has once seen of the others' activity it sees to its end.
        await world.eventually(lambda: db.fetchval(WAITING))
        waiting.set()
        await store.save(tx, loaded, now=NOW)
        return ours

    ours = await db.run(another)
    assert waiting.is_set()
    loaded = await ours
    assert loaded.orders[id].status is Status.CANCELLING
    assert loaded.live[id].state is State.COMPENSATING


async def test_a_transaction_that_is_rolled_back_leaves_nothing_remembered(world):
    world.participants.silent = True
    placed = await world.place()
    id, db, remembered = UUID(placed.id), world.service.chassis.db, Remembered()

    async def load(tx):
        return await store.load_orders(tx, [id], now=NOW, remembered=remembered)

    async def fails(tx):
        loaded = await load(tx)
        loaded.orders[id].payment_is("p", "AUTHORIZED", 9)
        raise RuntimeError("no")

    store.remember(await db.run(load), remembered)
    with pytest.raises(RuntimeError):
        await db.run(fails)
    assert len(remembered) == 0
    assert (await db.run(load)).orders[id].payment_status == ""


async def test_an_order_at_rest_is_not_remembered(world):
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")
    remembered, db = Remembered(), world.service.chassis.db
    loaded = await db.run(lambda tx: store.load_orders(tx, [UUID(placed.id)], now=NOW, remembered=remembered))
    store.remember(loaded, remembered)
    assert len(remembered) == 0


def test_the_one_that_rested_longest_is_forgotten_first():
    remembered = Remembered(most=2)
    for n in (1, 2, 3):
        order = type("AnOrder", (), {"id": UUID(int=n)})()
        remembered.keep(order, None, n)
    assert len(remembered) == 2
    assert remembered.take(UUID(int=1), 1) is None
    assert remembered.take(UUID(int=3), 3).order.id == UUID(int=3)


def test_another_version_is_not_taken_and_is_forgotten():
    remembered = Remembered()
    remembered.keep(type("AnOrder", (), {"id": UUID(int=1)})(), None, 5)
    assert remembered.take(UUID(int=1), 6) is None
    assert len(remembered) == 0
