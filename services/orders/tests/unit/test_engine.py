"""The engine over a toy saga: steps that a subject does not need are passed over, forward and backward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from orderhub_contracts.common.v1.common_pb2 import Reason
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.inventory.v1 import commands_pb2 as inventory
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_orders import engine
from orderhub_orders.engine import Definition, Run, State, Step

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("pack", "insure", "send", "thank")
PIVOT = "send"


class Parcel(msgspec.Struct):
    needs: frozenset[str]
    id: UUID = UUID(int=1)
    epoch: int = 0
    changed: bool = False
    ends: list[str] = msgspec.field(default_factory=list)


def a_step(name: str) -> Step[Parcel]:
    return Step(
        name,
        lambda parcel: inventory.ReserveStock(order_id=name),
        compensation=None
        if name in (PIVOT, "thank")
        else lambda parcel: inventory.ReleaseStock(order_id=name),
        pivot=name == PIVOT,
        needed=lambda parcel: name in parcel.needs,
    )


def ends(how: str) -> Any:
    return lambda parcel, run: parcel.ends.append(how)


SAGA: Definition[Parcel] = Definition(
    name="send_parcel", version=1, steps=tuple(map(a_step, NAMES)), timeout=timedelta(minutes=1),
    hold_timeout=timedelta(hours=1), finished=ends("finished"), undone=ends("undone"), held=ends("held"),
    resumed=ends("resumed"),
)  # fmt: skip


def started(*needs: str) -> tuple[Parcel, Run, list[str]]:
    parcel = Parcel(frozenset(needs))
    run, messages = engine.start(SAGA, parcel, id=UUID(int=2), now=NOW)
    return parcel, run, asked(messages)


def asked(messages: list[Any]) -> list[str]:
    return [("undo " if m.saga.compensation else "") + m.payload.order_id for m in messages]


def answer(parcel: Parcel, run: Run, outcome: int = replies_pb2.OUTCOME_SUCCEEDED) -> list[str]:
    backward = run.state is State.COMPENSATING
    saga = SagaRef(step=run.step, epoch=run.epoch, compensation=backward)
    reply = SagaReply(outcome=outcome, reason=Reason(code="x.no"))
    return asked(engine.on_reply(SAGA, run, parcel, saga, reply, now=NOW))


@pytest.mark.parametrize(
    "needs", [NAMES, ("pack", "send"), ("insure", "send", "thank"), ("send",), ("pack", "insure", "send")]
)
def test_forward_each_step_that_is_needed_is_asked_once_and_no_other(needs: tuple[str, ...]) -> None:
    parcel, run, said = started(*needs)
    while not run.over:
        said += answer(parcel, run)
    assert said == list(needs)
    assert (run.state, parcel.ends) == (State.SUCCEEDED, ["finished"])


@pytest.mark.parametrize(
    ("needs", "undone"),
    [
        (NAMES, ["undo insure", "undo pack"]),
        (("pack", "send"), ["undo pack"]),
        (("insure", "send"), ["undo insure"]),
        (("send",), []),
    ],
)
def test_backward_what_was_never_sent_is_not_undone(needs: tuple[str, ...], undone: list[str]) -> None:
    parcel, run, _ = started(*needs)
    while SAGA.steps[run.step].name != PIVOT:
        answer(parcel, run)
    said = answer(parcel, run, replies_pb2.OUTCOME_FAILED)
    while not run.over:
        said += answer(parcel, run)
    assert said == undone
    assert (run.state, parcel.ends) == (State.FAILED, ["undone"])


def test_a_stop_turns_round_before_the_pivot_though_the_step_before_it_is_passed_over() -> None:
    parcel, run, _ = started("pack", "send")
    engine.request_stop(SAGA, run, parcel, Reason(code="x.cancelled"), now=NOW)
    assert answer(parcel, run) == ["undo pack"]


def test_a_stop_behind_the_pivot_changes_nothing_any_more() -> None:
    parcel, run, _ = started("send", "thank")
    engine.request_stop(SAGA, run, parcel, Reason(code="x.cancelled"), now=NOW)
    assert answer(parcel, run) == ["thank"]
    assert answer(parcel, run) == []
    assert run.state is State.SUCCEEDED
