"""A saga participant: stale epochs, first answers, tombstones."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest
from orderhub_chassis import participant
from orderhub_chassis.consumer import Context
from orderhub_chassis.ids import CountingIds, uuid7
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.participant import Standing
from orderhub_contracts.common.v1.common_pb2 import Reason
from orderhub_contracts.events.v1.events_pb2 import PaymentChanged
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_contracts.payments.v1.commands_pb2 import CapturePayment

ORDER = uuid7()
CONTEXT = Context(datetime(2026, 1, 1, tzinfo=UTC), CountingIds())


@dataclass
class State:
    standings: dict[UUID, Standing] = field(default_factory=lambda: {ORDER: Standing(ORDER)})


def a_saga(run="run-1", step=1, epoch=1, compensation=False):
    return SagaRef(order_id=str(ORDER), run_id=run, step=step, epoch=epoch, compensation=compensation)


def an_envelope(saga):
    record = Record(id="m", key=str(ORDER), type="t", saga=saga)
    return Envelope("payments.commands.v1", 0, uuid7(), record, CapturePayment(order_id=str(ORDER)))


def succeeded(**fields):
    return SagaReply(order_id=str(ORDER), outcome=replies_pb2.OUTCOME_SUCCEEDED, **fields)


class Deciding:
    """Answers in turn what it was given, and counts."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    def __call__(self, state, envelope, context):
        self.asked += 1
        return self.answers.pop(0)


def ask(state, decide, **saga):
    return list(participant.answering(decide)(state, an_envelope(a_saga(**saga)), CONTEXT))


def reply(outgoing):
    (message,) = outgoing
    return message.payload


def test_a_repeated_command_gets_the_first_answer_and_is_not_decided_again():
    state, decide = State(), Deciding(succeeded())
    first, again = ask(state, decide), ask(state, decide)
    assert reply(first) == reply(again) == succeeded()
    assert decide.asked == 1


def test_a_no_is_a_definite_answer_too():
    no = participant.failed(str(ORDER), Reason(code="payments.declined", message="no"))
    state, decide = State(), Deciding(no)
    assert reply(ask(state, decide)) == reply(ask(state, decide)) == no


@pytest.mark.parametrize(
    "passing",
    [succeeded(transient=True), SagaReply(order_id=str(ORDER), outcome=replies_pb2.OUTCOME_UNKNOWN)],
    ids=["transient", "unknown"],
)
def test_a_transient_answer_is_sent_and_not_kept(passing):
    state, decide = State(), Deciding(passing, succeeded())
    assert reply(ask(state, decide)) == passing
    assert reply(ask(state, decide)) == succeeded()
    assert decide.asked == 2


def test_a_lower_epoch_is_refused_and_never_decided():
    state, decide = State(), Deciding(succeeded())
    ask(state, decide, epoch=5)
    late = reply(ask(state, decide, run="run-0", epoch=4))
    assert (late.outcome, late.reason.code) == (replies_pb2.OUTCOME_REFUSED, participant.STALE_EPOCH)
    assert decide.asked == 1


def test_an_answer_that_was_given_is_repeated_even_when_the_epoch_went_on():
    state, decide = State(), Deciding(succeeded(), succeeded())
    ask(state, decide, epoch=1)
    ask(state, decide, step=2, epoch=2)
    assert reply(ask(state, decide, epoch=1)) == succeeded()


def test_the_tombstone_of_a_compensation_refuses_the_command_that_comes_after_it():
    state, decide = State(), Deciding(succeeded())
    assert reply(ask(state, decide, epoch=2, compensation=True)) == succeeded()
    assert reply(ask(state, decide, epoch=1)).reason.code == participant.STALE_EPOCH


def test_a_step_and_its_compensation_have_an_answer_each():
    other = succeeded(reason=Reason(code="undone"))
    state, decide = State(), Deciding(succeeded(), other)
    ask(state, decide)
    assert reply(ask(state, decide, compensation=True)) == other


def test_an_answer_that_comes_later_is_settled_then():
    state, decide = State(), Deciding(None)
    assert ask(state, decide) == []
    saga = a_saga()
    sent = participant.settle(state.standings[ORDER], saga, succeeded())
    assert (sent.key, sent.saga, sent.payload) == (str(ORDER), saga, succeeded())
    assert reply(ask(state, decide)) == succeeded()
    assert decide.asked == 1


def test_other_messages_go_along_with_the_answer_and_are_not_repeated():
    event = Outgoing(PaymentChanged(order_id=str(ORDER)), str(ORDER))
    state, decide = State(), Deciding([event, succeeded()])
    assert [m.payload for m in ask(state, decide)] == [event.payload, succeeded()]
    assert [m.payload for m in ask(state, decide)] == [succeeded()]


def test_a_command_without_its_step_is_a_bug_of_the_sender():
    envelope = Envelope("payments.commands.v1", 0, uuid7(), Record(id="m", type="t"), None)
    with pytest.raises(ValueError, match="t m carries no saga step"):
        participant.answering(Deciding())(State(), envelope, CONTEXT)


@pytest.fixture
async def db(small_world):
    async with small_world.db() as db:
        yield db


async def test_standings_are_kept(db):
    async def first(tx):
        standings = await participant.load(tx, [ORDER, ORDER])
        assert standings == {ORDER: Standing(ORDER)}
        state = State(standings)
        ask(state, Deciding(succeeded()), epoch=3)
        await participant.save(tx, standings)

    async def second(tx):
        standings = await participant.load(tx, [ORDER, uuid7()])
        state, decide = State(standings), Deciding()
        assert reply(ask(state, decide, epoch=3)) == succeeded()
        return standings[ORDER].epoch, len(standings)

    await db.run(first)
    assert await db.run(second) == (3, 2)


async def test_two_batches_that_meet_the_same_new_orders_take_turns(db, small_world):
    orders = [uuid7() for _ in range(30)]

    async def batch(ids):
        async def work(tx):
            standings = await participant.load(tx, ids)
            await asyncio.sleep(0.01)
            for standing in standings.values():
                standing.epoch += 1
                standing.changed = True
            await participant.save(tx, standings)

        await db.run(work)

    await asyncio.gather(*(batch(orders[n:] + orders[:n]) for n in range(0, 30, 6)))
    assert await small_world.database.value("select array_agg(distinct epoch) from saga_standings") == [5]
    assert await small_world.database.value("select count(*) from saga_standings") == 30
