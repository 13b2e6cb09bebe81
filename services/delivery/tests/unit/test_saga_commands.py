"""Every saga command against every state that an order's delivery can be in: answered, and never raised."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message
from orderhub_chassis.consumer import Context
from orderhub_chassis.ids import CountingIds
from orderhub_chassis.messages import Envelope
from orderhub_chassis.participant import Standing
from orderhub_contracts.delivery.v1 import commands_pb2 as commands
from orderhub_contracts.events.v1.events_pb2 import DeliveryChanged
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_delivery import consumers, welfare
from orderhub_delivery.commands.saga import State
from orderhub_delivery.model import Delivery, Status

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ORDER, VENDOR = UUID(int=5), UUID(int=7)
RULES = welfare.load_rules()
ASKED: dict[str, Message] = {
    "book": commands.BookDelivery(order_id=str(ORDER), vendor_id=str(VENDOR), customer_id="c"),
    "release": commands.ReleaseDelivery(order_id=str(ORDER)),
    "undo": commands.CancelBooking(order_id=str(ORDER)),
    "stop": commands.StopDelivery(order_id=str(ORDER), reason="no"),
}


def a_delivery(
    status: Status, *, held: bool = False, closed: bool = False, picked_up: bool = False
) -> Delivery:
    with_courier = status not in (Status.CREATED, Status.CANCELLED)
    return Delivery(
        UUID(int=1), ORDER, VENDOR, "c", "", b"", b"", None, NOW, NOW, None, status, held, closed, picked_up, 4,
        "courier" if with_courier else "",
    )  # fmt: skip


STATES: dict[str, Callable[[], list[Delivery]]] = {
    "nothing": list,
    "held": lambda: [a_delivery(Status.CREATED, held=True)],
    "created": lambda: [a_delivery(Status.CREATED)],
    "assigned": lambda: [a_delivery(Status.ASSIGNED)],
    "in progress": lambda: [a_delivery(Status.IN_PROGRESS, picked_up=True)],
    "completed": lambda: [a_delivery(Status.COMPLETED, picked_up=True)],
    "failed at the vendor": lambda: [a_delivery(Status.FAILED)],
    "failed on the way": lambda: [a_delivery(Status.FAILED, picked_up=True)],
    "returning": lambda: [a_delivery(Status.RETURNING, picked_up=True)],
    "returned": lambda: [a_delivery(Status.RETURNED, picked_up=True)],
    "called off": lambda: [a_delivery(Status.CANCELLED)],
    "undone": lambda: [a_delivery(Status.CANCELLED, held=True, closed=True)],
    "stopped": lambda: [a_delivery(Status.CANCELLED, closed=True)],
}
NOT_FOUND, WRONG, GONE, CLOSED = (
    "delivery.order_not_found", "delivery.wrong_status", "delivery.picked_up", "delivery.order_closed",
)  # fmt: skip
OK = ""
# What each command is answered: the code of the refusal, or OK; then the events, and whether the goods are out.
TABLE: dict[str, dict[str, tuple[str, list[str], bool]]] = {
    "nothing": {"book": (OK, ["created"], False), "release": (NOT_FOUND, [], False), "undo": (OK, [], False), "stop": (OK, [], False)},
    "held": {"book": (OK, [], False), "release": (OK, [], False), "undo": (OK, ["cancelled"], False), "stop": (OK, ["cancelled"], False)},
    "created": {"book": (OK, [], False), "release": (OK, [], False), "undo": (OK, ["cancelled"], False), "stop": (OK, ["cancelled"], False)},
    "assigned": {"book": (OK, [], False), "release": (OK, [], False), "undo": (OK, ["cancelled"], False), "stop": (OK, ["cancelled"], False)},
    "in progress": {"book": (OK, [], True), "release": (OK, [], True), "undo": (GONE, [], True), "stop": (GONE, [], True)},
    "completed": {"book": (CLOSED, [], True), "release": (OK, [], True), "undo": (GONE, [], True), "stop": (GONE, [], True)},
    "failed at the vendor": {"book": (CLOSED, [], False), "release": (OK, [], False), "undo": (OK, [], False), "stop": (OK, [], False)},
    "failed on the way": {"book": (CLOSED, [], True), "release": (OK, [], True), "undo": (OK, [], True), "stop": (OK, [], True)},
    "returning": {"book": (OK, [], True), "release": (OK, [], True), "undo": (OK, [], True), "stop": (OK, [], True)},
    "returned": {"book": (CLOSED, [], True), "release": (OK, [], True), "undo": (OK, [], True), "stop": (OK, [], True)},
    "called off": {"book": (CLOSED, [], False), "release": (OK, [], False), "undo": (OK, [], False), "stop": (OK, [], False)},
    "undone": {"book": (CLOSED, [], False), "release": (WRONG, [], False), "undo": (OK, [], False), "stop": (OK, [], False)},
    "stopped": {"book": (CLOSED, [], False), "release": (OK, [], False), "undo": (OK, [], False), "stop": (OK, [], False)},
}  # fmt: skip


def decide(
    state: State, asked: str, *, epoch: int = 1, run: str = "r"
) -> tuple[SagaReply, list[DeliveryChanged]]:
    command, saga = ASKED[asked], SagaRef(order_id=str(ORDER), run_id=run, step=1, epoch=epoch)
    envelope = Envelope("delivery.commands.v1", 0, UUID(int=1), Record(saga=saga), command)
    sent = list(consumers.HANDLERS[type(command)](state, envelope, Context(NOW, CountingIds(100))))
    (reply,) = [message.payload for message in sent if isinstance(message.payload, SagaReply)]
    assert all(message.key == str(ORDER) for message in sent)
    # Orders ignores a marked event: the reply to that step must tell as much.
    marked = [message for message in sent if message.saga and isinstance(message.payload, DeliveryChanged)]
    assert all(message.saga == saga for message in marked)
    assert all(reply.delivery.version == message.payload.version for message in marked)
    return reply, [message.payload for message in sent if isinstance(message.payload, DeliveryChanged)]


def a_state(name: str) -> State:
    deliveries = STATES[name]()
    return State(RULES, {ORDER: Standing(ORDER)}, {ORDER: deliveries} if deliveries else {})


def test_the_table_is_complete() -> None:
    assert TABLE.keys() == STATES.keys()
    assert all(row.keys() == ASKED.keys() for row in TABLE.values())


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("asked", ASKED)
def test_every_command_is_answered_in_every_state(asked: str, name: str) -> None:
    code, kinds, picked_up = TABLE[name][asked]
    state = a_state(name)
    reply, events = decide(state, asked)
    expected = replies_pb2.OUTCOME_REFUSED if code else replies_pb2.OUTCOME_SUCCEEDED
    assert (reply.outcome, reply.reason.code, reply.delivery.picked_up) == (expected, code, picked_up)
    assert [event.kind for event in events] == [f"delivery.{kind}" for kind in kinds]
    known = state.deliveries.get(ORDER, [])
    assert reply.HasField("delivery") == bool(known)
    if known:
        assert (reply.delivery.status, reply.delivery.version) == (known[0].status, known[0].version)
    for event in events:
        assert event.version == known[0].version


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("asked", ASKED)
def test_every_command_that_comes_again_changes_nothing_more(asked: str, name: str) -> None:
    state = a_state(name)
    first, _ = decide(state, asked)
    again, events = decide(state, asked)
    assert (again, events) == (first, [])


@pytest.mark.parametrize("asked", ASKED)
def test_every_command_of_an_older_epoch_is_refused(asked: str) -> None:
    state = a_state("created")
    decide(state, "stop", epoch=2, run="cancel")
    reply, events = decide(state, asked, epoch=1)
    assert (reply.outcome, reply.reason.code, events) == (replies_pb2.OUTCOME_REFUSED, "saga.stale_epoch", [])


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("asked", ["undo", "stop"])
def test_after_a_stop_nothing_of_the_order_is_booked_any_more(asked: str, name: str) -> None:
    if TABLE[name][asked][0] or name == "nothing":
        return
    state = a_state(name)
    decide(state, asked)
    reply, _ = decide(state, "book", run="later")
    assert (reply.outcome, reply.reason.code) == (replies_pb2.OUTCOME_REFUSED, CLOSED)
    assert all(delivery.closed for delivery in state.deliveries[ORDER])


def test_a_booking_for_nobody_in_particular_is_a_bug_of_the_sender() -> None:
    command: Any = commands.BookDelivery(order_id=str(ORDER), vendor_id="somebody")
    saga = SagaRef(order_id=str(ORDER), run_id="r", step=1, epoch=1)
    envelope = Envelope("delivery.commands.v1", 0, UUID(int=1), Record(saga=saga), command)
    with pytest.raises(ValueError, match="UUID"):
        list(
            consumers.HANDLERS[commands.BookDelivery](
                a_state("nothing"), envelope, Context(NOW, CountingIds())
            )
        )
