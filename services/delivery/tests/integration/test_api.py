"""DeliveryService over gRPC: who may do what to whose delivery, twice, at once, and with every kind of bad input."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest
from google.protobuf.message import Message
from orderhub_chassis.calls import ANONYMOUS, Call, Caller
from orderhub_chassis.errors import Failure, Kind
from orderhub_chassis.ids import uuid7
from orderhub_contracts.common.v1.common_pb2 import Address, AnimalFacts, PageRequest, Position
from orderhub_contracts.delivery.v1 import delivery_pb2 as pb
from orderhub_contracts.delivery.v1.commands_pb2 import PlanDelivery, PlanLine
from orderhub_delivery import model, store
from orderhub_delivery.app import Service

from .conftest import (
    COURIER,
    CUSTOMER,
    OPERATOR,
    OTHER_COURIER,
    OTHER_VENDOR,
    PICKUP,
    SHIP_TO,
    VENDOR,
    VENDOR_ID,
    Api,
    Orders,
    a_key,
    step,
)

FAR = Address(line1="Markt 2", city="Hamm", country="DE", position=Position(lat=51.68, lon=7.82))
OTHER_CUSTOMER = Caller("customer-2", frozenset({"customer"}))


async def refused(calling: Any) -> Failure:
    with pytest.raises(Failure) as refusal:
        await calling
    return refusal.value


async def test_a_delivery_goes_from_door_to_door(service: Service, orders: Orders, api: Api) -> None:
    order_id = str(uuid7())
    id = await orders.book(order_id)
    taken = await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=id))
    assert (taken.status, taken.courier_id) == ("ASSIGNED", COURIER.user_id)
    picked = await api.call(COURIER, "PickUpDelivery", pb.PickUpDeliveryRequest(id=id))
    assert (picked.status, picked.picked_up, picked.legs[0].status) == ("IN_PROGRESS", True, "IN_PROGRESS")
    where = Position(lat=52.1, lon=5.3)
    await api.call(COURIER, "ReportPosition", pb.ReportPositionRequest(id=id, position=where))
    seen = await api.call(CUSTOMER, "GetDelivery", pb.GetDeliveryRequest(id=id))
    assert seen.position == where
    done = await api.call(COURIER, "HandOverDelivery", pb.HandOverDeliveryRequest(id=id, recipient="Ann"))
    assert (done.status, done.recipient, done.version) == ("COMPLETED", "Ann", 5)
    await orders.told(order_id, "delivery.completed")
    told = [(e.kind, e.status, e.version, e.picked_up) for e in orders.events if e.order_id == order_id]
    assert told == [
        ("delivery.created", "CREATED", 1, False),
        ("delivery.assigned", "ASSIGNED", 3, False),
        ("delivery.picked_up", "IN_PROGRESS", 4, True),
        ("delivery.completed", "COMPLETED", 5, True),
    ]


async def test_of_two_couriers_who_take_it_at_once_one_wins(
    service: Service, orders: Orders, api: Api
) -> None:
    for _ in range(5):
        id = await orders.book()
        answers = await asyncio.gather(
            *(
                api.call(who, "AssignDelivery", pb.AssignDeliveryRequest(id=id))
                for who in (COURIER, OTHER_COURIER)
            ),
            return_exceptions=True,
        )
        (won,) = [answer for answer in answers if isinstance(answer, pb.Delivery)]
        (lost,) = [answer for answer in answers if isinstance(answer, Failure)]
        # Who comes second and finds it taken is told so; who comes later cannot see it any more.
        assert (lost.kind, lost.code) in [
            (Kind.CONFLICT, "delivery.already_assigned"),
            (Kind.NOT_FOUND, "delivery.not_found"),
        ]
        found = await api.call(OPERATOR, "GetDelivery", pb.GetDeliveryRequest(id=id))
        assert found.courier_id == won.courier_id


CALLS: dict[str, Message] = {
    "GetDelivery": pb.GetDeliveryRequest(),
    "AssignDelivery": pb.AssignDeliveryRequest(),
    "PickUpDelivery": pb.PickUpDeliveryRequest(),
    "ReportPosition": pb.ReportPositionRequest(position=Position(lat=1, lon=1)),
    "HandOverDelivery": pb.HandOverDeliveryRequest(recipient="Ann"),
    "FailDelivery": pb.FailDeliveryRequest(reason="no road"),
    "CancelDelivery": pb.CancelDeliveryRequest(reason="no boxes"),
}
"""Every call that names a delivery, without its id."""


def naming(request: Message, id: str) -> Message:
    named = type(request)()
    named.CopyFrom(request)
    named.id = id  # type: ignore[attr-defined]
    return named


WHO = {
    "nobody": ANONYMOUS, "customer": CUSTOMER, "other customer": OTHER_CUSTOMER, "vendor": VENDOR,
    "other vendor": OTHER_VENDOR, "courier": COURIER, "other courier": OTHER_COURIER, "operator": OPERATOR,
}  # fmt: skip
N, F, U, OK = Kind.NOT_FOUND, Kind.FORBIDDEN, Kind.UNAUTHENTICATED, None
# What happens to a delivery that COURIER has been assigned, in the order of CALLS; W: a party, yet too early.
W = Kind.CONFLICT
ASSIGNED = {
    "nobody": [U, U, U, U, U, U, U],
    "customer": [OK, F, F, F, F, F, F],
    "other customer": [N, F, F, F, F, F, F],
    "vendor": [OK, F, F, F, F, F, OK],
    "other vendor": [N, F, F, F, F, F, N],
    "courier": [OK, OK, OK, OK, W, OK, F],
    "other courier": [N, N, N, N, N, N, F],
    "operator": [OK, Kind.INVALID, OK, F, W, OK, OK],
}


@pytest.mark.parametrize("who", WHO)
async def test_a_delivery_is_only_for_its_parties_and_each_in_their_role(
    who: str, service: Service, orders: Orders, api: Api
) -> None:
    found = []
    for method, request in CALLS.items():
        id = await orders.book()
        await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=id))
        try:
            await api.call(WHO[who], method, naming(request, id))
            found.append(None)
        except Failure as failure:
            found.append(failure.kind)
    assert found == ASSIGNED[who]


async def test_an_id_that_names_nothing_is_not_found(service: Service, api: Api) -> None:
    caller = Caller(OPERATOR.user_id, frozenset({"operator", "courier"}))
    for id in ("", "7", "not-a-uuid", str(uuid7()), "\0", "x" * 5000):
        for method, request in CALLS.items():
            failure = await refused(api.call(caller, method, naming(request, id)))
            assert (method, failure.code) == (method, "delivery.not_found")


async def test_everybody_lists_what_is_theirs(service: Service, orders: Orders, api: Api) -> None:
    theirs = [await orders.book() for _ in range(3)]
    held = await orders.book(release=False)
    foreign = await orders.book(vendor_id=OTHER_VENDOR.vendor_id, customer_id=OTHER_CUSTOMER.user_id)
    await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=theirs[0]))

    async def listed(caller: Caller, **over: Any) -> list[str]:
        found = await api.call(caller, "ListDeliveries", pb.ListDeliveriesRequest(**over))
        return [item.id for item in found.items]

    everything = sorted([*theirs, held, foreign], reverse=True)
    assert await listed(OPERATOR) == everything
    assert await listed(VENDOR) == await listed(CUSTOMER) == [id for id in everything if id != foreign]
    assert await listed(OTHER_VENDOR) == await listed(OTHER_CUSTOMER) == [foreign]
    assert await listed(COURIER) == [id for id in everything if id != held]
    assert await listed(OTHER_COURIER) == [id for id in everything if id not in (held, theirs[0])]
    assert await listed(COURIER, status="ASSIGNED") == [theirs[0]]
    assert await listed(OTHER_COURIER, status="ASSIGNED") == []
    both = Caller(COURIER.user_id, frozenset({"courier", "vendor"}), VENDOR_ID)
    assert await listed(both) == everything
    vendor_of_nothing = Caller("v", frozenset({"vendor"}), "no-uuid")
    assert await listed(vendor_of_nothing) == []
    found = await api.call(OPERATOR, "GetDelivery", pb.GetDeliveryRequest(id=foreign))
    assert await listed(OPERATOR, order_id=found.order_id) == [foreign]
    assert await listed(VENDOR, order_id=found.order_id) == []


async def test_a_list_is_read_page_by_page(service: Service, orders: Orders, api: Api) -> None:
    ids = sorted([await orders.book() for _ in range(5)], reverse=True)
    await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=ids[1]))
    seen, cursor = [], ""
    for expected in (2, 2, 1):
        page = await api.call(
            COURIER, "ListDeliveries", pb.ListDeliveriesRequest(page=PageRequest(limit=2, cursor=cursor))
        )
        assert len(page.items) == expected
        seen += [item.id for item in page.items]
        cursor = page.next_cursor
    assert (seen, cursor) == (ids, "")


async def test_a_cursor_belongs_to_its_list(service: Service, orders: Orders, api: Api) -> None:
    for _ in range(2):
        await orders.book()
    page = await api.call(VENDOR, "ListDeliveries", pb.ListDeliveriesRequest(page=PageRequest(limit=1)))
    for caller, cursor, status in [
        (OPERATOR, page.next_cursor, ""),
        (VENDOR, page.next_cursor, "CREATED"),
        (VENDOR, page.next_cursor[:-2], ""),
        (VENDOR, "%%%", ""),
    ]:
        asked = pb.ListDeliveriesRequest(page=PageRequest(limit=1, cursor=cursor), status=status)
        assert (await refused(api.call(caller, "ListDeliveries", asked))).code == "cursor.malformed"


async def test_a_courier_who_looks_for_work_does_not_see_whose_door_it_is(
    service: Service, orders: Orders, api: Api
) -> None:
    id = await orders.book()
    (free,) = (await api.call(COURIER, "ListDeliveries", pb.ListDeliveriesRequest())).items
    shown = free.delivery_address
    assert (shown.city, shown.name, shown.line1, shown.phone) == ("Utrecht", "", "", "")
    taken = await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=id))
    assert taken.delivery_address == SHIP_TO
    assert (await api.call(CUSTOMER, "GetDelivery", pb.GetDeliveryRequest(id=id))).delivery_address == SHIP_TO


async def test_an_operator_gives_a_delivery_to_a_courier(service: Service, orders: Orders, api: Api) -> None:
    id = await orders.book()
    named = pb.AssignDeliveryRequest(id=id, courier_id=OTHER_COURIER.user_id)
    assert (await refused(api.call(COURIER, "AssignDelivery", named))).kind is Kind.FORBIDDEN
    for wrong in ("", "someone", "\0"):
        failure = await refused(
            api.call(OPERATOR, "AssignDelivery", pb.AssignDeliveryRequest(id=id, courier_id=wrong))
        )
        assert [error.pointer for error in failure.errors] == ["/courier_id"]
    given = await api.call(OPERATOR, "AssignDelivery", named)
    assert given.courier_id == OTHER_COURIER.user_id
    again = pb.AssignDeliveryRequest(id=id, courier_id=COURIER.user_id)
    assert (await refused(api.call(OPERATOR, "AssignDelivery", again))).code == "delivery.already_assigned"


async def test_a_held_delivery_can_be_neither_taken_nor_called_off(
    service: Service, orders: Orders, api: Api
) -> None:
    id = await orders.book(release=False)
    taking = api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=id))
    assert (await refused(taking)).code == "delivery.not_found"
    giving = pb.AssignDeliveryRequest(id=id, courier_id=COURIER.user_id)
    assert (await refused(api.call(OPERATOR, "AssignDelivery", giving))).code == "delivery.held"
    cancelling = api.call(VENDOR, "CancelDelivery", pb.CancelDeliveryRequest(id=id))
    assert (await refused(cancelling)).code == "delivery.held"


async def test_a_key_is_answered_once(
    service: Service, orders: Orders, api: Api, sql: asyncpg.Connection
) -> None:
    order_id = str(uuid7())
    first = await orders.book(order_id)
    await api.call(VENDOR, "CancelDelivery", pb.CancelDeliveryRequest(id=first, reason="no boxes"))
    key, asked = a_key(), pb.CreateDeliveryRequest(order_id=order_id)
    made = await api.call(VENDOR, "CreateDelivery", asked, key=key)
    call = Call(caller=VENDOR, idempotency_key=key, fingerprint=asked.SerializeToString())
    replay = api.stub.CreateDelivery(asked, metadata=api.peer._metadata(call))
    assert dict(await replay.initial_metadata())["x-idempotency-replayed"] == "true"
    assert (await replay).id == made.id
    other = api.call(VENDOR, "CreateDelivery", asked, key=key, body=b"another")
    assert (await refused(other)).code == "idempotency.key_reused"
    assert await sql.fetchval("select count(*) from deliveries where order_id = $1", order_id) == 2
    assigning = pb.AssignDeliveryRequest(id=made.id)
    twice = [await api.call(COURIER, "AssignDelivery", assigning, key="same") for _ in range(2)]
    assert twice[0] == twice[1]


async def test_creating_at_once_makes_one_delivery(
    service: Service, orders: Orders, api: Api, sql: asyncpg.Connection
) -> None:
    order_id = str(uuid7())
    await api.call(VENDOR, "CancelDelivery", pb.CancelDeliveryRequest(id=await orders.book(order_id)))
    asked, key = pb.CreateDeliveryRequest(order_id=order_id), a_key()
    same = await asyncio.gather(*(api.call(VENDOR, "CreateDelivery", asked, key=key) for _ in range(4)))
    assert len({delivery.id for delivery in same}) == 1
    await api.call(VENDOR, "CancelDelivery", pb.CancelDeliveryRequest(id=same[0].id))
    others = await asyncio.gather(
        *(api.call(VENDOR, "CreateDelivery", asked, key=a_key()) for _ in range(6)), return_exceptions=True
    )
    codes = sorted(getattr(answer, "code", "made") for answer in others)
    assert codes == ["delivery.already_live"] * 5 + ["made"]
    assert await sql.fetchval("select count(*) from deliveries where order_id = $1", order_id) == 3


async def test_another_delivery_follows_one_that_was_called_off(
    service: Service, orders: Orders, api: Api
) -> None:
    order_id = str(uuid7())
    first = await orders.book(order_id)
    asked = pb.CreateDeliveryRequest(order_id=order_id, delivery_address=FAR, description="three boxes")
    assert (await refused(api.call(VENDOR, "CreateDelivery", asked))).code == "delivery.already_live"
    await api.call(VENDOR, "CancelDelivery", pb.CancelDeliveryRequest(id=first, reason="no boxes"))
    stranger = await refused(api.call(OTHER_VENDOR, "CreateDelivery", asked))
    assert (stranger.kind, stranger.code) == (Kind.NOT_FOUND, "delivery.order_not_found")
    made = await api.call(VENDOR, "CreateDelivery", asked)
    assert (made.status, made.held, made.description) == ("CREATED", False, "three boxes")
    assert (made.pickup_address, made.delivery_address) == (PICKUP, FAR)
    assert (made.vendor_id, made.customer_id) == (VENDOR_ID, CUSTOMER.user_id)
    created = [e for e in orders.events if e.order_id == order_id]
    assert created
    taken = await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=made.id))
    assert taken.courier_id == COURIER.user_id


async def test_another_route_is_held_to_the_rules_and_the_refusal_is_kept(
    service: Service, orders: Orders, api: Api, sql: asyncpg.Connection
) -> None:
    order_id = str(uuid7())
    born = str(datetime.now(UTC).date() - timedelta(days=12))
    piglet = AnimalFacts(animal_id="p", species="sus_scrofa_domesticus", life_stage="juvenile", born_on=born)
    lines = [PlanLine(line_no=1, kind="individual", quantity=1, candidates=[piglet])]
    plan = PlanDelivery(order_id=order_id, vendor_id=VENDOR_ID, pickup=PICKUP, ship_to=SHIP_TO, lines=lines)
    await orders.ask((plan, step(order_id, 1)))
    await api.call(VENDOR, "CancelDelivery", pb.CancelDeliveryRequest(id=await orders.book(order_id)))
    far = pb.CreateDeliveryRequest(order_id=order_id, delivery_address=FAR)
    failure = await refused(api.call(VENDOR, "CreateDelivery", far))
    assert (failure.kind, failure.code) == (Kind.UNPROCESSABLE, "delivery.against_rules")
    assert [error.code for error in failure.errors] == ["EU-AGE-01"]
    await api.call(VENDOR, "CreateDelivery", pb.CreateDeliveryRequest(order_id=order_id))
    rows = await sql.fetch("select verdict from welfare_decisions where order_id = $1 order by id", order_id)
    assert [row["verdict"] for row in rows] == ["allow", "refuse", "allow"]


async def test_a_late_position_is_dropped_and_a_wrong_one_refused(
    service: Service, orders: Orders, api: Api
) -> None:
    id = await orders.book()
    early = api.call(COURIER, "ReportPosition", a_report(id, 1, 1))
    assert (await refused(early)).code == "delivery.wrong_status"
    await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=id))
    now = datetime.now(UTC)
    await api.call(COURIER, "ReportPosition", a_report(id, 1, 1, now.isoformat()))
    late = await api.call(
        COURIER, "ReportPosition", a_report(id, 2, 2, (now - timedelta(seconds=1)).isoformat())
    )
    assert late.position == Position(lat=1, lon=1)
    for lat, lon, at, pointer in [
        (91, 0, "", "/lat"),
        (0, -180.5, "", "/lon"),
        (float("nan"), 0, "", "/lat"),
        (0, float("inf"), "", "/lon"),
        (0, 0, "yesterday", "/at"),
        (0, 0, "2026-01-01", "/at"),
        (0, 0, "2026-01-01T00:00:00", "/at"),
        (0, 0, (now + timedelta(hours=1)).isoformat(), "/at"),
        (0, 0, "0001-01-01T00:00:00+23:59", "/at"),
    ]:
        failure = await refused(api.call(COURIER, "ReportPosition", a_report(id, lat, lon, at)))
        assert (failure.kind, [error.pointer for error in failure.errors]) == (Kind.INVALID, [pointer])
    nowhere = await refused(api.call(COURIER, "ReportPosition", pb.ReportPositionRequest(id=id)))
    assert [error.pointer for error in nowhere.errors] == ["/lat"]


async def test_positions_that_arrive_at_once_leave_the_newest(
    service: Service, orders: Orders, api: Api
) -> None:
    id = await orders.book()
    await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=id))
    start = datetime.now(UTC) - timedelta(minutes=1)
    reports = [a_report(id, n, n, (start + timedelta(seconds=n)).isoformat()) for n in (3, 1, 9, 4, 7, 2)]
    await asyncio.gather(*(api.call(COURIER, "ReportPosition", report) for report in reports))
    found = await api.call(COURIER, "GetDelivery", pb.GetDeliveryRequest(id=id))
    assert (found.position.lat, found.version) == (9, 3)


async def test_a_report_that_was_overtaken_between_read_and_write_is_dropped(
    service: Service, orders: Orders, api: Api
) -> None:
    id, now = await orders.book(), datetime.now(UTC)
    for lat, at in [(1.0, now), (2.0, now - timedelta(seconds=5))]:
        position = model.Position(lat, 0.0, at)
        await service.chassis.db.run(lambda tx, p=position: store.save_position(tx, UUID(id), p))
    assert (await api.call(OPERATOR, "GetDelivery", pb.GetDeliveryRequest(id=id))).position.lat == 1


def a_report(id: str, lat: float, lon: float, at: str = "") -> pb.ReportPositionRequest:
    return pb.ReportPositionRequest(id=id, position=Position(lat=lat, lon=lon), at=at)


NUL, LONG = "a\0b", "x" * 501


BAD_INPUT: list[tuple[str, Message, list[str]]] = [
    ("CreateDelivery", pb.CreateDeliveryRequest(), ["/order_id"]),
    ("CreateDelivery", pb.CreateDeliveryRequest(order_id="7"), ["/order_id"]),
    (
        "CreateDelivery",
        pb.CreateDeliveryRequest(
            order_id=str(uuid7()),
            description=NUL,
            pickup_address=Address(line1=" ", city="x" * 101, country="UK"),
            delivery_address=Address(line1="L", city="C", country="NL", position=Position(lat=91, lon=0)),
        ),
        [
            "/pickup_address/line1", "/pickup_address/city", "/pickup_address/country",
            "/delivery_address/lat", "/description",
        ],
    ),
    ("ListDeliveries", pb.ListDeliveriesRequest(order_id="7", status="LOST"), ["/query/order_id", "/query/status"]),
    ("ListDeliveries", pb.ListDeliveriesRequest(page=PageRequest(limit=201)), ["/query/limit"]),
    ("ListDeliveries", pb.ListDeliveriesRequest(page=PageRequest(limit=-1)), ["/query/limit"]),
    ("HandOverDelivery", pb.HandOverDeliveryRequest(recipient=NUL), ["/recipient"]),
    ("HandOverDelivery", pb.HandOverDeliveryRequest(recipient=LONG), ["/recipient"]),
    ("FailDelivery", pb.FailDeliveryRequest(), ["/reason"]),
    ("FailDelivery", pb.FailDeliveryRequest(reason="  "), ["/reason"]),
    ("FailDelivery", pb.FailDeliveryRequest(reason=LONG), ["/reason"]),
    ("CancelDelivery", pb.CancelDeliveryRequest(reason=NUL), ["/reason"]),
    ("QuoteDelivery", pb.QuoteDeliveryRequest(), ["/pickup/country", "/ship_to/country", "/lines"]),
    (
        "QuoteDelivery",
        pb.QuoteDeliveryRequest(
            pickup=PICKUP, ship_to=SHIP_TO,
            lines=[
                PlanLine(kind="dragon", quantity=-1),
                PlanLine(kind="individual", quantity=1, candidates=[
                    AnimalFacts(species=NUL, born_on="spring", weight_kg=-1, carapace_cm=float("nan"))
                ]),
            ],
        ),
        [
            "/lines/0/kind", "/lines/0/quantity", "/lines/1/candidates/0/species",
            "/lines/1/candidates/0/born_on", "/lines/1/candidates/0/carapace_cm",
            "/lines/1/candidates/0/weight_kg",
        ],
    ),
]  # fmt: skip


async def test_bad_input_is_named_field_by_field(service: Service, api: Api) -> None:
    for method, request, pointers in BAD_INPUT:
        failure = await refused(api.call(OPERATOR, method, request))
        found = [error.pointer for error in failure.errors]
        assert (method, failure.kind, found) == (method, Kind.INVALID, pointers)


async def test_a_quote_cites_every_rule_and_keeps_nothing(
    service: Service, api: Api, sql: asyncpg.Connection
) -> None:
    born = str(datetime.now(UTC).date() - timedelta(days=42))
    pup = AnimalFacts(animal_id="p", species="canis_familiaris", life_stage="juvenile", born_on=born)
    line = PlanLine(line_no=2, kind="individual", quantity=1, candidates=[pup])
    asked = pb.QuoteDeliveryRequest(pickup=PICKUP, ship_to=FAR, lines=[line])
    quote = await api.call(CUSTOMER, "QuoteDelivery", asked)
    (finding,) = quote.findings
    assert (quote.verdict, finding.rule_id, finding.outcome, finding.animal_id) == (
        "refuse",
        "EU-AGE-02",
        "violated",
        "p",
    )
    assert "1/2005" in finding.citation
    assert (finding.line_no, finding.jurisdiction) == (2, "EU")
    assert 160 < quote.distance_km < 165
    goods = pb.QuoteDeliveryRequest(pickup=PICKUP, ship_to=FAR, lines=[PlanLine(kind="good", quantity=1)])
    assert (await api.call(CUSTOMER, "QuoteDelivery", goods)).verdict == "allow"
    assert await sql.fetchval("select count(*) from welfare_decisions") == 0
    assert (await refused(api.call(ANONYMOUS, "QuoteDelivery", asked))).kind is Kind.UNAUTHENTICATED


async def test_the_database_itself_refuses_what_must_never_be(
    service: Service, orders: Orders, sql: asyncpg.Connection
) -> None:
    order_id = str(uuid7())
    await orders.book(order_id)
    twin = "insert into deliveries select gen_random_uuid(), order_id, vendor_id, customer_id, courier_id, status, held"
    with pytest.raises(asyncpg.UniqueViolationError):
        await sql.execute(
            f"{twin}, closed, picked_up, version, description, pickup, ship_to, distance_km, eta_at, recipient,"
            " reason_code, reason_message, created_at, updated_at from deliveries"
        )
    for wrong in (
        "status = 'ASSIGNED'",
        "picked_up = true",
        "status = 'IN_PROGRESS', courier_id = 'c'",
        "version = 0",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await sql.execute(f"update deliveries set {wrong}")


async def test_the_service_is_served_with_its_dead_letters_and_reflection(service: Service, api: Api) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await api.peer.channel.unary_unary("/orderhub.delivery.v1.DeliveryService/Nothing")(b"")
    assert service.chassis.readiness.ok
