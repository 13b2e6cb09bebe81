"""What a request may be, who may see what, and what an Idempotency-Key promises."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.errors import Failure
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.common.v1.common_pb2 import Address, Money, PageRequest
from orderhub_contracts.orders.v1 import orders_pb2 as pb
from orderhub_orders import queries

STRANGER = Caller("c-2", frozenset({"customer"}))


async def outcomes(world, *items):
    return (await world.call("PlaceOrders", pb.PlaceOrdersRequest(items=items))).outcomes


async def test_twins_in_one_batch_are_one_order_and_another_fingerprint_is_refused(world):
    first, twin, other = world.item("k"), world.item("k"), world.item("k")
    other.fingerprint = b"other"
    one, two, three = await outcomes(world, first, twin, other)
    assert one.order.id == two.order.id
    assert (one.replayed, two.replayed) == (False, True)
    assert three.failure.code == "idempotency.key_reused"
    again = (await outcomes(world, first))[0]
    assert again.replayed
    assert again.order == one.order
    page = await world.call("ListOrders", pb.ListOrdersRequest())
    assert len(page.items) == 1


async def test_a_key_belongs_to_its_principal(world):
    mine, theirs = await outcomes(world, world.item("k"), world.item("k", caller=STRANGER))
    assert mine.order.id != theirs.order.id


async def test_who_has_yet_to_prove_its_address_orders_nothing_also_past_the_gateway(world):
    unproved = Caller("c-3", frozenset({"customer", "unverified"}))
    refused, placed = await outcomes(world, world.item(caller=unproved), world.item())
    assert (refused.failure.code, refused.HasField("order")) == ("orders.email_not_verified", False)
    assert placed.HasField("order"), "the others of its batch are not concerned"


async def test_a_refused_request_leaves_its_key_free(world):
    bad = world.item("k", lines=[pb.OrderLineRequest(sku="NO-SUCH", quantity=1)])
    assert await world.service.chassis.db.fetchval("select count(*) from idempotency_keys") == 0
    with_unknown = (await outcomes_without_inventory(world, bad))[0]
    assert with_unknown.failure.code
    good = (await outcomes(world, world.item("k")))[0]
    assert good.HasField("order")


async def outcomes_without_inventory(world, item):
    try:
        return await outcomes(world, item)
    except Failure as failure:
        outcome = pb.PlaceOrderOutcome()
        outcome.failure.code = failure.code
        return [outcome]


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        ({"lines": []}, "/lines"),
        ({"lines": [pb.OrderLineRequest(quantity=1)]}, "/lines/0"),
        ({"lines": [pb.OrderLineRequest(sku="A", product_id="x", quantity=1)]}, "/lines/0"),
        ({"lines": [pb.OrderLineRequest(product_id="x", quantity=1)]}, "/lines/0/product_id"),
        ({"lines": [pb.OrderLineRequest(sku="FISH-1", quantity=0)]}, "/lines/0/quantity"),
        ({"lines": [pb.OrderLineRequest(sku="FISH-1", quantity=-3)]}, "/lines/0/quantity"),
        ({"lines": [pb.OrderLineRequest(sku="FISH-1", quantity=10**9)]}, "/lines/0/quantity"),
        ({"payment_token": ""}, "/payment/token"),
        ({"comment": "x" * 2001}, "/comment"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_placed(world, over, pointer):
    outcome = (await outcomes(world, world.item(**over)))[0]
    assert pointer in [e.pointer for e in outcome.failure.errors]
    assert not (await world.call("ListOrders", pb.ListOrdersRequest())).items


async def test_one_bad_request_does_not_spoil_its_batch(world):
    good, bad = await outcomes(world, world.item(), world.item(payment_token=""))
    assert good.HasField("order")
    assert bad.failure.code == "validation"


async def test_vendors_are_not_mixed_and_a_sku_of_several_vendors_is_ambiguous(world):
    other = world.a_product(product_id=world.new_id(), vendor_id=world.new_id(), sku="fish-1")
    await world.participants.send(
        Outgoing(world.a_vendor(vendor_id=other.vendor_id), other.vendor_id), Outgoing(other, other.vendor_id)
    )
    await world.known(other.product_id)
    mixed = [pb.OrderLineRequest(product_id=p, quantity=1) for p in (world.product_id, other.product_id)]
    ambiguous = [pb.OrderLineRequest(sku="Fish-1", quantity=1)]
    first, second, third = await outcomes(
        world,
        world.item(lines=mixed),
        world.item(lines=ambiguous),
        world.item(lines=[pb.OrderLineRequest(sku="FISH-1", vendor_id=other.vendor_id, quantity=1)]),
    )
    assert first.failure.code == "orders.mixed_vendors"
    assert len(first.failure.errors) == 2
    assert second.failure.code == "orders.ambiguous_sku"
    assert third.order.vendor_id == other.vendor_id


async def test_an_archived_product_is_refused_before_anything_starts(world):
    await world.participants.send(Outgoing(world.a_product(status="archived", version=2), world.vendor_id))
    await world.known(world.product_id, version=2)
    outcome = (await outcomes(world, world.item()))[0]
    assert outcome.failure.code == "orders.archived_product"


async def test_the_price_is_fixed_at_acceptance(world):
    placed = await world.place()
    dearer = world.a_product(price=Money(amount_minor=9999, currency="EUR"), version=2)
    await world.participants.send(Outgoing(dearer, world.vendor_id))
    await world.known(world.product_id, version=2)
    order = await world.until(placed.id, "CONFIRMED")
    assert order.lines[0].unit_price.amount_minor == 6490
    assert (await world.place()).lines[0].unit_price.amount_minor == 9999


async def test_animals_need_a_position(world):
    somewhere = Address(name="N", line1="Street 1", city="Hamm", postal_code="59065", country="DE")
    (outcome,) = await outcomes(world, world.item(ship_to=somewhere))
    assert outcome.failure.code == "orders.position_required"
    assert [e.pointer for e in outcome.failure.errors] == ["/ship_to/lat", "/ship_to/lon"]


async def test_a_strangers_order_does_not_exist(world):
    placed = await world.place()
    for name, request in (
        ("GetOrder", pb.GetOrderRequest(id=placed.id)),
        ("GetTimeline", pb.GetTimelineRequest(id=placed.id)),
        ("CancelOrder", pb.CancelOrderRequest(id=placed.id)),
        ("WaitOrder", pb.WaitOrderRequest(id=placed.id)),
        ("GetOrder", pb.GetOrderRequest(id="no-uuid")),
    ):
        with pytest.raises(Failure) as failure:
            await world.call(name, request, STRANGER)
        assert failure.value.code == "orders.not_found"
    vendor = Caller("v", frozenset({"vendor"}), vendor_id=world.vendor_id)
    assert (await world.call("GetOrder", pb.GetOrderRequest(id=placed.id), vendor)).id == placed.id


async def test_lists_are_newest_first_paged_and_narrowed_to_the_caller(world):
    placed = [(await world.place()).id for _ in range(3)]
    first = await world.call("ListOrders", pb.ListOrdersRequest(page=PageRequest(limit=2)))
    assert [o.id for o in first.items] == [placed[2], placed[1]]
    page = PageRequest(limit=2, cursor=first.next_cursor)
    rest = await world.call("ListOrders", pb.ListOrdersRequest(page=page))
    assert [o.id for o in rest.items] == [placed[0]]
    assert not rest.next_cursor
    assert not (await world.call("ListOrders", pb.ListOrdersRequest(), STRANGER)).items
    with pytest.raises(Failure) as failure:
        await world.call("ListOrders", pb.ListOrdersRequest(page=page), STRANGER)
    assert failure.value.code == "cursor.malformed"
    for request in (pb.ListOrdersRequest(status="NONSENSE"), pb.ListOrdersRequest(created_after="yesterday")):
        with pytest.raises(Failure):
            await world.call("ListOrders", request)


async def test_waiting_returns_as_soon_as_the_order_is_settled(world):
    placed = await world.place()
    order = await world.call("WaitOrder", pb.WaitOrderRequest(id=placed.id, wait_ms=10_000))
    assert order.status == "CONFIRMED"


async def test_a_crowd_that_waits_is_looked_after_together(world, monkeypatch):
    """What another replica has settled is seen without a word from it, and not by a read per waiter and look."""
    reads, by_id = [], queries.by_id

    async def counted(db, ids, *, now):
        found = await by_id(db, ids, now=now)
        reads.append(len(ids))
        return found

    monkeypatch.setattr(queries, "by_id", counted)
    world.participants.silent = True
    placed = await world.place()
    request = pb.WaitOrderRequest(id=placed.id, wait_ms=25_000)
    waiting = [asyncio.create_task(world.call("WaitOrder", request)) for _ in range(40)]

    async def all_have_looked():
        return sum(reads) >= len(waiting)

    await world.eventually(all_have_looked)
    db = world.service.chassis.db
    await db.execute("update orders set status = 'CANCELLED' where id = $1", UUID(placed.id))
    async with asyncio.timeout(15):
        answers = await asyncio.gather(*waiting)
    assert {order.status for order in answers} == {"CANCELLED"}
    assert sum(reads) == 2 * len(waiting)
    assert len(reads) < len(waiting)


async def test_waiting_ends_when_its_time_is_up(world):
    world.participants.silent = True
    placed = await world.place()
    order = await world.call("WaitOrder", pb.WaitOrderRequest(id=placed.id, wait_ms=50))
    assert order.status == "PENDING"


async def test_waiting_ends_when_the_service_is_about_to_stop(world):
    world.participants.silent = True
    placed = await world.place()
    world.service.chassis.readiness.drain()
    async with asyncio.timeout(15):
        order = await world.call("WaitOrder", pb.WaitOrderRequest(id=placed.id, wait_ms=25_000))
    assert order.status == "PENDING"


async def test_without_a_token_nothing_is_placed(world):
    item = world.item()
    item.caller_token = ""
    outcome = (await outcomes(world, item))[0]
    assert outcome.failure.kind == "unauthenticated"


async def test_a_cancel_under_a_key_is_replayed_and_says_so(world):
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")
    request, heard = pb.CancelOrderRequest(id=placed.id, reason="once"), []
    for _ in range(2):
        received = {}
        call = Call(caller=Caller("c-1", frozenset({"customer"})), idempotency_key="k", fingerprint=b"f")
        await world.peer.call(world.stub.CancelOrder, request, call=call, received=received)
        heard.append(received.get("x-idempotency-replayed"))
    assert heard == [None, "true"]
